"""Runs the line: reads the journal, steps the core, writes the store, checkpoints the state.

After a crash it loads a checkpoint and replays the journal behind it: up to the store's position that rebuilds
the state and writes nothing, from there on it is the ordinary work.
"""

from __future__ import annotations

import errno
import threading
import time
from collections import deque
from concurrent.futures import Future
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import numpy as np
import structlog

from monitor import checkpoint
from monitor.books import books
from monitor.checkpoint import CheckpointError
from monitor.damage import FAILING
from monitor.pipeline import clock_suspect, step
from monitor.records import Change, Command
from monitor.schema import StoreError
from monitor.spec import LineSpec
from monitor.stages import Pulse
from monitor.state import LineState

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from monitor.checkpoint import Checkpoint
    from monitor.journal import Journal
    from monitor.records import Drift, Model, Move, Record, StepResult
    from monitor.shelf import Shelf
    from monitor.store import Store

log = structlog.get_logger()

Answer = TypeVar("Answer")
RECORDS_AT_ONCE = 64
RETRY_S = 1.0  # pause before writing to the store is tried again
LAST_S = 5.0  # how long it goes on with the journal when it is to stop; the next start does the rest
REPLAY_S = 2.0  # after so much of a replay its state is checkpointed, and again
NOTE_S = 1.0  # how often the books are noted
QUIET_S = 60.0  # refusals that come sooner after each other are told once; the store has them all


