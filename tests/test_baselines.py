"""models.baselines: each detector on made-up sensors, by what its formula gives when it is worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from models.baselines import BASELINES
from models.baselines.compare import fit, level
from models.baselines.ewma import Ewma
from models.baselines.features import RIDGE, TICKS, causal_means
from models.baselines.linear import Conditional, PcaResidual, TSquared
from models.baselines.naive import AlwaysAlarm, Chance
from models.scaling import fit_scaler
from models.split import Run
from tests.model_samples import runs

LENGTH = 30
SEED = 3


def steady(rows: list[list[float]], length: int = LENGTH) -> np.ndarray:
    """A window (B, T, C) that stands still at each of these rows: its mean is the row."""
    return np.repeat(np.array(rows, np.float32)[:, None], length, axis=1)


def pair(count: int = 4000) -> np.ndarray:
    """Windows of two sensors of deviation 1 that are correlated by 0.8."""
    random = np.random.default_rng(SEED)
    one = random.normal(size=count)
    other = 0.8 * one + 0.6 * random.normal(size=count)
    return steady(np.stack([one, other], axis=1).tolist())


def test_means_look_back_only_as_far_as_they_say_and_leave_out_what_is_missing() -> None:
    window = np.zeros((1, LENGTH, 2), np.float32)
    window[0, : LENGTH - TICKS] = 100  # too long ago
    window[0, -1] = TICKS
    window[0, -4:-1, 1] = np.nan
    np.testing.assert_allclose(causal_means(window), [[1.0, TICKS / (TICKS - 3)]])
    assert causal_means(np.full((1, 5, 1), np.nan, np.float32)).tolist() == [[0.0]]


def test_t_squared_is_the_mahalanobis_distance() -> None:
    """(1, 1) lies along the correlation: d² = 2 / 1.8. (1, -1) against it: d² = 2 / 0.2."""
    detector = TSquared()
    detector.fit(pair())
    along, against = detector.score(steady([[1, 1], [1, -1]]))
    assert along == pytest.approx(np.sqrt(2 / 1.8), rel=0.05)
    assert against == pytest.approx(np.sqrt(2 / 0.2), rel=0.05)


def test_each_sensor_from_the_others_is_the_error_of_the_best_prediction() -> None:
    """At (1, -1) the other sensor is expected at 0.8, with deviation 0.6: -1 is 3 of those away."""
    detector = Conditional()
    detector.fit(pair())
    usual, contradiction = detector.score(steady([[1, 0.8], [1, -1]]))
    assert contradiction == pytest.approx(1.8 / 0.6, rel=0.05)
    assert usual < 0.7  # 1 given 0.8: (1 - 0.64) / 0.6


def test_pca_leaves_what_is_across_the_first_component() -> None:
    """Along (1, 1) nothing is left; (1, -1) is left whole, with its length of sqrt(2)."""
    detector = PcaResidual()
    detector.fit(pair())
    along, against = detector.score(steady([[1, 1], [1, -1]]))
    assert along == pytest.approx(0, abs=0.1)
    assert against == pytest.approx(np.sqrt(2), rel=0.05)


def test_ewma_weighs_the_newest_most() -> None:
    """Windows of three ticks: weights 0.81, 0.9 and 1 of 2.71; normal averages have mean 0 and deviation 1."""
    detector = Ewma()
    detector.fit(steady([[-1.0], [1.0]], 3))
    (score,) = detector.score(np.array([[[0], [0], [2.71]]], np.float32))
    assert score == pytest.approx(1.0)
    (missing,) = detector.score(np.array([[[np.nan], [np.nan], [5]]], np.float32))
    assert missing == pytest.approx(5.0)


def test_the_naive_ones_know_nothing() -> None:
    windows = pair(1000)
    chance, always = Chance(), AlwaysAlarm()
    chance.fit(windows)
    always.fit(windows)
    assert abs(np.corrcoef(chance.score(windows), windows[:, 0, 0])[0, 1]) < 0.1
    assert set(always.score(windows).tolist()) == {2.0}


@pytest.mark.parametrize("name", BASELINES)
def test_what_is_normal_scores_below_one_and_a_fault_above(name: str) -> None:
    """By calibration 99.9 % of held-out normal windows are below 1; a sensor gone far away is seen by all."""
    normal = runs(12, 200, LENGTH)
    fitted = fit(name, normal, level(normal, own=False))
    unseen, faulty = runs(13, 200, LENGTH)[12], runs(14, 200, LENGTH)[13]
    far = Run(faulty.name, np.asarray(faulty.windows) + np.array([0, 0, 300, 0, 0], np.float32), faulty.tick)
    quiet, loud = fitted.score(unseen), fitted.score(far)
    if name == "always-alarm":
        assert quiet.min() > 1
    else:
        assert np.mean(quiet > 1) < 0.3
    if name not in {"random", "always-alarm"}:
        assert np.median(loud) > 2 * np.median(quiet[quiet > 0])


def test_a_run_of_its_own_level_is_scaled_by_its_own_rows() -> None:
    """The second run stands 1000 higher, and both become 0 ± 1."""
    low, high = runs(2, 200, LENGTH)
    high = Run("high", np.asarray(high.windows) + np.float32(1000), high.tick)
    scales = level([low, high], own=True)
    for run in (low, high):
        scaled = scales.of(run.name).scaled(np.asarray(run.windows))
        assert np.abs(scaled.mean(axis=(0, 1))).max() < 0.2
    pooled = level([low, high], own=False)
    assert pooled.of("high") is pooled.of(low.name)


def test_too_few_normal_windows_are_refused_with_the_numbers() -> None:
    few = runs(1, LENGTH + 9, LENGTH)
    with pytest.raises(ValueError, match="50 are needed"):
        fit("t2", few, level(few, own=False))


def test_sensors_that_repeat_each_other_are_no_obstacle() -> None:
    """Three times the same sensor: a covariance that cannot be inverted without the ridge."""
    one = np.random.default_rng(SEED).normal(size=(500, 1))
    detector = TSquared()
    detector.fit(steady(np.repeat(one, 3, axis=1).tolist()))
    (apart,) = detector.score(steady([[0, 0, 1]]))
    assert apart == pytest.approx(np.sqrt(2 / 3 / RIDGE), rel=0.02)  # (0, 0, 1) has 2/3 across the line
    assert fit_scaler(steady([[1.0], [1.0]])).scale > 0
