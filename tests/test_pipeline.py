"""The line as a whole: what one record brings about, and the same again from any checkpoint."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.lasting import Lasting, Recent
from monitor import checkpoint
from monitor.decode import encode_status
from monitor.pipeline import clock_suspect, step
from monitor.records import Change, Outcome, Record, Status, StepResult
from monitor.spec import LineSpec
from monitor.state import FIRST_ROOM, ClassState, LineState
from tests.line_samples import (
    FAST,
    HASH,
    ROOT,
    START,
    Balance,
    Line,
    asked,
    journals,
    learning,
    pump,
    quick,
    shipped,
    spec_of,
    status,
    telemetry,
)

if TYPE_CHECKING:
    from monitor.records import Model, Payload

KEY = "plant//a"


def running(line: Line, first: int, count: int, *, breach: float = 0.0, asset: str = "a") -> None:
    """So many seconds of one pump, a message each."""
    for second in range(first, first + count):
        line.send(1000 * second, telemetry(asset, 1000 * second, pump(50 + second % 7, breach=breach)))


def test_a_row_for_every_tick_scored_when_the_window_is_full() -> None:
    line = Line(quick(shipped())).listen()
    running(line, 0, 9, breach=1.0)
    line.wait(60_000)
    rows = line.rows(KEY)
    assert [time for time, *_ in rows] == list(range(9))
    assert [each for _, each, *_ in rows] == [Status.WARMING_UP] * 4 + [Status.SCORED] * 5
    assert [score for *_, score, _ in rows[4:]] == [0.5] * 5
    assert [threshold for *_, threshold in rows[4:]] == [1.0] * 5
    assert all(math.isnan(score) and math.isnan(threshold) for _, _, score, threshold in rows[:4])


def test_a_breach_fires_and_its_end_clears() -> None:
    line = Line(quick(shipped())).listen()
    running(line, 0, 20)
    running(line, 20, 10, breach=10.0)
    running(line, 30, 20)
    assert line.told() == [(KEY, "anomaly", "fired"), (KEY, "anomaly", "cleared")]
    fired, cleared = line.events
    # One of the last five ticks in breach is a score of 1, which is not above 1; two are a score of 2.
    assert fired.time == START + 21_000
    assert cleared.time == START + 34_000
    assert fired.incident_id == cleared.incident_id


def test_more_assets_than_allowed_are_refused_with_every_value_counted() -> None:
    line = Line(max_streams=2)
    line.send(0, *(telemetry(asset, 0, pump(50)) for asset in "abc"), telemetry("c", 1000, {"load": 1.0}))
    assert line.state.streams() == 2
    assert {letter.reason for letter in line.dead_letters} == {"more assets than daemon.max_streams (2)"}
    assert [(letter.topic, letter.values) for letter in line.dead_letters] == [("plant//c", 2), ("plant//c", 1)]
    assert line.state.outcomes[Outcome.DEAD_LETTER] == 3


def test_the_limit_is_for_all_classes_together() -> None:
    line = Line(shipped("one", assets="plant//a"), shipped("two"), max_streams=2)
    line.send(0, telemetry("b", 0, pump(50)), telemetry("c", 0, pump(50)), telemetry("a", 0, pump(50)))
    assert [each.keys for each in line.state.classes] == [["plant//a"], ["plant//b"]]
    assert [letter.topic for letter in line.dead_letters] == ["plant//c"]


def test_room_grows_with_the_streams() -> None:
    """What the first ones held is still there: with 40 streams the room of 16 has doubled twice."""
    line = Line(quick(shipped())).listen()
    for second in range(8):
        messages = [
            telemetry(f"n{asset}", 1000 * second, pump(50, breach=asset)) for asset in range(5 * second + 5)
        ]
        line.send(1000 * second, *messages)
    line.wait(60_000)
    assert line.state.streams() == 40
    assert [score for *_, score, _ in line.rows("plant//n3")[4:]] == [1.5] * 4


def test_two_classes_live_side_by_side() -> None:
    """Each with its own windows; without its model a class says so."""
    line = Line(
        quick(shipped("watched", assets="plant//a")), quick(shipped("bare"), model="", model_hash="")
    ).listen()
    for second in range(8):
        line.send(1000 * second, *(telemetry(asset, 1000 * second, pump(50)) for asset in "ab"))
    line.wait(20_000)
    assert {batch.asset_class for batch in line.batches} == {"watched", "bare"}
    assert line.rows(KEY)[-1][1] == Status.SCORED
    assert {each for _, each, *_ in line.rows("plant//b")} == {Status.NO_MODEL}


def test_a_goodbye_is_no_alert_and_a_reading_behind_it_takes_it_back() -> None:
    """Wherever the batch is cut: the reading of a restarted asset may stand in the goodbye's own batch."""
    goodbye = status("a", 10_000, encode_status(online=False, time=START, reason="shutdown"))
    back = telemetry("a", 10_500, pump(50))
    for records in ([[goodbye]], [[goodbye, back]], [[goodbye], [back]]):
        line = Line().listen()
        line.send(0, telemetry("a", 0, pump(50)))
        for messages in records:
            line.send(11_000, *messages)
        line.wait(500_000)
        silent = any(back in messages for messages in records)
        assert line.told() == ([(KEY, "stale", "fired")] if silent else []), records


