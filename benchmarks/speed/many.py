"""A daemon's state folder with ten thousand warm streams, without feeding a daemon for minutes."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from benchmarks.speed.backlog import holding
from benchmarks.speed.plant import SITE, Plant, needs_mosquitto, watched
from monitor import checkpoint
from monitor.state import STAGES, joined, of_rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.speed.backlog import Holding
    from benchmarks.speed.plant import Daemon

STREAMS = 10_000
ENGINES = 100  # that were really watched; the others are their twins
TICKS = 64  # the model's window has 60


def name(stream: int) -> str:
    """The asset's name."""
    return f"twin-{stream:05d}"


@contextmanager
def many() -> Iterator[tuple[Holding, Daemon, Plant]]:
    """A broker, a stopped daemon that knows ten thousand streams, and the plant of a hundred that it has seen."""
    needs_mosquitto()
    plant = Plant(ENGINES)
    with holding() as broker, watched(broker) as daemon:
        broker.fill(plant.messages(TICKS))
        daemon.drained(ENGINES * TICKS, warm=False)
        daemon.stop()
        multiply(daemon.state)
        yield broker, daemon, plant


def multiply(folder: Path) -> None:
    """Give every stream of a checkpoint its twins; stream n is one of stream n % ENGINES."""
    newest, *older = checkpoint.saved(folder)
    found = checkpoint.load(newest)
    (each,) = found.state.classes
    for stage in STAGES:
        known = of_rows(getattr(each, stage), slice(ENGINES))
        setattr(each, stage, joined(type(known), [known] * (STREAMS // ENGINES)))
    each.keys = [f"{SITE}//{name(stream)}" for stream in range(STREAMS)]
    checkpoint.save(folder, found.position, found.state)
    for path in older:
        path.unlink(missing_ok=True)
