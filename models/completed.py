"""Deviations of which some sensors are missing, for T² of the others [pure]."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]


def completed(deviation: Float64, precision: Float64) -> Float64:
    """Deviations (B, C) with NaN replaced by what the others make most likely, which adds nothing to T²."""
    missing = np.isnan(deviation)
    if not np.count_nonzero(missing):
        return deviation
    whole = np.where(missing, 0.0, deviation)
    patterns, which = np.unique(missing, axis=0, return_inverse=True)
    for number, pattern in enumerate(patterns):
        if pattern.any():
            rows = np.flatnonzero(which.ravel() == number)
            known = whole[np.ix_(rows, ~pattern)]
            pull = known @ precision[np.ix_(~pattern, pattern)]
            whole[np.ix_(rows, pattern)] = -np.linalg.solve(precision[np.ix_(pattern, pattern)], pull.T).T
    return whole
