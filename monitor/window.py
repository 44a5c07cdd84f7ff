"""Ring buffers of all streams, and the windows that are ready.

Pure. A window is copied out of its ring, so that it does not change when the ring goes on. What the sensor check
rules out for good never stays in a ring; what it only withholds is left out of the copy, and is there again when
the suspicion was wrong.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from monitor.records import Status, Windows

if TYPE_CHECKING:
    from monitor.records import Bool, Float32, Frames, Int32, Int64, Masks


@dataclass(frozen=True, slots=True)
class WindowConfig:
    """The windows of an asset class."""

    sensors: int  # C
    length: int  # T ticks
    stride: int  # a score row every so many closed ticks
    min_coverage: float  # share of cells that must be there to score
    judged: int = 0  # of a model that carries the rest on: its rows need no more than so many last ticks; 0 = all

    @property
    def copied(self) -> int:
        """How many last ticks of a window a row brings along."""
        return self.judged or self.length


@dataclass(slots=True)
class WindowState:
    """S streams."""

    ring: Float32  # (S, T, C)
    latest: Float32  # (S, C) reported or held in the last tick, masked or not
    withheld: Bool  # (S, C) sensors that the model must not see at present
    position: Int32  # (S,) the slot that the next tick goes to: the oldest one
    filled: Int32  # (S,) ticks in the ring, up to T
    present: Int32  # (S,) cells of the ring that are not missing
    rewritten: Bool  # (S,) since the last row something became other than that row had it
    after_gap: Bool  # (S,) filling up again after a gap
    since_row: Int32  # (S,) ticks since the last score row
    uncovered: Int32  # (S,) values reported in them

    @classmethod
    def empty(cls, config: WindowConfig, streams: int) -> WindowState:
        """The state of streams that have not closed a tick yet."""
        return cls(
            ring=np.full((streams, config.length, config.sensors), np.nan, np.float32),
            latest=np.full((streams, config.sensors), np.nan, np.float32),
            withheld=np.zeros((streams, config.sensors), np.bool_),
            position=np.zeros(streams, np.int32),
            filled=np.zeros(streams, np.int32),
            present=np.zeros(streams, np.int32),
            rewritten=np.zeros(streams, np.bool_),
            after_gap=np.zeros(streams, np.bool_),
            since_row=np.zeros(streams, np.int32),
            uncovered=np.zeros(streams, np.int32),
        )


def push(state: WindowState, config: WindowConfig, frames: Frames, masks: Masks | None = None) -> Windows:
    """Take in one closed tick per stream; changes `state`. Returns a window for every stream whose row is due.

    `masks` is what the sensor check says of the frames; None = they were not checked.
    """
    if frames.gap.any():
        _restart(state, frames.stream[frames.gap])
    stream = frames.stream
    values = frames.values
    position = state.position[stream]
    withheld: Bool | bool = False
    if masks is not None:
        values = np.where(masks.value, np.float32(np.nan), values)
        _take_back(state, stream, position, masks)
        withheld = masks.sensor
    if state.withheld.any() or np.any(withheld):
        state.rewritten[stream] |= (state.withheld[stream] != withheld).any(axis=1)
        state.withheld[stream] = withheld
    state.latest[stream] = frames.values
    state.present[stream] += present(values) - present(state.ring[stream, position])
    state.ring[stream, position] = values
    state.position[stream] = (position + 1) % config.length
    state.filled[stream] = np.minimum(state.filled[stream] + 1, config.length)
    state.since_row[stream] += 1
    state.uncovered[stream] += frames.count

    due = state.since_row[stream] >= config.stride
    return _cut(state, config, stream[due], frames.tick[due])


def flush(state: WindowState, config: WindowConfig, last_tick: Int64) -> Windows:
    """A row, before its turn, for every stream with values that no row covers yet; changes `state`.

    `last_tick` (S,) is the last tick of each stream that was pushed.
    """
    stream = np.flatnonzero(state.uncovered > 0).astype(np.int32)
    return _cut(state, config, stream, last_tick[stream])


def last(state: WindowState, stream: Int32, ticks: int) -> Float32:
    """A copy of the last so many ticks (B, ticks, C) of these streams' windows, without what is withheld."""
    streams, length, sensors = state.ring.shape
    order = (state.position[stream][:, None] + np.arange(length - ticks, length)) % length  # oldest first
    rows = state.ring.reshape(streams * length, sensors)
    values: Float32 = rows.take(stream[:, None] * np.int64(length) + order, axis=0)
    withheld = state.withheld[stream]
    if withheld.any():
        row, sensor = np.nonzero(withheld)
        values[row, :, sensor] = np.nan
    return values


