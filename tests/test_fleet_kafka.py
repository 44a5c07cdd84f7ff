"""The source for Kafka, by a real client and the broker that comes with it: what a batch holds, and what waits."""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any

import pytest

from tests.servers.kafka import MockKafka

pytest.importorskip("confluent_kafka", reason='needs the extra "fleet"')
pytest.importorskip("pyspark", reason='needs the extra "fleet"')

from confluent_kafka import Producer
from pyspark.sql.streaming.datasource import ReadAllAvailable, ReadMaxRows

from monitor.fleet.kafka import KafkaReader, Span, write_all
from monitor.fleet.packed import unpack

if TYPE_CHECKING:
    from collections.abc import Iterator

TOPIC, CONTROL = "readings", "control"


@pytest.fixture(scope="module")
def kafka() -> MockKafka:
    return MockKafka()


@pytest.fixture
def topics(kafka: MockKafka, request: pytest.FixtureRequest) -> list[str]:
    """Of this test alone."""
    named = [f"{each}-{zlib.crc32(request.node.name.encode())}" for each in (TOPIC, CONTROL)]
    kafka.make(*named)
    return named


def reader(
    kafka: MockKafka, topics: list[str], *, most: int = 1000, headers: bool = False, template: str = "{key}"
) -> Any:
    begin = {topic: {str(number): 0 for number in range(4)} for topic in topics}
    options = {
        "client": json.dumps({"bootstrap.servers": kafka.address, "log_level": "0"}),
        "topics": json.dumps(topics),
        "start": json.dumps(begin),
        "most": str(most),
        "headers": json.dumps(headers),
        "packing": json.dumps((template, topics[1], [], [1])),
    }
    return KafkaReader(options)


def read(source: Any, start: Any, end: Any) -> Iterator[tuple[bytes, bytes, int, int]]:
    """Topic, payload, offset and time of what is between, the control messages apart."""
    for span in source.partitions(start, end):
        for batch in source.read(span):
            orders, came = unpack(batch["packed"].to_pylist())
            yield from ((b"", order, -1, -1) for order in orders)
            if came is not None:
                yield from zip(came.mqtt, came.values, came.offset.tolist(), came.time.tolist(), strict=True)


def test_all_that_is_there_comes_once_and_what_comes_later_later(kafka: MockKafka, topics: list[str]) -> None:
    source = reader(kafka, topics)
    begin = source.initialOffset()
    kafka.send(topics[0], [(b"a/%d" % number, b"%d" % number, 1_000 + number) for number in range(300)])
    kafka.send(topics[1], [(b"", b"{}", 0)], partition=0)
    end = source.latestOffset(begin, ReadAllAvailable())
    kafka.send(topics[0], [(b"later", b"x", 1)])
    found = sorted(read(source, begin, end), key=lambda row: row[3])
    assert found[0][:2] == (b"", b"{}")
    assert [(topic, value, time) for topic, value, _, time in found[1:]] == [
        (b"a/%d" % number, b"%d" % number, 1_000 + number) for number in range(300)
    ]
    after = source.latestOffset(end, ReadAllAvailable())
    assert [row[0] for row in read(source, end, after)] == [b"later"]
    assert source.partitions(after, source.latestOffset(after, ReadAllAvailable())) == []


def test_a_batch_is_no_larger_than_the_limit_and_each_partition_gets_its_share(
    kafka: MockKafka, topics: list[str]
) -> None:
    """400 of one partition and 100 of another: of a hundred, 80 and 20; the last ones are not forgotten."""
    for partition, count in ((0, 400), (1, 100)):
        kafka.send(topics[0], [(b"k", b"v", 1)] * count, partition=partition)
    source = reader(kafka, topics, most=100)
    begin = source.initialOffset()
    assert source.getDefaultReadLimit().max_rows == 100
    end = source.latestOffset(begin, ReadMaxRows(100))
    assert end[topics[0]] == {"0": 80, "1": 20, "2": 0, "3": 0}
    for _ in range(4):
        end = source.latestOffset(end, ReadMaxRows(100))
    assert end[topics[0]] == {"0": 400, "1": 100, "2": 0, "3": 0}


