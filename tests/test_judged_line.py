"""monitor.commands.judged_line: recorded runs through the daemon's line, side by side as one by one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.events import Incident
from monitor.commands import judged_line
from monitor.commands.judged_line import MODELS as SCORES_AS_THEY_ARE
from monitor.commands.judged_line import Outcome, score_line, through
from monitor.records import Status
from monitor.spec import LineSpec
from simulator.recording import Recording
from tests.line_samples import MODELS, ROOT, SENSORS, Balance, in_regimes, shipped

NAN = float("nan")


def run(name: str, rows: int, *, faulty: slice = slice(0), began: int = 0) -> Recording:
    """A pump at 1 Hz whose flow falls away from what its load says."""
    load = 50 + 10 * np.sin(np.arange(rows) / 7)
    flow = 2 * load + 10
    flow[faulty] -= 10
    time = began + 1000 * np.arange(rows, dtype=np.int64)
    return Recording(name, SENSORS, time, np.stack([load, flow], axis=1).astype(np.float32))


def line(**changes: object) -> LineSpec:
    spec = shipped()
    return LineSpec(ROOT, 100, (replace(spec, sensor_check=None, **changes),))  # type: ignore[arg-type]


def same(one: Outcome, other: Outcome) -> None:
    for name in one.rows.__slots__:
        np.testing.assert_array_equal(getattr(one.rows, name), getattr(other.rows, name))
    assert one.incidents == other.incidents


RUNS = [
    run("a", 120, faulty=slice(60, 90), began=123_456_789_500),
    run("b", 200),
    run("c", 80, faulty=slice(10, 40), began=5),
]


def test_rows_and_incidents_by_the_runs_own_ticks() -> None:
    """A window of 20 is full at tick 19, the fault begins at tick 60.

    Of the five ticks that `Balance` averages the first faulty one makes a score of 1, the second passes it. Three
    of five rows above, then five ticks pending.
    """
    (found,) = through(RUNS[:1], line(), MODELS)
    assert found.rows.tick.tolist() == list(range(120))
    scored = found.rows.status == Status.SCORED
    assert np.flatnonzero(scored).tolist() == list(range(19, 120))
    assert found.rows.score[59] == pytest.approx(0, abs=1e-5)
    assert found.rows.score[70] == pytest.approx(10 / Balance().tolerance)
    (incident,) = found.incidents
    assert incident.kind == "anomaly"
    # Above 1 from tick 61 on, so that three are at 63; fired when that has held for five ticks more.
    assert incident.fired == 68


def test_side_by_side_is_as_one_by_one() -> None:
    """Whatever the others do, and whenever they were recorded."""
    for together, alone in zip(through(RUNS, line(), MODELS), RUNS, strict=True):
        same(together, through([alone], line(), MODELS)[0])


def test_how_many_ticks_come_at_once_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = through(RUNS, line(), MODELS)
    monkeypatch.setattr(judged_line, "SLICE", 1)
    for one, other in zip(through(RUNS, line(), MODELS), usual, strict=True):
        same(one, other)


def test_the_end_of_a_run_is_no_incident() -> None:
    """A short run says goodbye; sixty seconds of silence behind it are nobody's fault."""
    found = through([run("short", 30), run("long", 300)], line(), MODELS)
    assert [each.incidents for each in found] == [(), ()]


def test_scores_through_their_own_line_are_judged_as_in_the_first() -> None:
    """The same thresholds, and the same incidents."""
    spec = line()
    first = through(RUNS, spec, MODELS)
    recordings = []
    for place, each in enumerate(first):
        there = ~np.isnan(each.rows.score)
        time = each.rows.tick[there] * 1000
        recordings.append(Recording(f"s{place}", ("score",), time, each.rows.score[there][:, None]))
    second = through(recordings, score_line(spec), SCORES_AS_THEY_ARE)
    for one, other in zip(first, second, strict=True):
        there = ~np.isnan(one.rows.score)
        offset = int(one.rows.tick[there][0])
        np.testing.assert_array_equal(one.rows.threshold[there], other.rows.threshold)
        assert [(each.fired, each.cleared) for each in one.incidents] == [
            (each.fired + offset, each.cleared and each.cleared + offset) for each in other.incidents
        ]


def test_regimes_and_missing_cells_keep_their_status() -> None:
    """What is off is not scored, and is said to be so."""
    off = run("off", 100)
    off.values[50:60] = [0, 10]
    off.values[80] = NAN
    (found,) = through([off], LineSpec(ROOT, 100, (in_regimes(line().classes[0], off="load < 5"),)), MODELS)
    status = dict(zip(found.rows.tick.tolist(), found.rows.status.tolist(), strict=True))
    assert {status[tick] for tick in range(50, 60)} == {Status.REGIME}
    assert status[49] == Status.SCORED
    assert isinstance(found.incidents, tuple)
    assert all(isinstance(each, Incident) for each in found.incidents)
