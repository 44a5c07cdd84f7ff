"""What operators order of assets: maintenance, forgetting, another name. Pure.

All of it comes as journalled commands and changes the line's state; what is told of incidents leaves as events.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from monitor import alert, handover, ledger, maintenance, moves
from monitor.incident import Moment, clock, event_id, incident_id
from monitor.records import SensorChange, Transition
from monitor.sensor_check import FAULTS, GOOD, began

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitor.moves import Flush
    from monitor.records import AlertEvent, Command, StepResult
    from monitor.state import ClassState, LineState

ACTIONS = ("maintenance", "maintained", "forget", "rename")


def obey(state: LineState, asked: Command, now: int, result: StepResult, flush: Flush) -> tuple[bool, str]:
    """Carry out one of ACTIONS; says whether it changed something, and what happened."""
    places = [(each, each.number[asked.asset]) for each in state.classes if asked.asset in each.number]
    if not places:
        return False, f"nothing to do: {asked.asset} is not an asset that has been heard"
    state.turn_at = 0
    match asked.action:
        case "maintenance":
            plan = maintenance.planned(state.plans, asked, now)
            if plan is None:
                until = clock(state.plans[asked.asset].until)
                return False, f"{asked.asset} is under maintenance until {until}: plan a later one when it is over"
            state.plans[asked.asset] = plan
            return True, f"{asked.asset} is under maintenance from {clock(plan.since)} until {clock(plan.until)}"
        case "maintained":
            return _end(state, asked, now)
        case "forget":
            for each, number in places:
                _forget(state, each, number, asked, now, result, flush)
            state.plans.pop(asked.asset, None)
            return True, f"{asked.asset} is forgotten; heard again, it begins anew"
        case _:
            return _rename(state, places, asked, now, result)


# -- maintenance ------------------------------------------------------------------------------------------------


def _end(state: LineState, asked: Command, now: int) -> tuple[bool, str]:
    """End it now; what has to be done at its end the next record does, as if its time had come."""
    plan = state.plans.get(asked.asset)
    if plan is None:
        return False, f"nothing to end: no maintenance of {asked.asset} is planned"
    plan.until = now
    return True, f"maintenance of {asked.asset} is over"


def turn(state: LineState, now: int, result: StepResult) -> None:
    """Begin and end what is due; changes `state`.

    At the beginning nothing is pending any more. At the end sensors that are still faulty fire, and those that are
    good again clear: the sensor check says each only once, and it may have said it meanwhile. What a model or a
    silence has to say comes again by itself.
    """
    if now < state.turn_at:
        return
    begins, ends = maintenance.turn(state.plans, now)
    state.turn_at = maintenance.next_turn(state.plans)
    for each in state.classes:
        each.held = maintenance.held(state.plans, each.number, len(each.align.next_tick))
        for asset in begins:
            stream = each.number.get(asset)
            if stream is not None and each.alert.phase[stream, alert.ANOMALY] == alert.Phase.PENDING:
                alert.settle(each.alert, stream)
        changes = [
            change for asset in ends if asset in each.number for change in _missed(each, each.number[asset])
        ]
        if changes:
            result.events.extend(alert.sensors(each.alert, each.spec.alert, changes, Moment(each.keys, now)))


def _missed(each: ClassState, stream: int) -> Iterator[SensorChange]:
    """What the sensor check found of a stream's sensors that their incidents do not say."""
    if each.spec.sensor_check is None:
        return
    tick = int(each.align.last_frame[stream])
    for sensor, name in enumerate(each.spec.sensor_check.sensors):
        fault = int(each.sensor_check.fault[stream, sensor])
        point = alert.SENSORS + sensor
        is_open = each.alert.phase[stream, point] >= alert.Phase.FIRING
        kind = None if fault == GOOD else FAULTS[fault]
        if is_open and kind is not alert.KINDS[each.alert.kind[stream, point]]:
            text = "good again" if kind is None else "no longer faulty in this way"
            yield SensorChange(stream, sensor, None, tick, tick, f"{name}: {text}, as maintenance ends")
            is_open = False
        if kind is not None and not is_open:
            since = min(max(began(each.sensor_check, stream, sensor), 0) or tick, tick)
            yield SensorChange(stream, sensor, kind, since, tick, f"{name} is faulty as maintenance ends")


# -- forgetting -------------------------------------------------------------------------------------------------


def _forget(
    state: LineState, each: ClassState, number: int, asked: Command, now: int, result: StepResult, flush: Flush
) -> None:
    """Let a stream go, with the operator's reason."""
    ended = moves.take_out(state, each, [number], Moment(each.keys, now, asked.id), result, flush)
    why = asked.why or "forgotten"
    result.events.extend(replace(event, summary=why, who=asked.who, why=asked.why) for event in ended)


# -- another name -----------------------------------------------------------------------------------------------


def _rename(
    state: LineState, places: list[tuple[ClassState, int]], asked: Command, now: int, result: StepResult
) -> tuple[bool, str]:
    """Go on under another name: windows, threshold and incidents stay."""
    old, new = asked.asset, asked.name
    if any(new in each.number for each in state.classes):
        return False, f"{new} has been heard already: forget it first (its windows and threshold go)"
    for each, _ in places:
        if state.spec.home(each.spec, new) is not each.spec:
            return False, f"class {each.spec.name} does not take {new}: see classes.assets"
    for each, number in places:
        result.events.extend(_moved(each, number, asked, now))
        result.stretches.extend(ledger.cut(each.ledger, each.names(), number))
        each.keys[number] = new
        each.number[new] = each.number.pop(old)
    if old in state.plans:
        state.plans[new] = state.plans.pop(old)
    return True, f"{old} is {new} from now on"


def _moved(each: ClassState, number: int, asked: Command, now: int) -> Iterator[AlertEvent]:
    """An incident's id holds its asset's name: the old one ends, and goes on under the id that is now its own."""
    alone = moves.alone(each, [number])
    phases = alone.alert.phase[alone.alert.phase >= alert.Phase.FIRING]
    moment = Moment(alone.keys, now, asked.id)
    ended = handover.drop(alone.alert, each.spec.alert, alone.latest(), moment)
    for event, phase in zip(ended, phases, strict=True):
        name = incident_id(asked.name, event.kind, event.sensor, event.started)
        event = replace(event, who=asked.who, why=asked.why)  # noqa: PLW2901 - the same one, with its author
        yield replace(event, summary=f"goes on as {name}: the asset is {asked.name} now")
        goes_on = [(Transition.FIRED, f"goes on from {event.incident_id}: the asset was {asked.asset}")]
        if phase == alert.Phase.ACKNOWLEDGED:
            goes_on.append((Transition.ACKNOWLEDGED, "was acknowledged under the old name"))
        if event.until is not None:
            goes_on.append((Transition.SHELVED, "was shelved under the old name"))
        for transition, words in goes_on:
            yield replace(
                event,
                event_id=event_id(name, transition, moment),
                incident_id=name,
                stream=asked.name,
                transition=transition,
                summary=words,
                until=event.until if transition is Transition.SHELVED else None,
            )
