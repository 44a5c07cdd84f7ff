"""carOBD: a car's engine over OBD-II, drives of minutes to hours, without faults of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from simulator.datasets.recipe import Event, Part, Prepared, Recipe, files_in, part
from simulator.recording import safe_name
from simulator.tables import RecordingError, read_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from monitor.records import Float32
    from simulator.tables import Table

HELD_BACK = 5  # of drives without events, each so many-th is for evaluation where no drive has one
SENSORS = (
    ("ENGINE_RPM", "rpm"),
    ("VEHICLE_SPEED", "km/h"),
    ("THROTTLE", "%"),
    ("ENGINE_LOAD", "%"),
    ("COOLANT_TEMPERATURE", "°C"),
    ("LONG_TERM_FUEL_TRIM_BANK_1", "%"),
    ("SHORT_TERM_FUEL_TRIM_BANK_1", "%"),
    ("INTAKE_MANIFOLD_PRESSURE", "kPa"),
    ("ABSOLUTE_THROTTLE_B", "%"),
    ("PEDAL_D", "%"),
    ("COMMANDED_THROTTLE_ACTUATOR", "%"),
    ("INTAKE_AIR_TEMP", "°C"),
    ("TIMING_ADVANCE", "°"),
    ("CATALYST_TEMPERATURE_BANK1_SENSOR1", "°C"),
    ("CATALYST_TEMPERATURE_BANK1_SENSOR2", "°C"),
    ("CONTROL_MODULE_VOLTAGE", "V"),
    ("COMMANDED_EVAPORATIVE_PURGE", "%"),
)


def _read(paths: Sequence[Path]) -> Prepared:
    tables = [read_table(path) for path in files_in(paths, "*.csv", "drive")]
    events = [event for table in tables if _lists_events(table) for event in _events(table)]
    drives = [drive for table in tables if not _lists_events(table) for drive in _drives(table)]
    if not drives:
        raise RecordingError(f"{', '.join(map(str, paths))}: no file of drives")
    failing = {event.asset for event in events}
    failing |= {name for name, _, label in drives if label.any()}
    if missing := {event.asset for event in events} - {name for name, _, _ in drives}:
        raise RecordingError(f"the events are of drives that are not there: {', '.join(sorted(missing))}")
    notes = []
    if not failing:
        failing = {name for number, (name, _, _) in enumerate(drives) if number % HELD_BACK == HELD_BACK - 1}
        notes.append(f"no drive has an event: {len(failing)} drives are held back to count false alarms on")
    parts: list[Part] = []
    for name, values, label in drives:
        judged = np.full(len(values), name in failing)
        kind = np.full(len(values), "", "U40")
        for event in events:
            if event.asset == name:
                kind[event.start : event.end + 1] = event.kind
        label = np.where(kind != "", 1, label)  # noqa: PLW2901 - the events say more than the column
        kind[(label == 1) & (kind == "")] = "anomaly"
        parts.append(part(name, values, train=~judged, evaluate=judged, label=label, kind=kind))
    return Prepared(SENSORS, 1000, parts, events, notes)


def _lists_events(table: Table) -> bool:
    return {"drive", "start", "end", "kind", "sensor"} <= table.columns.keys()


def _events(table: Table) -> Iterator[Event]:
    names = ("drive", "start", "end", "kind", "sensor")
    for drive, start, end, kind, sensor in zip(*(table.labels(name) for name in names), strict=True):
        yield Event(safe_name(drive), int(start), int(end), kind, sensor)


def _drives(table: Table) -> Iterator[tuple[str, Float32, np.ndarray[tuple[int], np.dtype[np.int64]]]]:
    """Name, values (N, C) and labels (N,) of each drive in a file."""
    # The logger writes its columns as "ENGINE_RPM ()".
    found = {column.removesuffix("()").strip(): column for column in table.columns}
    for name, _ in SENSORS:
        if name not in found:
            raise RecordingError(f"{table.path} has no column {name}: is it a drive of carOBD?")
    values = np.stack([table.numbers(found[name]) for name, _ in SENSORS], axis=1).astype(np.float32)
    label = np.zeros(len(values), np.int64)
    if "anomaly" in table.columns:
        label = (table.numbers("anomaly") > 0).astype(np.int64)
    if "drive" not in table.columns:
        yield safe_name(table.path.stem), values, label
        return
    drives = np.array(table.labels("drive"))
    for name in dict.fromkeys(drives.tolist()):
        rows = drives == name
        yield safe_name(name), values[rows], label[rows]


RECIPE = Recipe(
    name="carobd",
    title="carOBD: a Toyota Etios over OBD-II",
    about="drives, traffic and idling, 27 columns of which 17 are sensors that move",
    files="the folder `obdiidata` of the repository; or one table with a column `drive`, and a CSV of events with "
    "drive,start,end,kind,sensor (rows of the drive)",
    source="github.com/eron93br/carOBD",
    licence="none in a file; its page says free to everyone and asks to be cited",
    period="1 s, without times: the rows of a drive follow each other",
    labels="none of its own; a column `anomaly` or a CSV of events where somebody has put faults in",
    split=f"train on drives without events, judge those with; without any, each {HELD_BACK}th drive is judged",
    window=60,
    sensors=SENSORS,
    uncertain="the period: the files have no clock, and the engine's run time does not advance evenly; units are"
    " those of the OBD-II standard, the files name none",
    read=_read,
)
