"""The demo's own side of Kafka: the vehicles' reports in, the fleet's transitions out."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec
from confluent_kafka import Consumer, Producer

from monitor.records import AlertEvent

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message

    from monitor.demo.fleet_vehicles import Report

TOPIC = "vehicles"
ALERT_TOPIC = "enginewatch-alerts"
AT_ONCE = 500  # transitions


class Bridge:
    """Writes reports to Kafka, as the bridge of a broker would, and counts what Kafka has taken."""

    def __init__(self, brokers: str) -> None:
        self._producer = Producer(
            {
                "bootstrap.servers": brokers,
                "compression.type": "zstd",  # a seventh of the bytes: a mock keeps the newest 5 MB of a partition
                "linger.ms": 50,
                "enable.idempotence": False,  # the mock need not; nothing is resent on loopback
                "log_level": 0,  # what goes wrong comes with each report
            }
        )
        self.reports = 0  # that Kafka has taken …
        self.readings = 0
        self.values = 0
        self.trouble = ""  # … and why one was not

    def send(self, report: Report) -> None:
        """Send one; waits while too much is on its way."""

        def told(error: KafkaError | None, _: Message) -> None:
            if error is not None:
                self.trouble = f"Kafka did not take a report: {error.str()}"
                return
            self.reports += 1
            self.readings += report.readings
            self.values += report.values

        while True:
            try:
                self._producer.produce(TOPIC, report.payload, report.topic, on_delivery=told)
                break
            except BufferError:
                self._producer.poll(0.05)
        self._producer.poll(0)

    def wait_delivered(self, timeout: float) -> bool:
        """Wait until everything sent was taken or not; False where that took too long."""
        return not self._producer.flush(timeout)

    def close(self) -> None:
        """Let go of what is on its way."""
        self._producer.purge()
        self._producer.flush(1)


class Listener:
    """Reads the topic of the transitions from its beginning."""

    def __init__(self, brokers: str) -> None:
        self._consumer = Consumer(
            {
                "bootstrap.servers": brokers,
                "group.id": "enginewatch-demo",
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "allow.auto.create.topics": True,
                "log_level": 0,
            }
        )
        self._consumer.subscribe([ALERT_TOPIC])
        self._seen: set[str] = set()  # they are delivered at least once

    def news(self) -> list[tuple[int, AlertEvent]]:
        """What came since the last call, each with the time at which it did (epoch ms)."""
        found = []
        for message in self._consumer.consume(AT_ONCE, timeout=0):
            if message.error() is not None:  # it comes again by itself
                continue
            event = msgspec.json.decode(message.value() or b"", type=AlertEvent)
            if event.event_id not in self._seen:
                self._seen.add(event.event_id)
                found.append((time.time_ns() // 1_000_000, event))
        return found

    def close(self) -> None:
        """End the connection."""
        self._consumer.close()
