from __future__ import annotations

import numpy as np
import pytest

from models.residual import FLOOR, Calibration, Energies, Whole, calibrate, energies, judge, judged, stricter
from models.tails import tail

NAN = np.nan
Array = np.ndarray[tuple[int, ...], np.dtype[np.float32]]


def last(*values: float) -> Array:
    """One window of one sensor (1, T, 1) that ends with these values, which are all of it that is judged."""
    window = np.zeros((1, 3 * len(values), 1), np.float32)
    window[0, -len(values) :, 0] = values
    return window


def flat(value: float, sensors: int = 2) -> Array:
    return np.full((1, sensors), value, np.float32)


def alike(size: Array) -> Energies:
    """All four energies the same."""
    return Energies(size, size, size, size)


def ones(score: float = 1.0) -> Calibration:
    """What is usual is 1, of two sensors."""
    return Calibration(alike(np.ones(2, np.float32)), score)


@pytest.mark.parametrize(("window", "ticks"), [(60, 20), (30, 10), (8, 3), (1, 1)])
def test_the_last_third_of_a_window_is_judged(window: int, ticks: int) -> None:
    assert judged(window) == ticks


def test_what_comes_before_is_context() -> None:
    """However wrong the first two thirds are, they are not judged."""
    window = last(1, 1)
    window[0, :4] = 1000
    assert energies(window, np.zeros_like(window)).spread.tolist() == [[1]]


def test_the_four_energies_by_hand() -> None:
    """Values 4, 0, 4, 0 where 1 was predicted: residuals 3, -1, 3, -1; steps -4, 4, -4; mean value 2."""
    found = energies(last(4, 0, 4, 0), last(1, 1, 1, 1))
    assert found.spread.tolist() == [[pytest.approx(5**0.5)]]
    assert found.shift.tolist() == [[1]]
    assert found.step.tolist() == [[4]]
    assert found.level.tolist() == [[2]]


def test_missing_cells_do_not_count() -> None:
    """Of residuals 3, missing, 1, 1 the mean is 5/3; the only step is between the last two."""
    found = energies(last(3, NAN, 1, 1), last(0, 100, 0, 0))
    assert found.shift.tolist() == [[pytest.approx(5 / 3)]]
    assert found.spread.tolist() == [[pytest.approx((11 / 3) ** 0.5)]]
    assert found.step.tolist() == [[0]]


@pytest.mark.parametrize(("missing", "counts"), [(2, True), (3, False), (4, False)])
def test_a_sensor_needs_half_of_its_judged_cells(missing: int, counts: bool) -> None:
    window = last(1, 1, 1, 1)
    window[0, -missing:] = NAN
    found = energies(window, np.zeros_like(window))
    for energy in (found.spread, found.shift, found.step, found.level):
        assert np.isfinite(energy[0, 0]) == counts


def test_absurd_readings_stay_finite() -> None:
    found = energies(last(np.inf, -np.inf, 3e38), last(0, 0, 0))
    assert np.isfinite([found.spread, found.shift, found.step, found.level]).all()


def test_contribution_is_the_largest_calibrated_energy_and_the_score_their_maximum() -> None:
    """Sensor 0: max(6/2, 1/1, 1/4, 2/1)/1.5 = 2; sensor 1: max(1/1, 4/0.5, 1/4, 2/1)/1.5 = 16/3."""
    found = Energies(*(np.array([row], np.float32) for row in ([6, 1], [1, 4], [1, 1], [-2, 2])))
    usual = Energies(*(np.array(row, np.float32) for row in ([2, 1], [1, 0.5], [4, 4], [1, 1])))
    contribution, score = judge(found, Calibration(usual, 1.5))
    np.testing.assert_allclose(contribution, [[2, 16 / 3]], rtol=1e-6)
    np.testing.assert_allclose(score, [16 / 3], rtol=1e-6)


def test_many_small_deviations_together_are_seen_by_the_whole() -> None:
    """Levels 1 and -1 of sensors that always go together: T² = 2 / (1 - 0.9) = 20, far more than either says."""
    covariance = np.array([[1, 0.9], [0.9, 1]])
    whole = Whole(np.linalg.inv(covariance).astype(np.float32), 2.0, 0.5)
    zero = np.zeros((1, 2), np.float32)
    found = Energies(zero, zero, zero, np.array([[1, -1]], np.float32))
    contribution, score = judge(found, Calibration(ones().usual, 1.0, whole))
    assert contribution.tolist() == [[1, 1]]
    assert score.tolist() == [pytest.approx((20**0.5 / 2) ** 0.5)]


