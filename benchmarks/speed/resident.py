"""The memory that the daemon holds with ten thousand warm streams, beyond what Python with onnxruntime takes.

Both are what the kernel counts as resident. The daemon was started with a checkpoint of these streams, and two
thousand of them have sent a reading since, all at once, which was scored: what its work needs it has allocated.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.speed.figures import Figure
from benchmarks.speed.many import ENGINES, STREAMS, many, name
from benchmarks.speed.plant import topic_of

if TYPE_CHECKING:
    from collections.abc import Iterator

HEARD = 2_000  # streams; as many messages as a record of the journal holds at the most
BARE = """
import onnxruntime, sys
sys.stdout.write(open("/proc/self/status").read())
"""


def pairs(repeats: int) -> Iterator[tuple[float, float]]:
    """MB: the daemon's, and those of an interpreter that has imported onnxruntime."""
    with many() as (broker, daemon, plant):
        for _ in range(repeats):
            seen = plant.messages(1)
            broker.fill([seen[i % ENGINES]._replace(topic=topic_of(name(i))) for i in range(HEARD)])
            daemon.drained(HEARD)
            assert daemon.process is not None
            ours = resident(Path(f"/proc/{daemon.process.pid}/status").read_text())
            daemon.stop()
            bare = subprocess.run([sys.executable, "-c", BARE], check=True, capture_output=True, text=True)
            yield ours, resident(bare.stdout)


def resident(status: str) -> float:
    """The resident memory in MB, of the kernel's text on a process."""
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024 / 1e6


FIGURES = (
    Figure(
        name="resident memory",
        ours=f"the daemon with {STREAMS:,} streams, without the page",
        reference="Python that has imported onnxruntime",
        unit="MB",
        pairs=pairs,
        more_is_better=False,
        compares="difference",
        bar=250.0,
        aim=100.0,
    ),
)
