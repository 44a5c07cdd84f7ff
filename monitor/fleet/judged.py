"""What `enginewatch fleet check` makes of what was seen: one line a hop, with what to change. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from monitor.doctor.facts import Finding, State
from monitor.doctor.findings import decode

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from config.fleet import FleetSettings
    from monitor.doctor.facts import LineFacts
    from monitor.fleet.seen import CheckpointFacts, JavaFacts, KafkaFacts, PackageFacts, TopicFacts

OK, WARNING, FAILED, SKIPPED = State
LEAST_JAVA = 17
INSTALL = "pip install 'enginewatch[fleet]'"
SPARK_READER = "spark-sql-kafka"
LARGE_STATE = 256 << 20  # bytes of one shard, which are read and written again with every batch of it
USUAL_LARGEST = 1 << 20  # bytes of a record that brokers take where nobody has raised it
STOPPED_MS = 10 * 60_000  # a partition whose newest record lies so far behind the topic's
TOLD = 3  # of a kind, before "and more"


def java(facts: JavaFacts) -> Finding:
    """Whether there is a Java that Spark runs on."""
    remedy = f"install Java {LEAST_JAVA} or later, and name its folder in JAVA_HOME"
    if not facts.place:
        return Finding("java", FAILED, "there is no java on PATH, and JAVA_HOME is not set", remedy)
    if facts.problem or not facts.version:
        said = f"{facts.place} does not tell its version{facts.problem and f': {facts.problem}'}"
        return Finding("java", FAILED, said, remedy)
    if facts.version < LEAST_JAVA:
        return Finding("java", FAILED, f"{facts.place} is Java {facts.version}", remedy)
    return Finding("java", OK, f"{facts.place} is Java {facts.version}")


def packages(facts: PackageFacts, fleet: FleetSettings) -> Finding:
    """Whether everything that the extra asks for is there, in versions that go together, and Spark's reader."""
    if facts.missing:
        return Finding("packages", FAILED, f"not installed: {', '.join(facts.missing)}", INSTALL)
    if facts.unfit:
        return Finding("packages", FAILED, "; ".join(facts.unfit), "pip install -U 'enginewatch[fleet]'")
    if facts.problem:
        return Finding("packages", FAILED, facts.problem, f"install them anew: {INSTALL}")
    said = ", ".join(f"{name} {version}" for name, version in facts.versions.items())
    if fleet.reader == "spark" and not any(SPARK_READER in option for option in fleet.spark):
        remedy = f"name org.apache.spark:{SPARK_READER}-0-10_2.13:{facts.versions.get('pyspark', 'VERSION')} to"
        remedy += " spark-submit --packages, or to fleet.spark as spark.jars.packages=..."
        return Finding("packages", WARNING, f"{said}; fleet.reader is spark, which needs {SPARK_READER}", remedy)
    return Finding("packages", OK, said)


def checkpoint(facts: CheckpointFacts, fleet: FleetSettings) -> Finding:
    """Whether a job can begin in its folder, or go on there."""
    hop = "checkpoint"
    if facts.elsewhere:
        return Finding(hop, SKIPPED, f"{facts.place} is no folder of this host, and is not looked at from here")
    if facts.problem:
        said = f"{facts.place}: {facts.problem}"
        return Finding(hop, FAILED, said, "fleet.checkpoint names a folder that the job may write")
    if facts.batch is None:
        said = f"{facts.place} is new: a job begins there{' with what was imported' if facts.imported else ''}"
    elif facts.shards != fleet.shards:
        said = f"{facts.place} was made with fleet.shards = {facts.shards}, and now they are {fleet.shards}"
        remedy = "set it back; or enginewatch fleet export, then fleet import into a new fleet.checkpoint"
        return Finding(hop, FAILED, said, remedy)
    else:
        said = f"{facts.place}: a job goes on behind batch {facts.batch}"
        said += "" if facts.ended else ", which is done again"
        topics = {*fleet.topics, fleet.control_topic}
        left = sorted(set(facts.topics) - topics)
        if left:
            remedy = "what waits there is not read any more; name them in fleet.topics until it is"
            return Finding(hop, WARNING, f"{said}; until now it has read {_some(left)} as well", remedy)
        new = sorted(topics - set(facts.topics))
        said += f"; it has not read {_some(new)} before, and does so from the beginning" if new else ""
    if not fleet.master.startswith("local"):
        remedy = "a folder that every executor can reach, such as hdfs:// or s3a://, unless this one is shared"
        return Finding(hop, WARNING, f"{said}; it is of this host, and the executors run on others", remedy)
    return Finding(hop, OK, said)


def kafka(facts: KafkaFacts) -> Finding:
    """Whether Kafka answers."""
    if facts.problem:
        remedy = "see fleet.brokers, fleet.options and fleet.password"
        return Finding("kafka", FAILED, f"{facts.brokers}: {facts.problem}", remedy)
    return Finding("kafka", OK, f"{facts.brokers} answers")


def topics(facts: KafkaFacts, fleet: FleetSettings) -> Finding:
    """Whether the topics with readings are there, and those that are written to."""
    absent = [each.name for each in facts.topics if not each.partitions]
    if absent:
        said = f"there is no topic {_some(absent)}"
        return Finding("topics", FAILED, said, "make it, or set fleet.topics to where the bridge writes")
    said = ", ".join(f"{each.name} ({_count(len(each.partitions), 'partition')})" for each in facts.topics)
    if not facts.written[fleet.alert_topic]:
        remedy = "make it with one partition, kept for long; see fleet.alert_topic"
        return Finding("topics", FAILED, f"{said}; there is no topic {fleet.alert_topic}", remedy)
    if not facts.written[fleet.dead_letter_topic]:
        remedy = "make it, where the brokers do not make topics by themselves"
        return Finding("topics", WARNING, f"{said}; there is no topic {fleet.dead_letter_topic} yet", remedy)
    return Finding("topics", OK, f"{said}; {fleet.alert_topic} and {fleet.dead_letter_topic} are there")