def test_where_sensors_decide_together_the_score_is_the_geometric_mean_with_the_whole() -> None:
    """The 4-norm of 1 and 1 is 2 ^ (1/4); the root of T² of independent sensors is sqrt(2)."""
    whole = Whole(np.eye(2, dtype=np.float32), 1.0, 1.0)
    _, score = judge(alike(flat(1)), Calibration(ones().usual, 1.0, whole, shared=True))
    assert score.tolist() == [pytest.approx((2**0.25 * 2**0.5) ** 0.5)]


def test_a_stricter_calibration_divides_every_score() -> None:
    """The sensors' and that of the whole, whatever its exponent, so that what is largest stays so."""
    precision = np.array([[2, 0.5], [0.5, 1]], np.float32)
    calibration = Calibration(alike(np.ones(2, np.float32)), 0.5, Whole(precision, 1.5, 0.4))
    random = np.random.default_rng(0)
    found = alike(np.abs(random.normal(size=(50, 2))).astype(np.float32))
    contribution, score = judge(found, calibration)
    less, lower = judge(found, stricter(calibration, 1.4))
    assert np.allclose(less, contribution / 1.4)
    assert np.allclose(lower, score / 1.4)
    assert 0 < np.count_nonzero(score > contribution.max(axis=1)) < 50, "either decides now and then"


def test_missing_sensors_leave_the_score_to_the_others() -> None:
    """Nothing is made up where nothing is there: no sensor, no score."""
    size = np.array([[NAN, 2], [NAN, NAN]], np.float32)
    whole = Whole(np.eye(2, dtype=np.float32), 1.0, 1.0)
    contribution, score = judge(alike(size), Calibration(ones().usual, 1.0, whole))
    assert score[0] == 2
    assert np.isnan(contribution[0, 0])
    assert np.isnan(score[1])


def test_the_whole_of_some_sensors_is_by_their_own_covariance() -> None:
    """Three sensors, a window of all and two windows of two each: T² by the inverse of just their covariance."""
    covariance = np.array([[2, 1, 0.5], [1, 3, 1], [0.5, 1, 1]])
    whole = Whole(np.linalg.inv(covariance).astype(np.float32), 1.0, 1.0)
    level = np.array([[3, -4, 5], [3, NAN, 5], [NAN, -4, 5]], np.float32)
    little = np.where(np.isnan(level), NAN, 1e-6).astype(np.float32)
    usual = Calibration(alike(np.full(3, 1e3, np.float32)), 1.0, whole)
    _, score = judge(Energies(little, little, little, level), usual)
    expected = []
    for row in level.astype(float):
        known = ~np.isnan(row)
        inverse = np.linalg.inv(covariance[np.ix_(known, known)])
        expected.append(np.sqrt(row[known] @ inverse @ row[known]))
    np.testing.assert_allclose(score, expected, rtol=1e-4)


def test_no_windows_give_no_scores() -> None:
    contribution, score = judge(alike(np.empty((0, 2), np.float32)), ones())
    assert contribution.shape == (0, 2)
    assert score.shape == (0,)


def normal(count: int, seed: int) -> Energies:
    """Independent windows of three sensors of very different sizes."""
    random = np.random.default_rng(seed)
    sizes = np.array([1, 50, 0.2])
    spread, shift, step = ((random.gamma(2, 1, (count, 3)) * sizes).astype(np.float32) for _ in range(3))
    return Energies(spread, shift, step, (random.normal(size=(count, 3)) * sizes).astype(np.float32))


def test_one_is_passed_by_one_normal_window_in_a_thousand() -> None:
    """By windows that did not calibrate, too: 20 of 20,000 are expected, and 3 Poisson deviations allowed."""
    calibration = calibrate(normal(20_000, 0), normal(500, 1).level)
    for seed in (0, 2):
        _, score = judge(normal(20_000, seed), calibration)
        assert abs(np.count_nonzero(score > 1.0) - 20) < 3 * 20**0.5


