"""Makes the small recordings that the end-to-end tests use: pumps with four sensors that belong together.

A pump's load goes up and down; flow, pressure and temperature follow it. In a faulty pump the pressure falls away
from what the flow says. Run it to look at a recording: `python -m tests.recordings FOLDER`.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np

SENSORS = ("load", "flow", "pressure", "temperature")
WARM_UP = 200  # rows before the recording begins, so that it begins warm
FAULT = (600, 800)  # rows of the faulty stretch


def pump(rows: int, seed: int, *, faulty: bool = False) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """One pump at 1 Hz (rows, 4): load %, flow l/min, pressure kPa, temperature °C."""
    random = np.random.default_rng(seed)
    time = np.arange(-WARM_UP, rows)
    load = 50 + 20 * np.sin(2 * np.pi * time / 90 + seed) + 8 * np.sin(2 * np.pi * time / 37)
    flow = 2.0 * load + 10
    pressure = 100 + 1.5 * load
    temperature = np.empty(len(time))
    warm = 55.0
    for row in range(len(time)):  # a first-order lag behind the load
        warm += (40 + 0.3 * load[row] - warm) / 30
        temperature[row] = warm
    load, flow, pressure, temperature = (each[WARM_UP:] for each in (load, flow, pressure, temperature))
    if faulty:
        pressure[FAULT[0] : FAULT[1]] -= 40
    values = np.stack([load, flow, pressure, temperature], axis=1)  # (rows, 4)
    return values + random.normal(0, [0.5, 1.0, 0.8, 0.1], values.shape)


def write(path: Path, pumps: dict[str, np.ndarray[tuple[int, int], np.dtype[np.float64]]]) -> Path:
    """A CSV file with a column for the asset and one a sensor."""
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["asset", *SENSORS])
        for asset, values in pumps.items():
            out.writerows([asset, *(f"{value:.3f}" for value in row)] for row in values)
    return path


def normal(folder: Path) -> Path:
    """Twelve normal pumps to train on, 900 rows each."""
    return write(folder / "normal.csv", {f"normal-{seed}": pump(900, seed) for seed in range(12)})


def live(folder: Path) -> Path:
    """Two normal pumps and a faulty one that the model has not seen."""
    pumps = {f"pump-{seed}": pump(1000, 100 + seed, faulty=seed == 1) for seed in range(3)}
    return write(folder / "live.csv", pumps)


if __name__ == "__main__":
    print(normal(Path(sys.argv[1])), live(Path(sys.argv[1])))  # noqa: T201 - to be looked at
