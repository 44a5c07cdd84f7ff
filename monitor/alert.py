"""The life of an incident: normal, pending, firing, acknowledged, cleared; shelved beside it.

Pure: time comes with the scores (ticks) and as `now`. Every stream has one point for its anomaly, one for its
silence, one for its blindness (`unscored`), and one for each of its sensors; a point has at most one incident at a
time. k of the last n scored rows above the threshold make an anomaly pending, `on_delay_ticks` of that make it
fire; `off_delay_ticks` of scores below the threshold less the deadband clear it. Rows without a score neither
raise nor clear. When a sensor is faulty, and when it is good again, is for the sensor check to say. Silence leaves
all other incidents as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

from monitor import wording
from monitor.incident import clock, event_id, findings, in_regime, incident_id
from monitor.records import AlertEvent, Kind, Status, Transition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy.typing as npt

    from monitor.incident import Moment
    from monitor.records import Bool, Command, Int32, Int64, Scores, SensorChange, UInt8

ANOMALY, STALE, BLIND, SENSORS = 0, 1, 2, 3  # the points of a stream; from SENSORS on one for each sensor
KINDS = tuple(Kind)  # what the state numbers
NEVER = np.int64(-(2**62))
NOTHING = np.zeros(0, np.int64), np.zeros(0, np.bool_), np.zeros(0, np.bool_)


class Phase(IntEnum):
    """Where a point stands."""

    NORMAL = 0
    PENDING = 1
    FIRING = 2
    ACKNOWLEDGED = 3


# As numbers: a member of an enumeration takes several times longer to compare an array with.
NORMAL, PENDING, FIRING, ACKNOWLEDGED = map(int, Phase)
SCORED = int(Status.SCORED)


@dataclass(frozen=True, slots=True)
class AlertConfig:
    """The settings' section `alert` explains each value."""

    sensors: tuple[str, ...]  # C
    units: tuple[str, ...]
    period_ms: int
    k: int
    n: int
    on_delay_ticks: int
    off_delay_ticks: int
    deadband: float
    critical_ratio: float
    stale_after_ms: int
    blind_after_ms: int = 0  # 0 = not looked for
    regimes: tuple[str, ...] = ()  # (R,) the names of the regimes


@dataclass(slots=True)
class AlertState:
    """S streams with P points each."""

    phase: UInt8  # (S, P) a `Phase`
    kind: UInt8  # (S, P) the index in KINDS of what the incident is about
    started: Int64  # (S, P) event time at which the incident began
    shelved_until: Int64  # (S, P) NEVER = not shelved
    critical: Bool  # (S, P) the incident fired as critical, and stays so
    pending_tick: Int64  # (S,) anomaly: since when pending
    below_tick: Int64  # (S,) anomaly: since when below the threshold, NEVER = it is not
    above: npt.NDArray[np.uint64]  # (S,) the last n judged rows, newest lowest: 1 = above the threshold
    gone: Bool  # (S,) the broker told its last will
    offline: Bool  # (S,) it said goodbye
    said_at: Int64  # (S,) arrival of that word

    @classmethod
    def empty(cls, config: AlertConfig, streams: int) -> AlertState:
        """The state of streams that have not been heard yet."""
        points = (streams, SENSORS + len(config.sensors))
        kind = np.zeros(points, np.uint8)
        kind[:, STALE] = KINDS.index(Kind.STALE)
        kind[:, BLIND] = KINDS.index(Kind.BLIND)
        return cls(
            phase=np.zeros(points, np.uint8),
            kind=kind,
            started=np.full(points, NEVER),
            shelved_until=np.full(points, NEVER),
            critical=np.zeros(points, np.bool_),
            pending_tick=np.full(streams, NEVER),
            below_tick=np.full(streams, NEVER),
            above=np.zeros(streams, np.uint64),
            gone=np.zeros(streams, np.bool_),
            offline=np.zeros(streams, np.bool_),
            said_at=np.full(streams, NEVER),
        )


def frozen(state: AlertState, stream: Int32) -> Bool:
    """Whether these streams' thresholds must not learn: from pending until cleared, for the model's incidents."""
    held: Bool = state.phase[stream, ANOMALY] != NORMAL
    return held


