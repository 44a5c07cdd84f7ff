"""What most baselines see of a window: the mean of its last ticks, sensor by sensor [pure].

Means that look back only: a slow, noisy machine shows in them what single rows hide, and a detector of means
alarms no earlier than it could in service.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

TICKS = 20  # that a mean goes back, or the whole window where that is shorter
LIMIT = 1e3  # scaled units: keeps squares of absurd readings finite
RIDGE = 1e-3  # added to variances of 1: sensors that repeat each other must not make a matrix singular


def causal_means(windows: Float32) -> Float64:
    """The means (B, C) of the last ticks of scaled windows (B, T, C); 0, the usual, where a sensor is missing."""
    last = windows[:, -TICKS:]  # (B, h, C)
    there = ~np.isnan(last)  # (B, h, C)
    total = np.where(there, np.clip(last, -LIMIT, LIMIT), 0).sum(axis=1, dtype=np.float64)  # (B, C)
    mean: Float64 = total / np.maximum(there.sum(axis=1), 1)
    return mean


def covariance(rows: Float64) -> tuple[Float64, Float64]:
    """Mean (C,) and covariance (C, C) of rows (N, C), which can be inverted. Raises ValueError for too few."""
    count, sensors = rows.shape
    if count <= sensors:
        raise ValueError(f"{count} normal windows for {sensors} sensors")
    return rows.mean(axis=0), np.atleast_2d(np.cov(rows, rowvar=False)) + RIDGE * np.eye(sensors)
