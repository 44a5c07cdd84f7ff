"""The level of every stream, where the model compares assets with themselves: mean and variance of its own rows.

Pure. A stream that the model knows from its training has a level from the start; another one learns it from its
first scored rows, once, and is not scored meanwhile. `accept` lets it learn anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from monitor.records import Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.records import Bool, Float32, Float64, Int32, LevelModel, Windows

    Int = np.typing.NDArray[np.int_]


@dataclass(slots=True)
class LevelState:
    """S streams."""

    asked: Bool  # (S,) whether the model was asked for it, or need not be
    rows: Int32  # (S,) rows that were taken in; of a level from the model as many as it wants
    count: Int32  # (S, C) values of them
    mean: Float64  # (S, C)
    square: Float64  # (S, C) sum of the squared distances from the mean

    @classmethod
    def empty(cls, sensors: int, streams: int) -> LevelState:
        """The state of streams that have not been heard yet; no `sensors` where the model has no levels."""
        return cls(
            asked=np.zeros(streams, np.bool_),
            rows=np.zeros(streams, np.int32),
            count=np.zeros((streams, sensors), np.int32),
            mean=np.zeros((streams, sensors)),
            square=np.zeros((streams, sensors)),
        )


def about(
    state: LevelState, model: LevelModel, keys: Sequence[str], windows: Windows
) -> tuple[Windows, tuple[Float32, Float32]]:
    """The windows, with the status of those that have no level yet, and center and scale (B, C) of their streams.

    Changes `state`, and the status of `windows`.
    """
    stream = windows.stream
    for number in np.unique(stream[~state.asked[stream]]).tolist():
        _ask(state, model, keys[number], number)
    learning = np.flatnonzero((windows.status == Status.SCORED) & (state.rows[stream] < model.level_rows))
    if len(learning):
        windows.status[learning] = Status.COMMISSIONING
        turn = _turns(stream[learning])  # of one stream the rows count one after the other
        taken = learning[state.rows[stream[learning]] + turn < model.level_rows]
        _learn(state, stream[taken], windows.values[taken, -1])
    variance = state.square[stream] / np.maximum(state.count[stream], 1)  # (B, C)
    return windows, model.level_from(state.mean[stream], variance)


def forget(state: LevelState, stream: int) -> None:
    """What comes next says what the level of a stream is, whatever the model knows of it; changes `state`."""
    state.asked[stream] = True
    state.rows[stream] = 0
    state.count[stream] = 0
    state.mean[stream] = state.square[stream] = 0


def _ask(state: LevelState, model: LevelModel, key: str, stream: int) -> None:
    state.asked[stream] = True
    known = model.level(key)
    if known is not None:
        state.rows[stream] = state.count[stream] = model.level_rows
        state.mean[stream] = known[0]
        state.square[stream] = known[1].astype(np.float64) ** 2 * model.level_rows


def _turns(stream: Int32) -> Int:
    """How many rows (M,) of the same stream stand before each."""
    order = np.argsort(stream, kind="stable")
    first = np.searchsorted(stream[order], stream[order])
    turn = np.empty(len(stream), np.int_)
    turn[order] = np.arange(len(stream)) - first
    return turn


def _learn(state: LevelState, stream: Int32, values: Float32) -> None:
    """Take in rows (M, C), NaN = missing, joined with what is known (Chan, Golub and LeVeque 1983)."""
    known, row = np.unique(stream, return_inverse=True)  # (K,), (M,)
    there = ~np.isnan(values)
    count, total, square = (np.zeros((len(known), values.shape[1])) for _ in range(3))  # (K, C)
    np.add.at(count, row, there)
    np.add.at(total, row, np.where(there, values, 0))
    mean = total / np.maximum(count, 1)
    np.add.at(square, row, np.where(there, values - mean[row], 0) ** 2)
    before = state.count[known]
    both = np.maximum(before + count, 1)
    distance = np.where(count > 0, mean - state.mean[known], 0)
    state.rows[known] += np.bincount(row)
    state.count[known] += count.astype(np.int32)
    state.mean[known] += distance * count / both
    state.square[known] += square + distance**2 * before * count / both
