"""Irregular, late, repeated readings to closed ticks on a fixed grid.

Pure: no clock; time comes with the readings and as `now`. Readings of one stream are taken strictly in the order
of their arrival, streams side by side: batch boundaries change nothing.

A cell is (stream, tick, sensor) with tick = time // period. A later time wins a cell; of equal times the first
does. A tick closes in order: when every sensor has reported (only with `one_reading_per_tick`); or when the
stream's newest time is `lateness` past the tick's end; or when `lateness` has passed by `now` since the tick's
first arrival and since the broker can be heard. An empty tick closes with the next tick after it that time
closes. A closed tick never reopens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from monitor.records import Frames, Outcome, Readings
from monitor.ticks import LATEST, LONG_AGO, NO_TICK, near

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from monitor.records import Bool, Float32, Int32, Int64

    Offsets = npt.NDArray[np.signedinteger]

# "No tick, no time yet" and "no tick in sight"; far enough from the edge that sums cannot wrap.
NONE = np.int64(-(2**62))
NEVER = np.int64(2**62)


@dataclass(frozen=True, slots=True)
class AlignConfig:
    """The grid of an asset class."""

    sensors: int  # C
    period_ms: int
    lateness_ms: int
    one_reading_per_tick: bool
    hold_ms: int
    max_ahead_ms: int
    repeat_ticks: int
    gap_ticks: int  # a longer silence is a gap: a window's length

    @property
    def open_ticks(self) -> int:
        """How many ticks can be open at once: those that lateness keeps open, and those ahead of arrival."""
        return -(-(self.lateness_ms + self.max_ahead_ms) // self.period_ms) + 2

    @property
    def slots(self) -> int:
        """K, the ticks that the ring holds: the open ones, and closed ones to know repeats by."""
        return self.open_ticks + self.repeat_ticks

    @property
    def offsets(self) -> type[np.signedinteger]:
        """What a time within a tick fits into."""
        return np.int16 if self.period_ms <= np.iinfo(np.int16).max else np.int32


@dataclass(slots=True)
class AlignState:
    """S streams. A slot of the ring holds tick `slot_tick`; a cell without a value has offset -1.

    Of closed ticks neither values nor arrival are needed any more: those have a ring of their own, with O slots.
    """

    value: Float32  # (S, O, C) of open ticks, NaN = none
    offset: Offsets  # (S, K, C) the value's time within its tick
    base: Int64  # (S,) the tick that those of `slot_tick` are counted from (`monitor.ticks`)
    slot_tick: Int32  # (S, K)
    first_arrival: Int64  # (S, O) arrival of the first value of each open tick
    next_tick: Int64  # (S,) the oldest open tick; NONE before the first reading
    last_frame: Int64  # (S,) the last tick that was made a frame
    newest: Int64  # (S,) the watermark: newest time, never past arrival
    last_arrival: Int64  # (S,) when the stream was last heard
    ahead: Bool  # (S,) its latest reading lay in the future
    held: Float32  # (S, C) the last value of each sensor; (S, 0) where none is held
    held_tick: Int64  # likewise

    @classmethod
    def empty(cls, config: AlignConfig, streams: int) -> AlignState:
        """The state of streams that have not been heard yet."""
        s, k, c = streams, config.slots, config.sensors
        held = (s, c if config.hold_ms else 0)
        return cls(
            value=np.full((s, config.open_ticks, c), np.nan, np.float32),
            offset=np.full((s, k, c), -1, config.offsets),
            base=np.full(s, NO_TICK),
            slot_tick=np.full((s, k), LONG_AGO),
            first_arrival=np.full((s, config.open_ticks), NONE),
            next_tick=np.full(s, NONE),
            last_frame=np.full(s, NONE),
            newest=np.full(s, NONE),
            last_arrival=np.full(s, NONE),
            ahead=np.zeros(s, np.bool_),
            held=np.full(held, np.nan, np.float32),
            held_tick=np.full(held, NONE),
        )


def push(
    state: AlignState, config: AlignConfig, readings: Readings, listening_since: int, outcomes: Int64
) -> tuple[list[Frames], Bool]:
    """Take in a batch of readings; changes `state`.

    Adds to `outcomes` (by `Outcome`) the values that end here; those in closed ticks travel on as `Frames.count`.
    Returns the ticks that closed, in rounds of at most one a stream, and (N,) which readings were quarantined.
    """
    quarantined = _quarantine(state, config, readings)
    if np.count_nonzero(quarantined):
        outcomes[Outcome.QUARANTINED] += np.count_nonzero(~np.isnan(readings.values[quarantined]))
    frames: list[Frames] = []
    for rows in _rounds(readings.stream, ~quarantined):
        part = Readings(*(getattr(readings, name).take(rows, axis=0) for name in Readings.__slots__))
        _hear(state, config, part)
        # First what this reading comes too late for, then what it completes or leaves behind.
        frames += _close_ready(state, config, part.stream, part.arrival, listening_since)
        _insert(state, config, part, outcomes)
        frames += _close_ready(state, config, part.stream, part.arrival, listening_since)
    return frames, quarantined


def tick_over(state: AlignState, config: AlignConfig, now: int, listening_since: int) -> list[Frames]:
    """Close what is due by `now` in all streams; changes `state`. Returns rounds of at most one tick a stream."""
    there = state.slot_tick.max(axis=1) >= _first_open(state.next_tick, state.base)
    waiting = (there & (state.next_tick != NONE)).nonzero()[0]
    return _close_ready(
        state, config, waiting.astype(np.int32), np.full(len(waiting), now, np.int64), listening_since
    )


def arrived_by(state: AlignState, now: int) -> None:
    """Have nothing arrived later than now: the host's clock was set back; changes `state`.

    Else a stream would not be silent, nor its open ticks close, until that clock has made up what it lost.
    """
    for arrival in (state.last_arrival, state.first_arrival):
        np.minimum(arrival, now, out=arrival)


def open_values(state: AlignState) -> int:
    """How many values wait in open ticks."""
    is_open = state.slot_tick >= _first_open(state.next_tick, state.base)[:, None]  # (S, K)
    is_open &= state.next_tick[:, None] != NONE
    return int(np.count_nonzero(state.offset[is_open] >= 0))


def clock_suspect(state: AlignState) -> bool:
    """Whether most streams (three at the least) are ahead: then the host's clock is behind, not theirs ahead."""
    return bool(np.count_nonzero(state.ahead)) and bool(_most_are_ahead(_counts(state)))


