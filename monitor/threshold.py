"""The rolling threshold of every stream, in each of its operating regimes.

Pure. Each stream keeps, for every regime, a histogram of its recent normal scores with logarithmic bins, which
forgets exponentially in event time: exp(-age / horizon). The threshold is a rule over that histogram, kept between
a floor (what held-out normal data reached in training) and a cap.

A fault slower than the horizon would be learned as it grows. After the first horizon of its own an asset therefore
has an anchor, where its threshold stood then, and the threshold never rises above `creep` times that.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Literal

import numpy as np

from models.remembered import remembered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.records import Bool, Float32, Float64, Int32, Int64, UInt8

BINS = 144  # H
LOWEST, HIGHEST = 0.01, 10_000.0  # scores outside fall into the first and the last bin
RATIO = (HIGHEST / LOWEST) ** (1 / BINS)  # 1.10: a quantile is known to a tenth of itself
LOG_RATIO = np.log(RATIO)
CENTRES = LOWEST * RATIO ** (np.arange(BINS) + 0.5)  # (H,)
NEW = np.int64(-(2**62))  # no row yet

ROUNDING = 1e-4  # more than sums of 32-bit weights are wrong by

# MAD x 1.4826 is the standard deviation of a normal distribution (Rousseeuw and Croux 1993).
MAD_TO_DEVIATION = 1.4826


@dataclass(frozen=True, slots=True)
class ThresholdConfig:
    """How the threshold follows; the settings' section `threshold` explains each value."""

    rule: Literal["quantile", "mad"]
    quantile: float
    margin: float
    deviations: float
    horizon_ticks: float
    min_rows: int
    floor: float
    cap: float
    creep: float = 1.5
    regime_rows: tuple[int, ...] = ()  # (R,) min_rows of each regime; none: all of them have one threshold
    regime_levels: tuple[float, ...] = ()  # (R,) the floor of each is so many times `floor`; none: as it is

    @property
    def rows_to_learn(self) -> tuple[int, ...]:
        """(R,) scored rows in each regime before its recent scores count."""
        return self.regime_rows or (self.min_rows,)


@dataclass(slots=True)
class ThresholdState:
    """S streams in R regimes."""

    histogram: Float32  # (S, R, H) weights of recent normal scores
    last_tick: Int64  # (S, R) of the last row that was learned, or seen while frozen
    accepted: Float32  # (S, R) what `accept` made normal raises the cap to this; 0 = it did not
    to_learn: Int32  # (S, R) rows still to be learned before the recent scores count
    relearning: Bool  # (S, R) until then nothing is judged, because `accept` came
    to_anchor: Float32  # (S, R) event time still to be learned before there is an anchor, ticks
    anchor: Float32  # (S, R) where the threshold stood then; 0 = there is none yet

    @classmethod
    def empty(cls, config: ThresholdConfig, streams: int) -> ThresholdState:
        """The state of streams that have not been scored yet."""
        each = (streams, len(config.rows_to_learn))
        return cls(
            histogram=np.zeros((*each, BINS), np.float32),
            last_tick=np.full(each, NEW),
            accepted=np.zeros(each, np.float32),
            to_learn=np.tile(np.array(config.rows_to_learn, np.int32), (streams, 1)),
            relearning=np.zeros(each, np.bool_),
            to_anchor=np.full(each, config.horizon_ticks, np.float32),
            anchor=np.zeros(each, np.float32),
        )


def current(state: ThresholdState, config: ThresholdConfig, stream: Int32, regime: UInt8 | None = None) -> Float32:
    """The threshold (M,) by which the next scores of these streams are judged; NaN while one re-learns.

    `regime` (M,) is the regime of each; None = there is one.
    """
    regime = np.zeros(len(stream), np.uint8) if regime is None else regime
    slot = slots(config, regime)
    threshold = floors(config, regime)
    # Rows are counted for this: what the histogram weighs is bounded by the horizon, and may never be min_rows.
    enough = (state.to_learn[stream, slot] == 0).nonzero()[0]
    if len(enough):
        here = stream[enough], slot[enough]
        ruled = _rule(state, config, *here, regime[enough])
        threshold[enough] = np.minimum(np.maximum(ruled, threshold[enough]), _highest(state, config, *here))
    relearning = state.relearning[stream, slot]
    if np.count_nonzero(relearning):
        threshold[relearning] = np.nan
    return threshold.astype(np.float32)


def creep(state: ThresholdState, config: ThresholdConfig, stream: Int32, regime: UInt8) -> Float32:
    """By how much the recent scores of these streams (M,) would raise the threshold above its anchor.

    At `config.creep` it rises no further. NaN where there is no anchor yet.
    """
    slot = slots(config, regime)
    anchor = state.anchor[stream, slot]
    there = anchor > 0
    ratio = np.full(len(stream), np.nan, np.float32)
    stream, slot, regime = stream[there], slot[there], regime[there]
    wanted = np.maximum(_rule(state, config, stream, slot, regime), floors(config, regime))
    ratio[there] = wanted / anchor[there]
    return ratio


