"""What the commands share: finding the settings, the store, and showing rows."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from config.classes import resolve_classes
from config.mistakes import SettingsError
from config.options import add_settings_options, load_from_options
from monitor.cli import UserError
from monitor.printable import json_line, printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Sequence

    from config.classes import ResolvedClass
    from config.load import Loaded
    from monitor.store import Store


def load_settings(options: argparse.Namespace) -> tuple[Loaded, list[ResolvedClass]]:
    """The settings and asset classes, all of them checked. Raises UserError with a line for each mistake."""
    try:
        loaded = load_from_options(options)
        return loaded, resolve_classes(loaded)
    except SettingsError as error:
        raise UserError("the settings are wrong:\n" + "\n".join(error.lines)) from error


def state_arguments(parser: argparse.ArgumentParser) -> None:
    """Where the daemon's state is."""
    add_settings_options(parser)
    parser.add_argument(
        "--state", type=Path, metavar="DIR", help="the daemon's state folder (default: daemon.state_dir)"
    )


def state_folder(options: argparse.Namespace) -> Path:
    """The state folder of the daemon in question. Raises UserError where no daemon has been."""
    folder = options.state
    if folder is None:
        try:
            folder = load_from_options(options).settings.daemon.state_dir
        except SettingsError as error:
            raise UserError("the settings are wrong:\n" + "\n".join(error.lines)) from error
    if not (folder / "store.db").exists():
        raise UserError(
            f"{folder} holds no store: has `enginewatch monitor` run there? --state names another folder"
        )
    return Path(folder)


def open_store(options: argparse.Namespace) -> Store:
    """The store of the daemon in question. Raises UserError where there is none, or none that can be read."""
    from monitor.schema import StoreError  # noqa: PLC0415 - `check` and `config` need no store, nor its numpy
    from monitor.store import Store  # noqa: PLC0415 - as above

    try:
        return Store(state_folder(options) / "store.db")
    except StoreError as error:
        raise UserError(str(error)) from error


def at_least_one(text: str) -> int:
    """How many rows to show. Raises ValueError."""
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


at_least_one.__name__ = "number"  # argparse tells it to the user


def show(rows: Iterable[dict[str, Any]], columns: Sequence[str], *, as_json: bool, header: bool = True) -> None:
    """Rows as a table, or one JSON object a line. JSON has every field, the table the columns."""
    if as_json:
        for row in rows:
            sys.stdout.write(json_line(row) + "\n")
        sys.stdout.flush()
        return
    table = Table(box=None, header_style="bold", pad_edge=False, show_header=header)
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*("" if row.get(name) is None else printable(str(row[name])) for name in columns))
    # The names of assets come from outside: nothing in them is markup.
    screen = sys.stdout.isatty()
    console = Console(markup=False, emoji=False, highlight=False, width=None if screen else 10_000)
    console.print(table, soft_wrap=not screen)


def clock(time: int) -> str:
    """A time in words."""
    return datetime.fromtimestamp(time / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
