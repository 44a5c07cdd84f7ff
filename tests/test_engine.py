"""The engine: what physics, workshop manuals and a sheet of paper say of it."""

from __future__ import annotations

import tomllib
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.duty import Duty
from simulator.engine import advance, cold_state, warm_state
from simulator.fault_kinds import ENGINE_FAULTS
from simulator.faults import Fault
from simulator.fleet import Fleet
from simulator.parameters import Parameters, draw_parameters
from simulator.records import SENSORS, Demand, Effects

if TYPE_CHECKING:
    from monitor.records import Float64
    from simulator.engine import EngineState

NAMES = list(SENSORS)
DRAWS = 2
MINUTES = 120  # ticks of half a second
ASSET_FILE = Path(__file__).parent.parent / "config" / "assets" / "engine.toml"


def alike(engines: int, *, spread: float = 0.0) -> Parameters:
    return draw_parameters([np.random.default_rng([9, engine]) for engine in range(engines)], spread=spread)


def asked(
    ticks: int,
    engines: int = 1,
    *,
    running: bool = True,
    speed: float | list[float] = 0.0,
    power: float | list[float] = 0.0,
    ambient: float | list[float] = 20.0,
    pressure: float = 101.325,
) -> Demand:
    """The same demand all the time; a list has a value for each engine."""
    columns = (running, speed, power, ambient, pressure)
    return Demand(*(np.broadcast_to(np.array(column), (ticks, engines)).copy() for column in columns))


def joined(*parts: Demand) -> Demand:
    return Demand(*(np.concatenate([getattr(p, each.name) for p in parts]) for each in fields(Demand)))


def driven(kind: str, ticks: int, engines: int, seed: int = 4) -> Demand:
    generators = [np.random.default_rng([seed, engine]) for engine in range(engines)]
    return Duty.draw(kind, generators, period_s=0.5).block(ticks)


class Run:
    """The true values of a simulation by name, (T, N) each; without noise unless a seed is given."""

    def __init__(
        self,
        demand: Demand,
        effects: Effects | None = None,
        *,
        state: EngineState | None = None,
        seed: int | None = None,
        period_s: float = 0.5,
        spread: float = 0.0,
    ) -> None:
        ticks, engines = demand.running.shape
        own = alike(engines, spread=spread)
        self.state = warm_state(engines, own) if state is None else state
        shape = (ticks, engines, DRAWS)
        noise = np.zeros(shape) if seed is None else np.random.default_rng(seed).standard_normal(shape)
        effects = Effects.healthy(ticks, engines) if effects is None else effects
        self.truth = advance(self.state, own, demand, effects, period_s, noise)

    def __getitem__(self, name: str) -> Float64:
        values: Float64 = self.truth[:, :, NAMES.index(name)]
        return values

    def settled(self, name: str) -> float:
        """The mean of the last minute."""
        return float(self[name][-MINUTES:].mean())


def wrong(ticks: int, engines: int = 1, **values: float) -> Effects:
    effects = Effects.healthy(ticks, engines)
    return replace(effects, **{name: np.full((ticks, engines), value) for name, value in values.items()})


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


@pytest.mark.parametrize(("power", "speed"), [(10.0, 0.0), (20.0, 0.0), (28.0, 0.0), (0.0, 100.0), (0.0, 125.0)])
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
    low, high = (Run(asked(5 * MINUTES, power=power)) for power in (5.0, 29.0))
    assert low.settled("map") < 80
    assert 105 < high.settled("map") < 200
    assert high.settled("throttle_position") > low.settled("throttle_position")
    assert high.settled("exhaust_gas_temperature") > low.settled("exhaust_gas_temperature") + 100


def test_thin_air_takes_a_wider_throttle_for_the_same_torque() -> None:
    sea, hills = (Run(asked(5 * MINUTES, speed=110.0, pressure=pressure)) for pressure in (101.3, 84.6))
    # The road takes less in thin air: at the same power the manifold's pressure would be the same.
    assert hills.settled("throttle_position") > sea.settled("throttle_position")
    assert hills.settled("map") < sea.settled("map") + 5


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
    idle, slow, fast = (Run(asked(5 * MINUTES, speed=speed)) for speed in (0.0, 50.0, 125.0))
    assert (
        idle.settled("oil_pressure") < slow.settled("oil_pressure") < fast.settled("oil_pressure") < 1.2 * relief
    )


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
@settings(max_examples=15, deadline=None)
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


# What goes wrong.

