"""Kafka by its own client: what it is reached by, and a source for Spark whose rows are packed by shard.

A partition that does not answer holds up only itself: its records wait, and the others go on.
"""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Producer, TopicPartition
from pyspark.sql.datasource import DataSource, DataSourceStreamReader, InputPartition
from pyspark.sql.streaming.datasource import ReadAllAvailable, ReadMaxRows

from monitor.fleet.packed import ROWS, Packer
from monitor.fleet.place import Place

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pyspark.sql.streaming.datasource import ReadLimit


NAME = "enginewatch-kafka"
ASKED_S = 10.0  # for an answer of a broker
STUCK_S = 60.0  # without a record that is there, a task fails and is tried again
AT_ONCE = 10_000

Offsets = dict[str, dict[str, int]]  # topic -> partition, as text -> the next offset


class FleetError(Exception):
    """Kafka does not answer, or lacks a topic: the sentence says what to do."""


def reader_options(client: Mapping[str, str]) -> dict[str, str]:
    """Of a client that reads from where it is told, and commits nothing."""
    return {
        "group.id": "enginewatch-fleet",
        **client,
        "enable.auto.commit": "false",
        "enable.partition.eof": "true",
        "auto.offset.reset": "earliest",
        "fetch.wait.max.ms": "20",
    }


def partitions_of(consumer: Consumer, topic: str) -> list[int]:
    """The partitions of a topic. Raises FleetError."""
    try:
        found = consumer.list_topics(topic, timeout=ASKED_S).topics[topic]
    except KafkaException as error:
        raise FleetError(f"Kafka does not answer: {error.args[0].str()}; see fleet.brokers") from error
    if found.error is not None or not found.partitions:
        raise FleetError(f"Kafka has no topic {topic}: {found.error or 'it has no partitions'}; create it")
    return sorted(found.partitions)


def bounds(consumer: Consumer, topic: str, partition: int) -> tuple[int, int]:
    """The first offset that is there, and the one behind the last. Raises KafkaException."""
    low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=ASKED_S)
    return low, high


def all_of(consumer: Consumer, topic: str, partition: int, begin: int, end: int) -> Iterator[Any]:
    """The messages between two offsets. Raises FleetError where they do not come."""
    consumer.assign([TopicPartition(topic, partition, begin)])
    try:
        reached, heard = begin, time.monotonic()
        while reached < end:
            for each in consumer.consume(min(AT_ONCE, end - reached), timeout=0.1):
                problem, heard = each.error(), time.monotonic()
                if problem is None:
                    yield each
                elif problem.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
                    raise FleetError(f"{topic} cannot be read: {problem.str()}; see fleet.brokers")
                reached = max(reached, each.offset() + (problem is None))
            if time.monotonic() - heard > ASKED_S:
                raise FleetError(f"{topic} gives nothing from offset {reached} on")
    finally:
        consumer.unassign()


def write_all(producer: Producer, topic: str, records: Iterable[Mapping[str, Any]]) -> list[Any]:
    """Write records, each as `Producer.produce` takes it, and wait for Kafka's word; gives them as it has them.

    There may be more than the producer has room for. Raises FleetError where Kafka does not take them all.
    """
    taken: list[Any] = []
    problems: list[str] = []

    def written(error: object, message: object) -> None:
        if error is None:
            taken.append(message)
        else:
            problems.append(str(error))

    for each in records:
        end = time.monotonic() + STUCK_S
        while True:
            try:
                producer.produce(topic, **each, on_delivery=written)
                break
            except BufferError as error:
                if time.monotonic() > end:
                    raise FleetError(f"{topic} takes nothing: no answer") from error
                producer.poll(0.1)
        producer.poll(0)
    left = producer.flush(4 * ASKED_S)
    if problems or left:
        raise FleetError(f"{topic} takes nothing: {problems[0] if problems else 'no answer'}")
    return taken


class Span(InputPartition):  # type: ignore[misc]  # untyped where Spark is not installed
    """What one task reads."""

    def __init__(self, topic: str, partition: int, begin: int, end: int) -> None:
        self.topic, self.partition, self.begin, self.end = topic, partition, begin, end


class Held(NamedTuple):
    """A consumer of this process, and what it was made with."""

    options: dict[str, str]
    consumer: Consumer


_held: list[Held] = []


def _consumer(options: dict[str, str]) -> Consumer:
    """A process has one: connecting takes longer than reading."""
    if not _held or _held[0].options != options:
        _held[:] = [Held(options, Consumer(options))]
    return _held[0].consumer


