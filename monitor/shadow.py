"""A candidate in the shadow of the model in use: a process of its own that follows the daemon's store.

It reads what the daemon wrote and changes nothing of it. What it finds lies in a folder and a store of its own.
The position of that store is the one in the daemon's score rows: incidents and counts are written with it in one
transaction, so that a kill loses none and doubles none. Checkpoints are those of the line.
"""

from __future__ import annotations

import fcntl
import time
from typing import TYPE_CHECKING

import msgspec

from config.classes import misfits
from monitor import checkpoint, models_in_use, rescored
from monitor.checkpoint import CheckpointError
from monitor.coverage import MAINTENANCE
from monitor.records import StepResult
from monitor.shelf import Shelf
from monitor.side_by_side import TOLD, Found, SideBySide, Tally, incidents, side_by_side
from monitor.spec import LineSpec
from monitor.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from models.artifact import Header
    from monitor.records import AlertEvent, StoredScores

FOLDER = "shadow"  # in the state folder
STORE = "store.db"
DIGITS = 12  # of the candidate's hash, which name its folder
ROWS_AT_ONCE = 4_000  # of the daemon's store
CHECKPOINT_S = 30.0


class ShadowError(ValueError):
    """The candidate cannot run in the shadow: the sentence says why."""


class About(msgspec.Struct, frozen=True):
    """What a shadow is of."""

    asset_class: str
    model: str
    hash: str
    created: str  # when the candidate was made
    began: int  # epoch ms
    window: int  # T, ticks
    against: str  # hash of the model in use, empty = none
    against_model: str
    against_window: int


