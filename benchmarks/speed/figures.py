"""What a figure of speed or size is: ours and a reference, measured alternately in the same run.

Machines are noisy, and what is slow on one is fast on another: what counts is what ours comes to beside something
that everybody knows, a moment before and a moment after. A module of this package offers `FIGURES`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

REPEATS = 5


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the table."""

    name: str  # short and lasting: results of other days are found by it
    ours: str  # what is measured, in words
    reference: str  # and what beside it
    unit: str  # of both
    pairs: Callable[[int], Iterable[tuple[float, float]]]  # ours and reference, so many times, alternately
    more_is_better: bool = True
    compares: Literal["ratio", "difference", "ours"] = "ratio"  # what bar and aim are of: by, less, or ours alone
    bar: float | None = None  # None: reported only
    aim: float | None = None


class CannotRunError(Exception):
    """A figure cannot be measured here; the sentence says what is missing."""
