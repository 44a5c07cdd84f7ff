"""How fast counts grow, for those who look at them again and again. Pure."""

from __future__ import annotations

from collections import deque

RATE_S = 5.0  # over which a rate is taken, where nothing else is said


class Rate:
    """How fast a count grows, from its latest changes."""

    def __init__(self, over_s: float = RATE_S) -> None:
        """`over_s`: what comes in batches wants a time that holds several of them."""
        self._over_s = over_s
        self._counts: deque[tuple[float, int]] = deque()

    def take(self, now: float, count: int) -> float | None:
        """The rate a second; None before there are two counts."""
        counts = self._counts
        if not counts or counts[-1][1] != count:
            counts.append((now, count))
        elif now - counts[-1][0] > self._over_s:  # it stands still
            counts.clear()
            counts.append((now, count))
            return 0.0
        while len(counts) > 2 and now - counts[0][0] > self._over_s:  # noqa: PLR2004 - a rate needs two
            counts.popleft()
        (began, first), (ended, last) = counts[0], counts[-1]
        return (last - first) / (ended - began) if ended > began else None
