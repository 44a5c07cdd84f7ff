"""The line: `step(state, record)` takes one record of the journal through the pure stages in their order.

Pure: the record brings its time, the models are arguments, everything that leaves is in the result. The same
records from the same state give the same results, bit for bit, wherever they run. `state` is changed in place.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, TypeVar

import msgspec
import numpy as np

from monitor import alert, align, threshold, window
from monitor.decode import ClassReadings, ClassRoute, Decoder, encode_telemetry
from monitor.records import (
    Batch,
    Change,
    Clock,
    Command,
    DeadLetter,
    Outcome,
    Readings,
    Scores,
    Status,
    StepResult,
    StoredScores,
    Windows,
)
from monitor.score import score

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from monitor.records import Bool, Frames, Int64, Message, Model, Record

SWEEP_MS = 200  # what time alone brings about is looked for this often, and not with every record
WINDOWS_AT_ONCE = 2_048  # bounds the memory of a batch, whatever its size
REMEMBERED_COMMANDS = 1_000  # a command that comes again is known by its id
FIRST_ROOM = 16  # streams that a class has room for at first; it doubles when it is used up


@dataclass(frozen=True, slots=True)
class ClassSpec:
    """An asset class as the pipeline sees it."""

    name: str
    route: ClassRoute
    units: tuple[str, ...]  # (C,)
    model: str  # its name, empty where nothing is scored
    model_hash: str
    align: align.AlignConfig
    window: window.WindowConfig
    threshold: threshold.ThresholdConfig
    alert: alert.AlertConfig

    def keeps_windows_of(self, other: ClassSpec) -> bool:
        """Whether windows and open ticks filled under the other description mean the same here."""
        same = (self.route.sensors, self.units, self.align, self.window)
        return same == (other.route.sensors, other.units, other.align, other.window)


@dataclass(frozen=True, slots=True)
class LineSpec:
    """The whole description of the pipeline: what a change record and a checkpoint hold."""

    root: str
    max_streams: int
    classes: tuple[ClassSpec, ...]

    def encode(self) -> bytes:
        """As JSON; equal descriptions give equal bytes."""
        return msgspec.json.encode(self)

    @staticmethod
    def decode(text: bytes) -> LineSpec:
        """From JSON."""
        return msgspec.json.decode(text, type=LineSpec)


@dataclass(slots=True)
class ClassState:
    """One asset class: its streams by number, and a state a stage with room for `capacity` streams."""

    spec: ClassSpec
    align: align.AlignState
    window: window.WindowState
    threshold: threshold.ThresholdState
    alert: alert.AlertState
    keys: list[str] = field(default_factory=list)
    number: dict[str, int] = field(default_factory=dict)

    @classmethod
    def empty(cls, spec: ClassSpec, capacity: int = FIRST_ROOM) -> ClassState:
        """A class of which no stream has been heard."""
        return cls(
            spec,
            align.AlignState.empty(spec.align, capacity),
            window.WindowState.empty(spec.window, capacity),
            threshold.ThresholdState.empty(spec.threshold, capacity),
            alert.AlertState.empty(capacity),
        )

    def register(self, key: str) -> int:
        """The number of a new stream."""
        if len(self.keys) == len(self.align.next_tick):
            more = ClassState.empty(self.spec, len(self.keys))
            self.align = joined(align.AlignState, [self.align, more.align])
            self.window = joined(window.WindowState, [self.window, more.window])
            self.threshold = joined(threshold.ThresholdState, [self.threshold, more.threshold])
            self.alert = joined(alert.AlertState, [self.alert, more.alert])
        self.number[key] = len(self.keys)
        self.keys.append(key)
        return self.number[key]

    def latest(self) -> Int64:
        """The newest event time (S,) of each stream; where all its readings were in the future, when they came."""
        return np.where(self.align.newest == align.NONE, self.align.last_arrival, self.align.newest)


@dataclass(slots=True)
class LineState:
    """Everything the line remembers."""

    spec: LineSpec
    decoder: Decoder
    classes: list[ClassState]
    outcomes: Int64  # (6,) values by `Outcome`, since the beginning
    rows: Int64  # (6,) score rows by `Status`, since the beginning
    listening_since: int | None = None  # None = the broker cannot be heard
    swept_at: int = 0
    obeyed: list[str] = field(default_factory=list)  # the ids of the latest commands

    @classmethod
    def empty(cls, spec: LineSpec) -> LineState:
        """A line that has heard nothing."""
        counts = np.zeros(len(Outcome), np.int64), np.zeros(len(Status), np.int64)
        return cls(spec, _decoder(spec), [ClassState.empty(each) for each in spec.classes], *counts)

    def waiting_values(self) -> int:
        """Acknowledged values whose outcome is still open: in open ticks, or in ticks that no row covers yet."""
        return sum(align.open_values(c.align) + int(c.window.uncovered.sum()) for c in self.classes)

    def streams(self) -> int:
        """How many streams are known."""
        return sum(len(each.keys) for each in self.classes)


def step(state: LineState, record: Record, models: Mapping[str, Model]) -> StepResult:
    """Take one record through the line; changes `state`.

    `models` holds the model of every class by its hash; a class whose model is not there is not scored.
    """
    result = StepResult([], [], [])
    match record.payload:
        case Batch(messages):
            _take_messages(state, messages, record.time, models, result)
        case Clock():
            pass
        case Command() as asked:
            return StepResult([], result.events, [], *_obey(state, asked, record.time, result))
        case Change() as change:
            _change(state, change, record.time, models, result)
    if not 0 <= record.time - state.swept_at < SWEEP_MS:
        state.swept_at = record.time
        _sweep(state, record.time, models, result)
    return result


def _sweep(state: LineState, now: int, models: Mapping[str, Model], result: StepResult) -> None:
    """Do what time alone brings about: close ticks, and look for silence."""
    for index, each in enumerate(state.classes):
        if state.listening_since is not None:
            closed = align.tick_over(each.align, each.spec.align, now, state.listening_since)
            _judge(state, index, closed, now, models, result)
        heard, since = each.align.last_arrival, state.listening_since
        moment = alert.Moment(each.keys, now)
        result.events.extend(alert.watch(each.alert, each.spec.alert, heard, each.latest(), since, moment))


def clock_suspect(state: LineState) -> bool:
    """Whether most streams of a class are ahead of the host's clock."""
    return any(align.clock_suspect(each.align) for each in state.classes)


