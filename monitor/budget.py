"""How full something with a limit is, when it will be full at the present rate, and when to tell that. Pure."""

from __future__ import annotations

import math
from collections import deque
from typing import NamedTuple

RATE_S = 3600.0  # the rate is that of the last hour
LEAST_S = 60.0  # over less there is none
SAMPLES = 64


class Level(NamedTuple):
    """One look at a gauge."""

    used: int  # bytes
    limit: int
    full_in_s: float | None  # at the present rate; infinite: it does not grow; None: that is not known yet
    near: bool  # the bound has been reached, and it was not well since
    tell: bool  # it has just come near


class Gauge:
    """Bytes in use against a bound below their limit.

    It is near from the bound on, and well again half as far below the bound as the limit is above it: what goes up
    and down at the bound is told once.
    """

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()
        self._near = False

    def look(self, now: float, used: int, *, limit: int, bound: int) -> Level:
        """Look once; `now` in seconds, of a monotonic clock."""
        if not self._samples or now - self._samples[-1][0] >= RATE_S / SAMPLES:
            self._samples.append((now, used))
        while now - self._samples[0][0] > RATE_S:
            self._samples.popleft()
        before = self._near
        self._near = used >= bound or (before and used > bound - (limit - bound) / 2)
        return Level(used, limit, self._full_in(now, used, limit), self._near, self._near and not before)

    def _full_in(self, now: float, used: int, limit: int) -> float | None:
        began, first = self._samples[0]
        if now - began < LEAST_S:
            return None
        if used <= first:
            return math.inf
        return max(0.0, (limit - used) * (now - began) / (used - first))
