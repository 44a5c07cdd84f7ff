"""The exponentially weighted moving average of each sensor (Roberts 1959) [pure]."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.baselines.features import LIMIT

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

WEIGHT = 0.1  # of the newest tick; the weights of a window add up to 1
SMALLEST = 1e-3  # of a sensor's deviation, in scaled units


class Ewma:
    """The largest of the sensors' averages, in the deviations that they have in normal windows."""

    def fit(self, windows: Float32) -> None:
        """Mean and deviation of each sensor's average."""
        averages = _averages(windows)  # (B, C)
        self._mean = averages.mean(axis=0)
        self._deviation = np.maximum(averages.std(axis=0), SMALLEST)

    def score(self, windows: Float32) -> Float64:
        """The largest deviation of each window (B,)."""
        largest: Float64 = np.abs((_averages(windows) - self._mean) / self._deviation).max(axis=1)
        return largest


def _averages(windows: Float32) -> Float64:
    """(B, C); a missing cell has no weight, a sensor without any value is at its usual 0."""
    weights = (1 - WEIGHT) ** np.arange(windows.shape[1])[::-1]  # (T,)
    there = ~np.isnan(windows)  # (B, T, C)
    total = np.einsum("t,btc->bc", weights, np.where(there, np.clip(windows, -LIMIT, LIMIT), 0))
    average: Float64 = total / np.maximum(np.einsum("t,btc->bc", weights, there), weights[0])
    return average