def _take_messages(
    state: LineState, messages: list[Message], now: int, models: Mapping[str, Model], result: StepResult
) -> None:
    decoded = state.decoder.decode(messages)
    letters = decoded.dead_letters
    heard: list[tuple[ClassState, Readings]] = []
    # Before the broker can be heard, the clock closes nothing of what it still holds back.
    since = int(align.NEVER) if state.listening_since is None else state.listening_since
    for index, (each, found) in enumerate(zip(state.classes, decoded.readings, strict=True)):
        if not found.streams:
            continue
        readings = _number(state, each, found, letters)
        heard.append((each, readings))
        frames, quarantined = align.push(each.align, each.spec.align, readings, since, state.outcomes)
        result.dead_letters.extend(_quarantine_letters(each, readings, quarantined))
        _judge(state, index, frames, now, models, result)
    for report in decoded.reports:
        each = state.classes[report.asset_class]
        stream = each.number.get(report.stream)
        if stream is not None:
            alert.report(each.alert, stream, report.arrival, online=report.online, goodbye=report.goodbye)
    for each, readings in heard:  # after the reports, because a reading may have come behind a goodbye
        alert.hear(each.alert, readings.stream, readings.arrival)
    state.outcomes[Outcome.DEAD_LETTER] += sum(letter.values for letter in letters)
    result.dead_letters.extend(letters)


def _number(state: LineState, each: ClassState, found: ClassReadings, letters: list[DeadLetter]) -> Readings:
    """The readings with their streams by number; those for which there is no room become dead letters."""
    room = state.spec.max_streams - state.streams()
    numbers = []
    for row, key in enumerate(found.streams):
        number = each.number.get(key, -1)
        if number < 0 and room > 0:
            number, room = each.register(key), room - 1
        elif number < 0:
            values = int(np.count_nonzero(~np.isnan(found.values[row])))
            reason = f"more assets than daemon.max_streams ({state.spec.max_streams})"
            letters.append(DeadLetter(int(found.arrival[row]), key, b"", reason, values))
        numbers.append(number)
    stream = np.array(numbers, np.int32)
    known = stream >= 0
    return Readings(stream[known], found.time[known], found.arrival[known], found.values[known])


