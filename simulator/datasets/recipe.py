"""What a recipe for a data set is, and what comes of it.

A recipe knows the columns, units, period, labels and licence of a data set that somebody else publishes, and how
to split it; the files themselves are downloaded by the user. Column names and units are as their publishers or
users describe them; what could not be made sure of stands in `uncertain`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from simulator.tables import RecordingError, read_table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from monitor.records import Bool, Float32, Int64

NORMAL, ANOMALOUS, NOT_JUDGED = 0, 1, -1


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of one asset in their order (N,), each to train on, to evaluate on, both or neither."""

    asset: str
    values: Float32  # (N, C)
    train: Bool  # (N,)
    evaluate: Bool  # (N,)
    label: npt.NDArray[np.int8]  # (N,) NORMAL, ANOMALOUS, or NOT_JUDGED: context only
    kind: npt.NDArray[np.str_]  # (N,) of the fault; empty for none
    time: Int64 | None = None  # (N,) epoch ms; None: the rows' order is all there is


@dataclass(frozen=True, slots=True)
class Event:
    """A fault from `start` to `end` inclusive: epoch ms, or row numbers of the asset where there is no time."""

    asset: str
    start: int
    end: int
    kind: str
    sensor: str = ""


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a recipe made of the files."""

    sensors: tuple[tuple[str, str], ...]  # name and unit of each column (C)
    period_ms: int | None  # None: rows without time
    parts: list[Part]
    events: list[Event] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # sentences for the user


@dataclass(frozen=True, slots=True)
class Recipe:
    """A data set: what it is, for `datasets list` and `show`, and how to read it, for `datasets prepare`."""

    name: str
    title: str
    about: str
    files: str  # what to give to `prepare`
    source: str  # where to get it
    licence: str
    period: str
    labels: str
    split: str
    window: int  # to train with; 1: rows without time
    sensors: tuple[tuple[str, str], ...]
    uncertain: str  # what could not be made sure of
    read: Callable[[Sequence[Path]], Prepared]


def part(
    asset: str,
    values: Float32,
    *,
    train: Bool,
    evaluate: Bool,
    label: npt.NDArray[np.int_],
    kind: Sequence[str] | npt.NDArray[np.str_] | str = "",
    time: Int64 | None = None,
) -> Part:
    """A Part; `kind` may be one for all of its anomalous rows."""
    kinds = np.where(label == ANOMALOUS, kind, "") if isinstance(kind, str) else np.asarray(kind, np.str_)
    return Part(asset, values, train, evaluate, label.astype(np.int8), kinds, time)


def files_in(paths: Sequence[Path], pattern: str, what: str) -> list[Path]:
    """The files that were given, and those in the folders that were given, sorted. Raises RecordingError."""
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise RecordingError(f"{path}: No such file or directory")
        found += sorted(path.rglob(pattern), key=_by_number) if path.is_dir() else [path]
    if not found:
        raise RecordingError(f"{', '.join(map(str, paths))}: no {what} there ({pattern})")
    return found


def columns_of(path: Path, sensors: Sequence[str]) -> Float32:
    """These columns of a table (N, C). Raises RecordingError where one is missing or holds text."""
    table = read_table(path)
    return np.stack([table.numbers(name) for name in sensors], axis=1).astype(np.float32)


def matrix(path: Path, columns: int) -> npt.NDArray[np.float64]:
    """Numbers separated by spaces, without a header (N, columns). Raises RecordingError."""
    try:
        values: npt.NDArray[np.float64] = np.loadtxt(path, ndmin=2)
    except OSError as error:
        raise RecordingError(f"{path}: {error.strerror or error}") from error
    except ValueError as error:
        raise RecordingError(f"{path} is not numbers separated by spaces: {str(error).splitlines()[0]}") from error
    if values.shape[1] != columns:
        raise RecordingError(f"{path} has {values.shape[1]} columns, where this data set has {columns}")
    return values


def stretches(flag: Bool) -> list[tuple[int, int]]:
    """First and last row of each unbroken stretch of True.

    >>> stretches(np.array([False, True, True, False, True]))
    [(1, 2), (4, 4)]
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flag, [False]]).astype(np.int8)))
    return [(int(first), int(after) - 1) for first, after in edges.reshape(-1, 2)]


def _by_number(path: Path) -> tuple[str, int, str]:
    """2.csv before 10.csv."""
    digits = "".join(filter(str.isdigit, path.stem))
    return str(path.parent), int(digits or -1), path.name
