"""Simulated readings -> a CSV or Parquet file, complete or not there at all.

Columns: `time` (epoch ms), `asset`, and the sensors; one row an engine and tick, in the order of time. The rows go
to a file beside it with the ending `.partial`, which takes the name when it is complete.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from monitor.durable import sync
from simulator.records import SENSORS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from simulator.records import Block

    Write = Callable[[Block, int], None]  # a block, and the epoch ms of the fleet's beginning

CSV = (".csv",)
PARQUET = (".parquet", ".pq")


class OutputError(Exception):
    """The file cannot be written: one sentence for the user."""


def check_output(path: Path, *, replace: bool) -> None:
    """Raises OutputError for what would fail later: ending, folder, library, or a file that is there."""
    if path.suffix.lower() not in {*CSV, *PARQUET}:
        raise OutputError(f"{path}: the ending must be {', '.join((*CSV, *PARQUET))}")
    if path.suffix.lower() in PARQUET:
        _pyarrow(path)
    check_place(path, replace=replace)


def check_place(path: Path, *, replace: bool) -> None:
    """Raises OutputError where no file can be made, or one is there and may not be replaced."""
    if not path.parent.is_dir():
        raise OutputError(f"{path}: there is no folder {path.parent}")
    if path.is_dir():
        raise OutputError(f"{path} is a folder: name a file")
    if path.exists() and not replace:
        raise OutputError(f"{path} is there already: --replace overwrites it")
    if not os.access(path.parent, os.W_OK):  # also root's answer where the disk is read-only
        raise OutputError(f"{path}: the folder {path.parent} cannot be written")


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A path to write to; what stands there afterwards takes the name, and nothing stays where writing fails."""
    partial = path.with_name(path.name + ".partial")
    try:
        yield partial
        sync(partial)
        partial.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):  # where it cannot be removed it was not made: the first error says why
            partial.unlink(missing_ok=True)


@contextmanager
def open_output(path: Path, assets: Sequence[str]) -> Iterator[Write]:
    """A function that writes blocks to the file. Raises OutputError where that fails, as at a full disk."""
    kind = _parquet if path.suffix.lower() in PARQUET else _csv
    with whole_file(path) as partial, kind(partial, assets) as write:
        yield write


@contextmanager
def _csv(path: Path, assets: Sequence[str]) -> Iterator[Write]:
    names = np.array(assets)

    def write(block: Block, beginning: int) -> None:
        tick, engine = np.nonzero(block.running)  # (rows,) each
        values = block.values[tick, engine]  # (rows, C)
        cells = np.where(np.isnan(values), "", values.astype(np.str_))  # numpy writes the shortest that reads back
        times = (beginning + block.time[tick]).astype(np.str_)
        rows = np.column_stack([times, names[engine], cells]).tolist()
        file.writelines(",".join(row) + "\n" for row in rows)

    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(",".join(("time", "asset", *SENSORS)) + "\n")
        yield write


@contextmanager
def _parquet(path: Path, assets: Sequence[str]) -> Iterator[Write]:
    pa, pq = _pyarrow(path)
    schema = pa.schema([("time", pa.int64()), ("asset", pa.string()), *((name, pa.float32()) for name in SENSORS)])
    names = np.array(assets, dtype=object)

    def write(block: Block, beginning: int) -> None:
        tick, engine = np.nonzero(block.running)  # (rows,) each
        values = block.values[tick, engine]  # (rows, C)
        columns = [pa.array(beginning + block.time[tick]), pa.array(names[engine], pa.string())]
        columns += [pa.array(column, from_pandas=True) for column in values.T]  # NaN becomes null
        if len(tick):
            writer.write_table(pa.table(columns, schema=schema))

    with pq.ParquetWriter(path, schema) as writer:
        yield write


def _pyarrow(path: Path) -> tuple[Any, Any]:
    try:
        import pyarrow as pa  # noqa: PLC0415 - an extra: only writers of Parquet need it
        import pyarrow.parquet as pq  # noqa: PLC0415 - as above
    except ImportError:
        raise OutputError(f"{path} needs pyarrow to be written: install enginewatch[parquet]") from None
    return pa, pq
