"""The life of an incident: normal, pending, firing, acknowledged, cleared; shelved beside it.

Pure: time comes with the scores (ticks) and as `now`. Every stream has one point for its anomaly and one for its
silence; a point has at most one incident at a time. k of the last n scored rows above the threshold make an
anomaly pending, `on_delay_ticks` of that make it fire; `off_delay_ticks` of scores below the threshold less the
deadband clear it. Rows without a score neither raise nor clear. Silence leaves an open anomaly as it is.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

from monitor.records import AlertEvent, SensorFinding, Status, Transition

if TYPE_CHECKING:
    import numpy.typing as npt

    from monitor.records import Bool, Command, Int32, Int64, Scores, UInt8

ANOMALY, STALE = 0, 1  # the points of a stream
KINDS = ("anomaly", "stale")
NEVER = np.int64(-(2**62))
TOP_SENSORS = 3


class Phase(IntEnum):
    """Where a point stands."""

    NORMAL = 0
    PENDING = 1
    FIRING = 2
    ACKNOWLEDGED = 3


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


@dataclass(slots=True)
class AlertState:
    """S streams with P points each."""

    phase: UInt8  # (S, P) a `Phase`
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
    def empty(cls, streams: int) -> AlertState:
        """The state of streams that have not been heard yet."""
        points = (streams, len(KINDS))
        return cls(
            phase=np.zeros(points, np.uint8),
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


@dataclass(frozen=True, slots=True)
class Moment:
    """What the events of one record have in common."""

    keys: list[str]  # stream keys by stream number
    now: int
    cause: str = ""  # the id of the command that brings an event about


def incident_id(stream: str, kind: str, sensor: str, started: int) -> str:
    """The name of an incident: the same wherever and whenever its readings are processed."""
    return hashlib.sha256(f"{stream}\n{kind}\n{sensor}\n{started}".encode()).hexdigest()[:16]


def frozen(state: AlertState, stream: Int32) -> Bool:
    """Whether these streams' thresholds must not learn: from pending until cleared, for the model's incidents."""
    held: Bool = state.phase[stream, ANOMALY] != Phase.NORMAL
    return held


def judge(state: AlertState, config: AlertConfig, scores: Scores, moment: Moment) -> list[AlertEvent]:
    """Take in at most one score row per stream; changes `state`. Returns what fired and what cleared."""
    rows = np.flatnonzero((scores.status == Status.SCORED) & ~np.isnan(scores.threshold))
    stream, tick = scores.stream[rows], scores.tick[rows]
    score, threshold = scores.score[rows], scores.threshold[rows]

    window = np.uint64(2**config.n - 1)
    state.above[stream] = ((state.above[stream] << np.uint64(1)) | (score > threshold)) & window
    active = np.bitwise_count(state.above[stream]) >= config.k
    phase = state.phase[stream, ANOMALY]

    begins = active & (phase == Phase.NORMAL)
    state.pending_tick[stream[begins]] = tick[begins]
    state.started[stream[begins], ANOMALY] = tick[begins] * config.period_ms
    phase[begins] = Phase.PENDING
    phase[~active & (phase == Phase.PENDING)] = Phase.NORMAL
    fires = (phase == Phase.PENDING) & (tick - state.pending_tick[stream] >= config.on_delay_ticks)
    phase[fires] = Phase.FIRING

    is_open = (phase == Phase.FIRING) | (phase == Phase.ACKNOWLEDGED)
    below = score < threshold * (1 - config.deadband)
    since = np.where(state.below_tick[stream] == NEVER, tick, state.below_tick[stream])
    state.below_tick[stream] = np.where(is_open & below, since, NEVER)
    clears = is_open & below & (tick - since >= config.off_delay_ticks)
    phase[clears] = Phase.NORMAL
    state.below_tick[stream[clears]] = NEVER
    state.above[stream[clears]] = 0
    state.phase[stream, ANOMALY] = phase
    return [
        _anomaly_event(state, config, scores, int(rows[i]), fired=bool(fires[i]), moment=moment)
        for i in np.flatnonzero(fires | clears)
    ]


def hear(state: AlertState, stream: Int32, arrival: Int64) -> None:
    """These streams were heard: a goodbye or a last will before that is over; changes `state`."""
    back = stream[(state.gone | state.offline)[stream]]
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
) -> list[AlertEvent]:
    """Look for silence and for shelving that has run out; changes `state`. Returns what fired and what cleared.

    `last_arrival` (S,) is when each stream was last heard, `newest` (S,) its newest event time. While the broker
    cannot be heard (`listening_since` is None) silence is nobody's fault, and nothing new fires for it.
    """
    events = _unshelve(state, moment)

    silent = state.gone.copy()
    if listening_since is not None:
        silent |= moment.now - np.maximum(last_arrival, listening_since) > config.stale_after_ms
    silent &= (last_arrival != NEVER) & ~state.offline
    firing = state.phase[:, STALE] != Phase.NORMAL
    # Only what was really heard ends a silence: a broker that can be heard again has not said anything yet.
    heard = (moment.now - last_arrival <= config.stale_after_ms) & ~state.gone
    ends = firing & (heard | state.offline)
    for stream in np.flatnonzero(silent & ~firing):
        state.phase[stream, STALE] = Phase.FIRING
        state.started[stream, STALE] = newest[stream]
        why = "its last will arrived" if state.gone[stream] else "nothing arrives"
        text = f"silent since {_clock(int(last_arrival[stream]))}: {why}"
        events.append(_event(state, int(stream), STALE, Transition.FIRED, text, int(newest[stream]), moment))
    for stream in np.flatnonzero(ends):
        state.phase[stream, STALE] = Phase.NORMAL
        text = "said goodbye" if state.offline[stream] else "heard again"
        events.append(_event(state, int(stream), STALE, Transition.CLEARED, text, int(newest[stream]), moment))
    return events


def drop(state: AlertState, newest: Int64, moment: Moment) -> list[AlertEvent]:
    """Clear every open incident, because these streams are no longer watched; changes `state`."""
    events = [
        _event(state, stream, point, Transition.CLEARED, "no longer watched", int(newest[stream]), moment)
        for stream, point in np.argwhere(state.phase >= Phase.FIRING).tolist()
    ]
    state.phase[:] = Phase.NORMAL
    return events


def command(state: AlertState, asked: Command, newest: Int64, moment: Moment) -> list[AlertEvent]:
    """Do what an operator asks for an open incident, or for all of an asset's; changes `state`."""
    events = []
    for stream, point in np.argwhere(state.phase[: len(moment.keys)] >= Phase.FIRING).tolist():
        name = incident_id(moment.keys[stream], KINDS[point], "", int(state.started[stream, point]))
        # The asset of a named incident comes with the command, and its other incidents are not meant.
        if asked.incident != name if asked.incident else asked.asset != moment.keys[stream]:
            continue
        done = _act(state, stream, point, asked)
        if done is not None:
            text = asked.why or f"{done} by {asked.who or 'somebody'}"
            event = _event(state, stream, point, done, text, int(newest[stream]), moment)
            events.append(replace(event, who=asked.who, why=asked.why, until=asked.until))
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