def _quarantine_letters(each: ClassState, readings: Readings, quarantined: Bool) -> Iterator[DeadLetter]:
    """What was quarantined, to be looked at; in the books it has an outcome of its own."""
    for row in np.flatnonzero(quarantined):
        time, arrival = int(readings.time[row]), int(readings.arrival[row])
        values = dict(zip(each.spec.route.sensors, readings.values[row].tolist(), strict=True))
        payload = encode_telemetry(time=time, boot="", seq=0, values=values)
        reason = f"quarantined: its time lies {(time - arrival) / 1000:.1f} s in the future"
        yield DeadLetter(arrival, each.keys[readings.stream[row]], payload, reason, 0)


def _judge(
    state: LineState,
    index: int,
    frames: Iterable[Frames],
    now: int,
    models: Mapping[str, Model],
    result: StepResult,
) -> None:
    """From closed ticks, in rounds of at most one a stream, to score rows and events."""
    each = state.classes[index]
    rounds: list[Windows] = []
    waiting = 0
    for closed in frames:
        cut = window.push(each.window, each.spec.window, closed)
        if len(cut.stream):
            rounds.append(cut)
            waiting += len(cut.stream)
        if waiting >= WINDOWS_AT_ONCE:
            _score_rounds(state, index, rounds, now, models, result)
            rounds, waiting = [], 0
    if rounds:
        _score_rounds(state, index, rounds, now, models, result)


def _score_rounds(
    state: LineState,
    index: int,
    rounds: list[Windows],
    now: int,
    models: Mapping[str, Model],
    result: StepResult,
) -> None:
    """Score all rounds in one call of the model, then judge them one after the other."""
    each = state.classes[index]
    scored = score(joined(Windows, rounds), models.get(each.spec.model_hash))
    moment = alert.Moment(each.keys, now)
    start = 0
    for cut in rounds:
        part = slice(start, start + len(cut.stream))
        start = part.stop
        state.outcomes[Outcome.IN_ROW] += int(cut.count.sum())
        _threshold(each, scored, part)
        row = Scores(*(getattr(scored, f.name)[part] for f in fields(Scores)))
        result.events.extend(alert.judge(each.alert, each.spec.alert, row, moment))
        there = np.flatnonzero(~np.isnan(row.score))
        stream, config = row.stream[there], each.spec.threshold
        frozen = alert.frozen(each.alert, stream)
        threshold.learn(each.threshold, config, stream, row.tick[there], row.score[there], frozen=frozen)
    state.rows += np.bincount(scored.status, minlength=len(Status))
    spec, streams = each.spec, [each.keys[number] for number in scored.stream]
    time = scored.tick * spec.align.period_ms
    result.scores.append(StoredScores(0, spec.name, spec.model, spec.route.sensors, streams, time, scored))


def _threshold(each: ClassState, scored: Scores, part: slice) -> None:
    """Write down what the rows of one round are judged by; rows that re-learn say so."""
    status = scored.status[part]  # a view
    judged = np.flatnonzero(status == Status.SCORED)
    by = threshold.current(each.threshold, each.spec.threshold, scored.stream[part][judged])
    scored.threshold[part][judged] = by
    status[judged[np.isnan(by)]] = Status.LEARNING


