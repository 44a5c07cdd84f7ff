"""The settings of the line on Spark: where Kafka is, how its records are read, and how the work is shared."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr

from config.section import Mistake, Section, only_one
from config.sections import Positive

if TYPE_CHECKING:
    from collections.abc import Iterator

PLACE = re.compile(r"\{(key|topic|header:[^{}]+)\}")
KAFKA_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")


def _place(template: str) -> str:
    """Refuse what says no MQTT topic."""
    rest = PLACE.sub("", template)
    if "{" in rest or "}" in rest:
        raise ValueError("there are the placeholders {key}, {topic} and {header:NAME}")
    if rest == template:
        raise ValueError("has none of {key}, {topic} and {header:NAME}, so that all records would be of one topic")
    return template


def _option(text: str) -> str:
    """Refuse what is no option."""
    name, equals, _ = text.partition("=")
    if not equals or not name.strip() or name != name.strip():
        raise ValueError("must be NAME=VALUE")
    return text


def _kafka_topic(name: str) -> str:
    """Refuse what Kafka takes for no topic."""
    if not KAFKA_TOPIC.fullmatch(name) or name in {".", ".."}:
        raise ValueError("is no name of a Kafka topic: letters, digits, dots, underscores and hyphens")
    return name


Option = Annotated[str, AfterValidator(_option)]
KafkaTopic = Annotated[str, AfterValidator(_kafka_topic)]


class FleetSettings(Section):
    """The line on Spark, for fleets that one daemon is too small for (docs/scale.md)."""

    brokers: str = Field("127.0.0.1:9092", min_length=1, description="Kafka's brokers, HOST:PORT,HOST:PORT")
    topics: tuple[KafkaTopic, ...] = Field(
        ("enginewatch",), min_length=1, description="Kafka topics with readings, as a bridge writes them"
    )
    control_topic: KafkaTopic = Field(
        "enginewatch-control", description="topic of changes and commands, for all shards; of one partition"
    )
    alert_topic: KafkaTopic = Field("enginewatch-alerts", description="topic to which transitions go")
    dead_letter_topic: KafkaTopic = Field(
        "enginewatch-dead-letters", description="topic to which goes what was refused, with the reason"
    )
    mqtt_topic: Annotated[str, AfterValidator(_place)] = Field(
        "{key}", description="the MQTT topic of a record, by its {key}, its {topic} or a {header:NAME}"
    )
    options: tuple[Option, ...] = Field(
        (), description="further options of the Kafka client, NAME=VALUE, such as security.protocol=SASL_SSL"
    )
    password: SecretStr | None = Field(None, description="sasl.password; better from a secret file")
    password_file: Path | None = Field(None, description="file that holds the password")
    reader: Literal["confluent", "spark"] = Field(
        "confluent", description="reads Kafka: our own source, or Spark's, which needs the package spark-sql-kafka"
    )
    start: Literal["earliest", "latest"] = Field(
        "earliest", description="where a new job begins to read; one that goes on does so where it stood"
    )
    shards: int = Field(
        16, ge=1, le=4096, description="parts of the state, and of the work; fixed by the checkpoint"
    )
    checkpoint: str = Field(
        "fleet-checkpoint", min_length=1, description="folder of the job's state, which every executor can reach"
    )
    trigger_s: Positive = Field(2.0, description="a batch begins so often, at the most")
    most_per_batch: int = Field(200_000, ge=1, description="records in a batch, at the most")
    clock_s: Positive = Field(10.0, description="a shard of which nothing comes is looked at so often")
    master: str = Field("local[*,4]", min_length=1, description="Spark's master, where spark-submit names none")
    spark: tuple[Option, ...] = Field((), description="further options of Spark, NAME=VALUE")
    mqtt_alerts: bool = Field(False, description="transitions also go to the broker of [mqtt], as the daemon's do")

    def mistakes(self) -> Iterator[Mistake]:
        """One password, and no topic for two purposes."""
        yield from only_one(self, "password", "password_file")
        names = ("control_topic", "alert_topic", "dead_letter_topic")
        for index, name in enumerate(names):
            topic = getattr(self, name)
            other = next((each for each in names[:index] if getattr(self, each) == topic), None)
            if other or topic in self.topics:
                yield Mistake(
                    (name, other or "topics"), f"{topic} is the topic of {other or 'the readings'} already"
                )
