"""What `enginewatch fleet check` saw, for `judged` to judge. Types, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monitor.records import Message

HOPS = (
    "settings", "model", "java", "packages", "checkpoint", "kafka", "topics", "control", "shards", "records",
    "influx",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class JavaFacts:
    """The Java that Spark would start."""

    place: str = ""  # of the program; empty = there is none
    version: int = 0  # its major number; 0 = it did not tell
    problem: str = ""  # why it does not run


@dataclass(frozen=True, slots=True)
class PackageFacts:
    """What the extra asks for, and what is installed."""

    versions: Mapping[str, str]  # name -> as installed
    missing: tuple[str, ...] = ()
    unfit: tuple[str, ...] = ()  # each with its version and what was asked for
    problem: str = ""  # they are there, and Spark's worker cannot load them together


@dataclass(frozen=True, slots=True)
class CheckpointFacts:
    """The folder of the job's state."""

    place: str
    problem: str = ""  # why no job could write there
    elsewhere: bool = False  # not a folder of this host, so that it cannot be looked at from here
    batch: int | None = None  # the last one that was begun; None = no job has begun here
    ended: bool = True  # and it was ended
    shards: int = 0  # that the state there is laid out by
    topics: tuple[str, ...] = ()  # that were read so far
    imported: bool = False  # a state is there for a new job to begin with


@dataclass(frozen=True, slots=True)
class PartitionFacts:
    """One partition of a topic."""

    records: int  # that it holds
    newest: int | None = None  # when the newest one came, epoch ms; None = it was not seen


@dataclass(frozen=True, slots=True)
class TopicFacts:
    """One topic, and what its newest records are; `partitions` is empty where there is no such topic."""

    name: str
    partitions: tuple[PartitionFacts, ...] = ()
    problem: str = ""  # why it cannot be read
    seen: int = 0  # records that were looked at
    unplaced: int = 0  # of them, those that say no MQTT topic
    lacking: str = ""  # what the first of these lacks: a key, or a header
    messages: tuple[Message, ...] = ()  # the others, as the decoder has them
    scattered: tuple[str, ...] = ()  # MQTT topics that were seen in more than one partition

    def newest(self) -> int:
        """When the newest message came, epoch ms; 0 where there is none."""
        return max((each.arrival for each in self.messages), default=0)


@dataclass(frozen=True, slots=True)
class KafkaFacts:
    """What a client of our own saw of Kafka."""

    brokers: str
    problem: str = ""  # why there was no answer, in words
    topics: tuple[TopicFacts, ...] = ()  # with the readings
    written: Mapping[str, int] = field(default_factory=dict)  # topics of ours -> partitions, 0 = not there
    control_bytes: int | None = None  # the largest record that the control topic takes; None = not told
