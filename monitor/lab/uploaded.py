"""An uploaded CSV file -> the rows of one asset, in the sensors and units of a model."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from config.units import conversion
from monitor.lab.matched import LabError, match
from simulator.recording import MILLISECONDS_FROM, RecordingError, read_recording
from simulator.tables import read_table

if TYPE_CHECKING:
    from pathlib import Path

    from models.artifact import Header
    from monitor.lab.matched import Matched
    from simulator.recording import Recording

MOST_ROWS = 10_000  # of one asset: a row takes the line about a millisecond
LEAST_PERIOD_MS, MOST_PERIOD_MS = 1, 86_400_000
ASSETS_SHOWN = 50


class Uploaded(NamedTuple):
    """What is scored, and what there is to say of it."""

    recording: Recording
    assets: tuple[str, ...]  # all that the file has, the first ones
    timed: bool  # the file says when its rows were, by the calendar
    notes: tuple[str, ...]


def read(
    path: Path,
    header: Header,
    *,
    time: str = "",
    period_ms: int | None = None,
    asset: str = "",
    allow_missing: bool = False,
) -> Uploaded:
    """Read a file; its name is that by which the user knows it. Raises LabError."""
    try:
        table = read_table(path)
        if not len(table.rows):
            raise LabError(f"{path} is empty: it needs a line with the columns' names, and rows")
        sensors = [(sensor.name, sensor.unit) for sensor in header.sensors]
        matched = match(
            str(path), list(table.columns), sensors, conversion, time=time, allow_missing=allow_missing
        )
        if matched.time is None and period_ms is None:
            raise LabError(
                f"{path} has no column of times (time, timestamp, …): name it, or give the time between two rows"
            )
        if period_ms is not None and not LEAST_PERIOD_MS <= period_ms <= MOST_PERIOD_MS:
            raise LabError(f"the time between two rows must be {LEAST_PERIOD_MS} to {MOST_PERIOD_MS} ms")
        found = read_recording(
            [path],
            asset_column=matched.asset,
            time_column=matched.time,
            period_ms=period_ms,
            columns=[f"{sensor}={column}" for sensor, column in matched.columns.items()],
        )
    except RecordingError as error:
        raise LabError(str(error)) from error
    chosen = _chosen(found, asset)
    if len(chosen.time) > MOST_ROWS:
        raise LabError(
            f"{len(chosen.time):,} rows of {chosen.asset}, and at most {MOST_ROWS:,} are taken: cut the file"
        )
    names = tuple(each.asset for each in found)
    timed = matched.time is not None and int(chosen.time[0]) >= MILLISECONDS_FROM
    return Uploaded(_in_order(chosen, header, matched), names[:ASSETS_SHOWN], timed, matched.notes)


def _chosen(found: list[Recording], asset: str) -> Recording:
    """The recording that was asked for, else the first. Raises LabError."""
    if not asset:
        return found[0]
    for each in found:
        if each.asset == asset:
            return each
    names = ", ".join(each.asset for each in found[:ASSETS_SHOWN])
    raise LabError(f"there is no asset {asset} in the file; it has {names}")


def _in_order(recording: Recording, header: Header, matched: Matched) -> Recording:
    """All sensors of the model, in its order and units; NaN for those without a column."""
    names = tuple(sensor.name for sensor in header.sensors)
    values = np.full((len(recording.time), len(names)), np.nan, np.float32)  # (N, C)
    for place, sensor in enumerate(recording.sensors):
        scale, offset = matched.conversions.get(sensor, (1.0, 0.0))
        values[:, names.index(sensor)] = recording.values[:, place] * scale + offset
    return replace(recording, sensors=names, values=values)
