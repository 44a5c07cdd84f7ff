"""Recorded files (CSV, Parquet) -> one recording per asset.

Nothing is guessed silently: text among numbers, missing columns and files that disagree are refused with the
file, the line and the column. The one guess is the unit of numeric times, and its rule stands below.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import numpy as np

from simulator.tables import MissingColumnError, RecordingError, Table, read_table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from monitor.records import Float32, Float64, Int64

__all__ = [
    "MissingColumnError",
    "Recording",
    "RecordingError",
    "data_hash",
    "read_recording",
    "row_times",
    "safe_name",
]

MILLISECONDS_FROM = 1e11  # as ms this is 1973, as s the year 5138
TOO_FINE_FROM = 1e14  # as ms the year 5138: these are micro- or nanoseconds


@dataclass(frozen=True, slots=True)
class Recording:
    """What was recorded of one asset: N rows of C sensors, in the order of time."""

    asset: str
    sensors: tuple[str, ...]  # C
    time: Int64  # (N,) epoch ms
    values: Float32  # (N, C), NaN = missing
    out_of_order: int = 0  # rows that stood before one of an earlier time


def read_recording(
    paths: Sequence[Path],
    *,
    asset_column: str | None = None,
    time_column: str | None = None,
    period_ms: int | None = None,
    columns: Sequence[str] = (),
    exclude: Sequence[str] = (),
    assets: Sequence[str] = (),
) -> list[Recording]:
    """Read recorded files: one recording per asset, in the order in which the assets first appear.

    Without `asset_column` each file is one asset, named by the file's stem. With it, an asset's rows are
    joined over all files. Characters that cannot stand in a topic level become "-".

    Without `time_column`, `period_ms` is required and the rows of each asset are that far apart, from 0 on.
    With it, rows are sorted by time (rows of one time keep their order), and a time is one of: a number, which
    is epoch milliseconds if the file's largest is 1e11 or more, else epoch seconds; ISO 8601 text, UTC where
    it names no zone; an Arrow timestamp.

    `columns` are the sensors in order, `column` or `name=column`. Without them every column that holds numbers
    is a sensor, except the asset and time columns and those in `exclude`. A column counts as text when none of
    its cells is a number. `assets` are globs on the assets' names; a leading "!" excludes.

    Raises RecordingError, one sentence, for anything that cannot be read as said here.
    """
    if time_column is None and period_ms is None:
        raise RecordingError("there is no time column, so the period between rows must be given")
    sensors: dict[str, str] = {}
    parts: dict[str, list[tuple[Int64 | None, Float32]]] = defaultdict(list)
    origins: dict[str, str] = {}
    unseen = set(exclude)
    for path in paths:
        table = read_table(path)
        unseen -= set(table.columns)
        if len(table.rows) == 0:
            continue
        chosen = _sensors(table, columns, {*exclude, asset_column, time_column})
        sensors = sensors or chosen
        _same_sensors(table, chosen, sensors)
        values = np.stack([table.numbers(column) for column in sensors.values()], axis=1)  # (N, C)
        time = None if time_column is None else row_times(table, time_column)  # (N,)
        for origin, rows in _by_asset(table, asset_column):
            asset = safe_name(path.stem if asset_column is None else origin)
            if origins.setdefault(asset, origin) != origin:
                raise RecordingError(f"{origins[asset]} and {origin} would both be the asset {asset}")
            parts[asset].append((None if time is None else time[rows], values[rows].astype(np.float32)))
    if unseen:
        raise RecordingError(f"no file has a column {', '.join(sorted(unseen))} to exclude")
    if not parts:
        raise RecordingError(f"no rows in {', '.join(map(str, paths))}")
    names = tuple(sensors)
    return [_join(asset, names, parts[asset], period_ms) for asset in _selected(list(parts), assets)]


def data_hash(recordings: Sequence[Recording]) -> str:
    """SHA-256 of names, sensors, times and values: the same data, in whatever file, have the same."""
    digest = hashlib.sha256()
    for each in recordings:
        digest.update("\0".join((each.asset, *each.sensors, "")).encode())
        digest.update(each.time.astype("<i8").tobytes())
        digest.update(each.values.astype("<f4").tobytes())
    return digest.hexdigest()


def safe_name(name: str) -> str:
    """The name with "-" for whatever cannot stand in one level of an MQTT topic.

    >>> safe_name("valve1/0")
    'valve1-0'
    """
    return name.strip().translate(str.maketrans("/+# \0", "-----"))


def _sensors(table: Table, columns: Sequence[str], others: set[str | None]) -> dict[str, str]:
    """Name of each sensor -> its column, in order."""
    if not columns:
        chosen = {name: name for name in table.columns if name and name not in others and table.is_numeric(name)}
        if not chosen:
            raise RecordingError(f"{table.path} has no column of numbers")
        return chosen
    named = {}
    for entry in columns:
        name, equals, column = entry.partition("=")
        column = column if equals else name
        table.require(column)
        if not name or name in named:
            raise RecordingError(f"columns: {entry!r} gives no name, or one that is taken")
        named[name] = column
    return named


def _same_sensors(table: Table, chosen: dict[str, str], expected: dict[str, str]) -> None:
    fewer, more = sorted(set(expected) - set(chosen)), sorted(set(chosen) - set(expected))
    if fewer:
        raise RecordingError(f"{table.path} lacks the sensor {', '.join(fewer)} that the first file has")
    if more:
        raise RecordingError(f"{table.path} has {', '.join(more)}, which the first file lacks: exclude it")


def row_times(table: Table, column: str) -> Int64:
    """Epoch ms of every row (N,)."""
    kind = table.kind(column)
    if kind == "moments":
        return table.moments(column)
    if kind == "text":
        return table.iso_times(column)
    seconds_or_ms: Float64 = table.present_numbers(column)
    largest = float(np.abs(seconds_or_ms).max())
    if largest >= TOO_FINE_FROM:
        raise RecordingError(f"{table.path}: {column} is neither seconds nor milliseconds ({largest:.0f})")
    factor = 1 if largest >= MILLISECONDS_FROM else 1000
    return np.rint(seconds_or_ms * factor).astype(np.int64)


def _by_asset(table: Table, column: str | None) -> list[tuple[str, Int64]]:
    """(asset as the file writes it, or the file itself; its rows), in the order of first appearance."""
    if column is None:
        return [(str(table.path), np.arange(len(table.rows)))]
    labels = table.labels(column)
    names, first, codes = np.unique(labels, return_index=True, return_inverse=True)
    return [(str(names[code]), np.flatnonzero(codes == code)) for code in np.argsort(first)]


def _selected(assets: Sequence[str], globs: Sequence[str]) -> list[str]:
    wanted = [safe_name(glob) for glob in globs if not glob.startswith("!")] or ["*"]
    unwanted = [safe_name(glob[1:]) for glob in globs if glob.startswith("!")]
    chosen = [
        asset
        for asset in assets
        if any(fnmatchcase(asset, glob) for glob in wanted)
        and not any(fnmatchcase(asset, glob) for glob in unwanted)
    ]
    if not chosen:
        raise RecordingError(f"no asset matches {' '.join(globs)}; there are {', '.join(assets)}")
    return chosen


def _join(
    asset: str, sensors: tuple[str, ...], parts: list[tuple[Int64 | None, Float32]], period_ms: int | None
) -> Recording:
    values = np.concatenate([part for _, part in parts])  # (N, C)
    times = [time for time, _ in parts if time is not None]
    if not times:
        assert period_ms is not None
        return Recording(asset, sensors, np.arange(len(values), dtype=np.int64) * period_ms, values)
    time = np.concatenate(times)  # (N,)
    order = np.argsort(time, kind="stable")
    out_of_order = int(np.count_nonzero(np.diff(time) < 0))
    return Recording(asset, sensors, time[order], values[order], out_of_order)
