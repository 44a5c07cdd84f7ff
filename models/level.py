"""The level of an asset, where assets differ more from each other than in themselves [pure].

Two pumps of one make hum on different notes. A model that knows all of their notes as normal finds nothing wrong
with a pump that takes up another one's. Where normal data says so, every sensor is therefore scaled by its asset's
own mean and standard deviation, and the model learns what assets have in common: how they move about their level.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.scaling import CONSTANT, CONSTANT_SCALE

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

LEAST_ASSETS = 3  # fewer do not say what assets have in common
LEAST_ROWS = 100  # of an asset, to be asked
LEAST_GAIN = 0.5  # nats a sensor and row, of the asset in the middle
LEAST_SHARE = 2 / 3  # of the assets must gain
LEAST_SCALE = 0.1  # of the deviation of the asset in the middle: one that hardly moved is not held to that


@dataclass(frozen=True, slots=True)
class Level:
    """Mean and standard deviation of the sensors (…, C), of one asset or of a row each."""

    center: Float32
    scale: Float32  # > 0

    def of(self, rows: slice) -> Level:
        """Those of some rows, where each row has one."""
        return Level(self.center[rows], self.scale[rows])

    def scaled(self, values: Float32) -> Float32:
        """Values (…, C) in the sensors' units to deviations of the asset; NaN stays NaN."""
        with np.errstate(over="ignore"):
            return ((values - self.center) / self.scale).astype(np.float32, copy=False)

    def unscaled(self, scaled: Float32) -> Float32:
        """The way back."""
        return (scaled * self.scale + self.center).astype(np.float32, copy=False)


def moments(values: Float32) -> tuple[Float64, Float64, Float64]:
    """Count, mean and variance (C,) of rows (N, C), NaN = missing; a sensor without values has mean 0."""
    present = ~np.isnan(values)
    count = present.sum(axis=0).astype(np.float64)
    mean = np.where(present, values, 0).sum(axis=0, dtype=np.float64) / np.maximum(count, 1)
    variance = (np.where(present, values - mean, 0) ** 2).sum(axis=0) / np.maximum(count, 1)
    return count, mean, variance


def least_scale(assets: list[Float32]) -> Float32:
    """What no deviation (C,) of an asset counts as less than, by the rows (N, C) of several; > 0."""
    found = [moments(rows) for rows in assets if len(rows)]
    mean = np.median([each[1] for each in found], axis=0)
    deviation = np.median([np.sqrt(each[2]) for each in found], axis=0)
    fallback = np.where(mean == 0, 1.0, CONSTANT_SCALE * np.abs(mean))
    return np.where(deviation > CONSTANT * np.abs(mean), LEAST_SCALE * deviation, fallback).astype(np.float32)


def level_of(mean: Float64, variance: Float64, least: Float32) -> Level:
    """The level by mean and variance (…, C); no scale is below `least` (C,)."""
    return Level(mean.astype(np.float32), np.maximum(np.sqrt(variance), least).astype(np.float32))


def fit_level(values: Float32, least: Float32) -> Level:
    """The level of an asset by its rows (N, C); `least` (C,) is what `least_scale` gives."""
    _, mean, variance = moments(values)
    return level_of(mean, variance, least)


def assets_differ(assets: list[Float32]) -> tuple[bool, str]:
    """Whether assets, by their normal rows (N, C) in the order of time, are better compared with themselves.

    The second half of each asset's rows is explained by its first half, and by all other assets. The gain is the
    difference of the two Gaussian log-likelihoods, a sensor and row. Returns the answer, and why, in words.
    """
    asked = [index for index, rows in enumerate(assets) if len(rows) >= LEAST_ROWS]
    if len(asked) < LEAST_ASSETS:
        return False, f"{len(asked)} asset(s) with {LEAST_ROWS} rows or more: too few to tell"
    count, mean, variance = (np.array(each) for each in zip(*map(moments, assets), strict=True))  # (A, C)
    square = variance + mean**2
    least = least_scale(assets)
    gains = []
    for index in asked:
        rows, half = assets[index], len(assets[index]) // 2
        others = np.arange(len(assets)) != index
        total = np.maximum(count[others].sum(axis=0), 1)
        center = (count[others] * mean[others]).sum(axis=0) / total
        spread = (count[others] * square[others]).sum(axis=0) / total - center**2
        theirs = level_of(center, np.maximum(spread, 0), least)
        own = fit_level(rows[:half], least)
        gains.append(float(np.nanmean(_likelihood(rows[half:], own) - _likelihood(rows[half:], theirs))))
    share, middle = float(np.mean(np.array(gains) > 0)), float(np.median(gains))
    words = f"of {len(asked)} assets {100 * share:.0f} % are better explained by themselves, {middle:+.2f} nats"
    return share >= LEAST_SHARE and middle >= LEAST_GAIN, words


def _likelihood(values: Float32, level: Level) -> Float64:
    """Mean logarithm of the Gaussian density (C,) of rows (N, C), less a constant; NaN without values."""
    distance = np.clip(level.scaled(values), -1e6, 1e6).astype(np.float64)
    present = ~np.isnan(distance)
    count = np.where(present.any(axis=0), present.sum(axis=0), np.nan)
    squares = np.where(present, distance**2, 0).sum(axis=0) / count
    density: Float64 = -0.5 * squares - np.log(level.scale.astype(np.float64))
    return density
