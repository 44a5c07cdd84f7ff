"""The engine: what physics, workshop manuals and a sheet of paper say of it."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.duty import Duty
from simulator.engine import DRAWS, advance, cold_state, warm_state
from simulator.records import Demand, Effects
from tests.engine_samples import MINUTES, Run, alike, asked, driven, joined, stepped, wrong

ASSET_FILE = Path(__file__).parent.parent / "config" / "assets" / "engine.toml"


# Steady running.


def test_a_warm_engine_idles_as_workshop_manuals_say() -> None:
    """700 to 900 rpm; 25 to 45 kPa; 0.6 to 1.3 l/h of a two-litre engine; lambda 1; no torque on the shaft."""
    run = Run(asked(5 * MINUTES))
    assert 700 < run.settled("engine_speed") < 900
    assert 25 < run.settled("map") < 45
    assert 0.6 < run.settled("fuel_rate") < 1.3
    assert run.settled("lambda") == pytest.approx(1.0, abs=0.01)
    assert abs(run.settled("torque")) < 5.0
    assert 300 < run.settled("exhaust_gas_temperature") < 500
    assert 80 < run.settled("oil_pressure") < 250
    assert 13.5 < run.settled("control_module_voltage") < 14.5


@pytest.mark.parametrize("power", [3.0, 10.0, 20.0])
def test_a_genset_gives_the_power_that_is_asked_for(power: float) -> None:
    """Torque is power over angular speed: 20 kW at 1500 rpm is 127 Nm."""
    run = Run(asked(5 * MINUTES, power=power))
    speed, torque = run.settled("engine_speed"), run.settled("torque")
    assert speed == pytest.approx(1500, rel=0.03)
    assert torque == pytest.approx(power * 1000 / (speed * 2 * np.pi / 60), rel=0.02)


@pytest.mark.parametrize("power", [3.0, 10.0, 20.0])
def test_fuel_is_air_over_its_stoichiometric_ratio(power: float) -> None:
    """At lambda 1, 14.7 g of air go with a g of petrol, and 0.745 kg of petrol with a litre."""
    run = Run(asked(5 * MINUTES, power=power))
    assert run.settled("lambda") == pytest.approx(1.0, abs=0.005)
    assert run.settled("fuel_rate") == pytest.approx(run.settled("maf") / 14.7 / 745 * 3600, rel=0.01)


@pytest.mark.parametrize(("power", "speed"), [(10.0, 0.0), (20.0, 0.0), (22.0, 0.0), (0.0, 100.0), (0.0, 125.0)])
def test_no_engine_gives_more_than_its_fuel_does(power: float, speed: float) -> None:
    """Brake efficiency of spark-ignition engines under load: 0.18 to 0.37 (Heywood, ch. 15)."""
    run = Run(asked(5 * MINUTES, power=power, speed=speed))
    shaft_kw = run.settled("torque") * run.settled("engine_speed") * 2 * np.pi / 60 / 1000
    fuel_kw = run.settled("fuel_rate") / 3600 * 745 * 43.5
    assert 0.18 < shaft_kw / fuel_kw < 0.37


@pytest.mark.parametrize(("speed", "least", "most"), [(60, 3.0, 6.5), (100, 4.5, 7.5), (130, 6.0, 10.0)])
def test_a_car_takes_as_much_fuel_as_cars_of_its_class(speed: float, least: float, most: float) -> None:
    """Litres for 100 km at a constant speed."""
    run = Run(asked(5 * MINUTES, speed=speed))
    assert least < run.settled("fuel_rate") / speed * 100 < most


def test_the_manifold_fills_beyond_ambient_only_under_high_load() -> None:
    run = Run(asked(5 * MINUTES, 2, power=[5.0, 20.0]))
    low, high = 0, 1
    assert run.settled("map", low) < 80
    assert 105 < run.settled("map", high) < 200
    assert run.settled("throttle_position", high) > run.settled("throttle_position", low)
    assert run.settled("exhaust_gas_temperature", high) > run.settled("exhaust_gas_temperature", low) + 100


def test_thin_air_takes_a_wider_throttle_for_the_same_torque() -> None:
    sea, hills = (Run(asked(5 * MINUTES, speed=110.0, pressure=pressure)) for pressure in (101.3, 84.6))
    # The road takes less in thin air: the manifold's pressure stays about the same.
    assert hills.settled("throttle_position") > sea.settled("throttle_position")
    assert hills.settled("map") < sea.settled("map") + 5


def test_cold_air_is_denser() -> None:
    """The same torque needs the same air, which fills less of the manifold the colder it is.

    At the valves it is 10 K warmer than outside and takes a fifth of the way to the coolant's 89 °C: 316.8 K at
    20 °C, 284.8 K at -20 °C; the pressure above the residual gas's 9 kPa goes with these.
    """
    run = Run(asked(15 * MINUTES, 2, power=10.0, ambient=[20.0, -20.0]))
    above = [run.settled("map", engine) - 9.0 for engine in range(2)]
    assert above[1] / above[0] == pytest.approx(284.8 / 316.8, rel=0.02)


def test_the_coolant_settles_where_the_thermostat_holds_it() -> None:
    """Between its opening temperature and ten K above, whatever the load and the weather."""
    opens = float(alike(1).thermostat[0])
    demand = asked(25 * MINUTES, 4, power=[20, 0, 0, 0], speed=[0, 50, 110, 0], ambient=[20.0, 5.0, 30.0, 20.0])
    coolant = Run(demand)["coolant_temperature"][-5 * MINUTES :]
    assert (coolant > opens - 1).all()
    assert (coolant < opens + 10).all()
    assert (np.ptp(coolant, axis=0) < 1.5).all()


def test_oil_is_hotter_than_coolant_at_speed() -> None:
    run = Run(asked(20 * MINUTES, speed=125.0))
    assert 3 < run.settled("oil_temperature") - run.settled("coolant_temperature") < 35


# Transients.


def test_a_cold_engine_warms_up_in_minutes_and_idles_faster_until_then() -> None:
    """At -5 °C outside a car driven at 50 km/h is warm (80 °C) after 3 to 15 minutes."""
    demand = joined(asked(MINUTES, ambient=-5.0), asked(19 * MINUTES, speed=50.0, ambient=-5.0))
    run = Run(demand, state=cold_state(1, np.array([-5.0])))
    assert run["coolant_temperature"][0, 0] == pytest.approx(-5.0, abs=1.0)
    warm = int(np.argmax(run["coolant_temperature"][:, 0] > 80)) / MINUTES
    assert 3 < warm < 15
    assert run["engine_speed"][60, 0] > 1.15 * Run(asked(MINUTES)).settled("engine_speed")
    assert run["oil_pressure"][60, 0] > 1.5 * Run(asked(MINUTES)).settled("oil_pressure")


def test_oil_pressure_falls_with_temperature_and_rises_with_speed_up_to_the_relief() -> None:
    run = Run(asked(20 * MINUTES, power=10.0), state=cold_state(1, np.array([0.0])))
    pressure, oil = run["oil_pressure"][20:, 0], run["oil_temperature"][20:, 0]
    assert (np.diff(oil) > -1e-3).all()
    assert (np.diff(pressure) < 0.5).all()
    relief = float(alike(1).oil_relief[0])
    assert pressure.max() < 1.6 * relief
    run = Run(asked(5 * MINUTES, 3, speed=[0.0, 50.0, 125.0]))
    idle, slow, fast = (run.settled("oil_pressure", engine) for engine in range(3))
    assert idle < slow < fast < 1.2 * relief


def test_on_overrun_the_injectors_stay_shut() -> None:
    """From 90 to 60 km/h in 12 s: no fuel, lambda at the end of its range, the car drives the engine."""
    slowing = replace(asked(24), vehicle_speed=np.linspace(90.0, 60.0, 24)[:, None])
    run = Run(joined(asked(MINUTES, speed=90.0), slowing))
    assert (run["fuel_rate"][-10:] == 0).all()
    assert (run["lambda"][-10:] > 1.9).all()
    assert (run["torque"][-10:] < -10).all()
    assert (run["map"][-10:] < 35).all()


def test_a_stopped_engine_cools_and_its_battery_rests() -> None:
    run = Run(joined(asked(MINUTES, speed=80.0), asked(30 * MINUTES, running=False)))
    for name in ("engine_speed", "maf", "fuel_rate", "torque", "vibration_rms", "oil_pressure"):
        assert run[name][-1, 0] == pytest.approx(0.0, abs=1e-3), name
    assert run["control_module_voltage"][-1, 0] == pytest.approx(12.6, abs=0.2)
    assert run["map"][-1, 0] == pytest.approx(101.3, abs=0.5)
    assert run["exhaust_gas_temperature"][-1, 0] < 100
    assert 40 < run["coolant_temperature"][-1, 0] < 88  # half an hour takes a part of the heat only


def test_the_supply_dips_while_the_starter_turns() -> None:
    """A 12 V battery gives 8 to 11 V to a starter."""
    run = Run(joined(asked(10, running=False), asked(MINUTES)), state=cold_state(1, np.array([15.0])))
    assert 8 < run["control_module_voltage"][10, 0] < 11
    assert run["control_module_voltage"][20:].min() > 13
    assert run["engine_speed"][20:].min() > 600


def test_a_load_step_takes_its_energy_from_the_gensets_mass_and_the_governor_brings_it_back() -> None:
    """The more that is put on at once, the deeper the speed dips, by less than 10 % (ISO 8528-5, class G2).

    Shed, the load lets it run up. Ten seconds later it stands at the governor's droop again.
    """
    speed = Run(stepped((2.0, 6.0), (2.0, 14.0), (14.0, 2.0)), period_s=0.1)["engine_speed"]  # (T, 3)
    small, large, _ = 1 - speed[6_000:6_030].min(axis=0) / speed[5_999]
    assert 0.002 < small < large < 0.10
    assert speed[6_000:6_030, 2].max() > 1.01 * speed[5_999, 2]
    assert speed[-1] == pytest.approx(1500 * (1 + 0.02 * (0.5 - np.array([6.0, 14.0, 2.0]) / 22)), rel=0.002)


def test_boost_comes_later_than_air() -> None:
    """Above ambient the turbocharger has to spin up first: it takes more than half as long again."""
    pressure = Run(stepped((12.0, 20.0), (2.0, 10.0)), period_s=0.1)["map"][5_999:]  # (T, 2)
    nine_tenths = pressure[0] + 0.9 * (pressure[-1] - pressure[0])
    boost, air = np.argmax(pressure > nine_tenths, axis=0)  # ticks
    assert boost > 1.5 * air


def test_a_genset_gives_the_highest_of_its_load_steps_up_to_700_m() -> None:
    """90 % of 22 kW at 93.2 kPa, reached by the fastest ramp of the duty, 2 s."""
    demand = stepped((2.2, 19.8), seconds=2.0)
    run = Run(replace(demand, ambient_pressure=np.full_like(demand.shaft_power, 93.2)), period_s=0.1)
    power = run["torque"][-50:] * run["engine_speed"][-50:] * 2 * np.pi / 60 / 1000
    assert power.mean() == pytest.approx(19.8, rel=0.01)


def test_the_lambda_control_swings_about_its_target() -> None:
    """A limit cycle of one or two hundredths around 1, none where nothing burns or the mixture is enriched."""
    run = Run(asked(10 * MINUTES), seed=3)
    assert run.settled("lambda") == pytest.approx(1.0, abs=0.005)
    assert 0.005 < run["lambda"].std() < 0.03


def test_friction_of_a_warm_engine_is_the_correlations() -> None:
    """Barnes and Moss at 2000 rpm: 97 + 30 + 20 = 147 kPa, gas exchange included, at full load.

    Here 20 of them are the throttle's: motored with the manifold at ambient pressure, 127 kPa and the alternator
    are left. On overrun at 21 kPa another 80 kPa of pumping come to that: 207 kPa on 2 l are 33 Nm, and 800 W at
    209 rad/s are 4 Nm.
    """
    slowing = replace(asked(60), vehicle_speed=np.linspace(95.0, 60.0, 60)[:, None])
    run = Run(joined(asked(15 * MINUTES, speed=95.0), slowing))
    at = int(np.argmin(np.abs(run["engine_speed"][-50:, 0] - 2000))) - 50
    assert run["fuel_rate"][at, 0] == 0
    assert -run["torque"][at, 0] == pytest.approx(37.0, rel=0.08)


def test_gears_keep_the_engine_where_it_pulls() -> None:
    demand = driven("mixed", 3600, 12)
    run = Run(demand)
    cruising = demand.vehicle_speed > 30
    assert run["engine_speed"][cruising].min() > 1000
    assert run["engine_speed"].max() < 6500


def test_smaller_ticks_give_the_same_engine() -> None:
    """The same drive in ticks of 0.5 and 0.1 s, seen every 0.5 s: the means agree to 2 % of each sensor's span."""
    generators = [np.random.default_rng([4, engine]) for engine in range(6)]
    fine = Duty.draw("mixed", generators, period_s=0.1).block(6_000)
    coarse = Demand(*(getattr(fine, each.name)[4::5] for each in fields(Demand)))
    many, few = Run(fine, period_s=0.1).truth[4::5], Run(coarse, period_s=0.5).truth
    span = np.ptp(few, axis=(0, 1))
    assert (np.abs(many[300:].mean(axis=(0, 1)) - few[300:].mean(axis=(0, 1))) < 0.02 * span).all()
    apart = np.abs(many[300:] - few[300:]) / span  # (T, N, C)
    assert (np.median(apart, axis=(0, 1)) < 0.02).all()


