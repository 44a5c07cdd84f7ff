"""A made-up machine with sensors that go together, and one model of it that the tests share."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from models.card import Origin, save_trained
from models.split import Run
from models.training import Trained, TrainingConfig, train

if TYPE_CHECKING:
    from models.artifact import Header
    from monitor.records import Float32

SENSORS = ("speed", "load", "pressure", "temperature", "voltage")
UNITS = ("rpm", "%", "kPa", "°C", "V")
WINDOW = 60
RUNS, ROWS = 20, 300
CONFIG = TrainingConfig(epochs=10, hidden=48, stride=3)  # else the shipped defaults


def signal(rows: int, seed: int) -> Float32:
    """Normal running (N, C): a load that wanders, and what follows from it; the voltage hardly moves."""
    random = np.random.default_rng(seed)
    load = np.convolve(random.normal(size=rows + 40), np.hanning(40), "full")[40 : 40 + rows]
    load = 50 + 35 * np.tanh(load / 4)
    temperature = (
        80 + np.convolve(np.r_[np.full(30, load[0]), load], np.full(30, 1 / 30), "full")[30 : 30 + rows] / 10
    )
    columns = [800 + 20 * load, load, 30 + 0.7 * load, temperature, np.full(rows, 13.8)]
    noise = random.normal(size=(rows, 5)) * [10, 0.5, 0.5, 0.05, 0.05]
    return (np.stack(columns, axis=1) + noise).astype(np.float32)


def windows(values: Float32, length: int = WINDOW) -> Float32:
    """Every window (B, T, C) of rows (N, C)."""
    return sliding_window_view(values, length, axis=0).transpose(0, 2, 1)


def runs(count: int, rows: int, length: int = WINDOW) -> list[Run]:
    """Runs of normal rows, each with a seed of its own."""
    return [
        Run(f"run{seed}", windows(signal(rows, seed), length), np.arange(length - 1, rows))
        for seed in range(count)
    ]


@cache
def trained() -> Trained:
    """The model, trained once."""
    return train(runs(RUNS, ROWS), CONFIG)


def save(folder: Path) -> Header:
    """The model as an artifact in this folder."""
    origin = Origin(
        name="made-up",
        created="2026-01-01T00:00:00+00:00",
        sensors=SENSORS,
        units=UNITS,
        period_ms=1000,
        data_sha256="0" * 64,
        assets=RUNS,
        rows=RUNS * ROWS,
    )
    return save_trained(folder, trained(), CONFIG, origin)


@cache
def _written() -> tuple[Header, dict[str, bytes]]:
    """The artifact's header and files, written once."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        header = save(folder)
        return header, {path.name: path.read_bytes() for path in folder.iterdir()}


def place(folder: Path) -> Header:
    """A copy of the artifact in this folder: what `save` writes, without making it anew."""
    header, files = _written()
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return header
