"""What the page shows of single runs and events: as few points as can be seen, peaks kept."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from models.events import Event
    from models.evidence import Evidence, RunEvidence

    Float32 = npt.NDArray[np.float32]
    Int64 = npt.NDArray[np.int64]

RUNS = 40  # shown at the most: those with events and those with false alerts first
POINTS = 1_000  # of a score in a run
HEAT_CELLS = 160_000  # of all runs' contributions together
EVENTS = 40  # shown one by one at the most
AROUND = 150  # ticks before and after an event
EVENT_POINTS = 300
SENSORS_SHOWN = 3
DIGITS = 4


def runs(evidence: Evidence) -> list[dict[str, Any]]:
    """The runs that are shown, the most telling first."""
    shown = sorted(evidence.runs, key=_telling)[:RUNS]
    columns = max(30, min(300, HEAT_CELLS // max(1, len(shown) * len(evidence.sensors))))
    return [_run(run, columns) for run in shown]


def _telling(run: RunEvidence) -> tuple[int, int, int]:
    """Found events first, then missed ones, then false incidents."""
    found = sum(delay is not None for delay in run.matched.delay)
    return -found, -len(run.truth.events), -len(run.matched.false)


def _run(run: RunEvidence, columns: int) -> dict[str, Any]:
    tick = run.truth.tick
    starts = _starts(len(tick), POINTS)
    broad = _starts(len(tick), columns)
    false = {(each.fired, each.kind, each.sensor) for each in run.matched.false}
    return {
        "name": run.truth.name,
        "began": run.began_ms,
        "tick": tick[starts].tolist(),
        "score": _highest(run.score, starts),
        "threshold": _highest(run.threshold, starts),
        "heatTick": tick[broad].tolist(),
        "heat": [_highest(run.contribution[:, sensor], broad) for sensor in range(run.contribution.shape[1])],
        "events": [
            {"start": event.start, "end": event.end, "kind": event.kind, "sensor": event.sensor, "delay": delay}
            for event, delay in zip(run.matched.events, run.matched.delay, strict=True)
        ],
        "incidents": [
            {
                "fired": each.fired,
                "cleared": int(tick[-1]) if each.cleared is None else each.cleared,
                "kind": each.kind,
                "sensor": each.sensor or ", ".join(each.named[:1]),
                "false": (each.fired, each.kind, each.sensor) in false,
            }
            for each in run.incidents
        ],
        "unjudged": _unjudged(run),
    }


def _unjudged(run: RunEvidence) -> list[list[int]]:
    """Stretches of ticks (first, last) that are not judged."""
    edges = np.flatnonzero(np.diff((~run.truth.judged).astype(np.int8), prepend=0, append=0))
    tick = run.truth.tick
    return [[int(tick[a]), int(tick[b - 1])] for a, b in zip(edges[::2], edges[1::2], strict=True)]


def events(evidence: Evidence) -> list[dict[str, Any]]:
    """Single events with what was measured and what was expected, found and missed ones in turn."""
    everything = [
        (run, event, delay)
        for run in evidence.runs
        for event, delay in zip(run.matched.events, run.matched.delay, strict=True)
    ]
    seen: Counter[tuple[str, bool]] = Counter()
    ranked = []
    for place, (run, event, delay) in enumerate(everything):
        missed = delay is None
        seen[event.kind, missed] += 1
        ranked.append((seen[event.kind, missed], missed, place, _event(evidence, run, event, delay)))
    return [shown for *_, shown in sorted(ranked, key=lambda each: each[:3])[:EVENTS]]


def _event(evidence: Evidence, run: RunEvidence, event: Event, delay: int | None) -> dict[str, Any]:
    tick = run.truth.tick
    there = np.flatnonzero((tick >= event.start - AROUND) & (tick <= event.end + AROUND))
    inside = (tick >= event.start) & (tick <= event.end)
    largest = np.nan_to_num(run.contribution[inside], nan=0).max(axis=0, initial=0)  # (C,)
    order = np.argsort(-largest, kind="stable").tolist()
    if event.sensor in evidence.sensors:
        own = evidence.sensors.index(event.sensor)
        order = [own, *(sensor for sensor in order if sensor != own)]
    rows = there[:: max(1, -(-len(there) // EVENT_POINTS))]
    return {
        "run": run.truth.name,
        "began": run.began_ms,
        "start": event.start,
        "end": event.end,
        "kind": event.kind,
        "sensor": event.sensor,
        "delay": delay,
        "tick": tick[rows].tolist(),
        "score": _short(run.score[rows]),
        "threshold": _short(run.threshold[rows]),
        "sensors": [
            {
                "name": evidence.sensors[sensor],
                "unit": evidence.units[sensor],
                "actual": _short(run.actual[rows, sensor]),
                "expected": _short(run.expected[rows, sensor]),
                "contribution": float(f"{largest[sensor]:.{DIGITS}g}"),
            }
            for sensor in order[:SENSORS_SHOWN]
        ],
    }


def _starts(count: int, points: int) -> Int64:
    """The first of each of so many groups of rows, or every row where there are fewer."""
    return np.unique(np.linspace(0, count, min(count, points), endpoint=False).astype(np.int64))


def _highest(column: Float32, starts: Int64) -> list[float | None]:
    """The largest value of each group of rows: a peak must not be lost between two points."""
    return _short(np.fmax.reduceat(column, starts))


def _short(column: Float32) -> list[float | None]:
    return [None if math.isnan(value) else float(f"{value:.{DIGITS}g}") for value in column.tolist()]
