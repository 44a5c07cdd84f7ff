"""A budget of false alarms, and the floor of the threshold that keeps it. Pure.

What is counted is incidents on rows of assets that were well, at a ladder of floors (`monitor.false_alarms`).
Counts are taken as Poisson's: the floor is the lowest whose rate is within the budget with certainty `SURE`. Where
the rows are too few for that (nothing seen in a time says only that there are less than three in it), the tail of
the counts is gone on with, up to `REACH` times rarer than the rows could show, and no further.

The tail is Pareto's: above a floor with `PEAKS` incidents at the least, each rung of the ladder leaves the same
share of them. That share has an exact bound too, a negative binomial one. Both hold together in nine cases of ten
(Bonferroni).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from monitor.false_alarms import SURE, poisson_bounds

if TYPE_CHECKING:
    from monitor.false_alarms import FalseAlarms
    from monitor.records import Float64

DAYS = {"day": 1.0, "week": 7.0, "month": 365.25 / 12, "year": 365.25}
LOWEST = 0.5  # half of what one in a thousand normal rows reaches: nobody would want to see what is below
RUNG = 1.05  # from one floor of the ladder to the next
PEAKS = 20  # incidents of which a tail is known
REACH = 10.0


@dataclass(frozen=True, slots=True)
class Budget:
    """So many false alarms in a time, of each asset or of all together."""

    count: float
    of: Literal["asset", "fleet"]
    unit: str  # a key of DAYS

    def a_day(self, assets: int) -> float:
        """Per asset-day."""
        return self.count / DAYS[self.unit] / (1 if self.of == "asset" else max(assets, 1))

    def of_rate(self, a_day: float, assets: int) -> float:
        """A rate per asset-day in the budget's unit."""
        return a_day / self.a_day(assets) * self.count

    def __str__(self) -> str:
        return f"{self.count:g}/{self.of}-{self.unit}"


def parse(text: str) -> Budget:
    """A budget as people write it. Raises ValueError in words.

    >>> parse("1/asset-month"), str(parse("0.5 / fleet-week"))
    (Budget(count=1.0, of='asset', unit='month'), '0.5/fleet-week')
    """
    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*/\s*(asset|fleet)-(day|week|month|year)\s*", text)
    if match is None or not 0 < float(match[1]) < math.inf:
        raise ValueError(
            f'"{text}" is no budget: write a number above 0 and what it is of, such as 1/asset-month; there are'
            " asset and fleet, day, week, month and year"
        )
    return Budget(float(match[1]), "asset" if match[2] == "asset" else "fleet", match[3])


@dataclass(frozen=True, slots=True)
class Choice:
    """The floor that keeps a budget, or why there is none. Rates are per asset-day."""

    floor: float | None
    way: Literal["counted", "tail", "none"]
    a_day: float | None = None  # what is to be expected; a tail does not say
    low: float | None = None
    high: float | None = None  # the bound that is within the budget
    why: str = ""  # there is no floor


def ladder(cap: float) -> Float64:
    """The floors (K,) that are tried, up to the cap."""
    rungs = math.floor(math.log(max(cap, LOWEST) / LOWEST) / math.log(RUNG) + 1e-9)
    return (LOWEST * RUNG ** np.arange(rungs + 1)).astype(np.float64)


def wanted_days(allowed: float) -> float:
    """Asset-days of normal rows that can show by themselves that a rate per asset-day is kept."""
    return poisson_bounds(0)[1] / allowed


def choose(found: FalseAlarms, allowed: float) -> Choice:
    """The lowest floor of a ladder that keeps to a rate per asset-day, by what was counted on it."""
    days, wanted = found.days, wanted_days(allowed)
    # A higher floor can count more, where it parts one incident into two: the lower one is not trusted then.
    counts = np.maximum.accumulate(found.incidents[::-1])[::-1]  # (K,)
    if days * REACH < wanted:
        return _none(
            f"{days:.3g} asset-days of normal data cannot promise this: that takes {wanted:.3g}, or"
            f" {wanted / REACH:.3g} with the tail of what was seen"
        )
    if days < wanted:
        return _by_tail(found, counts, allowed)
    bounds = [poisson_bounds(int(count)) for count in counts]
    for floor, count, (low, high) in zip(found.floors.tolist(), counts.tolist(), bounds, strict=True):
        if high <= allowed * days:
            return Choice(floor, "counted", count / days, low / days, high / days)
    return _none(f"at a floor of {found.floors[-1]:.3g}, the highest there is, {counts[-1]} incidents are left")


def _by_tail(found: FalseAlarms, counts: np.typing.NDArray[np.int64], allowed: float) -> Choice:
    enough = np.flatnonzero(counts >= PEAKS)
    if not len(enough):
        return _none(
            f"{found.days:.3g} asset-days of normal data are too few for this ({wanted_days(allowed):.3g} would"
            f" do), and {counts[0]} incidents at the lowest floor tell no tail ({PEAKS} would)"
        )
    base = int(enough[-1])
    peaks, beyond = int(counts[base]), int(counts[base + 1 :].sum())
    _, high = poisson_bounds(peaks)
    share = share_bound(peaks, beyond)
    rungs = math.log(high / (allowed * found.days)) / -math.log(share)
    floor = float(found.floors[base]) * RUNG**rungs
    if floor > found.floors[-1]:
        return _none(
            f"the tail of what was seen reaches beyond {found.floors[-1]:.3g}, the highest floor there is"
        )
    # The tail of rare, long passages is heavier than that of the many short ones: of it only the bound is told.
    return Choice(floor, "tail", high=allowed)


def _none(why: str) -> Choice:
    return Choice(None, "none", why=why)


def share_bound(peaks: int, beyond: int) -> float:
    """The largest share of incidents that a rung may leave, with `SURE`.

    Of `peaks` incidents each goes on for rungs as long as a coin of that share says; together they went on for
    `beyond`.

    >>> round(share_bound(1, 0), 4)  # one that did not go on at all
    0.95
    """
    low, high = 0.0, 1.0
    steps = np.arange(beyond + 1)
    ways = np.cumsum(
        np.concatenate([[0.0], np.log((peaks + steps[1:] - 1) / steps[1:])])
    )  # log of peaks + j - 1 over j
    for _ in range(50):
        share = (low + high) / 2
        logarithm = ways + steps * math.log(share) + peaks * math.log1p(-share)
        low, high = (share, high) if np.exp(logarithm).sum() > 1 - SURE else (low, share)
    return low


def shown(floor: float) -> float:
    """A floor as it is written: two decimals, never lower.

    >>> shown(1.2345), shown(1.25)
    (1.24, 1.25)
    """
    return math.ceil(round(floor * 100, 6)) / 100
