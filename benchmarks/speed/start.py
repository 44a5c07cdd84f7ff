"""From the start of the process until it says that it is ready, with a checkpoint of ten thousand warm streams.

Ready is what `/readyz` says: the checkpoint is loaded, all threads go on and the broker is heard. Beside it stands
how long it takes to read the same bytes from the disk, when the kernel does not hold them: what the daemon's start
would take, were it nothing but that. Before either of them the kernel is told to forget the file.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from benchmarks.speed.figures import Figure
from benchmarks.speed.many import STREAMS, many
from monitor import checkpoint

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


LOOKS_S = 0.02  # each look costs the daemon an answer


def pairs(repeats: int) -> Iterator[tuple[float, float]]:
    """Seconds: the daemon's to ready, and those of reading its checkpoint."""
    with many() as (_, daemon, _plant):
        for _ in range(repeats):
            path = checkpoint.saved(daemon.state)[0]
            _forget(path)
            began = time.perf_counter()
            daemon.start()
            daemon.until(daemon.ready, LOOKS_S)
            ours = time.perf_counter() - began
            daemon.stop()
            path = checkpoint.saved(daemon.state)[0]
            _forget(path)
            began = time.perf_counter()
            path.read_bytes()
            yield ours, time.perf_counter() - began


def _forget(path: Path) -> None:
    """Let the kernel keep nothing of a file."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


FIGURES = (
    Figure(
        name="start to ready",
        ours=f"the daemon's start with a checkpoint of {STREAMS:,} streams, until it is ready",
        reference="reading the same bytes from the disk",
        unit="s",
        pairs=pairs,
        more_is_better=False,
        compares="ours",
        bar=5.0,
        aim=1.0,
    ),
)