def control(facts: KafkaFacts, fleet: FleetSettings, model_bytes: int) -> Finding:
    """Whether changes come in order, and have room; `model_bytes` is what a change with all models takes."""
    name, partitions = fleet.control_topic, facts.written[fleet.control_topic]
    if not partitions:
        remedy = "make it with one partition; see fleet.control_topic"
        return Finding("control", FAILED, f"there is no topic {name}", remedy)
    if partitions > 1:
        said = f"{name} has {partitions} partitions, so that changes may come in another order"
        return Finding("control", WARNING, said, "make it anew with one")
    largest = USUAL_LARGEST if facts.control_bytes is None else facts.control_bytes
    takes = f"{name} takes records of {_size(largest)}"
    if model_bytes > largest and facts.control_bytes is not None:
        said = f"{takes}, and a change with its models has {_size(model_bytes)}"
        return Finding("control", FAILED, said, f"raise its max.message.bytes to {2 * model_bytes}")
    if facts.control_bytes is None:
        said = f"{name} has one partition; the brokers do not tell how large its records may be"
        remedy = f"max.message.bytes has to be {model_bytes} at the least" if model_bytes > largest else ""
        return Finding("control", WARNING if remedy else OK, said, remedy)
    return Finding("control", OK, f"{takes}, and a change with its models has {_size(model_bytes)}")


def shards(facts: KafkaFacts, fleet: FleetSettings, *, max_streams: int, stream_bytes: int) -> Finding:
    """Whether the work is shared well; `stream_bytes` is what an asset's state takes, at the most."""
    partitions = sum(len(each.partitions) for each in facts.topics)
    streams = -(-max_streams // fleet.shards)
    said = (
        f"{_count(fleet.shards, 'shard')}, {_count(partitions, 'partition')} to read;"
        f" {max_streams} assets make {streams} and {_size(streams * stream_bytes)} of state a shard"
    )
    if fleet.shards < partitions:
        remedy = "fleet.shards at the least as many as partitions; see docs/scale.md"
        return Finding("shards", WARNING, f"{said}: more is read at once than can be scored at once", remedy)
    if streams * stream_bytes > LARGE_STATE:
        remedy = "more fleet.shards, or daemon.max_streams nearer to what there is"
        return Finding("shards", WARNING, f"{said}, which each batch reads and writes", remedy)
    if max_streams < fleet.shards:
        return Finding("shards", WARNING, f"{said}: some have nothing to do", "fewer fleet.shards")
    return Finding("shards", OK, said)


def records(facts: KafkaFacts, fleet: FleetSettings, lines: Sequence[LineFacts]) -> Iterator[Finding]:
    """A line for each topic: what its newest records are; `lines` is what the classes made of them."""
    for topic, line in zip(facts.topics, lines, strict=True):
        if topic.partitions:
            found = _of_topic(topic, fleet, line)
            yield replace(found, hop="records", said=f"{topic.name}: {found.said}")


def _of_topic(topic: TopicFacts, fleet: FleetSettings, line: LineFacts) -> Finding:
    if topic.problem:
        remedy = (
            "what is there waits; see the partitions' leaders, and whether the user of fleet.options may read it"
        )
        return Finding("records", FAILED, topic.problem, remedy)
    if not topic.seen:
        return Finding("records", WARNING, "no record yet", "is the bridge running, and does it write there?")
    if topic.unplaced:
        said = f"{topic.unplaced} of the newest {topic.seen} records have no {topic.lacking}"
        said = f'{said}, and fleet.mqtt_topic is "{fleet.mqtt_topic}"'
        return Finding(
            "records", FAILED, said, "let the bridge write the MQTT topic as key, or see fleet.mqtt_topic"
        )
    read = decode(line)
    said = f"of the newest {_count(topic.seen, 'record')}: {read.said}"
    if read.state is FAILED:
        return replace(read, said=said)
    if topic.scattered:
        said = f"{topic.scattered[0]} is in more than one partition, so that its readings come in another order"
        return Finding("records", WARNING, said, "let the bridge set the key to the MQTT topic or the asset")
    newest = [each.newest for each in topic.partitions if each.newest is not None]
    behind = [
        f"{number} ({(max(newest) - each.newest) // 60_000} min)"
        for number, each in enumerate(topic.partitions)
        if each.newest is not None and max(newest) - each.newest > STOPPED_MS
    ]
    if behind:
        said = f"nothing new in partition {_some(behind)} while others go on"
        return Finding("records", WARNING, said, "have its assets stopped, or its leader? see the brokers")
    return replace(read, said=said)


def _some(names: Sequence[str]) -> str:
    more = len(names) - TOLD
    return ", ".join(names[:TOLD]) + (f" and {more} more" if more > 0 else "")


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _size(size: int) -> str:
    """Bytes as people read them.

    >>> _size(20_000), _size(3_500_000)
    ('19.5 KiB', '3.3 MiB')
    """
    return f"{size / (1 << 10):.1f} KiB" if size < 1 << 20 else f"{size / (1 << 20):.1f} MiB"
