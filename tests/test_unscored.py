"""What it means for incidents that nothing is scored: pauses that are wanted, and blindness that is not."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from monitor.decode import encode_status
from monitor.records import Change, Status
from monitor.regime import RegimeConfig
from tests.line_samples import START, Line, asked, in_regimes, pump, quick, shipped, spec_of, status, telemetry

if TYPE_CHECKING:
    from monitor.spec import ClassSpec

KEY = "plant//a"


def machine(spec: ClassSpec | None = None, **alert: Any) -> ClassSpec:
    """Off below 5 % of load; windows of five ticks, blind after a minute."""
    spec = in_regimes(quick(spec or shipped()), off="load < 5", high="load > 80")
    return replace(spec, alert=replace(spec.alert, **{"blind_after_ms": 60_000} | alert))


def running(line: Line, first: int, count: int, load: float = 50, *, breach: float = 0.0, **without: None) -> None:
    """So many seconds of one pump, a message each, without some of its sensors."""
    for second in range(first, first + count):
        values = {name: value for name, value in pump(load, breach=breach).items() if name not in without}
        line.send(1000 * second, telemetry("a", 1000 * second, values))


def states(line: Line) -> list[Status]:
    return [each for _, each, *_ in line.rows(KEY)]


def test_a_machine_that_is_off_raises_no_anomaly_however_far_from_the_model_it_is() -> None:
    line = Line(machine()).listen()
    running(line, 0, 10)
    running(line, 10, 30, load=0, breach=500)
    running(line, 40, 10)
    line.wait(55_000)
    assert line.told() == []
    expected = [Status.WARMING_UP] * 4 + [Status.SCORED] * 6 + [Status.REGIME] * 30
    assert states(line) == expected + [Status.WARMING_UP] * 4 + [Status.SCORED] * 6
    assert all(math.isnan(score) for _, each, score, _ in line.rows(KEY) if each is Status.REGIME)


def test_without_a_rule_for_it_the_same_machine_would_have_been_an_anomaly() -> None:
    line = Line(quick(shipped())).listen()
    running(line, 0, 10)
    running(line, 10, 30, load=0, breach=500)
    assert (KEY, "anomaly", "fired") in line.told()


def test_an_open_anomaly_outlasts_a_pause_and_clears_by_the_run_after_it() -> None:
    """Clearing takes five ticks of being well: three before the pause do not count, nor does the pause."""
    line = Line(machine(off_delay_ticks=5)).listen()
    running(line, 0, 10)
    running(line, 10, 10, breach=10)
    running(line, 20, 7)  # the fault leaves the five ticks that the model looks at
    running(line, 27, 100, load=0)
    assert line.told() == [(KEY, "anomaly", "fired")]
    running(line, 127, 20)
    assert line.told() == [(KEY, "anomaly", "fired"), (KEY, "anomaly", "cleared")]
    # Off until 126; the first window ends at 131, and five ticks after that it is well for long enough.
    assert line.events[-1].time == START + 136_000


def test_a_fault_that_is_there_after_the_pause_is_the_same_incident() -> None:
    line = Line(machine()).listen()
    running(line, 0, 10)
    running(line, 10, 10, breach=10)
    running(line, 20, 50, load=0)
    running(line, 70, 10, breach=10)
    assert line.told() == [(KEY, "anomaly", "fired")]


def test_what_was_pending_before_a_pause_does_not_fire_after_it() -> None:
    """Two of three rows above before, and one above after: that is one, of a run that has just begun."""
    line = Line(machine(k=2, n=3, on_delay_ticks=3)).listen()
    running(line, 0, 10)
    running(line, 10, 3, breach=10)  # above at 11 and 12: pending
    assert line.state.classes[0].alert.phase[0, 0] == 1
    running(line, 13, 20, load=0)
    assert line.state.classes[0].alert.phase[0, 0] == 0
    running(line, 33, 1, breach=11)
    running(line, 34, 15)
    assert line.told() == []


def test_blanking_behind_a_scored_regime_drops_nothing() -> None:
    """The step out of `high` is not scored for a moment; what was pending before is pending after it."""
    spec = machine(k=1, n=1, on_delay_ticks=12)
    (off, high) = spec.regime.regimes
    spec = replace(spec, regime=RegimeConfig((off, replace(high, blank_ticks=2))))
    line = Line(spec).listen()
    running(line, 0, 10)
    running(line, 10, 5, load=90, breach=10)  # above from 10 or 11 on
    running(line, 15, 10, breach=10)
    assert Status.BLANKED in states(line)
    assert line.told() == [(KEY, "anomaly", "fired")]
    assert START + 22_000 <= line.events[0].time <= START + 24_000


def test_every_regime_has_a_threshold_of_its_own() -> None:
    """A pump that is further from the law at high load: what is normal there is learned there, and only there."""
    line = Line(machine()).listen()
    for first in range(0, 240, 40):
        running(line, first, 20, breach=1.6)  # score 0.8
        running(line, first + 20, 20, load=90, breach=1.9)  # score 0.95
    by_regime: dict[int, list[float]] = {}
    for batch in line.batches:
        for regime, threshold in zip(batch.rows.regime.tolist(), batch.rows.threshold.tolist(), strict=True):
            by_regime.setdefault(regime, []).append(threshold)
        assert batch.regimes == ("off", "high", "running")
    learned = line.state.classes[0].threshold.histogram[0]  # (R, H)
    assert learned[0].sum() == 0
    assert learned[2].sum() == pytest.approx(120 - 4, rel=0.05)  # all but the four that warm up
    assert learned[1].sum() == pytest.approx(120, rel=0.05)
    # Steady scores leave half a bin as their spread, as in test_pipeline: 0.8 and 0.95 times 1.44.
    assert by_regime[2][-1] == pytest.approx(0.8 * 1.44, rel=0.12)
    assert by_regime[1][-1] == pytest.approx(0.95 * 1.44, rel=0.12)
    assert by_regime[1][-1] > by_regime[2][-1]


def test_a_regime_can_need_rows_of_its_own_number() -> None:
    spec = machine()
    spec = replace(spec, threshold=replace(spec.threshold, regime_rows=(20, 3, 20)))
    line = Line(spec).listen()
    running(line, 0, 15)
    running(line, 15, 5, load=90)
    assert line.state.classes[0].threshold.to_learn[0].tolist() == [20, 0, 20 - 11]


def test_accept_learns_anew_in_every_regime() -> None:
    line = Line(machine()).listen()
    running(line, 0, 30)
    line.take(30_000, asked("accept", asset=KEY))
    running(line, 30, 5)
    running(line, 35, 5, load=90)
    assert set(states(line)[-9:]) == {Status.RELEARNING}


def test_the_regime_stands_in_the_summary() -> None:
    line = Line(machine()).listen()
    running(line, 0, 10)
    running(line, 10, 10, load=90, breach=20)
    told = line.events[0].summary
    assert told.startswith("flow 20 l/min below what the other sensors explain (170 l/min, expected 190), ")
    assert ", in high; " in told


def test_an_asset_whose_readings_arrive_and_are_never_scored_is_blind() -> None:
    """Half of the sensors make no window of enough cells; told after a minute, over when it is scored again."""
    line = Line(quick(machine(), sensor_check=None, window=replace(machine().window, min_coverage=0.6))).listen()
    running(line, 0, 10)
    running(line, 10, 75, flow=None)
    line.wait(85_000)
    assert line.told() == [(KEY, "blind", "fired")]
    fired = line.events[0]
    assert fired.severity == "warning"
    assert START + 9_000 <= fired.started <= START + 14_000
    assert START + 69_000 <= fired.recorded <= START + 76_000
    assert "too few sensors" in fired.summary
    running(line, 85, 10)
    line.wait(96_000)
    assert line.told() == [(KEY, "blind", "fired"), (KEY, "blind", "cleared")]
    assert line.events[1].incident_id == fired.incident_id
    assert line.events[1].summary == "scored again"


def test_readings_that_never_make_a_tick_are_blindness_too() -> None:
    """A clock that runs ahead: everything is quarantined, and no row comes at all."""
    line = Line(machine()).listen()
    running(line, 0, 10)
    for second in range(10, 80):
        line.send(1000 * second, telemetry("a", 3_600_000 + 1000 * second, pump(50), arrival=1000 * second))
    assert line.told() == [(KEY, "blind", "fired")]
    assert "from the future" in line.events[0].summary


def test_off_is_no_blindness_and_neither_is_blanking() -> None:
    spec = in_regimes(quick(shipped()), blank_ticks=100, off="load < 5")
    line = Line(replace(spec, alert=replace(spec.alert, blind_after_ms=60_000))).listen()
    running(line, 0, 100, load=0)
    running(line, 100, 100)
    assert set(states(line)[100:200]) == {Status.BLANKED}
    running(line, 200, 20)
    assert line.told() == []
    assert states(line)[-1] is Status.SCORED


def test_silence_is_no_blindness_and_neither_is_the_warming_up_behind_it() -> None:
    line = Line(machine()).listen()
    running(line, 0, 3)
    line.wait(500_000)
    running(line, 500, 3)
    line.wait(510_000)
    assert [kind for _, kind, _ in line.told()] == ["stale", "stale"]


def test_a_goodbye_ends_blindness() -> None:
    line = Line(quick(machine(), sensor_check=None, window=replace(machine().window, min_coverage=0.6))).listen()
    running(line, 0, 75, flow=None)
    line.send(75_000, status("a", 75_000, encode_status(online=False, time=START, reason="shutdown")))
    line.wait(76_000)
    assert line.told() == [(KEY, "blind", "fired"), (KEY, "blind", "cleared")]
    assert line.events[1].summary == "said goodbye"
    line.wait(900_000)
    assert len(line.told()) == 2


def test_a_class_without_a_model_is_not_blind() -> None:
    line = Line(replace(machine(), model="", model_hash="")).listen()
    running(line, 0, 120)
    assert line.told() == []


def test_a_blind_asset_can_be_acknowledged_and_is_cleared_with_its_class() -> None:
    line = Line(quick(machine(), sensor_check=None, window=replace(machine().window, min_coverage=0.6))).listen()
    running(line, 0, 75, flow=None)
    assert line.take(75_000, asked("acknowledge", asset=KEY)).done
    line.take(75_500, Change(line=spec_of(quick(shipped("other")))))
    assert [transition for *_, transition in line.told()] == ["fired", "acknowledged", "cleared"]


def test_a_sensor_that_rests_with_its_machine_is_not_stuck() -> None:
    """One sensor stands still while the other moves: in running that is a fault, and off it is none."""
    spec = machine()
    assert spec.sensor_check is not None
    spec = replace(spec, sensor_check=replace(spec.sensor_check, stuck_ticks=(10, 10)))
    for load, kinds in ((0.0, []), (50.0, ["sensor_stuck"])):
        line = Line(spec).listen()
        running(line, 0, 10)
        for second in range(10, 60):
            line.send(1000 * second, telemetry("a", 1000 * second, {"load": load, "flow": float(second)}))
        assert [kind for _, kind, _ in line.told() if kind != "anomaly"] == kinds


def test_a_faulty_sensor_does_not_say_what_regime_it_is() -> None:
    """Out of its range the load is no measurement: nothing is known, and the machine goes on as it was."""
    spec = machine()
    assert spec.sensor_check is not None
    spec = replace(spec, sensor_check=replace(spec.sensor_check, lowest=(0.0, None)))
    line = Line(spec).listen()
    running(line, 0, 10)
    for second in range(10, 13):
        line.send(1000 * second, telemetry("a", 1000 * second, {"load": -40.0, "flow": 110.0}))
    line.wait(14_000)
    names = [batch.regimes[each] for batch in line.batches for each in batch.rows.regime.tolist()]
    assert names == ["running"] * 13


def test_rows_of_all_streams_at_once_are_those_of_each_alone() -> None:
    """Where the records are cut changes nothing: one message a record, or both in one."""
    lines = [Line(machine()).listen() for _ in range(2)]
    for second in range(40):
        load = 0 if 10 <= second < 20 else 50
        one = telemetry("a", 1000 * second, pump(load))
        other = telemetry("b", 1000 * second, pump(90 if second % 9 < 4 else 50))
        lines[0].send(1000 * second, one, other)
        lines[1].send(1000 * second, one)
        lines[1].send(1000 * second, other)
    for key in (KEY, "plant//b"):
        np.testing.assert_array_equal(lines[0].rows(key), lines[1].rows(key))
    states_ = [line.state.classes[0] for line in lines]
    for stage in ("regime", "threshold", "ledger", "unscored"):
        parts = [getattr(each, stage) for each in states_]
        for name in set(type(parts[0]).__slots__) - {"told", "told_at"}:  # what was told when, of what goes on
            np.testing.assert_array_equal(getattr(parts[0], name), getattr(parts[1], name), err_msg=name)
