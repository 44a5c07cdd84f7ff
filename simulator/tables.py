"""One recorded file as a table of columns: numbers, text or moments in time, with errors that name the place."""

from __future__ import annotations

import csv
import datetime as dt
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, overload

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from monitor.records import Float64, Int64

MISSING = frozenset({"", "nan", "na", "n/a", "null", "none"})  # how files write "no value", in small letters
LARGEST = float(np.finfo(np.float32).max)
COLUMNS_SHOWN = 30
BLOCK = 10_000  # rows that are held as strings at a time
SEPARATOR = "\0"
EPOCH = dt.datetime.fromtimestamp(0, dt.UTC)
MILLISECOND = dt.timedelta(milliseconds=1)


class RecordingError(ValueError):
    """The file, or what was asked of it, is wrong: one sentence for the user; a retry is of no use."""


class MissingColumnError(RecordingError):
    """The file has no column of the name that was asked for."""


class Cells(Sequence[str]):
    """A column of text, of many rows: strings of their own would take ten times the room."""

    def __init__(self, blocks: list[str], length: int) -> None:
        """`blocks` are BLOCK cells each, but for the last, joined by NUL, which no CSV file holds."""
        self._blocks = blocks
        self._length = length

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, key: int) -> str: ...
    @overload
    def __getitem__(self, key: slice) -> list[str]: ...
    def __getitem__(self, key: int | slice) -> str | list[str]:
        if isinstance(key, slice):
            return list(islice(self, *key.indices(self._length)))
        block, place = divmod(range(self._length)[key], BLOCK)
        return self._blocks[block].split(SEPARATOR)[place]

    def __iter__(self) -> Iterator[str]:
        return chain.from_iterable(self.blocks())

    def blocks(self) -> Iterator[list[str]]:
        """The cells, some at a time."""
        return (block.split(SEPARATOR) for block in self._blocks)


@dataclass(frozen=True, slots=True)
class Table:
    """N rows. A column is float64 (N,), datetime64[ms] (N,), or text as a sequence of N strings."""

    path: Path
    row_name: str  # "line" or "row"
    rows: Int64 | range  # (N,) number of each row in the file, for messages
    columns: dict[str, Any]

    def require(self, column: str) -> Any:
        """The column as it is; raises RecordingError where there is none of that name."""
        if column not in self.columns:
            there = ", ".join(list(self.columns)[:COLUMNS_SHOWN])
            raise MissingColumnError(f"{self.path} has no column {column}; it has {there}")
        return self.columns[column]

    def kind(self, column: str) -> str:
        """What the column holds: "numbers", "text" or "moments"."""
        cells = self.require(column)
        if isinstance(cells, Sequence):
            return "numbers" if any(_is_number(cell) for cell in cells) or _all_missing(cells) else "text"
        return "moments" if cells.dtype.kind == "M" else "numbers"

    def is_numeric(self, column: str) -> bool:
        """Whether the column can be a sensor: some cell is a number, or all are missing."""
        return self.kind(column) == "numbers"

    def numbers(self, column: str) -> Float64:
        """The column as float64 (N,), NaN = missing; RecordingError at text or at what float32 cannot hold."""
        cells = self.require(column)
        if isinstance(cells, Sequence):
            cells = self._parsed(column, cells)
        if cells.dtype.kind == "M":
            raise RecordingError(f"{self.path}: column {column} holds times, not numbers")
        wrong = np.flatnonzero(np.abs(cells) > LARGEST)
        if len(wrong):
            raise self.error(column, int(wrong[0]), f"{cells[wrong[0]]} is out of range")
        numbers: Float64 = cells
        return numbers

    def present_numbers(self, column: str) -> Float64:
        """As `numbers`, with no cell missing."""
        cells = self.numbers(column)
        self._refuse_missing(column, np.isnan(cells))
        return cells

    def moments(self, column: str) -> Int64:
        """A column of Arrow timestamps as epoch ms (N,)."""
        cells = self.require(column)
        self._refuse_missing(column, np.isnat(cells))
        milliseconds: Int64 = cells.astype(np.int64)
        return milliseconds

    def iso_times(self, column: str) -> Int64:
        """A column of ISO 8601 text as epoch ms (N,); UTC where the text names no zone."""
        times = np.empty(len(self.rows), np.int64)
        for row, cell in enumerate(self.require(column)):
            try:
                times[row] = iso_time(cell)
            except ValueError:
                raise self.error(column, row, f"{cell!r} is not an ISO 8601 time") from None
        return times

    def labels(self, column: str) -> list[str]:
        """The column as names: whole numbers without a decimal point, none missing."""
        cells = self.require(column)
        if not isinstance(cells, Sequence):
            cells = [_label(cell) for cell in cells]
        labels = [sys.intern(cell.strip()) for cell in cells]  # few names, in many rows
        self._refuse_missing(column, np.array([not label for label in labels], dtype=bool))
        return labels

    def error(self, column: str, row: int, reason: str) -> RecordingError:
        """The error that names file, line or row, and column."""
        return RecordingError(f"{self.path}, {self.row_name} {self.rows[row]}, column {column}: {reason}")

    def _parsed(self, column: str, cells: Sequence[str]) -> Float64:
        parsed = np.empty(len(cells), np.float64)
        start = 0
        for block in cells.blocks() if isinstance(cells, Cells) else [cells]:
            present = ["nan" if cell.strip().lower() in MISSING else cell for cell in block]
            try:
                parsed[start : start + len(present)] = present
            except ValueError:
                row = next(row for row, cell in enumerate(present) if not _is_number(cell) and cell != "nan")
                raise self.error(column, start + row, f"{block[row]!r} is not a number") from None
            start += len(present)
        return parsed

    def _refuse_missing(self, column: str, missing: np.ndarray[Any, np.dtype[np.bool_]]) -> None:
        if missing.any():
            raise self.error(column, int(np.argmax(missing)), "the cell is empty")