class Shadow:
    """One candidate of one class. `advance` is called again and again, by one process at a time."""

    def __init__(self, state: Path, store: Store, asset_class: str, model: Path, header: Header) -> None:
        """Begin, or go on where it was; `store` is the daemon's in the folder `state`.

        Raises ShadowError, ArtifactError, CheckpointError, StoreError and OSError.
        """
        self._state = state
        self._daemon = store
        self._header = header
        self.folder = state / FOLDER / asset_class / header.hash[:DIGITS]
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = (self.folder / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ShadowError(f"another process has {header.name} in the shadow already") from error
        self._shelf = Shelf(self.folder / "models", threads=1, batch_size=256)
        self._shelf.put(model, header.hash)
        self.model = self._shelf.place(header.hash)
        self.about = self._about(asset_class)
        self._text = ""  # of the daemon's line, as it was described last
        self._spec = self._described()
        self._models = self._shelf.models(self._spec)
        self._own = Store(self.folder / STORE)
        self._recover()

    def _about(self, asset_class: str) -> About:
        """The candidate, and the model in use."""
        known = models_in_use.load(self._state).get(asset_class)
        if known is None:
            raise ShadowError(f"the daemon has no class {asset_class}")
        header = self._header
        return About(
            asset_class, header.name, header.hash, header.created, int(time.time() * 1000), header.window,
            known.now.hash, known.now.model, known.now.window,
        )  # fmt: skip

    def _described(self) -> LineSpec:
        """The line by the settings that the daemon works by now, with the candidate."""
        text = self._daemon.facts().get("line", "")
        if text != self._text:
            self._spec = line_of(LineSpec.decode(text.encode()), self.about.asset_class, self._header)
            self._text = text
        return self._spec

    def _recover(self) -> None:
        """Bring state and counts to where the own store is."""
        facts = self._own.facts()
        self._tally = Tally(self._spec.classes[0].align.period_ms)
        if "about" not in facts:
            self._begin_to_count(self._daemon.heads()[0])
            checkpoint.save(self.folder, self._own.written, rescored.beginning(self._spec))
        else:
            self.about = msgspec.json.decode(facts["about"], type=About)
            self._tally = msgspec.json.decode(facts["tally"], type=Tally)
        if self._own.written > self._daemon.heads()[0]:
            raise ShadowError(f"the daemon's store began anew: delete {self.folder}, then the shadow does too")
        self._line, self._position = rescored.beginning(self._spec), self._own.written
        for path in checkpoint.saved(self.folder):
            if checkpoint.position_of(path) > self._own.written:
                continue
            try:
                found = checkpoint.load(path)
            except CheckpointError:  # the one before it is taken, or windows fill anew
                continue
            self._line, self._position = found.state, found.position
            break
        self._checkpointed_at = time.monotonic()
        while self._position < self._own.written:
            batches = self._read(self._own.written)
            if not batches:
                self._position = self._own.written
            rescored.take(self._line, batches, self._models)

    def _begin_to_count(self, position: int) -> None:
        """Nothing is known from here on."""
        facts = {
            "about": msgspec.json.encode(self.about).decode(),
            "tally": msgspec.json.encode(self._tally).decode(),
        }
        if position > self._own.written:
            self._own.write(position, StepResult([], [], []), facts)
        else:
            self._own.note(facts)

    def _read(self, last: int) -> list[StoredScores]:
        """The daemon's next rows up to a position."""
        batches = [
            each for each in self._daemon.scores_after(self._position, ROWS_AT_ONCE) if each.position <= last
        ]
        if batches:
            self._position = batches[-1].position
        return batches

    def advance(self) -> list[AlertEvent] | None:
        """Take what the daemon has stored since; the candidate's transitions. None where there is nothing new.

        Raises ShadowError where the settings came to hold the candidate back, StoreError and OSError.
        """
        head = self._daemon.heads()[0]
        if head < self._position:
            raise ShadowError(f"the daemon's store began anew: delete {self.folder}, then the shadow does too")
        self._look_whom_it_is_against()
        batches = self._read(head)
        if not batches:
            return None
        events = rescored.redescribed(self._line, self._described(), self._models).events
        result = rescored.take(self._line, batches, self._models)
        self._tally.add([each for each in batches if self._is_of_both(each)], result.scores)
        events += result.events
        facts = {"tally": msgspec.json.encode(self._tally).decode()}
        self._own.write(self._position, StepResult([], events, []), facts)
        if time.monotonic() - self._checkpointed_at >= CHECKPOINT_S:
            self.checkpoint()
        return [event for event in events if event.kind in TOLD]

    def _is_of_both(self, rows: StoredScores) -> bool:
        """Whether rows are of the class, and of the model that the candidate is compared with."""
        family = rows.asset_class.partition("/")[0]
        return family == self.about.asset_class and rows.model == self.about.against_model

    def _look_whom_it_is_against(self) -> None:
        """Against another model it is another comparison: what was counted until then is dropped."""
        now = self._about(self.about.asset_class)
        if now.against in {self.about.against, self.about.hash}:
            return
        self.about, self._tally = now, Tally(self._tally.period_ms)
        self._begin_to_count(self._position)

    def is_in_use(self) -> bool:
        """Whether the daemon uses the candidate by now."""
        known = models_in_use.load(self._state).get(self.about.asset_class)
        return known is not None and known.now.hash == self.about.hash

    def checkpoint(self) -> None:
        """Save the state, so that a restart has less to do again. Raises StoreError and OSError."""
        self._own.sync()
        checkpoint.save(self.folder, self._position, self._line)
        self._checkpointed_at = time.monotonic()

    def report(self) -> SideBySide:
        """Both side by side, as of now."""
        return _report(self._daemon, self._own, self.about, self._tally)

    def close(self) -> None:
        """Checkpoint, and let others go on with it."""
        self.checkpoint()
        self._own.close()
        self._lock.close()


def line_of(line: LineSpec, asset_class: str, header: Header) -> LineSpec:
    """A class of the daemon's line with another model. Raises ShadowError where they do not fit."""
    family = [each for each in line.classes if each.family == asset_class]
    if not family:
        raise ShadowError(f"the daemon has no class {asset_class}")
    given = family[0]
    found = misfits(given.route.sensors, given.units, given.align.period_ms, header)
    if found:
        raise ShadowError("; ".join(f"class {asset_class} and {sentence}" for sentence in found))
    try:
        return rescored.described(line, asset_class, header)
    except ValueError as error:
        raise ShadowError(str(error)) from error


def reports(
    state: Path, store: Store, asset_class: str = "", model_hash: str = ""
) -> Iterator[tuple[About, SideBySide]]:
    """Every shadow of a state folder, of a class and of a model where they are named. Raises StoreError."""
    for path in sorted((state / FOLDER).glob(f"{asset_class or '*'}/{model_hash[:DIGITS] or '*'}/{STORE}")):
        own = Store(path)
        try:
            facts = own.facts()
            if "about" in facts:
                about = msgspec.json.decode(facts["about"], type=About)
                yield about, _report(store, own, about, msgspec.json.decode(facts["tally"], type=Tally))
        finally:
            own.close()


def _report(daemon: Store, own: Store, about: About, tally: Tally) -> SideBySide:
    since = min((span.first for span in tally.spans.values()), default=0)
    worked_on: dict[str, list[tuple[int, int]]] = {}
    for each in daemon.stretches(since):
        if each.status == MAINTENANCE:
            worked_on.setdefault(each.asset, []).append((each.start, each.end))
    # Those of the model in use are held back by the daemon itself.
    candidate = [
        each
        for each in incidents(event for _, event in own.events_after(0, 1_000_000))
        if not any(start <= each.started <= end for start, end in worked_on.get(each.asset, ()))
    ]
    notes = [] if about.against else [f"class {about.asset_class} has no model in use: its limits are compared"]
    window = max(about.window, about.against_window)
    return side_by_side(tally, list(_of_daemon(daemon)), candidate, slack_ms=window * tally.period_ms, notes=notes)


def _of_daemon(store: Store) -> Iterator[Found]:
    """The daemon's incidents, with what operators said of them."""
    for event, verdict, is_open in store.incidents():
        if event.kind in TOLD:
            ended = None if is_open else event.time
            yield Found(event.stream, event.kind, event.started, ended, event.summary, verdict, event.incident_id)
