"""SKAB: a rig with a water pump, 34 experiments in which something is made to go wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from simulator.datasets.recipe import NOT_JUDGED, Event, Part, Prepared, Recipe, files_in, part, stretches
from simulator.recording import safe_name
from simulator.tables import RecordingError, read_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from simulator.tables import Table

TRAINING_ROWS = 400  # the first of each experiment, as in the publishers' own benchmark
SENSORS = (
    ("Accelerometer1RMS", "g"),
    ("Accelerometer2RMS", "g"),
    ("Current", "A"),
    ("Pressure", "bar"),
    ("Temperature", "°C"),
    ("Thermocouple", "°C"),
    ("Voltage", "V"),
    ("Volume Flow RateRMS", "l/min"),
)


def _read(paths: Sequence[Path]) -> Prepared:
    parts: list[Part] = []
    events: list[Event] = []
    notes: list[str] = []
    for path in files_in(paths, "*.csv", "experiment"):
        table = read_table(path)
        if "anomaly" not in table.columns:
            notes.append(f"{path} has no labels: left out; the benchmark trains on the beginnings alone")
            continue
        for asset, rows in _experiments(table, path):
            values = np.stack([table.numbers(name)[rows] for name, _ in SENSORS], axis=1).astype(np.float32)
            time = table.iso_times("datetime")[rows]  # (N,)
            label = np.where(np.arange(len(time)) < TRAINING_ROWS, NOT_JUDGED, table.numbers("anomaly")[rows] > 0)
            train = np.arange(len(time)) < TRAINING_ROWS
            kind = asset.rpartition("-")[0] or "anomaly"
            everything = np.ones(len(time), np.bool_)
            parts.append(part(asset, values, train=train, evaluate=everything, label=label, kind=kind, time=time))
            events += [Event(asset, int(time[a]), int(time[b]), kind) for a, b in stretches(label == 1)]
    if not parts:
        raise RecordingError(f"{', '.join(map(str, paths))}: no file has a column anomaly")
    return Prepared(SENSORS, 1000, parts, events, notes)


def _experiments(table: Table, path: Path) -> Iterator[tuple[str, np.ndarray[tuple[int], np.dtype[np.int64]]]]:
    """Name and rows of each experiment: by the column `file` of a joined table, else the whole file."""
    if "file" not in table.columns:
        yield safe_name(f"{path.parent.name}/{path.stem}"), np.arange(len(table.rows))
        return
    labels = np.array(table.labels("file"))
    for name in dict.fromkeys(labels.tolist()):
        yield safe_name(name), np.flatnonzero(labels == name)


RECIPE = Recipe(
    name="skab",
    title="SKAB, the Skoltech Anomaly Benchmark: a water pump rig",
    about="34 experiments of some 20 minutes, 8 sensors; valves are closed, the rotor is unbalanced, water leaks",
    files="the folder `data` of the repository (valve1, valve2, other), or one CSV of all with a column `file`",
    source="github.com/waico/SKAB; Kaggle DOI 10.34740/KAGGLE/DSV/1693952",
    licence="GPL-3.0 (of the repository)",
    period="1 s, with times",
    labels="`anomaly` 0 or 1 for every row; the kind is the folder: valve1, valve2, other",
    split=f"train on the first {TRAINING_ROWS} rows of each experiment, judge the rows after them",
    window=20,
    sensors=SENSORS,
    uncertain="units as the repository's page describes the sensors in words; accelerations are taken as g",
    read=_read,
)
