"""A state folder in which the line lives and crashes, and a script of what happens to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from monitor.journal import Journal
from monitor.line import Line
from monitor.records import Batch, Change, Clock, Command, Message
from monitor.spec import LineSpec
from monitor.store import Store
from tests.line_samples import MODELS, ROOT, START, pump, quick, shipped, status, telemetry
from tests.store_samples import same_scores

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from monitor.coverage import Stretch
    from monitor.records import Payload, StepResult, StoredScores

SPEC = LineSpec(ROOT, 3, (quick(shipped()),))
SECONDS = 40
Entry = tuple[int, "Payload"]  # seconds after START, what the journal gets


def script() -> list[Entry]:
    """A fault that is acknowledged and ends, dead letters, a silence, a goodbye, a broker that is away."""
    entries: list[Entry] = [(0, Change(listening=True, line=SPEC.encode()))]
    for second in range(SECONDS):
        breach = 30.0 if 12 <= second < 20 else 0.0
        messages = [telemetry("p0", second * 1000, pump(50 + second % 5, breach=breach))]
        if not 22 <= second < 28:
            messages.append(telemetry("p1", second * 1000 - 400, pump(40 + second % 3), arrival=second * 1000))
        if second == 7:
            messages += [Message(b"nowhere", b"", START, 0), telemetry("p0", 6500, pump(50), arrival=7000)]
        entries.append((second, Batch(messages)))
        if second % 9 == 0:
            entries.append((second, Clock()))
        if second == 16:
            entries.append((second, Command("c1", "acknowledge", START, asset="plant//p0", who="me")))
        if second == 30:
            entries.append((second, Change(listening=False)))
            entries.append((second, Change(listening=True)))
    entries.append((SECONDS, Batch([status("p1", SECONDS * 1000, b'{"online":false,"reason":"shutdown"}')])))
    entries += [(SECONDS + second, Clock()) for second in (1, 5, 30, 61, 62)]
    return entries


SCRIPT = script()


class CrashError(Exception):
    """The process ends here."""


class FragileStore(Store):
    """Ends the process before or behind the write of one record."""

    at = 0
    behind = False

    def write(self, position: int, result: StepResult, facts: Mapping[str, str] | None = None) -> None:
        if position == self.at and not self.behind:
            raise CrashError
        super().write(position, result, facts)
        if position == self.at:
            raise CrashError


class Toys:
    """A shelf with one model on it, which gives what a description names, as the real one does."""

    def models(self, spec: LineSpec) -> dict[str, Any]:
        return {each.model_hash: MODELS[each.model_hash] for each in spec.classes if each.model_hash in MODELS}


class House:
    """A state folder, and the line that lives in it."""

    def __init__(self, folder: Path, *, spec: LineSpec = SPEC) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.spec = spec
        self.open()

    def open(self) -> None:
        """Start, as after a crash; `recover` is the test's own step."""
        self.journal = Journal(self.folder / "journal.db")
        self.journal._writer.execute("PRAGMA synchronous=OFF")  # no power fails here, and these are many
        self.store = FragileStore(self.folder / "store.db")
        shelf: Any = Toys()
        self.line = Line(
            journal=self.journal, store=self.store, shelf=shelf, folder=self.folder, checkpoint_s=1000
        )

    def crash(self) -> None:
        """Nothing is finished, nothing is saved."""
        self.journal.close()
        self.store.close()

    def restart(self) -> None:
        self.crash()
        self.open()
        self.line.recover(self.spec)

    def take(self, entries: Sequence[Entry]) -> None:
        """Journal these and work them off."""
        self.append(entries)
        while self.line.advance():
            pass

    def append(self, entries: Sequence[Entry]) -> None:
        for second, payload in entries:
            self.journal.append([payload], START + second * 1000)

    def told(self) -> tuple[list[StoredScores], list[Any], list[Any], list[int], list[Stretch]]:
        """Everything that the store holds, and the books."""
        events = [event for _, event in self.store.events_after(0, 1000)]
        outcomes = self.line.state.outcomes.tolist()
        return (
            self.store.scores_after(0, 10_000),
            events,
            self.store.dead_letters(1000),
            outcomes,
            self.store.stretches(0),
        )

    def statuses(self, stream: str) -> list[int]:
        """The status of every row of a stream, in order."""
        return [
            int(stored.rows.status[row])
            for stored in self.store.scores_after(0, 10_000)
            for row, key in enumerate(stored.streams)
            if key == stream
        ]


def same(one: Any, other: Any) -> bool:
    """Whether two stores hold the same rows, transitions, letters, and the books agree."""
    rows = len(one[0]) == len(other[0]) and all(map(same_scores, one[0], other[0]))
    return rows and one[1:] == other[1:]
