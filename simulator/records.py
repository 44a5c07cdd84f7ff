"""The types that travel inside the simulator. Arrays of T ticks x N engines (x C sensors)."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from monitor.records import Bool, Float32, Float64, Int64

SENSORS: dict[str, str] = {  # name -> unit, in the order of config/assets/engine.toml (a test holds them equal)
    "engine_speed": "rpm",
    "engine_load": "%",
    "throttle_position": "%",
    "coolant_temperature": "°C",
    "oil_temperature": "°C",
    "oil_pressure": "kPa",
    "map": "kPa",
    "maf": "g/s",
    "fuel_rate": "l/h",
    "lambda": "1",
    "exhaust_gas_temperature": "°C",
    "vibration_rms": "mm/s",
    "control_module_voltage": "V",
    "torque": "Nm",
    "vehicle_speed": "km/h",
}

DECIMALS = 3  # of the finest step of a sensor

RATED_KW = 21.0  # shaft power of a genset's engine at full load; its load steps go to 90 % of it


@dataclass(frozen=True, slots=True)
class Demand:
    """What the engines are asked to do, and in what surroundings."""

    running: Bool  # (T, N) ignition on
    vehicle_speed: Float64  # (T, N) km/h, 0 for a plant's engine
    shaft_power: Float64  # (T, N) kW asked of a plant's engine, 0 for a vehicle's
    ambient_temperature: Float64  # (T, N) °C
    ambient_pressure: Float64  # (T, N) kPa


@dataclass(frozen=True, slots=True)
class Effects:
    """What is wrong with the engines, where it acts in life. The defaults of `healthy` change nothing."""

    misfire_share: Float64  # (T, N) share of one cylinder's cycles that do not burn, 0 to 1
    lambda_bias: Float64  # (T, N) by how much the control holds lambda wrong; negative is rich
    ignition_voltage_loss: Float64  # (T, N) V missing at the coils and on the vehicle's supply
    coolant_loss: Float64  # (T, N) share of the coolant that is gone
    thermostat_opening: Float64  # (T, N) where the thermostat is stuck, 0 shut to 1 open; NaN = it works
    oil_pump_loss: Float64  # (T, N) share of the oil pump's delivery that is lost
    bearing_clearance: Float64  # (T, N) main bearings' clearance relative to new, 1 = new
    air_filter_drop: Float64  # (T, N) kPa lost in the filter at 40 g/s of air, beyond a clean one's
    injector_scale: Float64  # (T, N) fuel injected relative to what was asked for, 1 = right
    manifold_leak: Float64  # (T, N) mm² of leak between throttle and valves
    turbo_loss: Float64  # (T, N) share of the turbocharger's pressure rise that is lost

    @classmethod
    def healthy(cls, ticks: int, engines: int) -> Effects:
        """Nothing is wrong."""
        usual = {"thermostat_opening": np.nan, "bearing_clearance": 1.0, "injector_scale": 1.0}
        return cls(*(np.full((ticks, engines), usual.get(each.name, 0.0)) for each in fields(cls)))


@dataclass(frozen=True, slots=True)
class Block:
    """Readings of a stretch of time: T ticks of N engines."""

    time: Int64  # (T,) ms since the fleet's beginning
    values: Float32  # (T, N, C) as the sensors report them, NaN = missing
    running: Bool  # (T, N) an engine that does not run publishes nothing

    def shortest(self) -> list[list[list[float]]]:
        """The values as the shortest numbers that are the same in 32 bits: 8.3 and not 8.300000190734863.

        No converter has finer steps than DECIMALS.
        """
        rounded: list[list[list[float]]] = np.round(self.values.astype(np.float64), DECIMALS).tolist()
        return rounded
