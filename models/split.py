"""Which normal windows fit the network, which stop the training, and which calibrate the score [pure].

No cell is in two parts. With ten runs or more, whole runs are dealt out: calibration then sees runs that the
network has never seen, as it will in service; where they are of ten assets or more, an asset's runs stay together,
so that it sees assets that are new. With fewer, each run is cut into blocks of time that take turns, and a window
that reaches back over the edge of a block is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Iterator

Float32 = npt.NDArray[np.float32]
Int64 = npt.NDArray[np.int64]

RUNS_TO_DEAL = 10  # with fewer, two calibration runs would not be had
BLOCK_WINDOWS = 4  # a block is at least this many window lengths, where the run allows it
ROUNDS = 20  # how often the pattern of blocks is repeated in one run at the most


class Part(IntEnum):
    """What a window is used for."""

    FIT = 0
    STOP = 1
    CALIBRATION = 2


LEFT_OUT = -1
IN_TIME = {Part.FIT: 0.5, Part.STOP: 0.1, Part.CALIBRATION: 0.4}  # of an asset's rows, in this order
SHARES = np.array([0.7, 0.1, 0.2])  # by Part
# Ten blocks in the proportion of SHARES, with as few edges as keep calibration spread over the run.
PATTERN = np.array([0, 0, 2, 0, 0, 1, 0, 0, 2, 0])


class Taken:
    """Some of many windows that overlap, copied only where they are looked at.

    A copy of all would be T times as large as the rows that they are views of. It is indexed as an array is.
    """

    def __init__(self, windows: Float32, index: Int64) -> None:
        """`windows` (N, T, C) may be a view; `index` (B,) says which are taken."""
        self._windows = windows
        self._index = index
        self.shape = (len(index), *windows.shape[1:])

    def __len__(self) -> int:
        return len(self._index)

    def __iter__(self) -> Iterator[Float32]:
        return (self._windows[index] for index in self._index)

    def __getitem__(self, key: Any) -> Float32:
        first, *others = key if isinstance(key, tuple) else (key,)
        view = self._windows[(slice(None), *others)]
        part: Float32 = view[self._index[first]]  # only this is copied
        return part

    def of(self, rows: Int64) -> Taken:
        """Some of these."""
        return Taken(self._windows, self._index[rows])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Float32:
        """All of them (B, T, C)."""
        return np.asarray(self._windows[self._index], dtype)


@dataclass(frozen=True, slots=True)
class Run:
    """The windows of one asset or one drive, in the order of time."""

    name: str
    windows: Float32 | Taken  # (B, T, C) in the sensors' units, NaN = missing
    tick: Int64  # (B,) last tick of each window

    def rows(self) -> Float32:
        """The rows (N, C) that the windows are of, as far as they tell, in the order of time."""
        last = self.windows[:, -1]
        return np.concatenate([self.windows[0, :-1], last]) if len(self.tick) else last

    def stretches(self) -> list[Float32]:
        """The same rows, in parts (N, C) within which each tick follows the one before."""
        breaks = np.flatnonzero(np.diff(self.tick) != 1) + 1
        firsts, ends = [0, *breaks.tolist()], [*breaks.tolist(), len(self.tick)]
        return [
            np.concatenate([self.windows[first, :-1], self.windows[first:end, -1]])
            for first, end in zip(firsts, ends, strict=True)
            if first < end
        ]

    def of(self, rows: Int64) -> Run:
        """The run of some of its windows, which are not copied."""
        windows = self.windows.of(rows) if isinstance(self.windows, Taken) else Taken(self.windows, rows)
        return Run(self.name, windows, self.tick[rows])


def split_runs(runs: list[Run], seed: int) -> tuple[list[npt.NDArray[np.int_]], str]:
    """The Part, or LEFT_OUT, of every window of every run (B,), and in words how it was done."""
    names = [run.name for run in runs]
    assets = list(dict.fromkeys(names))
    if len(runs) > len(assets) >= RUNS_TO_DEAL:
        words = f"{len(runs)} whole runs of {len(assets)} assets dealt out, an asset's together"
        return _deal(runs, [assets.index(name) for name in names], seed), words
    if len(runs) >= RUNS_TO_DEAL:
        return _deal(runs, list(range(len(runs))), seed), f"{len(runs)} whole runs dealt out"
    return [_blocks(run) for run in runs], f"blocks of time within {len(runs)} run(s)"


def split_in_time(runs: list[Run], judged: int) -> tuple[list[npt.NDArray[np.int_]], str]:
    """As `split_runs`, where assets are compared with themselves: what comes later in each asset is held out.

    An asset's level is then known from its beginning, as it will be in service. A window is in a part with the
    `judged` ticks at its end; what it sees before them may lie in the part before.
    """
    parts: list[npt.NDArray[np.int_]] = []
    ticks: dict[str, list[Int64]] = {}
    for run in runs:
        if len(run.tick):
            first = run.tick[0] - np.arange(run.windows.shape[1] - 1, 0, -1)  # of the rows in the first window
            ticks.setdefault(run.name, []).append(np.concatenate([first, run.tick]))
    edges = np.cumsum(list(IN_TIME.values()))[:-1]
    bounds = {name: np.quantile(np.concatenate(each), edges, method="nearest") for name, each in ticks.items()}
    for run in runs:
        if not len(run.tick):
            parts.append(np.full(0, LEFT_OUT))
            continue
        first, last = np.searchsorted(bounds[run.name], [run.tick - judged + 1, run.tick], side="left")
        parts.append(np.where(first == last, last, LEFT_OUT))
    return parts, f"the rows of each of {len(ticks)} assets in the order of time"


def _deal(runs: list[Run], hand: list[int], seed: int) -> list[npt.NDArray[np.int_]]:
    """Each hand, the largest first and then in random order, goes to the part that is least filled.

    `hand` is the number, from 0 on, of the hand that each run belongs to.
    """
    sizes = np.bincount(hand, weights=[len(run.tick) for run in runs])
    order = np.random.default_rng(seed).permutation(len(sizes))
    order = order[np.argsort(order != np.argmax(sizes), kind="stable")]
    filled = np.zeros(len(SHARES))
    part = np.empty(len(sizes), np.int_)
    for index in order:
        part[index] = np.argmin(filled / SHARES)
        filled[part[index]] += sizes[index]
    return [np.full(len(run.tick), part[number]) for run, number in zip(runs, hand, strict=True)]


def _blocks(run: Run) -> npt.NDArray[np.int_]:
    count, window, _ = run.windows.shape
    rounds = int(np.clip(count // (len(PATTERN) * BLOCK_WINDOWS * window), 1, ROUNDS))
    block = np.arange(count) * rounds * len(PATTERN) // max(count, 1)  # (B,)
    parts = PATTERN[block % len(PATTERN)]  # (B,)
    # The first window that shares a tick with this one; between it and this one the part must not change.
    oldest = np.searchsorted(run.tick, run.tick - window, side="right")  # (B,)
    changes = np.cumsum(np.diff(parts, prepend=parts[:1]) != 0)  # (B,)
    return np.where(changes[oldest] == changes, parts, LEFT_OUT)
