"""What the daemon's store holds of a class, as windows of normal running.

Every score row has the values of its tick, scored or not. Left out are the rows in which the asset had an incident
of any kind, and a window's length before it; those that were judged false stay. So are suspect ones, with the same
time before them: as many scores above their threshold as make an incident pending, whatever came of it. A single
one stays, for one in a thousand is normal, and models made without them would know ever less as normal. So are
rows under maintenance and those of a regime that is not scored by the rules of now, whatever the rules were when
they were recorded. A value that no working sensor reports counts as missing. Only ticks that follow each other
without a hole make windows.
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

    Int8 = np.typing.NDArray[np.int8]

MOST_ROWS = 4_000_000  # that are held in memory; the oldest are left out
FALSE = "false"
FOREVER = 2**62
NO_SCORE = np.int8(-1)
NOT_JUDGED_BY = 1.0  # of a row that was scored and not judged: the 99.9 % quantile of normal

Stretch = tuple[int, int]  # event times, ms


@dataclass(frozen=True, slots=True)
class Stored:
    """What was found; N rows together."""

    recordings: list[Recording]  # of each asset the rows of normal running
    runs: list[Run]
    read: int  # rows of the class in the time asked for
    incidents: int  # of them, left out for an incident
    suspect: int  # of the others, left out for scores above the threshold
    resting: int  # of the others, in a regime that is not scored, or under maintenance
    alone: int  # of the others, in no window: fewer ticks follow each other than a window has

    def words(self) -> str:
        """The account in numbers."""
        normal = self.read - self.incidents - self.suspect - self.resting
        suspect = f", {self.suspect} in or before suspect scores" if self.suspect else ""
        resting = f", {self.resting} under maintenance or in a regime that is not scored" if self.resting else ""
        return (
            f"{self.read} rows of {len(self.recordings)} assets in the store, {self.incidents} of them in or"
            f" before an incident{suspect}{resting}; {self.alone} of the other {normal} in no unbroken stretch of"
            " a window's length"
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
        suspect=sum(each.suspect for each in found),
        resting=sum(each.resting for each in found),
        alone=sum(each.alone for each in found),
    )


def _of_one(store: Store, spec: ClassSpec, *, window: int, since_ms: int) -> Stored:
    """The same of one of them."""
    names, code, time, values, above = _rows(store, spec, since_ms)
    _leave_out_of_range(spec, values)
    period_ms = spec.align.period_ms
    stretches: dict[str, list[Stretch]] = {}
    false: dict[str, list[Stretch]] = {}
    for stream, start, end, verdict in store.incident_times():
        began, ended = start - window * period_ms, FOREVER if end is None else end
        (false if verdict == FALSE else stretches).setdefault(stream, []).append((began, ended))
    worked_on: dict[str, list[Stretch]] = {}
    for each in store.stretches(0):
        if each.status == MAINTENANCE:
            worked_on.setdefault(each.asset, []).append((each.start, each.end - 1))
    recordings, runs, incidents, suspect, resting, alone = [], [], 0, 0, 0, 0
    for number, name in enumerate(names):
        rows = np.flatnonzero(code == number)
        _, first = np.unique(time[rows], return_index=True)  # in the order of time
        rows = rows[first]
        tick = time[rows] // period_ms
        earliest = first_ticks(spec.regime, tick, values[rows])
        fine = _outside(time[rows], stretches.get(name, []))
        doubted = _before(tick, _suspect(above[rows], spec.alert.k, spec.alert.n), window)
        doubted &= _outside(time[rows], false.get(name, []))
        rests = (earliest == NO_WINDOW) | ~_outside(time[rows], worked_on.get(name, []))
        incidents += int(np.count_nonzero(~fine))
        suspect += int(np.count_nonzero(fine & doubted))
        fine &= ~doubted
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
    read = sum(len(each.time) for each in recordings) + incidents + suspect + resting
    return Stored(recordings, runs, read, incidents, suspect, resting, alone)


def _rows(store: Store, spec: ClassSpec, since_ms: int) -> tuple[list[str], Int64, Int64, Float32, Int8]:
    """The streams, and of every row (N,) the number of its stream, its time, its values (N, C), and its score.

    Of the score only whether it is above its threshold (1), not (0), or not there (-1).
    """
    number: dict[str, int] = {}
    parts: list[tuple[Int64, Int64, Float32, Int8]] = []
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
        nothing = np.empty((0, len(spec.route.sensors)), np.float32)
        return [], empty, empty, nothing, np.empty(0, np.int8)
    code, time, values, above = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return list(number), code, time, values, above


def _part(stored: StoredScores, lately: Bool, number: dict[str, int]) -> tuple[Int64, Int64, Float32, Int8]:
    code = np.array([number.setdefault(name, len(number)) for name in stored.streams], np.int64)
    score, by = stored.rows.score, stored.rows.threshold
    above = (score > np.where(np.isnan(by), np.float32(NOT_JUDGED_BY), by)).astype(np.int8)
    above[np.isnan(score)] = NO_SCORE
    return code[lately], stored.time[lately], stored.rows.actual[lately], above[lately]


def _suspect(above: Int8, k: int, n: int) -> Bool:
    """Which rows (N,), in the order of time, are above their threshold and one of k in some n scored rows."""
    scored = np.flatnonzero(above != NO_SCORE)
    there = np.concatenate([[0], np.cumsum(above[scored] == 1)])  # (M + 1,)
    last = np.arange(1, len(scored) + 1)
    many = there[last] - there[np.maximum(last - n, 0)] >= k  # (M,) of the n rows that end here
    ahead = np.concatenate([[0], np.cumsum(many)])
    near = (
        ahead[np.minimum(last - 1 + n, len(scored))] > ahead[last - 1]
    )  # such an end is here or in the next n - 1
    found = np.zeros(len(above), np.bool_)
    found[scored[near & (above[scored] == 1)]] = True
    return found


def _before(tick: Int64, suspect: Bool, window: int) -> Bool:
    """Which rows (N,), in the order of time, are suspect, or less than a window's length before one that is."""
    ticks = tick[suspect]
    following = np.searchsorted(ticks, tick)  # the first suspect row that is not before this one
    found = np.zeros(len(tick), np.bool_)
    some = following < len(ticks)
    found[some] = ticks[following[some]] - tick[some] < window
    return found


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