def judge(
    state: AlertState,
    config: AlertConfig,
    scores: Scores,
    moment: Moment,
    beyond: Callable[[int], str] | None = None,
) -> list[AlertEvent]:
    """Take in at most one score row per stream; changes `state`. Returns what fired and what cleared.

    `beyond` says a row in words where it is not the model's but the limits', which watch in its place.
    """
    rows, fires, clears = advance(state, config, scores, Kind.ANOMALY if beyond is None else Kind.LIMIT)
    return [
        _anomaly_event(state, config, scores, int(rows[i]), fired=bool(fires[i]), moment=moment, beyond=beyond)
        for i in (fires | clears).nonzero()[0]
    ]


def advance(
    state: AlertState, config: AlertConfig, scores: Scores, kind: Kind = Kind.ANOMALY
) -> tuple[Int64, Bool, Bool]:
    """As `judge`, without words: the numbers (M,) of the judged rows, which of them fire (M,), which clear (M,).

    None are returned while all is well.
    """
    rows = ((scores.status == SCORED) & ~np.isnan(scores.threshold)).nonzero()[0]
    if not len(rows):
        return NOTHING
    stream, tick = scores.stream[rows], scores.tick[rows]
    score, threshold = scores.score[rows], scores.threshold[rows]

    window = np.uint64(2**config.n - 1)
    above = ((state.above.take(stream) << np.uint64(1)) | (score > threshold)) & window
    state.above[stream] = above
    active = np.bitwise_count(above) >= config.k
    phase = state.phase[stream, ANOMALY]
    if not (np.count_nonzero(active) or np.count_nonzero(phase)):  # all is well, as it mostly is
        state.below_tick[stream] = NEVER
        return NOTHING

    begins = active & (phase == NORMAL)
    state.pending_tick[stream[begins]] = tick[begins]
    state.started[stream[begins], ANOMALY] = tick[begins] * config.period_ms
    state.kind[stream[begins], ANOMALY] = KINDS.index(kind)
    phase[begins] = PENDING
    phase[~active & (phase == PENDING)] = NORMAL
    fires = (phase == PENDING) & (tick - state.pending_tick[stream] >= config.on_delay_ticks)
    phase[fires] = FIRING

    is_open = (phase == FIRING) | (phase == ACKNOWLEDGED)
    below = score < threshold * (1 - config.deadband)
    since = np.where(state.below_tick[stream] == NEVER, tick, state.below_tick[stream])
    state.below_tick[stream] = np.where(is_open & below, since, NEVER)
    clears = is_open & below & (tick - since >= config.off_delay_ticks)
    phase[clears] = NORMAL
    state.below_tick[stream[clears]] = NEVER
    state.above[stream[clears]] = 0
    state.phase[stream, ANOMALY] = phase
    return rows, fires, clears


def sensors(
    state: AlertState, config: AlertConfig, changes: Iterable[SensorChange], moment: Moment
) -> list[AlertEvent]:
    """Open and close the incidents of sensors; changes `state`. Severity is warning: the machine may be well."""
    events = []
    for each in changes:
        point = SENSORS + each.sensor
        if each.kind is not None:
            state.phase[each.stream, point] = Phase.FIRING
            state.kind[each.stream, point] = KINDS.index(each.kind)
            state.started[each.stream, point] = each.since * config.period_ms
            transition = Transition.FIRED
        else:
            state.phase[each.stream, point] = Phase.NORMAL
            transition = Transition.CLEARED
        time = each.tick * config.period_ms
        events.append(_event(state, config, each.stream, point, transition, each.summary, time, moment))
    return events


def hear(state: AlertState, stream: Int32, arrival: Int64) -> None:
    """These streams were heard: a goodbye or a last will before that is over; changes `state`."""
    back = stream[state.gone.take(stream) | state.offline.take(stream)]
    if len(back):
        latest = np.full(len(state.gone), NEVER)
        np.maximum.at(latest, stream, arrival)
        returned = back[latest[back] > state.said_at[back]]
        state.gone[returned] = False
        state.offline[returned] = False


