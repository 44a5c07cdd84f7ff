"""The simulated fleets that the pretrained model is made of, and those that it is judged on.

Whoever simulates or shows the demo draws from the seed that is given, a small number (0 and 1 by default). What is
here draws from ranges of its own: one to train, one to choose settings of the training by, one to judge.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from simulator.fleet import Fleet
from simulator.recording import Recording
from simulator.records import SENSORS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from monitor.records import Bool

PERIOD_MS = 500
TRAINING_SEEDS = range(7_000_000, 7_000_100)
JUDGING_SEEDS = range(8_000_000, 8_000_100)
CHOOSING_SEEDS = range(9_000_000, 9_000_100)
BLOCK = 600  # ticks simulated at once


@dataclass(frozen=True, slots=True)
class Part:
    """One fleet of the training data."""

    duty: str
    engines: int
    minutes: float
    start: str = "warm"
    stops: float = 0.0  # how much oftener than usual engines are switched off and on again
    after_start_minutes: float | None = None  # only so much after each of these is kept; None: all


# Many engines for a short while rather than few for long, because a model must know how engines differ: with a
# quarter as many it took one engine in ten, in some state that it held for minutes, for a faulty one. What is rare
# in operation is given its own share: cold starts, the minutes after a stop, and the motorway, where full load
# comes now and then.
TRAINING = (
    Part("mixed", engines=400, minutes=8),
    Part("motorway", engines=200, minutes=20),
    Part("plant", engines=160, minutes=8),
    Part("idle", engines=60, minutes=6),
    Part("mixed", engines=400, minutes=7, start="cold"),
    Part("motorway", engines=120, minutes=10, start="cold"),
    Part("plant", engines=120, minutes=7, start="cold"),
    Part("idle", engines=60, minutes=8, start="cold"),
    Part("mixed", engines=300, minutes=60, stops=1, after_start_minutes=4),
    Part("idle", engines=80, minutes=60, stops=1, after_start_minutes=4),
    # What lasts for minutes is calibrated by engines that were watched for long, with starts and stops.
    Part("mixed", engines=80, minutes=100, start="cold", stops=1),
    Part("motorway", engines=40, minutes=100, start="cold", stops=1),
    Part("plant", engines=40, minutes=100, start="cold", stops=1),
    Part("idle", engines=20, minutes=100, start="cold", stops=1),
)


def training_data(parts: Sequence[Part] = TRAINING, *, engines: int | None = None) -> list[Recording]:
    """Normal fleets: a recording for each engine, without the time in which it was off.

    With `engines` only so many of each part are simulated; they are the same as the first of the whole part.
    """
    return [
        made for number, part in enumerate(parts) for made in _recordings(number, part, engines or part.engines)
    ]


def _recordings(number: int, part: Part, engines: int) -> Iterator[Recording]:
    """One part of the training data; an engine of which nothing is kept has no recording."""
    fleet = Fleet(
        engines,
        seed=TRAINING_SEEDS[number],
        duty=part.duty,
        period_ms=PERIOD_MS,
        start=part.start,
        stops=part.stops,
    )
    ticks = round(part.minutes * 60_000 / PERIOD_MS)
    blocks = [fleet.block(min(BLOCK, ticks - begun)) for begun in range(0, ticks, BLOCK)]
    time = np.concatenate([block.time for block in blocks])  # (T,)
    values = np.concatenate([block.values for block in blocks])  # (T, N, C)
    kept = np.concatenate([block.running for block in blocks])  # (T, N)
    if part.after_start_minutes is not None:
        kept &= soon_after_start(kept, round(part.after_start_minutes * 60_000 / PERIOD_MS))
    for engine, name in enumerate(fleet.assets):
        rows = kept[:, engine]
        if rows.any():
            yield Recording(f"{number}-{name}", tuple(SENSORS), time[rows], values[rows, engine])


def soon_after_start(running: Bool, ticks: int) -> Bool:
    """Which ticks (T, N) are less than so many after a switching on that is in the data."""
    begun = running & ~np.concatenate([running[:1], running[:-1]])  # (T, N)
    number = np.arange(len(running))[:, None]  # (T, 1)
    last = np.maximum.accumulate(np.where(begun, number, -ticks), axis=0)  # (T, N)
    soon: Bool = number - last < ticks
    return soon
