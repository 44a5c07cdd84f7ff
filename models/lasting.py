"""What lasts: a deviation too small for one window, that is still there after minutes [pure].

For one sensor, r is what its latest value differs by from what the others say of it, over what is usual of that on
held-out normal windows, and cut at LIMIT times that. Of every asset are kept

    recent   the exponentially weighted means of r over a few windows, and over more (EWMA, Roberts 1959)
    latest   the same over one window
    usual    the mean of r over many windows: what this asset always differs by, as castings and sensors do

and judged is recent - usual, all sensors together, by Hotelling's T² (MEWMA, Lowry, Woodall, Champ and Rigdon
1992): its root over the root's own high quantile on held-out normal runs, of the two the larger. It counts as far
as the next shorter mean less the usual still has that deviation, along its direction, so that what is mended is
over soon. An asset is not judged until it has a usual, and never taken to differ by more than assets do in normal
data: a fault that was there from the start, or that grows slowly, is not learned away.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from models.completed import completed
from models.remembered import remembered
from models.tails import tail

if TYPE_CHECKING:
    from collections.abc import Sequence

Bool = npt.NDArray[np.bool_]
Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Int = npt.NDArray[np.int_]
Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]

# In windows, so that they fit machines that are fast and slow.
RECENT = (6.0, 30.0)  # what the recent means forget over
LATEST = 1.0
HORIZONS = np.array((LATEST, *RECENT), np.float32)[:, None]  # (M, 1)
STILL = 1.25  # times the share of a deviation that the shorter mean has: one, and room for its noise
SETTLE = 20.0  # of rows, that make a usual; the first mean of a few would be one of the state the machine is in
FORGET = 1440.0  # what the usual forgets over at the most
READY = 0.5  # weight that a mean must have: of one without a pause it is 1 in the end
LIMIT = 2.0  # of |r|: one absurd value must not stand in a mean for minutes
SENSOR_QUANTILE = 0.99  # of |r|, which makes it 1
QUANTILE = 0.9999  # of the root of T², times MARGIN, makes 1.0: one value stands for minutes, each an alarm
MARGIN = 1.1
MARGIN_FEW = 2.0  # over the root of the horizons that calibrate: few runs have not shown the worst
MOST_SENSORS = 100  # more have none: the matrix would outgrow the header
LEAST_RUNS = 20.0  # horizons of RECENT, in the runs that calibrate
LEAST_BOUND = 1.0  # |usual| may always be as large: few assets do not show how much assets differ
BOUND = 1.5  # times the largest that was seen
NOISE = 0.1  # of a sensor's deviation, that no direction varies less than
SMALLEST = 1e-6  # of a unit, a deviation, a quantile: normal data without any error must not divide by zero
NEW = np.int64(-(2**62))  # no row yet


@dataclass(frozen=True, slots=True)
class Recent:
    """What is usual of recent - usual."""

    windows: float  # what the recent mean forgets over
    precision: Float32  # (C, C) inverse covariance
    score: float  # quantile of the root of T², > 0


@dataclass(frozen=True, slots=True)
class Lasting:
    """What is usual of deviations that last, in normal runs."""

    window: int  # T, ticks: what the horizons are multiples of
    unit: Float32  # (C,) what makes r 1, in the unit of the residuals, > 0
    bound: Float32  # (C,) no usual counts as more
    recent: tuple[Recent, ...]  # as many of RECENT as could be calibrated, in its order


@dataclass(slots=True)
class LastingState:
    """S streams; M means, the latest and then those of RECENT."""

    mean: Float32  # (S, M, C)
    weight: Float32  # (S, M, C) 0 = none yet
    usual: Float32  # (S, C)
    learned: Float32  # (S, C) ticks that are in it
    last_tick: Int64  # (S,) of the last row

    @classmethod
    def empty(cls, sensors: int, streams: int) -> LastingState:
        """The state of streams that have not been scored yet."""
        means = (streams, 1 + len(RECENT), sensors)
        return cls(
            mean=np.zeros(means, np.float32),
            weight=np.zeros(means, np.float32),
            usual=np.zeros((streams, sensors), np.float32),
            learned=np.zeros((streams, sensors), np.float32),
            last_tick=np.full(streams, NEW),
        )


def push(
    state: LastingState, lasting: Lasting, stream: Int32, tick: Int64, residual: Float32, *, frozen: Bool
) -> tuple[Float32, Float32]:
    """Take in one row a stream: residuals (B, C) as `lasting.unit` has them, NaN = not judged; changes `state`.

    Streams that are `frozen` (B,) do not learn what is usual. Returns contribution (B, C) and score (B,) as
    `models.residual.judge` does; NaN where there is nothing to judge yet.
    """
    there = ~np.isnan(residual)
    row, ticks = _remember(state, lasting, stream, tick, residual)
    contribution = np.full(row.shape, np.nan, np.float32)
    score = np.full(len(row), np.nan, np.float32)
    deviations = _deviations(state, lasting, stream)
    for usual, recent, shorter in zip(lasting.recent, deviations[1:], deviations, strict=False):
        found = _judge(usual, recent, shorter, there)
        contribution, score = np.fmax(contribution, found[0]), np.fmax(score, found[1])
    _learn(state, lasting, stream, row, ticks * there * ~frozen[:, None])
    return contribution, score


def forget(state: LastingState, stream: int) -> None:
    """What comes next says what is usual of a stream; changes `state`."""
    state.weight[stream] = state.learned[stream] = 0
    state.last_tick[stream] = NEW


def _remember(
    state: LastingState, lasting: Lasting, stream: Int32, tick: Int64, residual: Float32
) -> tuple[Float32, Float32]:
    """Take rows into the means; returns them in units (B, C), and their ticks (B, 1)."""
    last = state.last_tick.take(stream)
    age = np.where(last == NEW, 1, np.maximum(tick - last, 0)).astype(np.float32)[:, None]  # (B, 1)
    state.last_tick[stream] = tick
    ticks = np.minimum(age, np.float32(lasting.window))  # what a row stands for after a pause
    missing = np.isnan(residual)
    row: Float32 = residual / lasting.unit
    np.minimum(np.maximum(row, -LIMIT, out=row), LIMIT, out=row)
    if len(age) and np.count_nonzero(age == age[0]) == len(age):  # mostly a tick has passed for all of them
        kept, gained = _factors_of(float(age[0, 0]), lasting.window, residual.shape[1])
    else:
        kept, gained = _factors(age, lasting.window, residual.shape[1])
    share = gained  # likewise
    if np.count_nonzero(missing):
        row[missing] = 0
        share = ~missing[:, None] * gained
    weight = state.weight.take(stream, axis=0)  # (B, M, C)
    weight *= kept
    weight += share
    state.weight[stream] = weight
    mean = state.mean.take(stream, axis=0)
    away = row[:, None] - mean
    away *= share / np.maximum(weight, np.float32(SMALLEST))
    mean += away
    state.mean[stream] = mean
    return row, ticks


def _factors(age: Float32, window: int, sensors: int) -> tuple[Float32, Float32]:
    """What means (B, M, C) keep of their weight after so many ticks (B, 1), and what a row adds to it."""
    horizon = HORIZONS * window  # (M, 1)
    stands_for = np.minimum(age, np.float32(window))[:, None]
    kept, gained = (
        np.repeat(factor, sensors, axis=2)
        for factor in (np.exp(-age[:, None] / horizon), -np.expm1(-stands_for / horizon))
    )
    return kept, gained


@lru_cache(maxsize=256)
def _factors_of(age: float, window: int, sensors: int) -> tuple[Float32, Float32]:
    """The same (1, M, C) of one age, which is that of most rows."""
    return _factors(np.full((1, 1), age, np.float32), window, sensors)


def _deviations(state: LastingState, lasting: Lasting, stream: Int32) -> list[Float32]:
    """The means less the usual, from the shortest on, (B, C) each, NaN = not ready."""
    settled = state.learned.take(stream, axis=0) >= SETTLE * lasting.window  # (B, C)
    usual = np.minimum(np.maximum(state.usual.take(stream, axis=0), -lasting.bound), lasting.bound)
    ready = state.weight.take(stream, axis=0) >= READY  # (B, M, C)
    deviation = state.mean.take(stream, axis=0) - usual[:, None]
    if np.count_nonzero(settled) < settled.size or np.count_nonzero(ready) < ready.size:
        for index in range(deviation.shape[1]):
            settled &= ready[:, index]  # without the shorter mean there is nothing to say
            deviation[:, index][~settled] = np.nan
    return list(deviation.swapaxes(0, 1))


def _learn(state: LastingState, lasting: Lasting, stream: Int32, row: Float32, ticks: Float32) -> None:
    """Take rows (B, C) into what is usual, for so many ticks (B, C)."""
    learned = np.minimum(state.learned.take(stream, axis=0) + ticks, np.float32(FORGET * lasting.window))
    usual = state.usual.take(stream, axis=0)
    state.usual[stream] = usual + ticks / np.maximum(learned, 1) * (row - usual)
    state.learned[stream] = learned


def _judge(usual: Recent, recent: Float32, shorter: Float32, there: Bool) -> tuple[Float32, Float32]:
    """Contribution (B, C) and score (B,) by deviations from the usual (B, C), NaN = not ready."""
    contribution = np.full(recent.shape, np.nan, np.float32)
    score = np.full(len(recent), np.nan, np.float32)
    ready = ~np.isnan(recent)
    rows: slice | Int = slice(None)
    if np.count_nonzero(ready) < ready.size:
        rows = np.flatnonzero(2 * np.count_nonzero(ready, axis=1) > recent.shape[1])
        shorter = np.where(ready, shorter, np.float32(np.nan))
        if not len(rows):
            return contribution, score
    precision, deviation = _exactly(usual)
    long, short = (completed(each[rows].astype(np.float64), precision) for each in (recent, shorter))
    weighted = long @ precision  # (b, C)
    square = np.maximum(np.einsum("bc,bc->b", long, weighted), SMALLEST**2)  # (b,) T²
    still = np.minimum(np.maximum(STILL * np.einsum("bc,bc->b", short, weighted) / square, 0), 1)
    score[rows] = np.sqrt(square) * still / usual.score
    # How far each sensor is from what the others make it, in its own deviations: large of those that are to blame.
    alone = np.abs(weighted) / deviation * (still / usual.score)[:, None]  # (b, C)
    contribution[rows] = alone
    unseen = ~(ready & there)
    if np.count_nonzero(unseen):
        contribution[unseen] = np.nan
    return contribution, score


@remembered
def _exactly(usual: Recent) -> tuple[Float64, Float64]:
    """The precision (C, C), and its diagonal's root (C,): differences of nearly equal numbers are what counts."""
    precision = usual.precision.astype(np.float64)
    return precision, np.sqrt(np.diag(precision))


