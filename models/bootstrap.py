"""What figures leave open, by drawing whole runs again [pure].

Rows of one run resemble each other, so rows must not be drawn one by one: the interval would be far too narrow.
Percentile bootstrap over runs (Efron 1979); with few runs it is still too narrow, with one there is none.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]

RESAMPLES = 1_000
CONFIDENCE = 0.95
FEWEST = 3  # runs; from fewer there are hardly different draws


def resamples(runs: int, seed: int = 0) -> Float64:
    """How often each of R runs is in each of B draws (B, R)."""
    random = np.random.default_rng(seed)
    return random.multinomial(runs, np.full(runs, 1 / runs), RESAMPLES).astype(np.float64)


def interval(drawn: npt.NDArray[np.floating[Any]], runs: int) -> tuple[float | None, float | None]:
    """Where the middle 95 % of a figure's draws (B,) lie; None where there are too few runs, or no draw has it."""
    there = drawn[np.isfinite(drawn)]
    if runs < FEWEST or not len(there):
        return None, None
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(there, [tail, 1 - tail])
    return float(low), float(high)
