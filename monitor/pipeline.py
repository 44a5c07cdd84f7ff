"""The line: `step(state, record)` takes one record of the journal through the pure stages in their order.

Pure: the record brings its time, the models are arguments, everything that leaves is in the result. The same
records from the same state give the same results, bit for bit, wherever they run. `state` is changed in place.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from models import lasting
from monitor import (
    alert,
    align,
    drift,
    handover,
    ledger,
    level,
    limits,
    moves,
    orders,
    rounds,
    threshold,
    unscored,
)
from monitor.decode import encode_telemetry
from monitor.incident import Moment, words
from monitor.records import (
    Batch,
    Change,
    Clock,
    Command,
    DeadLetter,
    Move,
    Outcome,
    Readings,
    StepResult,
)
from monitor.spec import LineSpec
from monitor.state import ClassState, LineState, decoder, together

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from monitor.decode import ClassReadings
    from monitor.moves import Flush
    from monitor.records import Bool, Message, Model, Record
    from monitor.spec import ClassSpec

SWEEP_MS = 200  # what time alone brings about is looked for this often, and not with every record
REMEMBERED_COMMANDS = 1_000  # a command that comes again is known by its id


def step(state: LineState, record: Record, models: Mapping[str, Model]) -> StepResult:
    """Take one record through the line; changes `state`.

    `models` holds the model of every class by its hash; a class whose model is not there is not scored.
    """
    result = StepResult([], [], [])
    orders.turn(state, record.time, result)
    match record.payload:
        case Batch(messages):
            _take_messages(state, messages, record.time, models, result)
        case Clock():
            pass
        case Command() as asked:
            done, reply = _obey(state, asked, record.time, models, result)
            return replace(result, done=done, reply=reply)
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
            rounds.judge(state, index, closed, now, models, result)
        heard, since = each.align.last_arrival, state.listening_since
        moment = Moment(each.keys, now)
        watched = alert.watch(each.alert, each.spec.alert, heard, each.latest(), since, moment, each.held)
        result.events.extend(watched)
        _keep_ledger(state, each, moment, result)


def _keep_ledger(state: LineState, each: ClassState, moment: Moment, result: StepResult) -> None:
    """Look for assets that are not scored, and write down for how long and why."""
    blind = unscored.watch(
        each.unscored,
        each.alert,
        each.spec.alert,
        each.align.last_arrival,
        each.latest(),
        moment,
        listening=state.listening_since is not None,
        has_model=bool(each.spec.model_hash),
        held=each.held,
    )
    result.events.extend(blind)
    names = each.names()
    silent = each.alert.phase[:, alert.STALE] != alert.Phase.NORMAL
    result.stretches.extend(ledger.quiet(each.ledger, names, silent, each.alert.offline, moment.now))
    result.stretches.extend(ledger.tell(each.ledger, names, moment.now))


def clock_suspect(state: LineState) -> bool:
    """Whether most streams of a class are ahead of the host's clock."""
    return any(align.clock_suspect(each.align) for each in state.classes)


def _take_messages(
    state: LineState, messages: list[Message], now: int, models: Mapping[str, Model], result: StepResult
) -> None:
    decoded = state.decoder.decode(messages, state.edge_nodes)
    result.requests.extend(decoded.requests)
    letters = decoded.dead_letters
    heard: list[tuple[ClassState, Readings]] = []
    # Before the broker can be heard, the clock closes nothing of what it still holds back.
    since = int(align.NEVER) if state.listening_since is None else state.listening_since
    for index, (each, found) in enumerate(zip(state.classes, decoded.readings, strict=True)):
        if not found.streams:
            continue
        readings = _number(state, each, found, letters, result)
        heard.append((each, readings))
        frames, quarantined = align.push(each.align, each.spec.align, readings, since, state.outcomes)
        result.dead_letters.extend(_quarantine_letters(each, readings, quarantined))
        rounds.judge(state, index, frames, now, models, result)
    for report in decoded.reports:
        each = state.classes[report.asset_class]
        stream = each.number.get(report.stream)
        if stream is not None:
            alert.report(each.alert, stream, report.arrival, online=report.online, goodbye=report.goodbye)
    for each, readings in heard:  # after the reports, because a reading may have come behind a goodbye
        alert.hear(each.alert, readings.stream, readings.arrival)
    state.outcomes[Outcome.IGNORED] += decoded.ignored
    state.outcomes[Outcome.DEAD_LETTER] += sum(letter.values for letter in letters)
    result.dead_letters.extend(letters)