@dataclass(frozen=True, slots=True)
class NormalRun:
    """Held-out rows of one asset, in the order of time."""

    tick: Int64  # (N,)
    residual: Float32  # (N, C) scaled units, NaN = not judged


def calibrate_lasting(runs: Sequence[NormalRun], window: int) -> tuple[Lasting | None, str]:
    """What is usual in held-out normal runs, and in words how it was found, or why it was not.

    How sensors' deviations go together in one half of the runs says how far those of the other half get.
    """
    runs = [run for run in runs if len(run.tick)]
    if window == 1 or not runs:
        return None, "single rows do not last"
    sensors = runs[0].residual.shape[1]
    if sensors > MOST_SENSORS:
        return None, f"{sensors} sensors are more than {MOST_SENSORS}"
    unit = _unit(np.concatenate([run.residual for run in runs]))
    draft = Lasting(window, unit, np.full(sensors, np.inf, np.float32), ())
    found = _followed(draft, runs)
    recent, counts = [], []
    for windows, rows in zip(RECENT, found, strict=True):
        horizon = windows * window
        counts.append(f"{rows.ticks.sum() / horizon:.0f} times {horizon:.0f} ticks")
        if rows.ticks.sum() >= LEAST_RUNS * horizon:
            recent.append(Recent(windows, _precision(rows, horizon), _quantile(rows, horizon)))
        else:
            break
    if not recent:
        return None, (
            f"held-out runs make up {counts[0]}, where {LEAST_RUNS:.0f} are wanted; "
            f"the first {SETTLE * window:.0f} ticks of each do not count"
        )
    usual = np.abs(found[0].usual).max(axis=0, initial=0)  # (C,)
    bound = np.maximum(BOUND * usual, LEAST_BOUND).astype(np.float32)
    words = " and ".join(counts[: len(recent)])
    return replace(draft, bound=bound, recent=tuple(recent)), (
        f"by {words} of {len(np.unique(found[0].run))} held-out runs"
    )


