"""Whether the broker is still there: when to ask, when it is gone, and when to try again. Pure.

A connection of which the other side has vanished looks like one on which nothing is said. So half of the limit
after the broker was last heard, or heard us, it is asked (PINGREQ); and if then nothing comes for the other half,
it is gone. paho waits twice as long, and takes for silence what is not read.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(slots=True)
class Alive:
    """Of one connection. All times are seconds of one clock that only goes forwards.

    >>> alive = Alive(limit=10.0)
    >>> alive.to_ask(4.9, heard=0.0, said=0.0), alive.to_ask(5.0, heard=0.0, said=0.0)
    (False, True)
    >>> alive.gone(9.9, heard=0.0), alive.gone(10.0, heard=0.0), alive.gone(10.0, heard=5.1)
    (False, True, False)
    """

    limit: float
    _asked: float = -math.inf  # at last

    def to_ask(self, now: float, *, heard: float, said: float) -> bool:
        """Whether to ask now, which counts as done then; not again before the other half is over."""
        half = self.limit / 2
        if now - min(heard, said) < half or now - self._asked < half:
            return False
        self._asked = now
        return True

    def gone(self, now: float, *, heard: float) -> bool:
        """Whether a question has been without any answer for too long.

        Whoever does not listen passes `heard` = `now`: silence counts only where it can be heard.
        """
        return heard < self._asked and now - self._asked >= self.limit / 2


class Backoff:
    """Pauses between attempts: doubling up to a cap, each drawn from the whole range below (full jitter).

    >>> pauses = Backoff(1.0, 5.0, draw=lambda: 1.0)
    >>> [pauses.next() for _ in range(5)]
    [1.0, 2.0, 4.0, 5.0, 5.0]
    """

    def __init__(self, first: float, longest: float, draw: Callable[[], float] = random.random) -> None:
        self._first = min(first, longest)
        self._longest = longest
        self._draw = draw
        self._range = self._first

    def next(self) -> float:
        """The next pause in seconds."""
        pause = self._range * self._draw()
        self._range = min(self._range * 2, self._longest)
        return pause

    def reset(self) -> None:
        """Begin again with the first pause."""
        self._range = self._first
