"""The alert topic: where transitions go, what was told before, and the outbox of those who tell others.

A batch that is repeated after a crash brings the same transitions with the same ids. What the topic has already is
not written again, because whoever writes has read it first.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

import msgspec
import structlog
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from monitor.fleet.client import client_options
from monitor.fleet.kafka import ASKED_S, FleetError, all_of, bounds, partitions_of, reader_options, write_all
from monitor.records import AlertEvent, OutboxError, Transition

if TYPE_CHECKING:
    from collections.abc import Sequence

    from config.fleet import FleetSettings
    from monitor.records import DeadLetter, StoredScores

log = structlog.get_logger()

PARTITION = 0  # transitions are few, and in one partition they have one order
REMEMBERED = 100_000  # ids of what was told: more than a batch has that is repeated
OVER = (Transition.CLEARED, Transition.ACCEPTED)
GROUP = "enginewatch-fleet-alerts"  # has the positions of those who tell others


class AlertLog:
    """Writes transitions, and gives them to a sink in their order. `records.Outbox` without scores."""

    def __init__(self, settings: FleetSettings, *, delivers: bool) -> None:
        """Read what the topic holds; `delivers`: a sink takes from here. Raises FleetError and OSError."""
        self._delivers = delivers
        self._topic = settings.alert_topic
        client = client_options(settings)
        self._producer = Producer({**client, "enable.idempotence": "true", "linger.ms": "5"})
        self._consumer = Consumer({**reader_options(client), "group.id": GROUP})
        self._lock = threading.Lock()
        self._told: dict[str, None] = {}
        self._open: dict[str, AlertEvent] = {}  # incident -> what is the latest of it
        self._waiting: deque[tuple[int, AlertEvent]] = deque()  # behind the position of the sink
        self._delivered = 0
        self._read()

    def _read(self) -> None:
        try:
            partitions_of(self._consumer, self._topic)
            low, high = bounds(self._consumer, self._topic, PARTITION)
            committed = self._consumer.committed([TopicPartition(self._topic, PARTITION)], timeout=ASKED_S)[
                0
            ].offset
            self._delivered = committed
            if committed < 0:  # a sink that is new tells of what comes from now on, also by the next driver
                self._delivered = high
            if committed < 0 and self._delivers:
                self._consumer.commit(offsets=[TopicPartition(self._topic, PARTITION, high)], asynchronous=False)
            for each in all_of(self._consumer, self._topic, PARTITION, low, high):
                self._take(each.offset(), each.value() or b"")
        except KafkaException as error:
            raise FleetError(f"{self._topic} cannot be read: {error.args[0].str()}; see fleet.brokers") from error

    def _take(self, offset: int, value: bytes) -> None:
        """Remember a transition that is on the topic."""
        try:
            event = msgspec.json.decode(value, type=AlertEvent)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            log.warning(
                "alert_unreadable", topic=self._topic, offset=offset, remedy="nobody else should write there"
            )
            return
        with self._lock:
            self._told[event.event_id] = None
            if len(self._told) > REMEMBERED:
                del self._told[next(iter(self._told))]
            if event.transition in OVER:
                self._open.pop(event.incident_id, None)
            elif event.transition is Transition.FIRED or event.incident_id in self._open:
                self._open[event.incident_id] = event
            if self._delivers and offset >= self._delivered:
                self._waiting.append((offset + 1, event))

    def publish(self, events: Sequence[AlertEvent]) -> int:
        """Write those that the topic has not; returns how many. Raises FleetError: then do it again."""
        fresh = {event.event_id: event for event in events if event.event_id not in self._told}
        records = (
            {"value": msgspec.json.encode(event), "key": event.stream.encode(), "partition": PARTITION}
            for event in fresh.values()
        )
        for message in write_all(self._producer, self._topic, records):
            self._take(message.offset(), message.value())
        return len(fresh)

    # The outbox of a sink.

    def position(self, sink: str) -> int:
        """The last position that was delivered."""
        del sink
        return self._delivered

    def advance(self, sink: str, position: int) -> None:
        """Remember it, at Kafka. Raises OutboxError."""
        del sink
        try:
            self._consumer.commit(offsets=[TopicPartition(self._topic, PARTITION, position)], asynchronous=False)
        except KafkaException as error:
            raise OutboxError(f"Kafka does not keep the position: {error.args[0].str()}") from error
        with self._lock:
            self._delivered = position
            while self._waiting and self._waiting[0][0] <= position:
                self._waiting.popleft()

    def events_after(self, position: int, limit: int) -> list[tuple[int, AlertEvent]]:
        """Up to `limit` transitions after a position that was not passed long ago."""
        with self._lock:
            return [each for each in self._waiting if each[0] > position][:limit]

    def open_incidents(self, stream: str | None = None) -> list[AlertEvent]:
        """What is the latest of every incident that is not over; the oldest first."""
        with self._lock:
            found = [event for event in self._open.values() if stream in {None, event.stream}]
        return sorted(found, key=lambda event: event.started)

    def scores_after(self, position: int, limit: int) -> list[StoredScores]:
        """There are none here."""
        del position, limit
        return []

    def add_dead_letters(self, letters: Sequence[DeadLetter]) -> None:
        """A sink gave them up: they are told."""
        for letter in letters:
            log.warning("refused", topic=letter.topic, reason=letter.reason)

    def close(self) -> None:
        """Let go of Kafka."""
        self._consumer.close()