@dataclass(frozen=True, slots=True)
class _Followed:
    """N rows of runs that could be judged."""

    run: Int  # (N,)
    ticks: Float32  # (N,) that each stands for
    recent: Float32  # (N, C) less the usual, NaN = not ready
    shorter: Float32  # (N, C) the next shorter mean, likewise
    usual: Float32  # (N, C)

    def of(self, rows: Bool) -> _Followed:
        """Some of the rows."""
        means = self.recent[rows], self.shorter[rows], self.usual[rows]
        return _Followed(self.run[rows], self.ticks[rows], *means)

    def half(self) -> Bool:
        """Which rows (N,) are of the second half: of the runs, or of the time where there is one run."""
        runs = np.unique(self.run)
        if len(runs) == 1:
            return np.arange(len(self.run)) >= len(self.run) // 2
        return np.isin(self.run, runs[1::2])


def _unit(residual: Float32) -> Float32:
    """What makes the residuals (N, C) of a sensor 1."""
    known = ~np.isnan(residual).all(axis=0)
    unit = np.ones(residual.shape[1], np.float32)
    unit[known] = np.maximum(np.nanquantile(np.abs(residual[:, known]), SENSOR_QUANTILE, axis=0), SMALLEST)
    return unit


def _followed(draft: Lasting, runs: Sequence[NormalRun]) -> list[_Followed]:
    """All runs followed side by side, row by row; what each of RECENT made of them."""
    longest = max(len(run.tick) for run in runs)
    sensors = runs[0].residual.shape[1]
    state = LastingState.empty(sensors, len(runs))
    lengths = np.array([len(run.tick) for run in runs])
    tick = np.zeros((longest, len(runs)), np.int64)
    residual = np.full((longest, len(runs), sensors), np.nan, np.float32)
    for number, run in enumerate(runs):
        tick[: len(run.tick), number] = run.tick
        residual[: len(run.tick), number] = run.residual
    parts: list[list[_Followed]] = [[] for _ in RECENT]
    for index in range(longest):
        stream = np.flatnonzero(lengths > index).astype(np.int32)
        here = residual[index, stream]
        row, ticks = _remember(state, draft, stream, tick[index, stream], here)
        deviations = _deviations(state, draft, stream)
        for kept, each, shorter in zip(parts, deviations[1:], deviations, strict=False):
            ready = np.flatnonzero(2 * (~np.isnan(each)).sum(axis=1) > sensors)
            usual = state.usual[stream[ready]]
            kept.append(
                _Followed(stream[ready].astype(np.int_), ticks[ready, 0], each[ready], shorter[ready], usual)
            )
        _learn(state, draft, stream, row, ticks * ~np.isnan(here))
    return [_together(kept) for kept in parts]


