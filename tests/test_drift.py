"""Whether an asset has left what its model was trained on: the sums by hand, and what must not pass for drift."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from models.reference import HIGH_SCORE, learn_reference
from monitor import drift
from monitor.checkpoint import decode, encode
from monitor.drift import SCORE_USUAL, DriftConfig, DriftState, forget, push, verdict
from monitor.roll import roll
from tests.line_samples import START, Line, asked, pump, quick, shipped, telemetry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.records import Drift, Float32

MINUTE = 60_000
DAY = 1440  # rows of a minute
KEYS = ("plant//a", "plant//b")
# By a release before drift was looked for.
OLDER = Path(__file__).parent / "data" / "checkpoint-before-regimes"


def config(**changes: Any) -> DriftConfig:
    """Two sensors that reached 0 to 10 and -1 to 1, a row a minute, and the limits that ship."""
    plain = DriftConfig(
        sensors=("load", "flow"),
        units=("%", ""),
        own=False,
        lowest=(0.0, -1.0),
        highest=(10.0, 1.0),
        score=0.5,
        row_ms=MINUTE,
        horizon_rows=DAY,
        min_rows=DAY * -math.expm1(-0.25),
        share=0.2,
        score_share=0.5,
    )
    return replace(plain, **changes)


def fed(state: DriftState, by: DriftConfig, rows: Sequence[Sequence[float]], begin: int = 0) -> list[Drift]:
    """What is told of stream 0 over these rows, one a minute."""
    told = []
    for number, row in enumerate(np.array(rows, np.float32)):
        told += push(state, by, KEYS, np.array([0], np.int32), np.array([begin + number]), row[None])
    return told


def stands(state: DriftState, by: DriftConfig | None) -> str:
    return verdict(state, by, 0).stands


def test_nothing_is_said_before_six_hours_and_a_quarter_of_them_beyond_is_stale() -> None:
    """Every fourth load is 11, where training reached 10. The 360th row is the first that is judged."""
    by, state = config(), DriftState.empty(2, 1)
    rows = [[11.0 if minute % 4 == 3 else 5.0, 0.0, 0.3] for minute in range(360)]
    assert fed(state, by, rows[:-1]) == []
    assert stands(state, by) == "not yet"
    (told,) = fed(state, by, rows[-1:], begin=359)
    assert (told.asset, told.stale) == ("plant//a", True)
    assert told.why == ("load lies above all training data (10 %) in 25 % of the last 5.3 h of running",)
    assert verdict(state, by, 0).why == told.why


def test_the_edge_itself_was_reached() -> None:
    by, state = config(), DriftState.empty(2, 1)
    fed(state, by, [[10.0, -1.0, 0.5]] * 400)
    assert state.rows[0, :, [drift.BELOW, drift.ABOVE]].sum() == 0
    assert stands(state, by) == "fits"


def test_it_is_told_once_and_told_again_only_from_below_half_of_the_limit() -> None:
    """400 rows beyond, then within. With all rows beyond at first, half of 20 % are left after a known time.

    Of the weight w = 1440 (1 - exp(-400/1440)) beyond, w exp(-n/1440) is left after n rows, of all
    1440 (1 - exp(-(400 + n)/1440)). Their ratio falls to a tenth at exp(-n/1440) = 0.1 / (1 - 0.9 exp(-400/1440)).
    """
    by, state = config(), DriftState.empty(2, 1)
    first = fed(state, by, [[5.0, -2.0, 0.3]] * 400)
    assert [each.stale for each in first] == [True]
    assert first[0].why[0].startswith("flow lies below all training data (-1) in 100 %")
    inside = math.ceil(-1440 * math.log(0.1 / (0.1 + 0.9 * -math.expm1(-400 / 1440))))
    assert fed(state, by, [[5.0, 0.0, 0.3]] * (inside - 2), begin=400) == []
    back = fed(state, by, [[5.0, 0.0, 0.3]] * 4, begin=400 + inside - 2)
    assert [(each.stale, each.why) for each in back] == [(False, ())]


def test_scores_of_which_more_than_half_are_high_are_stale() -> None:
    """Of normal scores 5 % are above 0.5; here it is three in five."""
    assert pytest.approx(1 - HIGH_SCORE) == SCORE_USUAL
    by, state = config(), DriftState.empty(2, 1)
    fed(state, by, [[5.0, 0.0, 0.6 if minute % 5 < 3 else 0.4] for minute in range(400)])
    assert verdict(state, by, 0).why == (
        "the score lies above 0.5 in 60 % of the last 5.8 h of running (training 5 %)",
    )


def test_a_missing_value_counts_for_nothing() -> None:
    """The flow is there in every second row only, and beyond in each: that is 100 % of what there was."""
    by, state = config(), DriftState.empty(2, 1)
    fed(state, by, [[5.0, 3.0 if minute % 2 else math.nan, 0.3] for minute in range(1600)])
    (why,) = verdict(state, by, 0).why
    assert why.startswith("flow lies above all training data (1) in 100 %")


def test_streams_together_are_as_streams_alone() -> None:
    random = np.random.default_rng(5)
    rows = random.normal(size=(500, 2, 3)).astype(np.float32) * [8, 1, 1]
    by, together = config(), DriftState.empty(2, 2)
    for minute, both in enumerate(rows.astype(np.float32)):
        push(together, by, KEYS, np.array([0, 1], np.int32), np.full(2, minute), both)
    for stream in range(2):
        alone = DriftState.empty(2, 1)
        fed(alone, by, rows[:, stream].tolist())
        np.testing.assert_array_equal(alone.rows[0], together.rows[stream])


def test_what_is_forgotten_begins_anew_and_without_a_reference_nothing_is_known() -> None:
    by, state = config(), DriftState.empty(2, 1)
    fed(state, by, [[50.0, 0.0, 0.3]] * 400)
    assert stands(state, by) == "stale"
    assert stands(state, None) == "unknown"
    forget(state, 0)
    assert stands(state, by) == "not yet"


# What training notes.


def test_what_was_reached_is_the_highest_piece_and_as_much_more_as_the_third_lies_below() -> None:
    """Ten pieces of 200 rows about 0, 1, … 9, half a unit to either side: the highest is 9.5, the third 7.5."""
    rows = np.repeat(np.arange(10.0), 200) + np.tile([-0.5, 0.5], 1000)
    found = learn_reference([rows[:, None].astype(np.float32)], np.arange(101, dtype=np.float32))
    assert found.highest.tolist() == [11.5]
    assert found.lowest.tolist() == [-2.5]
    assert found.score == pytest.approx(95)


def test_a_spike_in_each_of_a_few_pieces_reaches_nothing() -> None:
    values = np.tile(np.array([0.0, 1.0], np.float32), 2000)[:, None]
    spiked = values.copy()
    spiked[[100, 900, 3000]] = 1e6
    ones = np.ones(1, np.float32)
    assert learn_reference([spiked], ones).highest.tolist() == learn_reference([values], ones).highest.tolist()
    assert learn_reference([values], ones).highest.tolist() == pytest.approx([1.05])  # a twentieth of its reach


def test_a_sensor_that_never_moved_and_one_without_values() -> None:
    """One per cent of its value to either side; 1 where it was always 0; everything where nothing is known."""
    rows = np.tile(np.array([50.0, 0.0, np.nan], np.float32), (300, 1))
    found = learn_reference([rows], np.ones(1, np.float32))
    np.testing.assert_allclose(found.lowest[:2], [49.5, -1.0])
    np.testing.assert_allclose(found.highest[:2], [50.5, 1.0])
    assert found.highest[2] > 1e38
    assert np.isfinite(found.highest).all()


# Wandering signals: x(t) = a x(t - 1) + noise, of variance 1, that forget within half an hour.

TAU = 30


def wandering(rows: int, columns: int, random: np.random.Generator) -> Float32:
    keep = math.exp(-1 / TAU)
    noise = random.normal(size=(rows, columns)) * math.sqrt(1 - keep**2)
    noise[0] /= math.sqrt(1 - keep**2)
    for row in range(1, rows):
        noise[row] += keep * noise[row - 1]
    return noise.astype(np.float32)


def judged(live: Float32, train: Float32) -> list[str]:
    """How S streams stand at the end of rows (N, S, C), by the limits that ship; they share a training (M, C)."""
    streams, sensors = live.shape[1:]
    found = learn_reference([train], np.linspace(0, 1, 101, dtype=np.float32))
    by = config(
        sensors=tuple(f"s{number}" for number in range(sensors)),
        units=("",) * sensors,
        lowest=tuple(found.lowest.tolist()),
        highest=tuple(found.highest.tolist()),
    )
    state = DriftState.empty(sensors, streams)
    all_of_them = np.arange(streams, dtype=np.int32)
    for minute, values in enumerate(live):
        rows = np.column_stack([values, np.full(streams, 0.3, np.float32)])
        push(state, by, [""] * streams, all_of_them, np.full(streams, minute), rows)
    return [verdict(state, by, stream).stands for stream in range(streams)]


def test_a_mean_that_moved_is_stale_and_one_that_did_not_is_not() -> None:
    """Trained on a week; then a day of 40 streams of 8 sensors; in half of them one moved by 4 deviations."""
    random = np.random.default_rng(11)
    train = wandering(7 * DAY, 8, random)
    live = wandering(DAY, 40 * 8, random).reshape(DAY, 40, 8)
    live[:, 20:, 3] += 4
    stands = judged(live, train)
    assert stands[:20] == ["fits"] * 20
    assert stands[20:] == ["stale"] * 20


def test_more_of_a_regime_that_training_has_seen_is_no_drift() -> None:
    """Trained with a hundredth of the time at full load; then a day of nothing else, and a day without any."""
    random = np.random.default_rng(12)
    train = wandering(7 * DAY, 2, random)
    train[np.arange(7 * DAY) // 100 % 100 == 50] += 20  # 100 minutes each
    live = wandering(DAY, 2 * 2, random).reshape(DAY, 2, 2)
    live[:, 0] += 20
    assert judged(live, train) == ["fits", "fits"]


# In the line.


def watched(**changes: Any) -> Line:
    """Pumps whose model saw loads up to 60; a minute of their rows is enough to judge, and two are remembered."""
    by = config(highest=(60.0, 500.0), row_ms=1000, horizon_rows=120.0, min_rows=40.0, **changes)
    return Line(quick(shipped(), drift=by)).listen()


def run(line: Line, seconds: range, load: float, *, breach: float = 0.0) -> None:
    for second in seconds:
        line.send(1000 * second, telemetry("a", 1000 * second, pump(load + second % 3, breach=breach)))


def drifts(line: Line) -> list[Drift]:
    return [each for result in line.results for each in result.drifts]


def row(line: Line) -> dict[str, Any]:
    [found] = roll(line.state, START)
    drift_of: dict[str, Any] = found["drift"]
    return drift_of


def test_an_asset_that_works_harder_than_in_training_is_told_once_and_raises_no_incident() -> None:
    line = watched()
    run(line, range(60), 50)
    assert row(line)["stands"] == "fits"
    run(line, range(60, 150), 90)
    assert [(each.asset, each.stale) for each in drifts(line)] == [("plant//a", True)]
    assert row(line)["stands"] == "stale"
    assert row(line)["why"][0].startswith("load lies above all training data (60 %) in")
    assert line.told() == []


def test_rows_under_an_incident_are_not_counted() -> None:
    """A breach is a fault: what the load is meanwhile says nothing of what is usual."""
    line = watched()
    run(line, range(60), 50)
    run(line, range(60, 180), 90, breach=50)
    assert line.told() == [("plant//a", "anomaly", "fired")]
    assert line.state.classes[0].drift.rows[0, 0, drift.ABOVE] <= 1  # of the row before the one that fired
    assert row(line)["stands"] == "fits"


def test_rows_under_maintenance_are_not_counted() -> None:
    line = watched()
    run(line, range(3), 50)
    line.take(3_000, asked("maintenance", asset="plant//a", until=START + 10_000_000))
    run(line, range(4, 60), 90)
    assert line.state.classes[0].drift.rows.sum() == 0


def test_accept_begins_anew() -> None:
    line = watched()
    run(line, range(100), 90)
    assert row(line)["stands"] == "stale"
    line.take(100_000, asked("accept", asset="plant//a"))
    assert row(line) == {"stands": "not yet", "why": [], "hours": 0.0}


def test_a_checkpoint_keeps_it_and_one_without_it_is_read() -> None:
    line = watched()
    run(line, range(100), 90)
    before = line.state.classes[0].drift
    after = decode(encode(1, line.state)).state.classes[0].drift
    np.testing.assert_array_equal(after.rows[0], before.rows[0])
    assert (after.stale[0], after.looked[0]) == (True, before.looked[0])
    assert not decode(OLDER.read_bytes()).state.classes[0].drift.rows.any()


def test_a_class_whose_model_says_nothing_of_its_data_is_not_judged() -> None:
    assert shipped().drift is None
    line = Line(quick(shipped())).listen()
    run(line, range(30), 90)
    assert row(line)["stands"] == "unknown"
