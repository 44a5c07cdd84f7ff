"""EngineFaultDB: a spark-ignition engine on a test bench, healthy and with three faults."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from simulator.datasets.recipe import Prepared, Recipe, files_in, part
from simulator.tables import RecordingError, read_table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

HEALTHY = "0"
KINDS = {"1": "rich mixture", "2": "lean mixture", "3": "low voltage"}
TO_JUDGE = 5  # of the healthy blocks, each so many-th is for evaluation
BLOCK = 50  # rows: neighbours are of one operating point, which must not be in both parts row by row
SENSORS = (
    ("MAP", "kPa"),
    ("TPS", "%"),
    ("Force", "N"),
    ("Power", "kW"),
    ("RPM", "rpm"),
    ("Consumption L/H", "l/h"),
    ("Consumption L/100KM", "l/100km"),
    ("Speed", "km/h"),
    ("CO", "%"),
    ("HC", "ppm"),
    ("CO2", "%"),
    ("O2", "%"),
    ("Lambda", ""),
    ("AFR", ""),
)


def _read(paths: Sequence[Path]) -> Prepared:
    parts = []
    for path in files_in(paths, "EngineFaultDB*.csv", "table"):
        table = read_table(path)
        fault = np.array(table.labels("Fault"))  # (N,)
        strange = sorted(set(fault.tolist()) - {HEALTHY, *KINDS})
        if strange:
            raise RecordingError(f"{path}: Fault is {', '.join(strange)}, where it is 0 to 3 in this data set")
        values = np.stack([table.numbers(name) for name, _ in SENSORS], axis=1).astype(np.float32)
        healthy = fault == HEALTHY
        block = (np.cumsum(healthy) - 1) // BLOCK  # of the healthy rows, counted among themselves
        train = healthy & (block % TO_JUDGE != TO_JUDGE - 1)
        kind = np.array([KINDS.get(each, "") for each in fault])
        parts.append(part("bench", values, train=train, evaluate=~train, label=(~healthy).astype(int), kind=kind))
    return Prepared(SENSORS, None, parts)


RECIPE = Recipe(
    name="enginefaultdb",
    title="EngineFaultDB: a spark-ignition engine on a bench, healthy and with three faults",
    about="55,999 rows of 14 variables, 16,000 of them healthy; hardly a time series",
    files="EngineFaultDB_Final.csv",
    source="github.com/Leo-Thomas/EngineFaultDB; Vergara et al. 2023",
    licence="look at the repository's own; none is stated in the file",
    period="none: rows without time, windows of one row",
    labels="`Fault` 0 healthy, 1 rich mixture, 2 lean mixture, 3 low voltage",
    split=f"train on four fifths of the healthy rows, in blocks of {BLOCK}; judge the other fifth and all faults",
    window=1,
    sensors=SENSORS,
    uncertain="the file names no units: MAP is about 3.5 at idle, which is no manifold pressure in kPa, so take"
    " that unit as a label; where it is published, and the names of the faults, come from papers that use it",
    read=_read,
)