class Line:
    """The one thread that changes the state of the line. `run` is its body; `wake` may be called from anywhere."""

    def __init__(self, *, journal: Journal, store: Store, shelf: Shelf, folder: Path, checkpoint_s: float) -> None:
        """`folder` keeps the checkpoints."""
        self._journal = journal
        self._store = store
        self._shelf = shelf
        self._folder = folder
        self._checkpoint_s = checkpoint_s
        self._stop = threading.Event()
        self._more = threading.Event()
        self._checkpointed = -1
        self._checkpoint_failed = False
        self._last_s = LAST_S
        self._unusable: set[str] = set()  # hashes of models that the journal names and that cannot be loaded
        self._at_hand: tuple[LineSpec, dict[str, Model]] | None = None  # the models of the description
        self._suspect = False
        self._began = 0  # the position of the checkpoint that was begun with
        self._stored: dict[
            str, int
        ] = {}  # where records were lost: up to which event times there are rows already
        self._questions: deque[tuple[Callable[[LineState], Any], Future[Any]]] = deque()
        self._refused_at = -QUIET_S
        self._refused: tuple[str, str] | None = None  # topic and reason of the first of those that go on
        self.state = LineState.empty(LineSpec("", 1, ()))
        self.position = 0
        self.books: dict[str, object] = {}
        self.pulse = Pulse()
        self.on_replaying: Callable[[], None] = lambda: None  # while it recovers: it goes on
        self.trouble = ""  # why the store cannot be written, so that the line waits
        self.on_written: Callable[[StepResult], None] = lambda _: None
        self.on_reply: Callable[[str, bool, str], None] = lambda _id, _done, _reply: None

    def recover(self, spec: LineSpec) -> None:
        """Load the newest usable checkpoint and replay the journal to its end.

        `spec` is what to go on with where all checkpoints are lost; else the journal says itself what it holds.
        Raises JournalError, StoreError and OSError.
        """
        found = self._newest_checkpoint()
        if found is not None:
            self.state, self.position = found.state, found.position
            self._began = found.position
        if self.position > self._store.written > 0:
            rows = self.position - self._store.written
            log.error("store_behind", records=rows, remedy="what these brought about is missing in the store")
        if self.position and not self._store.written:
            remedy = "what was not sent is missing; of incidents that are open only what comes next will be known"
            log.error("store_lost", remedy=remedy)
        self._go_on_where_the_journal_is_new()
        first = self._journal.first()
        if first is not None and first > self.position + 1:
            lost = first - 1 - self.position
            log.error("state_lost", records=lost, remedy="windows and thresholds start anew")
            self.state, self.position = LineState.empty(spec), first - 1
        began, replayed = time.monotonic(), self.position
        due = began + REPLAY_S
        while not self._stop.is_set() and self.advance():
            self.on_replaying()
            if time.monotonic() >= due:  # a daemon that dies again and again comes further each time
                self._try_to_checkpoint()
                due = time.monotonic() + REPLAY_S
        replayed = self.position - replayed
        log.info(
            "recovered", position=self.position, replayed=replayed, seconds=round(time.monotonic() - began, 2)
        )

    def _go_on_where_the_journal_is_new(self) -> None:
        """A journal that was taken away begins behind what is known, else its records would pass for done."""
        known, last = max(self.position, self._store.written), self._journal.last()
        if last >= known:
            return
        log.error("journal_lost", remedy="what it held that was not in the store yet is missing")
        self._journal.go_on_after(known)
        self._pass_by_what_is_stored()
        self.position = known
        self.checkpoint()

    def _newest_checkpoint(self) -> Checkpoint | None:
        """The newest one that the store has caught up with."""
        behind = [
            path for path in checkpoint.saved(self._folder) if checkpoint.position_of(path) <= self._store.written
        ]
        # Where the store has lost its latest part, the oldest one: from there most of it is made again.
        for path in behind or checkpoint.saved(self._folder)[::-1]:
            try:
                return checkpoint.load(path)
            except CheckpointError as error:
                log.error("checkpoint_unusable", reason=str(error), remedy="the one before it is taken")
        return None

    def advance(self) -> bool:
        """Take the next records of the journal through the line; False where there are none."""
        records = self._journal.read(self.position, RECORDS_AT_ONCE)
        for record in records:
            if record.position > self.position + 1:
                self._pass_by_what_is_stored()
            self._take(record)
        return bool(records)

    def _take(self, record: Record) -> None:
        self.pulse.turn()
        payload = record.payload
        if self._at_hand is None or self._at_hand[0] is not self.state.spec:
            self._at_hand = self.state.spec, self._models(self.state.spec)
        _, models = self._at_hand
        if isinstance(payload, Change) and payload.line is not None:  # its own record may close ticks already
            models = models | self._models(LineSpec.decode(payload.line))
        result = step(self.state, record, models)
        if record.position > self._store.written:
            result = self._unstored(result) if self._stored else result
            self._write(record.position, result)
            self.on_written(result)
        self._tell_refused(result)
        tell_moves(result.moves)
        tell_drifts(result.drifts)
        self.position = record.position
        if isinstance(payload, Command):
            self.on_reply(payload.id, result.done, result.reply)
        elif isinstance(payload, Change) and payload.line is not None:
            log.info("line_changed", classes=[each.name for each in self.state.spec.classes])
        suspect = clock_suspect(self.state)
        if suspect != self._suspect:
            self._suspect = suspect
            if suspect:
                log.error("host_clock_behind", remedy="synchronise this host's clock")
            else:
                log.info("host_clock_right")

    def _models(self, spec: LineSpec) -> dict[str, Model]:
        """The models that a description names. One of before that cannot be used any more scores nothing.

        What the settings name now was tried before the line began.
        """
        usable = [each for each in spec.classes if each.model_hash not in self._unusable]
        try:
            return dict(self._shelf.models(replace(spec, classes=tuple(usable))))
        except (OSError, ValueError):
            found: dict[str, Model] = {}
            for each in usable:
                try:
                    found |= self._shelf.models(replace(spec, classes=(each,)))
                except (OSError, ValueError) as error:
                    self._unusable.add(each.model_hash)
                    remedy = "rows that wait in the journal for it are not scored; what comes after them is"
                    log.error("model_of_before_unusable", reason=str(error), remedy=remedy)
            return found

    def _tell_refused(self, result: StepResult) -> None:
        """Say that something is refused, with the first reason, and not again as long as it goes on."""
        now = time.monotonic()
        if result.dead_letters:
            first = result.dead_letters[0]
            if now - self._refused_at > QUIET_S:
                log.warning("refused", topic=first.topic, reason=first.reason, more="in the dead letters")
                self._refused = (first.topic, first.reason)
            self._refused_at = now

    def _pass_by_what_is_stored(self) -> None:
        """Records are lost whose rows the store may have: the state has those ticks to come, as empty ones."""
        if self.position < self._store.written:
            self._stored = self._store.times_after(self._began)

    def _unstored(self, result: StepResult) -> StepResult:
        """Without the rows that are in the store already."""
        kept = []
        for each in result.scores:
            stored = np.array([self._stored.get(key, -1) for key in each.streams])  # (B,)
            if (new := each.time > stored).any():
                kept.append(each.where(new))
        return replace(result, scores=kept)

    def _write(self, position: int, result: StepResult) -> None:
        """Write a result, however long the store cannot for want of room: the state is ahead of it already.

        Raises StoreError where waiting is of no use.
        """
        failed = False
        while True:
            try:
                self._store.write(position, result)
            except StoreError as error:
                if error.lasting:
                    raise
                if not failed:
                    log.error("store_failed", reason=str(error), remedy="make room in the state folder")
                failed = True
                self.pulse.turn()
                self.on_replaying()
                self.trouble = str(error)
                if self._stop.wait(RETRY_S):
                    raise
            else:
                if failed:
                    self.trouble = ""
                    log.info("store_works_again")
                return

    def run(self) -> None:
        """Work until `stop`, then finish what is in the journal and checkpoint."""
        due = time.monotonic() + self._checkpoint_s
        noted = 0.0
        while not self._stop.is_set():
            self.pulse.turn()
            self._more.clear()
            if not self.advance():
                self._more.wait(0.5)
            self._answer()
            now = time.monotonic()
            if now >= due:
                self._try_to_checkpoint()
                due = time.monotonic() + self._checkpoint_s
            if now >= noted + NOTE_S:
                self.note()
                noted = now
        last = time.monotonic() + self._last_s
        while time.monotonic() < last and self.advance():
            pass
        self._try_to_checkpoint()
        self.note()

    def ask(self, question: Callable[[LineState], Answer], seconds: float) -> Answer:
        """What a function says of the state, asked on the line's thread, between two records.

        It must change nothing. Raises TimeoutError where the line is busy for longer.
        """
        answer: Future[Answer] = Future()
        self._questions.append((question, answer))
        self.wake()
        return answer.result(seconds)

    def _answer(self) -> None:
        while self._questions:
            question, answer = self._questions.popleft()
            try:
                answer.set_result(question(self.state))
            except Exception as error:  # noqa: BLE001 - it is for whoever asked; the line goes on
                answer.set_exception(error)

    def wake(self) -> None:
        """There is more in the journal."""
        self._more.set()

    def stop(self, last_s: float = LAST_S) -> None:
        """Let `run` come to its end; it goes on with the journal for so long, five seconds at the most."""
        self._last_s = min(last_s, LAST_S)
        self._stop.set()
        self._more.set()

    def checkpoint(self) -> None:
        """Save the state, after the store rows that lead to it; then the journal may forget what lies behind.

        Raises StoreError and OSError; the journal forgets nothing then.
        """
        if self.position == self._checkpointed:
            return
        self._store.sync()
        checkpoint.save(self._folder, self.position, self.state)
        self._checkpointed = self.position
        # Behind the oldest one kept, so that a damaged newest one is survived.
        self._journal.forget(checkpoint.position_of(checkpoint.saved(self._folder)[-1]))

    def _try_to_checkpoint(self) -> None:
        """Checkpoint if there is room: without it a restart has more to replay, and nothing else is lost.

        Raises StoreError where the disk fails: what it has not taken must not be taken for written.
        """
        try:
            self.checkpoint()
        except (StoreError, OSError) as error:
            if isinstance(error, OSError) and error.errno == errno.EIO:
                sentence = f"no checkpoint can be written to {self._folder}: {error.strerror} ({FAILING})"
                raise StoreError(sentence, lasting=True) from error
            if isinstance(error, StoreError) and error.lasting:
                raise
            if not self._checkpoint_failed:
                log.error("checkpoint_failed", reason=str(error), remedy="make room in the state folder")
            self._checkpoint_failed = True
        else:
            self._checkpoint_failed = False

    def needed_models(self) -> set[str] | None:
        """The hashes that checkpoints and journal may still need; None where that is not known."""
        if self._journal.holds_changes():
            return None
        specs = [self.state.spec]
        for path in checkpoint.saved(self._folder):
            try:
                specs.append(checkpoint.load(path).state.spec)
            except CheckpointError:
                continue
        return {each.model_hash for spec in specs for each in spec.classes}

    def note(self) -> None:
        """Note the books, for those who look from outside."""
        self.books = books(self.state) | {"position": self.position, "refused": self._refused}
        try:
            self._store.note({"books": msgspec.json.encode(self.books).decode()})
        except StoreError:
            return  # what cannot be noted now is noted in a second