def test_a_last_will_is_told_at_once() -> None:
    line = Line().listen()
    line.send(0, telemetry("a", 0, pump(50)))
    line.send(1000, status("a", 1000, encode_status(online=False, time=START)))
    assert line.told() == [(KEY, "stale", "fired")]
    assert line.events[0].started == START


def test_the_status_of_an_asset_that_never_reported_is_no_alert() -> None:
    line = Line().listen()
    line.send(0, status("a", 0, encode_status(online=False, time=START)))
    line.wait(10**6)
    assert line.told() == []


def test_a_stream_of_the_future_goes_stale_at_a_time_that_exists() -> None:
    """None of its readings was taken; its arrival is all there is."""
    line = Line().listen()
    line.send(0, telemetry("a", 10**7, pump(50), arrival=0))
    line.wait(100_000)
    (event,) = line.events
    assert (event.kind, event.started, event.time) == ("stale", START, START)


def test_nothing_closes_by_the_clock_before_the_broker_is_heard() -> None:
    """The rest of a tick may have been waiting at the broker, also when readings come before its word does."""
    line = Line()
    line.send(0, telemetry("a", 0, {"load": 50.0}))
    line.wait(60_000)
    line.send(90_000, telemetry("a", 0, {"flow": 110.0}, arrival=90_000))
    assert line.state.outcomes[Outcome.LATE] == 0
    line.take(90_001, Change(listening=True))
    line.wait(92_000)
    assert line.rows(KEY) == []
    line.wait(92_201)
    assert [time for time, *_ in line.rows(KEY)] == [0]


def test_most_streams_ahead_blame_the_host() -> None:
    line = Line()
    line.send(0, *(telemetry(asset, 3_600_000, pump(50), arrival=0) for asset in "abc"))
    assert clock_suspect(line.state)
    assert line.state.outcomes[Outcome.QUARANTINED] == 4


def test_what_is_quarantined_is_kept_to_be_looked_at() -> None:
    line = Line()
    line.send(0, telemetry("a", 60_000, pump(50), arrival=0))
    (letter,) = line.dead_letters
    assert letter.reason == "quarantined: its time lies 60.0 s in the future"
    assert (letter.topic, letter.values) == (KEY, 0)
    assert b'"load":50' in letter.payload
    assert line.state.outcomes[Outcome.QUARANTINED] == 2
    assert line.state.outcomes[Outcome.DEAD_LETTER] == 0


def test_a_command_that_comes_again_is_known_by_its_id() -> None:
    line = Line(quick(shipped())).listen()
    running(line, 0, 10, breach=10.0)
    first = line.take(10_000, asked("acknowledge", asset=KEY))
    assert [event.transition for event in first.events] == ["acknowledged"]
    assert first.reply == f"{first.events[0].incident_id} acknowledged"
    again = line.take(10_001, asked("acknowledge", asset=KEY))
    assert again.events == []
    assert again.reply == "command c1 was carried out before"


def test_a_command_about_nothing_says_so() -> None:
    line = Line(quick(shipped())).listen()
    running(line, 0, 3)
    refused = line.take(3000, asked("acknowledge", 1, asset=KEY))
    assert not refused.done
    assert "not an open incident" in refused.reply
    assert "not an asset that has been heard" in line.take(3001, asked("accept", 2, asset="plant//x")).reply
    comment = line.take(3002, asked("comment", 3, incident="i1", asset=KEY, why="bearing"))
    assert (comment.done, comment.reply) == (True, "i1 commented")
    assert comment.events[0].summary == "bearing"


