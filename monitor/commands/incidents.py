"""`enginewatch incidents`: what is known of incidents, and what operators say of them.

`list` and `show` read the store; the others speak to the running daemon.
"""

from __future__ import annotations

import sys
import time
from contextlib import closing
from fnmatch import fnmatchcase
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec

from monitor.cli import UserError
from monitor.commands.asking import json_argument, milliseconds, order_arguments, subcommand, tell
from monitor.commands.common import at_least_one, clock, open_store, show, state_arguments
from monitor.door import VERDICTS
from monitor.printable import json_line, printable
from monitor.synthetic import is_meant

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from monitor.records import AlertEvent
    from monitor.store import Store

COLUMNS = ("started", "incident", "asset", "kind", "sensor", "severity", "state", "verdict", "summary")
TOP = ("sensor", "actual", "expected", "unit", "contribution")
HISTORY = ("time", "transition", "who", "until", "words")
# What an incident is named in the list, where its latest transition is another word.
STATES = {"fired": "firing", "unshelved": "firing"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    state_arguments(parser)
    commands = parser.add_subparsers(dest="action", metavar="COMMAND", required=True)

    listed = subcommand(commands, "list", "show incidents as they stand, oldest first")
    listed.add_argument("--open", action="store_true", default=False, help="only those that are not over")
    listed.add_argument("--asset", metavar="GLOB", default="*", help="only assets (site/area/asset) that match")
    listed.add_argument(
        "-n", "--limit", type=at_least_one, default=50, metavar="N", help="how many, the latest (default 50)"
    )
    json_argument(listed, "one JSON object a line")

    shown = subcommand(commands, "show", "show one incident with everything that happened to it")
    shown.add_argument("about", metavar="INCIDENT", help="its id")
    json_argument(shown, "one JSON object")

    acknowledge = subcommand(commands, "acknowledge", "somebody looks after it", aliases=["ack"])
    shelve = subcommand(commands, "shelve", "do not hear of it until a time")
    comment = subcommand(commands, "comment", "say something about an incident")
    verdict = subcommand(commands, "verdict", "say whether an incident was real")
    accept = subcommand(commands, "accept", "the same as `enginewatch accept`")
    for each in (acknowledge, shelve, comment, verdict, accept):
        what = "ASSET" if each is accept else "INCIDENT" if each in {comment, verdict} else "INCIDENT|ASSET"
        each.add_argument("about", metavar=what, help="an incident's id, or an asset (site/area/asset)")
        order_arguments(each, why="the reason, or the comment")
    shelve.add_argument(
        "--for", dest="duration", default=None, metavar="TIME", help="how long, for example 30m, 8h, 2d"
    )
    comment.add_argument("text", nargs="?", default="", metavar="TEXT", help="the comment")
    verdict.add_argument("judged", nargs="?", choices=VERDICTS, default=None, help="what it was")
    verdict.add_argument("--verdict", choices=VERDICTS, default="", help="the same, as an option")


def run(options: argparse.Namespace) -> int:
    """Exit code 0 where it was done, 1 where the daemon refused it."""
    if options.action in {"list", "show"}:
        with closing(open_store(options)) as store:
            return _list(store, options) if options.action == "list" else _show(store, options)
    fields: dict[str, Any] = {"asset" if "/" in options.about else "incident": options.about, "why": options.why}
    action = "acknowledge" if options.action == "ack" else options.action
    if action == "shelve" and options.duration is not None:
        fields["until"] = int(time.time() * 1000) + milliseconds(options.duration, "--for")
    if action == "comment":
        fields["why"] = options.text or options.why
    if action == "verdict":
        fields["verdict"] = options.judged or options.verdict
    return tell(options, action, **fields)


def _list(store: Store, options: argparse.Namespace) -> int:
    with closing(store.incidents(only_open=options.open)) as newest_first:
        found = (row for row in newest_first if _is_asked_for(row[0].stream, options.asset))
        rows = [_row(*row, as_json=options.json) for row in islice(found, options.limit)]
    show(reversed(rows), COLUMNS, as_json=options.json)
    return 0


def _is_asked_for(asset: str, glob: str) -> bool:
    return fnmatchcase(asset, glob) and is_meant(asset, glob)


def _row(event: AlertEvent, verdict: str, is_open: bool, *, as_json: bool) -> dict[str, Any]:
    state = STATES.get(event.transition, event.transition.value)
    if as_json:
        return {**msgspec.to_builtins(event), "state": state, "open": is_open, "verdict": verdict}
    return {
        "started": clock(event.started),
        "incident": event.incident_id,
        "asset": event.stream,
        "kind": event.kind,
        "sensor": event.sensor,
        "severity": event.severity,
        "state": state,
        "verdict": verdict,
        "summary": event.summary,
    }


def _show(store: Store, options: argparse.Namespace) -> int:
    """One incident: what it is about, what was measured against what was expected, and its history."""
    known = next((row for row in store.incidents() if row[0].incident_id == options.about), None)
    if known is None:
        raise UserError(f"there is no incident {options.about}; `enginewatch incidents list` lists them")
    event = known[0]
    history = store.history(event.incident_id)
    row = _row(*known, as_json=options.json)
    if options.json:
        past = [msgspec.to_builtins(each) for each in history]
        sys.stdout.write(json_line({**row, "history": past}) + "\n")
        return 0
    lines = [f"{name:<9} {printable(str(row[name]))}" for name in COLUMNS if row[name]]
    if event.score is not None and event.threshold is not None:
        lines.append(f"{'score':<9} {event.score:.3g} against a threshold of {event.threshold:.3g}")
    sys.stdout.write("\n".join(lines) + "\n\n")
    if event.top:
        top = [msgspec.to_builtins(each) for each in event.top]
        show([{k: f"{v:.5g}" if isinstance(v, float) else v for k, v in each.items()} for each in top], TOP,
             as_json=False)  # fmt: skip
        sys.stdout.write("\n")
        sys.stdout.flush()
    show(_history(history), HISTORY, as_json=False)
    return 0


def _history(history: list[AlertEvent]) -> Iterator[dict[str, Any]]:
    for each in history:
        yield {
            "time": clock(each.time),
            "transition": each.transition.value,
            "who": each.who,
            "until": clock(each.until) if each.until is not None else "",
            "words": each.summary,
        }
