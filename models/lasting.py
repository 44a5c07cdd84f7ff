"""What lasts: a deviation too small for one window, that is still there after minutes [pure].

For one sensor, r is what its latest value differs by from what the others say of it, over what is usual of that on
held-out normal windows, and cut at LIMIT times that. Of every asset are kept

    recent   the exponentially weighted mean of r over a few windows (EWMA, Roberts 1959)
    latest   the same over a part of a window
    usual    the mean of r over many windows: what this asset always differs by, as castings and sensors do; a row
             counts the less the nearer to a fault it is

and judged is recent - usual, all sensors together, by Hotelling's T² (MEWMA, Lowry, Woodall, Champ and Rigdon
1992): its root over the root's own high quantile on held-out normal runs. It counts no more than latest - usual
does by the same measure, so that what is mended is over soon. An asset is not judged until it has a usual, and
never taken to differ by more than assets do in normal data: a fault that was there from the start, or that grows
slowly, is not learned away.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

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
RECENT = 6.0  # what the recent mean forgets over
LATEST = 1 / 3
SETTLE = 20.0  # rows that make a usual; the first mean of a few would be one of the state the machine is in
FORGET = 1440.0  # what the usual forgets over at the most
READY = 0.5  # weight that a mean must have: of one without a pause it is 1 in the end
LIMIT = 2.0
SENSOR_QUANTILE = 0.99  # of |r|, which makes it 1
QUANTILE = 0.9999  # of the root of T², times MARGIN, makes 1.0: one value stands for minutes, each an alarm
MARGIN = 1.1
MARGIN_FEW = 2.0  # over the root of the horizons that calibrate: few runs have not shown the worst
MOST_SENSORS = 100  # more have none: the matrix would outgrow the header
LEAST_RUNS = 20.0  # horizons of RECENT, in the runs that calibrate
LEAST_BOUND = 0.25  # |usual| may always be as large as this
BOUND = 1.5  # times the largest that was seen
NOISE = 0.1  # of a sensor's deviation, that no direction varies less than
SMALLEST = 1e-6  # of a unit, a deviation, a quantile: normal data without any error must not divide by zero
NEW = np.int64(-(2**62))  # no row yet


@dataclass(frozen=True, slots=True)
class Lasting:
    """What is usual of deviations that last, in normal runs."""

    window: int  # T, ticks: what the horizons are multiples of
    unit: Float32  # (C,) what makes r 1, in the unit of the residuals, > 0
    bound: Float32  # (C,) no usual counts as more
    precision: Float32  # (C, C) inverse covariance of recent - usual
    score: float  # quantile of the root of T², > 0


@dataclass(slots=True)
class LastingState:
    """S streams."""

    recent: Float32  # (S, C) means
    recent_weight: Float32  # (S, C) 0 = none yet
    latest: Float32  # (S, C)
    latest_weight: Float32  # (S, C)
    usual: Float32  # (S, C)
    learned: Float32  # (S, C) ticks that are in it
    last_tick: Int64  # (S,) of the last row

    @classmethod
    def empty(cls, sensors: int, streams: int) -> LastingState:
        """The state of streams that have not been scored yet."""

        def none() -> Float32:
            return np.zeros((streams, sensors), np.float32)

        return cls(none(), none(), none(), none(), none(), none(), np.full(streams, NEW))


def push(
    state: LastingState, lasting: Lasting, stream: Int32, tick: Int64, residual: Float32, *, frozen: Bool
) -> tuple[Float32, Float32]:
    """Take in one row a stream: residuals (B, C) in the unit's unit, NaN = not judged; changes `state`.

    Streams that are `frozen` (B,) do not learn what is usual. Returns contribution (B, C) and score (B,) as
    `models.residual.judge` does; NaN where there is nothing to judge yet.
    """
    there = ~np.isnan(residual)
    row, ticks = _remember(state, lasting, stream, tick, residual)
    recent, latest, _ = _deviations(state, lasting, stream)
    contribution, score = _judge(lasting, recent, latest, there)
    # The nearer to a fault, the less of it is taken for usual; what has no score yet has no usual either.
    trust = np.where(frozen, 0, np.clip(1 - np.nan_to_num(score), 0, 1))  # (B,)
    _learn(state, lasting, stream, row, ticks * there * trust[:, None])
    return contribution, score


def forget(state: LastingState, stream: int) -> None:
    """What comes next says what is usual of a stream; changes `state`."""
    for each in (state.recent_weight, state.latest_weight, state.learned):
        each[stream] = 0
    state.last_tick[stream] = NEW


def _remember(
    state: LastingState, lasting: Lasting, stream: Int32, tick: Int64, residual: Float32
) -> tuple[Float32, Float32]:
    """Take rows into the means of the last windows; returns them in units (B, C), and their ticks (B, 1)."""
    last = state.last_tick[stream]
    age = np.where(last == NEW, 1, np.maximum(tick - last, 0)).astype(np.float32)[:, None]  # (B, 1)
    state.last_tick[stream] = tick
    ticks = np.minimum(age, np.float32(lasting.window))  # what a row stands for after a pause
    there = ~np.isnan(residual)
    row: Float32 = np.clip(np.where(there, residual, np.float32(0)) / lasting.unit, -LIMIT, LIMIT)  # (B, C)
    for mean, weight, windows in (
        (state.recent, state.recent_weight, RECENT),
        (state.latest, state.latest_weight, LATEST),
    ):
        horizon = np.float32(windows * lasting.window)
        share = np.where(there, -np.expm1(-ticks / horizon), 0)
        weights = weight[stream] * np.exp(-age / horizon) + share
        mean[stream] += share / np.maximum(weights, np.float32(SMALLEST)) * (row - mean[stream])
        weight[stream] = weights
    return row, ticks


def _deviations(state: LastingState, lasting: Lasting, stream: Int32) -> tuple[Float32, Float32, Float32]:
    """Recent and latest less the usual, and the usual, (B, C) each, NaN = not ready."""
    ready = state.learned[stream] >= SETTLE * lasting.window
    ready &= (state.recent_weight[stream] >= READY) & (state.latest_weight[stream] >= READY)
    usual = np.clip(state.usual[stream], -lasting.bound, lasting.bound)
    about = np.where(ready, usual, np.float32(np.nan))
    return state.recent[stream] - about, state.latest[stream] - about, about


def _learn(state: LastingState, lasting: Lasting, stream: Int32, row: Float32, ticks: Float32) -> None:
    """Take rows (B, C) into what is usual, for so many ticks (B, C)."""
    learned = np.minimum(state.learned[stream] + ticks, np.float32(FORGET * lasting.window))
    state.usual[stream] += ticks / np.maximum(learned, 1) * (row - state.usual[stream])
    state.learned[stream] = learned


def _judge(lasting: Lasting, recent: Float32, latest: Float32, there: Bool) -> tuple[Float32, Float32]:
    """Contribution (B, C) and score (B,) by deviations from the usual (B, C), NaN = not ready."""
    contribution = np.full(recent.shape, np.nan, np.float32)
    score = np.full(len(recent), np.nan, np.float32)
    ready = ~np.isnan(recent)
    rows = np.flatnonzero(2 * ready.sum(axis=1) > recent.shape[1])
    if not len(rows):
        return contribution, score
    precision = lasting.precision.astype(np.float64)  # differences of nearly equal numbers are what counts
    long, short = (_completed(each[rows].astype(np.float64), precision) for each in (recent, latest))
    root = _root(long, precision)  # (b,)
    counted = np.minimum(root, _root(short, precision))
    score[rows] = counted / lasting.score
    # How far each sensor is from what the others make it, in its own deviations: large of those that are to blame.
    alone = np.abs(long @ precision) / np.sqrt(np.diag(precision))  # (b, C)
    scale = counted / np.maximum(root, 1e-30) / lasting.score
    contribution[rows] = np.where(ready[rows] & there[rows], alone * scale[:, None], np.nan)
    return contribution, score


def _root(deviation: Float64, precision: Float64) -> Float64:
    """The root of T² (B,)."""
    square = np.einsum("bc,cd,bd->b", deviation, precision, deviation, optimize=True)
    root: Float64 = np.sqrt(np.maximum(square, 0))
    return root


def _completed(deviation: Float64, precision: Float64) -> Float64:
    """Deviations (B, C) with NaN replaced by what the others make most likely, which adds nothing to T²."""
    missing = np.isnan(deviation)
    if not missing.any():
        return deviation
    whole = np.where(missing, 0.0, deviation)
    patterns, which = np.unique(missing, axis=0, return_inverse=True)
    for number, pattern in enumerate(patterns):
        if pattern.any():
            rows = np.flatnonzero(which.ravel() == number)
            known = whole[np.ix_(rows, ~pattern)]
            pull = known @ precision[np.ix_(~pattern, pattern)]
            whole[np.ix_(rows, pattern)] = -np.linalg.solve(precision[np.ix_(pattern, pattern)], pull.T).T
    return whole


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
    draft = Lasting(
        window=window,
        unit=_unit(np.concatenate([run.residual for run in runs])),
        bound=np.full(sensors, np.inf, np.float32),
        precision=np.eye(sensors, dtype=np.float32),
        score=1.0,
    )
    found = _followed(draft, runs)
    horizon = RECENT * window
    count = float(found.ticks.sum()) / horizon
    if count < LEAST_RUNS:
        return None, (
            f"held-out runs make up {count:.0f} times {horizon:.0f} ticks, where {LEAST_RUNS:.0f} are wanted; "
            f"the first {SETTLE * window:.0f} ticks of each do not count"
        )
    half = found.half()  # (M,)
    scores = np.concatenate(
        [_scores(draft, found.of(half != one), found.of(half == one)) for one in (False, True)]
    )
    score = tail(scores, QUANTILE) * (MARGIN + MARGIN_FEW / np.sqrt(count))
    usual = np.abs(found.usual).max(axis=0, initial=0)  # (C,)
    return replace(
        draft,
        bound=np.maximum(BOUND * usual, LEAST_BOUND).astype(np.float32),
        precision=_precision(found),
        score=max(float(score), SMALLEST),
    ), f"by {count:.0f} times {horizon:.0f} ticks of {len(np.unique(found.run))} held-out runs"


@dataclass(frozen=True, slots=True)
class _Followed:
    """M rows of runs that could be judged."""

    run: Int  # (M,)
    ticks: Float32  # (M,) that each stands for
    recent: Float32  # (M, C) less the usual, NaN = not ready
    latest: Float32  # (M, C)
    usual: Float32  # (M, C)
    horizon: float  # ticks

    def of(self, rows: Bool) -> _Followed:
        """Some of the rows."""
        means = self.recent[rows], self.latest[rows], self.usual[rows]
        return _Followed(self.run[rows], self.ticks[rows], *means, self.horizon)

    def half(self) -> Bool:
        """Which rows (M,) are of the second half: of the runs, or of the time where there is one run."""
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


def _followed(draft: Lasting, runs: Sequence[NormalRun]) -> _Followed:
    """All runs followed side by side, row by row."""
    longest = max(len(run.tick) for run in runs)
    sensors = runs[0].residual.shape[1]
    state = LastingState.empty(sensors, len(runs))
    lengths = np.array([len(run.tick) for run in runs])
    tick = np.zeros((longest, len(runs)), np.int64)
    residual = np.full((longest, len(runs), sensors), np.nan, np.float32)
    for number, run in enumerate(runs):
        tick[: len(run.tick), number] = run.tick
        residual[: len(run.tick), number] = run.residual
    rows: list[tuple[Int32, Float32]] = []
    means: list[tuple[Float32, Float32, Float32]] = []
    for index in range(longest):
        stream = np.flatnonzero(lengths > index).astype(np.int32)
        here, now = residual[index, stream], tick[index, stream]
        row, stands_for = _remember(state, draft, stream, now, here)
        found = _deviations(state, draft, stream)
        _learn(state, draft, stream, row, stands_for * ~np.isnan(here))
        ready = np.flatnonzero(2 * (~np.isnan(found[0])).sum(axis=1) > sensors)
        rows.append((stream[ready], stands_for[ready, 0]))
        means.append((found[0][ready], found[1][ready], found[2][ready]))
    stream, ticks = (np.concatenate(each) for each in zip(*rows, strict=True))
    recent, latest, usual = (np.concatenate(each) for each in zip(*means, strict=True))
    return _Followed(stream.astype(np.int_), ticks, recent, latest, usual, RECENT * draft.window)


def _scores(draft: Lasting, known: _Followed, asked: _Followed) -> Float32:
    """The root of T² (M,) of some rows, by how the sensors go together in others."""
    if not len(known.run):
        return np.zeros(0, np.float32)
    lasting = replace(draft, precision=_precision(known))
    return _judge(lasting, asked.recent, asked.latest, ~np.isnan(asked.recent))[1]


def _precision(known: _Followed) -> Float32:
    """The inverse covariance (C, C) about 0, where deviations from the usual lie; shrunk as there are few rows."""
    rows = np.nan_to_num(known.recent).astype(np.float64)
    weight = known.ticks / max(known.ticks.sum(), 1)
    covariance = np.einsum("m,mc,md->cd", weight, rows, rows, optimize=True)
    deviation = np.maximum(np.sqrt(np.diag(covariance)), SMALLEST)
    sensors, count = len(deviation), known.ticks.sum() / known.horizon
    shrunk = sensors / (sensors + count)
    correlation = (1 - shrunk) * covariance / np.outer(deviation, deviation) + shrunk * np.eye(sensors)
    correlation += NOISE**2 * np.eye(sensors)
    precision = np.linalg.inv(correlation) / np.outer(deviation, deviation)
    found: Float32 = precision.astype(np.float32)
    return found
