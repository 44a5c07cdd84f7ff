"""High quantiles, beyond what was seen [pure]."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]

PEAKS = 20  # exceedances at least, that a tail is fitted to
PEAKS_SHARE = 0.02  # of the windows, where that is more
LEAST_WINDOWS = 50  # with fewer, a tail is their maximum
SHAPES = 0.5  # of the fitted tail at the most: a steeper one is chance
EXPONENTIAL = 1e-6  # a shape below is that of an exponential tail


def tail(values: Float32, quantile: float) -> float:
    """The quantile of N values >= 0, a high one, by peaks over a threshold (Pickands 1975).

    The generalised Pareto distribution is fitted to the exceedances by their moments (Hosking and Wallis 1987).

    >>> round(tail(np.random.default_rng(0).exponential(size=100_000).astype(np.float32), 0.999))  # ln 1000 = 6.9
    7
    """
    count = len(values)
    if count < LEAST_WINDOWS:
        return float(values.max())
    share = min(max(PEAKS_SHARE, PEAKS / count), 0.5)
    ordered = np.sort(values.astype(np.float64))
    peaks = max(int(share * count), 1)
    base = ordered[-peaks - 1]
    beyond = ordered[-peaks:] - base
    mean, variance = beyond.mean(), beyond.var()
    if variance <= 1e-12 * max(base, 1e-12) ** 2:
        return float(ordered[-1])
    shape = float(np.clip(0.5 * (1 - mean**2 / variance), -SHAPES, SHAPES))
    scale = mean * (1 - shape)
    times = (peaks / count) / (1 - quantile)
    if times <= 1:  # so many windows that the quantile lies among the peaks
        return float(np.quantile(ordered, quantile))
    grown = np.log(times) if abs(shape) < EXPONENTIAL else (times**shape - 1) / shape
    return float(base + scale * grown)