def test_a_partition_that_was_made_anew_is_read_from_its_beginning_and_told_once(
    kafka: MockKafka, topics: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """It ends before what was read; what is repeated in it is recognised later."""
    kafka.send(topics[0], [(b"k", b"anew", 1)] * 2, partition=0)
    kafka.send(topics[0], [(b"k", b"v", 1)] * 5, partition=1)
    source = reader(kafka, topics)
    begin = source.initialOffset()
    begin[topics[0]]["0"] = 7
    for _ in range(2):
        end = source.latestOffset(begin, ReadAllAvailable())
    assert (end[topics[0]]["0"], end[topics[0]]["1"]) == (2, 5)
    assert [row[1] for row in read(source, begin, end)] == [b"anew"] * 2 + [b"v"] * 5
    assert source.partitions(end, source.latestOffset(end, ReadAllAvailable())) == []
    said = capsys.readouterr().err
    assert said.count("it was made anew") == 1
    assert "ends at 2 and was read up to 7" in said


def test_a_topic_of_a_kafka_that_is_gone_waits(topics: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """What was known of it stays; it is told once, and that it answers again."""
    gone = MockKafka()
    source = reader(gone, topics)
    begin = source.initialOffset()
    del gone
    from monitor.fleet import kafka as room  # noqa: PLC0415 - its patience is for users

    before, room.ASKED_S = room.ASKED_S, 0.3
    try:
        for _ in range(2):
            assert source.latestOffset(begin, ReadAllAvailable()) == begin
    finally:
        room.ASKED_S = before
    said = capsys.readouterr().err
    assert said.count(topics[0]) == 1
    assert "its records wait" in said


def test_a_topic_stands_in_a_header_where_the_settings_say_so(kafka: MockKafka, topics: list[str]) -> None:
    kafka.send(topics[0], [(None, b"v", 1)], headers=[("mqtt", b"a/b")], partition=0)
    source = reader(kafka, topics, headers=True, template="{header:mqtt}")
    begin = source.initialOffset()
    end = source.latestOffset(begin, ReadAllAvailable())
    assert [row[:2] for row in read(source, begin, end)] == [(b"a/b", b"v")]


def test_a_span_ends_where_it_is_to_end(kafka: MockKafka, topics: list[str]) -> None:
    """What is behind it is for the next batch; and the order is that of the partition."""
    kafka.send(topics[0], [(b"k", b"%d" % number, 1) for number in range(50)], partition=3)
    source = reader(kafka, topics)
    rows = source.read(Span(topics[0], 3, 10, 20))
    values = [value for batch in rows for value in unpack(batch["packed"].to_pylist())[1].values]  # type: ignore[union-attr]
    assert values == [b"%d" % number for number in range(10, 20)]


@pytest.mark.parametrize("stamp", [2**62, 253_402_300_800_000])
def test_a_time_that_no_calendar_has_harms_nothing(kafka: MockKafka, topics: list[str], stamp: int) -> None:
    """A bridge that writes nanoseconds: the batch's own time bounds it where it matters."""
    kafka.send(topics[0], [(b"k", b"v", stamp), (b"k", b"w", 1)], partition=0)
    source = reader(kafka, topics)
    begin = source.initialOffset()
    end = source.latestOffset(begin, ReadAllAvailable())
    assert [row[1] for row in read(source, begin, end)] == [b"v", b"w"]


def test_more_than_a_client_has_room_for_is_written_all_the_same(kafka: MockKafka, topics: list[str]) -> None:
    """A batch may be nothing but poison, and each of it is a dead letter."""
    small = Producer(
        {"bootstrap.servers": kafka.address, "queue.buffering.max.messages": 50, "linger.ms": 50, "log_level": 0}
    )
    made = write_all(small, topics[0], ({"value": b"%d" % number, "partition": 0} for number in range(1_000)))
    assert [message.value() for message in made] == [b"%d" % number for number in range(1_000)]
    assert len(kafka.read(topics[0])) == 1_000
