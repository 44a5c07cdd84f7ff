"""What it means for incidents that rows of an asset are not scored. Pure.

Where scoring is not wanted (a regime such as "off"), what is pending ends, because it told of a run that is over;
an open anomaly stays open, because a machine that stands is not a machine that was mended, and the time that it
must be well before it clears begins anew with the next run.

Where scoring is wanted and does not come about, the asset is blind: readings arrive, and nothing is scored for so
long that somebody must know. Silence is not blindness (it has an incident of its own), nor is a goodbye, a regime
that is not scored, a class without a model, or maintenance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from monitor.alert import ANOMALY, BLIND, NORMAL, PENDING, turn
from monitor.alert import NEVER as NO_TICK
from monitor.incident import clock
from monitor.records import Status

if TYPE_CHECKING:
    from monitor.alert import AlertConfig, AlertState
    from monitor.incident import Moment
    from monitor.records import AlertEvent, Bool, Int32, Int64, UInt8

NEVER = NO_TICK
NO_ROW = np.uint8(255)
# Scoring is wanted and does not come about. Every other status is a score, or a reason that somebody has given.
REASONS = {
    Status.WARMING_UP: "its window does not fill",
    Status.GAP: "silences keep emptying its window",
    Status.TOO_FEW_SENSORS: "too few sensors report for window.min_coverage",
}
FINE = ~np.isin(np.arange(len(Status)), tuple(REASONS))  # by status
NO_TICK_CLOSES = "its readings are refused, too late or from the future"


@dataclass(slots=True)
class UnscoredState:
    """S streams."""

    fine_at: (
        Int64  # (S,) arrival time at which it was last scored, or had a reason not to be; NEVER = not heard yet
    )
    status: UInt8  # (S,) of the last row, NO_ROW = there was none since then

    @classmethod
    def empty(cls, streams: int) -> UnscoredState:
        """The state of streams that have not been heard yet."""
        return cls(np.full(streams, NEVER), np.full(streams, NO_ROW))


def pause(state: AlertState, stream: Int32) -> None:
    """These streams are in a regime that is not scored, where nothing is pending; changes `state`."""
    if len(stream):
        pending = stream[state.phase[stream, ANOMALY] == PENDING]
        state.phase[pending, ANOMALY] = NORMAL
        state.above[stream] = 0
        state.below_tick[stream] = NO_TICK


def see(state: UnscoredState, stream: Int32, status: UInt8, now: int) -> None:
    """Take in at most one row per stream; changes `state`."""
    state.fine_at[stream[FINE.take(status)]] = now
    state.status[stream] = status


def watch(
    state: UnscoredState,
    incidents: AlertState,
    config: AlertConfig,
    last_arrival: Int64,
    newest: Int64,
    moment: Moment,
    *,
    listening: bool,
    has_model: bool,
    held: Bool | None = None,
) -> list[AlertEvent]:
    """Look for blindness; changes `state` and `incidents`. Returns what fired and what cleared.

    `last_arrival` (S,) is when each stream was last heard, `newest` (S,) its newest event time. Of
    streams that are `held` (S,), under maintenance, neither fires nor clears.
    """
    known = last_arrival != NEVER
    firing = incidents.phase[:, BLIND] != NORMAL
    heard = known & (moment.now - last_arrival <= config.stale_after_ms) & ~incidents.gone & ~incidents.offline
    heard &= listening
    # What is blind already stays so through a silence; a silence is no blindness by itself.
    excused = known & (incidents.offline | (not has_model) | (~heard & ~firing) | (state.fine_at == NEVER))
    if held is not None:
        excused |= held & ~firing
    state.fine_at[excused] = moment.now
    state.status[excused & ~heard] = NO_ROW

    long = moment.now - state.fine_at > config.blind_after_ms
    fires = heard & ~firing & long if config.blind_after_ms else np.zeros_like(heard)
    ends = firing & ~long & known
    if held is not None:
        ends &= ~held
    events = []
    for stream in np.flatnonzero(fires).tolist():
        began, status = int(state.fine_at[stream]), int(state.status[stream])
        why = REASONS[Status(status)] if status in set(REASONS) else NO_TICK_CLOSES
        text = f"readings arrive, but nothing is scored since {clock(began)}: {why}"
        events.append(turn(incidents, config, stream, BLIND, began, text, int(newest[stream]), moment))
    for stream in np.flatnonzero(ends).tolist():
        text = "said goodbye" if incidents.offline[stream] else _seen(int(state.status[stream]))
        events.append(turn(incidents, config, stream, BLIND, None, text, int(newest[stream]), moment))
    return events


def _seen(status: int) -> str:
    """Why an asset is no longer blind."""
    scored = status in {Status.SCORED, Status.RELEARNING}
    return "scored again" if scored else "scoring is not wanted now"
