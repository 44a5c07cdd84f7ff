"""`enginewatch fleet run`: run the job until told to stop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from config.options import add_settings_options
from monitor.cli import UserError
from monitor.commands.common import load_settings

if TYPE_CHECKING:
    import argparse


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the action takes."""
    add_settings_options(parser)
    parser.add_argument("--master", default="", metavar="URL", help="Spark's master (default: fleet.master)")


def run(options: argparse.Namespace) -> int:
    """0 where it was told to stop, 1 where it failed."""
    loaded, classes = load_settings(options)
    from monitor.fleet import checkpoint_folder, installed, judged  # noqa: PLC0415 - as above
    from monitor.fleet.judged import FAILED  # noqa: PLC0415 - only a job that starts needs these
    from monitor.fleet.kafka import FleetError  # noqa: PLC0415 - as above
    from monitor.fleet.service import FleetService  # noqa: PLC0415 - as above
    from monitor.log import configure  # noqa: PLC0415 - as above
    from monitor.mqtt import MqttError  # noqa: PLC0415 - as above

    fleet = loaded.settings.fleet
    for finding in (judged.java(installed.java()), judged.checkpoint(checkpoint_folder.look(fleet), fleet)):
        if finding.state is FAILED:
            raise UserError(f"{finding.said}: {finding.remedy}")
    configure(loaded.settings.log)
    try:
        return FleetService(loaded.settings, classes, master=options.master).run()
    except (FleetError, MqttError) as error:
        raise UserError(str(error)) from error