def slots(config: ThresholdConfig, regime: UInt8) -> UInt8:
    """Which of a stream's thresholds each regime (M,) has: its own, or the one that all of them have."""
    return regime if len(config.rows_to_learn) > 1 else np.zeros_like(regime)


def floors(config: ThresholdConfig, regime: UInt8) -> Float64:
    """Below what the threshold (M,) of these regimes never falls; nowhere above the cap."""
    return _floors(config).take(regime if config.regime_levels else np.zeros_like(regime))


def levels(config: ThresholdConfig, regime: UInt8) -> Float64:
    """How many times `floor` the floor (M,) of these regimes is."""
    if not config.regime_levels:
        return np.ones(len(regime))
    return np.array(config.regime_levels, np.float64)[regime]


@remembered
def _floors(config: ThresholdConfig) -> Float64:
    """(R,) of each regime; (1,) where they have no levels."""
    level = np.array(config.regime_levels or (1.0,), np.float64)
    return np.minimum(config.floor * level, max(config.cap, config.floor))


def _rule(state: ThresholdState, config: ThresholdConfig, stream: Int32, slot: UInt8, regime: UInt8) -> Float64:
    """What the rule makes of the recent scores (M,); 0 where that is surely below the floor of the regime."""
    known = state.histogram[stream, slot]  # (M, H)
    if config.rule == "quantile":
        return _by_quantile(known.astype(np.float64), config)
    ruled = np.zeros(len(known))
    above = (~_mad_below_floor(known, config, regime)).nonzero()[0]
    if len(above):
        ruled[above] = _by_mad(known[above].astype(np.float64), config)
    return ruled


def _mad_below_floor(histogram: Float32, config: ThresholdConfig, regime: UInt8) -> Bool:
    """Whether the rule "mad" surely stays below the floor (M,) of the regime, found for less than the rule."""
    cumulated = np.cumsum(histogram, axis=1)  # (M, H)
    half = 0.5 * cumulated[:, -1:]
    median = np.argmax(cumulated >= half, axis=1)  # (M,) its bin
    first, last = _near(config)
    place = regime if config.regime_levels else np.zeros_like(regime), median
    row = np.arange(0, cumulated.size, BINS)
    weight = cumulated.take(row + last[place]) - cumulated.take(row + first[place])
    sure: Bool = weight > half[:, 0] * (1 + ROUNDING)
    return sure


@remembered
def _near(config: ThresholdConfig) -> tuple[Int64, Int64]:
    """For a median in each bin (R, H): behind which bin, and up to which one, half of the scores must lie.

    Then the rule "mad" stays below the floor of the regime, wherever in its bin the median is. 0, 0 = never.
    """
    edges = LOWEST * RATIO ** np.arange(BINS + 1)
    low, high = edges[:-1], edges[1:]  # (H,) of the median
    reach = (_floors(config)[:, None] - high) / (config.deviations * MAD_TO_DEVIATION) * (1 - ROUNDING)  # (R, H)
    first = np.searchsorted(CENTRES, high - reach, side="left") - 1
    last = np.searchsorted(CENTRES, low + reach, side="right") - 1
    never = (reach < high * (RATIO - 1) / 2) | (first < 0)
    return np.where(never, 0, first), np.where(never, 0, last)


def _highest(state: ThresholdState, config: ThresholdConfig, stream: Int32, regime: UInt8) -> Float64:
    """Above what the threshold (M,) never rises."""
    anchor = state.anchor[stream, regime].astype(np.float64)
    highest = np.where(anchor > 0, np.minimum(config.creep * anchor, config.cap), config.cap)
    bound: Float64 = np.maximum(highest, state.accepted[stream, regime])
    return bound


def learn(
    state: ThresholdState,
    config: ThresholdConfig,
    stream: Int32,
    tick: Int64,
    score: Float32,
    regime: UInt8 | None = None,
    *,
    frozen: Bool,
) -> None:
    """Take in one score per stream, except of those that are frozen: they neither learn nor forget.

    Changes `state`.
    """
    of = np.zeros(len(stream), np.uint8) if regime is None else regime
    regime = slots(config, of)  # from here on by threshold
    if np.count_nonzero(frozen):
        state.last_tick[stream[frozen], regime[frozen]] = tick[frozen]
        learns = ~frozen
        stream, regime, of = stream[learns], regime[learns], of[learns]
        tick, score = tick[learns], score[learns]
    last = state.last_tick[stream, regime]
    age = np.where(last == NEW, 0, tick - last)
    state.histogram[stream, regime] *= np.exp(-age / config.horizon_ticks).astype(np.float32)[:, None]
    _anchor(state, config, stream, of, age)
    silent = age > config.horizon_ticks
    if np.count_nonzero(silent):
        _begin_anew(state, config, stream[silent], regime[silent])
    bin_ = np.log(np.maximum(score, LOWEST) / LOWEST) / LOG_RATIO
    state.histogram[stream, regime, np.minimum(np.maximum(bin_, 0), BINS - 1).astype(np.int64)] += 1
    state.last_tick[stream, regime] = tick
    to_learn = np.maximum(state.to_learn[stream, regime] - 1, 0)
    state.to_learn[stream, regime] = to_learn
    done = state.relearning[stream, regime] & (to_learn == 0)
    if np.count_nonzero(done):  # what was accepted is normal, also above the cap
        here = stream[done], regime[done]
        state.relearning[here] = False
        state.accepted[here] = config.margin * quantile(state.histogram[here].astype(np.float64), config.quantile)


