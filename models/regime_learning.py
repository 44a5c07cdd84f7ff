"""Which operating regimes normal data has: whether any, how many, what they are called [pure].

Asked are the sensors' short means (`models.regimes`), a smoothing time apart, so that rows stand for themselves.
Sensors count whose movement is slow (most of it is left in the mean) and whose mean alone is of more than one
kind; one that goes with another says nothing new. Their mixture has as many components as its integrated
completed likelihood asks for (`models.mixture`), as long as each of them is a regime: not rare, apart from the
others in some sensor, stayed in for longer than a window, and entered or left more than once or twice. So machines
that differ from each other for good are no regimes. Where no mixture is of regimes, the sensor that says least is
left out, and at last each is asked alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import numpy.typing as npt

from models.mixture import Mixture, fit_mixture
from models.regime_names import names_of
from models.regimes import (
    HIGHEST,
    LOWEST,
    MOST,
    MOST_SENSORS,
    Regime,
    Regimes,
    distances,
    dwelt,
    nearest,
    smoothed,
    within,
)
from models.residual import SCORE_QUANTILE, judged
from models.tails import tail

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.scaling import Scaler
    from models.split import Run

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Int = npt.NDArray[np.int_]

SLOW = 0.5  # share of a sensor's variance that must be left in its short mean
KINDS = 3  # components at the most, by which a sensor alone is asked whether it is of more than one kind
GAIN = 0.1  # nats a row by which more components must be better than one
MOST_ROWS = 2_000  # that are asked
LEAST_ROWS = 100
LEAST_SHARE = 0.05  # of a regime
LEAST_MOVES = 3  # into a regime or out of it
TOGETHER = 0.9  # correlation of sensors that say the same
MARGIN = 1.5  # times as far from its center as 99.9 % of its rows is out of a regime
QUANTILE = 0.999
PIECE = 4_096  # ticks; long runs are walked through in pieces, side by side
LEAD = 8  # smoothing times before each piece, after which what came before them is forgotten
DRAWS = 300  # of the bootstrap
BETWEEN = 0.005, 0.995  # of its draws
LEAST_DIFFERENCE = 1.1  # times: a level nearer to 1.0 is 1.0
LEAST_APART = 50  # windows that do not overlap, for a regime to have a level of its own


@dataclass(frozen=True, slots=True)
class Found:
    """The regimes, or why there are none, in words."""

    regimes: Regimes | None
    why: str


def learn_regimes(runs: Sequence[Run], scaler: Scaler, sensors: Sequence[str]) -> Found:
    """The regimes of normal runs, whose windows are (B, T, C) in the sensors' units.

    The same runs give the same regimes, whatever a training draws else. Constant sensors, and those of which half
    of the values are missing, tell nothing apart.
    """
    window = runs[0].windows.shape[1]
    smooth = judged(window)
    if window == 1:
        return Found(None, "rows that stand alone do not tell how long a regime lasts")
    pieces = [piece for run in runs if len(run.tick) for piece in _unbroken(run)]
    means = [_short_means(values, smooth) for values in pieces]  # (N, C) each
    rows = np.concatenate([each[smooth - 1 :: smooth] for each in means])
    rows = rows[:: -(-len(rows) // MOST_ROWS)]
    if len(rows) < LEAST_ROWS:
        return Found(None, f"{len(rows)} rows of {smooth} ticks each are too few to tell, {LEAST_ROWS} are wanted")
    telling = _telling(np.concatenate(pieces), np.concatenate(means), rows)
    if not telling:
        return Found(None, "no sensor is of more than one kind for longer times")
    choices = [telling[:count] for count in range(len(telling), 1, -1)] + [[each] for each in telling]
    for chosen in choices:
        found = _told_by(sorted(chosen), means, rows, scaler, sensors, window)
        if found is not None:
            by = ", ".join(sensors[each] for each in found.sensors)
            return Found(found, f"{len(found.of)} regimes, told apart by {by}")
    return Found(None, f"kinds of {', '.join(sensors[each] for each in telling)} overlap, or do not last")


def _told_by(
    telling: list[int],
    means: Sequence[Float64],
    rows: Float64,
    scaler: Scaler,
    sensors: Sequence[str],
    window: int,
) -> Regimes | None:
    """The regimes by these sensors."""
    asked = rows[:, telling]
    asked = asked[~np.isnan(asked).any(axis=1)]
    if len(asked) < LEAST_ROWS:
        return None
    own = [each[:, telling] for each in means]
    scaled = (asked - scaler.center[telling]) / scaler.scale[telling]
    one = fit_mixture(scaled, 1)
    best: tuple[float, Regimes] | None = None
    for count in range(2, MOST + 1):
        mixture = fit_mixture(scaled, count)
        if (one.criterion - mixture.criterion) / (2 * len(scaled)) < GAIN:
            continue
        if best is not None and mixture.criterion >= best[0]:
            continue
        made = _regimes(mixture, scaled, scaler, telling, sensors, judged(window))
        if made is not None and _lasting(made, own, window):
            best = mixture.criterion, made
    return None if best is None else best[1]


def regimes_of(regimes: Regimes, runs: Sequence[Run]) -> list[Int]:
    """Of each run the regime (B,) of its windows, as the daemon would have it; `len(regimes.of)` = unknown."""
    found = []
    for run in runs:
        parts = []
        for index, values in enumerate(_unbroken(run) if len(run.tick) else ()):
            means = _short_means(within(regimes, values), regimes.smooth)
            each = dwelt(nearest(regimes, means), regimes.dwell, len(regimes.of))
            parts.append(each[run.windows.shape[1] - 1 :] if index == 0 else each)
        found.append(np.concatenate(parts) if parts else np.zeros(0, np.int_))
    return found


def with_levels(regimes: Regimes, score: Sequence[Float32], regime: Sequence[Int], window: int) -> Regimes:
    """The regimes with levels of their own, by the scores (B,) and regimes (B,) of runs that were held out.

    A level is what a regime's scores pass once in a thousand windows, as 1.0 is of all of them. It differs from
    1.0 only where that is 99 % certain (bootstrap of stretches that hardly overlap), and by no more than is
    certain; never by more than twofold, and not by less than a tenth.
    """
    return msgspec.structs.replace(
        regimes,
        of=tuple(
            msgspec.structs.replace(each, held_out=count, level=level)
            for each, (count, level) in zip(
                regimes.of,
                (_level(number, score, regime, window) for number in range(len(regimes.of))),
                strict=True,
            )
        ),
    )


def _level(number: int, score: Sequence[Float32], regime: Sequence[Int], window: int) -> tuple[int, float]:
    """How many windows calibrate a regime, and its level."""
    blocks = []
    for scores, regimes in zip(score, regime, strict=True):
        rows = np.flatnonzero((regimes == number) & ~np.isnan(scores))
        cuts = np.flatnonzero(np.diff(rows) > 1) + 1
        for stretch in np.split(rows, cuts):
            blocks += [scores[part] for part in np.split(stretch, range(2 * window, len(stretch), 2 * window))]
    blocks = [block for block in blocks if len(block)]
    count = sum(map(len, blocks))
    if count < LEAST_APART * window:
        return count, 1.0
    random = np.random.default_rng(0)
    tails = [
        tail(
            np.concatenate([blocks[which] for which in random.integers(len(blocks), size=len(blocks))]),
            SCORE_QUANTILE,
        )
        for _ in range(DRAWS)
    ]
    low, high = np.quantile(tails, BETWEEN)
    nearest_to_one = low if low > 1 else high if high < 1 else 1.0
    if 1 / LEAST_DIFFERENCE < nearest_to_one < LEAST_DIFFERENCE:
        return count, 1.0
    return count, float(np.clip(nearest_to_one, LOWEST, HIGHEST))


def _unbroken(run: Run) -> list[Float32]:
    """The rows (N, C) of a run, cut where windows that are left out leave a gap longer than a window."""
    window = run.windows.shape[1]
    cuts = np.flatnonzero(np.diff(run.tick) > window) + window  # the run's rows begin with its first whole window
    return np.split(run.rows(), cuts)


def _short_means(values: Float32 | Float64, smooth: int) -> Float64:
    """The short means (N, C) of rows (N, C) that follow each other, as `models.regimes.smoothed` has them."""
    lead = LEAD * smooth
    starts = np.arange(0, len(values), PIECE)
    begin = np.maximum(starts - lead, 0)
    end = np.minimum(starts + PIECE, len(values))
    mean = np.full((len(starts), values.shape[1]), np.nan)
    missing = np.zeros(mean.shape, np.int32)
    found = np.empty(values.shape)
    for step in range(int((end - begin).max(initial=0))):
        row = begin + step
        going = row < end
        here = values[np.minimum(row, len(values) - 1)]
        mean, missing = smoothed(mean, missing, here, smooth)
        own = going & (row >= starts)
        found[row[own]] = mean[own]
    return found


def _telling(values: Float32, means: Float64, rows: Float64) -> list[int]:
    """The sensors that tell regimes apart, those that do so most first."""
    gains = {}
    for sensor in range(values.shape[1]):
        column, mean = values[:, sensor], means[:, sensor]
        there = ~np.isnan(column)
        if 2 * there.sum() < len(column):
            continue
        variance = float(column[there].astype(np.float64).var())
        left = float(mean[~np.isnan(mean)].var())
        if variance <= (1e-6 * float(column[there].mean())) ** 2 or left < SLOW * variance:
            continue
        own = rows[~np.isnan(rows[:, sensor]), sensor]
        scaled = ((own - own.mean()) / max(float(own.std()), 1e-30))[:, None]
        if len(scaled) < LEAST_ROWS:
            continue
        criteria = [fit_mixture(scaled, count).criterion for count in range(1, KINDS + 1)]
        gain = (criteria[0] - min(criteria)) / (2 * len(scaled))
        if gain >= GAIN:
            gains[sensor] = gain
    chosen: list[int] = []
    for sensor in sorted(gains, key=lambda sensor: -gains[sensor]):
        if len(chosen) < MOST_SENSORS and not any(_go_together(rows[:, sensor], rows[:, each]) for each in chosen):
            chosen.append(sensor)
    return chosen


def _go_together(one: Float64, other: Float64) -> bool:
    """Whether two sensors' means (N,) say the same."""
    both = ~np.isnan(one) & ~np.isnan(other)
    return bool(abs(np.corrcoef(one[both], other[both])[0, 1]) > TOGETHER) if both.sum() > 1 else False


