"""What the asset's view is told: a chart of it out of the store, the newest rows, and what it comes to now."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from monitor import wording
from monitor.coverage import coverage
from monitor.history import DAY, HOUR
from monitor.page.incident_facts import incident, to_do
from monitor.page.numbers import one, short
from monitor.records import Status

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from monitor.coverage import Coverage, Stretch
    from monitor.history_store import AssetHistory
    from monitor.records import AlertEvent, Float32, StoredScores
    from monitor.store import Store

POINTS, MOST_POINTS = 400, 1_500
SENSORS = 24  # in an answer, where it is not said which
INCIDENTS = 300  # of a range, those that began last
GAPS = 300  # the longest of a range
BATCHES = 200  # looked through for the latest scored rows
LATEST_ROWS = 20  # whose contributions are shown
ROWS_AT_ONCE = 20_000  # of all assets, looked through for the new ones of one
NAMES = [status.name.lower() for status in Status]


@dataclass(frozen=True, slots=True)
class Asked:
    """Which part of an asset's life is asked for."""

    asset: str
    start: int | None  # event time; None = `span` before the end, 0 = all of its history
    end: int | None  # None = what is newest of it
    span: int = HOUR
    points: int = POINTS
    sensors: tuple[str, ...] = ()  # empty = those that say most


def view(
    store: Store,
    asked: Asked,
    *,
    known: Mapping[str, Any] | None,
    units: Mapping[str, str],
    usual: Mapping[str, float],
    now: int,
) -> dict[str, Any] | None:
    """An asset over a range of time; None where there is nothing of it.

    `known` is what the line knows of it now, None where that cannot be had. `usual` is by how much each sensor
    usually deviates from what is expected of it, where the model says so.
    """
    begins = store.asset_begins(asked.asset)
    if known is None and begins is None and not store.find_incidents(1, asset=asked.asset):
        return None
    start, end = bounds(asked, begins, known, now)
    found = store.asset_history(asked.asset, start, end, asked.points)
    latest = _latest(store, asked.asset)
    stretches = store.stretches(min(start, now - DAY), asked.asset)
    waiting = store.find_incidents(INCIDENTS, asset=asked.asset, is_open=True)
    begun = store.find_incidents(INCIDENTS, asset=asked.asset, before=(end, ""))
    within = [each for each in begun if _reaches(each, start)]
    faulty = {at.sensor for at, _, _ in within}
    wanted = asked.sensors or _ranked(found, faulty, latest, usual)[:SENSORS]
    return {
        "asset": asked.asset,
        "name": wording.asset(asked.asset),
        "now": _now(known),
        "open": [{**incident(*each), "to_do": to_do(each[0].kind)} for each in waiting],
        "begins": begins,
        "from": start,
        "to": end,
        "position": found.position,
        "width": found.chart.width,
        "time": found.chart.time.tolist(),
        "score": _scores(found),
        "sensors": [_sensor(found, name, units, usual) for name in wanted if name in found.sensors],
        "others": [
            {"name": name, "words": wording.sensor(name, units.get(name, ""))}
            for name in found.sensors
            if name not in wanted
        ],
        "contributions": latest,
        "incidents": [incident(*each) for each in within],
        "gaps": _gaps(coverage([each for each in stretches if each.end > start], start), end),
        "coverage": _coverage(coverage([each for each in stretches if each.end > now - DAY], now - DAY)),
    }


def bounds(asked: Asked, begins: int | None, known: Mapping[str, Any] | None, now: int) -> tuple[int, int]:
    """From when until when an asset is asked for; a length of time begins with the first row at the earliest."""
    end = asked.end or newest(known, now) + 1
    if asked.start:
        return asked.start, end
    start = end - asked.span if asked.start is None or begins is None else begins
    return min(max(start, begins or start), end - 1), end


def rows_after(store: Store, asset: str, position: int) -> dict[str, Any]:
    """The rows of an asset that came after a position of the outbox, and the position to go on from.

    Where that lies so far back that they are not all in one look, `behind` says so: the chart is to be asked for
    again.
    """
    batches = store.scores_after(position, ROWS_AT_ONCE)
    newest, _ = store.heads()
    at = batches[-1].position if batches else max(position, newest)
    own = [each.where(_of(each, asset)) for each in batches if asset in each.streams]
    time = np.concatenate([each.time for each in own]) if own else np.empty(0, np.int64)
    return {
        "position": at,
        "behind": at < newest and bool(batches),
        "time": time.tolist(),
        "score": short(_joined(own, "score")),
        "threshold": short(_joined(own, "threshold")),
        "status": [NAMES[status] for each in own for status in each.rows.status.tolist()],
        "regime": [each.regimes[number] for each in own for number in each.rows.regime.tolist()],
        "sensors": {
            name: {column: short(_column(own, name, column)) for column in ("actual", "expected", "contribution")}
            for name in dict.fromkeys(name for each in own for name in each.sensors)
        },
    }


def _of(batch: StoredScores, asset: str) -> Any:
    return np.array([stream == asset for stream in batch.streams], np.bool_)


def _joined(batches: Sequence[StoredScores], column: str) -> Float32:
    parts = [getattr(each.rows, column) for each in batches]
    return np.concatenate(parts) if parts else np.empty(0, np.float32)


