import numpy as np

from models.scaling import fit_scaler, network_input

NAN = np.float32(np.nan)


def test_mean_and_deviation_leave_missing_cells_out() -> None:
    """2 and 6 have mean 4 and deviation 2, whatever is missing beside them."""
    scaler = fit_scaler(np.array([[2], [NAN], [6]], np.float32))
    assert scaler.center.tolist() == [4]
    assert scaler.scale.tolist() == [2]
    assert scaler.scaled(np.array([[8], [NAN]], np.float32))[0].tolist() == [2]


def test_windows_scale_like_their_rows() -> None:
    """The axes before the sensors make no difference."""
    rows = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
    flat, cut = fit_scaler(rows), fit_scaler(rows.reshape(6, 10, 3))
    np.testing.assert_allclose(flat.scale, cut.scale, rtol=1e-6)
    np.testing.assert_allclose(flat.center, cut.center, rtol=1e-6)


def test_a_constant_sensor_counts_in_percent_of_its_value() -> None:
    """13.8 V that never moves: 1 % more is one scaled unit."""
    scaler = fit_scaler(np.full((100, 1), 13.8, np.float32))
    np.testing.assert_allclose(scaler.scaled(np.array([[13.938]], np.float32)), 1.0, atol=1e-4)


def test_a_sensor_without_values_is_left_as_it_is() -> None:
    scaler = fit_scaler(np.full((3, 1), NAN))
    assert (scaler.center.tolist(), scaler.scale.tolist()) == ([0], [1])


def test_a_small_deviation_around_a_large_mean_survives() -> None:
    """Deviations are summed around the mean, not as a difference of large squares."""
    values = (1e5 + np.tile([-1.0, 1.0], 500)).astype(np.float32)[:, None]
    np.testing.assert_allclose(fit_scaler(values).scale, [1.0], rtol=1e-3)


def test_scaling_back_gives_the_value() -> None:
    values = np.random.default_rng(1).uniform(500, 3000, size=(50, 4)).astype(np.float32)
    scaler = fit_scaler(values)
    np.testing.assert_allclose(scaler.unscaled(scaler.scaled(values)), values, rtol=1e-5)


def test_the_network_sees_zero_for_missing_and_nothing_wild() -> None:
    scaled = np.array([NAN, -1.5, 1e9, -np.inf], np.float32)
    assert network_input(scaled).tolist() == [0, -1.5, 10, -10]
    assert np.isnan(scaled[0])  # the input is not changed
