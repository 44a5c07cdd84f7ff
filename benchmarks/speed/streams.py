"""What many streams cost: a reading of one among many beside one among few, and the memory of each. CPU time.

The model costs nothing here: a real one would hide what grows.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.speed.figures import Figure
from benchmarks.speed.lines import BusyLine

if TYPE_CHECKING:
    from collections.abc import Iterator

MANY, SOME, FEW = 10_000, 1_000, 10
READINGS = 10_000  # each time, of both


def _cost(line: BusyLine) -> float:
    """CPU microseconds a reading."""
    records = list(line.records(READINGS))
    start = time.process_time()
    scored = sum(line.take(record) for record in records)
    taken = time.process_time() - start
    assert scored == READINGS
    return taken / READINGS * 1e6


def _costs(fewer: int, repeats: int) -> Iterator[tuple[float, float]]:
    many, few = (BusyLine(streams, ticks=READINGS // streams * (repeats + 1)) for streams in (MANY, fewer))
    for turn in range(repeats + 1):
        pair = _cost(many), _cost(few)
        if turn:  # the first one warms up
            yield pair


def _memory(repeats: int) -> Iterator[tuple[float, float]]:
    line = BusyLine(FEW, ticks=0)
    for _ in range(repeats):
        yield line.bytes_a_stream()


FIGURES = (
    Figure(
        name="streams",
        ours=f"a reading at {MANY:,} streams with a model that costs nothing, as many readings in a record",
        reference=f"a reading at {FEW} streams",
        unit="CPU microseconds",
        pairs=partial(_costs, FEW),
        more_is_better=False,
        bar=1.2,
        aim=1.0,
    ),
    Figure(
        name="streams, many beside some",
        ours=f"a reading at {MANY:,} streams, as above",
        reference=f"a reading at {SOME:,} streams: where a round has rows enough, and few cost the most",
        unit="CPU microseconds",
        pairs=partial(_costs, SOME),
        more_is_better=False,
        bar=1.2,
        aim=1.0,
    ),
    Figure(
        name="memory",
        ours="all that is kept of a stream beside its raw window, for the shipped model",
        reference="its raw window of 60 ticks and 15 sensors",
        unit="bytes",
        pairs=_memory,
        more_is_better=False,
        bar=2.0,
        aim=1.0,
    ),
)
