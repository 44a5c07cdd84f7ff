"""Receiving alone: from the broker's socket to the acknowledgement, in which nothing but counting happens."""

from __future__ import annotations

import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.speed.backlog import FILTER, Holding, holding, telemetry
from benchmarks.speed.figures import Figure
from monitor.receive import Receiver
from tests.servers import find

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MESSAGES = 20_000
LIMIT_S = 60.0  # only ends a run that has failed
STATUS = "enginewatch/_monitor/speed/status"


def bare(broker: Holding, count: int) -> float:
    """Seconds in which paho's own thread drains the session `bare` and a callback counts."""
    counted = 0
    done = threading.Event()

    def count_one(*_: Any) -> None:
        nonlocal counted
        counted += 1
        if counted == count:
            done.set()

    client = Client(CallbackAPIVersion.VERSION2, "bare", clean_session=False)
    client.on_message = count_one
    began = time.perf_counter()
    client.connect(broker.host, broker.port)
    client.loop_start()
    assert done.wait(LIMIT_S), f"{counted} of {count} messages came"
    took = time.perf_counter() - began
    client.disconnect()
    client.loop_stop()
    return took


def ours(broker: Holding, count: int) -> float:
    """Seconds in which our receiver drains the session `ours`; all that is taken is acknowledged at once."""
    receiver = Receiver(
        settings=broker.settings,
        client_id="ours",
        subscriptions=[FILTER],
        status_topic=STATUS,
        expect_session=True,
        on_listening=lambda _ok, _reason: None,
        on_session_lost=lambda: None,
    )
    counted = 0
    began = time.perf_counter()
    receiver.start()
    while counted < count and time.perf_counter() - began < LIMIT_S:
        delivery = receiver.take(1.0)
        counted += len(delivery.messages)
        receiver.acknowledge(delivery.tokens)
    took = time.perf_counter() - began
    receiver.stop()
    assert counted == count, f"{counted} of {count} messages came"
    return took


def command(broker: Holding, count: int) -> float:
    """Seconds in which `mosquitto_sub` drains the session `command` to /dev/null."""
    program = find("mosquitto_sub")
    assert program is not None, "mosquitto_sub is not installed"
    words = ["-h", broker.host, "-p", str(broker.port), "-i", "command", "-c", "-q", "1", "-t", FILTER]
    began = time.perf_counter()
    subprocess.run([program, *words, "-C", str(count)], check=True, stdout=subprocess.DEVNULL, timeout=LIMIT_S)
    return time.perf_counter() - began


def _beside(reference: Callable[[Holding, int], float], name: str, repeats: int) -> Iterator[tuple[float, float]]:
    """Readings a second of both, in turns; who begins takes turns, too."""
    messages = telemetry(MESSAGES)
    sides = {"ours": ours, name: reference}
    with holding() as broker:
        for repeat in range(repeats):
            broker.subscribe(list(sides))
            broker.fill(messages)
            order = list(sides)[:: 1 if repeat % 2 else -1]
            rate = {side: MESSAGES / sides[side](broker, MESSAGES) for side in order}
            yield rate["ours"], rate[name]


FIGURES = (
    Figure(
        name="receive",
        ours="our receiver, whose consumer counts and acknowledges",
        reference="a bare paho client with a thread of its own, whose callback counts",
        unit="readings/s",
        pairs=lambda repeats: _beside(bare, "bare", repeats),
        bar=1.7,
    ),
    Figure(
        name="receive beside mosquitto_sub",
        ours="our receiver, whose consumer counts and acknowledges",
        reference="mosquitto_sub to /dev/null, its start included",
        unit="readings/s",
        pairs=lambda repeats: _beside(command, "command", repeats),
        aim=1.0,
    ),
)
