"""The aligner as its tests use it: times counted from START, and closed ticks gathered by stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from monitor.align import NEVER, AlignConfig, AlignState, push, tick_over
from monitor.records import Outcome
from tests.line_samples import START, Frame, by_stream, readings

if TYPE_CHECKING:
    from monitor.records import Frames

Row = tuple[int, int, int, tuple[float, ...]]  # stream, time, arrival (both after START), values


class Aligner:
    """The aligner under test, its frames gathered by stream with ticks counted from START."""

    def __init__(self, config: AlignConfig, *, streams: int = 1, since: int = 0) -> None:
        self.config = config
        self.state = AlignState.empty(config, streams)
        self.since = START + since
        self.outcomes = np.zeros(len(Outcome), np.int64)
        self.rounds: list[Frames] = []

    def push(self, *rows: Row) -> list[Frame]:
        """Frames of stream 0 that these readings close."""
        closed, quarantined = push(self.state, self.config, readings(rows), self.since, self.outcomes)
        assert len(quarantined) == len(rows)
        return self._closed(closed)

    def clock(self, now: int) -> list[Frame]:
        return self._closed(tick_over(self.state, self.config, START + now, self.since))

    def finish(self) -> dict[int, list[Frame]]:
        """Everything that closed, after the clock has closed the rest."""
        self._closed(tick_over(self.state, self.config, int(NEVER), self.since))
        return self.frames()

    def frames(self) -> dict[int, list[Frame]]:
        first = START // self.config.period_ms
        found = by_stream(self.rounds)
        return {
            stream: [(tick - first, values, count, gap) for tick, values, count, gap in frames]
            for stream, frames in found.items()
        }

    def count(self, outcome: Outcome) -> int:
        return int(self.outcomes[outcome])

    def _closed(self, rounds: list[Frames]) -> list[Frame]:
        self.rounds += rounds
        first = START // self.config.period_ms
        return [(tick - first, values, count, gap) for tick, values, count, gap in by_stream(rounds).get(0, [])]
