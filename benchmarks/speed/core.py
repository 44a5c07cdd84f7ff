"""The pure core without the model, from payload to alert, beside `json.loads` of the same payloads. CPU time."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from benchmarks.speed.figures import Figure
from benchmarks.speed.lines import BusyLine
from monitor.records import Batch

if TYPE_CHECKING:
    from collections.abc import Iterator

STREAMS = 1_000
READINGS = 20_000  # each time


def _pairs(repeats: int) -> Iterator[tuple[float, float]]:
    line = BusyLine(STREAMS, ticks=READINGS // STREAMS * (repeats + 1))
    for turn in range(repeats + 1):
        records = list(line.records(READINGS))
        batches = [record.payload for record in records if isinstance(record.payload, Batch)]
        payloads = [message.payload for batch in batches for message in batch.messages]
        start = time.process_time()
        for payload in payloads:
            json.loads(payload)
        between = time.process_time()
        scored = sum(line.take(record) for record in records)
        end = time.process_time()
        assert scored == READINGS
        if turn:  # the first one warms up
            yield READINGS / (end - between), READINGS / (between - start)


FIGURES = (
    Figure(
        name="core",
        ours=f"the line from payload to alert at {STREAMS:,} streams with a model that costs nothing",
        reference="json.loads of the same payloads",
        unit="readings per CPU second",
        pairs=_pairs,
        bar=1.0,
        aim=2.0,
    ),
)
