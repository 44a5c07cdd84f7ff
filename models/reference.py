"""What normal data reached, by which it is told later whether an asset has left what it was trained on [pure].

The recordings are cut into pieces, and of each piece the 0.1 % and the 99.9 % quantile of every sensor are taken,
so that a spike counts for nothing. The highest of these is what was reached, and as much more as the third highest
lies below it: where the pieces' tops are far apart a longer recording would have reached further (after Robson and
Whitlock 1964, who estimate an endpoint by the two highest). How often a state occurs counts for nothing, so that
an asset that does more of what was seen is not thought to have changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from models.scaling import CONSTANT, CONSTANT_SCALE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

PIECES = 10  # the recordings are cut in so many at the least, where that leaves PIECE_ROWS to each
PIECE_ROWS = 100
TAIL = 0.001  # of a piece's values, on either side, say nothing of what it reached …
TAIL_ROWS = 1.5  # … nor do this many
BEHIND = 3  # the third highest piece
MARGIN = 0.05  # of what was reached, at the least: so much further is no further
MOST = 3e38  # about what float32 holds
HIGH_SCORE = 0.95  # quantile of held-out scores


@dataclass(frozen=True, slots=True)
class Reference:
    """In the sensors' units; where assets are compared with themselves, in deviations from an asset's level."""

    lowest: Float32  # (C,)
    highest: Float32  # (C,)
    score: float  # the HIGH_SCORE quantile of normal scores that did not fit the network


def learn_reference(recordings: Sequence[Float32], scores: Float32) -> Reference:
    """The reference by the normal rows (N, C) of each asset, NaN = missing, and by held-out scores (B,).

    A sensor that never moved has reached 1 % of its value to either side, or 1 in its own unit where it is always
    0; one without any value in these rows has reached everything.
    """
    pieces = list(_pieces([rows for rows in recordings if len(rows)]))
    highest, above = _top(np.array([_quantile(rows, 1) for rows in pieces]))
    lowest, below = (-each for each in _top(-np.array([_quantile(rows, 0) for rows in pieces])))
    middle, reach = np.abs(lowest + highest) / 2, highest - lowest  # (C,)
    still = np.where(middle == 0, 1.0, CONSTANT_SCALE * middle)
    least = np.where(reach <= CONSTANT * middle, still, MARGIN * reach)
    never = np.isnan(reach)
    return Reference(
        np.where(never, -MOST, lowest - np.maximum(-below, least)).astype(np.float32),
        np.where(never, MOST, highest + np.maximum(above, least)).astype(np.float32),
        float(np.nanquantile(scores, HIGH_SCORE)),
    )


def _top(high: Float32) -> tuple[Float64, Float64]:
    """The highest (C,) of all pieces (P, C), and by how much the third is below it; NaN without values."""
    order = np.sort(np.where(np.isnan(high), -np.inf, high).astype(np.float64), axis=0)
    highest, third = order[-1], order[-min(BEHIND, len(order))]
    highest = np.where(np.isfinite(highest), highest, np.nan)
    return highest, np.where(np.isfinite(third), highest - third, 0)


def _pieces(recordings: list[Float32]) -> Iterator[Float32]:
    each = -(-PIECES // max(len(recordings), 1))
    for rows in recordings:
        yield from np.array_split(rows, max(1, min(each, len(rows) // PIECE_ROWS)))


def _quantile(rows: Float32, end: int) -> Float32:
    """What rows (N, C) reach at the lower end (0) or the upper one (1), (C,); NaN of a sensor without values."""
    found = np.full(rows.shape[1], np.nan, np.float32)
    there = ~np.isnan(rows).all(axis=0)
    tail = max(TAIL, min(TAIL_ROWS / len(rows), 0.5))
    found[there] = np.nanquantile(rows[:, there], abs(end - tail), axis=0)
    return found
