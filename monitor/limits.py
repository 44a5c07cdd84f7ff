"""Simple limits of every sensor, for as long as there is no model: the range it was seen in, and a margin.

Pure: time is ticks in which the stream ran, so that a night's rest forgets nothing. What was seen is the
median of three values at a time, so that a spike widens nothing. The range is that of the last `BLOCKS` blocks of
running; what lies beyond it by more than the margin is not learned, nor is anything while an incident is pending
or open. A drift slower than the blocks moves the range along: to find that is for the model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from monitor.records import Scores, Status
from monitor.wording import after, duration, sensor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.records import Bool, Float32, Frames, Int32, Int64, Masks

BLOCKS = 12  # B: the range seen is forgotten a twelfth at a time
OF = 3  # values of which the middle one counts as seen
LEVEL_SHARE = 0.05  # the margin is this share of the level at the least: a steady sensor has next to no range
TOLD = 3  # sensors that an incident names


@dataclass(frozen=True, slots=True)
class LimitsConfig:
    """The settings' section `learning` explains each value."""

    block_ticks: int  # of running, in a block
    min_ticks: int  # values seen of a sensor before it is judged
    margin: float  # beyond the range by this share of it is beyond the limits
    period_ms: int


@dataclass(slots=True)
class LimitsState:
    """S streams; without limits B is 0, and only `normal` means something."""

    lowest: Float32  # (S, B, C) the lowest seen in a block, NaN = nothing
    highest: Float32  # (S, B, C)
    seen: Int32  # (S, B, C) values in the block
    recent: Float32  # (S, OF - 1, C) the values before, newest first
    age: Int64  # (S,) ticks learned
    normal: Int64  # (S,) ticks of normal running that were recorded: what a first model can be made of

    @classmethod
    def empty(cls, config: LimitsConfig | None, sensors: int, streams: int) -> LimitsState:
        """The state of streams that have not closed a tick yet."""
        blocks, held = (0, 0) if config is None else (BLOCKS, OF - 1)
        return cls(
            lowest=np.full((streams, blocks, sensors), np.nan, np.float32),
            highest=np.full((streams, blocks, sensors), np.nan, np.float32),
            seen=np.zeros((streams, blocks, sensors), np.int32),
            recent=np.full((streams, held, sensors), np.nan, np.float32),
            age=np.zeros(streams, np.int64),
            normal=np.zeros(streams, np.int64),
        )


@dataclass(frozen=True, slots=True)
class Judged:
    """What the limits say of one tick of B streams.

    `scores` has the form of the model's, so that the same k of n and delays apply, and never leaves the line: how
    many margins each sensor is beyond what was seen of it, judged by 1; expected is the nearest level seen.
    """

    scores: Scores
    lowest: Float32  # (B, C) of what was seen
    highest: Float32  # (B, C)
    ran_ms: Int64  # (B,) of running in which it was seen
    outside: Bool  # (N, C) of every tick, whether judged or not: beyond the limits

    def words(self, row: int, sensors: Sequence[str], units: Sequence[str]) -> str:
        """The sensors that are beyond their limits, the furthest first."""
        beyond = np.nan_to_num(self.scores.contribution[row], nan=0.0)  # (C,)
        furthest = [c for c in np.argsort(-beyond, kind="stable")[:TOLD].tolist() if beyond[c] > 1]
        if not furthest:  # of the last n ticks it is not always the latest that is beyond
            return "sensors were beyond what was seen of them"
        return "; ".join(
            f"{sensor(sensors[c], units[c])} {self.scores.actual[row, c]:.4g}{after(units[c])}, "
            f"beyond {self.lowest[row, c]:.4g} to {self.highest[row, c]:.4g} seen in its last "
            f"{duration(int(self.ran_ms[row]))} of running"
            for c in furthest
        )


def judge(state: LimitsState, config: LimitsConfig, frames: Frames, masks: Masks | None) -> Judged:
    """Hold one closed tick per stream against what was seen; changes nothing. Only streams that can be judged."""
    stream, values = frames.stream, _measured(frames, masks)
    lowest = np.fmin.reduce(state.lowest[stream], axis=1)  # (N, C)
    highest = np.fmax.reduce(state.highest[stream], axis=1)  # (N, C)
    enough = state.seen[stream].sum(axis=1) >= config.min_ticks  # (N, C)
    margin = np.maximum(
        config.margin * (highest - lowest), LEVEL_SHARE * np.maximum(np.abs(lowest), np.abs(highest))
    )
    known = enough & ~np.isnan(values) & (margin > 0)  # one that was always 0 says nothing of what is much
    away = np.maximum(values - highest, lowest - values)  # (N, C) below 0 inside
    beyond = np.where(known, np.maximum(away, 0) / np.where(known, margin, 1), np.nan).astype(np.float32)
    rows = np.flatnonzero(known.any(axis=1))
    ran = np.minimum(state.age[stream[rows]], BLOCKS * config.block_ticks) * config.period_ms
    scores = Scores(
        stream=stream[rows],
        tick=frames.tick[rows],
        status=np.full(len(rows), Status.SCORED, np.uint8),
        score=np.fmax.reduce(beyond[rows], axis=1, initial=np.float32(0)),
        threshold=np.ones(len(rows), np.float32),
        contribution=beyond[rows],
        expected=np.clip(values[rows], lowest[rows], highest[rows]),
        actual=values[rows],
        regime=np.zeros(len(rows), np.uint8),  # a range is one for all of them
    )
    return Judged(scores, lowest[rows], highest[rows], ran, beyond > 1)


def learn(
    state: LimitsState, config: LimitsConfig, frames: Frames, masks: Masks | None, judged: Judged, *, frozen: Bool
) -> None:
    """Take in one closed tick per stream, except of those (N,) that are frozen; changes `state`."""
    values = _measured(frames, masks)
    taken = ~np.isnan(values) & ~judged.outside & ~frozen[:, None]  # (N, C)
    some = taken.any(axis=1)
    stream, values, taken = frames.stream[some], values[some], taken[some]

    slot = state.age[stream] // config.block_ticks % BLOCKS  # (M,)
    fresh = state.age[stream] % config.block_ticks == 0
    for kept, nothing in ((state.lowest, np.nan), (state.highest, np.nan), (state.seen, 0)):
        kept[stream[fresh], slot[fresh]] = nothing
    state.age[stream] += 1

    held = np.concatenate([values[:, None], state.recent[stream]], axis=1)  # (M, OF, C)
    whole = taken & ~np.isnan(held).any(axis=1)  # (M, C) it was reported so often
    middle = np.where(whole, np.sort(held, axis=1)[:, OF // 2], np.float32(np.nan))  # (M, C)
    state.highest[stream, slot] = np.fmax(state.highest[stream, slot], middle)
    state.lowest[stream, slot] = np.fmin(state.lowest[stream, slot], middle)
    state.seen[stream, slot] += taken
    state.recent[stream] = np.where(taken[:, None], held[:, : OF - 1], state.recent[stream])


def relearn(state: LimitsState, stream: int) -> None:
    """Forget what was seen of a stream: what comes next says what is normal. Changes `state`."""
    state.lowest[stream] = np.nan
    state.highest[stream] = np.nan
    state.recent[stream] = np.nan
    state.seen[stream] = 0
    state.age[stream] = 0


def _measured(frames: Frames, masks: Masks | None) -> Float32:
    """The values (N, C) that are measurements."""
    if masks is None:
        return frames.values
    return np.where(masks.value | masks.sensor, np.float32(np.nan), frames.values)
