"""What the network carries of every stream from tick to tick, so that it need not see a window again and again.

Pure. A row asks what the network predicts of the last ticks of its window. Where the row before was scored and its
window still holds what it held, only the ticks since then are new: the network goes on behind them, with what it
carried. Else it sees the window as a whole; so it does once in AGAIN windows, each asset in its turn, so that no
prediction ever depends on what lies further back. How much of the past a prediction has hardly matters to it
(docs/models.md).

What is carried is kept as the upper halves of 32-bit floats, which takes little time: that changes a score by less
than a hundredth of itself, nearly always, and is over when the window is seen as a whole again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from monitor.records import Bool, CarryingModel, Float32, Int32, Int64, Windows

    Halves = npt.NDArray[np.uint16]
    Int = npt.NDArray[np.int_]
    Level = tuple[Float32, Float32]  # center and scale (B, C)
    Whole = Callable[[Int32], Float32]  # streams (B,) to their windows (B, T, C)

AT_ONCE = 200  # streams whose memories are looked at together: as many as the processor's caches hold
AGAIN = 4  # times a window's length, after which the window is seen as a whole


@dataclass(frozen=True, slots=True)
class CarryConfig:
    """What a class's model carries."""

    memory: int  # D numbers
    window: int  # T ticks
    judged: int  # J ticks at the end of a window


@dataclass(slots=True)
class CarryState:
    """S streams."""

    memory: Halves  # (S, D) behind the last tick
    predicted: Halves  # (S, J, C) of the last ticks, scaled units; tick t stands in slot t % J
    known: Bool  # (S,) the last row was scored
    left: Int32  # (S,) ticks until the window is seen as a whole again

    @classmethod
    def empty(cls, config: CarryConfig | None, sensors: int, streams: int) -> CarryState:
        """The state of streams that have not been scored yet; None = the model carries nothing."""
        memory, judged = (0, 0) if config is None else (config.memory, config.judged)
        return cls(
            memory=np.zeros((streams, memory), np.uint16),
            predicted=np.zeros((streams, judged, sensors), np.uint16),
            known=np.zeros(streams, np.bool_),
            left=np.zeros(streams, np.int32),
        )


def predict(
    state: CarryState,
    config: CarryConfig,
    model: CarryingModel,
    keys: Sequence[str],
    windows: Windows,
    ready: Bool,
    whole: Whole,
    level: Level | None,
) -> Float32:
    """What the model predicts of the judged ticks (b, J, C) of the windows that are `ready` (B,), in their order.

    There is at most one window a stream. `keys` are the streams' names by number; `level` is of all B rows.
    Changes `state`.
    """
    state.known[windows.stream[~ready]] = False
    rows = np.flatnonzero(ready)
    stream, tick, ticks = windows.stream[rows], windows.tick[rows], windows.ticks[rows]
    known = state.known[stream]
    left = state.left[stream] - ticks
    goes_on = known & ~windows.rewritten[rows] & (ticks <= config.judged) & (left > 0)
    state.left[stream] = np.where(left > 0, left, AGAIN * config.window)
    if not known.all():
        begun = stream[~known]
        state.left[begun] = _turns(config, [keys[number] for number in begun.tolist()])
        state.known[stream] = True

    begins = np.flatnonzero(~goes_on)
    if len(begins):
        of = stream[begins]
        predicted, memory = model.predict(whole(of), _of(level, rows[begins]))
        state.memory[of] = shortened(memory)
        slot = _slots(tick[begins], config.judged, config.judged)
        state.predicted[of[:, None], slot] = shortened(predicted[:, -config.judged :])
    for count in sorted(set(ticks[goes_on].tolist())):
        alike = np.flatnonzero(goes_on & (ticks == count))
        for start in range(0, len(alike), AT_ONCE):
            here = alike[start : start + AT_ONCE]
            of, new = stream[here], windows.values[rows[here], -count:]
            before = _lengthened(state.memory.take(of, axis=0))
            predicted, memory = model.predict(new, _of(level, rows[here]), before)
            state.memory[of] = shortened(memory)
            state.predicted[of[:, None], _slots(tick[here], count, config.judged)] = shortened(predicted)
    judged = state.predicted.reshape(-1, state.predicted.shape[2])  # (S * J, C)
    slot = _slots(tick, config.judged, config.judged)
    return _lengthened(judged.take(stream[:, None] * np.int64(config.judged) + slot, axis=0))


def forget(state: CarryState, stream: Int32) -> None:
    """Nothing is predicted of these streams' windows, as there is no model; changes `state`."""
    state.known[stream] = False


def shortened(values: Float32) -> Halves:
    """The upper halves of values, which are rounded to 8 bits of mantissa."""
    bits = values.view(np.uint32) + np.uint32(0x8000)
    bits >>= np.uint32(16)
    return bits.astype(np.uint16)


def _lengthened(halves: Halves) -> Float32:
    bits = halves.astype(np.uint32)
    bits <<= np.uint32(16)
    return bits.view(np.float32)


def _turns(config: CarryConfig, keys: Sequence[str]) -> list[int]:
    """In how many ticks the windows of these streams are seen as wholes again, so that not all are at once.

    By the asset's name alone: the same readings have the same scores whenever and wherever they come.
    """
    return [1 + crc32(key.rpartition("/")[2].encode()) % (AGAIN * config.window) for key in keys]


def _slots(tick: Int64, ticks: int, judged: int) -> Int64:
    """Where the last so many ticks (b, ticks) up to these stand, oldest first."""
    slots: Int64 = (tick[:, None] + np.arange(1 - ticks, 1)) % judged
    return slots


def _of(level: Level | None, rows: Int) -> Level | None:
    return None if level is None else (level[0][rows], level[1][rows])
