"""VUS-PR: the precision-recall area of a whole run, forgiving about where an anomaly begins and ends [pure].

The definition of Paparrizos, Boniol, Palpanas, Tsay, Elmore and Franklin, "Volume Under the Surface: A New
Accuracy Evaluation Measure for Time-Series Anomaly Detection", PVLDB 15(11), 2022, with the choices of its
published implementation (TheDatumOrg/VUS), so that figures compare:

For a buffer of l ticks, each labelled stretch is continued on both sides for l // 2 ticks by labels that fall off
as sqrt(1 - distance / l). With these soft labels y and the alarms a of a threshold,

    true positives = sum(y a)
    recall         = min(true positives / ((sum(labels) + sum(y)) / 2), 1) x (share of the stretches with an alarm)
    precision      = true positives / sum(a)

The area under precision against recall is taken by trapezoids over 250 thresholds, which are evenly spaced among
the sorted scores, and begins at recall 0 and precision 1. VUS-PR is the mean of that area over l = 0, 1, … L. By
these choices a score that is the same everywhere has an area of (1 + share of anomalous ticks) / 2, and not the
share alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]
Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]

THRESHOLDS = 250


def vus_pr(score: Floats, anomalous: Bool, longest: int) -> float:
    """Of one run: N scores in the order of time, none missing, for buffers up to `longest` ticks.

    NaN where no row is anomalous: there is no recall then.
    """
    starts, ends = stretches(anomalous)
    if not len(starts):
        return float("nan")
    order = np.argsort(-score, kind="stable")  # (N,)
    falling = score[order]  # (N,)
    thresholds = falling[np.linspace(0, len(score) - 1, THRESHOLDS).astype(int)]  # (K,)
    alarms = np.searchsorted(-falling, -thresholds, side="right")  # (K,) rows at or above each
    areas = [
        _area(score, _softened(anomalous, starts, ends, buffer), (starts, ends), buffer, order, thresholds, alarms)
        for buffer in range(longest + 1)
    ]
    return float(np.mean(areas))


def stretches(anomalous: Bool) -> tuple[Int64, Int64]:
    """First and last index of each stretch of True.

    >>> [ends.tolist() for ends in stretches(np.array([True, False, True, True]))]
    [[0, 2], [0, 3]]
    """
    edges = np.diff(anomalous.astype(np.int8), prepend=0, append=0)
    return np.flatnonzero(edges == 1).astype(np.int64), np.flatnonzero(edges == -1).astype(np.int64) - 1


def _softened(anomalous: Bool, starts: Int64, ends: Int64, buffer: int) -> Float64:
    """The labels (N,) with their soft edges."""
    soft = anomalous.astype(np.float64)
    for start, end in zip(starts, ends, strict=True):
        after = np.arange(end + 1, min(end + buffer // 2 + 1, len(soft)))
        before = np.arange(max(start - buffer // 2, 0), start)
        soft[after] += np.sqrt(1 - (after - end) / buffer) if buffer else 0
        soft[before] += np.sqrt(1 - (start - before) / buffer) if buffer else 0
    return np.minimum(soft, 1.0)


def _area(
    score: Floats,
    soft: Float64,
    hard: tuple[Int64, Int64],
    buffer: int,
    order: Int64,
    thresholds: Floats,
    alarms: Int64,
) -> float:
    """The area under precision against recall with one buffer."""
    true = np.cumsum(soft[order])[alarms - 1]  # (K,)
    starts, ends = hard
    joined = np.flatnonzero(ends[:-1] + buffer // 2 >= starts[1:] - buffer // 2)  # stretches that grow together
    first = np.delete(starts, joined + 1) - buffer // 2
    last = np.delete(ends, joined) + buffer // 2
    highest = np.sort([score[max(a, 0) : b + 1].max() for a, b in zip(first, last, strict=True)])
    told = len(highest) - np.searchsorted(highest, thresholds)  # (K,) stretches with an alarm
    labels = (float(np.sum(ends - starts + 1)) + soft.sum()) / 2
    recall = np.append(0.0, np.minimum(true / labels, 1) * told / len(highest))  # (K+1,)
    precision = np.append(1.0, true / alarms)  # (K+1,)
    return float(np.dot(np.diff(recall), (precision[1:] + precision[:-1]) / 2))
