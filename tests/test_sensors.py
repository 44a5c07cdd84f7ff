"""Sensors: lag, tolerance, noise and steps, each as the data sheet says."""

from __future__ import annotations

import tomllib
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.records import SENSORS
from simulator.sensors import KINDS, Sensors, quantise

if TYPE_CHECKING:
    from monitor.records import Float64

NAMES = list(SENSORS)
# Of an engine at work, in the order of SENSORS.
WORKING = np.array([2000.0, 40, 30, 90, 95, 300, 80, 20, 6, 1.0, 700, 4, 14.2, 90, 80])
ASSET_FILE = Path(__file__).parent.parent / "config" / "assets" / "engine.toml"


def made(engines: int, *, period_s: float = 0.5, seed: int = 1) -> Sensors:
    return Sensors.draw([np.random.default_rng([seed, engine]) for engine in range(engines)], period_s=period_s)


def steady(ticks: int, engines: int, values: Float64 = WORKING) -> Float64:
    return np.broadcast_to(values, (ticks, engines, len(NAMES))).copy()


def test_every_sensor_of_the_fleet_is_described() -> None:
    assert list(KINDS) == NAMES


def test_without_noise_a_sensor_is_off_by_its_tolerance_and_no_more() -> None:
    """Two and a half standard deviations of slope and zero, between engines; each engine's own is constant."""
    truth = steady(3, 400)
    signal = made(400).signal(truth, np.zeros_like(truth))
    assert (signal == signal[0]).all()
    for column, (name, kind) in enumerate(KINDS.items()):
        error = signal[0, :, column] - WORKING[column]
        most = 2.5 * (kind.gain * WORKING[column] + kind.offset)
        assert np.abs(error).max() <= most + 1e-9, name
        assert abs(error.mean()) <= most / 10 + 1e-9, name


def test_noise_has_the_deviation_of_the_data_sheet() -> None:
    truth = steady(4000, 2)
    signal = made(2).signal(truth, np.random.default_rng(3).standard_normal(truth.shape))
    deviation = signal.std(axis=0)  # (N, C)
    np.testing.assert_allclose(
        deviation, np.tile([kind.noise for kind in KINDS.values()], (2, 1)), rtol=0.05, atol=1e-9
    )


@pytest.mark.parametrize("name", ["coolant_temperature", "oil_temperature", "exhaust_gas_temperature"])
def test_a_sensor_has_gone_63_percent_of_a_step_after_its_lag(name: str) -> None:
    """A first-order lag: 1 - 1/e after one time constant, 1 - 1/e² after two."""
    kind, column, period = KINDS[name], NAMES.index(name), 0.01
    sensors = made(1, period_s=period)
    sensors.gain[:], sensors.offset[:] = 1.0, 0.0
    ticks = round(2 * kind.lag_s / period)
    before, after = steady(1, 1), steady(ticks, 1)
    after[:, :, column] += 100.0
    sensors.signal(before, np.zeros_like(before))
    gone = sensors.signal(after, np.zeros_like(after))[:, 0, column] - WORKING[column]
    assert gone[ticks // 2 - 1] == pytest.approx(63.2, abs=0.2)
    assert gone[-1] == pytest.approx(86.5, abs=0.2)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.integers(0, 5))
@settings(max_examples=25)
def test_block_sizes_change_nothing(sizes: list[int], seed: int) -> None:
    generator = np.random.default_rng(seed)
    truth = steady(sum(sizes), 2) * generator.uniform(0.5, 1.5, (sum(sizes), 2, len(NAMES)))
    noise = generator.standard_normal(truth.shape)
    whole, pieces, edges = made(2), made(2), np.cumsum([0, *sizes])
    parts = [pieces.signal(truth[a:b], noise[a:b]) for a, b in pairwise(edges)]
    assert whole.signal(truth, noise).tobytes() == np.concatenate(parts).tobytes()


def test_what_counts_pulses_says_nothing_of_nothing() -> None:
    """An engine that is off turns, breathes and burns nothing at all: no noise, no offset."""
    truth = steady(50, 3, np.zeros(len(NAMES)))
    signal = made(3).signal(truth, np.random.default_rng(1).standard_normal(truth.shape))
    for name in ("engine_speed", "maf", "fuel_rate", "vehicle_speed"):
        assert not signal[:, :, NAMES.index(name)].any(), name


def test_readings_are_whole_steps_of_the_converter() -> None:
    signal = np.random.default_rng(1).uniform(0, 200, (100, 2, len(NAMES)))
    reported = quantise(signal)
    assert reported.dtype == np.float32
    for column, (name, kind) in enumerate(KINDS.items()):
        steps = reported[:, :, column].astype(np.float64) / kind.step
        np.testing.assert_allclose(steps, np.rint(steps), atol=1e-2, err_msg=name)
        assert np.abs(reported[:, :, column] - signal[:, :, column]).max() <= kind.step / 2 + 1e-4, name


def test_a_missing_value_stays_missing() -> None:
    assert np.isnan(quantise(np.full((1, 1, len(NAMES)), np.nan))).all()


def test_no_sensor_of_an_engine_at_work_leaves_the_range_of_the_asset_file() -> None:
    described = tomllib.loads(ASSET_FILE.read_text(encoding="utf-8"))["sensors"]
    truth = steady(2000, 3)
    reported = quantise(made(3).signal(truth, np.random.default_rng(1).standard_normal(truth.shape)))
    for column, sensor in enumerate(described):
        assert reported[:, :, column].min() >= sensor["min"], sensor["name"]
        assert reported[:, :, column].max() <= sensor["max"], sensor["name"]


@pytest.mark.parametrize(
    ("name", "true", "reported"),
    [("lambda", 5.0, 1.99), ("lambda", 0.2, 0.6), ("engine_load", 150.0, 100.0), ("oil_pressure", -50.0, 0.0)],
)
def test_a_sensor_ends_where_its_element_does(name: str, true: float, reported: float) -> None:
    """Beyond a wide-band probe's 0.6 to 1.99, a share's 100 % and a gauge's zero the reading stands at the end."""
    truth = steady(20, 3)
    truth[:, :, NAMES.index(name)] = true
    signal = made(3).signal(truth, np.random.default_rng(1).standard_normal(truth.shape))
    np.testing.assert_allclose(quantise(signal)[:, :, NAMES.index(name)], reported, atol=1e-6)
