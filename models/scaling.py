"""Per-sensor scaling, fitted on normal data [pure]: a sensor's mean becomes 0 and its standard deviation 1."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]

CONSTANT = 1e-6  # a deviation below this share of the mean is rounding, not movement
CONSTANT_SCALE = 0.01  # a constant sensor: one scaled unit is this share of its value
SMALLEST = 1e-30  # of a scale: what float32 can still divide by
INPUT_LIMIT = 10.0  # scaled units; a wilder value would drive the other sensors' reconstruction out of hand


@dataclass(frozen=True, slots=True)
class Scaler:
    """scaled = (value - center) / scale, for each of C sensors."""

    center: Float32  # (C,)
    scale: Float32  # (C,) > 0

    def scaled(self, values: Float32) -> Float32:
        """Values (…, C) in the sensors' units to scaled ones; NaN stays NaN, the absurd becomes infinite."""
        with np.errstate(over="ignore"):
            return (values - self.center) / self.scale

    def unscaled(self, scaled: Float32) -> Float32:
        """The way back: scaled (…, C) to the sensors' units."""
        return scaled * self.scale + self.center


def fit_scaler(values: Float32) -> Scaler:
    """Mean and standard deviation of each sensor over windows or rows (…, C), without the missing cells.

    A sensor that does not move in normal data has no deviation to scale by: one scaled unit is then 1 % of its
    value, or 1 in its own unit where it is always 0. A sensor without any value has center 0 and scale 1.

    >>> fit_scaler(np.array([[1, 50, 0], [3, 50, 0]], np.float32)).scale.tolist()
    [1.0, 0.5, 1.0]
    """
    rows = tuple(range(values.ndim - 1))
    present = ~np.isnan(values)  # (…, C)
    count = np.maximum(present.sum(axis=rows), 1)  # (C,)
    center = np.where(present, values, 0).sum(axis=rows, dtype=np.float64) / count  # (C,)
    distance = np.where(present, values - center, 0)  # (…, C)
    deviation = np.sqrt((distance**2).sum(axis=rows) / count)  # (C,)
    fallback = np.where(center == 0, 1.0, CONSTANT_SCALE * np.abs(center))  # (C,)
    scale = np.where(deviation <= CONSTANT * np.abs(center), fallback, deviation)  # (C,)
    scale = np.maximum(scale, SMALLEST)  # (C,)
    return Scaler(center.astype(np.float32), scale.astype(np.float32))


def network_input(scaled: Float32) -> Float32:
    """What the network sees of scaled windows (…, C): bounded, and 0, the mean, where a cell is missing."""
    return np.nan_to_num(np.clip(scaled, -INPUT_LIMIT, INPUT_LIMIT), copy=False, nan=0.0)
