"""An engine with something wrong: which sensors it moves, which way, and what it leaves alone."""

from __future__ import annotations

import tomllib
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from simulator.fault_kinds import ENGINE_FAULTS
from simulator.faults import Fault
from simulator.fleet import Fleet
from simulator.records import Effects
from tests.engine_samples import MINUTES, NAMES, Run, asked, driven, wrong

ASSET_FILE = Path(__file__).parent.parent / "config" / "assets" / "engine.toml"


def test_an_overloaded_genset_lugs_and_does_not_stall() -> None:
    """Without most of its boost it cannot give 20 kW; the regulator lets the load sag with the speed."""
    ticks = 5 * MINUTES
    run = Run(asked(ticks, power=20.0), wrong(ticks, turbo_loss=0.6))
    assert 900 < run.settled("engine_speed") < 1400
    assert run.settled("engine_load") > 99


def test_coolant_that_is_missing_matters_once_the_pump_draws_air() -> None:
    """An empty expansion tank changes nothing; a third gone is made up for; with 60 % gone it overheats."""
    ticks = 15 * MINUTES
    effects = Effects.healthy(ticks, 4)
    effects.coolant_loss[:] = [0.0, 0.10, 0.35, 0.60]
    run = Run(asked(ticks, 4, power=18.0, ambient=25.0), effects)
    healthy, tank, third, most = run["coolant_temperature"][-MINUTES:].mean(axis=0)
    assert tank == pytest.approx(healthy, abs=0.2)
    assert 0.5 < third - healthy < 8
    assert most > 105


ROAD, IDLE, LOAD = (100.0, 0.0), (0.0, 0.0), (0.0, 22.5)  # km/h, kW
MOVES = (  # effect, value, demand, sensor, direction
    ("misfire_share", 0.5, ROAD, "vibration_rms", +1),
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


def test_the_lambda_control_hides_a_misfire_from_its_sensor_and_pays_in_fuel() -> None:
    """Half of one cylinder's cycles leave an eighth of the air unburnt, of which the sensor sees 60 %.

    The control takes these 7.5 % for a lean mixture and adds as much fuel; lambda reads 1.
    """
    ticks = 5 * MINUTES
    run = Run(asked(ticks, speed=100.0), wrong(ticks, misfire_share=0.5))
    assert run.settled("lambda") == pytest.approx(1.0, abs=0.01)
    assert run.settled("fuel_rate") / (run.settled("maf") / 14.7 / 745 * 3600) == pytest.approx(1.075, rel=0.01)


def test_an_engine_that_burns_badly_gets_more_throttle_and_still_gives_what_is_asked() -> None:
    """Two thirds of the fuel: lambda 1.2 beyond the trim's reach; torque stays, the manifold fills."""
    ticks = 5 * MINUTES
    effects = Effects.healthy(ticks, 2)
    effects.injector_scale[:, 1] = 0.667
    run = Run(asked(ticks, 2, speed=100.0), effects)
    torque, pressure, mixture = (run[name][-MINUTES:].mean(axis=0) for name in ("torque", "map", "lambda"))
    assert mixture[1] == pytest.approx(1.2, abs=0.02)
    assert torque[1] == pytest.approx(torque[0], rel=0.01)
    assert pressure[1] > 1.05 * pressure[0]


def test_an_idling_engine_with_a_large_leak_hunts_and_with_a_larger_one_stalls() -> None:
    """4 mm of hole: it idles too fast and unsteadily. 6 mm: what comes in cannot burn, the starter has to help."""
    healthy, hunting, stalling = (
        Run(asked(5 * MINUTES), wrong(5 * MINUTES, manifold_leak=leak))["engine_speed"][-MINUTES:]
        for leak in (0.0, 12.0, 28.0)
    )
    assert np.ptp(healthy) < 5
    assert hunting.mean() > 1.1 * healthy.mean()
    assert np.ptp(hunting) > 100
    assert stalling.min() < 400


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
