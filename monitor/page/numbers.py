"""Arrays as JSON has them: lists of short numbers, null where there is none [pure]."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

DIGITS = 5  # significant ones of the largest number of a list
MOST_DECIMALS = 9


def short(values: npt.NDArray[np.floating[Any]]) -> list[float | None]:
    """Numbers (N,) with as many decimals as the largest of them needs for five digits; NaN becomes null.

    >>> short(np.array([0.123456789, 12.3456789, np.nan]))
    [0.123, 12.346, None]
    """
    there = np.isfinite(values)
    largest = float(np.abs(values[there]).max(initial=0))
    decimals = DIGITS - 1 - int(np.floor(np.log10(largest))) if largest > 0 else 0
    rounded = np.round(values.astype(np.float64), min(max(decimals, 0), MOST_DECIMALS))
    if there.all():
        return list(rounded.tolist())
    return [value if known else None for value, known in zip(rounded.tolist(), there.tolist(), strict=True)]


def one(value: float | None) -> float | None:
    """A number, or null where it is none."""
    return None if value is None or not np.isfinite(value) else float(f"{value:.6g}")


def full(values: npt.NDArray[np.floating[Any]]) -> list[float | None]:
    """Numbers (N,) with six digits of each, for those who compare them.

    >>> full(np.array([0.123456789, 12.3456789, np.nan]))
    [0.123457, 12.3457, None]
    """
    return [one(value) for value in values.tolist()]