def _together(parts: list[_Followed]) -> _Followed:
    return _Followed(
        np.concatenate([each.run for each in parts]),
        np.concatenate([each.ticks for each in parts]),
        np.concatenate([each.recent for each in parts]),
        np.concatenate([each.shorter for each in parts]),
        np.concatenate([each.usual for each in parts]),
    )


def _quantile(rows: _Followed, horizon: float) -> float:
    """What makes 1.0, of the root of T²: each half judged by how the sensors go together in the other."""
    half, found = rows.half(), []
    for one in (False, True):
        known, asked = rows.of(half != one), rows.of(half == one)
        if len(known.run) and len(asked.run):
            usual = Recent(0, _precision(known, horizon), 1.0)
            found.append(_judge(usual, asked.recent, asked.shorter, ~np.isnan(asked.recent))[1])
    count = float(rows.ticks.sum()) / horizon
    return max(tail(np.concatenate(found), QUANTILE) * (MARGIN + MARGIN_FEW / math.sqrt(count)), SMALLEST)


def _precision(known: _Followed, horizon: float) -> Float32:
    """The inverse covariance (C, C) about 0, where deviations from the usual lie; shrunk as there are few rows."""
    rows = np.nan_to_num(known.recent).astype(np.float64)
    total = max(float(known.ticks.sum()), 1.0)
    covariance = np.einsum("m,mc,md->cd", known.ticks / total, rows, rows, optimize=True)
    deviation = np.maximum(np.sqrt(np.diag(covariance)), SMALLEST)
    sensors = len(deviation)
    shrunk = sensors / (sensors + total / horizon)
    correlation = (1 - shrunk) * covariance / np.outer(deviation, deviation) + shrunk * np.eye(sensors)
    correlation += NOISE**2 * np.eye(sensors)
    precision: Float64 = np.linalg.inv(correlation) / np.outer(deviation, deviation)
    return precision.astype(np.float32)
