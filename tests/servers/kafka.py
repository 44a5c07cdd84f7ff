"""A Kafka on loopback: the mock cluster that librdkafka has in it, which other processes may connect to."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PARTITIONS = 4  # of every topic, made on first use
ASKED_S = 10.0


class MockKafka:
    """A cluster of one broker, in this process. It keeps the latest 5 MB of a partition."""

    def __init__(self, *, compression: str = "lz4") -> None:
        from confluent_kafka import Producer  # noqa: PLC0415 - an extra

        # The cluster lives as long as this client.
        self._owner = Producer({"bootstrap.servers": "in this process", "test.mock.num.brokers": 1})
        found = self._owner.list_topics(timeout=ASKED_S).brokers
        self.address = ",".join(f"{broker.host}:{broker.port}" for broker in found.values())
        self._producer = Producer(
            {"bootstrap.servers": self.address, "compression.type": compression, "linger.ms": 5, "acks": "all"}
        )

    def send(self, topic: str, records: Iterable[tuple[bytes | None, bytes | None, int]], **more: Any) -> None:
        """Write records of key, value and time (epoch ms, 0 = now), and wait until they are there."""
        problems: list[object] = []

        def written(error: object, _: object) -> None:
            if error is not None:
                problems.append(error)

        for key, value, stamp in records:
            while True:
                try:
                    self._producer.produce(topic, value, key, timestamp=stamp, on_delivery=written, **more)
                    break
                except BufferError:
                    self._producer.poll(0.1)
        assert self._producer.flush(60) == 0
        assert not problems, problems[0]

    def make(self, *topics: str) -> None:
        """Have topics, without anything in them."""
        for topic in topics:
            self._owner.list_topics(topic, timeout=ASKED_S)
        end = time.monotonic() + ASKED_S
        while set(topics) - set(self._owner.list_topics(timeout=ASKED_S).topics):
            assert time.monotonic() < end
            time.sleep(0.05)

    def read(self, topic: str) -> list[Any]:
        """Every record that a topic has."""
        from confluent_kafka import Consumer, TopicPartition  # noqa: PLC0415 - an extra

        consumer = Consumer(
            {"bootstrap.servers": self.address, "group.id": "test", "auto.offset.reset": "earliest"}
        )
        found = []
        for partition in range(PARTITIONS):
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=ASKED_S)
            consumer.assign([TopicPartition(topic, partition, low)])
            got = 0
            while got < high - low:
                for message in consumer.consume(high - low - got, timeout=1.0):
                    assert message.error() is None
                    found.append(message)
                    got += 1
        consumer.close()
        return found


@contextmanager
def mock_kafka() -> Iterator[MockKafka]:
    """One for a test."""
    yield MockKafka()