def iso_time(text: str) -> int:
    """ISO 8601 text as epoch ms; UTC where it names no zone. Raises ValueError.

    >>> iso_time("1970-01-01 00:00:01.5")
    1500
    """
    moment = dt.datetime.fromisoformat(text.strip())
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    return (moment - EPOCH) // MILLISECOND


def read_table(path: Path) -> Table:
    """Read a file: Parquet by its ending .parquet or .pq, anything else as CSV with a header line."""
    try:
        return _read_parquet(path) if path.suffix.lower() in {".parquet", ".pq"} else _read_csv(path)
    except OSError as error:
        reason = "No such file or directory" if isinstance(error, FileNotFoundError) else error.strerror or error
        raise RecordingError(f"{path}: {reason}") from error


def _read_csv(path: Path) -> Table:
    """Comma, semicolon or tab, whichever the header has most of; UTF-8; empty lines do not count."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header_line = file.readline()
            delimiter = max(",;\t", key=header_line.count)
            header = next(csv.reader([header_line], delimiter=delimiter), [])
            header = [name.strip() for name in header]
            if not header or len(set(header)) < len(header):
                raise RecordingError(f"{path}: the first line must name the columns, each name once")
            lines, columns = _read_rows(path, csv.reader(file, delimiter=delimiter), len(header))
    except (UnicodeDecodeError, csv.Error) as error:
        raise RecordingError(f"{path} is not CSV in UTF-8: {error}") from error
    return Table(path, "line", lines, dict(zip(header, columns, strict=True)))


def _read_rows(path: Path, reader: Any, width: int) -> tuple[Int64, list[Cells]]:
    """The lines of the file that hold rows (N,), and their `width` columns; a block of rows at a time."""
    lines: list[Int64] = []
    blocks: list[list[str]] = [[] for _ in range(width)]
    while numbered := list(islice(((reader.line_num + 1, row) for row in reader if row), BLOCK)):
        for line, row in numbered:
            if len(row) == width + 1 and not row[-1].strip():
                row.pop()  # some loggers end each row with a comma
            if len(row) != width:
                raise RecordingError(f"{path}, line {line}: {len(row)} fields where the header has {width}")
        lines.append(np.array([line for line, _ in numbered]))
        for column, cells in zip(blocks, zip(*(row for _, row in numbered), strict=True), strict=True):
            column.append(SEPARATOR.join(cells))
    count = sum(map(len, lines))
    return np.concatenate([*lines, np.empty(0, np.int64)]), [Cells(column, count) for column in blocks]


def _read_parquet(path: Path) -> Table:
    try:
        import pyarrow as pa  # noqa: PLC0415 - an extra: only readers of Parquet need it
        import pyarrow.parquet as pq  # noqa: PLC0415 - as above
    except ImportError:
        raise RecordingError(f"{path} needs pyarrow to be read: install enginewatch[parquet]") from None
    try:
        table = pq.read_table(path)
        columns = {name: _arrow_column(table.column(name), pa) for name in table.column_names}
    except pa.ArrowException as error:
        raise RecordingError(f"{path} cannot be read as Parquet: {error}") from error
    return Table(path, "row", range(1, table.num_rows + 1), columns)


def _arrow_column(column: Any, pa: Any) -> Any:
    """Numbers and booleans as float64, times as datetime64[ms], everything else as text."""
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return column.to_numpy().astype("datetime64[ms]")
    if (
        pa.types.is_floating(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_decimal(kind)
    ):
        return column.cast(pa.float64(), safe=False).to_numpy()
    return [str(cell) if cell is not None else "" for cell in column.to_pylist()]


def _is_number(cell: str) -> bool:
    try:
        return not np.isnan(float(cell))
    except ValueError:
        return False


def _all_missing(cells: Sequence[str]) -> bool:
    return all(cell.strip().lower() in MISSING for cell in cells)


def _label(cell: Any) -> str:
    if cell != cell:  # noqa: PLR0124 - NaN and NaT are the values that differ from themselves
        return ""
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)
