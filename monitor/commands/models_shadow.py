"""`enginewatch models shadow`: a candidate beside the model in use, by what the daemon stores."""

from __future__ import annotations

import json
import os
import sys
import time
import uuid
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from config.mistakes import SettingsError
from config.options import load_from_options
from config.shipped import model_folder
from models.artifact import ArtifactError, load_header
from monitor import models_in_use
from monitor.checkpoint import CheckpointError
from monitor.cli import UserError
from monitor.commands.asking import ask, json_argument, user
from monitor.commands.common import clock, open_store, show, state_arguments, state_folder
from monitor.commands.side_by_side_words import as_json, figures, incident_lines, verdict, watched
from monitor.printable import json_line
from monitor.records import Command
from monitor.schema import StoreError
from monitor.shadow import Shadow, ShadowError, reports
from monitor.side_by_side import not_yet

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from config.settings import ShadowSettings
    from monitor.records import AlertEvent
    from monitor.shadow import About
    from monitor.side_by_side import SideBySide

POLL_S = 1.0
RULE_S = 30.0  # how often the rule is looked at
NICE = 10  # the daemon goes first
NAMES = ("active", "candidate")


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the action takes."""
    state_arguments(parser)
    add = parser.add_argument
    add("model", nargs="?", default="", metavar="FOLDER", help="of the candidate, or pretrained:engine")
    add("--asset-class", default="", metavar="NAME", help="the class; not needed for only one")
    add("--once", action="store_true", help="take what has come since, report, and end")
    add("--report", action="store_true", help="show what was found so far, of FOLDER or of all, and end")
    json_argument(parser, "a JSON object for each report, or for each of the candidate's transitions")


def run(options: argparse.Namespace) -> int:
    """Follow until Ctrl-C; 0 also where the candidate came into use."""
    if options.report:
        return _report(options)
    if not options.model:
        raise UserError("which candidate? `models shadow FOLDER` begins, --report shows what was found so far")
    rule = _rule(options)
    state = state_folder(options)
    folder = model_folder(Path(options.model))
    if not options.once:
        os.nice(NICE)
    with closing(open_store(options)) as store:
        try:
            header = load_header(folder)
            shadow = Shadow(state, store, asset_class(state, options.asset_class), folder, header)
        except (ArtifactError, ShadowError, CheckpointError, StoreError, OSError, ValueError) as error:
            raise UserError(str(error)) from error
        with closing(shadow):
            try:
                return _follow(shadow, rule, state, options)
            except KeyboardInterrupt:
                return 0
            except (ShadowError, StoreError, OSError) as error:
                sys.stderr.write(f"enginewatch models: {error}\n")
                return 1


def asset_class(state: Path, given: str) -> str:
    """The class that is meant. Raises UserError."""
    try:
        known = models_in_use.load(state)
    except (OSError, ValueError) as error:
        raise UserError(str(error)) from error
    if given in known:
        return given
    if not given and len(known) == 1:
        return next(iter(known))
    raise UserError(f"which class? --asset-class takes one of {', '.join(known) or '(none yet)'}")


def _rule(options: argparse.Namespace) -> ShadowSettings:
    try:
        return load_from_options(options).settings.shadow
    except SettingsError as error:
        raise UserError("the settings are wrong:\n" + "\n".join(error.lines)) from error


def _follow(shadow: Shadow, rule: ShadowSettings, state: Path, options: argparse.Namespace) -> int:
    about = shadow.about
    if not options.once:
        against = about.against_model or "no model yet"
        _say(options, f"class {about.asset_class}: {about.model} in the shadow of {against}; Ctrl-C ends it")
    looked = -RULE_S
    while not shadow.is_in_use():
        events = shadow.advance()
        if events:
            _show(events, options)
        if events is None and options.once:
            break
        if rule.promote_after_hours and time.monotonic() - looked >= RULE_S:
            looked = time.monotonic()
            _promote_by_rule(shadow, rule, state, options)
        if events is None:
            time.sleep(POLL_S)
    if options.once:
        if rule.promote_after_hours and not shadow.is_in_use():
            _promote_by_rule(shadow, rule, state, options)
        _tell([(shadow.about, shadow.report())], options)
    if shadow.is_in_use():
        _say(options, f"class {about.asset_class}: the model {about.model} is in use: its shadow ends")
    return 0


def _say(options: argparse.Namespace, sentence: str) -> None:
    """For people; programs get JSON alone on standard output."""
    (sys.stderr if options.json else sys.stdout).write(f"{sentence}\n")
    sys.stdout.flush()


def _show(events: Iterable[AlertEvent], options: argparse.Namespace) -> None:
    """What the candidate would have told."""
    for event in events:
        if options.json:
            sys.stdout.write(json_line(event) + "\n")
            sys.stdout.flush()
        else:
            told = f"{clock(event.time)} {event.stream} {event.kind} {event.transition}: {event.summary}"
            _say(options, f"candidate: {told}")


def _promote_by_rule(shadow: Shadow, rule: ShadowSettings, state: Path, options: argparse.Namespace) -> None:
    """Ask the daemon to take the candidate where the rule is met."""
    found, about = shadow.report(), shadow.about
    if not about.against or not_yet(found, hours=rule.promote_after_hours, ratio=rule.promote_alert_ratio):
        return
    asked = Command(
        id=uuid.uuid4().hex,
        action="promote",
        ts=int(time.time() * 1000),
        who=f"shadow.promote_after_hours, started by {user()}",
        asset_class=about.asset_class,
        model=str(shadow.model.resolve()),
    )
    _say(options, f"the rule is met: {verdict(found, NAMES)}")
    try:
        answer = json.loads(ask(state, msgspec.json.encode(asked) + b"\n"))
    except UserError as error:
        _say(options, f"not promoted: {error}")
        return
    _say(options, answer["reply"] if answer["done"] else f"not promoted: {answer['reply']}")


def _report(options: argparse.Namespace) -> int:
    """Show what was found; 1 where nothing was."""
    model_hash = ""
    if options.model:
        try:
            model_hash = load_header(model_folder(Path(options.model))).hash
        except ArtifactError as error:
            raise UserError(str(error)) from error
    with closing(open_store(options)) as store:
        try:
            found = list(reports(state_folder(options), store, options.asset_class, model_hash))
        except StoreError as error:
            raise UserError(str(error)) from error
    if not found:
        sys.stderr.write("no candidate was in the shadow here: `enginewatch models shadow FOLDER` begins\n")
        return 1
    _tell(found, options)
    return 0


def _tell(found: Iterable[tuple[About, SideBySide]], options: argparse.Namespace) -> None:
    for about, each in found:
        if options.json:
            row = {"shadow": msgspec.to_builtins(about), **as_json(each, NAMES)}
            show([row], (), as_json=True)
            continue
        against = f"{about.against_model} ({about.against[:12]})" if about.against else "no model"
        sys.stdout.write(
            f"class {about.asset_class}: {about.model} ({about.hash[:12]}) in the shadow of {against} since"
            f" {clock(about.began)}\n{watched(each)}\n"
        )
        rows = [dict(zip(("", *NAMES), row, strict=True)) for row in figures(each)]
        show(rows, ("", *NAMES), as_json=False)
        sys.stdout.write("".join(f"{line}\n" for line in incident_lines(each, NAMES)))


def before_promotion(state: Path, given: str, folder: str) -> tuple[str, dict[str, object] | None]:
    """What the shadow found of a model that is to be promoted, in words and as plain objects.

    Empty where there is nothing to say: the class has no model yet, or what is wrong the daemon will say.
    """
    with suppress(UserError, ValueError, OSError, StoreError):
        header = load_header(model_folder(Path(folder)))
        name = asset_class(state, given)
        now = models_in_use.load(state)[name].now
        if not now.hash or now.hash == header.hash:
            return "", None
        from monitor.store import Store  # noqa: PLC0415 - only where there is one

        with closing(Store(state / "store.db")) as store:
            for _, found in reports(state, store, name, header.hash):
                return f"in the shadow: {verdict(found, NAMES)}", as_json(found, NAMES)
        return (
            f"warning: {header.name} was not in the shadow of {now.model}: what it would raise is not known"
            f" (`enginewatch models shadow {folder}`)"
        ), None
    return "", None
