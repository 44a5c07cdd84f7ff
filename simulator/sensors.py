"""From the true values to what the sensors report: lag, tolerance, noise, and the steps of the converter.

Pure. Sensor faults act between `Sensors.signal` and `quantise`, where a broken wire or a drifting element acts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from simulator.records import SENSORS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.records import Float32, Float64


class _Kind(NamedTuple):
    """One kind of sensor. Steps are those of SAE J1979 (OBD-II), finer where a direct CAN signal usually is."""

    lag_s: float  # time constant
    gain: float  # relative deviation of its slope from sensor to sensor
    offset: float  # deviation of its zero, in its unit
    noise: float  # standard deviation, in its unit
    step: float  # of the converter, in its unit
    low: float = -np.inf  # where the element or its amplifier ends
    high: float = np.inf


KINDS = {
    "engine_speed": _Kind(0.05, 0.0, 0.0, 2.0, 0.25),
    "engine_load": _Kind(0.10, 0.004, 0.2, 0.25, 0.1, 0.0, 100.0),
    "throttle_position": _Kind(0.05, 0.004, 0.15, 0.08, 0.05, 0.0, 100.0),
    "coolant_temperature": _Kind(3.0, 0.003, 0.4, 0.10, 0.1),
    "oil_temperature": _Kind(4.0, 0.003, 0.5, 0.12, 0.1),
    "oil_pressure": _Kind(0.10, 0.006, 1.5, 1.5, 0.5, 0.0),
    "map": _Kind(0.03, 0.004, 0.4, 0.25, 0.1),
    "maf": _Kind(0.06, 0.006, 0.03, 0.06, 0.01),
    "fuel_rate": _Kind(0.10, 0.004, 0.01, 0.015, 0.01),
    "lambda": _Kind(0.25, 0.0, 0.003, 0.006, 0.001, 0.6, 1.99),
    "exhaust_gas_temperature": _Kind(1.5, 0.004, 1.5, 0.8, 0.1),
    "vibration_rms": _Kind(0.30, 0.02, 0.02, 0.06, 0.01),
    "control_module_voltage": _Kind(0.05, 0.002, 0.01, 0.02, 0.001),
    "torque": _Kind(0.10, 0.008, 0.5, 1.0, 0.1),
    "vehicle_speed": _Kind(0.10, 0.003, 0.0, 0.0, 0.1),
}
SILENT_AT_ZERO = ("engine_speed", "fuel_rate", "maf", "vehicle_speed")  # they count pulses: no engine, no noise
LOW = np.array([KINDS[name].low for name in SENSORS])  # (C,)
HIGH = np.array([KINDS[name].high for name in SENSORS])  # (C,)
STEPS = np.array([KINDS[name].step for name in SENSORS])  # (C,)


@dataclass(slots=True)
class Sensors:
    """The sensors of N engines."""

    gain: Float64  # (N, C)
    offset: Float64  # (N, C)
    keep: Float64  # (C,) of the last value's share in the next
    noise: Float64  # (C,)
    last: Float64 | None = None  # (N, C) what the sensing elements stand at

    @classmethod
    def draw(cls, generators: Sequence[np.random.Generator], *, period_s: float) -> Sensors:
        """The sensors of one engine for each generator, which differ within their tolerances."""
        kinds = [KINDS[name] for name in SENSORS]
        drawn = np.stack([generator.standard_normal((2, len(kinds))) for generator in generators])  # (N, 2, C)
        drawn = np.clip(drawn, -2.5, 2.5)
        return cls(
            gain=1 + np.array([kind.gain for kind in kinds]) * drawn[:, 0],
            offset=np.array([kind.offset for kind in kinds]) * drawn[:, 1],
            keep=np.exp(-period_s / np.array([kind.lag_s for kind in kinds])),
            noise=np.array([kind.noise for kind in kinds]),
        )

    def signal(self, truth: Float64, noise: Float64) -> Float64:
        """What the sensing elements say of the true values (T, N, C); `noise` (T, N, C) is standard normal."""
        lagging = np.empty_like(truth)
        last = truth[0] if self.last is None else self.last
        for t, now in enumerate(truth):
            last = lagging[t] = now + self.keep * (last - now)
        self.last = last
        signal = lagging * self.gain + self.offset + self.noise * noise
        for name in SILENT_AT_ZERO:
            column = list(SENSORS).index(name)
            signal[:, :, column] = np.where(truth[:, :, column] == 0, 0.0, np.maximum(signal[:, :, column], 0.0))
        return np.clip(signal, LOW, HIGH)


def quantise(signal: Float64) -> Float32:
    """The signal (…, C) in the steps of the converters."""
    reported: Float32 = (np.rint(signal / STEPS) * STEPS).astype(np.float32)
    return reported
