"""The command `enginewatch`: every subcommand is a file in `monitor.commands`, imported only when it is called.

Exit codes: 0 done; 1 failed while running; 2 the call, the settings or a file was wrong, and nothing was started.
"""

from __future__ import annotations

import argparse
import importlib
import os
import re
import sys
from importlib.metadata import version
from typing import Any, NoReturn

from monitor.printable import printable

# name -> one line for `enginewatch --help`; the module of the same name in monitor.commands has
# `arguments(parser)` and `run(options) -> exit code`.
COMMANDS = {
    "demo": "watch a simulated fleet, one engine of which fails",
    "monitor": "run the daemon",
    "init": "find out what a broker or a recording holds, and write settings for it",
    "train": "train a model on normal data (needs the extra `train`)",
    "datasets": "turn public data sets into training and evaluation input",
    "evaluate": "judge a model by labelled recordings, beside classical detectors (needs the extra `evaluate`)",
    "replay": "publish recorded files over MQTT",
    "simulate": "publish or write a simulated fleet of engines, healthy or failing",
    "scores": "show the latest score rows",
    "coverage": "show how much of the time each asset was scored, and why not for the rest",
    "alerts": "show incidents and what happened to them",
    "incidents": "list, show, acknowledge, shelve, comment or judge incidents",
    "accept": "what an asset does now is normal: learn anew from here",
    "assets": "list, forget or rename assets",
    "maintenance": "hold back an asset's incidents while it is worked on",
    "models": "show which models are in use and how far learning is, and change them",
    "calibrate": "set thresholds to a budget of false alarms, by what the store holds of normal running",
    "dead-letters": "list what was refused, or send it through again",
    "top": "watch the fleet in the terminal",
    "check": "check the settings without connecting to anything",
    "backup": "copy the state folder, while the daemon runs or when it does not",
    "doctor": "look at every hop from the settings to InfluxDB, and say what to change",
    "fleet": "run the line on Spark, for a fleet that one daemon is too small for (needs the extra `fleet`)",
    "config": "show the settings in force and where each came from",
    "completion": "print the completion of this command for a shell",
}


class UserError(Exception):
    """Something the user can mend: shown as one line, exit code 2."""


class _Parser(argparse.ArgumentParser):
    """Tells what is wrong with a call in one line, without the usage before it."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (--help shows the options)\n")


def parser(*chosen: str) -> argparse.ArgumentParser:
    """The parser; only the chosen commands' own arguments are filled in, so that the others are not imported."""
    top = _Parser(
        prog="enginewatch",
        description="Watches engines and other machines: readings over MQTT in, alerts out.",
    )
    top.add_argument("--version", action="version", version=f"enginewatch {version('enginewatch')}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, line in COMMANDS.items():
        command = commands.add_parser(name, help=line, description=line[0].upper() + line[1:] + ".")
        if name in chosen:
            _module(name).arguments(command)
    return top


def _module(name: str) -> Any:
    """The file of a command."""
    return importlib.import_module(f"monitor.commands.{name.replace('-', '_')}")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    given = _joined(sys.argv[1:] if arguments is None else arguments)
    chosen = next((word for word in given if word in COMMANDS), "")
    try:
        options = parser(chosen).parse_args(given)
        code = int(_module(options.command).run(options))
        sys.stdout.flush()  # here, where it can fail in order
        return code  # noqa: TRY300 - for the flush, too
    except UserError as error:
        said = printable(str(error), keep="\n")
        print(f"enginewatch {chosen}: {said}", file=sys.stderr)  # noqa: T201 - this is the user's screen
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # whoever read it, such as `head`, has seen enough
        if chosen == "monitor":  # nobody reads a daemon: that is a failure
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left is not tried at the end
        return 0
    except Exception as error:
        schema = sys.modules.get("monitor.schema")  # not imported for commands that read no store
        if schema is None or not isinstance(error, schema.StoreError):
            raise
        print(f"enginewatch {chosen}: {error}", file=sys.stderr)  # noqa: T201 - as above
        return 2


def _joined(given: list[str]) -> list[str]:
    """The call with a value that begins with a minus and a digit joined to its option, which argparse asks for.

    >>> _joined(["simulate", "--duration", "-1m"])
    ['simulate', '--duration=-1m']
    """
    joined: list[str] = []
    for word in given:
        if joined and re.match(r"-\d", word) and re.fullmatch(r"--[a-z-]+", joined[-1]):
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined


if __name__ == "__main__":
    # The commands raise this module's UserError under its own name, so that is the one to catch.
    from monitor.cli import main as named_main

    sys.exit(named_main())