def tell_moves(moves: Sequence[Move]) -> None:
    """One line for the assets that went from one class to another, with the first of them."""
    groups: dict[Move, list[str]] = {}
    for move in moves:
        groups.setdefault(move._replace(asset=""), []).append(move.asset)
    for (_, left, taken, both, kept), assets in groups.items():
        if kept:
            log.info("assets_moved", count=len(assets), first=assets[0], left=left, taken=taken)
            continue
        if both:
            event, remedy = "asset_in_two_classes", f"`enginewatch assets forget` where it has left class {left}"
        elif taken:
            event, remedy = "assets_moved", "their windows fill and their thresholds learn anew"
        else:
            event, remedy = "assets_let_go", "no class takes them any more: see classes.assets"
        log.warning(event, count=len(assets), first=assets[0], left=left, taken=taken, remedy=remedy)


def tell_drifts(drifts: Sequence[Drift]) -> None:
    """One line for the assets that have left what their model was trained on, one for those that are back."""
    for stale, event in ((True, "model_stale"), (False, "model_fits_again")):
        assets = [each for each in drifts if each.stale == stale]
        if assets:
            first = assets[0]
            more = {"why": "; ".join(first.why), "remedy": "see `enginewatch models drift`"} if stale else {}
            tell = log.warning if stale else log.info
            tell(event, count=len(assets), first=first.asset, **more)
