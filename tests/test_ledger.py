"""The coverage ledger: every stretch of time has one status, and what is known better later takes its place."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from hypothesis import given, settings

from monitor.decode import encode_status
from monitor.pipeline import step
from monitor.records import Change, Record, Status
from monitor.spec import LineSpec
from monitor.state import LineState
from tests.line_samples import (
    FAST,
    MODELS,
    ROOT,
    START,
    Line,
    in_regimes,
    journals,
    pump,
    quick,
    shipped,
    spec_of,
    status,
    telemetry,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from monitor.records import Payload, StepResult

KEY = "plant//a"
PUMPS = in_regimes(quick(shipped()), off="load < 5")


def kept(results: Iterable[StepResult]) -> dict[tuple[str, int], tuple[int, str, str]]:
    """What the store keeps of these: (stream, start) -> (end, status, regime), the later over the earlier."""
    found = {}
    for result in results:
        for part in result.stretches:
            columns = zip(
                part.streams, part.start.tolist(), part.end.tolist(), part.status, part.regime, strict=True
            )
            for stream, start, end, name, regime in columns:
                assert start <= end
                found[stream, start] = (end, name, regime)
    return found


def ledger(line: Line) -> list[tuple[float, float, str]]:
    """The stretches of the one pump: seconds after START, and the reason."""
    return [
        ((start - START) / 1000, (end - START) / 1000, regime or name)
        for (stream, start), (end, name, regime) in sorted(kept(line.results).items())
        if stream == KEY
    ]


def running(line: Line, first: int, count: int, load: float = 50, *, arrival: int | None = None) -> None:
    """So many seconds of the pump, a message each."""
    for second in range(first, first + count):
        at = 1000 * second if arrival is None else arrival
        line.send(at, telemetry("a", 1000 * second, pump(load + second % 3), arrival=at))


def told(line: Line, second: int) -> list[tuple[float, float, str]]:
    """The ledger after the time at which everything that goes on has been told."""
    line.take(1000 * second, Change(line=spec_of(quick(shipped("others", assets="never/*")))))
    return ledger(line)


def test_a_machine_that_starts_runs_stops_and_runs_again() -> None:
    """Windows of five ticks: four rows warm up at first, and four after the pause."""
    line = Line(PUMPS).listen()
    running(line, 0, 10)
    running(line, 10, 6, load=0)
    running(line, 16, 10)
    assert told(line, 26) == [
        (0, 4, "warming_up"),
        (4, 10, "scored"),
        (10, 16, "off"),
        (16, 20, "warming_up"),
        (20, 26, "scored"),
    ]


def test_what_goes_on_is_told_every_ten_seconds() -> None:
    line = Line(PUMPS).listen()
    running(line, 0, 25)
    (first, last) = ledger(line)
    assert first == (0, 4, "warming_up")
    assert last[0::2] == (4, "scored")
    assert 15 <= last[1] <= 25


def test_silence_is_a_gap_while_it_lasts_from_the_last_row_on() -> None:
    """Noticed after a minute, told to have begun at 10 s, and growing; then the window fills again."""
    line = Line(PUMPS).listen()
    running(line, 0, 10)
    line.wait(60_000)
    assert "no_readings" not in {reason for *_, reason in ledger(line)}
    line.wait(80_000)
    assert ledger(line)[-1] == (10, 80, "no_readings")
    line.wait(100_000)
    assert ledger(line)[-1] == (10, 100, "no_readings")
    running(line, 101, 10)
    assert told(line, 111)[2:] == [(10, 101, "no_readings"), (101, 105, "gap"), (105, 111, "scored")]


def test_a_goodbye_is_a_reason_of_its_own() -> None:
    line = Line(PUMPS).listen()
    running(line, 0, 10)
    line.send(10_000, status("a", 10_000, encode_status(online=False, time=START, reason="shutdown")))
    line.wait(200_000)
    assert ledger(line)[-1] == (10, 200, "offline")
    running(line, 300, 5)
    assert told(line, 305)[2:] == [(10, 300, "offline"), (300, 304, "gap"), (304, 305, "scored")]


def test_readings_that_were_only_on_their_way_take_the_place_of_the_silence() -> None:
    """A gateway that was cut off for two minutes brings what it kept: all of it was scored."""
    line = Line(PUMPS).listen()
    running(line, 0, 10)
    line.wait(120_000)
    assert ledger(line)[-1] == (10, 120, "no_readings")
    running(line, 10, 111, arrival=121_000)
    reasons: dict[str, float] = {}
    for start, end, reason in told(line, 122):
        reasons[reason] = reasons.get(reason, 0) + end - start
    assert reasons == {"warming_up": 4, "scored": 117}


def test_a_silence_that_begins_later_than_was_thought_is_shortened() -> None:
    """Of the two minutes only the first half comes after all."""
    line = Line(PUMPS).listen()
    running(line, 0, 10)
    line.wait(120_000)
    running(line, 10, 50, arrival=121_000)
    running(line, 121, 6)
    assert told(line, 128)[-4:] == [
        (10, 60, "scored"),
        (60, 121, "no_readings"),
        (121, 125, "gap"),
        (125, 127, "scored"),
    ]


def test_a_gap_that_nobody_noticed_as_silence_is_one_too() -> None:
    """Longer than a window and shorter than alert.stale_after_s."""
    line = Line(PUMPS).listen()
    running(line, 0, 10)
    running(line, 30, 10)
    assert told(line, 40)[2:] == [(10, 30, "no_readings"), (30, 34, "gap"), (34, 40, "scored")]


def test_rows_of_several_ticks_count_them_all() -> None:
    """A row every three ticks: the first covers the ticks 0 to 2, the second, which is scored, 3 to 5."""
    spec = replace(PUMPS, window=replace(PUMPS.window, stride=3))
    line = Line(spec).listen()
    running(line, 0, 12)
    assert line.state.classes[0].ledger.ticks[0].tolist() == [9, 3, 0, 0, 0, 0, 0, 0, 0, 0]
    assert told(line, 12) == [(0, 3, "warming_up"), (3, 12, "scored")]


def test_other_regimes_begin_a_new_stretch_under_their_own_names() -> None:
    line = Line(PUMPS).listen()
    running(line, 0, 6, load=0)
    line.take(6000, Change(line=spec_of(in_regimes(quick(shipped()), high="load > 90", off="load < 5"))))
    running(line, 6, 6, load=0)
    assert told(line, 12) == [(0, 6, "off"), (6, 12, "off")]


@settings(FAST, max_examples=30)
@given(journal=journals())
def test_the_ticks_add_up_to_the_rows_and_the_stretches_leave_no_hole(journal: list[tuple[int, Payload]]) -> None:
    """Whatever happens, without a class being taken away: one tick a row, and time without holes or overlaps."""
    state = LineState.empty(LineSpec(ROOT, 100, ()))
    results = [
        step(state, Record(number, START + time, payload), MODELS)
        for number, (time, payload) in enumerate(journal, start=1)
    ]
    last = Change(line=spec_of(quick(shipped("others", assets="never/*"))))
    ticks = sum(each.ledger.ticks[: len(each.keys)].sum(axis=0) for each in state.classes)
    rows = state.rows.copy()
    assert len(rows) == len(Status)
    # A row that a change of the window brings about before its turn covers no tick of its own.
    assert (ticks <= rows).all()
    assert ticks.sum() >= rows.sum() - 3 * sum(isinstance(payload, Change) for _, payload in journal)
    results.append(step(state, Record(len(journal) + 1, START + journal[-1][0], last), MODELS))
    by_stream: dict[str, list[tuple[int, int]]] = {}
    for (stream, start), (end, *_) in sorted(kept(results).items()):
        by_stream.setdefault(stream, []).append((start, end))
    for stretches in by_stream.values():
        for (_, end), (start, _) in pairwise(stretches):
            assert start == end
