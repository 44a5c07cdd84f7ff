"""From the broker to journalled acknowledgements and stored scores: the whole daemon, beside a client that counts.

Both drain the same backlog: telemetry of a plant of a thousand engines, or of a hundred, that was published
once, with QoS 1, and waits in the session of each. The daemon is `enginewatch monitor` with the shipped model,
in a process of its own. It knows the engines and their windows are full: it was stopped, the backlog was
published, and it is started again. Its time goes from the arrival of the first message, which its journal has
noted, until the last score row is stored; that follows upon the journalling of the last message, with which the
acknowledgements leave. Its start is not counted.

The reference is paho as it comes: `loop_start`, a callback that counts, acknowledgements at once. Its time goes
from the first message to the last. Neither broker nor publisher limits anything: no window of messages in flight,
no disk.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.speed.backlog import holding
from benchmarks.speed.figures import Figure
from benchmarks.speed.plant import LIMIT_S, Plant, needs_mosquitto, watched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.speed.backlog import Holding
    from benchmarks.speed.plant import Daemon

ENGINES, FEW = 1_000, 100
WARM_TICKS = 64  # the model's window has 60
READINGS_ONE_BY_ONE = 24_000  # of a backlog of single readings
LIST_TICKS = 200  # of one of lists
READINGS = 50  # in a list: of one engine, one tick after the other
STRIDE = 8
BARE = "bare"  # the reference's session


def _counted(broker: Holding, messages: int) -> float:
    """Seconds in which a bare client gets so many messages."""
    moments: list[float] = []
    done = threading.Event()

    def count(*_: Any) -> None:
        moments.append(time.perf_counter())
        if len(moments) == messages:
            done.set()

    client = Client(CallbackAPIVersion.VERSION2, BARE, clean_session=False)
    client.on_message = count
    client.connect(broker.host, broker.port)
    client.loop_start()
    assert done.wait(LIMIT_S), f"{len(moments)} of {messages} messages came"
    client.disconnect()
    client.loop_stop()
    return moments[-1] - moments[0]


def one_by_one(engines: int, repeats: int) -> Iterator[tuple[float, float]]:
    """Readings a second: the daemon's and the counting client's, one reading a message, a row of each."""
    plant, count = Plant(engines), READINGS_ONE_BY_ONE
    with _warm(plant) as (broker, daemon):
        for repeat in range(repeats):
            broker.subscribe([BARE])
            broker.fill(plant.messages(count // engines))
            ours, bare = _in_turns(repeat, lambda: daemon.drained(count), lambda: _counted(broker, count))
            daemon.stop()
            yield count / ours, count / bare


def in_lists(repeats: int) -> Iterator[tuple[float, float]]:
    """The daemon's readings a second, fifty a message and a row of eight; the client's messages a second."""
    plant = Plant(ENGINES)
    count = ENGINES * LIST_TICKS
    messages = count // READINGS
    with _warm(plant, stride=STRIDE) as (broker, daemon):
        for repeat in range(repeats):
            broker.subscribe([BARE])
            broker.fill(plant.messages(LIST_TICKS, in_one=READINGS))
            ours, bare = _in_turns(
                repeat, lambda: daemon.drained(count // STRIDE), lambda: _counted(broker, messages)
            )
            daemon.stop()
            yield count / ours, messages / bare


@contextmanager
def _warm(plant: Plant, stride: int = 1) -> Iterator[tuple[Holding, Daemon]]:
    """A broker, and a daemon that has seen a window of every engine and is stopped."""
    needs_mosquitto()
    with holding() as broker, watched(broker, f"[window]\nstride = {stride}\n") as daemon:
        broker.fill(plant.messages(WARM_TICKS))
        daemon.drained(len(plant.assets) * WARM_TICKS // stride, warm=False)
        daemon.stop()
        yield broker, daemon


def _in_turns(repeat: int, ours: Callable[[], float], theirs: Callable[[], float]) -> tuple[float, float]:
    """What both return; who begins takes turns."""
    if repeat % 2:
        second = theirs()
        return ours(), second
    return ours(), theirs()


FIGURES = (
    Figure(
        name="end to end",
        ours=f"the daemon, from broker to stored scores: {ENGINES:,} engines, a reading a message, a score each",
        reference="a bare paho client that counts the same messages",
        unit="readings/s",
        pairs=partial(one_by_one, ENGINES),
        bar=1.0,
        aim=1.5,
    ),
    Figure(
        name=f"end to end, {FEW} engines",
        ours=f"the same of {FEW} engines",
        reference="the bare client",
        unit="readings/s",
        pairs=partial(one_by_one, FEW),
    ),
    Figure(
        name="end to end, 50 a message",
        ours=f"the same of {ENGINES:,} engines, fifty readings a message, a score of eight",
        reference="the bare client, in messages",
        unit="readings/s",
        pairs=in_lists,
        bar=5.0,
        aim=10.0,
    ),
)
