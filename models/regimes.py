"""Operating regimes that training found in normal data, and in which of them a machine is [pure].

A regime is a normal distribution of the short means of a few sensors, those that tell regimes apart. The mean is
exponential and causal, so that a moment does not change the regime. A machine is in the regime of the greatest
posterior probability; far from all of them it is in none that was seen, "unknown". It is taken to be there when
that has been so for `dwell` ticks without a break.

Nothing here learns (that is `models.regime_learning`), and nothing knows of streams: rows come in, rows go out.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Meta

from models.remembered import remembered

if TYPE_CHECKING:
    from collections.abc import Sequence

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Int = npt.NDArray[np.int_]
Int32 = npt.NDArray[np.int32]
UInt8 = npt.NDArray[np.uint8]
Bool = npt.NDArray[np.bool_]

UNKNOWN = "unknown"  # the regime of a machine that is far from all of those that were seen
MOST = 6  # regimes
MOST_SENSORS = 4  # that tell them apart
LOWEST, HIGHEST = 0.5, 2.0  # of a regime's level

Number = Annotated[float, Meta(ge=-3e38, le=3e38)]
Vector = Annotated[tuple[Number, ...], Meta(min_length=1, max_length=MOST_SENSORS)]


class Regime(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One regime: D sensors, in their units."""

    name: Annotated[str, Meta(min_length=1, max_length=1000)]
    share: Annotated[float, Meta(gt=0, le=1)]  # of the rows that it was learned from
    center: Vector  # (D,) of the short means
    covariance: Annotated[tuple[Vector, ...], Meta(min_length=1, max_length=MOST_SENSORS)]  # (D, D)
    reach: Annotated[float, Meta(gt=0, le=1e6)]  # Mahalanobis distance beyond which a row is not of it
    held_out: Annotated[int, Meta(ge=0)] = 0  # windows in it that calibrated
    level: Annotated[float, Meta(ge=LOWEST, le=HIGHEST)] = 1.0  # what is to it as 1.0 is to all: its scores' tail


class Regimes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What tells the regimes of a model's machines apart."""

    sensors: Annotated[tuple[Annotated[int, Meta(ge=0)], ...], Meta(min_length=1, max_length=MOST_SENSORS)]
    smooth: Annotated[int, Meta(ge=1, le=10_000)]  # ticks: an exponential mean as old as a plain one of so many
    dwell: Annotated[int, Meta(ge=1, le=10_000)]  # ticks after which another regime is believed
    of: Annotated[tuple[Regime, ...], Meta(min_length=2, max_length=MOST)]

    @property
    def names(self) -> tuple[str, ...]:
        """(R,) what the numbers of regimes mean; "unknown" is the last one."""
        return (*(each.name for each in self.of), UNKNOWN)

    @property
    def levels(self) -> tuple[float, ...]:
        """(R,) of each regime; 1.0 for "unknown"."""
        return (*(each.level for each in self.of), 1.0)


class Place(NamedTuple):
    """Where N machines are, and what that is known by."""

    mean: Float64  # (N, D) short means, NaN = not known
    missing: Int32  # (N, D) ticks since there was a value
    current: UInt8  # (N,) the regime that is believed
    next: UInt8  # (N,) the one that the latest tick speaks for
    held: Int32  # (N,) ticks for which it has done so, up to `dwell`

    @classmethod
    def empty(cls, regimes: Regimes | None, rows: int) -> Place:
        """Of machines that have not been heard yet: unknown."""
        sensors, last = (len(regimes.sensors), len(regimes.of)) if regimes else (0, 0)
        return cls(
            mean=np.full((rows, sensors), np.nan),
            missing=np.zeros((rows, sensors), np.int32),
            current=np.full(rows, last, np.uint8),
            next=np.full(rows, last, np.uint8),
            held=np.zeros(rows, np.int32),
        )


def follow(regimes: Regimes, before: Place, values: Float32) -> Place:
    """Where machines are after one tick more of each, values (N, C) in the sensors' units, NaN = missing."""
    mean, missing = smoothed(before.mean, before.missing, within(regimes, values), regimes.smooth)
    said = nearest(regimes, mean)
    found = np.where(said < 0, before.current, said).astype(np.uint8)
    held = (found == before.next) * before.held + 1
    np.minimum(held, regimes.dwell, out=held)
    current = np.where(held >= regimes.dwell, found, before.current).astype(np.uint8)
    return Place(mean, missing, current, found, held)


def within(regimes: Regimes, values: Float32) -> Float64:
    """The values (N, D) of the sensors that tell regimes apart, of (N, C).

    What is absurd is cut to what is surely far, because a mean would not forget it for long.
    """
    lowest, highest = _bounds(regimes)
    bounded = values.take(regimes.sensors, axis=1).astype(np.float64)
    return np.minimum(np.maximum(bounded, lowest, out=bounded), highest, out=bounded)


@remembered
def _bounds(regimes: Regimes) -> tuple[Float64, Float64]:
    """Of each sensor (D,), what is twice out of reach of every regime."""
    center = np.array([each.center for each in regimes.of])  # (K, D)
    away = np.array([2 * each.reach * np.sqrt(np.diag(each.covariance)) for each in regimes.of])
    return (center - away).min(axis=0), (center + away).max(axis=0)


