"""`enginewatch completion`: the completion of this command for a shell, to be read in by it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from monitor.cli import COMMANDS, UserError, parser

if TYPE_CHECKING:
    import argparse

SHELLS = ("bash", "zsh")


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("shell", choices=SHELLS, help="the shell that is to complete")


def run(options: argparse.Namespace) -> int:
    """Print the script; every command is filled in for that."""
    try:
        import shtab  # noqa: PLC0415 - only who sets a shell up needs it
    except ImportError as error:
        raise UserError("completion needs the package shtab: pip install shtab") from error
    sys.stdout.write(shtab.complete(parser(*COMMANDS), shell=options.shell) + "\n")
    return 0
