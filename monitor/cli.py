"""The command `enginewatch`: every subcommand is a file in `monitor.commands`, imported only when it is called.

Exit codes: 0 done; 1 failed while running; 2 the call, the settings or a file was wrong, and nothing was started.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from importlib.metadata import version

# name -> one line for `enginewatch --help`; the module of the same name in monitor.commands has
# `arguments(parser)` and `run(options) -> exit code`.
COMMANDS = {
    "demo": "watch a simulated fleet, one engine of which fails",
    "monitor": "run the daemon",
    "init": "find out what a broker or a recording holds, and write settings for it",
    "train": "train a model on normal data (needs the extra `train`)",
    "replay": "publish recorded files over MQTT",
    "simulate": "publish or write a simulated fleet of engines, healthy or failing",
    "scores": "show the latest score rows",
    "alerts": "show incidents and what happened to them",
    "incidents": "acknowledge, shelve, comment or judge an incident",
    "check": "check the settings without connecting to anything",
    "config": "show the settings in force and where each came from",
}


class UserError(Exception):
    """Something the user can mend: shown as one line, exit code 2."""


def parser(chosen: str | None = None) -> argparse.ArgumentParser:
    """The parser; only the chosen command's own arguments are filled in, so that the others are not imported."""
    top = argparse.ArgumentParser(
        prog="enginewatch",
        description="Watches engines and other machines: readings over MQTT in, alerts out.",
    )
    top.add_argument("--version", action="version", version=f"enginewatch {version('enginewatch')}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, line in COMMANDS.items():
        command = commands.add_parser(name, help=line, description=line[0].upper() + line[1:] + ".")
        if name == chosen:
            importlib.import_module(f"monitor.commands.{name}").arguments(command)
    return top


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    chosen = next((word for word in given if word in COMMANDS), None)
    options = parser(chosen).parse_args(given)
    module = importlib.import_module(f"monitor.commands.{options.command}")
    try:
        return int(module.run(options))
    except UserError as error:
        print(f"enginewatch {options.command}: {error}", file=sys.stderr)  # noqa: T201 - this is the user's screen
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 0


if __name__ == "__main__":
    # The commands raise this module's UserError under its own name, so that is the one to catch.
    from monitor.cli import main as named_main

    sys.exit(named_main())
