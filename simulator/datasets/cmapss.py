"""NASA C-MAPSS: simulated turbofans that run until they fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from simulator.datasets.recipe import (
    ANOMALOUS,
    NORMAL,
    NOT_JUDGED,
    Event,
    Prepared,
    Recipe,
    files_in,
    matrix,
    part,
)
from simulator.tables import RecordingError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

HEALTHY = 125  # flights before the end: what is further away counts as healthy, the usual cap in the literature
FAILING = 30  # flights before the end: what is nearer counts as anomalous
TO_JUDGE = 5  # each so many-th engine is for evaluation
COLUMNS = 26
SENSORS = (
    ("altitude", "kft"),
    ("mach", ""),
    ("throttle_resolver_angle", "°"),
    ("T2", "°R"),
    ("T24", "°R"),
    ("T30", "°R"),
    ("T50", "°R"),
    ("P2", "psia"),
    ("P15", "psia"),
    ("P30", "psia"),
    ("Nf", "rpm"),
    ("Nc", "rpm"),
    ("epr", ""),
    ("Ps30", "psia"),
    ("phi", "pps/psi"),
    ("NRf", "rpm"),
    ("NRc", "rpm"),
    ("BPR", ""),
    ("farB", ""),
    ("htBleed", ""),
    ("Nf_dmd", "rpm"),
    ("PCNfR_dmd", "rpm"),
    ("W31", "lbm/s"),
    ("W32", "lbm/s"),
)


def _read(paths: Sequence[Path]) -> Prepared:
    parts, events = [], []
    for path in files_in(paths, "train_FD00*.txt", "run to failure"):
        if path.name.startswith(("test_", "RUL_")):
            raise RecordingError(f"{path} ends before the engines fail: give train_FD00x.txt, which is split here")
        table = matrix(path, COLUMNS)
        for number, unit in enumerate(np.unique(table[:, 0])):
            rows = table[table[:, 0] == unit]
            left = rows[:, 1].max() - rows[:, 1]  # (N,) flights until the end
            label = np.where(left > HEALTHY, NORMAL, np.where(left <= FAILING, ANOMALOUS, NOT_JUDGED))
            judged = np.full(len(rows), number % TO_JUDGE == TO_JUDGE - 1)
            asset = f"{path.stem.removeprefix('train_')}-{int(unit)}"
            parts.append(
                part(
                    asset,
                    rows[:, 2:].astype(np.float32),
                    train=~judged & (label == NORMAL),
                    evaluate=judged,
                    label=label,
                    kind="wear",
                )
            )
            if judged[0]:
                events.append(Event(asset, int(np.argmax(label == ANOMALOUS)), len(rows) - 1, "wear"))
    return Prepared(SENSORS, 1000, parts, events)


RECIPE = Recipe(
    name="cmapss",
    title="NASA C-MAPSS: turbofan engines simulated until they fail",
    about="FD001 to FD004 with 100 to 260 engines each, one row a flight, 3 settings and 21 sensors",
    files="train_FD001.txt (or several of FD001 to FD004, or their folder)",
    source="NASA Prognostics Center of Excellence, data set 6; data.nasa.gov, CMAPSS Jet Engine Simulated Data",
    licence="NASA open data; Saxena et al. 2008 to be cited",
    period="one row a flight; taken as 1 s, so that alerts count flights",
    labels=f"none of its own; more than {HEALTHY} flights before the end counts as healthy, {FAILING} or fewer as"
    " anomalous, what is between is not judged",
    split=f"train on the healthy flights of four fifths of the engines, judge each {TO_JUDGE}th engine",
    window=30,
    sensors=SENSORS,
    uncertain="names and units of the columns are those of the paper; the files have no header",
    read=_read,
)
