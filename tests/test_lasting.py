"""Deviations that last: means, what is usual of an asset, T² of what is left, and its calibration."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import lasting
from models.lasting import (
    FORGET,
    LATEST,
    LEAST_BOUND,
    LIMIT,
    READY,
    RECENT,
    SETTLE,
    STILL,
    Lasting,
    LastingState,
    NormalRun,
    Recent,
    calibrate_lasting,
    push,
)
from tests.line_samples import FAST

Array = np.ndarray[tuple[int, ...], np.dtype[np.float32]]

WINDOW = 10
SETTLED = int(SETTLE * WINDOW)
SHORT, LONG = RECENT
TWICE = int(2 * SHORT * WINDOW)  # ticks after which the shorter mean has 86 % of what changed


def usual(sensors: int = 1, *, bound: float = 1.0, precision: Array | None = None, both: bool = False) -> Lasting:
    """Deviations of 1 over the shorter horizon, or over both, are usual, and a root of T² of 1 is a score of 1."""
    precision = np.eye(sensors, dtype=np.float32) if precision is None else precision
    one = np.ones(sensors, np.float32)
    recent = tuple(Recent(windows, precision, 1.0) for windows in (RECENT if both else RECENT[:1]))
    return Lasting(WINDOW, one, one * np.float32(bound), recent)


class Asset:
    """One stream of C sensors, which is told row by row."""

    def __init__(self, given: Lasting) -> None:
        self.lasting = given
        self.state = LastingState.empty(len(given.unit), 1)
        self.tick = 0

    def tell(self, *rows: float | tuple[float, ...], every: int = 1, frozen: bool = False) -> tuple[Array, float]:
        """Contribution (C,) and score after the last of these rows."""
        for row in rows:
            self.tick += every
            residual = np.atleast_2d(np.array(row, np.float32))
            stream, tick = np.zeros(1, np.int32), np.array([self.tick])
            found = push(self.state, self.lasting, stream, tick, residual, frozen=np.array([frozen]))
        return found[0][0], float(found[1][0])


def by_hand(rows: list[float]) -> float:
    """The score of one sensor with the unit 1 and no bound after rows a tick apart, in plain arithmetic."""
    keep = [math.exp(-1 / (windows * WINDOW)) for windows in (SHORT, LATEST)]
    sums, weights = [0.0, 0.0], [0.0, 0.0]
    usual_, learned, score = 0.0, 0.0, 0.0
    for row in rows:
        sums = [k * total + (1 - k) * row for k, total in zip(keep, sums, strict=True)]
        weights = [k * weight + (1 - k) for k, weight in zip(keep, weights, strict=True)]
        if learned >= SETTLED:
            recent, latest = (total / weight - usual_ for total, weight in zip(sums, weights, strict=True))
            score = abs(recent) * min(max(STILL * latest / recent, 0), 1)
        learned += 1
        usual_ += (row - usual_) / learned
    return score


def test_the_score_is_that_of_weighted_means_against_the_mean_of_all() -> None:
    random = np.random.default_rng(0)
    rows = random.normal(0.2, 0.5, SETTLED + TWICE).clip(-LIMIT, LIMIT).tolist()
    rows[-TWICE:] = [each + 1 for each in rows[-TWICE:]]
    _, score = Asset(usual(bound=9)).tell(*rows)
    assert score == pytest.approx(by_hand(np.clip(rows, -LIMIT, LIMIT).tolist()), rel=1e-4)
    assert score > 0.3


def test_nothing_is_judged_until_the_asset_has_a_usual() -> None:
    asset = Asset(usual())
    contribution, score = asset.tell(*[0.5] * SETTLED)
    assert math.isnan(score)
    assert np.isnan(contribution).all()
    contribution, score = asset.tell(0.5)
    assert score == pytest.approx(0, abs=1e-6)
    assert contribution == pytest.approx(0, abs=1e-6)


def test_an_asset_may_differ_from_others_but_not_by_more_than_assets_do() -> None:
    """It always reads 0.8 too high: nothing where the bound is 1, and what is above it where the bound is 0.5."""
    assert Asset(usual(bound=1.0)).tell(*[0.8] * (SETTLED + 1))[1] == pytest.approx(0, abs=1e-5)
    assert Asset(usual(bound=0.5)).tell(*[0.8] * (SETTLED + 1))[1] == pytest.approx(0.3, abs=1e-5)


def test_what_is_frozen_does_not_learn() -> None:
    """The fault stays as large as it is for as long as its incident is open."""
    asset = Asset(usual())
    asset.tell(*[0.0] * SETTLED)
    for _ in range(3):
        _, score = asset.tell(*[0.6] * 10 * SETTLED, frozen=True)
        assert score == pytest.approx(0.6, abs=1e-4)
    assert asset.tell(*[0.6] * 20 * SETTLED)[1] < 0.1


def test_what_is_mended_is_over_long_before_the_mean_is_back() -> None:
    """After three windows the latest mean has exp(-3) of what was, and the recent one still half of it."""
    asset = Asset(usual())
    asset.tell(*[0.0] * SETTLED)
    _, score = asset.tell(*[1.0] * TWICE, frozen=True)
    assert score > 0.8
    _, score = asset.tell(*[0.0] * 3 * WINDOW, frozen=True)
    assert asset.state.mean[0, 1, 0] > 0.5
    assert score < 0.07


def test_what_is_mended_is_over_also_under_noise() -> None:
    """One of ten sensors was off for long: its longest mean is over when the next shorter one is back."""
    random = np.random.default_rng(6)
    found, _ = calibrate_lasting([noise(random, 6000, 0.3, 10) for _ in range(12)], WINDOW)
    assert found is not None
    assert len(found.recent) == len(RECENT)
    run = noise(random, 6000, 0.3, 10)
    run.residual[3000:4500, 4] += 2
    scores = scores_of(found, run, range(3010, 4600))
    assert np.nanmax(scores[3000:4500]) > 3
    back = int(SHORT * math.log(STILL * np.nanmax(scores)) * WINDOW)  # 15 windows
    after = scores[4500 + back + 5 * WINDOW :]
    assert np.mean(after > 1) < 0.05  # noise has a part of that direction
    assert np.nanmax(after) < 1.5


def test_what_is_too_small_for_minutes_shows_in_the_longer_mean() -> None:
    """Half of what is usual over the shorter horizon is twice what is usual over the longer one."""
    both = usual(both=True, bound=9)
    asset = Asset(replace(both, recent=(both.recent[0], replace(both.recent[1], score=0.25))))
    asset.tell(*[0.0] * 20 * SETTLED)
    assert asset.tell(*[0.5] * int(SHORT * WINDOW), frozen=True)[1] < 1
    _, score = asset.tell(*[0.5] * int(3 * LONG * WINDOW), frozen=True)
    assert score == pytest.approx(2 * (1 - math.exp(-(SHORT + 3 * LONG) / LONG)), rel=1e-3)


def test_one_absurd_row_says_no_more_than_the_limit() -> None:
    asset, other = Asset(usual()), Asset(usual())
    asset.tell(*[0.0] * SETTLED)
    other.tell(*[0.0] * SETTLED)
    assert asset.tell(1e9) == other.tell(LIMIT)


def test_rows_count_by_the_ticks_they_stand_for() -> None:
    """A row in two says what two in two do, where they are the same."""
    random = np.random.default_rng(1)
    each = random.normal(0, 0.3, SETTLED)
    dense, sparse = Asset(usual()), Asset(usual())
    dense.tell(*np.repeat(each, 2).tolist())
    sparse.tell(*each.tolist(), every=2)
    np.testing.assert_allclose(sparse.state.mean[0, 1:], dense.state.mean[0, 1:], atol=0.02)
    assert sparse.state.learned[0, 0] == pytest.approx(dense.state.learned[0, 0], abs=2)
    assert sparse.state.usual[0, 0] == pytest.approx(dense.state.usual[0, 0], abs=1e-3)


def test_after_a_pause_it_takes_rows_again_before_anything_is_judged() -> None:
    asset = Asset(usual())
    asset.tell(*[0.0] * SETTLED)
    asset.tick += 1000 * WINDOW
    needed = next(n for n in range(1, 1000) if not math.isnan(asset.tell(0.0)[1]))
    horizon = SHORT * WINDOW
    ticks = -horizon * math.log(1 - READY)  # by then a mean has that weight; the first row counts for a window
    assert ticks - WINDOW < needed < ticks + 2
    assert asset.state.learned[0, 0] > SETTLED  # what is usual is still known


def test_the_usual_forgets_in_the_end() -> None:
    asset = Asset(usual())
    asset.tell(*[0.0] * TWICE)
    asset.state.learned[:] = FORGET * WINDOW
    asset.tell(1e-3)
    assert asset.state.usual[0, 0] == pytest.approx(1e-3 / (FORGET * WINDOW), rel=1e-2)


def test_what_is_accepted_becomes_the_usual() -> None:
    asset = Asset(usual(bound=0.8))
    asset.tell(*[0.0] * SETTLED)
    assert asset.tell(*[0.7] * TWICE, frozen=True)[1] > 0.5
    lasting.forget(asset.state, 0)
    assert math.isnan(asset.tell(0.7)[1])
    assert asset.tell(*[0.7] * SETTLED)[1] == pytest.approx(0, abs=1e-4)


@FAST
@given(st.integers(0, 1000), st.integers(2, 6), st.data())
def test_a_sensor_that_is_missing_leaves_the_t2_of_the_others(
    seed: int, sensors: int, data: st.DataObject
) -> None:
    """T² by the covariance of those that are there, as a book has it; the rest adds nothing."""
    random = np.random.default_rng(seed)
    root = random.normal(size=(sensors, 2 * sensors))
    covariance = root @ root.T + np.eye(sensors)
    given_ = usual(sensors, bound=9, precision=np.linalg.inv(covariance).astype(np.float32))
    missing = data.draw(st.sets(st.integers(0, sensors - 1), max_size=(sensors - 1) // 2))
    there = [sensor for sensor in range(sensors) if sensor not in missing]
    row = random.normal(size=sensors).clip(-LIMIT, LIMIT)
    row[list(missing)] = np.nan
    asset = Asset(given_)
    asset.state.mean[:], asset.state.weight[..., there] = np.nan_to_num(row), 1
    asset.state.learned[:] = SETTLED  # of a usual of 0
    contribution, score = asset.tell(tuple(row), frozen=True)
    square = row[there] @ np.linalg.inv(covariance[np.ix_(there, there)]) @ row[there]
    assert score == pytest.approx(math.sqrt(square), rel=1e-3, abs=1e-4)
    assert np.isnan(contribution[list(missing)]).all()
    assert (contribution[there] <= score * 1.001 + 1e-6).all()


def test_without_half_of_the_sensors_there_is_no_score() -> None:
    asset = Asset(usual(4))
    _, score = asset.tell(*[(0.0, 0.0, np.nan, np.nan)] * SETTLED)
    assert math.isnan(score)


def test_the_sensor_that_contradicts_the_others_is_named() -> None:
    """Two sensors that go together: both up is half as bad as one up, and that one is to blame for it."""
    covariance = np.array([[1, 0.9, 0], [0.9, 1, 0], [0, 0, 1]])
    given_ = usual(3, bound=9, precision=np.linalg.inv(covariance).astype(np.float32))
    together, alone = Asset(given_), Asset(given_)
    for asset in (together, alone):
        asset.tell(*[(0.0, 0.0, 0.0)] * SETTLED)
    _, both = together.tell(*[(1.0, 1.0, 0.0)] * 600, frozen=True)
    contribution, one = alone.tell(*[(0.0, 1.0, 0.0)] * 600, frozen=True)
    assert one > 2 * both
    assert contribution.argmax() == 1
    assert contribution[2] == pytest.approx(0, abs=1e-5)


def noise(random: np.random.Generator, ticks: int, level: float, sensors: int = 3) -> NormalRun:
    """Sensors with noise on them, and what this asset always differs by."""
    values = random.normal(0, 1, (ticks, sensors)) + level * random.normal(size=sensors)
    return NormalRun(np.arange(ticks), values.astype(np.float32))


def scores_of(given_: Lasting, run: NormalRun, open_: range = range(0)) -> Array:
    """The scores (N,) of a run, of which an incident is open at some ticks."""
    state, stream = LastingState.empty(run.residual.shape[1], 1), np.zeros(1, np.int32)
    told = zip(run.tick[:, None], run.residual[:, None], strict=True)
    return np.concatenate(
        [push(state, given_, stream, tick, row, frozen=np.array([tick[0] in open_]))[1] for tick, row in told]
    )


def test_normal_assets_stay_below_one_and_a_shift_hidden_in_the_noise_does_not() -> None:
    """Half a deviation, where a window's mean of ten rows has a third of it by chance."""
    random = np.random.default_rng(2)
    found, why = calibrate_lasting([noise(random, 3000, 0.5) for _ in range(12)], WINDOW)
    assert found is not None
    assert "12 held-out runs" in why
    quiet = [np.nanmax(scores_of(found, noise(random, 3000, 0.5))) for _ in range(12)]
    assert np.mean(np.array(quiet) > 1) <= 2 / 12  # 60 times the quantile's share of rows that stand for 30 ticks
    for _ in range(12):
        run = noise(random, 1000, 0.5)
        run.residual[800:, 1] += 0.9
        scores = scores_of(found, run)
        assert np.nanmax(scores[800:]) > 1


