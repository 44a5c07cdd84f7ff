"""Ticks of many streams in half the room: how far each lies from one that is near its stream's latest. Pure.

A tick is time // period and needs 64 bits. A state that notes many of every stream counts them in 32 from a `base`
of each, which moves on when that is needed. What lies further back than REACH (124 days at 10 ms) may become
LONG_AGO, and so is what never was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from monitor.records import Int32, Int64

REACH = 2**30  # no tick that is noted is further behind the base
NO_TICK = np.int64(-(2**62))  # the base of a stream that has none yet
LONG_AGO = np.int32(-(2**31))
LATEST = np.int32(2**31 - 1)


def near(base: Int64, stream: Int32, tick: Int64, *noted: Int32) -> Int64:
    """Ticks (N,), one of each stream, counted from the base of each.

    `noted` (S, …) is what is counted from `base` (S,); where that is too far back, it moves on: changes both.
    """
    counted: Int64 = tick - base.take(stream)
    far = counted >= REACH
    if far.any():
        which, moved = stream[far], counted[far]
        for each in noted:
            each[which] = from_base(each[which], moved)
        base[which] = tick[far]
        counted[far] = 0
    return counted


def from_base(tick: Int32 | Int64, base: Int64) -> Int32:
    """Ticks (N, …) counted from (N,) of their own; LONG_AGO, and all that is further back, is LONG_AGO."""
    away = tick - base.reshape(-1, *(1,) * (tick.ndim - 1))
    return np.where(tick <= LONG_AGO, LONG_AGO, np.clip(away, LONG_AGO, LATEST)).astype(np.int32)