@given(st.lists(st.integers(1, 80), min_size=1, max_size=6), st.integers(0, 5))
@settings(max_examples=15)
def test_block_sizes_change_nothing(sizes: list[int], seed: int) -> None:
    ticks, own = sum(sizes), alike(4, spread=1.0)
    demand, effects = driven("mixed", ticks, 4, seed), wrong(ticks, 4, misfire_share=0.1, manifold_leak=4.0)
    noise = np.random.default_rng(seed).standard_normal((ticks, 4, DRAWS))
    whole, pieces = (warm_state(4, own) for _ in range(2))
    truth, begun, parts = advance(whole, own, demand, effects, 0.5, noise), 0, []
    for size in sizes:
        part = slice(begun, begun + size)
        one = Demand(*(getattr(demand, each.name)[part] for each in fields(Demand)))
        bad = Effects(*(getattr(effects, each.name)[part] for each in fields(Effects)))
        parts.append(advance(pieces, own, one, bad, 0.5, noise[part]))
        begun += size
    assert truth.tobytes() == np.concatenate(parts).tobytes()


def test_engines_differ_a_little() -> None:
    """The same drive, 200 engines: each mean differs, by less than what tells a fault."""
    run = Run(asked(5 * MINUTES, 200, speed=80.0), spread=1.0)
    for name in ("map", "maf", "fuel_rate", "oil_pressure", "exhaust_gas_temperature", "control_module_voltage"):
        means = run[name][-MINUTES:].mean(axis=0)
        assert 0.001 < means.std() / means.mean() < 0.08, name
