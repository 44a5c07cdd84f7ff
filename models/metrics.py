"""Counts with what they leave open [pure]."""

from __future__ import annotations

import math
from dataclasses import dataclass

HALVINGS = 200  # of an interval: far more than a float has digits


@dataclass(frozen=True, slots=True)
class PointCounts:
    """Rows by what was true and what was said; floats, because resamples weigh runs."""

    hits: float  # anomalous and alarmed
    misses: float
    false: float  # normal and alarmed
    quiet: float

    @property
    def f1(self) -> float | None:
        """2 hits / (2 hits + misses + false); None without an anomalous row."""
        return 2 * self.hits / (2 * self.hits + self.misses + self.false) if self.hits + self.misses else None

    @property
    def false_alarm_rate(self) -> float | None:
        """FAR: the share of normal rows that are alarmed; None without a normal row."""
        return self.false / (self.false + self.quiet) if self.false + self.quiet else None

    @property
    def missed_alarm_rate(self) -> float | None:
        """MAR: the share of anomalous rows that are not; None without one."""
        return self.misses / (self.hits + self.misses) if self.hits + self.misses else None


def poisson_interval(count: int, confidence: float = 0.95) -> tuple[float, float]:
    """The exact interval of Garwood (1936) for the mean of a Poisson distribution of which `count` was seen.

    Its ends are the means for which so many events or more, and so many or fewer, have half of what is left of
    the confidence. Raises ValueError for a negative count.

    >>> [round(end, 3) for end in poisson_interval(0)]
    [0.0, 3.689]
    """
    if count < 0:
        raise ValueError(f"{count} events cannot have been counted")
    tail = (1 - confidence) / 2
    lower = 0.0 if count == 0 else _mean_with(count - 1, 1 - tail)
    return lower, _mean_with(count, tail)


def _mean_with(most: int, probability: float) -> float:
    """The mean for which `most` events or fewer have this probability, which falls as the mean grows."""
    low, high = 0.0, 1.0
    while _at_most(most, high) > probability:
        low, high = high, 2 * high
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if middle in {low, high}:
            break
        low, high = (middle, high) if _at_most(most, middle) > probability else (low, middle)
    return (low + high) / 2


def _at_most(most: int, mean: float) -> float:
    """The probability of `most` events or fewer for this mean above 0; logarithms keep large counts finite."""
    logarithm = math.log(mean)
    return math.fsum(math.exp(k * logarithm - mean - math.lgamma(k + 1)) for k in range(most + 1))
