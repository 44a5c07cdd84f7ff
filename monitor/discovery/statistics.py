"""What the values and times of a sensor say: period, range, counter, constant."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from monitor.discovery.names import COUNTERS, plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.discovery.findings import Series
    from monitor.records import Int64

NICE = (
    *(1, 2, 5, 10, 20, 40, 50, 100, 125, 200, 250, 500, 1_000, 2_000, 3_000, 4_000, 5_000, 6_000, 10_000),
    *(12_000, 15_000, 20_000, 30_000, 60_000, 120_000, 180_000, 300_000, 600_000, 900_000, 1_800_000, 3_600_000),
)
NEAR = 0.12  # a period this near to a nice one is taken as that
STEADY = 0.02  # of the period: times that differ less are steady
IRREGULAR = 3.0  # a pause in ten of this many periods: it reports when something changes
FEWEST = 3  # differences of times from which a period is told
STEPS = 5  # different values from which on growing means something
FEW_STEPS = 3  # and of whole numbers


@dataclass(frozen=True, slots=True)
class Profile:
    """One sensor over all assets of a class."""

    period_ms: int | None
    irregular: bool
    steady: bool
    longest_ms: int
    lowest: float
    highest: float
    live: bool  # it was heard, and not only what the broker had kept
    counter: bool
    grew: bool  # it grew all the time, which a counter does, and a warming machine too
    constant: bool
    switch: bool
    count: int


def nice(period_ms: float) -> int:
    """The period as somebody would have set it.

    >>> nice(998.7), nice(487), nice(1404.2), nice(0.2)
    (1000, 500, 1400, 1)
    """
    best = min(NICE, key=lambda each: abs(math.log(each / max(period_ms, 1e-9))))
    if abs(best - period_ms) <= NEAR * best:
        return best
    digits = max(0, math.floor(math.log10(max(period_ms, 1))) - 1)
    size: int = 10**digits
    return max(1, round(period_ms / size) * size)


def gaps(times: Sequence[int]) -> Int64:
    """The positive differences of the times (N,), in order of time."""
    ordered: Int64 = np.sort(np.array(times, np.int64))
    steps: Int64 = ordered[1:] - ordered[:-1]
    return steps[steps > 0]


def profile(name: str, series: Sequence[Series]) -> Profile:
    """What one sensor of several assets is like."""
    steps = [gaps(each.times) for each in series]
    enough = [each for each in steps if len(each) >= FEWEST]
    period = nice(float(np.median([np.median(each) for each in enough]))) if enough else None
    joined = np.concatenate(steps) if steps else np.zeros(0, np.int64)
    irregular = bool(period and np.quantile(joined, 0.9) > IRREGULAR * period)
    steady = bool(period and np.mean(np.abs(joined / period - np.rint(joined / period)) <= STEADY) > 0.95)  # noqa: PLR2004
    values = np.array([value for each in series for value in each.values], np.float64)
    long = [each for each in series if len(each.values) - each.old >= 2 * FEWEST]
    whole = bool(np.all(values == np.rint(values)))
    by_name = bool(COUNTERS.search(plain(name)))
    grew = bool(long) and all(_grew(each, FEW_STEPS if whole or by_name else STEPS) for each in long)
    steps_seen = max((len(np.unique(each.values[each.old :])) for each in long), default=0)
    distinct = np.unique(values[:10_000])
    return Profile(
        period_ms=period,
        irregular=irregular,
        steady=steady,
        longest_ms=int(np.quantile(joined, 0.99)) if len(joined) else 0,
        lowest=float(values.min()),
        highest=float(values.max()),
        live=any(each.times for each in series),
        counter=grew and (by_name or (whole and steps_seen >= STEPS)),
        grew=grew,
        constant=len(values) > FEWEST and all(_constant(each) for each in series),
        switch=len(values) > FEWEST and set(distinct.tolist()) == {0.0, 1.0},
        count=len(values),
    )


def _grew(series: Series, steps: int) -> bool:
    values = np.array(series.values[series.old :], np.float64)
    return bool(np.all(np.diff(values) >= 0)) and len(np.unique(values)) >= steps


def _constant(series: Series) -> bool:
    return bool(np.ptp(np.array(series.values, np.float64)) == 0)


def widened(lowest: float, highest: float, unit: str) -> tuple[float, float]:
    """Limits clearly wider than what was seen: as far again on either side, in round numbers, and zero.

    >>> widened(20.0, 80.0, "°C"), widened(3.0, 97.0, "%"), widened(5.0, 5.0, "bar")
    ((-40.0, 150.0), (0.0, 100.0), (0.0, 8.0))
    """
    if unit == "%" and lowest >= 0 and highest <= 100:  # noqa: PLR2004 - a share
        return 0.0, 100.0
    span = max(highest - lowest, 0.5 * max(abs(lowest), abs(highest)), 1e-6)
    low, high = lowest - span, highest + span
    if lowest >= 0 and unit not in {"°C", "°F"}:
        low = 0.0  # what stands still reports that
    return _round(low, up=False), _round(high, up=True)


def _round(value: float, *, up: bool) -> float:
    if value == 0 or not math.isfinite(value):
        return 0.0 if value == 0 else value
    size = 10.0 ** math.floor(math.log10(abs(value)))
    steps = [-10, -8, -7, -6, -5, -4, -3, -2.5, -2, -1.5, -1, 0, 1, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 10]
    scaled = value / size
    fits = [step for step in steps if (step >= scaled - 1e-9 if up else step <= scaled + 1e-9)]
    return float(f"{(min(fits) if up else max(fits)) * size:.6g}")
