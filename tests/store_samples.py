"""What the tests of the store and its readers share: score rows and transitions, made by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from monitor.records import (
    AlertEvent,
    DeadLetter,
    Scores,
    SensorFinding,
    Status,
    StepResult,
    StoredScores,
    Transition,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

START = 1_700_000_000_000
PUMP = "plant//pump-1"


def batch(*rows: tuple[str, int], score: float = 0.5, asset_class: str = "pump") -> StoredScores:
    """Rows of (stream, seconds after START), with two sensors; `flow` contributes most."""
    count = len(rows)
    time = np.array([START + seconds * 1000 for _, seconds in rows], np.int64)

    def pairs(load: float, flow: float) -> np.ndarray[Any, np.dtype[np.float32]]:
        return np.tile(np.array([load, flow], np.float32), (count, 1))  # (B, 2)

    scores = Scores(
        stream=np.arange(count, dtype=np.int32),
        tick=time // 1000,
        status=np.full(count, Status.WARMING_UP if np.isnan(score) else Status.SCORED, np.uint8),
        score=np.full(count, score, np.float32),
        threshold=np.full(count, 1, np.float32),
        contribution=pairs(0.25, score),
        expected=pairs(50, 110),
        actual=pairs(50, 100),
        regime=np.zeros(count, np.uint8),
    )
    return StoredScores(0, asset_class, "balance", ("load", "flow"), [key for key, _ in rows], time, scores)


def transition(what: Transition, seconds: int = 0, *, incident: str = "i1", **changes: Any) -> AlertEvent:
    """A transition of an incident that fired at START, so many seconds after it."""
    plain = AlertEvent(
        event_id=f"{incident}-{what}-{seconds}",
        incident_id=incident,
        stream=PUMP,
        kind="anomaly",
        sensor="",
        transition=what,
        severity="warning",
        started=START,
        time=START + seconds * 1000,
        recorded=START + seconds * 1000 + 5,
        score=2.5,
        threshold=1.0,
        summary=f"{what} it is",
        top=(SensorFinding("flow", "l/min", 100.0, 110.0, 2.5),) if what is Transition.FIRED else (),
    )
    return replace(plain, **changes)


def letter(number: int, *, reason: str = "not JSON") -> DeadLetter:
    return DeadLetter(START + number, "t", b"payload %d" % number, reason)


def result(
    scores: Sequence[StoredScores] = (),
    events: Sequence[AlertEvent] = (),
    letters: Sequence[DeadLetter] = (),
) -> StepResult:
    return StepResult(list(scores), list(events), list(letters))


def same_scores(one: StoredScores, other: StoredScores) -> bool:
    """Whether two batches say the same; where they lie in the outbox is another matter."""
    said = [(each.asset_class, each.model, each.sensors, each.streams) for each in (one, other)]
    arrays = [
        (one.time, other.time),
        *((getattr(one.rows, name), getattr(other.rows, name)) for name in Scores.__slots__),
    ]
    return said[0] == said[1] and all(
        a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in arrays
    )
