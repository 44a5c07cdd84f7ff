"""`enginewatch alerts test`: one message, marked as a test, through every channel, and what each answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from config.mistakes import SettingsError
from config.options import load_from_options
from monitor.cli import UserError
from monitor.commands.common import show

if TYPE_CHECKING:
    import argparse

COLUMNS = ("channel", "to", "state", "said")


def run(options: argparse.Namespace) -> int:
    """Exit code 1 where one was not taken."""
    from monitor.channels.all import page_of  # noqa: PLC0415 - `alerts` alone needs none of it
    from monitor.channels.made import way  # noqa: PLC0415 - as above
    from monitor.channels.way import Undelivered  # noqa: PLC0415 - as above

    try:
        settings = load_from_options(options).settings
    except SettingsError as error:
        raise UserError("the settings are wrong:\n" + "\n".join(error.lines)) from error
    channels = settings.notify.channels
    if not channels:
        raise UserError("no channel is set: see [[notify.channels]] in docs/alerts.md")
    if options.channel is not None:
        channels = tuple(each for each in channels if each.name == options.channel)
        if not channels:
            known = ", ".join(each.name for each in settings.notify.channels)
            raise UserError(f"there is no channel {options.channel}; there are {known}")
    rows = []
    for each in channels:
        by = way(each, settings.notify.page_url or page_of(settings.http))
        try:
            said, state = by.test(), "ok"
        except Undelivered as error:
            said, state = str(error), "failed"
        finally:
            by.close()
        rows.append({"channel": each.name, "to": each.to, "state": state, "said": said})
    show(rows, COLUMNS, as_json=options.json)
    return 1 if any(row["state"] == "failed" for row in rows) else 0
