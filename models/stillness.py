"""For how long each sensor stands still in normal data, while the machine moves [pure].

Where values are polled one after the other, most sensors have not moved in any one tick: a machine moves when most
of its sensors have moved lately, and how lately is learned too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]

TURNS = 5  # times as long as half of the sensors usually have not moved: by then a machine rests
MOST_WITHIN = 60  # ticks; a machine that moves more seldom rests
MARGIN = 2.0  # times the longest stillness of normal data is stuck
LEAST_STUCK = 20  # ticks
MOST_STILL = 300  # ticks; a sensor that stands still for longer says nothing by it


@dataclass(frozen=True, slots=True)
class Stillness:
    """Limits for the sensor check."""

    moved_within: int  # ticks: the machine moves while most sensors moved this lately
    stuck: tuple[int | None, ...]  # (C,) ticks without moving, while it moves, that make a fault; None = none


def learn_stillness(runs: list[Float32]) -> Stillness:
    """The limits by runs of normal rows (N, C) that follow each other, NaN = missing."""
    ages = [_age(values) for values in runs]  # (N, C) ticks since the sensor moved
    middle = np.concatenate([np.sort(age, axis=1)[:, age.shape[1] // 2] for age in ages])
    within = int(min(1 + TURNS * np.median(middle), MOST_WITHIN))
    longest = np.max([_longest(age, within) for age in ages], axis=0)  # (C,)
    return Stillness(
        within,
        tuple(
            max(int(np.ceil(MARGIN * ticks)), LEAST_STUCK) if ticks <= MOST_STILL else None
            for ticks in longest.tolist()
        ),
    )


def _age(values: Float32) -> npt.NDArray[np.int_]:
    rows = np.arange(len(values))[:, None]
    moved = np.ones(values.shape, np.bool_)
    moved[1:] = values[1:] != values[:-1]  # a missing value is no stillness
    return rows - np.maximum.accumulate(np.where(moved, rows, 0), axis=0)


def _longest(age: npt.NDArray[np.int_], within: int) -> npt.NDArray[np.int_]:
    """The longest stillness (C,), in ticks in which most of the other sensors had moved lately."""
    lately = age < within  # (N, C)
    others = lately.sum(axis=1, keepdims=True) - lately
    counts = np.cumsum(2 * others > age.shape[1] - 1, axis=0)  # (N, C) ticks in which the machine moved
    start = np.maximum(np.arange(len(age))[:, None] - age, 0)  # (N, C) where the sensor last moved
    found: npt.NDArray[np.int_] = (counts - np.take_along_axis(counts, start, axis=0)).max(axis=0)
    return found
