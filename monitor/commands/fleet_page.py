"""`enginewatch fleet page`: the live page over what a fleet wrote to InfluxDB."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import TYPE_CHECKING

from config.options import add_settings_options
from monitor.cli import UserError
from monitor.commands.asking import milliseconds
from monitor.commands.common import load_settings

if TYPE_CHECKING:
    import argparse

FOLDER = "fleet-page"  # in daemon.state_dir, where no other is named


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    add_settings_options(parser)
    parser.add_argument(
        "--state", type=Path, metavar="DIR", help=f"its own state folder (default: {FOLDER} in daemon.state_dir)"
    )
    parser.add_argument(
        "--since", default="1h", metavar="TIME", help="how far back it reads at its start (default: 1h)"
    )


def run(options: argparse.Namespace) -> int:
    """Serve the page until told to stop."""
    since = milliseconds(options.since, "--since")
    loaded, classes = load_settings(options)
    settings = loaded.settings
    if not settings.influx.url:
        raise UserError("influx.url is not set: the page of a fleet shows what is in InfluxDB")
    if not settings.http.enabled:
        raise UserError("http.enabled is false: there would be no page")
    folder = options.state or settings.daemon.state_dir / FOLDER
    if (folder / "journal.db").exists():
        raise UserError(f"{folder} is the state folder of a daemon: give the page one of its own (--state)")
    # Only a page that starts needs its rooms.
    from monitor.fleet_page.page import FleetPage  # noqa: PLC0415
    from monitor.log import configure  # noqa: PLC0415
    from monitor.service import START_ERRORS  # noqa: PLC0415
    from monitor.signals import Signals  # noqa: PLC0415
    from monitor.state_folder import hold  # noqa: PLC0415

    configure(settings.log)
    # A crash must not write the memory, and with it the secrets, to the disk.
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    try:
        with hold(folder):
            page = FleetPage(settings, classes, folder, since_ms=since)
            Signals(stop=page.stop, reload=lambda: None)
            return page.run()
    except START_ERRORS as error:
        if isinstance(error, OSError):
            raise UserError(f"{folder} cannot be used: {error.strerror or error}") from error
        raise UserError(str(error)) from error
