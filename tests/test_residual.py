import numpy as np
import pytest

from models.residual import FLOOR, Calibration, Energies, calibrate, energies, judge

NAN = np.nan


def column(*values: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """One window of one sensor (1, T, 1)."""
    return np.array(values, np.float32)[None, :, None]


def test_spread_and_shift_by_hand() -> None:
    """Residuals 3, -1, 3, -1: mean square 5, mean 1."""
    found = energies(column(4, 0, 4, 0), column(1, 1, 1, 1))
    assert found.spread.tolist() == [[pytest.approx(5**0.5)]]
    assert found.shift.tolist() == [[1]]


def test_missing_cells_do_not_count() -> None:
    """Of residuals 3, missing, 1, the mean is 2; what the network made of the missing cell is no error."""
    found = energies(column(3, NAN, 1), column(0, 100, 0))
    assert found.shift.tolist() == [[2]]
    assert found.spread.tolist() == [[pytest.approx(5**0.5)]]


@pytest.mark.parametrize(("missing", "counts"), [(2, True), (3, False), (4, False)])
def test_a_sensor_needs_half_of_its_cells(missing: int, counts: bool) -> None:
    window = np.ones((1, 4, 1), np.float32)
    window[0, :missing] = NAN
    found = energies(window, np.zeros_like(window))
    assert np.isfinite(found.spread[0, 0]) == counts
    assert np.isfinite(found.shift[0, 0]) == counts


def test_absurd_readings_stay_finite() -> None:
    found = energies(column(np.inf, -np.inf, 3e38), column(0, 0, 0))
    assert np.isfinite(found.spread).all()


def test_contribution_is_the_larger_calibrated_residual_and_the_score_their_maximum() -> None:
    """Sensor 0: max(6/2, 1/1)/1.5 = 2; sensor 1: max(1/1, 4/0.5)/1.5 = 16/3."""
    found = Energies(np.array([[6, 1]], np.float32), np.array([[1, 4]], np.float32))
    calibration = Calibration(np.array([2, 1], np.float32), np.array([1, 0.5], np.float32), 1.5)
    contribution, score = judge(found, calibration)
    np.testing.assert_allclose(contribution, [[2, 16 / 3]], rtol=1e-6)
    np.testing.assert_allclose(score, [16 / 3], rtol=1e-6)


def test_missing_sensors_leave_the_score_to_the_others() -> None:
    """Nothing is made up where nothing is there: no sensor, no score."""
    spread = np.array([[NAN, 2], [NAN, NAN]], np.float32)
    contribution, score = judge(Energies(spread, spread), Calibration(np.ones(2, "f4"), np.ones(2, "f4"), 1.0))
    assert score[0] == 2
    assert np.isnan(contribution[0, 0])
    assert np.isnan(score[1])


def test_no_windows_give_no_scores() -> None:
    none = np.empty((0, 2), np.float32)
    contribution, score = judge(Energies(none, none), Calibration(np.ones(2, "f4"), np.ones(2, "f4"), 1.0))
    assert contribution.shape == (0, 2)
    assert score.shape == (0,)


def test_one_is_the_quantile_of_normal_scores() -> None:
    """Of 10,000 normal windows ten score above 1.0, whatever the sensors' sizes."""
    random = np.random.default_rng(0)
    normal = Energies(
        (random.gamma(2, 1, (10_000, 3)) * [1, 50, 0.2]).astype(np.float32),
        (random.gamma(2, 1, (10_000, 3)) * [0.1, 5, 0.3]).astype(np.float32),
    )
    _, score = judge(normal, calibrate(normal))
    assert np.count_nonzero(score > 1.0) == 10


def test_no_sensor_drowns_the_others() -> None:
    """A sensor that is reconstructed 100 times worse is the largest as often as its equal, within chance."""
    random = np.random.default_rng(1)
    size = (random.gamma(2, 1, (20_000, 2)) * [1, 100]).astype(np.float32)
    contribution, _ = judge(Energies(size, size), calibrate(Energies(size, size)))
    assert 0.45 < np.mean(contribution[:, 0] > contribution[:, 1]) < 0.55


def test_a_perfectly_constant_sensor_is_held_to_the_floor() -> None:
    """No division by zero: residuals of 0 are taken to be usual up to FLOOR."""
    zero = np.zeros((100, 2), np.float32)
    calibration = calibrate(Energies(zero, zero))
    np.testing.assert_allclose(calibration.spread, FLOOR)
    assert calibration.score > 0


def test_a_sensor_that_was_never_there_does_not_stop_calibration() -> None:
    spread = np.array([[1, NAN]] * 10, np.float32)
    calibration = calibrate(Energies(spread, spread))
    np.testing.assert_allclose(calibration.spread, [1, FLOOR])


def test_nothing_to_calibrate_by_is_an_error() -> None:
    nothing = np.full((3, 2), NAN, np.float32)
    with pytest.raises(ValueError, match="no held-out window"):
        calibrate(Energies(nothing, nothing))
