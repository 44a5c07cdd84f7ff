"""`enginewatch fleet reload`: tell the running job what the settings say now."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from config.options import add_settings_options
from monitor.cli import UserError
from monitor.commands.asking import json_argument
from monitor.commands.common import load_settings
from monitor.printable import json_line

if TYPE_CHECKING:
    import argparse


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the action takes."""
    add_settings_options(parser)
    json_argument(parser, "one JSON object: the topic, the message's offset, the model of each class")


def run(options: argparse.Namespace) -> int:
    """0 where the job has been told."""
    loaded, classes = load_settings(options)
    from monitor.fleet import control  # noqa: PLC0415 - only now is Kafka needed
    from monitor.fleet.kafka import FleetError  # noqa: PLC0415 - as above
    from monitor.fleet.service import publish  # noqa: PLC0415 - as above

    try:
        message = control.description(loaded.settings, classes)
        offset = publish(loaded.settings.fleet, message)
    except (FleetError, OSError) as error:
        raise UserError(str(error)) from error
    topic = loaded.settings.fleet.control_topic
    if options.json:
        in_use = {each.name: each.model_name or None for each in classes}
        sys.stdout.write(json_line({"topic": topic, "offset": offset, "models": in_use}) + "\n")
        return 0
    models = ", ".join(f"{each.name}: {each.model_name or 'no model'}" for each in classes)
    sys.stdout.write(
        f"told, as message {offset} of {topic}: each shard goes by it from its next batch on ({models})\n"
    )
    return 0