def report(state: AlertState, stream: int, arrival: int, *, online: bool, goodbye: bool) -> None:
    """A stream's own word, or its last will; changes `state`."""
    state.offline[stream] = goodbye
    state.gone[stream] = not online and not goodbye
    state.said_at[stream] = arrival


def watch(
    state: AlertState,
    config: AlertConfig,
    last_arrival: Int64,
    newest: Int64,
    listening_since: int | None,
    moment: Moment,
    held: Bool | None = None,
) -> list[AlertEvent]:
    """Look for silence and for shelving that has run out; changes `state`. Returns what fired and what cleared.

    `last_arrival` (S,) is when each stream was last heard, `newest` (S,) its newest event time. While the broker
    cannot be heard (`listening_since` is None) silence is nobody's fault, and nothing new fires for it. Of streams
    that are `held` (S,), under maintenance, neither fires nor clears.
    """
    events = _unshelve(state, config, moment)

    silent = state.gone.copy()
    if listening_since is not None:
        silent |= moment.now - np.maximum(last_arrival, listening_since) > config.stale_after_ms
    silent &= (last_arrival != NEVER) & ~state.offline
    firing = state.phase[:, STALE] != NORMAL
    # Only what was really heard ends a silence: a broker that can be heard again has not said anything yet.
    heard = (moment.now - last_arrival <= config.stale_after_ms) & ~state.gone
    ends = firing & (heard | state.offline)
    if held is not None:
        silent &= ~held
        ends &= ~held
    for stream in (silent & ~firing).nonzero()[0]:
        state.phase[stream, STALE] = Phase.FIRING
        state.started[stream, STALE] = newest[stream]
        why = "its last will arrived" if state.gone[stream] else "nothing arrives"
        text = f"silent since {clock(int(last_arrival[stream]))}: {why}"
        events.append(
            _event(state, config, int(stream), STALE, Transition.FIRED, text, int(newest[stream]), moment)
        )
    for stream in ends.nonzero()[0]:
        state.phase[stream, STALE] = Phase.NORMAL
        text = "said goodbye" if state.offline[stream] else "heard again"
        events.append(
            _event(state, config, int(stream), STALE, Transition.CLEARED, text, int(newest[stream]), moment)
        )
    return events


def turn(
    state: AlertState,
    config: AlertConfig,
    stream: int,
    point: int,
    began: int | None,
    text: str,
    time: int,
    moment: Moment,
) -> AlertEvent:
    """Open the incident of one point, which began at an event time, or close it (None); changes `state`."""
    state.phase[stream, point] = Phase.NORMAL if began is None else Phase.FIRING
    if began is not None:
        state.started[stream, point] = began
    transition = Transition.CLEARED if began is None else Transition.FIRED
    return _event(state, config, stream, point, transition, text, time, moment)


def open_at_all(state: AlertState, stream: Int32) -> Bool:
    """Whether these streams (M,) have an incident of any kind, or an anomaly that is pending."""
    some: Bool = (state.phase[stream] != Phase.NORMAL).any(axis=1)
    return some


def command(
    state: AlertState, config: AlertConfig, asked: Command, newest: Int64, moment: Moment
) -> list[AlertEvent]:
    """Do what an operator asks for an open incident, or for all of an asset's; changes `state`."""
    events = []
    for stream, point in np.argwhere(state.phase[: len(moment.keys)] >= Phase.FIRING).tolist():
        name = _name(state, config, stream, point, moment)
        # The asset of a named incident comes with the command, and its other incidents are not meant.
        if asked.incident != name if asked.incident else asked.asset != moment.keys[stream]:
            continue
        done = _act(state, stream, point, asked)
        if done is not None:
            text = asked.why or f"{done} by {asked.who or 'somebody'}"
            event = _event(state, config, stream, point, done, text, int(newest[stream]), moment)
            # What is acknowledged while it is shelved stays so: its end is told with that, too.
            until = event.until if asked.until is None else asked.until
            events.append(replace(event, who=asked.who, why=asked.why, until=until))
    return events


