"""What a model makes of rows, through the daemon's own line, in a bounded number of points for a page. Pure."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from monitor import history
from monitor.commands.judged_line import first_tick, through
from monitor.decode import TELEMETRY_TOPIC, ClassRoute
from monitor.false_alarms import NormalRows, false_alarms
from monitor.lab.matched import LabError
from monitor.page.numbers import full, one
from monitor.records import Status
from monitor.spec import LineSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.artifact import Header
    from monitor.commands.judged_line import Outcome, Rows
    from monitor.false_alarms import FalseAlarms
    from monitor.records import Float32, Float64, Model
    from monitor.spec import ClassSpec
    from simulator.recording import Recording

POINTS = 900  # of a chart
SENSORS_SHOWN = 40  # those that contribute most
MOST_INCIDENTS = 100
FLOORS = 41
LOWEST_FLOOR = 0.25
ABOUT = 1.0001  # a threshold that is no more than this times the floor stands at the floor
EDGES = np.geomspace(0.03, 100.0, 65)  # of the distribution's bins; what lies outside is in the first or last
QUANTILES = re.compile(r"^Score on the third part, by quantile: ([^\n]+)", re.MULTILINE)
QUANTILE = re.compile(r"([\d.]+) %: ([\d.]+)")


def plain_line(spec: ClassSpec) -> LineSpec:
    """The line of a class that takes sensors by their names and in their units, whatever its plant publishes."""
    route = ClassRoute(sensors=spec.route.sensors, topics=(TELEMETRY_TOPIC,))
    return LineSpec("lab", 1, (replace(spec, route=route),))


def floors_of(spec: ClassSpec) -> Float64:
    """The floors (K,) that are tried, in order: up to the cap, and the one that is set among them."""
    made = np.geomspace(LOWEST_FLOOR, max(spec.threshold.cap, spec.threshold.floor), FLOORS)
    return np.unique(np.append(np.round(made, 3), spec.threshold.floor))


def score(recording: Recording, spec: ClassSpec, model: Model) -> Outcome:
    """One recording through the line of a class. Raises LabError where nothing of it is scored."""
    (outcome,) = through([recording], plain_line(spec), {spec.model_hash: model})
    status = outcome.rows.status
    if not (status == Status.SCORED).any():
        counts = np.bincount(status, minlength=len(Status))
        why = ", ".join(f"{count} {_word(number)}" for number, count in enumerate(counts.tolist()) if count)
        raise LabError(
            f"none of {len(recording.time)} rows could be scored ({why or 'no tick closed'}): the model takes"
            f" windows of {spec.window.length} ticks of {spec.align.period_ms} ms"
        )
    return outcome


def told(recording: Recording, outcome: Outcome, spec: ClassSpec, header: Header) -> dict[str, Any]:
    """The scores, sensors and incidents of a recording, for charts."""
    period = spec.align.period_ms
    rows, beginning = outcome.rows, first_tick(recording, period) * period
    time = beginning + rows.tick * period  # (B,)
    records = _records(rows, time)
    chart = history.grid(int(time[0]), int(time[-1]) + period, POINTS, period)
    trend = history.trend(history.scores_of(records), chart)
    readings = history.readings(history.sensors_of(records), chart)
    counts = np.bincount(rows.status, minlength=len(Status)).tolist()
    return {
        "asset": recording.asset,
        "rows": len(recording.time),
        "period_ms": period,
        "status": {_word(number): count for number, count in enumerate(counts) if count},
        "chart": {
            "time": chart.time.tolist(),
            "width_ms": chart.width,
            "low": full(trend.low),
            "mean": full(trend.mean),
            "high": full(trend.high),
            "threshold": full(trend.threshold),
        },
        "sensors": _sensors(rows, time, readings, header),
        "incidents": [
            {
                "kind": each.kind,
                "sensor": each.sensor,
                "fired": beginning + each.fired * period,
                "cleared": None if each.cleared is None else beginning + each.cleared * period,
                "named": list(each.named),
            }
            for each in outcome.incidents[:MOST_INCIDENTS]
        ],
    }


def _records(rows: Rows, time: Any) -> history.Records:
    """Score rows as the history has them."""
    made = np.empty(len(time), history.rows_type(rows.actual.shape[1]))
    made["time"] = time
    for name in ("status", "score", "threshold", "actual", "expected"):
        made[name] = getattr(rows, name)
    return made


def _sensors(rows: Rows, time: Any, readings: history.Readings, header: Header) -> list[dict[str, Any]]:
    """Every sensor, actual and expected, with the most that it contributed and when; the largest first."""
    contribution = np.where(np.isnan(rows.contribution), -1.0, rows.contribution)  # (B, C)
    at = contribution.argmax(axis=0)  # (C,)
    peak = contribution[at, np.arange(contribution.shape[1])]  # (C,)
    return [
        {
            "name": header.sensors[c].name,
            "unit": header.sensors[c].unit,
            "peak": None if peak[c] < 0 else round(float(peak[c]), 4),
            "peak_time": None if peak[c] < 0 else int(time[at[c]]),
            "low": full(readings.low[:, c]),
            "mean": full(readings.mean[:, c]),
            "high": full(readings.high[:, c]),
            "expected": full(readings.expected[:, c]),
        }
        for c in np.argsort(-peak, kind="stable")[:SENSORS_SHOWN].tolist()
    ]


def as_normal(spec: ClassSpec, rows: Rows) -> NormalRows:
    """The judged ones of score rows, for what floors would make of them."""
    judged = np.flatnonzero((rows.status == Status.SCORED) & ~np.isnan(rows.threshold))  # (M,)
    levels = np.array(spec.threshold.regime_levels or (1.0,), np.float32)
    level = levels[np.minimum(rows.regime[judged], len(levels) - 1)]
    by, rests = rows.threshold[judged], np.cumsum(rows.status == Status.REGIME)[judged]
    return NormalRows(
        tick=rows.tick[judged],
        score=rows.score[judged],
        least=np.where(by > spec.threshold.floor * level * ABOUT, by, 0).astype(np.float32),
        level=level,
        rested=np.diff(rests, prepend=rests[:1]) > 0,
    )


def floors_tried(
    spec: ClassSpec, outcome: Outcome, stored: Sequence[Sequence[NormalRows]], *, healthy: bool
) -> dict[str, Any]:
    """What each floor would bring: here, and of false alarms where assets were well.

    `stored` is what the store holds of each asset; where that is nothing, rows that are known to be `healthy` say
    it themselves.
    """
    floors, rule = floors_of(spec), spec.alert
    own = as_normal(spec, outcome.rows)
    here = false_alarms([own], rule, floors)
    told: dict[str, Any] = {
        "floor": spec.threshold.floor,
        "floors": floors.tolist(),
        "here": here.incidents.tolist(),
        "distribution": {
            "edges": np.round(EDGES, 5).tolist(),
            "here": distribution(own.score),
            "normal": None,
        },
        "false_alarms": None,
    }
    pieces = [piece for asset in stored for piece in asset]
    if pieces:
        scores = np.concatenate([piece.score for piece in pieces])
        predicted = false_alarms(pieces, rule, floors, ticks_a_row=spec.window.stride)
        told["false_alarms"] = _predicted(predicted, "stored", len(stored), len(scores))
        told["distribution"]["normal"] = distribution(scores)
    elif healthy:
        predicted = false_alarms([own], rule, floors, ticks_a_row=spec.window.stride)
        told["false_alarms"] = _predicted(predicted, "sample", 1, len(own.tick))
    return told


def _predicted(found: FalseAlarms, source: str, assets: int, rows: int) -> dict[str, Any]:
    bounds = [found.bounds(number) for number in range(len(found.floors))]
    return {
        "source": source,
        "assets": assets,
        "rows": rows,
        "days": found.days,
        "incidents": found.incidents.tolist(),
        "a_day": full(found.a_day),
        "at_least": [one(low) for low, _ in bounds],
        "at_most": [one(high) for _, high in bounds],
    }


def distribution(scores: Float32) -> list[int]:
    """How many scores lie in each bin."""
    inside = np.clip(scores, EDGES[0], np.nextafter(EDGES[-1], 0))
    return [int(count) for count in np.histogram(inside, EDGES)[0]]


def quantiles_of_training(card: str) -> list[tuple[float, float]]:
    """Share and score of the quantiles of held-out normal windows that a card tells; none where it does not.

    >>> quantiles_of_training("Score on the third part, by quantile: 50 %: 0.241, 99.9 %: 0.582. A score of 1 …")
    [(0.5, 0.241), (0.999, 0.582)]
    """
    line = QUANTILES.search(card)
    found = QUANTILE.findall(line[1]) if line else []
    return [(round(float(share) / 100, 6), float(value.rstrip("."))) for share, value in found]


def _word(status: int) -> str:
    return Status(status).name.lower()
