"""What a client of our own sees of Kafka: topics, their partitions and their newest records. Writes nothing."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from config.fleet import PLACE
from monitor.fleet.client import client_options
from monitor.fleet.seen import KafkaFacts, PartitionFacts, TopicFacts
from monitor.records import Message

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from config.fleet import FleetSettings

NEWEST = 20  # records of a partition that are looked at
MOST = 500  # of a topic, however many partitions it has
ENOUGH = 3  # partitions that do not answer, each of which takes its time
QUIET = {"log_level": "0", "enable.auto.commit": "false", "enable.partition.eof": "true"}


def look(fleet: FleetSettings, *, wait_s: float) -> KafkaFacts:
    """Ask Kafka for the topics that the settings name, and read the newest records of those with readings.

    Each question is given `wait_s`. What goes wrong is in the facts.
    """
    import confluent_kafka  # noqa: PLC0415 - of the extra; whoever only asks for --help has no need of it

    told: list[str] = []
    try:
        options = client_options(fleet)
    except (OSError, UnicodeDecodeError) as error:
        return KafkaFacts(fleet.brokers, f"fleet.password_file: {error}")
    ours = {"group.id": "enginewatch-check", "error_cb": lambda error: told.append(error.str())}
    try:
        consumer = confluent_kafka.Consumer({**options, **QUIET, **ours})
    except confluent_kafka.KafkaException as error:
        return KafkaFacts(fleet.brokers, _words(error, []))
    try:
        there = consumer.list_topics(timeout=wait_s).topics
    except confluent_kafka.KafkaException as error:
        consumer.poll(0)  # what the client says of it in detail comes with the callback
        return KafkaFacts(fleet.brokers, _words(error, told))
    else:
        counts = {name: len(each.partitions) for name, each in there.items()}
        topics = tuple(_topic(consumer, fleet, name, counts.get(name, 0), wait_s) for name in fleet.topics)
        ours_too = (fleet.control_topic, fleet.alert_topic, fleet.dead_letter_topic)
        written = {name: counts.get(name, 0) for name in ours_too}
        largest = _largest(options, fleet.control_topic, wait_s) if written[fleet.control_topic] else None
        return KafkaFacts(fleet.brokers, "", topics, written, largest)
    finally:
        consumer.close()


def _words(error: Any, told: Sequence[str]) -> str:
    """What the client says, the detail of it where there is one."""
    detail = next((text for text in told if "brokers are down" not in text), "")
    # It repeats the address, and how long it took.
    detail = detail.partition("bootstrap: ")[2].partition(" (after ")[0] or detail
    return detail or str(error.args[0].str())


def _topic(consumer: Any, fleet: FleetSettings, name: str, partitions: int, wait_s: float) -> TopicFacts:
    """One topic with readings."""
    import confluent_kafka  # noqa: PLC0415 - as above

    if not partitions:
        return TopicFacts(name)
    each = max(1, min(NEWEST, MOST // partitions))
    held = [0] * partitions
    starts, silent = [], {}
    for number in range(partitions):
        place = confluent_kafka.TopicPartition(name, number)
        try:
            first, behind = consumer.get_watermark_offsets(place, timeout=wait_s)
        except confluent_kafka.KafkaException as error:
            silent[number] = _words(error, [])
            if len(silent) == ENOUGH:
                break
            continue
        held[number] = behind - first
        if behind > first:
            starts.append(confluent_kafka.TopicPartition(name, number, max(first, behind - each)))
    try:
        found, problem = _read(consumer, starts, wait_s) if starts else ([], "")
    except confluent_kafka.KafkaException as error:
        found, problem = [], _words(error, [])
    newest: dict[int, int] = {}
    now = time.time_ns() // 1_000_000
    messages: list[Message] = []
    where: dict[bytes, set[int]] = defaultdict(set)
    lacks = []
    for record in found:
        number, arrival = record.partition(), min(record.timestamp()[1], now)  # no clock is ahead of ours
        newest[number] = max(newest.get(number, 0), arrival)
        topic, lacking = placed(fleet.mqtt_topic, record.key(), name, record.headers() or ())
        if lacking:
            lacks.append(lacking)
            continue
        value = record.value() or b""
        messages.append(Message(topic, value, arrival, len(value)))
        where[topic].add(number)
    if silent and not problem:
        problem = f"partition {', '.join(map(str, silent))} does not answer: {next(iter(silent.values()))}"
    messages.sort(key=lambda message: message.arrival)
    return TopicFacts(
        name,
        tuple(PartitionFacts(count, newest.get(number)) for number, count in enumerate(held)),
        problem,
        len(found),
        len(lacks),
        lacks[0] if lacks else "",
        tuple(messages),
        tuple(topic.decode(errors="replace") for topic, numbers in where.items() if len(numbers) > 1),
    )


def _read(consumer: Any, starts: list[Any], wait_s: float) -> tuple[list[Any], str]:
    """The records from these places on to the ends, as far as they come in time; and what went wrong."""
    import confluent_kafka  # noqa: PLC0415 - as above

    found: list[Any] = []
    problem = ""
    open_ones = {start.partition for start in starts}
    consumer.assign(starts)
    end = time.monotonic() + wait_s
    while open_ones and not problem and len(found) < MOST and (left := end - time.monotonic()) > 0:
        for record in consumer.consume(MOST, timeout=min(left, 0.1)):
            if record.error() is None:
                found.append(record)
            elif record.error().code() == confluent_kafka.KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
                open_ones.discard(record.partition())
            else:
                problem = record.error().str()
    consumer.unassign()
    if open_ones and not problem and not found:
        problem = f"its newest records did not come within {wait_s:g} s"
    return found, problem


def placed(
    template: str, key: bytes | None, topic: str, headers: Sequence[tuple[str, bytes | None]]
) -> tuple[bytes, str]:
    """The MQTT topic of a record, or what it lacks for one.

    >>> placed("plant/{key}", b"a", "readings", [])
    (b'plant/a', '')
    >>> placed("{header:mqtt_topic}", b"a", "readings", [("other", b"x")])
    (b'', 'header mqtt_topic')
    """
    named = {name: value for name, value in headers if value is not None}
    parts: list[bytes] = []
    begin = 0
    for match in PLACE.finditer(template):
        parts.append(template[begin : match.start()].encode())
        begin = match.end()
        what = match[1]
        value = key if what == "key" else topic.encode() if what == "topic" else named.get(what[len("header:") :])
        if not value:
            return b"", what.replace("header:", "header ")
        parts.append(value)
    return b"".join([*parts, template[begin:].encode()]), ""


def _largest(options: Mapping[str, str], topic: str, wait_s: float) -> int | None:
    """The largest record that a topic takes; None where the brokers do not tell it."""
    import confluent_kafka  # noqa: PLC0415 - as above
    from confluent_kafka.admin import AdminClient, ConfigResource  # noqa: PLC0415 - as above

    asked = ConfigResource(ConfigResource.Type.TOPIC, topic)
    try:
        admin = AdminClient({**options, "log_level": "0"})
        told = admin.describe_configs([asked], request_timeout=wait_s)[asked].result(wait_s)
        return int(told["max.message.bytes"].value)
    except (confluent_kafka.KafkaException, TimeoutError, KeyError, ValueError):
        return None
