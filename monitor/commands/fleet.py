"""`enginewatch fleet`: the line on Spark, for fleets that one daemon is too small for."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from monitor.cli import UserError

if TYPE_CHECKING:
    import argparse

# action -> its line of help; its file is monitor/commands/fleet_ACTION.py
ACTIONS = {
    "check": "look at everything that the job needs, without starting it, and say what to change",
    "run": "run the job, on this machine or on a cluster",
    "import": "have a new job begin with the state of a daemon that was stopped, without warming up again",
    "export": "make the state of a job that was stopped a state folder, for a daemon or for other shards",
    "reload": "let the running job take over what the settings say now, models too",
    "page": "show what the job finds on the live page, out of InfluxDB",
    "demo": "a simulated fleet to watch on this machine: Kafka, Spark, InfluxDB and the page",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, sentence in ACTIONS.items():
        action = actions.add_parser(name, help=sentence, description=sentence[0].upper() + sentence[1:] + ".")
        importlib.import_module(f"monitor.commands.fleet_{name}").arguments(action)


def run(options: argparse.Namespace) -> int:
    """Run the action."""
    try:
        return int(importlib.import_module(f"monitor.commands.fleet_{options.action}").run(options))
    except ModuleNotFoundError as error:
        name = (error.name or "").partition(".")[0]
        if name not in {"pyspark", "pandas", "pyarrow", "confluent_kafka", "google", "grpc"}:
            raise
        raise UserError(f"{name} is missing: pip install 'enginewatch[fleet]'") from error
