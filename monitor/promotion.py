"""Another model for a class while the daemon runs: checked, put on the shelf, noted, and taken by the line.

In that order, so that a crash at any point leaves either the model before or the new one: the line takes a model
by a change record, and what the note says is what the next start goes on with.
"""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from config.classes import fitted, model_differences
from config.shipped import model_folder
from models.artifact import load_header
from monitor import models_in_use
from monitor.assemble import LENGTH_WITHOUT_MODEL, line_spec
from monitor.models_in_use import ClassModels, Use

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from config.classes import ResolvedClass
    from config.settings import Settings
    from models.artifact import Header
    from monitor.records import Command
    from monitor.shelf import Shelf
    from monitor.spec import LineSpec

log = structlog.get_logger()


class PromotionError(ValueError):
    """The model cannot be taken into use: the sentence says why."""


class Promotion:
    """The models in use, and how they change. `answer` may be called from any thread."""

    def __init__(
        self,
        settings: Settings,
        classes: Sequence[ResolvedClass],
        shelf: Shelf,
        take: Callable[[LineSpec], bool],
    ) -> None:
        """`take` lets the line go on by a description; it says whether the line has done so already."""
        self._folder = settings.daemon.state_dir
        self._settings = settings
        # As the settings have them; the overrides have the models of their classes.
        self._given = {each.name: each for each in classes if each.name == each.family}
        self._overrides = [each for each in classes if each.name != each.family]
        self._shelf = shelf
        self._take = take
        self._lock = threading.Lock()
        self._known: dict[str, ClassModels] = {}
        self.classes = list(classes)  # with the models in use

    def start(self) -> None:
        """Find out what every class uses from now on, and have it on the shelf.

        Raises ArtifactError where a model of the settings cannot be used, ValueError and OSError.
        """
        found = models_in_use.load(self._folder)
        now = _now()
        for given in self._given.values():
            if given.model is not None and given.model_hash is not None:
                self._shelf.put(given.model, given.model_hash)
            by_settings = Use(given.model_name, given.model_hash or "", given.window or 0, now, "settings")
            before = found.get(given.name)
            entry = models_in_use.at_start(before, by_settings)
            if before is not None and before.now.hash != entry.now.hash:
                log.info(
                    "model_of_the_settings",
                    asset_class=given.name,
                    model=entry.now.model,
                    before=before.now.model,
                    reason="classes.model was changed since the model before was taken into use",
                )
            try:
                self._put_in_place(given, entry.now)
            except (OSError, ValueError) as error:
                if entry.now.hash == by_settings.hash:
                    raise
                remedy = "the model of the settings is used; promote another"
                log.error("promoted_model_unusable", asset_class=given.name, reason=str(error), remedy=remedy)
                entry = entry.with_use(by_settings)
                self._put_in_place(given, by_settings)
            self._known[given.name] = entry
        models_in_use.save(self._folder, self._known)

    def _put_in_place(self, given: ResolvedClass, use: Use) -> None:
        """A class and its overrides go on with this model, which can be loaded. Raises ValueError, OSError."""
        family = [given, *(each for each in self._overrides if each.family == given.name)]
        same = use.hash == (given.model_hash or "")
        changed = {each.name: each if same else self._with(each, use.hash) for each in family}
        # What cannot be loaded must not stop the line.
        self._shelf.models(line_spec(self._settings, [changed[given.name]]))
        self.classes = [changed.get(each.name, each) for each in self.classes]

    def _with(self, given: ResolvedClass, model_hash: str) -> ResolvedClass:
        """A class with a model of the shelf, or without any."""
        if not model_hash:
            return replace(given, model=None, model_name="", model_hash=None, window=None)
        folder = self._shelf.place(model_hash)
        header = load_header(folder)
        _check(given, header)
        return fitted(given, folder, header)

    def needed(self) -> set[str]:
        """The hashes of the models in use, and of those that can be gone back to."""
        return {use.hash for each in self._known.values() for use in each.uses}

    def spec(self) -> LineSpec:
        """What the line works by with the models in use."""
        return line_spec(self._settings, self.classes)

    def answer(self, asked: Command) -> tuple[bool, str]:
        """Do what an operator asks; whether something was changed, and what happened in words."""
        with self._lock:
            try:
                given = self._class(asked.asset_class)
                return self._promote(given, asked) if asked.action == "promote" else self._roll_back(given, asked)
            except (OSError, ValueError) as error:
                return False, str(error)

    def _class(self, name: str) -> ResolvedClass:
        if not name and len(self._given) == 1:
            return next(iter(self._given.values()))
        if name not in self._given:
            raise PromotionError(f"which class? --asset-class takes one of {', '.join(self._given)}")
        return self._given[name]

    def _promote(self, given: ResolvedClass, asked: Command) -> tuple[bool, str]:
        folder = model_folder(Path(asked.model))
        header = load_header(folder)
        _check(given, header)
        before = self._known[given.name]
        if before.now.hash == header.hash:
            return True, f"class {given.name}: the model {header.name} is in use already"
        self._shelf.put(folder, header.hash)
        use = Use(header.name, header.hash, header.window, _now(), "promote", asked.who)
        return self._use(given, before.with_use(use))

    def _roll_back(self, given: ResolvedClass, asked: Command) -> tuple[bool, str]:
        entry = self._known[given.name].rolled_back(_now(), asked.who)
        if entry is None:
            return (
                False,
                f"class {given.name} has no model before the one in use; `enginewatch models list` shows it",
            )
        return self._use(given, entry)

    def _use(self, given: ResolvedClass, entry: ClassModels) -> tuple[bool, str]:
        """Go on with another model: noted first, then taken."""
        before, classes = self._known, self.classes
        self._put_in_place(given, entry.now)
        self._known = before | {given.name: entry}
        try:
            models_in_use.save(self._folder, self._known)
            taken = self._take(self.spec())
        except Exception:
            self._known, self.classes = before, classes
            models_in_use.save(self._folder, before)
            raise
        was, now = before[given.name].now, entry.now
        log.info(
            "model_changed", asset_class=given.name, model=now.model, hash=now.hash, before=was.model, who=now.who
        )
        behind = "" if taken else "; the line is behind and will take it"
        return True, f"class {given.name}: {_words(was, now)}{behind}"


def _check(given: ResolvedClass, header: Header) -> None:
    """Raises PromotionError where a model is not for the sensors of a class."""
    found = [f"class {given.name} and {sentence}" for sentence in model_differences(given, header)]
    if found:
        raise PromotionError("; ".join(found))


def _words(was: Use, now: Use) -> str:
    """What another model means for what goes on."""
    if not now.hash:
        return f"without a model again, after {was.model}: it learns, and simple limits watch"
    kept = was.window or LENGTH_WITHOUT_MODEL
    told = f"the model {now.model} ({now.hash[:12]}) is in use"
    if now.window <= kept:
        return f"{told}; windows of {now.window} ticks that are full already go on, thresholds begin anew"
    return (
        f"{told}; its windows are {now.window} ticks where {kept} were kept, so that the first score comes after"
        f" {now.window - kept} more; thresholds begin anew"
    )


def _now() -> int:
    return int(time.time() * 1000)
