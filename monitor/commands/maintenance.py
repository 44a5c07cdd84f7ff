"""`enginewatch maintenance`: an asset is worked on, and its incidents are held back meanwhile."""

from __future__ import annotations

import re
import time
from datetime import datetime
from typing import TYPE_CHECKING

from monitor.cli import UserError
from monitor.commands.asking import milliseconds, order_arguments, tell
from monitor.commands.assets import known
from monitor.commands.common import clock, show, state_arguments, state_folder

if TYPE_CHECKING:
    import argparse

COLUMNS = ("asset", "since", "until", "begun", "who", "why")
FORMS = {
    "list": "maintenance list",
    "end": "maintenance end ASSET",
    "": "maintenance ASSET START END",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    state_arguments(parser)
    parser.usage = "\n       ".join(
        f"enginewatch {form} [--config FILE] [--set KEY=VALUE] [--state DIR]"
        + (" [--json]" if word == "list" else " [--why TEXT] [--who NAME] [--json]")
        for word, form in FORMS.items()
    )
    times = "START and END: now, a time from now such as +2h (END: from START), or ISO 8601 (local without a zone)"
    parser.add_argument("words", nargs="+", metavar="list | end ASSET | ASSET START END", help=times)
    order_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Exit code 0 where it was done, 1 where the daemon refused it."""
    match options.words:
        case ["list"]:
            return _list(options)
        case ["end", asset]:
            return tell(options, "maintained", asset=asset, why=options.why)
        case [asset, start, end] if asset not in FORMS:
            now = int(time.time() * 1000)
            since = moment(start, now)
            until = moment(end, since)
            return tell(options, "maintenance", asset=asset, since=since, until=until, why=options.why)
    forms = ", ".join(f"`enginewatch {form}`" for form in FORMS.values())
    raise UserError(f"not understood: {' '.join(options.words)}; use {forms}")


def moment(text: str, base: int) -> int:
    """A time (epoch ms) in words: now, so long behind `base`, or ISO 8601. Raises UserError."""
    if text == "now":
        return int(time.time() * 1000)
    if re.match(r"\+", text):
        return base + milliseconds(text.removeprefix("+"), "+TIME")
    try:
        return int(datetime.fromisoformat(text).astimezone().timestamp() * 1000)
    except (ValueError, OverflowError, OSError) as error:
        sentence = f"{text!r} is no time: use now, +2h or ISO 8601, for example 2026-05-01T06:00"
        raise UserError(sentence) from error


def _list(options: argparse.Namespace) -> int:
    rows = [
        {"asset": row["asset"], **row["maintenance"]} for row in known(state_folder(options)) if row["maintenance"]
    ]
    if not options.json:
        rows = [row | {"since": clock(row["since"]), "until": clock(row["until"])} for row in rows]
        rows = [row | {"begun": "yes" if row["begun"] else "no"} for row in rows]
    show(rows, COLUMNS, as_json=options.json)
    return 0