def _column(batches: Sequence[StoredScores], sensor: str, column: str) -> Float32:
    """A column of one sensor; NaN in rows of a model that has not this sensor."""
    parts = [
        getattr(each.rows, column)[:, each.sensors.index(sensor)]
        if sensor in each.sensors
        else np.full(len(each.streams), np.nan, np.float32)
        for each in batches
    ]
    return np.concatenate(parts)


def newest(known: Mapping[str, Any] | None, now: int) -> int:
    """The event time that charts end at: what is newest of it, so that a plant's own clock counts."""
    newest = None if known is None else known.get("newest")
    return now if newest is None else int(newest)


def _now(known: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """How it stands; null where the line could not be asked."""
    if known is None:
        return None
    names = (
        "class",
        "model",
        "regime",
        "status",
        "heard",
        "newest",
        "threshold",
        "creep",
        "drift",
        "maintenance",
        "never",
    )
    return {name: known.get(name) for name in names}


def _reaches(told: tuple[AlertEvent, str, bool], start: int) -> bool:
    """Whether an incident was not over before a time."""
    at, _, is_open = told
    return is_open or at.time >= start


def _scores(found: AssetHistory) -> dict[str, Any]:
    """The score's part of a chart; null where nothing was scored or judged."""
    trend = found.trend
    there = (trend.rows > 0).tolist()
    status = zip(trend.status.tolist(), there, strict=True)
    return {
        **{name: short(getattr(trend, name)) for name in ("low", "mean", "high", "threshold")},
        "rows": trend.rows.tolist(),
        "scored": trend.scored.tolist(),
        "status": [NAMES[number] if any_rows else None for number, any_rows in status],
    }


def _sensor(
    found: AssetHistory, name: str, units: Mapping[str, str], usual: Mapping[str, float]
) -> dict[str, Any]:
    column, unit = found.sensors.index(name), units.get(name, "")
    return {
        "name": name,
        "words": wording.sensor(name, unit),
        "unit": unit,
        "usual": one(usual.get(name)),
        **{each: short(getattr(found.readings, each)[:, column]) for each in ("low", "mean", "high", "expected")},
    }


def _ranked(
    found: AssetHistory, faulty: Collection[str], latest: Mapping[str, Any] | None, usual: Mapping[str, float]
) -> list[str]:
    """Sensors: those at fault first, then those that have most to do with the latest scores, or deviated most."""
    said = {} if latest is None else {each["name"]: each["contribution"] or 0.0 for each in latest["of"]}
    readings = found.readings
    off = np.abs(np.nan_to_num(readings.mean - readings.expected)).max(axis=0, initial=0)  # (C,)
    furthest = {
        name: value / usual[name] if usual.get(name) else 0.0
        for name, value in zip(found.sensors, off.tolist(), strict=True)
    }

    def order(name: str) -> tuple[bool, float, float, str]:
        return name not in faulty, -said.get(name, 0.0), -furthest[name], name

    return sorted(found.sensors, key=order)


def _latest(store: Store, asset: str) -> dict[str, Any] | None:
    """What each sensor contributes to the latest scores, on the average; null where none is near."""
    rows: list[tuple[int, StoredScores]] = []
    with closing(store.latest_scores()) as newest_first:
        for number, batch in enumerate(newest_first):
            if number >= BATCHES or len(rows) >= LATEST_ROWS or (rows and batch.sensors != rows[0][1].sensors):
                break
            scored = ~np.isnan(batch.rows.score)
            own = [row for row, stream in enumerate(batch.streams) if stream == asset and scored[row]]
            rows += [(row, batch) for row in reversed(own)]
    if not rows:
        return None
    rows = rows[:LATEST_ROWS]
    contribution = np.stack([batch.rows.contribution[row] for row, batch in rows])  # (n, C)
    there = ~np.isnan(contribution)
    mean = np.where(there, contribution, 0).sum(axis=0) / np.maximum(there.sum(axis=0), 1)  # (C,)
    mean[~there.any(axis=0)] = np.nan
    each = sorted(zip(rows[0][1].sensors, mean.tolist(), strict=True), key=lambda pair: -np.nan_to_num(pair[1]))
    return {
        "time": int(max(batch.time[row] for row, batch in rows)),
        "rows": len(rows),
        "of": [{"name": name, "contribution": one(value)} for name, value in each],
    }


def _gaps(found: Sequence[Coverage], end: int) -> list[dict[str, Any]]:
    """The times in which nothing was scored, with the reason; where there are very many, the longest."""
    gaps: list[Stretch] = [gap for each in found for gap in each.gaps if gap.start < end]
    longest = sorted(gaps, key=lambda gap: gap.start - gap.end)[:GAPS]
    return [
        {"from": gap.start, "to": min(gap.end, end), "reason": gap.reason}
        for gap in sorted(longest, key=lambda gap: gap.start)
    ]


def _coverage(found: Sequence[Coverage]) -> dict[str, Any] | None:
    """The share of the last day that was scored; null where nothing is known of it."""
    if not found:
        return None
    day = found[0]
    return {
        "share": one(day.share),
        "share_running": one(day.share_running),
        "reasons": {reason: one(spent / day.total) for reason, spent in day.reasons.items()},
    }