def test_an_asset_of_its_own_kind_is_not_taken_to_be_faulty() -> None:
    """Two of three differ from the others by more than half of what moves within them."""
    random = np.random.default_rng(3)
    found, _ = calibrate_lasting([noise(random, 3000, 0.6) for _ in range(12)], WINDOW)
    assert found is not None
    assert found.bound.min() == LEAST_BOUND
    above = [np.nanmean(scores_of(found, noise(random, 3000, 0.6)) > 1) for _ in range(8)]
    assert np.mean(above) < 0.01


@pytest.mark.parametrize(
    ("runs", "window", "why"),
    [
        ([noise(np.random.default_rng(0), 300, 0)], WINDOW, "the first 200 ticks of each do not count"),
        ([noise(np.random.default_rng(0), 5000, 0)], 1, "single rows do not last"),
        ([], WINDOW, "single rows do not last"),
        ([NormalRun(np.arange(5), np.zeros((5, 101), np.float32))], WINDOW, "101 sensors are more than 100"),
    ],
)
def test_too_little_to_calibrate_by_is_said(runs: list[NormalRun], window: int, why: str) -> None:
    found, words = calibrate_lasting(runs, window)
    assert found is None
    assert why in words


def test_one_long_run_is_halved_in_time() -> None:
    found, why = calibrate_lasting([noise(np.random.default_rng(4), 6000, 0.5)], WINDOW)
    assert found is not None
    assert "1 held-out runs" in why


def test_sensors_that_never_err_or_never_come_divide_nothing_by_zero() -> None:
    run = noise(np.random.default_rng(5), 6000, 0)
    run.residual[:, 0], run.residual[:, 1] = 0, np.nan
    found, _ = calibrate_lasting([run], WINDOW)
    assert found is not None
    assert all(np.isfinite(each.precision).all() and np.isfinite(each.score) for each in found.recent)
    assert math.isfinite(np.nanmax(scores_of(found, run)))
