"""How fast the simulator makes readings, on one core, made and not published.

The whole way is timed: duty, physics, sensors and noise, of a mixed fleet at 2 Hz, block after block, beside plain
normal numbers of the same shape. Time is the process's own, so that other work on the machine counts as neither's;
what it takes from shared caches still does.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.speed.figures import Figure
from simulator.fleet import Fleet
from simulator.records import SENSORS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ENGINES = 1_000
TICKS = 120  # of a block, a minute


def pairs(repeats: int) -> Iterator[tuple[float, float]]:
    """Engine-readings a second of one core: a fleet's, and rows of as many normal numbers."""
    fleet = Fleet(ENGINES)
    generator = np.random.default_rng(0)
    for _ in range(repeats):
        ours = _rate(lambda: fleet.block(TICKS))
        yield ours, _rate(lambda: generator.standard_normal((TICKS, ENGINES, len(SENSORS))))


def _rate(make: Callable[[], object]) -> float:
    begun = time.process_time()
    make()
    return ENGINES * TICKS / (time.process_time() - begun)


FIGURES = (
    Figure(
        name="simulator",
        ours=f"readings made a second of one core, {ENGINES:,} engines of {len(SENSORS)} sensors",
        reference="numpy: as many normal numbers (float64)",
        unit="readings/s",
        pairs=pairs,
        bar=0.05,
        aim=0.2,
    ),
)