def regrid(tick: Int64, old_ms: int, new_ms: int) -> Int64:
    """Ticks of one period as ticks of another, rounded up; NONE stays NONE."""
    known = tick != NONE
    return np.where(known, -(-np.where(known, tick, 0) * old_ms // new_ms), tick)


def _counts(state: AlignState) -> Int64:
    """(2,) how many streams are ahead, and how many were heard."""
    return np.array([np.count_nonzero(state.ahead), np.count_nonzero(state.last_arrival != NONE)])


def _most_are_ahead(counts: Int64) -> Bool:
    ahead, heard = counts
    most: Bool = (ahead >= 3) & (2 * ahead > heard)  # noqa: PLR2004 - fewer cannot outvote the host
    return most


def _quarantine(state: AlignState, config: AlignConfig, readings: Readings) -> Bool:
    """Which readings lie in the future; none from where on the host's own clock is to blame."""
    stream = readings.stream
    ahead: Bool = readings.time > readings.arrival + config.max_ahead_ms  # (N,)
    if np.count_nonzero(ahead):
        # Reading by reading, so that batch boundaries change nothing: what each adds to the two counts.
        order = np.argsort(stream, kind="stable")
        again = np.r_[False, stream[order][1:] == stream[order][:-1]]
        before, new = state.ahead[stream], state.last_arrival[stream] == NONE  # (N,)
        before[order[again]] = ahead[order[again.nonzero()[0] - 1]]
        new[order[again]] = False
        changes = np.stack([ahead.astype(np.int64) - before, new])  # (2, N)
        quarantined: Bool = ahead & ~_most_are_ahead(_counts(state)[:, None] + np.cumsum(changes, axis=1))
    else:
        quarantined = ahead
    state.ahead[stream] = ahead  # of several of one stream the last counts
    state.last_arrival[stream] = readings.arrival
    return quarantined


def _rounds(stream: Int32, taken: Bool) -> Iterator[Int64]:
    """Row numbers in rounds: the first reading of every stream, then the second, and so on."""
    rows = taken.nonzero()[0]
    if not len(rows):
        return
    rows = rows[stream[rows].argsort(kind="stable")]
    grouped = stream[rows]
    others = grouped[1:] != grouped[:-1]
    if np.count_nonzero(others) == len(others):  # mostly no stream has two
        yield rows
        return
    starts = np.r_[True, others].nonzero()[0]
    rank = np.arange(len(rows)) - np.repeat(starts, np.diff(np.r_[starts, len(rows)]))
    by_rank = np.argsort(rank, kind="stable")
    yield from np.split(rows[by_rank], np.cumsum(np.bincount(rank))[:-1])


def _hear(state: AlignState, config: AlignConfig, readings: Readings) -> None:
    """Move the watermarks, and start new streams far enough back for what may still come late."""
    stream, time, arrival = readings.stream, readings.time, readings.arrival
    # Only a suspect clock lets a reading through that is further ahead; the clock must not hold it back then.
    trusted = np.where(time > arrival + config.max_ahead_ms, time, np.minimum(time, arrival))
    state.newest[stream] = np.maximum(state.newest[stream], trusted)
    new = state.next_tick[stream] == NONE
    if np.count_nonzero(new):
        state.next_tick[stream[new]] = (trusted[new] - config.lateness_ms) // config.period_ms


def _insert(state: AlignState, config: AlignConfig, readings: Readings, outcomes: Int64) -> None:
    """Put one reading per stream into its tick's slot, cell by cell."""
    stream, time, values = readings.stream, readings.time, readings.values
    tick = time // config.period_ms
    slot = tick % config.slots
    offset = (time - tick * config.period_ms).astype(config.offsets)
    is_open = tick >= state.next_tick.take(stream)
    counted = near(state.base, stream, tick, state.slot_tick)  # (N,)
    there = state.slot_tick[stream, slot] == counted
    fresh = is_open & ~there
    count = np.count_nonzero(fresh)
    if count:
        rows = slice(None) if count == len(fresh) else fresh.nonzero()[0]  # mostly all
        s, k, given = stream[rows], slot[rows], values[rows]
        o = tick[rows] % config.open_ticks
        state.slot_tick[s, k] = counted[rows]
        state.first_arrival[s, o] = readings.arrival[rows]
        state.offset[s, k] = np.where(np.isnan(given), config.offsets(-1), offset[rows, None])
        state.value[s, o] = given
    if count < len(fresh):
        known = (~is_open | there).nonzero()[0]
        later = np.where(there[known, None], state.offset[stream[known], slot[known]], -1)  # (M, C)
        wins = _compare(values[known], offset[known, None], later, is_open[known, None], outcomes)[is_open[known]]
        into = known[is_open[known]]
        s, k, o = stream[into], slot[into], tick[into] % config.open_ticks
        state.value[s, o] = np.where(wins, values[into], state.value[s, o])
        state.offset[s, k] = np.where(wins, offset[into, None], state.offset[s, k])


def _compare(values: Float32, offset: Offsets, there: Offsets, is_open: Bool, outcomes: Int64) -> Bool:
    """Which values (M, C) win their cells from what is there already, -1 = nothing; counts those that do not."""
    given = ~np.isnan(values)
    repeat = given & (there == offset)
    outcomes[Outcome.DUPLICATE] += np.count_nonzero(repeat)
    outcomes[Outcome.LATE] += np.count_nonzero(given & ~repeat & ~is_open)
    outcomes[Outcome.SUPERSEDED] += np.count_nonzero(given & ~repeat & is_open & (there >= 0))
    wins: Bool = given & (offset > there)
    return wins


def _close_ready(
    state: AlignState, config: AlignConfig, stream: Int32, now: Int64, listening_since: int
) -> list[Frames]:
    """Close, of each of these streams, every tick whose turn has come."""
    frames: list[Frames] = []
    while True:
        ticks = state.slot_tick.take(stream, axis=0)  # (M, K)
        first = _first_open(state.next_tick.take(stream), state.base.take(stream))  # (M,)
        newest = ticks.ravel().take(ticks.argmax(axis=1) + np.arange(0, ticks.size, config.slots))  # (M,)
        # Of most streams nothing is open.
        some = ((newest >= first) | (state.last_frame.take(stream) == NONE)).nonzero()[0]
        if not len(some):
            return frames
        if len(some) < len(stream):
            stream, now, ticks, first = stream[some], now[some], ticks.take(some, axis=0), first[some]
        # Every tick below `passed` is closed by the watermark.
        passed = (state.newest.take(stream) - config.lateness_ms) // config.period_ms  # (M,)
        nearest, arrival = _nearest(state, config, stream, ticks, first)
        # What the broker held back while it could not be heard gets its chance before the clock closes a tick.
        by_clock = now >= np.maximum(arrival, listening_since) + config.lateness_ms
        due = (nearest < NEVER) & ((nearest < passed) | by_clock)
        # Nothing is made of the empty ticks before a stream's first reading, nor of a silence longer than a gap.
        # Whether they are one is known when the tick behind them closes; until then they wait, closed already.
        last = state.last_frame.take(stream)
        leap = (last == NONE) | ((nearest - last - 1 > config.gap_ticks) & (nearest < NEVER))
        skipped = leap & ~due & (state.next_tick.take(stream) < passed)
        if np.count_nonzero(skipped):
            state.next_tick[stream[skipped]] = np.minimum(passed, nearest)[skipped]
        tick = last + 1
        closes = due | (~leap & (tick < passed) & (nearest < NEVER))
        if config.one_reading_per_tick:
            closes |= ~leap & (nearest == tick) & _complete(state, config, stream, tick)
        tick, gap = np.where(leap, nearest, tick), leap & (last != NONE)
        if np.count_nonzero(closes) < len(closes):
            rows = closes.nonzero()[0]
            stream, now, tick, gap = stream[rows], now[rows], tick[rows], gap[rows]
        if len(stream):
            frames.append(_close(state, config, stream, tick, gap))


def _first_open(next_tick: Int64, base: Int64) -> Int64:
    """From where on ticks (M,) counted from the base are open; behind a silence, what is LONG_AGO is not."""
    first: Int64 = np.maximum(next_tick - base, LONG_AGO + 1)
    return first


def _nearest(
    state: AlignState, config: AlignConfig, stream: Int32, ticks: Int32, first: Int64
) -> tuple[Int64, Int64]:
    """Of ticks (M, K), open from `first` (M,) on, the oldest with a reading (NEVER = none), and its arrival."""
    oldest = np.where(ticks >= first[:, None], ticks, LATEST).min(axis=1)
    nearest = np.where(oldest == LATEST, NEVER, oldest + state.base.take(stream))
    return nearest, state.first_arrival[stream, nearest % config.open_ticks]


def _complete(state: AlignState, config: AlignConfig, stream: Int32, tick: Int64) -> Bool:
    """Whether every sensor has reported in this tick, which holds a reading."""
    complete: Bool = np.logical_and.reduce(state.offset[stream, tick % config.slots] >= 0, axis=1)
    return complete


def _close(state: AlignState, config: AlignConfig, stream: Int32, tick: Int64, gap: Bool) -> Frames:
    """Close one tick of each of these streams, whatever it holds."""
    state.next_tick[stream] = np.maximum(state.next_tick.take(stream), tick + 1)
    state.last_frame[stream] = tick
    values = state.value[stream, tick % config.open_ticks]  # (M, C)
    empty = state.slot_tick[stream, tick % config.slots] != tick - state.base.take(stream)
    if np.count_nonzero(empty):
        values[empty] = np.nan
    reported = ~np.isnan(values)  # (M, C)
    count = reported.sum(axis=1, dtype=np.int32)
    if config.hold_ms:
        state.held[stream] = np.where(reported, values, state.held[stream])
        state.held_tick[stream] = np.where(reported, tick[:, None], state.held_tick[stream])
        recent = tick[:, None] - state.held_tick[stream] <= config.hold_ms // config.period_ms
        values = np.where(recent, state.held[stream], values)
    return Frames(stream, tick, values, count, gap)
