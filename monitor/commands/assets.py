"""`enginewatch assets`: the assets that the daemon knows; forgetting one, or giving it another name."""

from __future__ import annotations

import sys
import time
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from monitor.cli import UserError
from monitor.commands.asking import json_argument, order_arguments, question, subcommand, tell
from monitor.commands.common import clock, show, state_arguments, state_folder

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

COLUMNS = ("asset", "class", "model", "status", "last heard", "incidents", "threshold", "model fits")

FITS = {"fits": "yes", "stale": "stale", "not yet": "not judged yet", "unknown": "unknown"}

ALL = "all"  # the regime of a class that has one


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    state_arguments(parser)
    commands = parser.add_subparsers(dest="action", metavar="COMMAND", required=True)
    listed = subcommand(commands, "list", "show every asset and how it stands")
    listed.add_argument("--asset", metavar="GLOB", default="*", help="only assets (site/area/asset) that match")
    json_argument(listed, "one JSON object a line")
    forget = subcommand(commands, "forget", "end an asset's incidents and free its place")
    rename = subcommand(commands, "rename", "keep windows, threshold and incidents under another name")
    for each in (forget, rename):
        each.add_argument("asset", metavar="ASSET", help="site/area/asset")
        order_arguments(each)
    rename.add_argument("name", metavar="NEW", help="what it is called from now on, site/area/asset")


def run(options: argparse.Namespace) -> int:
    """Exit code 0 where it was done, 1 where the daemon refused it."""
    if options.action == "forget":
        return tell(options, "forget", asset=options.asset, why=options.why)
    if options.action == "rename":
        return tell(options, "rename", asset=options.asset, name=options.name, why=options.why)
    rows = [row for row in known(state_folder(options)) if fnmatchcase(row["asset"], options.asset)]
    columns = COLUMNS if all(row["regime"] == ALL for row in rows) else (*COLUMNS, "regime")
    show(rows if options.json else map(_told, rows), columns, as_json=options.json)
    return 0


def known(folder: Path) -> list[dict[str, Any]]:
    """Every asset as the running daemon knows it; where none runs, as of its last checkpoint, and that is said."""
    try:
        answer = question(folder, "assets")
    except UserError:
        return _as_of_the_checkpoint(folder)
    if not answer["done"]:
        raise UserError(answer["reply"])
    rows: list[dict[str, Any]] = answer["answer"]
    return rows


def _as_of_the_checkpoint(folder: Path) -> list[dict[str, Any]]:
    from monitor import checkpoint  # noqa: PLC0415 - only where no daemon runs
    from monitor.roll import roll  # noqa: PLC0415 - as above

    for path in checkpoint.saved(folder):
        try:
            state = checkpoint.load(path).state
        except checkpoint.CheckpointError:
            continue
        when = clock(int(path.stat().st_mtime * 1000))
        sys.stderr.write(f"no daemon answers in {folder}: this is as of its checkpoint of {when}\n")
        return roll(state, time.time_ns() // 1_000_000)
    raise UserError(f"no daemon answers in {folder}, and it has left no checkpoint")


def _told(row: dict[str, Any]) -> dict[str, Any]:
    """A row as people read it."""
    heard, threshold = row["heard"], row["threshold"]
    return row | {
        "last heard": "" if heard is None else clock(heard),
        "incidents": row["incidents"] or "",
        "model fits": FITS.get(row["drift"]["stands"]) if row["drift"] else None,
        "threshold": None if threshold is None else f"{threshold:.3g}",
    }
