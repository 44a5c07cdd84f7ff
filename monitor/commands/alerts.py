"""`enginewatch alerts`: incidents and what happened to them, out of the daemon's store."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec

from monitor.commands.common import clock, show, state_arguments, state_folder
from monitor.store import Store

if TYPE_CHECKING:
    import argparse

    from monitor.records import AlertEvent

COLUMNS = ("time", "incident", "asset", "kind", "transition", "severity", "summary")
FOLLOW_S = 0.5


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    state_arguments(parser)
    parser.add_argument("--asset", metavar="SITE/AREA/ASSET", help="only this asset")
    parser.add_argument("--open", action="store_true", help="only incidents that are open, as they stand")
    parser.add_argument("-n", "--limit", type=int, default=20, metavar="N", help="how many rows (default 20)")
    parser.add_argument("--json", action="store_true", help="one JSON object a line, with every field")
    parser.add_argument("-f", "--follow", action="store_true", help="go on with new transitions as they come")


def run(options: argparse.Namespace) -> int:
    """Show the latest transitions, oldest first."""
    store = Store(state_folder(options) / "store.db")
    if options.open:
        found = store.open_incidents(options.asset)
        show([_row(event, options.json) for event in found], COLUMNS, as_json=options.json)
        return 0
    position, events = store.latest_events(options.limit, options.asset)
    show([_row(event, options.json) for event in events], COLUMNS, as_json=options.json)
    while options.follow:
        time.sleep(FOLLOW_S)
        news = store.events_after(position, 1_000)
        if news:
            position = news[-1][0]
            wanted = [event for _, event in news if options.asset in {None, event.stream}]
            if wanted:
                show([_row(event, options.json) for event in wanted], COLUMNS, as_json=options.json)
    store.close()
    return 0


def _row(event: AlertEvent, as_json: bool) -> dict[str, Any]:
    if as_json:
        return dict(msgspec.to_builtins(event))
    return {
        "time": clock(event.time),
        "incident": event.incident_id,
        "asset": event.stream,
        "kind": event.kind,
        "transition": event.transition.value,
        "severity": event.severity,
        "summary": event.summary,
    }
