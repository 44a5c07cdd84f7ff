"""`enginewatch monitor`: run the daemon."""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING

from config.canary_class import with_canary
from config.classes import resolve_classes
from config.options import add_settings_options, load_from_options
from monitor.cli import UserError
from monitor.commands.common import load_settings

if TYPE_CHECKING:
    import argparse

    from config.classes import ResolvedClass
    from config.load import Loaded


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    add_settings_options(parser)


def run(options: argparse.Namespace) -> int:
    """Check the settings, then run until told to stop."""

    def read() -> tuple[Loaded, list[ResolvedClass]]:
        loaded = load_from_options(options)
        return loaded, with_canary(loaded.settings, resolve_classes(loaded))

    loaded, classes = load_settings(options)
    classes = with_canary(loaded.settings, classes)
    # Only a daemon that starts needs its rooms.
    from monitor.allocator import keep_memory  # noqa: PLC0415
    from monitor.log import configure  # noqa: PLC0415
    from monitor.service import START_ERRORS, Service  # noqa: PLC0415

    configure(loaded.settings.log)
    keep_memory()
    # A crash must not write the memory, and with it the secrets, to the disk.
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    try:
        return Service((loaded, classes), read).run()
    except START_ERRORS as error:
        if isinstance(error, OSError):
            folder = loaded.settings.daemon.state_dir
            raise UserError(f"daemon.state_dir {folder} cannot be used: {error.strerror or error}") from error
        raise UserError(str(error)) from error
