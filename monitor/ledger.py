"""The coverage ledger: for how long each asset was scored, and why not for the rest.

Pure. A stretch is a time in which one status held without a break; stretches of a stream follow each other without
a hole. Rows say what their ticks were. Where no row comes because nothing arrives, that is a stretch of its own
with the reason; it grows while the silence lasts, and when it turns out that readings of that time were only on
their way, they take its place. Times are event times; silence is measured by arrival.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from monitor.records import Status, Stretches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.records import Bool, Int32, Int64, Scores, UInt8

NEVER = np.int64(-(2**62))
TELL_MS = 10_000  # a stretch that goes on is told this often
# What a stretch can be besides a status of rows.
MAINTENANCE, NO_READINGS, OFFLINE, CUT = np.uint8(252), np.uint8(253), np.uint8(254), np.uint8(255)
NAMES = {int(status): status.name.lower() for status in Status} | {
    int(MAINTENANCE): "maintenance",  # rows are scored, and nothing comes of it
    int(NO_READINGS): "no_readings",
    int(OFFLINE): "offline",  # it said goodbye
}
REGIME = int(Status.REGIME)
REASONLESS = np.uint8(0)  # the regime of a stretch whose status is not that of a regime


@dataclass(slots=True)
class LedgerState:
    """S streams: the stretch that each is in."""

    status: UInt8  # (S,) a `Status`, MAINTENANCE, NO_READINGS or OFFLINE; CUT = the next row begins a new stretch
    regime: UInt8  # (S,) of status REGIME which one
    start: Int64  # (S,) event time
    end: Int64  # (S,) where it has got to; NEVER = no row yet
    told: Int64  # (S,) where it had got to when it was told last
    ticks: Int64  # (S, statuses) how many ticks rows have covered, by their status
    told_at: Int64  # (S,) when the stretches that go on were told last

    @classmethod
    def empty(cls, streams: int) -> LedgerState:
        """The state of streams that have made no row yet."""
        return cls(
            status=np.full(streams, CUT),
            regime=np.zeros(streams, np.uint8),
            start=np.full(streams, NEVER),
            end=np.full(streams, NEVER),
            told=np.full(streams, NEVER),
            ticks=np.zeros((streams, len(Status)), np.int64),
            told_at=np.full(streams, NEVER),
        )


@dataclass(frozen=True, slots=True)
class Names:
    """What the numbers in the state mean."""

    keys: Sequence[str]  # stream keys by stream number
    regimes: Sequence[str]


def rows(
    state: LedgerState, names: Names, scores: Scores, ticks: Int32, period_ms: int, held: Bool | None = None
) -> list[Stretches]:
    """Take in at most one row per stream and how many ticks (B,) it covers; changes `state`.

    Those that are `held` (B,) are under maintenance. Returns the stretches that have ended.
    """
    stream, status = scores.stream, scores.status
    state.ticks[stream, status] += ticks
    if held is not None and np.count_nonzero(held):
        status = np.where(held, MAINTENANCE, status)
    regime = scores.regime * (status == REGIME)  # else REASONLESS
    begins, ends = (scores.tick - ticks + 1) * period_ms, (scores.tick + 1) * period_ms  # (B,)
    before, end = state.status.take(stream), state.end.take(stream)
    quiet = _is_quiet(before)
    # Up to where rows have come: where a silence began, as far as one goes on, else the stretch's end.
    known = np.where(quiet, state.start.take(stream), end)
    begins = np.where(end == NEVER, begins, np.maximum(begins, known))
    ended = []

    # A silence that reached further than these readings say was none from where they begin.
    if np.count_nonzero(quiet):
        state.end[stream[quiet]] = begins[quiet]
    hole = ~quiet & (begins > end) & (end != NEVER)
    if np.count_nonzero(hole):
        which = stream[hole]
        ended += _close(state, names, which)
        _begin(state, which, np.full(len(which), NO_READINGS), np.zeros(len(which), np.uint8), end[hole])
        state.end[which] = begins[hole]
        before = state.status.take(stream)

    other = (status != before) | (regime != state.regime.take(stream))
    if np.count_nonzero(other):
        which = stream[other]
        ended += _close(state, names, which)
        _begin(state, which, status[other], regime[other], begins[other])
    state.end[stream] = np.maximum(ends, begins)
    return ended


def quiet(state: LedgerState, names: Names, silent: Bool, offline: Bool, now: int) -> list[Stretches]:
    """Let the time go on in streams (S,) from which nothing comes, with the reason; changes `state`.

    Returns the stretches that have ended.
    """
    known = state.end != NEVER
    why = np.where(offline, OFFLINE, np.where(silent, NO_READINGS, CUT)).astype(np.uint8)  # (S,)
    new = np.flatnonzero(known & (why != CUT) & (why != state.status) & (now > state.end)).astype(np.int32)
    ended: list[Stretches] = []
    if len(new):
        ended = _close(state, names, new)
        _begin(state, new, why[new], np.zeros(len(new), np.uint8), state.end[new])
    goes_on = known & (why != CUT) & (why == state.status)
    state.end[goes_on] = np.maximum(state.end[goes_on], now)
    return ended


def tell(state: LedgerState, names: Names, now: int) -> list[Stretches]:
    """The stretches that go on, every so often; changes `state`."""
    due = (state.told_at > now) | (now - state.told_at >= TELL_MS)
    due &= (state.end > state.told) & (state.status != CUT)
    state.told_at[due] = now
    return _told(state, names, np.flatnonzero(due).astype(np.int32))


def cut(state: LedgerState, names: Names, stream: int | None = None) -> list[Stretches]:
    """Tell all stretches, or that of a stream, and end them, because what the numbers mean changes.

    Changes `state`.
    """
    known = (state.end != NEVER) & (state.status != CUT)
    if stream is not None:
        known &= np.arange(len(known)) == stream
    told = _told(state, names, np.flatnonzero(known).astype(np.int32))
    state.status[known] = CUT
    return told


def _is_quiet(status: UInt8) -> Bool:
    is_quiet: Bool = (status == NO_READINGS) | (status == OFFLINE)
    return is_quiet


def _begin(state: LedgerState, stream: Int32, status: UInt8, regime: UInt8, start: Int64) -> None:
    state.status[stream] = status
    state.regime[stream] = regime
    state.start[stream] = start
    state.told[stream] = start


def _close(state: LedgerState, names: Names, stream: Int32) -> list[Stretches]:
    """What these streams' stretches have come to; one that came to nothing is none."""
    there = (state.status[stream] != CUT) & (state.end[stream] > state.start[stream])
    return _told(state, names, stream[there])


def _told(state: LedgerState, names: Names, stream: Int32) -> list[Stretches]:
    if not len(stream):
        return []
    state.told[stream] = state.end[stream]
    status, regime = state.status[stream].tolist(), state.regime[stream].tolist()
    return [
        Stretches(
            streams=[names.keys[number] for number in stream],
            start=state.start[stream],
            end=state.end[stream],
            status=[NAMES[each] for each in status],
            regime=[
                names.regimes[which] if each == Status.REGIME else ""
                for each, which in zip(status, regime, strict=True)
            ],
        )
    ]
