"""From reconstruction error to a calibrated score, and what every sensor has to do with it [pure].

For one sensor in one window, with the residuals r (scaled value minus reconstruction) of the cells that are
present:

    spread = sqrt(mean(r²))     large where a sensor jumps, freezes or shakes
    shift  = |mean(r)|          large where it is off by a little, all the time

Each is divided by its own high quantile on held-out normal windows, so that sensors which are hard to
reconstruct do not drown the others. The sensor's residual is the larger of the two, the window's is the largest
of its sensors, and all are divided by the one number that makes 1.0 the 99.9 % quantile of normal windows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]

SENSOR_QUANTILE = 0.999  # of a sensor's own residuals; docs/models.md has the comparison with 0.99
SCORE_QUANTILE = 0.999  # of the windows' scores: this one becomes 1.0
FLOOR = 0.01  # scaled units: a sensor that is reconstructed better than this is taken to be this good
MIN_PRESENT = 0.5  # share of a sensor's cells in the window that must be there for it to count
SMALLEST = 1e-30  # of the scores' quantile: normal data without any error must not divide by zero
LIMIT = 1e6  # scaled units: keeps the squares of absurd readings finite


@dataclass(frozen=True, slots=True)
class Energies:
    """What is left of B windows' residuals, in scaled units; NaN where a sensor has too few cells."""

    spread: Float32  # (B, C)
    shift: Float32  # (B, C)


@dataclass(frozen=True, slots=True)
class Calibration:
    """What is usual in normal windows."""

    spread: Float32  # (C,) quantile of each sensor's spread, scaled units, >= FLOOR
    shift: Float32  # (C,) quantile of each sensor's shift, scaled units, >= FLOOR
    score: float  # quantile of the windows' largest residual, > 0


def energies(scaled: Float32, reconstruction: Float32) -> Energies:
    """Spread and shift of B windows (B, T, C) in scaled units, NaN = missing cell.

    A sensor with less than half of its cells present gets NaN.
    """
    present = ~np.isnan(scaled)  # (B, T, C)
    residual = np.where(present, np.clip(scaled - reconstruction, -LIMIT, LIMIT), np.float32(0))  # (B, T, C)
    cells = present.sum(axis=1)  # (B, C)
    few = cells < max(MIN_PRESENT * scaled.shape[1], 1)  # (B, C)
    count = np.maximum(cells, 1).astype(np.float32)  # (B, C)
    spread = np.sqrt(np.einsum("btc,btc->bc", residual, residual) / count)  # (B, C)
    shift = np.abs(residual.sum(axis=1) / count)  # (B, C)
    spread[few] = shift[few] = np.nan
    return Energies(spread, shift)


def calibrate(normal: Energies) -> Calibration:
    """The calibration by held-out normal windows.

    A sensor that never had enough cells gets FLOOR, as if it were perfectly predictable.
    Raises ValueError where no window has any sensor with enough cells.
    """
    if np.isnan(normal.spread).all():
        raise ValueError("no held-out window has a sensor with enough values to calibrate by")
    spread, shift = _quantiles(normal.spread), _quantiles(normal.shift)
    _, score = judge(normal, Calibration(spread, shift, 1.0))
    largest = float(np.nanquantile(score, SCORE_QUANTILE))
    return Calibration(spread, shift, max(largest, SMALLEST))


def judge(found: Energies, calibration: Calibration) -> tuple[Float32, Float32]:
    """Contribution (B, C) and score (B,), dimensionless and >= 0; NaN where there is nothing to judge.

    >>> one = np.ones((1, 2), np.float32)
    >>> judge(Energies(one * [3, 1], one), Calibration(one[0], one[0] * 0.5, 2.0))
    (array([[1.5, 1. ]], dtype=float32), array([1.5], dtype=float32))
    """
    larger = np.maximum(found.spread / calibration.spread, found.shift / calibration.shift)  # (B, C)
    contribution = (larger / calibration.score).astype(np.float32)  # (B, C)
    missing = np.isnan(contribution)
    score = np.where(missing, np.float32(0), contribution).max(axis=1, initial=0)  # (B,)
    score[missing.all(axis=1)] = np.nan
    return contribution, score


def _quantiles(energy: Float32) -> Float32:
    quantiles = np.full(energy.shape[1], FLOOR, np.float32)  # (C,)
    for sensor in np.flatnonzero(~np.isnan(energy).all(axis=0)):
        quantiles[sensor] = max(float(np.nanquantile(energy[:, sensor], SENSOR_QUANTILE)), FLOOR)
    return quantiles
