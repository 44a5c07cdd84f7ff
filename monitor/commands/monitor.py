"""`enginewatch monitor`: run the daemon."""

from __future__ import annotations

from typing import TYPE_CHECKING

from config.options import add_settings_options
from monitor.cli import UserError
from monitor.commands.common import load_settings

if TYPE_CHECKING:
    import argparse


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    add_settings_options(parser)


def run(options: argparse.Namespace) -> int:
    """Check the settings, then run until told to stop."""
    loaded, classes = load_settings(options)
    from monitor.daemon import Daemon, StartError  # noqa: PLC0415 - only a daemon that starts needs its rooms
    from monitor.journal import JournalError  # noqa: PLC0415 - as above
    from monitor.log import configure  # noqa: PLC0415 - as above
    from monitor.mqtt import MqttError  # noqa: PLC0415 - as above
    from monitor.schema import StoreError  # noqa: PLC0415 - as above

    configure(loaded.settings.log)
    try:
        return Daemon(loaded.settings, classes).run()
    except (StartError, JournalError, MqttError, StoreError, ValueError) as error:
        raise UserError(str(error)) from error
    except OSError as error:
        folder = loaded.settings.daemon.state_dir
        raise UserError(f"daemon.state_dir {folder} cannot be used: {error.strerror or error}") from error