def smoothed(mean: Float64, missing: Int32, values: Float32 | Float64, smooth: int) -> tuple[Float64, Int32]:
    """The short means (N, D) after one tick more, and for how many ticks each has had no value.

    A mean waits while its sensor is missing; after `smooth` ticks without it is not known any longer (NaN).
    """
    moved = mean + (values - mean) * (2 / (smooth + 1))
    unknown = np.isnan(moved)
    if not unknown.any():
        return moved, np.zeros_like(missing)
    there = ~np.isnan(values)
    mean = np.where(there, np.where(np.isnan(mean), values, moved), mean)
    missing = np.where(there, 0, np.minimum(missing + 1, smooth + 1)).astype(np.int32)
    return np.where(missing > smooth, np.nan, mean), missing


def nearest(regimes: Regimes, mean: Float64) -> Int:
    """The most probable regime (N,) by short means (N, D), `len(regimes.of)` = unknown.

    Sensors that are not known are left out; where half of them or more are not, nothing is said: -1.
    """
    known = ~np.isnan(mean)  # (N, D)
    if known.all():
        return _nearest(_whole(regimes), mean)
    found = np.full(len(mean), -1)
    patterns = np.unique(known, axis=0)
    for pattern in patterns:
        if 2 * pattern.sum() > len(pattern):
            rows = np.flatnonzero((known == pattern).all(axis=1))
            found[rows] = _nearest(_known(regimes, tuple(pattern.tolist())), mean[rows][:, pattern])
    return found


def _nearest(known: _Known, mean: Float64) -> Int:
    square = distances(mean, known.center, known.precision)  # (N, K)
    said = np.where(np.sqrt(square) > known.reach, -np.inf, known.constant - square / 2)
    return np.where(np.isneginf(said).all(axis=1), len(known.center), said.argmax(axis=1))


def distances(rows: Float64, center: Float64, precision: Float64) -> Float64:
    """The squared Mahalanobis distances (N, K) of rows (N, D) to K centers, each with its precision (K, D, D)."""
    away = [rows - each for each in center]  # K of (N, D)
    square = [np.einsum("nd,nd->n", each @ inverse, each) for each, inverse in zip(away, precision, strict=True)]
    positive: Float64 = np.maximum(np.array(square).T, 0)
    return positive


class _Known(NamedTuple):
    """K regimes by the sensors that are there, d of them."""

    center: Float64  # (K, d)
    precision: Float64  # (K, d, d)
    constant: Float64  # (K,) of the logarithm of the posterior probability
    reach: Float64  # (K,)


@remembered
def _whole(regimes: Regimes) -> _Known:
    return _known(regimes, (True,) * len(regimes.sensors))


@lru_cache(maxsize=1024)
def _known(regimes: Regimes, pattern: tuple[bool, ...]) -> _Known:
    there = np.array(pattern)
    center = np.array([each.center for each in regimes.of])[:, there]
    covariance = np.array([each.covariance for each in regimes.of])[:, there][:, :, there]
    deviation = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))  # (K, d)
    both = deviation[:, :, None] * deviation[:, None]
    precision = np.linalg.inv(covariance / both) / both
    spread = np.linalg.slogdet(covariance / both)[1] + 2 * np.log(deviation).sum(axis=1)
    share = np.log([each.share for each in regimes.of])
    return _Known(center, precision, share - spread / 2, np.array([each.reach for each in regimes.of]))


def dwelt(found: Int, dwell: int, unknown: int) -> Int:
    """The regimes (N,) that are believed of one machine at ticks for which these were found (N,), -1 = nothing.

    The same as `follow` tick by tick from the beginning.
    """
    # Where nothing is said the regime that is believed goes on, which ends the wait for another one.
    rows = np.arange(len(found))
    starts = np.maximum.accumulate(np.where(np.diff(found, prepend=-2) != 0, rows, 0))
    settled = (found >= 0) & (rows - starts + 1 >= dwell)
    last = np.maximum.accumulate(np.where(settled, rows, -1))
    return np.where(last < 0, unknown, found[last])


def mistake(regimes: Regimes, sensors: int) -> str:
    """What of regimes cannot be for a model of so many sensors: what the types cannot say. Empty = all is well."""
    count = len(regimes.sensors)
    names: Sequence[str] = regimes.names
    if len(set(names)) < len(names):
        return "two regimes have the same name"
    if len(set(regimes.sensors)) < count or max(regimes.sensors) >= sensors:
        return f"regimes.sensors are not some of {sensors} sensors, each once"
    for each in regimes.of:
        if len(each.center) != count or [len(row) for row in each.covariance] != [count] * count:
            return f"{each.name} has not as many numbers as {count} sensors need"
        covariance = np.array(each.covariance)
        deviation = np.sqrt(np.maximum(np.diag(covariance), 1e-60))
        correlation = covariance / np.outer(deviation, deviation)
        if not np.array_equal(covariance, covariance.T) or np.linalg.eigvalsh(correlation).min() <= 0:
            return f"the covariance of {each.name} is none"
    return ""
