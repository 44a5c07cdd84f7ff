"""Recorded runs with what is known of their rows: labels out of a column, events out of a file."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

from models.evaluation import Truth
from models.events import Event
from models.vus import stretches
from monitor.cli import UserError
from monitor.commands.judged_line import first_tick
from simulator.recording import RecordingError, row_times, safe_name
from simulator.tables import read_table

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from monitor.commands.selection import Marked
    from monitor.records import Bool, Float32, Int64
    from simulator.recording import Recording

FOREVER = 2**62  # ms: the end of an event that did not end


def truth_of(
    marked: Sequence[Marked],
    normal: Sequence[Bool],
    options: argparse.Namespace,
    period_ms: int,
) -> list[Truth]:
    """What is known of each run by its ticks. Raises UserError where nothing can be judged by it."""
    written = read_events(options, [each.recording for each in marked], period_ms) if options.events else None
    kinds = {value for each in marked for value in _values(each, options.label)}
    truths = []
    for each, taken in zip(marked, normal, strict=True):
        tick, first = _ticks(each.recording, period_ms)
        judged = np.logical_and.reduceat(~taken, first) if len(tick) else np.zeros(0, np.bool_)
        events = list(written.get(each.recording.asset, ())) if written is not None else None
        if options.label:
            mark = each.marks[options.label]  # (N,)
            known = np.maximum.reduceat(np.nan_to_num(mark, nan=-np.inf), first) if len(tick) else mark
            judged &= known > -np.inf
            anomalous = (known != 0) & (known > -np.inf)
        else:
            known = np.zeros(len(tick), np.float32)
            anomalous = np.zeros(len(tick), np.bool_)
            for event in events or ():
                anomalous |= (event.start <= tick) & (tick <= event.end)
        if events is None:
            events = _stretches(tick, anomalous, known, many=len(kinds) > 1)
        there = tuple(event for event in events if _judged_at(event, tick, judged))
        truths.append(Truth(each.recording.asset, tick, anomalous, judged, there))
    return truths


def _ticks(recording: Recording, period_ms: int) -> tuple[Int64, Int64]:
    """The ticks (M,) of a run's rows, counted from its first, and the first row of each."""
    if not len(recording.time):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    tick, first = np.unique(recording.time // period_ms - first_tick(recording, period_ms), return_index=True)
    return tick, first


def _values(each: Marked, label: str | None) -> set[float]:
    """The labels other than 0."""
    if not label:
        return set()
    mark = each.marks[label]
    return {float(value) for value in np.unique(mark) if value and not math.isnan(value)}


def _stretches(tick: Int64, anomalous: Bool, known: Float32, *, many: bool) -> list[Event]:
    """An event for each stretch of anomalous rows; several labels are several kinds."""
    return [
        Event(int(tick[start]), int(tick[end]), f"label {known[start]:g}" if many else "")
        for start, end in zip(*stretches(anomalous), strict=True)
    ]


def _judged_at(event: Event, tick: Int64, judged: Bool) -> bool:
    """Whether the event begins in judged rows."""
    place = np.searchsorted(tick, event.start)
    return bool(place < len(tick) and judged[place])


def read_events(
    options: argparse.Namespace, recordings: Sequence[Recording], period_ms: int
) -> Mapping[str, list[Event]]:
    """The events of each run, in ticks of the run, out of a file with a row for each. Raises UserError.

    A CSV or Parquet file has the run in a column that is called as in the recordings (or `asset`), `start` and
    `end`, both included, and `kind` and `sensor` where they are known. Start and end are rows of the run from 0
    on, or times where the recordings have some. What `enginewatch simulate --truth` writes is read as well.
    """
    try:
        written = (
            _from_simulator(options.events)
            if options.events.suffix == ".json"
            else _from_table(
                options.events, options.asset_column or "asset", timed=options.time_column is not None
            )
        )
    except RecordingError as error:
        raise UserError(str(error)) from error
    by_name = {each.asset: each for each in recordings}
    timed = options.time_column is not None
    found: dict[str, list[Event]] = {}
    for each in written:
        recording = by_name.get(each.run)
        if recording is not None:
            found.setdefault(each.run, []).append(_in_ticks(each, recording, period_ms, timed=timed))
        elif not options.assets:  # else it may be one of those that were left out
            raise UserError(f"{each.place}: {each.run} is none of the {len(recordings)} recorded runs")
    return {run: sorted(events, key=lambda event: event.start) for run, events in found.items()}


class _Written(NamedTuple):
    """An event as it stands in a file."""

    place: str
    run: str
    start: int  # row, or epoch ms
    end: int
    kind: str
    sensor: str


def _from_table(path: Path, column: str, *, timed: bool) -> list[_Written]:
    table = read_table(path)
    runs = [safe_name(name) for name in table.labels(column)]
    start, end = (
        row_times(table, name) if timed else table.present_numbers(name).astype(np.int64)
        for name in ("start", "end")
    )
    kinds, sensors = (
        [str(cell).strip() for cell in table.columns.get(name, [""] * len(runs))] for name in ("kind", "sensor")
    )
    return [
        _Written(f"{path}, {table.row_name} {table.rows[row]}", run, int(start[row]), int(end[row]), kind, sensor)
        for row, (run, kind, sensor) in enumerate(zip(runs, kinds, sensors, strict=True))
    ]


def _from_simulator(path: Path) -> list[_Written]:
    try:
        truth = msgspec.json.decode(path.read_bytes(), type=_Truth)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise UserError(f"{path} is not what `enginewatch simulate --truth` writes: {error}") from error
    return [
        _Written(
            str(path),
            each.asset,
            each.start,
            FOREVER if each.end is None else each.end - 1,
            each.kind,
            each.sensor or "",
        )
        for each in truth.faults
    ]


class _Fault(msgspec.Struct):
    asset: str
    kind: str
    start: int
    end: int | None = None
    sensor: str | None = None


class _Truth(msgspec.Struct):
    """What the simulator knows of its faults."""

    faults: list[_Fault]


def _in_ticks(written: _Written, recording: Recording, period_ms: int, *, timed: bool) -> Event:
    """An event by the ticks of its run. Raises UserError where it cannot be one of that run."""
    if written.end < written.start:
        raise UserError(f"{written.place}: the event of {written.run} ends before it starts")
    if not timed:
        last = len(recording.time) - 1
        if not 0 <= written.start <= last:
            raise UserError(
                f"{written.place}: {written.run} has rows 0 to {last}, none of them is {written.start}"
            )
        return Event(written.start, min(written.end, last), written.kind, written.sensor)
    begin, end = int(recording.time[0]), int(recording.time[-1])
    if written.start > end or written.end < begin:
        raise UserError(f"{written.place}: {written.run} was not recorded at the time of its event")
    first = first_tick(recording, period_ms)
    start = max(written.start, begin) // period_ms - first
    return Event(start, min(written.end, end) // period_ms - first, written.kind, written.sensor)
