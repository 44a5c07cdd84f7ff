"""The Tennessee Eastman process: a simulated chemical plant with 20 faults."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from simulator.datasets.recipe import Event, Part, Prepared, Recipe, files_in, matrix, part
from simulator.tables import RecordingError, read_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

PERIOD_MS = 180_000
BEFORE_FAULT = 160  # rows of a test run without its fault: 8 h
BEFORE_FAULT_TRAINING = 20  # the same of a training run: 1 h
TRAINING_ROWS = 500  # of a training run; what is longer is a test run
MEASURED = (
    *(
        "kscmh",
        "kg/h",
        "kg/h",
        "kscmh",
        "kscmh",
        "kscmh",
        "kPa",
        "%",
        "°C",
        "kscmh",
        "°C",
        "%",
        "kPa",
        "m³/h",
        "%",
    ),
    *("kPa", "m³/h", "°C", "kg/h", "kW", "°C", "°C"),
    *("mol%",) * 19,
)
SENSORS = (
    *((f"xmeas_{number}", unit) for number, unit in enumerate(MEASURED, 1)),
    *((f"xmv_{number}", "%") for number in range(1, 12)),
)


def _read(paths: Sequence[Path]) -> Prepared:
    for path in paths:
        if path.suffix.lower() == ".rdata":
            raise RecordingError(
                f"{path}: R's format is not read; write it as CSV or Parquet, for example by pyreadr"
            )
    parts: list[Part] = []
    for path in _files(paths):
        parts += _braatz(path) if path.suffix.lower() == ".dat" else _rieth(path)
    if not any(each.train.any() for each in parts):
        raise RecordingError("no normal run to train on: give d00.dat, or the fault-free training runs, too")
    events = [
        Event(each.asset, int(np.argmax(each.label == 1)), len(each.label) - 1, str(each.kind[-1]))
        for each in parts
        if each.evaluate.any() and (each.label == 1).any()
    ]
    return Prepared(SENSORS, PERIOD_MS, parts, events)


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from files_in([path], "d*.dat", "run")
        else:
            yield from files_in([path], "*", "run")


def _braatz(path: Path) -> list[Part]:
    """d00.dat and d00_te.dat to d21_te.dat: one run each, without a header."""
    match = re.fullmatch(r"d(\d\d)(_te)?", path.stem)
    if match is None:
        raise RecordingError(f"{path}: the name must say the run, as d00.dat or d01_te.dat")
    fault, test = int(match[1]), match[2] is not None
    if fault and not test:
        return []  # a faulty run for classifiers to train on
    try:
        values = matrix(path, len(SENSORS))
    except RecordingError:
        values = matrix(path, TRAINING_ROWS).T  # d00.dat as it is published lies on its side
        if values.shape[1] != len(SENSORS):
            raise
    return [_run(f"d{fault:02d}{'-te' if test else ''}", values.astype(np.float32), fault, train=not test)]


def _rieth(path: Path) -> list[Part]:
    """Columns faultNumber, simulationRun, sample, xmeas_…, xmv_…; many runs."""
    table = read_table(path)
    fault, run = table.present_numbers("faultNumber"), table.present_numbers("simulationRun")
    values = np.stack([table.numbers(name) for name, _ in SENSORS], axis=1).astype(np.float32)
    parts = []
    for number, of in np.unique(np.stack([fault, run], axis=1), axis=0):
        rows = values[(fault == number) & (run == of)]
        train = len(rows) <= TRAINING_ROWS and number == 0
        parts.append(_run(f"{path.stem}-{int(number)}-{int(of)}", rows, int(number), train=train))
    return parts


def _run(
    asset: str, values: np.ndarray[tuple[int, int], np.dtype[np.float32]], fault: int, *, train: bool
) -> Part:
    """A run to train on, or to judge: faulty from some row on."""
    before = BEFORE_FAULT_TRAINING if len(values) <= TRAINING_ROWS else BEFORE_FAULT
    label = ((np.arange(len(values)) >= before) & (fault > 0)).astype(np.int64)
    flag = np.full(len(values), train)
    return part(asset, values, train=flag, evaluate=~flag, label=label, kind=f"fault {fault}")


RECIPE = Recipe(
    name="tennessee-eastman",
    title="The Tennessee Eastman process: a chemical plant, simulated",
    about="41 measurements and 11 manipulated variables, normal running and 20 or 21 faults",
    files="d00.dat and d00_te.dat to d21_te.dat, or their folder; or the fault-free training and faulty testing"
    " runs of Rieth et al. as CSV or Parquet",
    source="github.com/camaramm/tennessee-eastman-profBraatz; Rieth et al. 2017, doi 10.7910/DVN/6C3JR1",
    licence="Rieth et al.: CC0; of the .dat files none is stated",
    period="3 min, without times",
    labels=f"a faulty test run is anomalous from row {BEFORE_FAULT} on (8 h), a training run from row"
    f" {BEFORE_FAULT_TRAINING} on",
    split="train on the normal training run or runs, judge all test runs",
    window=30,
    sensors=SENSORS,
    uncertain="units are those of Downs and Vogel 1993; d00.dat has 500 rows for 52 sensors, which is few",
    read=_read,
)
