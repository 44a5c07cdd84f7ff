"""Whether the broker is still there: when to ask, and when it is gone. Pure.

A connection of which the other side has vanished looks like one on which nothing is said. So half of the limit
after the broker was last heard, or heard us, it is asked (PINGREQ); and if then nothing comes for the other half,
it is gone. paho waits twice as long, and takes for silence what is not read.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


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