def resized(state: WindowState, length: int) -> WindowState:
    """The state with windows of another length: of each stream the latest ticks that fit are kept."""
    streams, old, sensors = state.ring.shape
    kept = min(old, length)
    order = (state.position[:, None] + np.arange(old)) % old  # (S, T) oldest first
    ring = np.full((streams, length, sensors), np.nan, np.float32)
    ring[:, length - kept :] = state.ring[np.arange(streams)[:, None], order[:, old - kept :]]
    return replace(
        state,
        ring=ring,
        position=np.zeros_like(state.position),
        filled=np.minimum(state.filled, np.int32(kept)),
        present=present(ring),
        rewritten=np.ones_like(state.rewritten),
    )


def _cut(state: WindowState, config: WindowConfig, stream: Int32, tick: Int64) -> Windows:
    """The windows of these streams as they are now."""
    count, ticks, rewritten = state.uncovered[stream], state.since_row[stream], state.rewritten[stream]
    state.since_row[stream] = 0
    state.uncovered[stream] = 0
    state.rewritten[stream] = False
    full = state.filled[stream] >= config.length
    state.after_gap[stream[full]] = False

    status = np.where(state.after_gap[stream], Status.GAP, Status.WARMING_UP)
    covered = _shown(state, stream) >= config.min_coverage * config.length * config.sensors
    status = np.where(full, np.where(covered, Status.SCORED, Status.TOO_FEW_SENSORS), status).astype(np.uint8)
    regime = np.zeros(len(stream), np.uint8)  # which one is not for this room to say
    values = last(state, stream, config.copied)
    return Windows(stream, tick, values, state.latest[stream], status, count, ticks, regime, rewritten)


def _take_back(state: WindowState, stream: Int32, position: Int32, masks: Masks) -> None:
    """Take out of the rings what was no measurement, as was just found."""
    history, before = masks.history.any(), masks.before.any()
    if not history and not before:
        return
    if history:
        row, sensor = np.nonzero(masks.history)
        state.ring[stream[row], :, sensor] = np.nan
    if before:
        row, sensor = np.nonzero(masks.before)
        state.ring[stream[row], position[row] - 1, sensor] = np.nan
    changed = stream[(masks.history | masks.before).any(axis=1)]
    state.present[changed] = present(state.ring[changed])
    state.rewritten[changed] = True


def _shown(state: WindowState, stream: Int32) -> Int32:
    """How many cells (B,) of these streams' windows are there and not withheld."""
    shown = state.present[stream]
    withheld = state.withheld[stream]
    row = np.flatnonzero(withheld.any(axis=1))
    if len(row):
        shown[row] = present(np.where(withheld[row, None], np.float32(np.nan), state.ring[stream[row]]))
    return shown


def present(values: Float32) -> Int32:
    """How many cells of each row (B, …) are not missing."""
    there = ~np.isnan(values.reshape(len(values), math.prod(values.shape[1:])))
    # A product is several times faster than counting, and exact: the numbers are small.
    count: Int32 = (there.astype(np.float32) @ np.ones(there.shape[1], np.float32)).astype(np.int32)
    return count


def _restart(state: WindowState, stream: Int32) -> None:
    """Begin these streams' windows anew."""
    state.ring[stream] = np.nan
    state.filled[stream] = 0
    state.present[stream] = 0
    state.rewritten[stream] = True
    state.after_gap[stream] = True
