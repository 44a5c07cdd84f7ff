"""`enginewatch alerts`: incidents and what happened to them, out of the daemon's store; `test`: the channels."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import msgspec

from monitor.commands.common import at_least_one, clock, open_store, show, state_arguments
from monitor.synthetic import is_meant

if TYPE_CHECKING:
    import argparse

    from monitor.records import AlertEvent

COLUMNS = ("time", "incident", "asset", "kind", "transition", "severity", "summary")
FOLLOW_S = 0.5


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    state_arguments(parser)
    parser.add_argument(
        "verb",
        nargs="?",
        choices=("test",),
        metavar="test",
        help="send one message, marked as a test, through every channel, and say what each answers",
    )
    parser.add_argument("--channel", metavar="NAME", help="test: only this channel")
    parser.add_argument("--asset", metavar="SITE/AREA/ASSET", help="only this asset")
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--open", action="store_true", help="only incidents that are open, as they stand")
    parser.add_argument(
        "-n", "--limit", type=at_least_one, default=20, metavar="N", help="how many rows (default 20)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line, with every field")
    either.add_argument("-f", "--follow", action="store_true", help="go on with new transitions as they come")


def run(options: argparse.Namespace) -> int:
    """Show the latest transitions, oldest first; or try the channels."""
    if options.verb == "test":
        from monitor.commands import channels_tried  # noqa: PLC0415 - it loads what sends messages

        return channels_tried.run(options)
    with closing(open_store(options)) as store:
        if options.open:
            _show([each for each in store.open_incidents(options.asset) if _is_asked_for(each, options)], options)
            return 0
        position, events = store.latest_events(options.limit, options.asset)
        _show(events, options)
        while options.follow:
            time.sleep(FOLLOW_S)
            news = store.events_after(position, 1_000)
            position = news[-1][0] if news else position
            wanted = [event for _, event in news if _is_asked_for(event, options)]
            if wanted:
                _show(wanted, options, header=False)
    return 0


def _is_asked_for(event: AlertEvent, options: argparse.Namespace) -> bool:
    return options.asset in {None, event.stream} and is_meant(event.stream, options.asset or "*")


def _show(events: list[AlertEvent], options: argparse.Namespace, *, header: bool = True) -> None:
    show([_row(event, options.json) for event in events], COLUMNS, as_json=options.json, header=header)


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
