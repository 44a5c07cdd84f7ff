"""What is told of an incident: its names, its sensors and its times in words, what operators said. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from monitor.records import AlertEvent, SensorFinding, Transition
from monitor.wording import after

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.records import Command, Scores

TOP_SENSORS = 3


@dataclass(frozen=True, slots=True)
class Moment:
    """What the events of one record have in common."""

    keys: list[str]  # stream keys by stream number
    now: int
    cause: str = ""  # the id of the command that brings an event about


def incident_id(stream: str, kind: str, sensor: str, started: int) -> str:
    """The name of an incident: the same wherever and whenever its readings are processed."""
    return hashlib.sha256(f"{stream}\n{kind}\n{sensor}\n{started}".encode()).hexdigest()[:16]


def words(asked: Command, moment: Moment) -> AlertEvent:
    """The event of a comment or a verdict, about an incident that may be long over."""
    transition = Transition.COMMENTED if asked.action == "comment" else Transition.VERDICT
    return AlertEvent(
        event_id=event_id(asked.incident, transition, moment),
        incident_id=asked.incident,
        stream=asked.asset,
        kind=asked.kind,
        sensor=asked.sensor,
        transition=transition,
        severity=asked.severity or "warning",
        started=asked.started,
        time=moment.now,
        recorded=moment.now,
        score=None,
        threshold=None,
        summary=asked.verdict or asked.why,
        who=asked.who,
        why=asked.why,
    )


def event_id(incident: str, transition: Transition, moment: Moment) -> str:
    """The idempotency key of a transition: the same whenever the same record is processed."""
    text = f"{incident}\n{transition}\n{moment.now}\n{moment.cause}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def compared(finding: SensorFinding) -> str:
    """One sensor in words."""
    return f"{finding.sensor} {finding.actual:.4g}{after(finding.unit)} (expected {finding.expected:.4g})"


def in_regime(regimes: Sequence[str], scores: Scores, row: int) -> str:
    """The operating regime of a row; empty where there is one for all."""
    return regimes[scores.regime[row]] if len(regimes) > 1 else ""


def findings(sensors: Sequence[str], units: Sequence[str], scores: Scores, row: int) -> tuple[SensorFinding, ...]:
    """The sensors that contribute most to a score, and are there to be compared."""
    contribution = np.where(np.isnan(scores.actual[row]), np.nan, scores.contribution[row])
    ranked = np.argsort(-np.nan_to_num(contribution, nan=-1.0), kind="stable")[:TOP_SENSORS]
    return tuple(
        SensorFinding(
            sensors[c],
            units[c],
            float(scores.actual[row, c]),
            float(scores.expected[row, c]),
            float(contribution[c]),
        )
        for c in ranked
        if not np.isnan(contribution[c])
    )


def clock(time: int) -> str:
    """A time as people read it."""
    return datetime.fromtimestamp(time / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
