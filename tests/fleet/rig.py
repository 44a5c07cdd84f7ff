"""Has the job take what is on a Kafka, and keeps what leaves it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from config.classes import resolve_classes
from config.load import load
from monitor.fleet import control, job, service
from monitor.fleet.processor import lines_of
from monitor.fleet.shard import BOOKS, EVENT, LETTER, LINES
from monitor.records import AlertEvent, DeadLetter
from tests.rig import until

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pyspark.sql import DataFrame, SparkSession

    from tests.servers.kafka import MockKafka

CLASSES = """
[[classes]]
name = "engine"
model = "pretrained:engine"
assets = ["fleet/*"]
"""
WORDS = re.compile(r'status="(\w+)",regime="([^"]*)"')
SCORE = re.compile(r",score=([^ ,]+)")

SHARDS = 4

Rows = dict[tuple[str, int], tuple[str, str, float | None]]  # series and time -> status, regime and score


@dataclass(slots=True)
class Told:
    """What left the job."""

    rows: Rows = field(default_factory=dict)
    events: list[AlertEvent] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)
    books: dict[int, Any] = field(default_factory=dict)  # a shard's latest
    batches: int = 0

    def outcomes(self) -> dict[str, int]:
        """What became of all values."""
        found: dict[str, int] = {}
        for books in self.books.values():
            for name, count in books["outcomes"].items():
                found[name] = found.get(name, 0) + count
        return found

    def accounted(self) -> int:
        """How many values have an outcome, none of them waiting."""
        waiting = sum(books["waiting"] for books in self.books.values())
        return 0 if waiting else sum(self.outcomes().values())

    def __call__(self, batch: DataFrame, number: int) -> None:
        """As the sink of the job."""
        del number
        self.batches += 1
        for row in batch.collect():
            if row.kind == LINES and row.about:
                self.rows |= parsed(lines_of(row.body, row.size))
            elif row.kind == EVENT:
                self.events.append(msgspec.json.decode(row.body, type=AlertEvent))
            elif row.kind == LETTER:
                self.letters.append(msgspec.json.decode(row.body, type=DeadLetter))
            elif row.kind == BOOKS:
                self.books[row.shard] = msgspec.json.decode(row.body)


def parsed(lines: Iterable[str]) -> Rows:
    """What lines of the measurement `anomaly` say."""
    found: Rows = {}
    for line in lines:
        text, _, time = line.rpartition(" ")
        words, score = WORDS.search(text), SCORE.search(text)
        assert words, line
        key = text[: words.start()].strip(), int(time)
        assert key not in found, f"{key} is there twice"
        found[key] = words[1], words[2], float(score[1]) if score else None
    return found


def take(
    spark: SparkSession,
    kafka: MockKafka,
    folder: Path,
    *,
    values: int,
    topic: str = "vehicles",
    most: int = 200_000,
) -> Told:
    """Have a new job take all that a topic has, so many values, so many records in a batch at the most."""
    folder.mkdir()
    file = folder / "enginewatch.toml"
    file.write_text(f"""{CLASSES}
[fleet]
brokers = "{kafka.address}"
topics = ["{topic}"]
checkpoint = "{folder}/checkpoint"
shards = {SHARDS}
trigger_s = 0.1
most_per_batch = {most}
""")
    loaded = load(file, environment={})
    settings, fleet = loaded.settings, loaded.settings.fleet
    kafka.make(fleet.control_topic, topic)
    described = control.description(settings, resolve_classes(loaded))
    assert described.line is not None
    begin = service.beginning(fleet, service.publish(fleet, described))
    read = job.rows(spark, fleet, begin, described.line)
    told = Told()
    query = job.start(job.judged(read, settings), fleet, told)
    try:
        # A job with timers makes batch after batch, so that it cannot be asked whether it is through.
        until(lambda: query.exception() or told.accounted() >= values, seconds=250, why="all values taken")
        assert query.exception() is None, query.exception()
    finally:
        query.stop()
    return told
