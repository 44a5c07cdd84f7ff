"""Which recorded rows count as normal running: the same words for `train` and `evaluate`.

Columns that only say something of a row, such as a label, are read beside the sensors and never become one.
"""

from __future__ import annotations

from argparse import Namespace
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from monitor.cli import UserError
from monitor.commands.recordings import positive, read

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from monitor.records import Bool, Float32
    from simulator.recording import Recording


@dataclass(frozen=True, slots=True)
class Marked:
    """A recording of N rows, and what columns that are no sensors say of them."""

    recording: Recording
    marks: Mapping[str, Float32]  # column -> (N,), NaN = an empty cell


def selection_arguments(parser: argparse.ArgumentParser, *, use: str) -> None:
    """Add the options; `use` says what the selected rows are for."""
    add = parser.add_argument
    add("--first-rows", type=positive, metavar="N", help=f"{use}: the first N rows of each run (asset)")
    add("--where-not", metavar="COLUMN", help=f"{use}: rows in which COLUMN is 0 or empty")
    add("--runs-without", metavar="COLUMN", help=f"{use}: runs in which COLUMN is 0 or empty throughout")


def selects(options: argparse.Namespace) -> bool:
    """Whether any of the options was given."""
    return bool(options.first_rows or options.where_not or options.runs_without)


def read_marked(
    options: argparse.Namespace, *, period_ms: int | None, columns: Sequence[str], marks: Sequence[str | None]
) -> list[Marked]:
    """The recordings that the options name, with these columns beside the sensors. Raises UserError."""
    wanted = list(dict.fromkeys(name for name in marks if name))
    if not wanted:
        return [Marked(recording, {}) for recording in read(options, period_ms=period_ms, columns=columns)]
    exclude = tuple(name for name in options.exclude if name not in wanted)
    # With named sensors the marks come behind them; else every column of numbers is read, marks among them.
    named = (*columns, *(name for name in wanted if name not in columns)) if columns else ()
    recordings = read(Namespace(**{**vars(options), "exclude": exclude}), period_ms=period_ms, columns=named)
    for name in wanted:
        if name not in recordings[0].sensors:
            raise UserError(
                f"{options.files[0]} has no column {name} of numbers: labels are 0 for normal, and other numbers"
            )
    return [_apart(recording, wanted) for recording in recordings]


def _apart(recording: Recording, wanted: Sequence[str]) -> Marked:
    """The sensors, and the columns that are none."""
    place = {name: recording.sensors.index(name) for name in wanted}
    kept = [index for index in range(len(recording.sensors)) if index not in place.values()]
    if not kept:
        raise UserError(f"beside {', '.join(wanted)} there is no column of numbers to be a sensor")
    sensors = tuple(recording.sensors[index] for index in kept)
    marks = {name: recording.values[:, index] for name, index in place.items()}
    return Marked(replace(recording, sensors=sensors, values=recording.values[:, kept]), marks)


def normal_rows(options: argparse.Namespace, each: Marked) -> Bool:
    """Which rows (N,) of a run the options select; all of them where none was given."""
    rows = np.ones(len(each.recording.time), np.bool_)
    if options.runs_without and _set(each, options.runs_without).any():
        rows[:] = False
    if options.where_not:
        rows &= ~_set(each, options.where_not)
    if options.first_rows:
        rows[options.first_rows :] = False
    return rows


def _set(each: Marked, column: str) -> Bool:
    """In which rows a column is neither 0 nor empty (N,)."""
    mark = each.marks[column]
    is_set: Bool = ~np.isnan(mark) & (mark != 0)
    return is_set


def of_rows(recording: Recording, rows: Bool) -> Recording:
    """Only these rows (N,) of a recording; what was between them is a gap in time."""
    if rows.all():
        return recording
    return replace(recording, time=recording.time[rows], values=recording.values[rows])


def read_normal(
    options: argparse.Namespace, *, period_ms: int | None, columns: Sequence[str], marks: Sequence[str | None] = ()
) -> list[Recording]:
    """The recordings that the options name, with the rows that they select. Raises UserError for none."""
    asked = (options.where_not, options.runs_without, *marks)
    found = read_marked(options, period_ms=period_ms, columns=columns, marks=asked)
    selected = [of_rows(each.recording, normal_rows(options, each)) for each in found]
    kept = [recording for recording in selected if len(recording.time)]
    if not kept:
        rows = sum(len(each.recording.time) for each in found)
        given = [f"--{name}" for name in ("first-rows", "where-not", "runs-without") if _given(options, name)]
        raise UserError(f"none of {rows} rows is left by {' and '.join(given)}")
    return kept


def _given(options: argparse.Namespace, name: str) -> bool:
    return bool(getattr(options, name.replace("-", "_")))
