"""From what the network predicts to a calibrated score, and what every sensor has to do with it [pure].

Judged are the last ticks of a window, a third of it; what comes before is the network's context. For one sensor,
with z its scaled values and r what they differ by from the prediction, over the cells that are present:

    spread = sqrt(mean(r²))     large where a sensor jumps, freezes or shakes
    shift  = |mean(r)|          large where it is off by a little, all the time
    step   = sqrt(mean(Δz²))    large where it is rougher than it ever is, whatever the others do
    level  = |mean(z)|          large where it is where it never is

Each is divided by its own high quantile on held-out normal windows, so that sensors which are hard to predict do
not drown the others; the largest of the four is the sensor's. Beside the sensors stands Hotelling's T² of their
mean(z) (Hotelling 1947), which sees what is a little wrong with many of them; an exponent bends it to the sensors'
scale, so that both have the same median and the same tail on normal windows. The score is the largest of all,
divided by the one number that makes 1.0 the 99.9 % quantile of normal windows; the fewer these are, the more they
are judged for it by what is usual in others of them.

Where assets are compared with themselves (`models.level`), a quantile is that of the asset in the middle: what the
most restless of the assets does must not be normal of them all. A sensor that wanders from its level must not
decide alone then either: the score is the geometric mean of the sensors' 4-norm and the bent T².
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.completed import completed
from models.tails import tail

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Int = npt.NDArray[np.int_]
Bool = npt.NDArray[np.bool_]

JUDGED = 3  # one so many-th of a window, its last ticks
SENSOR_QUANTILE = 0.999  # of a sensor's own residuals; docs/models.md has the comparison with 0.99
SCORE_QUANTILE = 0.999  # of the windows' scores: this one becomes 1.0
FLOOR = 0.01  # scaled units: a sensor that is predicted better than this is taken to be this good
MIN_PRESENT = 0.5  # share of a sensor's judged cells that must be there for it to count
SMALLEST = 1e-30  # of the scores' quantile: normal data without any error must not divide by zero
LIMIT = 1e6  # scaled units: keeps the squares of absurd readings finite
WHOLE_SENSORS = 100  # more have no T²: its matrix would outgrow the header
RIDGE = 1e-3  # added to correlations: sensors that repeat each other must not make a matrix singular
EXPONENTS = 0.2, 1.0  # that T² may be bent by
FOLDS = 10  # parts of the held-out windows, each of which is judged by what is usual in the others
ENOUGH = 200  # windows that do not overlap, with which half of that is believed
NORM = 4.0  # of sensors that decide together


@dataclass(frozen=True, slots=True)
class Energies:
    """What is left of B windows, in scaled units; NaN where a sensor has too few cells. Of what is usual: (C,)."""

    spread: Float32  # (B, C)
    shift: Float32  # (B, C)
    step: Float32  # (B, C)
    level: Float32  # (B, C) with its sign

    def of(self, rows: slice | Int) -> Energies:
        """Those of some windows."""
        return Energies(*(each[rows] for each in self.all))

    @property
    def all(self) -> tuple[Float32, ...]:
        """All four, in their order."""
        return self.spread, self.shift, self.step, self.level


def joined(parts: list[Energies]) -> Energies:
    """The energies of several batches, one after the other."""
    return Energies(*(np.concatenate(each) for each in zip(*(part.all for part in parts), strict=True)))


@dataclass(frozen=True, slots=True)
class Whole:
    """Hotelling's T² of the sensors' levels, and how it comes to the sensors' scale."""

    precision: Float32  # (C, C) inverse covariance of the levels, scaled units
    usual: float  # quantile of its root, > 0
    exponent: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """What is usual in normal windows."""

    usual: Energies  # (C,) quantiles of each sensor's, without sign, >= FLOOR
    score: float  # quantile of the windows' largest residual, > 0
    whole: Whole | None = None  # None: too little data, or too many sensors, for a covariance
    shared: bool = False  # the sensors decide together, not the largest alone: assets are compared with themselves