def _obey(state: LineState, asked: Command, now: int, result: StepResult) -> tuple[bool, str]:
    """Carry out a command, once; says whether it changed something, and what happened."""
    if asked.id in state.obeyed:
        return True, f"command {asked.id} was carried out before"
    state.obeyed = [*state.obeyed[1 - REMEMBERED_COMMANDS :], asked.id]
    if asked.action in {"comment", "verdict"}:
        event = alert.words(asked, alert.Moment([], now, asked.id))
        result.events.append(event)
        return True, f"{event.incident_id} {event.transition}"
    if asked.action == "accept" and not any(asked.asset in each.number for each in state.classes):
        return False, f"nothing to accept: {asked.asset} is not an asset that has been heard"
    done = []
    for each in state.classes:
        done += alert.command(each.alert, asked, each.latest(), alert.Moment(each.keys, now, asked.id))
        if asked.action == "accept" and asked.asset in each.number:
            alert.settle(each.alert, each.number[asked.asset])  # also what is pending, which freezes learning
            threshold.relearn(each.threshold, each.spec.threshold, each.number[asked.asset])
    result.events.extend(done)
    said = [f"{event.incident_id} {event.transition}" for event in done]
    if asked.action == "accept":
        said.append(f"{asked.asset} learns anew what is normal")
    if said:
        return True, ", ".join(said)
    more = ", or it is acknowledged already" if asked.action == "acknowledge" else ""
    about = asked.incident or asked.asset
    return False, f"nothing to {asked.action}: {about} is not an open incident, nor an asset with one{more}"


def _change(state: LineState, change: Change, now: int, models: Mapping[str, Model], result: StepResult) -> None:
    if change.line is not None:
        _reconfigure(state, LineSpec.decode(change.line), now, models, result)
    if change.listening is not None:
        state.listening_since = now if change.listening else None


def _reconfigure(
    state: LineState, spec: LineSpec, now: int, models: Mapping[str, Model], result: StepResult
) -> None:
    """Go on under another description: streams, thresholds, incidents stay; windows where they mean the same."""
    old = {each.spec.name: (index, each) for index, each in enumerate(state.classes)}
    new = {each.name: each for each in spec.classes}
    for name, (index, each) in old.items():
        if name not in new or not new[name].keeps_windows_of(each.spec):
            _flush(state, index, now, models, result)
        if name not in new:
            moment = alert.Moment(each.keys, now)
            result.events.extend(alert.drop(each.alert, each.latest(), moment))
    state.classes = [
        _carried(old[each.name][1], each) if each.name in old else ClassState.empty(each) for each in spec.classes
    ]
    state.spec, state.decoder = spec, _decoder(spec)


def _carried(each: ClassState, spec: ClassSpec) -> ClassState:
    """The state of a class under its new description."""
    fresh = ClassState.empty(spec, len(each.align.next_tick))
    fresh.keys, fresh.number = each.keys, each.number
    fresh.threshold, fresh.alert = each.threshold, each.alert
    if spec.keeps_windows_of(each.spec):
        fresh.align, fresh.window = each.align, each.window
        return fresh
    # When they were last heard still says whether they are silent, and a closed tick never reopens.
    for name in ("last_arrival", "newest", "ahead"):
        setattr(fresh.align, name, getattr(each.align, name))
    old, new = each.spec.align.period_ms, spec.align.period_ms
    fresh.align.next_tick = align.regrid(each.align.next_tick, old, new)
    fresh.threshold.last_tick = align.regrid(fresh.threshold.last_tick, old, new)
    fresh.alert.pending_tick = align.regrid(fresh.alert.pending_tick, old, new)
    fresh.alert.below_tick = align.regrid(fresh.alert.below_tick, old, new)
    return fresh


def _flush(state: LineState, index: int, now: int, models: Mapping[str, Model], result: StepResult) -> None:
    """Give every value that still waits its row, because what it waits in ends here."""
    each = state.classes[index]
    closed = align.tick_over(each.align, each.spec.align, int(align.NEVER), int(align.NONE))
    _judge(state, index, closed, now, models, result)
    cut = window.flush(each.window, each.spec.window, each.align.last_frame)
    if len(cut.stream):
        _score_rounds(state, index, [cut], now, models, result)


def _decoder(spec: LineSpec) -> Decoder:
    return Decoder([each.route for each in spec.classes], root=spec.root)


Columns = TypeVar("Columns")


def joined(kind: type[Columns], parts: list[Columns]) -> Columns:
    """One batch or state of all rows of several."""
    if len(parts) == 1:
        return parts[0]
    return kind(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(kind)))  # type: ignore[arg-type]  # every kind is a dataclass of arrays
