"""What the daemon's store holds of assets that were well, as rows for `monitor.false_alarms`.

Left out is the time in which an asset had an incident that was judged real, or one of a sensor that was not judged
false, with a window's length before it; and maintenance. Incidents without a verdict stay: they count as false
alarms. Rows without a score are no data; they only say whether the machine rested.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from monitor.coverage import MAINTENANCE
from monitor.false_alarms import NormalRows
from monitor.records import Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.records import Bool, Float32, Int32, Int64, StoredScores, UInt8
    from monitor.spec import ClassSpec
    from monitor.store import Store

MOST_ROWS = 16_000_000  # that are held in memory, three asset-months at 2 Hz; the oldest are left out
REAL, FALSE = "real", "false"
FOREVER = 2**62
SAME = 0.01  # a threshold that stands still for this share of an asset's rows was a floor, or the cap

Stretch = tuple[int, int]  # event times, ms


@dataclass(frozen=True, slots=True)
class Found:
    """What was found of one description of a class."""

    assets: dict[str, list[NormalRows]]  # what lies on both sides of a time that was left out is two
    read: int = 0  # scored rows
    real: int = 0  # of them, left out for an incident that was real
    sensor: int = 0  # of the others, for a faulty sensor
    maintenance: int = 0  # of the others
    more: bool = False  # there are older rows than were read


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows (N,) of a class, in the order in which they were stored, the latest batch first."""

    names: list[str]
    code: Int32  # the number of each row's asset
    time: Int64
    status: UInt8
    score: Float32
    threshold: Float32
    level: Float32
    more: bool


def normal_rows(store: Store, spec: ClassSpec, most: int = MOST_ROWS) -> Found | None:
    """The rows of a class, or of one of its overrides, by its model of now; None where there is none.

    Of about `most` rows, the newest.
    """
    rows = _read(store, spec, most)
    if rows is None:
        return None
    before = spec.window.length * spec.align.period_ms
    real, sensor, worked_on = _left_out(store, before)
    assets: dict[str, list[NormalRows]] = {}
    counts = np.zeros(4, np.int64)
    order = np.lexsort((rows.time, rows.code))
    begins = np.searchsorted(rows.code[order], np.arange(len(rows.names) + 1))
    for number, name in enumerate(rows.names):
        own = order[begins[number] : begins[number + 1]]
        _, first = np.unique(rows.time[own], return_index=True)
        own = own[first]
        time, scored = rows.time[own], (rows.status[own] == Status.SCORED) & ~np.isnan(rows.threshold[own])
        why = np.select(
            [_inside(time, given.get(name, [])) for given in (real, sensor, worked_on)], [1, 2, 3], 0
        )  # (N,)
        counts += np.bincount(why[scored], minlength=4)
        parts = _parts(rows, own, spec, scored, why > 0)
        if parts:
            assets[name] = parts
    return Found(
        assets=assets,
        read=int(counts.sum()),
        real=int(counts[1]),
        sensor=int(counts[2]),
        maintenance=int(counts[3]),
        more=rows.more,
    )


def _parts(rows: _Rows, own: Int64, spec: ClassSpec, scored: Bool, left_out: Bool) -> list[NormalRows]:
    """The rows of an asset that are scored and normal, parted where rows were left out."""
    rests = np.cumsum(rows.status[own] == Status.REGIME)  # (N,)
    part = np.cumsum(left_out)  # (N,)
    kept = np.flatnonzero(scored & ~left_out)
    if not len(kept):
        return []
    asked, level = rows.threshold[own[kept]], rows.level[own[kept]]
    least = np.where(_stands_still(asked / level), np.float32(0), asked)
    rested = np.diff(rests[kept], prepend=rests[kept[:1]]) > 0
    tick = rows.time[own[kept]] // spec.align.period_ms
    score = rows.score[own[kept]]
    cuts = np.flatnonzero(np.diff(part[kept])) + 1
    columns = (tick, score, least, level, rested)
    return [NormalRows(*each) for each in zip(*(np.split(column, cuts) for column in columns), strict=True)]


def _stands_still(threshold: Float32) -> Bool:
    """Which thresholds (N,) were a floor, of now or before, or the cap: recent scores never ask for the same."""
    _, inverse, counts = np.unique(threshold, return_inverse=True, return_counts=True)
    still: Bool = counts[inverse] >= max(2, SAME * len(threshold))
    return still


def _read(store: Store, spec: ClassSpec, most: int) -> _Rows | None:
    number: dict[str, int] = {}
    parts: list[tuple[Int32, Int64, UInt8, Float32, Float32, Float32]] = []
    count, more = 0, False
    with closing(store.latest_scores()) as newest_first:
        for stored in newest_first:
            if stored.asset_class != spec.name or stored.model != spec.model:
                continue
            if count >= most:
                more = True
                break
            parts.append(_part(stored, spec, number))
            count += len(stored.streams)
    if not parts:
        return None
    code, time, status, score, threshold, level = (np.concatenate(column) for column in zip(*parts, strict=True))
    return _Rows(list(number), code, time, status, score, threshold, level, more)


def _part(
    stored: StoredScores, spec: ClassSpec, number: dict[str, int]
) -> tuple[Int32, Int64, UInt8, Float32, Float32, Float32]:
    code = np.array([number.setdefault(name, len(number)) for name in stored.streams], np.int32)
    levels = dict(zip(spec.regime.names, spec.threshold.regime_levels, strict=False))
    level = np.array([levels.get(name, 1.0) for name in stored.regimes], np.float32)[stored.rows.regime]
    rows = stored.rows
    return code, stored.time, rows.status, rows.score, rows.threshold, level


def _left_out(store: Store, before: int) -> tuple[dict[str, list[Stretch]], ...]:
    """When each asset had real incidents, faulty sensors, and maintenance."""
    real: dict[str, list[Stretch]] = {}
    sensor: dict[str, list[Stretch]] = {}
    with closing(store.incidents()) as incidents:
        for incident, verdict, is_open in incidents:
            stretch = (incident.started - before, FOREVER if is_open else incident.time)
            if verdict == REAL:
                real.setdefault(incident.stream, []).append(stretch)
            elif incident.kind.startswith("sensor_") and verdict != FALSE:
                sensor.setdefault(incident.stream, []).append(stretch)
    worked_on: dict[str, list[Stretch]] = {}
    for each in store.stretches(0):
        if each.status == MAINTENANCE:
            worked_on.setdefault(each.asset, []).append((each.start, each.end - 1))
    return real, sensor, worked_on


def _inside(time: Int64, stretches: Sequence[Stretch]) -> Bool:
    """Which times (N,) are in one of the stretches."""
    inside = np.zeros(len(time), np.bool_)
    for start, end in stretches:
        inside |= (time >= start) & (time <= end)
    return inside
