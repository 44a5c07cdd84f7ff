"""How well a score ranks anomalous rows above normal ones, whatever the threshold [pure].

Everything is derived from counts by score: how many anomalous and how many normal rows have each score, from the
highest score down (…, K). The same functions therefore take one data set, its distinct scores, or a thousand
bootstrap resamples of binned scores at once.

ROC-AUC is the probability that an anomalous row scores higher than a normal one, ties counting half (Hanley and
McNeil 1982). The area under the precision-recall curve is the average precision, sum (R_k - R_{k-1}) P_k, which
does not interpolate (Davis and Goadrich 2006). No figure here is "point-adjusted": that gives a random score
nearly 1 (Kim et al. 2022).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

Floats = npt.NDArray[np.floating[Any]]
Float64 = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]

BINS = 2_000  # of scores in a resample: an area is then known to better than 0.001


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows by score, from the highest score down."""

    score: Float64  # (K,) the lowest score of each group
    anomalous: Float64  # (…, K)
    normal: Float64  # (…, K)


@dataclass(frozen=True, slots=True)
class Best:
    """The threshold that the labels themselves would choose: no detector in service knows it."""

    threshold: float  # alarm from this score on
    f1: float


def counts(score: Floats, anomalous: Bool) -> Counts:
    """Of N rows, none of whose scores is missing, by distinct score."""
    values, place = np.unique(-score.astype(np.float64), return_inverse=True)  # (K,), (N,)
    bins = len(values)
    there = [np.bincount(place[which], minlength=bins).astype(np.float64) for which in (anomalous, ~anomalous)]
    return Counts(-values, *there)


def binned(scores: Sequence[Floats], anomalous: Sequence[Bool]) -> Counts:
    """Of R runs, by bins that hold equally many rows of all of them together: counts are (R, K)."""
    everything = np.concatenate(scores)
    edges = np.unique(np.quantile(everything, np.arange(BINS) / BINS))[
        ::-1
    ]  # (K,) falling, the last one the lowest
    bins = len(edges)
    positive, negative = np.zeros((len(scores), bins)), np.zeros((len(scores), bins))
    for run, (score, truth) in enumerate(zip(scores, anomalous, strict=True)):
        place = np.searchsorted(-edges, -score.astype(np.float64))  # (N,) the first edge that is not above it
        positive[run] = np.bincount(place, truth, bins)
        negative[run] = np.bincount(place, ~truth, bins)
    return Counts(edges, positive, negative)


def roc_auc(found: Counts) -> Float64:
    """The area under the ROC curve (…); NaN where one of the two kinds is missing.

    >>> float(roc_auc(counts(np.array([3.0, 1.0, 2.0]), np.array([True, False, False]))))
    1.0
    """
    below = found.normal.sum(axis=-1, keepdims=True) - np.cumsum(found.normal, axis=-1)  # (…, K)
    won = (found.anomalous * (below + found.normal / 2)).sum(axis=-1)
    pairs = found.anomalous.sum(axis=-1) * found.normal.sum(axis=-1)
    return _divided(won, pairs)


def average_precision(found: Counts) -> Float64:
    """The area under the precision-recall curve (…); NaN where no row is anomalous."""
    hits = np.cumsum(found.anomalous, axis=-1)  # (…, K)
    alarms = hits + np.cumsum(found.normal, axis=-1)  # (…, K)
    precision = hits / np.maximum(alarms, 1)  # (…, K); a group without rows in a resample adds nothing
    return _divided((found.anomalous * precision).sum(axis=-1), found.anomalous.sum(axis=-1))


def roc_curve(found: Counts) -> tuple[Float64, Float64]:
    """False and true alarm rate (K+1,) as the threshold falls, from (0, 0) to (1, 1)."""
    false, true = np.cumsum(found.normal), np.cumsum(found.anomalous)
    return np.append(0, false / false[-1]), np.append(0, true / true[-1])


def pr_curve(found: Counts) -> tuple[Float64, Float64]:
    """Recall and precision (K,) as the threshold falls."""
    hits = np.cumsum(found.anomalous)
    return hits / hits[-1], hits / (hits + np.cumsum(found.normal))


def best(found: Counts) -> Best:
    """The threshold of the highest F1; of several, the highest."""
    hits = np.cumsum(found.anomalous)  # (K,)
    alarms = hits + np.cumsum(found.normal)  # (K,)
    f1 = 2 * hits / (alarms + found.anomalous.sum())  # (K,)
    place = int(np.argmax(f1))
    return Best(float(found.score[place]), float(f1[place]))


def _divided(part: Float64, whole: Float64) -> Float64:
    """NaN where there is nothing to divide by."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(whole > 0, part / whole, np.nan)
