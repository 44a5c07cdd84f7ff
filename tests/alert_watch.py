"""Three streams under watch, as the tests of incidents and of silence use them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from monitor.alert import (
    ANOMALY,
    NEVER,
    AlertConfig,
    AlertState,
    Phase,
    command,
    hear,
    judge,
    watch,
)
from monitor.incident import Moment
from monitor.records import AlertEvent, Command, Status, Transition
from tests.line_samples import scores

KEYS = ["plant//a", "plant//b", "plant//c"]
ONE = np.array([0], np.int32)


def config(**changes: Any) -> AlertConfig:
    """Pending after 2 of 3, fires 2 ticks later, clears after 3 ticks below nine tenths of the threshold."""
    plain = AlertConfig(
        sensors=("load", "flow"),
        units=("%", "l/min"),
        period_ms=1000,
        k=2,
        n=3,
        on_delay_ticks=2,
        off_delay_ticks=3,
        deadband=0.1,
        critical_ratio=3.0,
        stale_after_ms=60_000,
    )
    return replace(plain, **changes)


class Watch:
    """Three streams, of which the scores of the first are judged, and what was told."""

    def __init__(self, rule: AlertConfig | None = None) -> None:
        self.rule = rule or config()
        self.state = AlertState.empty(self.rule, 3)
        self.heard = np.full(3, NEVER)
        self.newest = np.full(3, NEVER)
        self.tick = -1

    def judge(self, *row_scores: float, status: Status = Status.SCORED) -> list[str]:
        """Judge a score a tick against 1.0; returns the transitions with the tick at which each happened."""
        told = []
        for score in row_scores:
            self.tick += 1
            events = self.events(score, status=status)
            told += [f"{event.transition} {self.tick}" for event in events]
        return told

    def events(self, score: float, *, status: Status = Status.SCORED, threshold: float = 1.0) -> list[AlertEvent]:
        rows = scores([0], self.tick, [score], status=status, threshold=threshold)
        return judge(self.state, self.rule, rows, Moment(KEYS, 1000 * self.tick + 5))

    def phase(self) -> Phase:
        return Phase(self.state.phase[0, ANOMALY])

    def fire(self) -> AlertEvent:
        """Bring the first stream's anomaly to firing."""
        self.judge(2, 2, 2)
        self.tick += 1
        (event,) = self.events(2)
        assert event.transition == Transition.FIRED
        return event

    def arrive(self, arrival: int, stream: int = 0) -> None:
        """A reading arrives that was made 100 ms before."""
        self.heard[stream], self.newest[stream] = arrival, arrival - 100
        hear(self.state, np.array([stream], np.int32), np.array([arrival], np.int64))

    def look(self, now: int, since: int | None = 0) -> list[tuple[str, str]]:
        """Look for silence; returns what was told of whom."""
        events = watch(self.state, self.rule, self.heard, self.newest, since, Moment(KEYS, now))
        return [(event.stream, str(event.transition)) for event in events]

    def ask(self, action: str, now: int = 99_000, **more: Any) -> list[AlertEvent]:
        asked = Command(id="c1", action=action, ts=now, **more)
        return command(self.state, self.rule, asked, self.newest, Moment(KEYS, now, "c1"))
