"""`enginewatch backup FOLDER`: a copy of the state folder from which a daemon can go on."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from monitor.cli import UserError
from monitor.commands.common import state_arguments, state_folder
from monitor.printable import json_line

if TYPE_CHECKING:
    import argparse


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where to: a folder that does not exist yet")
    state_arguments(parser)
    parser.add_argument("--json", action="store_true", help="an object")


def run(options: argparse.Namespace) -> int:
    """Copy, and say how to go on from the copy."""
    state = state_folder(options)
    from monitor.backup import BackupError, back_up  # noqa: PLC0415 - a wrong call needs no numpy
    from monitor.state_folder import newer  # noqa: PLC0415 - as above

    found = newer(state)
    if found:
        raise UserError(found)
    try:
        made = back_up(state, options.folder)
    except BackupError as error:
        raise UserError(str(error)) from error
    except OSError as error:
        raise UserError(f"{options.folder} cannot be written: {error.strerror or error}") from error
    if options.json:
        told = {"folder": str(made.folder), "position": made.position, "bytes": made.bytes}
        sys.stdout.write(json_line(told) + "\n")
    else:
        sys.stdout.write(
            f"{made.folder}: the state up to record {made.position}, {made.bytes / 1e6:.1f} MB;"
            f" to restore it, put it in the place of {state} while no daemon runs\n"
        )
    return 0
