"""How many false alarms floors of the threshold would bring, by the scores of assets that were well. Pure.

Every asset is, at every floor, a stream of `monitor.alert`: k of n rows, delays and deadband count as in service,
and a score that is above the threshold for a moment is no false alarm yet. Most rows are far below the lowest
floor and change nothing; only the passages around those that are not go through the alert, all side by side.

Neither does a higher floor end what the recent scores of an asset ask for, nor is the lower threshold known that
they would have asked for below the floor of the time: there the floor alone is taken, and the figure is too high
rather than too low.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from monitor import unscored
from monitor.alert import AlertState, advance
from monitor.records import Scores

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from monitor.alert import AlertConfig
    from monitor.records import Bool, Float32, Float64, Int64

DAY_MS = 86_400_000
TOGETHER = 40_000  # streams, assets times floors, that are judged side by side
SURE = 0.95  # of a bound: the rate of all time is beyond it in one case of twenty
NORMAL_QUANTILE = 1.6449  # of that
MANY = 100  # counts, from which on the approximation is as good


@dataclass(frozen=True, slots=True)
class NormalRows:
    """Scored rows of one asset that was well, in the order of time. What lies between them was not scored."""

    tick: Int64  # (N,)
    score: Float32  # (N,)
    least: Float32  # (N,) what the threshold was, or would be, whatever the floor; 0 = the floor decides
    level: Float32  # (N,) the floor of the row's regime is so many times the floor
    rested: Bool  # (N,) since the row before, the machine was in a regime that is not scored

    @classmethod
    def at_the_floor(cls, tick: Int64, score: Float32, rested: Bool | None = None) -> NormalRows:
        """Rows of one regime that nothing but the floor judges."""
        nothing, one = np.zeros(len(tick), np.float32), np.ones(len(tick), np.float32)
        return cls(tick, score, nothing, one, np.zeros(len(tick), np.bool_) if rested is None else rested)

    def thresholds(self, floors: Float64) -> Float32:
        """The threshold of each row (N,) at each of K floors: (N, K)."""
        asked: Float32 = np.maximum(self.level[:, None] * floors, self.least[:, None]).astype(np.float32)
        return asked


@dataclass(frozen=True, slots=True)
class FalseAlarms:
    """What floors (K,) came to on rows of assets that were well."""

    floors: Float64  # (K,)
    incidents: Int64  # (K,) that fired
    observed_ms: int  # how long the assets were scored, together

    @property
    def days(self) -> float:
        """Asset-days that were observed."""
        return self.observed_ms / DAY_MS

    @property
    def a_day(self) -> Float64:
        """(K,) incidents per asset-day; NaN where nothing was observed."""
        rate: Float64 = self.incidents / (self.days or math.nan)
        return rate

    def bounds(self, floor: int) -> tuple[float, float]:
        """Between which rates per asset-day that of the floor with this number lies, each bound with `SURE`."""
        low, high = poisson_bounds(int(self.incidents[floor]))
        days = self.days or math.nan
        return low / days, high / days


def false_alarms(
    assets: Sequence[NormalRows], config: AlertConfig, floors: Float64, *, ticks_a_row: int = 1
) -> FalseAlarms:
    """The incidents that the alert would have fired on these rows at each of the floors (K,).

    Each asset begins and ends anew: give what lies on both sides of a real incident as two.
    """
    incidents = np.zeros(len(floors), np.int64)
    lowest = np.array([floors.min()])
    passages = [
        _Passage(each, first, end)
        for each in assets
        for first, end in _loud(each, config, each.thresholds(lowest)[:, 0])
    ]
    passages.sort(key=lambda each: each.first - each.end)  # the longest first
    together = max(1, TOGETHER // len(floors))
    for first in range(0, len(passages), together):
        incidents += _fired(passages[first : first + together], config, floors)
    rows = sum(len(each.tick) for each in assets)
    return FalseAlarms(floors, incidents, rows * ticks_a_row * config.period_ms)


class _Passage(NamedTuple):
    """Rows of an asset, before which nothing is pending, open or remembered at any floor."""

    rows: NormalRows
    first: int
    end: int


def _loud(rows: NormalRows, config: AlertConfig, lowest: Float32) -> Iterator[tuple[int, int]]:
    """The passages that can raise incidents at the lowest thresholds (N,), and so at any.

    After n rows below all deadbands nothing is pending any more; `off_delay_ticks` later nothing is open.
    """
    loud = np.flatnonzero(rows.score >= lowest * (1 - config.deadband))  # (L,)
    if not len(loud):
        return
    # A rest makes the time until an incident clears begin anew.
    rest = np.maximum.accumulate(np.where(rows.rested, np.arange(len(rows.tick)), 0))  # (N,) the latest one
    last, following = loud[:-1], loud[1:]
    calm = np.maximum(last + config.n, rest[following - 1])  # (L - 1,) from this row on nothing can fire
    calm = np.minimum(calm, following)
    over = (calm < following) & (rows.tick[following - 1] - rows.tick[calm] >= config.off_delay_ticks)
    firsts = np.append(loud[:1], following[over])
    ends = np.minimum(np.append(last[over], loud[-1:]) + config.n, len(rows.tick))
    yield from zip(firsts.tolist(), ends.tolist(), strict=True)


def _fired(passages: Sequence[_Passage], config: AlertConfig, floors: Float64) -> Int64:
    """How many incidents fire at each floor (K,); the passages are in order, the longest first."""
    count = len(floors)
    lengths = np.array([each.end - each.first for each in passages])  # (M,)
    begins = np.cumsum(lengths) - lengths  # (M,)
    cut = [[column[each.first : each.end] for column in _columns(each.rows)] for each in passages]
    columns = [np.concatenate(parts) for parts in zip(*cut, strict=True)]
    rested = columns[-1]
    state = AlertState.empty(replace(config, sensors=()), len(passages) * count)
    stream = np.arange(len(passages) * count, dtype=np.int32)  # that of a passage at each floor, together
    zero, no_sensor = np.zeros(len(stream), np.uint8), np.zeros((len(stream), 0), np.float32)  # status: scored
    fired = np.zeros(count, np.int64)
    for step in range(int(lengths[0])):
        going = int(np.searchsorted(-lengths, -step))  # passages that are longer than this
        at, width = begins[:going] + step, going * count
        if rested[at].any():
            unscored.pause(state, stream[:width][np.repeat(rested[at], count)])
        rows = NormalRows(*(column[at] for column in columns))
        scores = Scores(
            stream=stream[:width],
            tick=np.repeat(rows.tick, count),
            status=zero[:width],
            score=np.repeat(rows.score, count),
            threshold=rows.thresholds(floors).ravel(),
            contribution=no_sensor[:width],
            expected=no_sensor[:width],
            actual=no_sensor[:width],
            regime=zero[:width],
        )
        judged, fires, _ = advance(state, config, scores)
        fired += np.bincount(judged[fires] % count, minlength=count)
    return fired


def _columns(rows: NormalRows) -> list[Any]:
    return [getattr(rows, each.name) for each in fields(NormalRows)]


def poisson_bounds(count: int) -> tuple[float, float]:
    """Between which expected counts that of something seen so often lies, each bound with `SURE`.

    Exact (Garwood 1936); of many, as Byar's approximation has it, to a thousandth.

    >>> [round(each, 3) for each in poisson_bounds(0)]
    [0.0, 2.996]
    """
    if count > MANY:
        deviation = NORMAL_QUANTILE / 3
        low = count * (1 - 1 / (9 * count) - deviation / math.sqrt(count)) ** 3
        above = count + 1
        return low, above * (1 - 1 / (9 * above) + deviation / math.sqrt(above)) ** 3
    return _expected(count - 1, SURE) if count else 0.0, _expected(count, 1 - SURE)


def _expected(most: int, share: float) -> float:
    """The expected count by which so many or fewer are seen with that probability."""
    low, high = 0.0, 2.0 * most + 20
    for _ in range(60):
        middle = (low + high) / 2
        term = total = math.exp(-middle)
        for number in range(1, most + 1):
            term *= middle / number
            total += term
        low, high = (middle, high) if total > share else (low, middle)
    return low
