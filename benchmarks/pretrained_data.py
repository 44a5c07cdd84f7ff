"""The simulated fleets that the pretrained model is made of, and those that judge it. Seeds never meet.

The demo and `enginewatch simulate` draw from the seed they are given (1 and 0 by default); training and judgement
draw from the ranges below, which a test holds apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from simulator.fleet import Fleet
from simulator.recording import Recording
from simulator.records import SENSORS

if TYPE_CHECKING:
    from collections.abc import Sequence

PERIOD_MS = 500
TRAINING_SEEDS = range(7_000_001, 7_001_000)
JUDGING_SEEDS = range(8_000_001, 8_001_000)
BLOCK = 600  # ticks simulated at once


@dataclass(frozen=True, slots=True)
class Part:
    """One fleet of the training data."""

    engines: int
    minutes: int
    duty: str = "mixed"
    start: str = "warm"
    stops: float = 0.0  # as of the fleet


# Many engines for a short while rather than few for long: what the model must know is how engines differ.
TRAINING = (
    Part(engines=320, minutes=8),
    Part(engines=80, minutes=10, duty="plant"),
    Part(engines=60, minutes=15, start="cold"),
    Part(engines=40, minutes=20, stops=1.0),
    Part(engines=120, minutes=60, stops=20.0),  # the first windows after a start are rare, and unlike all others
    Part(engines=20, minutes=8, duty="idle"),
)


def training_data(parts: Sequence[Part] = TRAINING) -> list[Recording]:
    """A normal fleet: one recording for each engine, without the time in which it was off."""
    made = []
    for number, part in enumerate(parts):
        fleet = Fleet(
            part.engines,
            seed=TRAINING_SEEDS[number],
            duty=part.duty,
            period_ms=PERIOD_MS,
            start=part.start,
            stops=part.stops,
        )
        ticks = part.minutes * 60_000 // PERIOD_MS
        blocks = [fleet.block(min(BLOCK, ticks - begun)) for begun in range(0, ticks, BLOCK)]
        time = np.concatenate([block.time for block in blocks])  # (T,)
        values = np.concatenate([block.values for block in blocks])  # (T, N, C)
        running = np.concatenate([block.running for block in blocks])  # (T, N)
        made += [
            Recording(f"{number}-{name}", tuple(SENSORS), time[running[:, i]], values[running[:, i], i])
            for i, name in enumerate(fleet.assets)
        ]
    return made
