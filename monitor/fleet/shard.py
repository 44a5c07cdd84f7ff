"""One shard: what came of its assets goes through the line, in records as the daemon's journal has them.

Pure but for the models. Time comes with the records of Kafka, so whoever repeats a batch gets the same rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from monitor.books import books
from monitor.decode import KEPT_PAYLOAD
from monitor.fleet.control import ControlError, decode
from monitor.lineprotocol import event_line, reading_lines, score_lines
from monitor.pipeline import step
from monitor.records import Batch, Change, Clock, DeadLetter, Message, Outcome, Record, StepResult
from monitor.state import LineState

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from monitor.fleet.control import Artifact, Control, Shelf
    from monitor.records import Command, Int64, Payload

# Messages that came within so long are one record, as those that wait together are in the daemon: what time brings
# about, such as silence, is looked for in between.
PASS_MS = 5_000

WORDS = ("comment", "verdict")  # change no state, so that every shard would tell them

CONTROL = "control"  # the topic of a dead letter that every shard has
LINES, EVENT, LETTER, BOOKS, DRIFT, MOVE = "lines", "event", "dead_letter", "books", "drift", "move"


@dataclass(slots=True)
class Arrived:
    """N records of Kafka, in the order of each of its partitions."""

    mqtt: Sequence[bytes]  # topics; empty where the record has none
    values: Sequence[bytes]
    source: Int64  # (N,) which partition
    offset: Int64  # (N,)
    time: Int64  # (N,) when Kafka has it that they came; epoch ms

    def in_order(self, latest: int) -> tuple[Int64, Int64]:
        """The order (N,) to take them in, and when they came (N,), in that order; nothing came after `latest`.

        The order of a partition is kept whatever its times say; records of several come by their times.
        """
        order = np.lexsort((self.offset, self.source))
        time = np.minimum(np.where(self.time > 0, self.time, latest), latest)[order]
        source = self.source[order]
        begins = np.flatnonzero(np.diff(source, prepend=source[:1] - 1))
        for begin, end in zip(begins, [*begins[1:], len(source)], strict=True):
            time[begin:end] = np.maximum.accumulate(time[begin:end])
        by_time = np.lexsort((self.offset[order], source, time))
        return order[by_time], time[by_time]


@dataclass(slots=True)
class Row:
    """What leaves a shard: of one kind, about an asset or a topic."""

    kind: str
    about: str
    body: bytes
    count: int = 1  # lines, where it is of those


@dataclass(slots=True)
class Shard:
    """A part of the fleet: its state, and how far it is."""

    line: LineState
    position: int = 0  # records taken
    now: int = 0  # the time of the latest record
    artifacts: dict[str, Artifact] = field(default_factory=dict)  # of new models, to be kept with the state

    def control(self, values: Iterable[bytes], now: int, shelf: Shelf) -> Iterator[StepResult]:
        """Take control messages; what cannot be used changes nothing, and is told."""
        for value in values:
            try:
                yield from self._obey(decode(value), now, shelf)
            except ControlError as error:
                letter = DeadLetter(now, CONTROL, value[:KEPT_PAYLOAD], f"{error}; what held before goes on", 0)
                yield _letters([letter])

    def _obey(self, control: Control, now: int, shelf: Shelf) -> Iterator[StepResult]:
        if control.line is not None:
            for model_hash, files in control.models.items():
                shelf.put(model_hash, files)
            wanted = {each.model_hash for each in control.line.classes if each.model_hash}
            if gone := wanted - control.models.keys():  # whether this process happens to know it says nothing
                raise ControlError(f"model {min(gone)[:12]} is not in the message")
            self.artifacts = control.models
            if self.position and control.line.encode() == self.line.spec.encode():
                return
            if not self.position:
                self.line = LineState.empty(control.line)
            change = Change(listening=None if self.position else True, line=control.line.encode())
            before = shelf.models(self.line.spec)
            yield step(self.line, self._record(change, now), before | shelf.models(control.line))
        if control.command is not None and self.position and self._is_for(control.command):
            yield self._step(control.command, now, shelf)

    def _is_for(self, asked: Command) -> bool:
        """Whether it is for this shard: words about an incident are told by the one that has its asset.

        Whatever else is asked, each looks for what is meant, and one finds it.
        """
        return asked.action not in WORDS or any(asked.asset in each.number for each in self.line.classes)

    def take(self, arrived: Arrived, latest: int, shelf: Shelf) -> Iterator[StepResult]:
        """Take messages through the line. `latest`: nothing of them came after that."""
        order, time = arrived.in_order(latest)
        mqtt, values = arrived.mqtt, arrived.values
        cuts = np.flatnonzero(np.diff(time // PASS_MS)) + 1
        for begin, end in zip([0, *cuts.tolist()], [*cuts.tolist(), len(order)], strict=True):
            rows, arrivals = order[begin:end].tolist(), time[begin:end].tolist()
            messages = [
                Message(mqtt[row], values[row], arrival, len(values[row]))
                for row, arrival in zip(rows, arrivals, strict=True)
                if mqtt[row]
            ]
            if len(messages) < len(rows):
                bare = [(row, at) for row, at in zip(rows, arrivals, strict=True) if not mqtt[row]]
                self.line.outcomes[Outcome.DEAD_LETTER] += len(bare)
                yield _letters([_no_topic(values[row], at) for row, at in bare])
            if messages:
                yield self._step(Batch(messages), arrivals[-1], shelf)

    def clock(self, now: int, shelf: Shelf) -> StepResult:
        """Nothing came, and it is later."""
        return self._step(Clock(), now, shelf)

    def _step(self, payload: Payload, now: int, shelf: Shelf) -> StepResult:
        return step(self.line, self._record(payload, now), shelf.models(self.line.spec))

    def _record(self, payload: Payload, now: int) -> Record:
        self.position += 1
        self.now = max(self.now, now)
        return Record(self.position, self.now, payload)

    def books(self) -> Row:
        """What became of everything so far."""
        return Row(BOOKS, "", msgspec.json.encode(books(self.line)))


def rows(result: StepResult, *, readings: bool) -> Iterator[Row]:
    """What leaves of a result; `readings`: also the sensors' values."""
    for stored in result.scores:
        lines = score_lines(stored)
        if readings:
            lines += reading_lines(stored)
        yield Row(LINES, stored.asset_class, _body(lines), len(lines))
    for event in result.events:
        yield Row(EVENT, event.stream, msgspec.json.encode(event))
    if result.events:
        yield Row(LINES, "", _body([event_line(event) for event in result.events]), len(result.events))
    for letter in result.dead_letters:
        yield Row(LETTER, letter.topic, msgspec.json.encode(letter), letter.values)
    for drift in result.drifts:
        yield Row(DRIFT, drift.asset, msgspec.json.encode(drift))
    for move in result.moves:
        yield Row(MOVE, move.asset, msgspec.json.encode(move))


def _body(lines: Sequence[str]) -> bytes:
    return "\n".join(lines).encode(errors="replace")


def _letters(letters: list[DeadLetter]) -> StepResult:
    return StepResult([], [], letters)


def _no_topic(value: bytes, time: int) -> DeadLetter:
    reason = "the record has not what fleet.mqtt_topic asks for, such as a key: see the bridge's settings"
    return DeadLetter(time, "", value[:KEPT_PAYLOAD], reason)
