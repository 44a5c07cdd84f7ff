"""`enginewatch fleet run`: run the job until told to stop."""

from __future__ import annotations

import shutil
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
    import os  # noqa: PLC0415 - only a job that starts needs these

    from monitor.fleet.kafka import FleetError  # noqa: PLC0415 - as above
    from monitor.fleet.service import FleetService  # noqa: PLC0415 - as above
    from monitor.log import configure  # noqa: PLC0415 - as above
    from monitor.mqtt import MqttError  # noqa: PLC0415 - as above

    if not os.environ.get("JAVA_HOME") and shutil.which("java") is None:
        raise UserError(
            "Spark needs Java 17 or later: install it (Debian: openjdk-17-jre-headless), or set JAVA_HOME"
        )
    configure(loaded.settings.log)
    try:
        return FleetService(loaded.settings, classes, master=options.master).run()
    except (FleetError, MqttError) as error:
        raise UserError(str(error)) from error
