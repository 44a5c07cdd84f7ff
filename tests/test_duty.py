"""Duty: the statistics of the standard cycles, and the same demand however it is asked for."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.duty import DUTIES, Duty, standard_pressure
from simulator.records import RATED_KW, Demand

KMH = 3.6
SIZES = st.lists(st.integers(1, 300), min_size=1, max_size=6)


def drawn(kind: str, engines: int, *, seed: int = 1, period_s: float = 0.5, stops: bool = False) -> Duty:
    generators = [np.random.default_rng([seed, engine]) for engine in range(engines)]
    return Duty.draw(kind, generators, period_s=period_s, stops=stops)


def same(one: Demand, other: Demand) -> bool:
    return all(
        np.asarray(getattr(one, each.name)).tobytes() == np.asarray(getattr(other, each.name)).tobytes()
        for each in fields(Demand)
    )


def joined(blocks: list[Demand]) -> Demand:
    return Demand(*(np.concatenate([getattr(b, each.name) for b in blocks]) for each in fields(Demand)))


def engines_of(demand: Demand, engines: slice) -> Demand:
    return Demand(*(getattr(demand, each.name)[:, engines] for each in fields(Demand)))


@given(
    st.sampled_from(DUTIES),
    st.lists(st.integers(1, 300), min_size=1, max_size=6),
    st.integers(0, 9),
    st.booleans(),
)
@settings(max_examples=25)
def test_block_sizes_change_nothing(kind: str, sizes: list[int], seed: int, stops: bool) -> None:
    whole = drawn(kind, 4, seed=seed, stops=stops).block(sum(sizes))
    pieces = drawn(kind, 4, seed=seed, stops=stops)
    assert same(whole, joined([pieces.block(size) for size in sizes]))


@pytest.mark.parametrize("kind", DUTIES)
def test_an_engine_more_changes_nothing_for_the_others(kind: str) -> None:
    few, many = drawn(kind, 3).block(500), drawn(kind, 7).block(500)
    assert same(few, engines_of(many, slice(3)))


def test_urban_driving_has_the_statistics_of_the_standard_cycles() -> None:
    """WLTP low and medium: on average 19 and 40 km/h with 26 and 11 % standing; FTP-75: 34 km/h with 19 %."""
    speed = drawn("urban", 20).block(7200).vehicle_speed  # an hour of 20 cars
    assert 19 < speed.mean() < 40
    assert 0.11 < (speed < 1).mean() < 0.26
    assert speed.max() < 77  # the medium phase's highest
    moving = speed[speed >= 1]
    assert 25 < moving.mean() < 46  # 25.3 and 44.5 without the stops


def test_motorway_driving_has_the_statistics_of_the_extra_high_phase() -> None:
    """WLTP extra-high: 92 km/h with its standing, 94 without, at most 131."""
    speed = drawn("motorway", 20).block(7200).vehicle_speed
    assert 85 < speed.mean() < 105
    assert (speed < 1).mean() < 0.06
    assert 120 < speed.max() < 140


@pytest.mark.parametrize("kind", ["urban", "motorway"])
def test_no_car_accelerates_or_brakes_more_than_drivers_do(kind: str) -> None:
    """WLTP stays within 1.7 m/s²; what drivers are seen to do ends at about 3 (an emergency stop is 8)."""
    speed = drawn(kind, 20).block(7200).vehicle_speed / KMH
    acceleration = np.diff(speed, axis=0) / 0.5
    assert np.abs(acceleration).max() < 3.0
    assert np.quantile(np.abs(acceleration), 0.99) < 1.7
    assert (speed >= 0).all()


def test_a_gensets_load_steps_between_idle_and_full() -> None:
    demand = drawn("plant", 10).block(7200)
    assert (demand.vehicle_speed == 0).all()
    assert 0 <= demand.shaft_power.min() < 0.2 * RATED_KW
    assert 0.8 * RATED_KW < demand.shaft_power.max() < 1.05 * RATED_KW
    rate = np.abs(np.diff(demand.shaft_power, axis=0)) / 0.5  # kW/s
    assert np.quantile(rate, 0.5) < 0.1 * RATED_KW < rate.max()  # mostly level, and then a step


def test_idling_asks_for_nothing() -> None:
    demand = drawn("idle", 3).block(1000)
    assert demand.running.all()
    assert not demand.vehicle_speed.any()
    assert not demand.shaft_power.any()


def test_a_mixed_fleet_has_cars_and_gensets() -> None:
    demand = drawn("mixed", 12).block(3600)
    assert ((demand.shaft_power > 0).any(axis=0) ^ (demand.vehicle_speed > 0).any(axis=0)).all()
    assert 0 < (demand.shaft_power > 0).any(axis=0).sum() < 6
    assert (demand.vehicle_speed.max(axis=0) > 80).any()


@pytest.mark.parametrize("kind", DUTIES)
def test_engines_stop_only_where_they_may_and_only_at_a_standstill(kind: str) -> None:
    assert drawn(kind, 6).block(3600).running.all()
    demand = drawn(kind, 20, stops=True).block(14_400)
    off = ~demand.running
    assert 0 < off.mean() < 0.5
    assert not demand.vehicle_speed[off].any()
    assert not demand.shaft_power[off].any()


def test_pressure_falls_with_altitude_as_in_the_standard_atmosphere() -> None:
    """ISO 2533, table 1: 101.325 kPa at sea level, 89.876 at 1000 m, 79.501 at 2000 m."""
    levels = [standard_pressure(altitude) for altitude in (0, 1000, 2000)]
    np.testing.assert_allclose(levels, [101.325, 89.876, 79.501], atol=0.01)


def test_the_day_is_warmer_than_the_night() -> None:
    """A day, tick by tick of a minute: the mean that was asked for, and some degrees up and down."""
    duty = Duty.draw("idle", [np.random.default_rng(1)], period_s=60.0, ambient=12.0, altitude=500.0)
    demand = duty.block(1440)
    assert demand.ambient_temperature.mean() == pytest.approx(12.0, abs=0.01)
    assert 4 < np.ptp(demand.ambient_temperature) < 15
    np.testing.assert_allclose(demand.ambient_pressure, 95.46, atol=2.0)  # 500 m, give or take some hills


def test_the_length_of_a_tick_does_not_change_how_cars_drive() -> None:
    slow, fast = (drawn("urban", 10, period_s=period).block(round(3600 / period)) for period in (1.0, 0.2))
    assert slow.vehicle_speed.mean() == pytest.approx(fast.vehicle_speed.mean(), rel=0.15)
    assert (slow.vehicle_speed < 1).mean() == pytest.approx((fast.vehicle_speed < 1).mean(), abs=0.05)