def _act(state: AlertState, stream: int, point: int, asked: Command) -> Transition | None:
    """Change one open point; None where the action does not apply to it."""
    match asked.action:
        case "acknowledge" if state.phase[stream, point] == Phase.FIRING:
            state.phase[stream, point] = Phase.ACKNOWLEDGED
            return Transition.ACKNOWLEDGED
        case "shelve" if asked.until is not None:
            state.shelved_until[stream, point] = asked.until
            return Transition.SHELVED
        case "accept" if point == ANOMALY:
            settle(state, stream)
            return Transition.ACCEPTED
    return None


def settle(state: AlertState, stream: int) -> None:
    """What this stream does is normal: no anomaly of it is pending or open any more; changes `state`."""
    state.phase[stream, ANOMALY] = Phase.NORMAL
    state.above[stream] = 0
    state.below_tick[stream] = NEVER


def _unshelve(state: AlertState, config: AlertConfig, moment: Moment) -> list[AlertEvent]:
    over = (state.shelved_until != NEVER) & (state.shelved_until <= moment.now)  # (S, P)
    if not np.count_nonzero(over):
        return []
    events = []
    for stream, point in np.argwhere(over):
        if state.phase[stream, point] >= Phase.FIRING:
            text = "shelving ran out"
            time = int(state.shelved_until[stream, point])
            events.append(_event(state, config, int(stream), int(point), Transition.UNSHELVED, text, time, moment))
    state.shelved_until[over] = NEVER
    return events


def _anomaly_event(
    state: AlertState,
    config: AlertConfig,
    scores: Scores,
    row: int,
    *,
    fired: bool,
    moment: Moment,
    beyond: Callable[[int], str] | None = None,
) -> AlertEvent:
    top = findings(config.sensors, config.units, scores, row)
    score, threshold = float(scores.score[row]), float(scores.threshold[row])
    stream = int(scores.stream[row])
    lasted = int(scores.tick[row]) * config.period_ms - int(state.started[stream, ANOMALY])
    if beyond is not None:
        text = f"limits, no model yet: {beyond(row)}" if fired else "within the limits again"
    elif fired:
        regime, alone = in_regime(config.regimes, scores, row), len(config.sensors) == 1
        text = wording.anomaly(top, score, threshold, lasted_ms=lasted, regime=regime, alone=alone)
    else:
        text = wording.normal_again(score, threshold, lasted)
    if fired:
        state.critical[stream, ANOMALY] = score >= config.critical_ratio * threshold
    event = _event(
        state,
        config,
        stream,
        ANOMALY,
        Transition.FIRED if fired else Transition.CLEARED,
        text,
        int(scores.tick[row]) * config.period_ms,
        moment,
    )
    if beyond is not None:  # what has no model has no score
        return replace(event, top=tuple(finding for finding in top if finding.contribution > threshold))
    return replace(event, score=score, threshold=threshold, top=top)


def _event(
    state: AlertState,
    config: AlertConfig,
    stream: int,
    point: int,
    transition: Transition,
    text: str,
    time: int,
    moment: Moment,
) -> AlertEvent:
    """The event of one transition of an incident in the state."""
    name = _name(state, config, stream, point, moment)
    shelved = int(state.shelved_until[stream, point])
    return AlertEvent(
        event_id=event_id(name, transition, moment),
        incident_id=name,
        stream=moment.keys[stream],
        kind=KINDS[state.kind[stream, point]].value,
        sensor=_sensor(config, point),
        transition=transition,
        severity="critical" if state.critical[stream, point] else "warning",
        started=int(state.started[stream, point]),
        time=time,
        recorded=moment.now,
        score=None,
        threshold=None,
        summary=text,
        until=None if shelved == NEVER else shelved,
    )


def _name(state: AlertState, config: AlertConfig, stream: int, point: int, moment: Moment) -> str:
    """The id of the incident at a point."""
    kind = KINDS[state.kind[stream, point]]
    return incident_id(moment.keys[stream], kind, _sensor(config, point), int(state.started[stream, point]))


def _sensor(config: AlertConfig, point: int) -> str:
    """The sensor that a point is of, empty where it is of the whole asset."""
    return config.sensors[point - SENSORS] if point >= SENSORS else ""
