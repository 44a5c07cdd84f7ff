"""What the daemon's store holds of a class, as windows of normal running.

Every score row has the values of its tick, scored or not. Left out are the rows in which the asset had an incident
of any kind, and a window's length before it; those that were judged false stay. So are those under maintenance and
those of a regime that is not scored by the rules of now, whatever the rules were when they were recorded. A value
that no working sensor reports counts as missing. Only ticks that follow each other without a hole make windows.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from monitor.commands.recorded_windows import cut
from monitor.coverage import MAINTENANCE
from monitor.regime import NO_WINDOW, first_ticks
from simulator.recording import Recording

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.split import Run
    from monitor.records import Bool, Float32, Int64, StoredScores
    from monitor.spec import ClassSpec
    from monitor.store import Store

MOST_ROWS = 4_000_000  # that are held in memory; the oldest are left out
FALSE = "false"
FOREVER = 2**62

Stretch = tuple[int, int]  # event times, ms


@dataclass(frozen=True, slots=True)
class Stored:
    """What was found; N rows together."""

    recordings: list[Recording]  # of each asset the rows of normal running
    runs: list[Run]
    read: int  # rows of the class in the time asked for
    incidents: int  # of them, left out for an incident
    resting: int  # of the others, in a regime that is not scored, or under maintenance
    alone: int  # of the others, in no window: fewer ticks follow each other than a window has

    def words(self) -> str:
        """The account in numbers."""
        normal = self.read - self.incidents - self.resting
        resting = f", {self.resting} under maintenance or in a regime that is not scored" if self.resting else ""
        return (
            f"{self.read} rows of {len(self.recordings)} assets in the store, {self.incidents} of them in or"
            f" before an incident{resting}; {self.alone} of the other {normal} in no unbroken stretch of a"
            " window's length"
        )


def stored_windows(store: Store, family: Sequence[ClassSpec], *, window: int, since_ms: int) -> Stored:
    """The windows (B, T, C) of a class and its overrides, each by its own ranges and regimes.

    Taken are the last `since_ms` of each, counted from its newest row.
    """
    found = [_of_one(store, spec, window=window, since_ms=since_ms) for spec in family]
    return Stored(
        recordings=[recording for each in found for recording in each.recordings],
        runs=[run for each in found for run in each.runs],
        read=sum(each.read for each in found),
        incidents=sum(each.incidents for each in found),
        resting=sum(each.resting for each in found),
        alone=sum(each.alone for each in found),
    )


def _of_one(store: Store, spec: ClassSpec, *, window: int, since_ms: int) -> Stored:
    """The same of one of them."""
    names, code, time, values = _rows(store, spec, since_ms)
    _leave_out_of_range(spec, values)
    period_ms = spec.align.period_ms
    stretches: dict[str, list[Stretch]] = {}
    for stream, start, end, verdict in store.incident_times():
        if verdict != FALSE:
            began = start - window * period_ms
            stretches.setdefault(stream, []).append((began, FOREVER if end is None else end))
    worked_on: dict[str, list[Stretch]] = {}
    for each in store.stretches(0):
        if each.status == MAINTENANCE:
            worked_on.setdefault(each.asset, []).append((each.start, each.end - 1))
    recordings, runs, incidents, resting, alone = [], [], 0, 0, 0
    for number, name in enumerate(names):
        rows = np.flatnonzero(code == number)
        _, first = np.unique(time[rows], return_index=True)  # in the order of time
        rows = rows[first]
        tick = time[rows] // period_ms
        earliest = first_ticks(spec.regime, tick, values[rows])
        fine = _outside(time[rows], stretches.get(name, []))
        rests = (earliest == NO_WINDOW) | ~_outside(time[rows], worked_on.get(name, []))
        incidents += int(np.count_nonzero(~fine))
        resting += int(np.count_nonzero(fine & rests))
        fine &= ~rests
        rows, tick, earliest = rows[fine], tick[fine], earliest[fine]
        if not len(rows):
            continue
        recordings.append(Recording(name, spec.route.sensors, time[rows], values[rows]))
        for piece in np.split(np.arange(len(rows)), np.flatnonzero(np.diff(tick) != 1) + 1):
            run = None
            if len(piece) >= window:
                run = cut(name, tick[piece], values[rows[piece]], window, earliest[piece])
            if run is not None and len(run.tick):
                runs.append(run)
            else:
                alone += len(piece)
    read = sum(len(each.time) for each in recordings) + incidents + resting
    return Stored(recordings, runs, read, incidents, resting, alone)


def _rows(store: Store, spec: ClassSpec, since_ms: int) -> tuple[list[str], Int64, Int64, Float32]:
    """The streams, and of every row (N,) the number of its stream, its time and its values (N, C)."""
    number: dict[str, int] = {}
    parts: list[tuple[Int64, Int64, Float32]] = []
    newest, count = None, 0
    with closing(store.latest_scores()) as newest_first:
        for stored in newest_first:
            if stored.asset_class != spec.name or stored.sensors != spec.route.sensors:
                continue
            newest = int(stored.time.max()) if newest is None else newest
            lately = stored.time > newest - since_ms
            if not lately.any() or count >= MOST_ROWS:
                break
            parts.append(_part(stored, lately, number))
            count += int(lately.sum())
    if not parts:
        empty = np.empty(0, np.int64)
        return [], empty, empty, np.empty((0, len(spec.route.sensors)), np.float32)
    code, time, values = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return list(number), code, time, values


def _part(stored: StoredScores, lately: Bool, number: dict[str, int]) -> tuple[Int64, Int64, Float32]:
    code = np.array([number.setdefault(name, len(number)) for name in stored.streams], np.int64)
    return code[lately], stored.time[lately], stored.rows.actual[lately]


def _leave_out_of_range(spec: ClassSpec, values: Float32) -> None:
    """What the daemon keeps from the model is not there for training either."""
    if spec.sensor_check is None:
        return
    for column, (lowest, highest) in enumerate(
        zip(spec.sensor_check.lowest, spec.sensor_check.highest, strict=True)
    ):
        part = values[:, column]  # a view
        if lowest is not None:
            part[part < lowest] = np.nan
        if highest is not None:
            part[part > highest] = np.nan


def _outside(time: Int64, stretches: list[Stretch]) -> Bool:
    """Which times (N,) are in none of the stretches."""
    fine = np.ones(len(time), np.bool_)
    for start, end in stretches:
        fine &= (time < start) | (time > end)
    return fine
