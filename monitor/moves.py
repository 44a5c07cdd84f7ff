"""Assets that leave their class: an operator forgets them, or other settings give them to another one. Pure."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from monitor import handover, ledger
from monitor.incident import Moment
from monitor.records import Move
from monitor.state import STAGES, ClassState, LineState, joined

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from monitor.records import AlertEvent, StepResult
    from monitor.spec import ClassSpec, LineSpec

    Flush = Callable[[LineState, int], None]  # gives every value that still waits in a class its row


def let_go(
    state: LineState, spec: LineSpec, now: int, result: StepResult, flush: Flush
) -> list[tuple[ClassState, ClassSpec]]:
    """Take out of every class what another description gives to another one, or to none.

    What waits gets its row, incidents end with the reason, and windows and thresholds begin anew where the asset
    is heard next. Returns what goes on, each part with the class that it goes on in: every class that is still
    there, and what went from a class to its override, or back.
    """
    new = {each.name: each for each in spec.classes}
    goes_on: list[tuple[ClassState, ClassSpec]] = []
    for each in state.classes:
        away: dict[str, list[str]] = {}  # the class where they belong, empty for none -> assets
        for key in each.keys:
            home = spec.home(each.spec, key)
            name = home.name if home else ""
            if name != each.spec.name:
                away.setdefault(name, []).append(key)
        for name, keys in away.items():
            numbers, moment = [each.number[key] for key in keys], Moment(each.keys, now)
            kept = bool(name) and new[name].family == each.spec.family
            moves = [Move(key, each.spec.name, name, kept=kept) for key in keys]
            result.moves.extend(moves)
            if kept:
                goes_on.append((alone(each, numbers), new[name]))
                _remove(each, numbers)
            else:
                ended = take_out(state, each, numbers, moment, result, flush)
                said = {move.asset: _words(move, gone=each.spec.name not in new) for move in moves}
                result.events.extend(replace(event, summary=said[event.stream]) for event in ended)
        if each.spec.name in new:
            goes_on.append((each, new[each.spec.name]))
    return goes_on


def _words(move: Move, *, gone: bool) -> str:
    if not move.taken and gone:
        return "no longer watched"
    if not move.taken:
        return f"no longer watched: class {move.left} does not take it any more"
    return f"no longer watched in class {move.left}: it belongs to {move.taken}"


def take_out(
    state: LineState, each: ClassState, numbers: Sequence[int], moment: Moment, result: StepResult, flush: Flush
) -> list[AlertEvent]:
    """Give what waits of these streams its row, end their incidents, and free their places."""
    apart = alone(each, numbers)
    # The books are the line's own: what is flushed here is counted there.
    flush(LineState(state.spec, state.decoder, [apart], state.outcomes, state.rows), 0)
    ended = handover.drop(apart.alert, each.spec.alert, apart.latest(), replace(moment, keys=apart.keys))
    result.stretches.extend(ledger.cut(apart.ledger, apart.names()))
    _remove(each, numbers)
    return ended


def alone(each: ClassState, numbers: Sequence[int]) -> ClassState:
    """A class of some of its streams alone."""
    rows = np.array(numbers, np.int64)
    taken: dict[str, Any] = {}
    for stage in STAGES:
        part = getattr(each, stage)
        taken[stage] = type(part)(*(getattr(part, f.name)[rows] for f in fields(part)))
    keys = [each.keys[number] for number in numbers]
    held = None if each.held is None else each.held[rows]
    return ClassState(each.spec, **taken, keys=keys, number={key: row for row, key in enumerate(keys)}, held=held)


def _remove(each: ClassState, numbers: Sequence[int]) -> None:
    """Take streams out; those behind them move up, and the room stays as large as it was."""
    fresh = ClassState.empty(each.spec, len(numbers))
    for stage in STAGES:
        part = getattr(each, stage)
        left = type(part)(*(np.delete(getattr(part, f.name), numbers, axis=0) for f in fields(part)))
        setattr(each, stage, joined(type(part), [left, getattr(fresh, stage)]))
    if each.held is not None:
        each.held = np.concatenate([np.delete(each.held, numbers), np.zeros(len(numbers), np.bool_)])
    gone = set(numbers)
    each.keys = [key for number, key in enumerate(each.keys) if number not in gone]
    each.number = {key: index for index, key in enumerate(each.keys)}
