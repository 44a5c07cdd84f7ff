"""Recordings -> findings: one class, or several where assets lack sensors. Pure: arrays in, findings out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from monitor.discovery import classes, groups, moments
from monitor.discovery.findings import Findings, Mapping, Question, Series
from monitor.discovery.names import ASSETS, plain
from monitor.discovery.streams import Stream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.discovery.groups import Overlap
    from monitor.records import Float32, Int64

TEMPLATE = "{root}/v1/{site}/{asset}/telemetry"  # where `enginewatch replay` publishes
SITE = "replay"  # and as which site
LOOKED_AT = 1_000  # cells of a column
ROWS = 50_000  # of an asset
A_NAME = 10  # rows that each name stands in, for a column of names
OTHER_NAMES = frozenset(
    ("file", "drive", "run", "experiment", "engine", "pump", "car", "vehicle", "truck", "turbine", "motor", "id")
)


def time_column(columns: dict[str, Sequence[Any]]) -> tuple[str | None, str]:
    """The column that is the time, and why; `columns` are cells as text or numbers."""
    sample = {name: list(cells[:LOOKED_AT]) for name, cells in columns.items()}
    rows = min((len(cells) for cells in sample.values()), default=0)
    found, _ = moments.find({name: cells[:rows] for name, cells in sample.items()}, [0] * rows)
    if found is None or found.time_format in {"us", "ns"}:
        return None, ""
    return found.path, found.reason


def asset_column(columns: dict[str, Sequence[Any]], time: str | None) -> tuple[str | None, str]:
    """The column that holds the assets' names, and why."""
    found = []
    for name, cells in columns.items():
        if name == time:
            continue
        text = isinstance(cells, list) and not any(_numeric(cell) for cell in cells[:LOOKED_AT])
        named = plain(name) in ASSETS | OTHER_NAMES
        distinct = len(set(cells)) if text or named else 0
        if 1 < distinct <= len(cells) / A_NAME and all(str(cell).strip() for cell in cells):
            found.append((named, text, name, distinct))
    if not found:
        return None, ""
    named, _, name, distinct = max(found, key=lambda each: each[:2])
    why = "its name says so" if named else "it holds names, each in many rows"
    return name, f"{name} holds {distinct} names: {why}"


def _numeric(cell: Any) -> bool:
    try:
        float(cell)
    except (TypeError, ValueError):
        return False
    return True


def discover_recordings(
    recordings: Sequence[tuple[str, tuple[str, ...], Int64, Float32]], overlap: Overlap, *, timed: bool
) -> Findings:
    """What recordings say: each is an asset, its columns, times (N,) in epoch ms, values (N, C), NaN = missing.

    `timed` is false where the times were made up, because the file has none.
    """
    mapping = Mapping("json", "event", "ms", "ts")
    streams = []
    for asset, sensors, time, values in recordings:
        stream = Stream(f"{SITE}//{asset}", mapping, {TEMPLATE})
        stream.reasons["recorded rows, as `enginewatch replay` publishes them"] = None
        for index, sensor in enumerate(sensors):
            column = values[-ROWS:, index].astype(np.float64)
            present = ~np.isnan(column)
            if present.any():
                series = Series(time[-ROWS:][present].tolist(), column[present].tolist())
                stream.series[sensor] = series
        if stream.series:
            streams.append(stream)
    grouped = groups.group(streams)
    grouped.sort(key=lambda each: -len(each.streams))
    found, questions = [], []
    for each, chosen in zip(grouped, groups.globs(grouped, overlap), strict=True):
        finding, asked = classes.describe(each, chosen, {})
        if not any(sensor.kept for sensor in finding.sensors):
            continue
        found.append(finding if timed else replace(finding, period_reason="as given: the rows have no time"))
        questions += asked
    if not timed:
        questions.append(Question("the rows have no time: how far apart are they?", "--period-ms, and period_ms"))
    return Findings(
        classes=tuple(found),
        questions=tuple(dict.fromkeys(questions)),
        messages=sum(len(time) for _, _, time, _ in recordings),
        topics=len(recordings),
        span_ms=max((int(time[-1] - time[0]) for _, _, time, _ in recordings if len(time)), default=0),
    )