ROAD, IDLE, LOAD = (100.0, 0.0), (0.0, 0.0), (0.0, 27.0)  # km/h, kW
MOVES = (  # effect, value, demand, sensor, direction
    ("misfire_share", 0.5, ROAD, "vibration_rms", +1),
    ("misfire_share", 0.5, ROAD, "lambda", +1),
    ("misfire_share", 0.5, ROAD, "map", +1),
    ("misfire_share", 0.5, ROAD, "fuel_rate", +1),
    ("misfire_share", 0.5, ROAD, "exhaust_gas_temperature", -1),
    ("lambda_bias", -0.1, ROAD, "lambda", -1),
    ("lambda_bias", -0.1, ROAD, "fuel_rate", +1),
    ("lambda_bias", -0.1, ROAD, "exhaust_gas_temperature", -1),
    ("lambda_bias", 0.1, ROAD, "lambda", +1),
    ("lambda_bias", 0.1, ROAD, "map", +1),
    ("ignition_voltage_loss", 2.0, IDLE, "control_module_voltage", -1),
    ("ignition_voltage_loss", 4.0, LOAD, "vibration_rms", +1),
    ("coolant_loss", 0.8, LOAD, "coolant_temperature", +1),
    ("thermostat_opening", 1.0, ROAD, "coolant_temperature", -1),
    ("thermostat_opening", 0.0, ROAD, "coolant_temperature", +1),
    ("oil_pump_loss", 0.3, IDLE, "oil_pressure", -1),
    ("bearing_clearance", 2.0, IDLE, "oil_pressure", -1),
    ("bearing_clearance", 2.0, ROAD, "vibration_rms", +1),
    ("air_filter_drop", 10.0, ROAD, "throttle_position", +1),
    ("injector_scale", 0.85, ROAD, "fuel_rate", +1),
    ("injector_scale", 0.60, ROAD, "lambda", +1),
    ("manifold_leak", 5.0, IDLE, "maf", -1),
    ("manifold_leak", 5.0, IDLE, "throttle_position", -1),
    ("turbo_loss", 0.9, LOAD, "map", -1),
    ("turbo_loss", 0.9, LOAD, "torque", -1),
)


@pytest.mark.parametrize(("effect", "value", "demand", "sensor", "direction"), MOVES)
def test_an_effect_moves_its_sensors(
    effect: str, value: float, demand: tuple[float, float], sensor: str, direction: int
) -> None:
    ticks = (15 if sensor == "coolant_temperature" else 4) * MINUTES
    effects = Effects.healthy(ticks, 2)
    getattr(effects, effect)[:, 1] = value
    healthy, failing = Run(asked(ticks, 2, speed=demand[0], power=demand[1]), effects)[sensor][-MINUTES:].mean(
        axis=0
    )
    assert (failing - healthy) * direction > 0.005 * abs(healthy)


def test_a_leak_matters_most_at_idle() -> None:
    """4 mm² at choked flow are 0.8 g/s, a third of what an idling engine draws, and nothing to one at speed."""
    ticks = 5 * MINUTES
    demand = asked(ticks, 4, speed=[0, 0, 100, 100])
    effects = Effects.healthy(ticks, 4)
    effects.manifold_leak[:, [1, 3]] = 4.0
    idle, leaking_idle, road, leaking_road = Run(demand, effects)["maf"][-MINUTES:].mean(axis=0)
    shares = 1 - leaking_idle / idle, 1 - leaking_road / road
    assert 0.1 < shares[0] < 0.5
    assert shares[1] < 0.25 * shares[0]


def test_the_trim_hides_a_drifted_injector_from_lambda_but_not_from_the_fuel_rate() -> None:
    """15 % too little fuel is asked for 1/0.85 times: lambda stays 1, and fuel no longer matches air."""
    ticks = 5 * MINUTES
    run = Run(asked(ticks, speed=100.0), wrong(ticks, injector_scale=0.85))
    assert run.settled("lambda") == pytest.approx(1.0, abs=0.01)
    assert run.settled("fuel_rate") / (run.settled("maf") / 14.7 / 745 * 3600) == pytest.approx(1 / 0.85, rel=0.01)


def test_an_effect_of_nothing_changes_no_byte() -> None:
    demand = driven("mixed", 400, 4)
    nothing = wrong(
        400, 4, misfire_share=0.0, bearing_clearance=1.0, injector_scale=1.0, thermostat_opening=np.nan
    )
    assert Run(demand, nothing, seed=1).truth.tobytes() == Run(demand, seed=1).truth.tobytes()


@pytest.mark.parametrize("effect", [each.name for each in fields(Effects)])
def test_an_engine_that_fails_does_not_touch_its_neighbour(effect: str) -> None:
    values = {"thermostat_opening": 1.0, "bearing_clearance": 3.0, "injector_scale": 0.7, "air_filter_drop": 20.0}
    demand, effects = driven("mixed", 400, 4), Effects.healthy(400, 4)
    getattr(effects, effect)[100:, 1] = values.get(effect, 0.5)
    healthy, failing = Run(demand, seed=1).truth, Run(demand, effects, seed=1).truth
    assert healthy[:, [0, 2, 3]].tobytes() == failing[:, [0, 2, 3]].tobytes()
    assert healthy[:100, 1].tobytes() == failing[:100, 1].tobytes()


def test_no_fault_however_severe_drives_a_sensor_out_of_its_range() -> None:
    """Each kind at its worst, in every duty: what the sensors report stays within the asset file's ranges."""
    described = tomllib.loads(ASSET_FILE.read_text(encoding="utf-8"))["sensors"]
    low, high = (np.array([sensor[key] for sensor in described]) for key in ("min", "max"))
    kinds = [(name, end) for name, kind in ENGINE_FAULTS.items() for end in (kind.lowest, kind.highest)]
    faults = [
        Fault(8 * number + duty, name, value, 0, None)
        for number, (name, value) in enumerate(kinds)
        for duty in range(8)
    ]
    fleet = Fleet(8 * len(kinds), seed=2, duty="mixed", faults=faults, start="cold", ambient=25.0)
    for _ in range(20):
        values = fleet.block(MINUTES).values
        assert np.isfinite(values).all()
        outside = np.flatnonzero(((values < low) | (values > high)).any(axis=(0, 1)))
        assert [NAMES[column] for column in outside] == []
