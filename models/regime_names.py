"""What regimes are called: by the sensors that tell them apart, and where these stand in each [pure]."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

Float64 = npt.NDArray[np.float64]
Int = npt.NDArray[np.int_]

# By how many different standings a sensor has.
WORDS = {
    2: ("low", "high"),
    3: ("low", "middle", "high"),
    4: ("lowest", "low", "high", "highest"),
    5: ("lowest", "low", "middle", "high", "highest"),
    6: ("lowest", "lower", "low", "high", "higher", "highest"),
}


def names_of(center: Float64, covariance: Float64, sensors: Sequence[str]) -> tuple[list[str], list[int]] | None:
    """A name for each of K regimes with centers (K, D) and covariances (K, D, D) of D sensors, and their order.

    No two names are the same. Each has as few sensors as set it apart, first the one that tells most apart.
    None where two regimes stand apart in no sensor.

    >>> names_of(np.array([[3.0, 0.0], [0.0, 9.0], [0.0, 0.0]]), np.array([np.eye(2)] * 3), ["speed", "heat"])[0]
    ['speed high', 'speed low, heat high', 'speed low, heat low']
    """
    deviation = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))  # (K, D)
    standing = np.stack([_standing(center[:, d], deviation[:, d]) for d in range(len(sensors))], axis=1)  # (K, D)
    chosen: list[int] = []
    while _kinds(standing, chosen) < len(center):
        gains = [_kinds(standing, [*chosen, sensor]) for sensor in range(len(sensors))]
        if max(gains) <= _kinds(standing, chosen):
            return None
        chosen.append(int(np.argmax(gains)))
    words = [_word(row, standing, chosen, sensors) for row in standing]
    order = sorted(range(len(center)), key=lambda row: (*standing[row, chosen].tolist(), *center[row].tolist()))
    return words, order


def _standing(center: Float64, deviation: Float64) -> Int:
    """Where the centers (K,) of one sensor stand, from 0; neighbours within their deviations stand together."""
    order = np.argsort(center, kind="stable")
    gap = np.diff(center[order]) > deviation[order][1:] + deviation[order][:-1]
    found = np.empty(len(center), np.int_)
    found[order] = np.concatenate([[0], np.cumsum(gap)])
    return found


def _kinds(standing: Int, chosen: list[int]) -> int:
    return len(np.unique(standing[:, chosen], axis=0)) if chosen else 1


def _word(row: Int, standing: Int, chosen: list[int], sensors: Sequence[str]) -> str:
    """The name of a regime by the first of the chosen sensors that leave no other one like it."""
    parts: list[str] = []
    for count, sensor in enumerate(chosen, start=1):
        kinds = int(standing[:, sensor].max()) + 1
        if kinds > 1:
            parts.append(f"{sensors[sensor]} {WORDS[kinds][row[sensor]]}")
        same = (standing[:, chosen[:count]] == row[chosen[:count]]).all(axis=1)
        if same.sum() == 1:
            break
    return ", ".join(parts)
