"""The options by which `train`, `evaluate` and `replay` find what was recorded."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from monitor.cli import UserError
from simulator.recording import RecordingError, read_recording

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simulator.recording import Recording


def recording_arguments(parser: argparse.ArgumentParser, *, files: str, period: str, some: str = "+") -> None:
    """Add the files and their columns; `files` and `period` say what these are to the command, `some` how many."""
    parser.add_argument("files", nargs=some, type=Path, metavar="FILE", help=files)
    column_arguments(parser, period=period)


def column_arguments(parser: argparse.ArgumentParser, *, period: str) -> None:
    """Add what the columns of files are; `period` says what it is to the command."""
    add = parser.add_argument
    add("--asset-column", "--group", metavar="NAME", help="column of the asset's name; else one asset a file")
    add("--time-column", metavar="NAME", help="column of the time")
    add("--period-ms", type=positive, metavar="MS", help=period)
    add("--columns", type=names, default=(), metavar="A,B=C", help="sensors: column or name=column")
    add("--exclude", type=names, default=(), metavar="A,B", help="columns that are no sensors")
    add("--assets", type=names, default=(), metavar="GLOBS", help="only these; a leading ! excludes")


def read(options: argparse.Namespace, *, period_ms: int | None, columns: Sequence[str]) -> list[Recording]:
    """The recordings that the options name. Raises UserError."""
    try:
        return read_recording(
            options.files,
            asset_column=options.asset_column,
            time_column=options.time_column,
            period_ms=period_ms,
            columns=columns,
            exclude=options.exclude,
            assets=options.assets,
        )
    except RecordingError as error:
        raise UserError(str(error)) from error


def names(text: str) -> tuple[str, ...]:
    """Names, separated by commas."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def positive(text: str) -> int:
    """A whole number from 1 on."""
    number = int(text)
    if number <= 0:
        raise argparse.ArgumentTypeError(f"{text} is not positive")
    return number