@pytest.mark.parametrize("seconds", [3, 10])
def test_accept_makes_a_new_state_normal_whether_pending_or_firing(seconds: int) -> None:
    """It re-learns, is not judged meanwhile, and then takes the new level for normal and a higher one not."""
    fires_late = replace(quick(shipped()).alert, on_delay_ticks=5)
    line = Line(quick(shipped(), alert=fires_late)).listen()
    running(line, 0, 10)
    running(line, 10, seconds, breach=10.0)
    line.take(10_000 + 1000 * seconds, asked("accept", asset=KEY))
    before = len(line.events)
    running(line, 10 + seconds, 60, breach=10.0)
    assert line.events[before:] == []
    rows = [row for row in line.rows(KEY) if row[0] > 10 + seconds]
    # The tick that is still open at the command is learned too.
    assert [each for _, each, *_ in rows].count(Status.RELEARNING) in {19, 20}
    assert rows[-1][1:3] == (Status.SCORED, 5.0)
    # Scores that never move leave half a bin (a twentieth) as their MAD: 5 x (1 + 6 x 1.4826 / 20) = 7.2.
    assert rows[-1][3] == pytest.approx(7.2, rel=0.1)
    running(line, 70 + seconds, 20, breach=30.0)
    assert line.told()[before:] == [(KEY, "anomaly", "fired")]


def test_other_thresholds_keep_windows_and_incidents() -> None:
    spec = quick(shipped())
    line = Line(spec).listen()
    running(line, 0, 10)
    running(line, 10, 5, breach=10.0)
    stricter = replace(spec, threshold=replace(spec.threshold, floor=3.0))
    line.take(15_000, Change(line=spec_of(stricter)))
    running(line, 15, 5, breach=10.0)
    rows = line.rows(KEY)
    assert {each for _, each, *_ in rows[4:]} == {Status.SCORED}
    assert rows[-1][3] == 3.0
    assert [time for time, *_ in rows] == list(range(len(rows)))
    assert line.told() == [(KEY, "anomaly", "fired")]


def test_a_longer_window_goes_on_with_the_ticks_of_the_shorter_one() -> None:
    """Of eight ticks five are there; no tick is made twice, and the open incident stays open."""
    spec = quick(shipped())
    line = Line(spec).listen()
    running(line, 0, 10, breach=10.0)
    line.take(10_000, Change(line=spec_of(replace(spec, window=replace(spec.window, length=8)))))
    assert line.state.waiting_values() == 0
    assert line.state.outcomes[Outcome.IN_ROW] == 20
    running(line, 10, 10, breach=10.0)
    rows = line.rows(KEY)
    assert [time for time, *_ in rows] == list(range(len(rows)))
    assert [each for _, each, *_ in rows[10:13]] == [Status.WARMING_UP] * 2 + [Status.SCORED]
    assert line.told() == [(KEY, "anomaly", "fired")]


def test_another_coverage_flushes_what_waits_and_warms_up_anew() -> None:
    """Every value has its row, no tick is made twice, and the open incident stays open."""
    spec = quick(shipped())
    line = Line(spec).listen()
    running(line, 0, 10, breach=10.0)
    line.take(10_000, Change(line=spec_of(replace(spec, window=replace(spec.window, min_coverage=0.4)))))
    assert line.state.waiting_values() == 0
    assert line.state.outcomes[Outcome.IN_ROW] == 20
    running(line, 10, 10, breach=10.0)
    rows = line.rows(KEY)
    assert [time for time, *_ in rows] == list(range(len(rows)))
    assert [each for _, each, *_ in rows[10:14]] == [Status.WARMING_UP] * 4
    assert line.told() == [(KEY, "anomaly", "fired")]


def test_after_another_coverage_a_closed_tick_does_not_reopen() -> None:
    spec = quick(shipped())
    line = Line(spec).listen()
    line.send(0, telemetry("a", 0, {"load": 50.0}))
    line.take(100, Change(line=spec_of(replace(spec, window=replace(spec.window, min_coverage=0.4)))))
    line.send(200, telemetry("a", 150, {"flow": 110.0}, arrival=200))
    line.wait(60_000)
    assert [time for time, *_ in line.rows(KEY)] == [0]
    assert line.state.outcomes[Outcome.LATE] == 1


@pytest.mark.parametrize("period_ms", [500, 2000])
def test_another_period_keeps_thresholds_and_incidents_in_time(period_ms: int) -> None:
    """Ticks are other numbers then: for that nothing is forgotten, nothing fires and nothing clears."""
    spec = quick(shipped())
    spec = replace(spec, alert=replace(spec.alert, off_delay_ticks=5))
    line = Line(spec).listen()
    running(line, 0, 40, breach=1.9)
    before = line.rows(KEY)[-1][3]
    running(line, 40, 10, breach=10.0)
    other = replace(
        spec,
        align=replace(spec.align, period_ms=period_ms),
        threshold=replace(spec.threshold, horizon_ticks=spec.threshold.horizon_ticks * 1000 / period_ms),
        alert=replace(spec.alert, period_ms=period_ms),
    )
    line.take(50_000, Change(line=spec_of(other)))
    for number in range(30):
        time = 52_000 + number * period_ms
        line.send(time, telemetry("a", time, pump(50, breach=1.9)))
    scored = [threshold for *_, threshold in line.rows(KEY) if not math.isnan(threshold)]
    assert scored[-1] == pytest.approx(before, rel=0.02)
    assert line.told() == [(KEY, "anomaly", "fired"), (KEY, "anomaly", "cleared")]


