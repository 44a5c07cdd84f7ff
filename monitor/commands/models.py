"""`enginewatch models`: which model each class uses and used, whether it still fits, and another one for it."""

from __future__ import annotations

import importlib
import json
import sys
import time
import uuid
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from config.shipped import is_shipped
from models.artifact import CARD
from monitor import models_in_use
from monitor.cli import UserError
from monitor.commands.asking import ask, json_argument, told, user
from monitor.commands.common import clock, open_store, show, state_arguments, state_folder
from monitor.printable import json_line, printable
from monitor.records import Command
from monitor.watch import progress

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from monitor.models_in_use import ClassModels, Use

COLUMNS = ("class", "state", "model", "hash", "since", "by", "learning")
SHOWN = 12  # digits of a hash


# action -> its line of help, and its file
ELSEWHERE = {
    "compare": ("two cards side by side, and two models on the same rows", "models_compare"),
    "shadow": ("a candidate beside the model in use, on the live stream, without any influence", "models_shadow"),
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    sentences = {
        "list": "the models of each class, in use and earlier, and how far learning is",
        "show": "the card of the model in use, or of an earlier one",
        "drift": "which assets have left what their model was trained on, and whose threshold has crept",
        "promote": "take a model into use, while the daemon runs",
        "rollback": "go back to the model before the one in use",
    }
    for name, (sentence, module) in ELSEWHERE.items():
        action = actions.add_parser(name, help=sentence, description=sentence[0].upper() + sentence[1:] + ".")
        importlib.import_module(f"monitor.commands.{module}").arguments(action)
    for name, sentence in sentences.items():
        action = actions.add_parser(name, help=sentence, description=sentence[0].upper() + sentence[1:] + ".")
        state_arguments(action)
        action.add_argument("--asset-class", default="", metavar="NAME", help="the class; not needed for only one")
        json_argument(action, "one JSON object a line" if name in {"list", "drift"} else "one JSON object")
        if name == "show":
            action.add_argument("model", nargs="?", default="", metavar="HASH", help="its first digits, as listed")
        if name == "promote":
            action.add_argument("model", metavar="FOLDER", help="of the model, or pretrained:engine")
        if name in {"promote", "rollback"}:
            action.add_argument("--who", default="", help="who says so (default: you)")


def run(options: argparse.Namespace) -> int:
    """0 where it was done, 1 where the daemon refused it."""
    if options.action in ELSEWHERE:
        _, module = ELSEWHERE[options.action]
        return int(importlib.import_module(f"monitor.commands.{module}").run(options))
    if options.action == "list":
        return _list(options)
    if options.action == "show":
        return _show(options)
    if options.action == "drift":
        from monitor.commands.drifted import drift  # noqa: PLC0415 - the other actions need none of it

        return drift(options, _known(state_folder(options), options.asset_class))
    return _ask_the_daemon(options)


def _known(folder: Path, asset_class: str) -> dict[str, ClassModels]:
    """What is known of the models, of one class where it is named. Raises UserError."""
    try:
        known = models_in_use.load(folder)
    except (OSError, ValueError) as error:
        raise UserError(str(error)) from error
    if asset_class and asset_class not in known:
        raise UserError(f"there is no class {asset_class}; the daemon had {', '.join(known) or 'none yet'}")
    return {name: each for name, each in known.items() if asset_class in {"", name}}


def _list(options: argparse.Namespace) -> int:
    known = _known(state_folder(options), options.asset_class)
    with closing(open_store(options)) as store:
        learning = json.loads(store.facts().get("books", "{}")).get("learning", {})
    rows = [row for name, each in known.items() for row in _rows(name, each, learning.get(name))]
    if not options.json:
        rows = [_for_people(row) for row in rows]
    show(rows, COLUMNS, as_json=options.json)
    return 0


def _rows(name: str, each: ClassModels, learning: dict[str, int] | None) -> Iterator[dict[str, Any]]:
    """The model in use first, then those before it, the latest first."""
    now = each.now
    yield _row(name, "in use" if now.hash else "no model", now) | ({"learning": learning} if learning else {})
    earlier = [("earlier", use) for use in each.uses[:-1]] + [("rolled back", use) for use in each.left]
    for state, use in sorted(earlier, key=lambda pair: pair[1].since, reverse=True):
        yield _row(name, state if use.hash else f"{state}, no model", use)


def _row(name: str, state: str, use: Use) -> dict[str, Any]:
    return {"class": name, "state": state, **msgspec.to_builtins(use)}


def _for_people(row: dict[str, Any]) -> dict[str, Any]:
    far = row.get("learning")
    return row | {
        "since": clock(row["since"]),
        "hash": row["hash"][:SHOWN],
        "by": f"{row['by']}, {row['who']}" if row["who"] else row["by"],
        "learning": far and progress(far["normal_ms"], far["wanted_ms"]),
    }


def _show(options: argparse.Namespace) -> int:
    """Print a card, as it was written when the model was made."""
    folder = state_folder(options)
    known = _known(folder, options.asset_class)
    if options.model:
        uses = [use for each in known.values() for use in (*each.uses, *each.left)]
        found = {use.hash: use for use in uses if use.hash.startswith(options.model)}
        if len(found) != 1:
            how = "no" if not found else "more than one"
            raise UserError(
                f"{how} model's hash begins with {options.model}; `enginewatch models list` shows them"
            )
        (use,) = found.values()
    elif len(known) != 1:
        raise UserError(f"which class? --asset-class takes one of {', '.join(known) or '(none yet)'}")
    else:
        use = next(iter(known.values())).now
    if not use.hash:
        raise UserError("there is no model in use: the class learns (`enginewatch models list` says how far)")
    try:
        text = (folder / "models" / use.hash / CARD).read_text(encoding="utf-8")
    except OSError as error:
        sentence = f"the state folder has no card of the model {use.model} ({error.strerror}): see its own folder"
        raise UserError(sentence) from error
    if options.json:
        text = json_line(msgspec.to_builtins(use) | {"card": text}) + "\n"
    sys.stdout.write(text if options.json else printable(text, keep="\n"))  # a card may come from elsewhere
    return 0


def _ask_the_daemon(options: argparse.Namespace) -> int:
    model = "" if options.action == "rollback" else options.model
    command = Command(
        id=uuid.uuid4().hex,
        action=options.action,
        ts=int(time.time() * 1000),
        who=options.who or user(),
        asset_class=options.asset_class,
        # The daemon works in a folder of its own.
        model=model if not model or is_shipped(model) else str(Path(model).resolve()),
    )
    words, found = "", None
    if options.action == "promote":
        from monitor.commands.models_shadow import before_promotion  # noqa: PLC0415 - the others need no numpy

        words, found = before_promotion(state_folder(options), options.asset_class, command.model)
    answer = json.loads(ask(state_folder(options), msgspec.json.encode(command) + b"\n"))
    if words:
        sys.stderr.write(f"{words}\n")
    return told(options, answer | ({"shadow": found} if options.action == "promote" else {}))
