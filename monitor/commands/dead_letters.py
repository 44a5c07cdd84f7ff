"""`enginewatch dead-letters`: what was refused and why; and sending it through again once that is mended."""

from __future__ import annotations

import sys
from contextlib import closing
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from monitor.commands.asking import json_argument, question, subcommand, told
from monitor.commands.common import at_least_one, clock, open_store, show, state_arguments, state_folder
from monitor.printable import printable

if TYPE_CHECKING:
    import argparse

    from monitor.records import DeadLetter

BY_REASON = ("letters", "values", "first", "last", "reason", "topic")
EACH = ("id", "time", "values", "topic", "reason", "payload")
SHOWN = 60  # letters of a payload in the table


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    state_arguments(parser)
    commands = parser.add_subparsers(dest="action", metavar="COMMAND", required=True)
    listed = subcommand(commands, "list", "show what was refused, by reason")
    retry = subcommand(commands, "retry", "send through again what would be taken now")
    for each in (listed, retry):
        each.add_argument("--topic", metavar="GLOB", default="*", help="only letters whose topic matches")
        each.add_argument("--reason", metavar="GLOB", default="*", help="only letters whose reason matches")
        json_argument(each, "one JSON object a line" if each is listed else "one JSON object")
    listed.add_argument("--each", action="store_true", default=False, help="every letter with its payload")
    listed.add_argument(
        "-n", "--limit", type=at_least_one, default=50, metavar="N", help="how many rows, the latest (default 50)"
    )


def run(options: argparse.Namespace) -> int:
    """Exit code 0 where it was done, 1 where the daemon refused it."""
    if options.action == "retry":
        return _retry(options)
    with closing(open_store(options)) as store:
        letters = [
            (number, letter)
            for number, letter in store.letters()
            if fnmatchcase(letter.topic, options.topic) and fnmatchcase(letter.reason, options.reason)
        ]
    rows = [_row(*each) for each in letters] if options.each else _by_reason(letters)
    rows = rows[-options.limit :]
    if not options.json:
        for row in rows:
            row |= {name: clock(row[name]) for name in ("time", "first", "last") if name in row}
            if "payload" in row:
                row["payload"] = row["payload"][:SHOWN]
    show(rows, EACH if options.each else BY_REASON, as_json=options.json)
    return 0


def _row(number: int, letter: DeadLetter) -> dict[str, Any]:
    return {
        "id": number,
        "time": letter.time,
        "values": letter.values,
        "topic": letter.topic,
        "reason": letter.reason,
        "payload": letter.payload.decode(errors="backslashreplace"),
    }


def _by_reason(letters: list[tuple[int, DeadLetter]]) -> list[dict[str, Any]]:
    """One row a reason, that of the latest letter last; the topic is the latest one's."""
    rows: dict[str, dict[str, Any]] = {}
    for _, letter in letters:
        row = rows.pop(letter.reason, {"letters": 0, "values": 0, "first": letter.time})
        row["letters"] += 1
        row["values"] += letter.values
        rows[letter.reason] = row | {"last": letter.time, "reason": letter.reason, "topic": letter.topic}
    return list(rows.values())


def _retry(options: argparse.Namespace) -> int:
    answer = question(state_folder(options), "retry", topic=options.topic, reason=options.reason)
    if not answer["done"]:
        return told(options, answer)
    found = answer["answer"]
    if options.json:
        show([found], (), as_json=True)
        return 0
    sys.stdout.write(
        f"{found['letters']} letters went through again: {found['messages']} messages, {found['values']} values\n"
    )
    if found["refused"]:
        sys.stdout.write(f"{found['refused']} would be refused again, the first: {printable(found['reason'])}\n")
    if found["kept_in_part"]:
        sys.stdout.write(f"{found['kept_in_part']} stay: of them not the whole message was kept\n")
    return 0