def _unshelve(state: AlertState, moment: Moment) -> list[AlertEvent]:
    over = (state.shelved_until != NEVER) & (state.shelved_until <= moment.now)  # (S, P)
    events = []
    for stream, point in np.argwhere(over):
        if state.phase[stream, point] >= Phase.FIRING:
            text = "shelving ran out"
            time = int(state.shelved_until[stream, point])
            events.append(_event(state, int(stream), int(point), Transition.UNSHELVED, text, time, moment))
    state.shelved_until[over] = NEVER
    return events


def _anomaly_event(
    state: AlertState, config: AlertConfig, scores: Scores, row: int, *, fired: bool, moment: Moment
) -> AlertEvent:
    top = _findings(config, scores, row)
    score, threshold = float(scores.score[row]), float(scores.threshold[row])
    words = ", ".join(_compared(finding) for finding in top)
    text = f"score {score:.3g} against {threshold:.3g}: {words}" if fired else f"score {score:.3g}: normal again"
    stream = int(scores.stream[row])
    if fired:
        state.critical[stream, ANOMALY] = score >= config.critical_ratio * threshold
    event = _event(
        state,
        stream,
        ANOMALY,
        Transition.FIRED if fired else Transition.CLEARED,
        text,
        int(scores.tick[row]) * config.period_ms,
        moment,
    )
    return replace(event, score=score, threshold=threshold, top=top)


def _compared(finding: SensorFinding) -> str:
    """One sensor in words."""
    unit = f" {finding.unit}" if finding.unit else ""
    return f"{finding.sensor} {finding.actual:.4g}{unit} (expected {finding.expected:.4g})"


def _findings(config: AlertConfig, scores: Scores, row: int) -> tuple[SensorFinding, ...]:
    """The sensors that contribute most to a score, and are there to be compared."""
    contribution = np.where(np.isnan(scores.actual[row]), np.nan, scores.contribution[row])
    ranked = np.argsort(-np.nan_to_num(contribution, nan=-1.0), kind="stable")[:TOP_SENSORS]
    return tuple(
        SensorFinding(
            config.sensors[c],
            config.units[c],
            float(scores.actual[row, c]),
            float(scores.expected[row, c]),
            float(contribution[c]),
        )
        for c in ranked
        if not np.isnan(contribution[c])
    )


def _event(
    state: AlertState, stream: int, point: int, transition: Transition, text: str, time: int, moment: Moment
) -> AlertEvent:
    """The event of one transition of an incident in the state."""
    key, kind = moment.keys[stream], KINDS[point]
    started, shelved = int(state.started[stream, point]), int(state.shelved_until[stream, point])
    name = incident_id(key, kind, "", started)
    return AlertEvent(
        event_id=_event_id(name, transition, moment),
        incident_id=name,
        stream=key,
        kind=kind,
        sensor="",
        transition=transition,
        severity="critical" if state.critical[stream, point] else "warning",
        started=started,
        time=time,
        recorded=moment.now,
        score=None,
        threshold=None,
        summary=text,
        until=None if shelved == NEVER else shelved,
    )


def words(asked: Command, moment: Moment) -> AlertEvent:
    """The event of a comment or a verdict, about an incident that may be long over."""
    transition = Transition.COMMENTED if asked.action == "comment" else Transition.VERDICT
    return AlertEvent(
        event_id=_event_id(asked.incident, transition, moment),
        incident_id=asked.incident,
        stream=asked.asset,
        kind=asked.kind,
        sensor="",
        transition=transition,
        severity="warning",
        started=asked.started,
        time=moment.now,
        recorded=moment.now,
        score=None,
        threshold=None,
        summary=asked.verdict or asked.why,
        who=asked.who,
        why=asked.why,
    )


def _event_id(incident: str, transition: Transition, moment: Moment) -> str:
    """The idempotency key of a transition: the same whenever the same record is processed."""
    text = f"{incident}\n{transition}\n{moment.now}\n{moment.cause}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _clock(time: int) -> str:
    return datetime.fromtimestamp(time / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