def test_few_windows_calibrate_so_that_new_ones_seldom_pass_one() -> None:
    """One new value in 101 is above the largest of 100: of windows of twelve sensors that would be 11 %."""
    random = np.random.default_rng(3)
    few, new = (alike(random.gamma(4, 1, (count, 12)).astype(np.float32)) for count in (100, 20_000))
    calibration = calibrate(few, np.empty((0, 12), np.float32))
    own = (new.spread > few.spread.max(axis=0)).any(axis=1)
    assert 0.08 < np.mean(own) < 0.15
    _, score = judge(new, calibration)
    assert np.mean(score > 1) < 0.015


def test_two_sensors_that_repeat_each_other_may_not_part() -> None:
    """Both at half of their deviation is usual, one at plus and one at minus that is not, by few windows too."""
    random = np.random.default_rng(4)

    def windows(count: int) -> Energies:
        level = random.normal(size=(count, 1)) + 0.05 * random.normal(size=(count, 2))
        same = np.ones((count, 2), np.float32)
        return Energies(same, same, same, level.astype(np.float32))

    whole = calibrate(windows(1000), windows(40).level).whole
    assert whole is not None
    together, apart = np.full(2, 0.5), np.array([0.5, -0.5])
    assert apart @ whole.precision @ apart > 100 * together @ whole.precision @ together


def test_no_sensor_drowns_the_others() -> None:
    """A sensor that is predicted 100 times worse is the largest as often as its equal, within chance."""
    random = np.random.default_rng(1)
    size = (random.gamma(2, 1, (20_000, 2)) * [1, 100]).astype(np.float32)
    contribution, _ = judge(alike(size), calibrate(alike(size), size[:100]))
    assert 0.45 < np.mean(contribution[:, 0] > contribution[:, 1]) < 0.55


def test_one_restless_asset_does_not_make_normal_what_the_others_never_do() -> None:
    """Two of three assets are alike: 1.0 is where their tail is, and most windows of the third are beyond."""
    quiet, restless = normal(6000, 0), normal(3000, 1)
    parts = [(a, 10 * b) for a, b in zip(vars_of(quiet), vars_of(restless), strict=True)]
    found = Energies(*(np.concatenate(pair) for pair in parts))
    asset = np.repeat([0, 1, 2], 3000)
    _, score = judge(found, calibrate(found, quiet.level[:500], asset))
    assert np.mean(score[:6000] > 1) < 0.003
    assert np.mean(score[6000:] > 1) > 0.5


def vars_of(found: Energies) -> list[Array]:
    return [found.spread, found.shift, found.step, found.level]


def test_a_perfectly_constant_sensor_is_held_to_the_floor() -> None:
    """No division by zero: residuals of 0 are taken to be usual up to FLOOR."""
    zero = np.zeros((100, 2), np.float32)
    calibration = calibrate(alike(zero), zero)
    np.testing.assert_allclose(calibration.usual.spread, FLOOR)
    assert calibration.score > 0
    _, score = judge(alike(zero), calibration)
    assert np.isfinite(score).all()


def test_a_sensor_that_was_never_there_does_not_stop_calibration() -> None:
    size = np.array([[1, NAN]] * 10, np.float32)
    calibration = calibrate(alike(size), size)
    np.testing.assert_allclose(calibration.usual.spread, [1, FLOOR])
    assert calibration.whole is None


def test_too_few_windows_for_a_covariance_leave_the_whole_out() -> None:
    found = normal(200, 0)
    assert calibrate(found, found.level[:5]).whole is None
    assert calibrate(found, found.level[:6]).whole is not None


def test_nothing_to_calibrate_by_is_an_error() -> None:
    nothing = np.full((3, 2), NAN, np.float32)
    with pytest.raises(ValueError, match="no held-out window"):
        calibrate(alike(nothing), nothing)


@pytest.mark.parametrize("count", [500, 5000])
def test_the_tail_is_right_on_average_where_it_is_known(count: int) -> None:
    """Of the exponential distribution it is ln 1000 = 6.9, also where fewer than a thousand values are there."""
    random = np.random.default_rng(0)
    tails = [tail(random.exponential(size=count).astype(np.float32), 0.999) for _ in range(200)]
    assert 6.5 < np.median(tails) < 7.2