class KafkaReader(DataSourceStreamReader):  # type: ignore[misc]  # as above
    """Reads topics from offset to offset."""

    def __init__(self, options: Mapping[str, str]) -> None:
        """`client`, `topics`, `start` as JSON; `most`: records in a batch; `headers`: whether they are wanted.

        `packing`: what the packer is made with, as JSON.
        """
        self._client: dict[str, str] = reader_options(json.loads(options["client"]))
        self._topics: list[str] = json.loads(options["topics"])
        self._start: Offsets = json.loads(options["start"])
        self._most = int(options["most"])
        self._headers = options["headers"] == "true"
        self._packing = json.loads(options["packing"])
        self._told: dict[str, str] = {}  # topic or partition -> what is wrong with it

    def initialOffset(self) -> Offsets:
        """Where a new job begins."""
        return self._start

    def getDefaultReadLimit(self) -> ReadLimit:
        """So many records make a batch."""
        return ReadMaxRows(self._most)

    def latestOffset(self, start: Offsets, limit: ReadLimit) -> Offsets:
        """How far the next batch reaches: each partition gets its share of the limit."""
        consumer = _consumer(self._client)
        ready: dict[tuple[str, int], tuple[int, int]] = {}
        for topic in self._topics:
            known = start.get(topic, {})
            try:
                numbers = dict.fromkeys([*map(int, known), *partitions_of(consumer, topic)])
            except FleetError as trouble:
                self._tell(topic, f"its records wait: {trouble}")
                continue
            self._good(topic)
            for partition in numbers:
                span = self._ready(consumer, topic, partition, known.get(str(partition)))
                if span is not None:
                    ready[topic, partition] = span
        total = sum(high - begin for begin, high in ready.values())
        most = total if isinstance(limit, ReadAllAvailable) else min(limit.max_rows, total)
        end: Offsets = {topic: dict(start.get(topic, {})) for topic in self._topics}
        for (topic, partition), (begin, high) in ready.items():
            share = -(-(high - begin) * most // total) if total else 0
            end[topic][str(partition)] = min(high, begin + share)
        return end

    def _ready(self, consumer: Consumer, topic: str, partition: int, begin: int | None) -> tuple[int, int] | None:
        """What is there of a partition behind `begin`; None where it does not answer, which is told once."""
        name = f"partition {partition} of {topic}"
        try:
            low, high = bounds(consumer, topic, partition)
        except KafkaException as error:
            self._tell(name, f"does not answer ({error.args[0].str()}); its records wait")
            return None
        if begin is None:  # a partition that is new
            begin = low
        if begin > high:
            self._tell(
                name, f"ends at {high} and was read up to {begin}: it was made anew, and is read from there"
            )
            return low, high
        if begin < low:
            self._tell(name, f"has let go of {low - begin} records before they were read; keep more of it")
        else:
            self._good(name)
        return begin, max(begin, high)

    def _tell(self, name: str, sentence: str) -> None:
        """Say what is wrong with a topic or a partition, once."""
        if self._told.get(name) != sentence:
            self._told[name] = sentence
            sys.stderr.write(f"enginewatch: {name}: {sentence}\n")

    def _good(self, name: str) -> None:
        if self._told.pop(name, ""):
            sys.stderr.write(f"enginewatch: {name}: answers again\n")

    def partitions(self, start: Offsets, end: Offsets) -> Sequence[InputPartition]:
        """A task for every partition with something to read."""
        return [
            Span(topic, int(partition), begin if begin < to else 0, to)
            for topic, numbers in end.items()
            for partition, to in numbers.items()
            # One that was made anew ends before it was read up to.
            if to > (begin := start.get(topic, {}).get(partition, 0)) or to < begin
        ]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """The records of a span, packed. Raises FleetError where they do not come."""
        assert isinstance(partition, Span)
        mqtt_topic, control_topic, known, ids = self._packing
        yield from Packer(mqtt_topic, control_topic, [Place(*each) for each in known], ids)(
            self._records(partition)
        )

    def _records(self, partition: Span) -> Iterator[pa.RecordBatch]:
        consumer = _consumer(self._client)
        topic, number, end = partition.topic, partition.partition, partition.end
        consumer.assign([TopicPartition(topic, number, partition.begin or OFFSET_BEGINNING)])
        try:
            reached, heard, why = partition.begin, time.monotonic(), ""
            while reached < end:
                found = consumer.consume(min(AT_ONCE, end - reached), timeout=0.1)
                good = [each for each in found if each.error() is None and each.offset() < end]
                if good:
                    yield self._table(good, topic, number)
                    heard, reached = time.monotonic(), good[-1].offset() + 1
                for each in found:
                    problem = each.error()
                    if problem is None and each.offset() >= end:
                        reached = end
                    elif problem is not None and problem.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
                        reached = max(reached, each.offset())  # what is missing before it was compacted away
                    elif problem is not None:
                        why = f" ({problem.str()})"
                if time.monotonic() - heard > STUCK_S:
                    raise FleetError(f"partition {number} of {topic} gives nothing from offset {reached} on{why}")
        finally:
            consumer.unassign()

    def _table(self, found: list[Any], topic: str, number: int) -> pa.RecordBatch:
        columns = {
            "key": pa.array([each.key() for each in found], pa.binary()),
            "value": pa.array([each.value() for each in found], pa.binary()),
            "topic": pa.array([topic] * len(found), pa.string()),
            "partition": pa.array([number] * len(found), pa.int32()),
            "offset": pa.array([each.offset() for each in found], pa.int64()),
            "timestamp": pa.array([each.timestamp()[1] for each in found], pa.timestamp("ms", tz="UTC")),
        }
        if self._headers:
            kind = pa.list_(pa.struct([("key", pa.string()), ("value", pa.binary())]))
            pairs = [[{"key": key, "value": value} for key, value in each.headers() or ()] for each in found]
            columns["headers"] = pa.array(pairs, kind)
        return pa.RecordBatch.from_pydict(columns)


class KafkaSource(DataSource):  # type: ignore[misc]  # as above
    """The source, as Spark finds it by its name."""

    @classmethod
    def name(cls) -> str:
        """What `format` is given."""
        return NAME

    def schema(self) -> str:
        """Rows of a shard each."""
        return ROWS

    def streamReader(self, schema: Any) -> KafkaReader:
        """The reader; Spark gives the schema by its name."""
        del schema
        return KafkaReader(self.options)