def _regimes(
    mixture: Mixture, scaled: Float64, scaler: Scaler, telling: list[int], sensors: Sequence[str], smooth: int
) -> Regimes | None:
    """The components of a mixture in the sensors' units, in the order of their names.

    None where one of them is rare, or has no name of its own.
    """
    scale, center = scaler.scale[telling].astype(np.float64), scaler.center[telling].astype(np.float64)
    named = names_of(mixture.center, mixture.covariance, [sensors[each] for each in telling])
    square = distances(scaled, mixture.center, np.linalg.inv(mixture.covariance).astype(np.float64))  # (N, K)
    density = np.log(mixture.weight) - (square + np.linalg.slogdet(mixture.covariance)[1]) / 2
    own = density.argmax(axis=1)
    if np.bincount(own, minlength=len(mixture.weight)).min() < LEAST_SHARE * len(scaled) or named is None:
        return None
    names, order = named
    made = []
    for index in order:
        covariance = mixture.covariance[index] * np.outer(scale, scale)
        covariance = (covariance + covariance.T) / 2
        made.append(
            Regime(
                name=names[index],
                share=float(mixture.weight[index]),
                center=tuple((mixture.center[index] * scale + center).tolist()),
                covariance=tuple(tuple(row) for row in covariance.tolist()),
                reach=MARGIN * float(np.sqrt(np.quantile(square[own == index, index], QUANTILE))),
            )
        )
    return Regimes(tuple(telling), smooth, smooth, tuple(made))


def _lasting(regimes: Regimes, means: Sequence[Float64], window: int) -> bool:
    """Whether each regime is had often enough, moved into or out of often enough, and lasts for a window."""
    kinds = len(regimes.of)
    ticks, visits, moves = (np.zeros(kinds + 1) for _ in range(3))
    for each in means:
        found = dwelt(nearest(regimes, each), regimes.dwell, kinds)
        stays = found[np.diff(found, prepend=-1) != 0]
        known = stays[stays < kinds]
        ticks += np.bincount(found, minlength=kinds + 1)
        visits += np.bincount(stays, minlength=kinds + 1)
        moves += np.bincount(known[1:], minlength=kinds + 1) + np.bincount(known[:-1], minlength=kinds + 1)
    ticks, visits, moves = ticks[:kinds], visits[:kinds], moves[:kinds]
    often = ticks.min() >= LEAST_SHARE * ticks.sum() and moves.min() >= LEAST_MOVES
    return bool(often and (ticks / np.maximum(visits, 1)).min() >= window)
