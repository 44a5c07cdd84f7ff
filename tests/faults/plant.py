"""The publishing side of the rig: pumps at 1 Hz, one of them faulty for a while, and what of it the broker took.

The readings are of a past that lies as far back as they are many: how fast they are sent is for the test to say.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from config.settings import MqttSettings
from simulator.publish import Publisher
from tests import recordings
from tests.faults.beside import beside

if TYPE_CHECKING:
    import threading
    from contextlib import AbstractContextManager

PERIOD_MS = 1000
FAULT = (80, 130)  # the ticks at which the pressure of the second pump has fallen away
CLEARED_BY = (
    200  # ticks by which the incident that comes of it is over; with `every`, from where the fault began anew
)
RESERVE = 20  # ticks that a load leaves; of more than these there must be CLEARED_BY

Row = tuple[str, int]  # asset, event time in epoch ms


class RecordingPublisher(Publisher):
    """The publisher that `enginewatch simulate` uses, and a list of what it got a positive PUBACK for."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.acknowledged: list[tuple[str, bytes]] = []  # topic and payload, as often as acknowledged

    def on_delivered(self, packet_id: int, problem: str) -> None:
        """Note what the broker has promised to keep."""
        outgoing = self._flying.get(packet_id)
        if outgoing is not None and outgoing.values and not problem:
            self.acknowledged.append((outgoing.topic, outgoing.payload))
        super().on_delivered(packet_id, problem)


class Plant:
    """Some pumps, each with a row of four values a tick; `sent` counts the ticks that were handed over."""

    def __init__(
        self,
        *,
        host: str,
        port: int,
        pumps: int = 3,
        ticks: int = 400,
        spool_s: float = 0.0,
        in_flight: int = 1000,
        every: int = 0,
        began: int | None = None,
    ) -> None:
        """Connects with `start`.

        The fault comes once, or again every so many ticks. `began` is the event time of the first tick (epoch ms);
        without it the last one is now. `in_flight` messages wait in the publisher before `publish` does.
        """
        self.pumps = [f"pump-{number}" for number in range(pumps)]
        tables = []
        for number in range(pumps):
            table = recordings.pump(ticks, 100 + number)
            if number == 1:
                for start in range(0, ticks, every or ticks):
                    table[start + FAULT[0] : start + FAULT[1], recordings.SENSORS.index("pressure")] -= 40
            tables.append(table)
        self.values = np.stack(tables)  # (pumps, ticks, sensors)
        self.ticks = ticks
        self._every = every or ticks
        self.began = (time.time_ns() // 1_000_000 // PERIOD_MS - ticks) * PERIOD_MS if began is None else began
        self.sent = 0
        settings = MqttSettings(host=host, port=port, reconnect_min_s=0.1, reconnect_max_s=0.5)
        self.publisher = RecordingPublisher(
            settings, f"plant-{port}-{id(self)}", site="plant", spool_s=spool_s, in_flight=in_flight
        )

    def start(self) -> None:
        """Connect."""
        self.publisher.start()
        self.publisher.wait_connected()

    def close(self) -> None:
        """Disconnect."""
        self.publisher.stop()

    def at(self, tick: int) -> int:
        """The event time of a tick."""
        return self.began + tick * PERIOD_MS

    def faults_begun(self) -> list[int]:
        """The ticks from which the faults that have begun are counted; the first one is always among them."""
        return [start for start in range(0, self.ticks, self._every) if start == 0 or self.sent > start + FAULT[0]]

    def publish(self, ticks: int, *, per_second: float = 0.0, over: threading.Event | None = None) -> int:
        """Hand over the next ticks of every pump, at a rate or as fast as they go; returns how many there were."""
        began, first = time.monotonic(), self.sent
        last = min(first + ticks, self.ticks)
        while self.sent < last:
            tick = self.sent
            for number, pump in enumerate(self.pumps):
                row = dict(zip(recordings.SENSORS, self.values[number, tick].tolist(), strict=True))
                self.publisher.send(pump, self.at(tick), row)
            self.sent = tick + 1
            if per_second:
                pause = began + (self.sent - first) / per_second - time.monotonic()
                if over is not None and over.wait(max(0.0, pause)):
                    break
                if over is None and pause > 0:
                    time.sleep(pause)
        return self.sent - first

    def load(self, per_second: float) -> AbstractContextManager[None]:
        """Publish from a thread of its own as long as the block lasts, and leave ticks for what comes after it."""
        ticks = max(0, self.ticks - RESERVE - self.sent)
        return beside(lambda over: self.publish(ticks, per_second=per_second, over=over))

    def acknowledged(self) -> set[Row]:
        """The rows that the broker has acknowledged."""
        rows = set()
        for topic, payload in list(self.publisher.acknowledged):
            rows.add((topic.split("/")[3], int(msgspec.json.decode(payload)["ts"])))
        return rows

    def expected(self) -> dict[Row, np.ndarray[tuple[int], np.dtype[np.float32]]]:
        """All rows that were handed over, with their values as the daemon holds them (float32)."""
        return {
            (pump, self.at(tick)): self.values[number, tick].astype(np.float32)
            for number, pump in enumerate(self.pumps)
            for tick in range(self.sent)
        }
