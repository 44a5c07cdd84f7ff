"""From the publish of the reading that completes a transition to its stored event, at 1,000 readings a second.

A hundred engines report ten times a second each, with QoS 1, to the real daemon with the shipped model; each
reading closes a tick, is scored and stored. One reading in twenty has a temperature that no engine has: with the
delays of the sensor check set to one tick the reading itself is the transition (a sensor fault fires), and so is
the good one that follows it (it clears). They go the way of all transitions, through one record with the rows that
were scored. The time goes from before the packet is written until another connection to the store sees the event.
The publisher looks for new events between the readings that it sends, twice a millisecond.

Beside it: the same messages at the same pace on topics that the daemon does not hear, to a bare paho client in the
publisher's process, each from before the packet is written until the callback. Of both the 99th percentile, in
turns on the same broker; a pair has 250 transitions. A daemon that does not keep pace falls behind, and shows it.
"""

from __future__ import annotations

import socket
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.speed.backlog import CONNECT, holding, packet
from benchmarks.speed.figures import Figure
from benchmarks.speed.plant import LIMIT_S, SITE, Plant, needs_mosquitto, reading, topic_of, watched
from monitor.event_store import decode
from simulator.layouts import Laid
from simulator.records import SENSORS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks.speed.backlog import Holding
    from benchmarks.speed.plant import Daemon

ENGINES = 100
WARM_TICKS = 64  # the model's window has 60
TICKS = 27  # of a pair, the first and the last of which are good: two and a half seconds
PAUSE_S = 0.001  # between two readings
LOOKS_S = 0.0005
EVERY = 20  # readings, one is wrong
SENSOR, WRONG = "coolant_temperature", 999.0  # °C
AT_ONCE = """
[sensor_check]
range_s = 0.001
clear_s = 0.001
"""
PERCENTILE = 99

Key = tuple[str, int]  # a stream and an event time


def pairs(repeats: int) -> Iterator[tuple[float, float]]:
    """Milliseconds: of the daemon's transitions, and of the broker's round trips."""
    needs_mosquitto()
    plant = Plant(ENGINES)
    with holding() as broker, watched(broker, AT_ONCE) as daemon:
        broker.fill(plant.messages(WARM_TICKS))
        daemon.drained(ENGINES * WARM_TICKS, warm=False)
        for _ in range(repeats):
            readings, awaited = with_faults(plant)
            bare = _round_trips(broker, list(readings.values()))
            ours = _transitions(broker, daemon, readings, awaited)
            yield 1000 * float(np.percentile(ours, PERCENTILE)), 1000 * float(np.percentile(bare, PERCENTILE))


def with_faults(plant: Plant) -> tuple[dict[Key, Laid], set[Key]]:
    """The readings of the next ticks in their order, and which of them complete a transition."""
    made: dict[Key, Laid] = {}
    awaited: set[Key] = set()
    before: set[str] = set()  # whose last reading was wrong
    for tick, (moment, rows) in enumerate(plant.ticks(TICKS)):
        wrong: set[str] = set()
        for engine, (asset, values) in enumerate(zip(plant.assets, rows, strict=True)):
            if 0 < tick < TICKS - 1 and (engine + 7 * tick) % EVERY == 0:  # never the same engine twice running
                values[list(SENSORS).index(SENSOR)] = WRONG
                wrong.add(asset)
            key = f"{SITE}//{asset}", moment
            if asset in wrong | before:
                awaited.add(key)
            made[key] = Laid(topic_of(asset), reading(moment, values), len(SENSORS))
        before = wrong
    return made, awaited


def _transitions(broker: Holding, daemon: Daemon, readings: dict[Key, Laid], awaited: set[Key]) -> list[float]:
    """Seconds from the publish of each reading that completes a transition until its event is stored."""
    stored: dict[Key, float] = {}
    with closing(daemon.opened("store.db")) as store:
        (latest,) = store.execute("SELECT coalesce(max(id), 0) FROM event").fetchone()
        version = 0

        def look() -> bool:
            nonlocal latest, version
            (now,) = store.execute("PRAGMA data_version").fetchone()
            if now != version:  # somebody has written
                version = now
                found = store.execute("SELECT id, body FROM event WHERE id > ? ORDER BY id", (latest,)).fetchall()
                moment = time.perf_counter()
                for number, body in found:
                    latest, event = number, decode(body)
                    if event.sensor == SENSOR:
                        stored[event.stream, event.time] = moment
            return stored.keys() >= awaited

        sent = _paced(broker, list(readings.values()), look)
        daemon.until(look, LOOKS_S)
    published = dict(zip(readings, sent, strict=True))
    return [stored[key] - published[key] for key in awaited]


def _round_trips(broker: Holding, messages: Sequence[Laid]) -> list[float]:
    """Seconds from the publish of each message until a bare client's callback, on topics of their own."""
    came: list[float] = []
    client = Client(CallbackAPIVersion.VERSION2)
    client.on_message = lambda *_: came.append(time.perf_counter())
    ready: list[Any] = []
    client.on_subscribe = lambda *_: ready.append(True)
    client.connect(broker.host, broker.port)
    client.subscribe("beside/#", 1)
    client.loop_start()
    _wait(lambda: ready)
    sent = _paced(broker, [each._replace(topic=f"beside/{each.topic}") for each in messages], lambda: None)
    _wait(lambda: len(came) >= len(sent))
    client.disconnect()
    client.loop_stop()
    return [after - before for before, after in zip(sent, came, strict=True)]


def _paced(broker: Holding, messages: Sequence[Laid], meanwhile: Callable[[], object]) -> list[float]:
    """Publish the messages one after the other, with QoS 1; returns when each was."""
    sent = []
    packets = [packet(each, 1 + number % 0xFFFF) for number, each in enumerate(messages)]
    with socket.create_connection((broker.host, broker.port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(CONNECT)
        began = time.perf_counter() + PAUSE_S
        for number, each in enumerate(packets):
            due = began + number * PAUSE_S
            while (left := due - time.perf_counter()) > 0:
                meanwhile()
                time.sleep(min(max(left, 0.0), LOOKS_S))
            sent.append(time.perf_counter())
            connection.sendall(each)
        left = 4 + 4 * len(packets)  # CONNACK and a PUBACK each have four bytes
        while left:
            left -= len(connection.recv(left))
    return sent


def _wait(what: Callable[[], object]) -> None:
    end = time.monotonic() + LIMIT_S
    while not what():
        assert time.monotonic() < end, "the broker gives no answer"
        time.sleep(LOOKS_S)


FIGURES = (
    Figure(
        name="latency",
        ours=f"from publish to stored event, {1 / PAUSE_S:,.0f} readings/s, 99th percentile",
        reference="the broker's bare round trip at the same pace, 99th percentile",
        unit="ms",
        pairs=pairs,
        more_is_better=False,
        bar=10.0,
        aim=3.0,
    ),
)
