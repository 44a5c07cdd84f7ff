"""`enginewatch completion`: the completion of this command for a shell, to be read in by it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import shtab

from monitor.cli import COMMANDS, parser

if TYPE_CHECKING:
    import argparse

SHELLS = ("bash", "zsh")


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("shell", choices=SHELLS, help="the shell that is to complete")


def run(options: argparse.Namespace) -> int:
    """Print the script; every command is filled in for that."""
    sys.stdout.write(shtab.complete(parser(*COMMANDS), shell=options.shell) + "\n")
    return 0
