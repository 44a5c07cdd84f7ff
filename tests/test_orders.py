"""Assets that are forgotten or renamed, and every order again from any checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from monitor import checkpoint
from monitor.incident import incident_id
from monitor.pipeline import step
from monitor.records import Batch, Outcome, Record
from monitor.spec import LineSpec
from monitor.state import FIRST_ROOM, LineState
from tests.line_samples import FAST, MODELS, ROOT, START, Line, asked, journals, pump, quick, shipped, telemetry
from tests.test_pipeline import plain

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn

    from monitor.records import Payload

A, B, C = "plant//a", "plant//b", "plant//c"


def running(line: Line, assets: str, first: int, count: int, *, breach: float = 0.0) -> None:
    """So many seconds of these pumps, a record each."""
    for second in range(first, first + count):
        values = pump(50 + second % 7, breach=breach)
        line.send(1000 * second, *(telemetry(asset, 1000 * second, values) for asset in assets))


# -- forget -----------------------------------------------------------------------------------------------------


def test_a_forgotten_asset_frees_its_place() -> None:
    """What waited of it has its row, the others go on as if nothing had been, and a new one takes the place."""
    line, other = (Line(quick(shipped()), max_streams=3).listen() for _ in range(2))
    for each in (line, other):
        running(each, "abc", 0, 10)
    line.send(10_000, telemetry("b", 10_000, {"load": 1.0}))
    waiting = line.state.waiting_values()
    result = line.take(10_500, asked("forget", asset=B, who="me", why="scrapped"))
    assert (result.done, result.reply) == (True, f"{B} is forgotten; heard again, it begins anew")
    assert line.state.waiting_values() == waiting - 1
    assert line.state.classes[0].keys == [A, C]
    assert int(line.state.outcomes.sum()) + line.state.waiting_values() == 61
    for each in (line, other):
        running(each, "ac", 10, 10, breach=10.0)
    for key in (A, C):
        assert np.array_equal(line.rows(key), other.rows(key), equal_nan=True)
    assert line.told() == other.told()
    line.send(20_000, telemetry("d", 20_000, pump(50)))
    assert line.state.streams() == 3
    assert line.dead_letters == []
    running(line, "d", 21, 6)
    assert [time for time, *_ in line.rows("plant//d")] == [20, 21, 22, 23, 24, 25, 26]


def test_its_incidents_end_with_its_name() -> None:
    line = Line(quick(shipped())).listen()
    running(line, "ab", 0, 10)
    running(line, "ab", 10, 5, breach=10.0)
    line.take(15_000, asked("forget", asset=A, who="me", why="scrapped"))
    assert line.told() == [(A, "anomaly", "fired"), (B, "anomaly", "fired"), (A, "anomaly", "cleared")]
    ended = line.events[-1]
    assert (ended.incident_id, ended.summary, ended.who) == (line.events[0].incident_id, "scrapped", "me")


def test_heard_again_it_begins_anew() -> None:
    line = Line(quick(shipped())).listen()
    running(line, "a", 0, 40)
    line.take(40_000, asked("forget", asset=A))
    running(line, "a", 41, 6)
    scores = [score for time, _, score, _ in line.rows(A) if time > 40]
    assert np.isnan(scores).tolist() == [True] * 4 + [False] * 2
    again = line.take(50_000, asked("forget", 2, asset="plant//nobody"))
    assert (again.done, again.reply) == (False, "nothing to do: plant//nobody is not an asset that has been heard")


def test_every_place_can_be_used_again() -> None:
    """As many as the first room holds come and go: the room does not grow, nor shrink to nothing."""
    line = Line(quick(shipped()), max_streams=FIRST_ROOM).listen()
    for round_ in range(3):
        names = [f"n{round_}-{number}" for number in range(FIRST_ROOM)]
        line.send(1000 * round_, *(telemetry(name, 1000 * round_, pump(50)) for name in names))
        assert line.state.streams() == FIRST_ROOM
        for number, name in enumerate(names):
            line.take(1000 * round_ + 500, asked("forget", 100 * round_ + number, asset=f"plant//{name}"))
        assert line.state.streams() == 0
    assert line.dead_letters == []
    assert len(line.state.classes[0].align.next_tick) == FIRST_ROOM
    assert line.state.outcomes[Outcome.IN_ROW] == 3 * FIRST_ROOM * 2


# -- rename -----------------------------------------------------------------------------------------------------


def rename(line: Line, at: int, old: str, new: str, number: int = 1) -> tuple[bool, str]:
    result = line.take(at, asked("rename", number, asset=old, name=new))
    return result.done, result.reply


def test_a_renamed_asset_goes_on_where_it_was() -> None:
    """Its window is full and its threshold learned: the scores are those of an asset that kept its name."""
    line, other = (Line(quick(shipped())).listen() for _ in range(2))
    for each in (line, other):
        running(each, "a", 0, 40, breach=0.8)
    assert rename(line, 40_000, A, C) == (True, f"{A} is {C} from now on")
    running(line, "c", 40, 20, breach=0.9)
    running(other, "a", 40, 20, breach=0.9)
    assert np.array_equal(line.rows(A) + line.rows(C), other.rows(A), equal_nan=True)
    assert line.state.streams() == 1


def test_its_open_incident_goes_on_under_an_id_of_the_new_name() -> None:
    """Acknowledged and shelved as it was; when it clears, that is told of the new one."""
    line = Line(quick(shipped())).listen()
    running(line, "a", 0, 10)
    running(line, "a", 10, 5, breach=10.0)
    fired = line.events[0]
    line.take(15_000, asked("acknowledge", 1, asset=A))
    line.take(15_000, asked("shelve", 2, asset=A, until=START + 900_000))
    line.results.clear()
    assert rename(line, 15_500, A, C, 3)[0]
    name = incident_id(C, "anomaly", "", fired.started)
    assert [(event.stream, event.incident_id, str(event.transition)) for event in line.events] == [
        (A, fired.incident_id, "cleared"), (C, name, "fired"), (C, name, "acknowledged"), (C, name, "shelved"),
    ]  # fmt: skip
    assert len({event.event_id for event in line.events}) == 4
    assert line.events[-1].until == START + 900_000
    assert fired.incident_id in line.events[1].summary
    assert name in line.events[0].summary
    running(line, "c", 16, 10)
    assert (line.events[-1].incident_id, str(line.events[-1].transition)) == (name, "cleared")


def test_names_that_cannot_be_taken() -> None:
    line = Line(quick(shipped(assets="plant/*"))).listen()
    running(line, "ab", 0, 3)
    assert rename(line, 4000, A, B, 1) == (
        False, f"{B} has been heard already: forget it first (its windows and threshold go)",
    )  # fmt: skip
    assert rename(line, 4000, A, "hall//a", 2) == (
        False, "class pumps does not take hall//a: see classes.assets",
    )  # fmt: skip
    assert rename(line, 4000, "plant//x", C, 3)[0] is False
    assert line.state.classes[0].keys == [A, B]


def test_maintenance_goes_with_the_name() -> None:
    line = Line(quick(shipped())).listen()
    running(line, "a", 0, 10)
    line.take(10_000, asked("maintenance", 1, asset=A, until=START + 60_000))
    rename(line, 10_500, A, C, 2)
    running(line, "c", 11, 20, breach=10.0)
    assert line.told() == []
    line.take(40_000, asked("forget", 3, asset=C))
    assert line.state.plans == {}


# -- again ------------------------------------------------------------------------------------------------------


@st.composite
def ordered(draw: DrawFn) -> list[tuple[int, Payload]]:
    """A journal of three pumps with orders strewn in."""
    records: list[tuple[int, Payload]] = []
    for number, (time, payload) in enumerate(draw(journals())):
        records.append((time, payload))
        action = draw(st.sampled_from(["", "", "", "maintenance", "maintained", "forget", "rename"]))
        if action:
            about, other = draw(st.permutations([A, B, C, "plant//d"]))[:2]
            since = draw(st.sampled_from([None, START + time + 2000]))
            until = START + time + draw(st.sampled_from([3000, 20_000]))
            order = asked(action, 1000 + number, asset=about, name=other, since=since, until=until)
            records.append((time, order))
    return records


@FAST
@given(journal=ordered(), cut=st.integers(0, 60))
def test_with_orders_too_the_line_goes_on_from_any_checkpoint(
    journal: list[tuple[int, Payload]], cut: int
) -> None:
    """The same results bit for bit; the books add up after every record; what fires is new, what ends was open."""
    records = [Record(number, START + time, payload) for number, (time, payload) in enumerate(journal, start=1)]
    straight = LineState.empty(LineSpec(ROOT, 100, ()))
    wanted: list[Any] = []
    sent = 0
    is_open: dict[str, bool] = {}
    for record in records:
        result = step(straight, record, MODELS)
        wanted.append(plain(result))
        if isinstance(record.payload, Batch):
            payloads = [message.payload for message in record.payload.messages]
            sent += sum(each.count(name) for each in payloads for name in (b'"load"', b'"flow"'))
        assert int(straight.outcomes.sum()) + straight.waiting_values() == sent
        for event in result.events:
            if event.transition == "fired":
                assert not is_open.get(event.incident_id)
                is_open[event.incident_id] = True
            else:
                assert is_open[event.incident_id], event
                is_open[event.incident_id] = event.transition not in {"cleared", "accepted"}

    stopped = LineState.empty(LineSpec(ROOT, 100, ()))
    found = [plain(step(stopped, record, MODELS)) for record in records[:cut]]
    restored = checkpoint.decode(checkpoint.encode(cut, stopped))
    found += [plain(step(restored.state, record, MODELS)) for record in records[cut:]]
    assert found == wanted
    assert checkpoint.encode(99, restored.state) == checkpoint.encode(99, straight)