def _anchor(state: ThresholdState, config: ThresholdConfig, stream: Int32, regime: UInt8, age: Int64) -> None:
    """Count the time that was learned, silences left out; after a horizon of it the threshold gets its anchor."""
    slot = slots(config, regime)
    waiting = (state.anchor[stream, slot] == 0).nonzero()[0]
    if not len(waiting):
        return
    if len(waiting) < len(stream):
        stream, regime, slot, age = stream[waiting], regime[waiting], slot[waiting], age[waiting]
    passed = np.minimum(np.maximum(age, 1), config.min_rows)
    left = np.maximum(state.to_anchor[stream, slot] - passed, 0).astype(np.float32)
    state.to_anchor[stream, slot] = left
    if np.count_nonzero(left) == len(left):
        return
    ripe = (left == 0) & (state.to_learn[stream, slot] == 0)
    if np.count_nonzero(ripe):
        state.anchor[stream[ripe], slot[ripe]] = current(state, config, stream[ripe], regime[ripe])


def _begin_anew(state: ThresholdState, config: ThresholdConfig, stream: Int32, regime: UInt8) -> None:
    """After a silence that left less than one row's weight, a few rows must not say what is normal."""
    forgotten = state.histogram[stream, regime].sum(axis=1) < 1
    rows = np.array(config.rows_to_learn, np.int32)
    state.to_learn[stream[forgotten], regime[forgotten]] = rows[regime[forgotten]]


def relearn(state: ThresholdState, config: ThresholdConfig, stream: int) -> None:
    """Forget what was normal for a stream, in every regime: the next rows say what is."""
    state.histogram[stream] = 0
    state.last_tick[stream] = NEW
    state.to_learn[stream] = config.rows_to_learn
    state.relearning[stream] = True
    state.to_anchor[stream] = config.horizon_ticks
    state.anchor[stream] = 0


def under(state: ThresholdState, old: Sequence[str], fresh: ThresholdState, new: Sequence[str]) -> ThresholdState:
    """The state under other regimes: those of the same name keep what they learned, others begin as `fresh`."""
    if tuple(old) == tuple(new):
        return state
    for index, name in enumerate(new):
        if name in old:
            for column in fields(ThresholdState):
                getattr(fresh, column.name)[:, index] = getattr(state, column.name)[:, old.index(name)]
    return fresh


def quantile(histogram: Float64, share: float) -> Float64:
    """The quantile (M,) of histograms (M, H), geometrically between the edges of its bin."""
    total = histogram.sum(axis=1)
    cumulated = np.cumsum(histogram, axis=1)
    wanted = share * total
    bin_ = np.minimum((cumulated < wanted[:, None]).sum(axis=1), BINS - 1)
    rows = np.arange(len(histogram))
    below = np.where(bin_ > 0, cumulated[rows, bin_ - 1], 0.0)
    inside = np.clip((wanted - below) / np.maximum(histogram[rows, bin_], 1e-30), 0, 1)
    value: Float64 = LOWEST * RATIO ** (bin_ + inside)
    return value


def _by_quantile(histogram: Float64, config: ThresholdConfig) -> Float64:
    threshold: Float64 = config.margin * quantile(histogram, config.quantile)
    return threshold


def _by_mad(histogram: Float64, config: ThresholdConfig) -> Float64:
    """Median + deviations x scaled median absolute deviation (M,)."""
    median = quantile(histogram, 0.5)
    distance = np.abs(CENTRES - median[:, None])  # (M, H)
    order = np.argsort(distance, axis=1)
    weight = np.cumsum(np.take_along_axis(histogram, order, axis=1), axis=1)
    half = (weight < 0.5 * weight[:, -1:]).sum(axis=1)
    rows = np.arange(len(histogram))
    # Scores that all fall into one bin are known no better than that bin is wide.
    mad = np.maximum(distance[rows, order[rows, np.minimum(half, BINS - 1)]], median * (RATIO - 1) / 2)
    threshold: Float64 = median + config.deviations * MAD_TO_DEVIATION * mad
    return threshold