def _number(
    state: LineState, each: ClassState, found: ClassReadings, letters: list[DeadLetter], result: StepResult
) -> Readings:
    """The readings with their streams by number; those for which there is no room become dead letters."""
    numbers = list(map(each.number.get, found.streams))
    if None not in numbers:
        return Readings(np.array(numbers, np.int32), found.time, found.arrival, found.values)
    room = state.spec.max_streams - state.streams()
    for row, key in enumerate(found.streams):
        number = each.number.get(key, -1)
        if number < 0 and room > 0:
            others = [other.spec.name for other in state.classes if key in other.number]
            result.moves.extend(Move(key, other, each.spec.name, both=True) for other in others)
            number, room = each.register(key), room - 1
            if key in state.plans:  # it was known in another class
                state.turn_at = 0
        elif number < 0:
            values = int(np.count_nonzero(~np.isnan(found.values[row])))
            reason = f"more assets than daemon.max_streams ({state.spec.max_streams})"
            letters.append(DeadLetter(int(found.arrival[row]), key, b"", reason, values))
        numbers[row] = number
    stream = np.array(numbers, np.int32)
    known = stream >= 0
    return Readings(stream[known], found.time[known], found.arrival[known], found.values[known])


def _quarantine_letters(each: ClassState, readings: Readings, quarantined: Bool) -> Iterator[DeadLetter]:
    """What was quarantined, to be looked at; in the books it has an outcome of its own."""
    for row in quarantined.nonzero()[0]:
        time, arrival = int(readings.time[row]), int(readings.arrival[row])
        values = dict(zip(each.spec.route.sensors, readings.values[row].tolist(), strict=True))
        payload = encode_telemetry(time=time, boot="", seq=0, values=values)
        reason = f"quarantined: its time lies {(time - arrival) / 1000:.1f} s in the future"
        yield DeadLetter(arrival, each.keys[readings.stream[row]], payload, reason, 0)


def _obey(
    state: LineState, asked: Command, now: int, models: Mapping[str, Model], result: StepResult
) -> tuple[bool, str]:
    """Carry out a command, once; says whether it changed something, and what happened."""
    if asked.id in state.obeyed:
        return True, f"command {asked.id} was carried out before"
    state.obeyed = [*state.obeyed[1 - REMEMBERED_COMMANDS :], asked.id]
    if asked.action in orders.ACTIONS:
        return orders.obey(state, asked, now, result, _flusher(now, models, result))
    if asked.action in {"comment", "verdict"}:
        event = words(asked, Moment([], now, asked.id))
        result.events.append(event)
        return True, f"{event.incident_id} {event.transition}"
    if asked.action == "accept" and not any(asked.asset in each.number for each in state.classes):
        return False, f"nothing to accept: {asked.asset} is not an asset that has been heard"
    done = []
    for each in state.classes:
        done += alert.command(each.alert, each.spec.alert, asked, each.latest(), Moment(each.keys, now, asked.id))
        if asked.action == "accept" and asked.asset in each.number:
            alert.settle(each.alert, each.number[asked.asset])  # also what is pending, which freezes learning
            threshold.relearn(each.threshold, each.spec.threshold, each.number[asked.asset])
            limits.relearn(each.limits, each.number[asked.asset])
            level.forget(each.level, each.number[asked.asset])
            lasting.forget(each.lasting, each.number[asked.asset])
            drift.forget(each.drift, each.number[asked.asset])
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
        for each in state.classes:
            align.arrived_by(each.align, now)


def _reconfigure(
    state: LineState, spec: LineSpec, now: int, models: Mapping[str, Model], result: StepResult
) -> None:
    """Go on under another description: streams, incidents stay; what means the same is kept."""
    flush = _flusher(now, models, result)
    parts: dict[str, list[ClassState]] = {}
    for each, new in moves.let_go(state, spec, now, result, flush):
        if not new.carries_windows_of(each.spec):
            flush(LineState(state.spec, state.decoder, [each], state.outcomes, state.rows), 0)
        result.stretches.extend(ledger.cut(each.ledger, each.names()))
        moment = Moment(each.keys, now)
        if not new.keeps_sensor_faults_of(each.spec):
            dropped = handover.drop(each.alert, each.spec.alert, each.latest(), moment, sensors_only=True)
            result.events.extend(dropped)
        if new.model_hash != each.spec.model_hash:
            over = _handed_over(each.spec, new)
            result.events.extend(handover.rejudge(each.alert, each.spec.alert, each.latest(), moment, over))
        parts.setdefault(new.name, []).append(each.under(new))
    state.classes = [
        together(parts[new.name]) if new.name in parts else ClassState.empty(new) for new in spec.classes
    ]
    state.spec, state.decoder = spec, decoder(spec)
    state.turn_at = 0
    orders.turn(state, now, result)


def _handed_over(old: ClassSpec, new: ClassSpec) -> str:
    """Why open incidents end where a model takes the limits' place, or they its place; else empty."""
    if old.model_hash and new.model_hash:
        return ""
    return f"from here on the model {new.model} judges" if new.model_hash else f"the model {old.model} is gone"


def _flusher(now: int, models: Mapping[str, Model], result: StepResult) -> Flush:
    return lambda state, index: rounds.flush(state, index, now, models, result)