def judged(window: int) -> int:
    """How many ticks at the end of a window of T are judged."""
    return -(-window // JUDGED)


def energies(scaled: Float32, predicted: Float32) -> Energies:
    """The energies of B windows (B, T, C) in scaled units, NaN = missing cell, by what is predicted of them."""
    last = judged(scaled.shape[1])
    return energies_of(scaled[:, -last:], predicted[:, -last:])


def energies_of(scaled: Float32, predicted: Float32) -> Energies:
    """The energies of windows by their judged ticks alone (B, J, C), in scaled units, NaN = missing cell.

    A sensor with less than half of these cells present gets NaN.
    """
    last = scaled.shape[1]
    scaled = np.clip(scaled, -LIMIT, LIMIT)  # (B, J, C)
    missing = np.isnan(scaled)  # (B, J, C)
    residual = scaled - predicted  # (B, J, C)
    steps = scaled[:, 1:] - scaled[:, :-1]  # (B, J - 1, C)
    if not missing.any():  # nearly always, and the rest is what takes the time
        return _energies(scaled, residual, steps, np.float32(last), np.float32(max(last - 1, 1)))
    present = ~missing
    for each in (scaled, residual):
        each[missing] = 0
    pairs = present[:, 1:] & present[:, :-1]  # (B, J - 1, C)
    steps[~pairs] = 0
    cells = present.sum(axis=1)  # (B, C)
    count = np.maximum(cells, 1).astype(np.float32)  # (B, C)
    found = _energies(scaled, residual, steps, count, np.maximum(pairs.sum(axis=1), 1, dtype=np.float32))
    few = cells < max(MIN_PRESENT * last, 1)  # (B, C)
    for each in found.all:
        each[few] = np.nan
    return found


def _energies(
    values: Float32, residual: Float32, steps: Float32, cells: Float32 | np.float32, pairs: Float32 | np.float32
) -> Energies:
    """The energies, with 0 for what is missing, by how many cells and pairs of them (B, C) there are."""
    return Energies(
        spread=np.sqrt(np.einsum("btc,btc->bc", residual, residual) / cells),
        shift=np.abs(residual.sum(axis=1) / cells),
        step=np.sqrt(np.einsum("btc,btc->bc", steps, steps) / pairs),
        level=values.sum(axis=1) / cells,
    )


def calibrate(normal: Energies, fitted: Float32, asset: Int | None = None, *, apart: int = 1) -> Calibration:
    """The calibration by held-out normal windows; `fitted` (F, C) are independent levels of the fitted ones.

    `asset` (B,) numbers the asset of each window where assets are compared with themselves, else None. Of `apart`
    windows one does not overlap the next that counts.
    A sensor that never had enough cells gets FLOOR, as if it were perfectly predictable.
    Raises ValueError where no window has any sensor with enough cells.
    """
    if np.isnan(normal.spread).all():
        raise ValueError("no held-out window has a sensor with enough values to calibrate by")
    shared = asset is not None
    asset = np.zeros(len(normal.spread), np.int_) if asset is None else asset
    groups = [np.flatnonzero(asset == number) for number in np.unique(asset)]
    usual = Energies(*(_quantiles(np.abs(each), groups) for each in normal.all))
    seen = ~np.all(np.isnan(normal.spread), axis=1)  # (B,)
    alone = _unseen(normal, usual, groups, len(normal.spread) / apart, shared=shared)  # (B,)
    score = _tail(alone, groups, seen)
    whole = _fit_whole(normal, fitted, groups)
    if whole is not None:
        root = _root(normal, whole.precision)  # (B,)
        there = np.logical_not(np.isnan(root))
        largest = _tail(root, groups, there)
        middle = float(np.median(alone[there])) / score, float(np.median(root[there])) / largest
        exponent = math.log(middle[0]) / math.log(middle[1]) if min(middle) > 0 and max(middle) < 1 else 1.0
        whole = Whole(whole.precision, largest, min(max(exponent, EXPONENTS[0]), EXPONENTS[1]))
    # Both together are above 1.0 more or less often than either: once more, so that 1.0 is the score's quantile.
    together = _with_whole(alone / np.float32(score), normal, whole, shared=shared)
    final = max(_tail(together, groups, seen), FLOOR)
    if whole is not None:
        whole = Whole(whole.precision, whole.usual * final ** (1 / whole.exponent), whole.exponent)
    return Calibration(usual, score * final, whole, shared)


def stricter(calibration: Calibration, factor: float) -> Calibration:
    """The calibration by which every score is so many times smaller; not where sensors decide together."""
    whole = calibration.whole
    if whole is not None:
        whole = Whole(whole.precision, whole.usual * factor ** (1 / whole.exponent), whole.exponent)
    return Calibration(calibration.usual, calibration.score * factor, whole, calibration.shared)


def judge(found: Energies, calibration: Calibration) -> tuple[Float32, Float32]:
    """Contribution (B, C) and score (B,), dimensionless and >= 0; NaN where there is nothing to judge.

    The score is never less than the largest contribution, except where sensors decide together.

    >>> one = np.ones((1, 2), np.float32)
    >>> judge(Energies(one * [3, 1], one, one, -one), Calibration(Energies(*[one[0]] * 3, one[0] * 0.5), 2.0))
    (array([[1.5, 1. ]], dtype=float32), array([1.5], dtype=float32))
    """
    contribution = (_larger(found, calibration.usual) / calibration.score).astype(np.float32)  # (B, C)
    alone = _of_sensors(contribution, shared=calibration.shared)  # (B,)
    score = _with_whole(alone, found, calibration.whole, shared=calibration.shared)  # (B,)
    score[np.isnan(contribution).all(axis=1)] = np.nan
    return contribution, score


def _unseen(normal: Energies, usual: Energies, groups: list[Int], count: float, *, shared: bool) -> Float32:
    """What the sensors of each normal window come to (B,), before it is calibrated.

    The quantile of few windows is about their maximum: by it, not one of them would ever be unusual, and new ones
    would be all the time. So each part of the windows is judged by what is usual in the others; but for the asset
    in the middle, whom no single asset moves. The more windows there are (`count` that do not overlap), the more
    they are judged by all: a part then lacks what is rare in the others, not what is normal.
    """
    by_all = _of_sensors(_larger(normal, usual), shared=shared)
    if shared:
        return by_all
    (windows,) = groups
    alone = np.empty(len(windows), np.float32)
    for part in np.array_split(windows, FOLDS):
        others = normal.of(np.setdiff1d(windows, part))
        known = ~np.isnan(others.spread).all(axis=0)  # (C,)
        left = Energies(
            *(
                np.where(known, _quantiles(np.abs(theirs), [np.arange(len(theirs))]), own)
                for theirs, own in zip(others.all, usual.all, strict=True)
            )
        )
        alone[part] = _of_sensors(_larger(normal.of(part), left), shared=False)
    weight = np.float32(ENOUGH / (ENOUGH + count))
    mixed: Float32 = alone**weight * by_all ** (1 - weight)
    return mixed


def _with_whole(alone: Float32, found: Energies, whole: Whole | None, *, shared: bool) -> Float32:
    """What the sensors come to (B,), together with the bent T² where that can be had."""
    if whole is None:
        return alone
    bent = (_root(found, whole.precision) / whole.usual) ** whole.exponent  # (B,)
    both = np.sqrt(alone * bent) if shared else np.maximum(alone, bent)
    together: Float32 = np.where(np.isnan(bent), alone, both).astype(np.float32)
    return together


def _larger(found: Energies, usual: Energies) -> Float32:
    """The largest of each sensor's energies (B, C), each over what is usual of it."""
    larger = np.maximum(found.spread / usual.spread, found.shift / usual.shift)
    larger = np.maximum(larger, found.step / usual.step)
    largest: Float32 = np.maximum(larger, np.abs(found.level) / usual.level)
    return largest


def _of_sensors(larger: Float32, *, shared: bool) -> Float32:
    """What the sensors (B, C), NaN = missing, come to (B,): the largest, or their norm."""
    there = np.nan_to_num(larger)
    largest: Float32 = there.max(axis=1, initial=0)
    if not shared:
        return largest
    norm: Float32 = ((there.astype(np.float64) ** NORM).sum(axis=1) ** (1 / NORM)).astype(np.float32)
    return norm


def _root(found: Energies, precision: Float32) -> Float32:
    """The root of T² (B,) of the sensors that are there, which is never more than that of all; NaN without any."""
    level, of_all = found.level.astype(np.float64), precision.astype(np.float64)
    whole = completed(level, of_all)
    square = np.einsum("bc,cd,bd->b", whole, of_all, whole)
    square[np.isnan(level).all(axis=1)] = np.nan
    root: Float32 = np.sqrt(np.maximum(square, 0)).astype(np.float32)
    return root


def _fit_whole(normal: Energies, fitted: Float32, groups: list[Int]) -> Whole | None:
    """The precision of levels; None where there is too little to estimate it by."""
    sensors = fitted.shape[1]
    rows = fitted[~np.isnan(fitted).any(axis=1)].astype(np.float64)  # (F, C)
    complete = ~np.any(np.isnan(normal.level), axis=1)
    if sensors > WHOLE_SENSORS or len(rows) < 2 * sensors or not complete.any():
        return None
    covariance = np.cov(rows.T).reshape(sensors, sensors)
    deviation = np.maximum(np.sqrt(np.diag(covariance)), FLOOR)
    correlation = covariance / np.outer(deviation, deviation)
    if len(groups) > 1:
        # How far from their level assets get is what the asset in the middle did later, not while it was learned.
        whole = [each[complete[each]] for each in groups if complete[each].any()]
        squares = [np.mean(normal.level[each] ** 2, axis=0) for each in whole]
        deviation = np.maximum(np.sqrt(np.median(squares, axis=0)), FLOOR)
    precision = np.linalg.inv(correlation + RIDGE * np.eye(sensors)) / np.outer(deviation, deviation)
    return Whole(precision.astype(np.float32), 1.0, 1.0)


def _quantiles(energy: Float32, groups: list[Int]) -> Float32:
    """The usual energy (C,) of windows (B, C): the quantile of all, or that of the asset in the middle."""
    found = np.full((len(groups), energy.shape[1]), np.nan)  # (groups, C)
    for index, rows in enumerate(groups):
        known = ~np.isnan(energy[rows]).all(axis=0)
        found[index, known] = np.nanquantile(energy[rows][:, known], SENSOR_QUANTILE, axis=0)
    quantiles = np.full(energy.shape[1], FLOOR, np.float32)  # (C,)
    known = ~np.isnan(found).all(axis=0)
    quantiles[known] = np.maximum(np.nanmedian(found[:, known], axis=0), FLOOR)
    return quantiles


def _tail(score: Float32, groups: list[Int], seen: Bool) -> float:
    """The level of the score that normal windows pass once in a thousand; of the asset in the middle."""
    tails = [tail(score[rows][seen[rows]], SCORE_QUANTILE) for rows in groups if seen[rows].any()]
    return max(float(np.median(tails)), SMALLEST)
