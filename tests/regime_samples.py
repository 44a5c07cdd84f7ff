"""A made-up machine that idles, runs and runs hot, and regimes of its sensors that are written by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from models.regimes import Regime, Regimes
from models.split import Run

if TYPE_CHECKING:
    from monitor.records import Float32

WINDOW = 30
SENSORS = ("speed", "heat", "noise")
# Speed and heat of each; the third sensor says nothing.
CENTERS = ((800.0, 60.0, 0.0), (2000.0, 60.0, 0.0), (2000.0, 90.0, 0.0))
DEVIATION = (40.0, 1.5, 1.0)

IDLE = Regime("speed low", 0.5, (800.0,), ((1600.0,),), 6.0, 400, 0.8)
RUN = Regime("speed high", 0.5, (2000.0,), ((1600.0,),), 6.0, 400, 1.5)
TWO = Regimes(sensors=(0,), smooth=1, dwell=3, of=(IDLE, RUN))


def states(rows: int, seed: int, kinds: int = 3) -> tuple[Float32, list[int]]:
    """Normal rows (N, 3), and in which state the machine was at each; it stays for 100 to 300 ticks."""
    random = np.random.default_rng(seed)
    state: list[int] = []
    while len(state) < rows:
        other = [each for each in range(kinds) if not state or each != state[-1]]
        state += [int(random.choice(other))] * int(random.integers(100, 300))
    values = np.array(CENTERS)[state[:rows]] + random.normal(size=(rows, 3)) * DEVIATION
    return values.astype(np.float32), state[:rows]


def run_of(values: Float32, name: str = "machine", window: int = WINDOW) -> Run:
    """Rows (N, C) that follow each other, as every window of them."""
    windows = sliding_window_view(values, window, axis=0).transpose(0, 2, 1)
    return Run(name, windows, np.arange(window - 1, len(values)))