def test_after_another_window_silence_is_still_noticed() -> None:
    spec = quick(shipped())
    line = Line(spec).listen()
    running(line, 0, 3)
    line.take(3000, Change(line=spec_of(replace(spec, window=replace(spec.window, length=8)))))
    line.wait(100_000)
    assert [(event.kind, event.started) for event in line.events] == [("stale", START + 2000)]


def test_a_class_that_is_taken_away_clears_its_incidents_and_rows_what_waits() -> None:
    line = Line(quick(shipped())).listen()
    running(line, 0, 10, breach=10.0)
    line.take(10_000, Change(line=spec_of(quick(shipped("other")))))
    assert line.told() == [(KEY, "anomaly", "fired"), (KEY, "anomaly", "cleared")]
    assert line.events[-1].summary == "no longer watched in class pumps: it belongs to other"
    assert line.state.outcomes[Outcome.IN_ROW] == 20
    assert line.state.streams() == 0


def test_a_class_that_learns_may_come_to_have_another_sensor() -> None:
    """Room for more assets, and a checkpoint, are of the new sensors in every stage."""
    line = Line(learning("load", "flow")).listen()
    running(line, 0, 3)
    line.take(3000, Change(line=spec_of(learning("load", "flow", "oil"))))
    for number in range(2 * FIRST_ROOM):
        line.send(4000, telemetry(f"p{number}", 4000, {**pump(50), "oil": 300.0}))
    restored = checkpoint.decode(checkpoint.encode(1, line.state)).state
    assert restored.classes[0].keys == line.state.classes[0].keys


def test_room_for_streams_is_hardly_more_than_they_need() -> None:
    """A fresh class has some, and what comes beyond it a quarter more: state that nobody uses is memory too."""
    each = ClassState.empty(shipped())
    each.held = np.zeros(FIRST_ROOM, np.bool_)
    for number in range(1_000):
        assert each.register(str(number)) == number
        room = len(each.align.next_tick)
        assert number < room <= max(2 * FIRST_ROOM, 1.25 * number + FIRST_ROOM)
        assert len(each.held) == len(each.alert.phase) == len(each.window.ring) == room


def test_a_description_is_the_same_after_encoding() -> None:
    spec = LineSpec(ROOT, 7, (shipped("one", assets="plant//a"), quick(shipped("two"))))
    assert LineSpec.decode(spec.encode()) == spec
    assert LineSpec.decode(spec.encode()).encode() == spec.encode()


def plain(result: StepResult) -> Any:
    """A result in a form that compares bit for bit, NaN with NaN."""
    batches = [
        (
            batch.asset_class,
            batch.streams,
            batch.time.tolist(),
            [getattr(batch.rows, f.name).tobytes() for f in fields(batch.rows)],
        )
        for batch in result.scores
    ]
    stretches = [
        (each.streams, each.start.tolist(), each.end.tolist(), each.status, each.regime)
        for each in result.stretches
    ]
    return batches, result.events, result.dead_letters, result.reply, stretches, result.drifts


class Patient(Balance):
    """Judges what lasts for six ticks as well, twenty after an asset was heard first."""

    lasting = Lasting(
        1, np.ones(2, np.float32), np.ones(2, np.float32), (Recent(6.0, np.eye(2, dtype=np.float32), 1.0),)
    )


@FAST
@given(journal=journals(), cut=st.integers(0, 30))
def test_from_a_checkpoint_at_any_record_the_line_goes_on_as_if_it_had_not_stopped(
    journal: list[tuple[int, Payload]], cut: int
) -> None:
    """The same rows, events, dead letters and replies, bit for bit; and the same books and checkpoint."""
    models: dict[str, Model] = {HASH: Patient()}
    records = [Record(number, START + time, payload) for number, (time, payload) in enumerate(journal, start=1)]
    straight = LineState.empty(LineSpec(ROOT, 100, ()))
    wanted = [plain(step(straight, record, models)) for record in records]

    stopped = LineState.empty(LineSpec(ROOT, 100, ()))
    found = [plain(step(stopped, record, models)) for record in records[:cut]]
    restored = checkpoint.decode(checkpoint.encode(cut, stopped))
    assert restored.position == cut
    found += [plain(step(restored.state, record, models)) for record in records[cut:]]
    assert found == wanted
    assert checkpoint.encode(99, restored.state) == checkpoint.encode(99, straight)
