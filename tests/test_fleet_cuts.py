"""What leaves a shard, wherever Spark cuts its batches, is what leaves a line that is given message by message."""

from __future__ import annotations

import random
import zlib
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from config.classes import resolve_classes
from config.load import load
from monitor.fleet import control
from monitor.fleet.shard import Arrived, Shard
from monitor.pipeline import step
from monitor.records import Batch, Change, Kind, Message, Record
from monitor.spec import LineSpec
from monitor.state import LineState
from tests import vehicles

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from monitor.records import StepResult

BEGAN = 1_790_000_000_000
ENGINES, TICKS, PARTITIONS = 5, 200, 4
SPAN_MS = TICKS * vehicles.PERIOD_MS
SETTINGS = '[[classes]]\nname = "engine"\nmodel = "pretrained:engine"\nassets = ["fleet/*"]\n'
CLOSE = 1e-5

World = tuple[control.Control, control.Shelf]
Said = tuple[dict[tuple[str, int], tuple[int, float]], list[Any], Counter[str]]
Ends = tuple[int, ...]  # a partition: how far a batch reaches


class Kept:
    """What Kafka has: messages in their partitions by their keys, each at its moment."""

    def __init__(self) -> None:
        self.sent = vehicles.badly(ENGINES, TICKS, began=BEGAN, seed=3)
        self.time = [BEGAN + 100 + number * SPAN_MS // len(self.sent) for number in range(len(self.sent))]
        self.partition = [zlib.crc32(topic) % PARTITIONS for topic, _ in self.sent]
        counts: Counter[int] = Counter()
        self.offset = []
        for partition in self.partition:
            self.offset.append(counts[partition])
            counts[partition] += 1
        self.ends: Ends = tuple(counts[partition] for partition in range(PARTITIONS))

    def span(self, begin: Ends, end: Ends) -> Arrived:
        """What a batch has, in the order in which its tasks happened to be through."""
        rows = [
            row
            for row, (partition, offset) in enumerate(zip(self.partition, self.offset, strict=True))
            if begin[partition] <= offset < end[partition]
        ]
        random.Random(0).shuffle(rows)  # noqa: S311 - an order, no secret
        columns = (np.array([each[row] for row in rows]) for each in (self.partition, self.offset, self.time))
        return Arrived([self.sent[row][0] for row in rows], [self.sent[row][1] for row in rows], *columns)


@cache
def kept() -> Kept:
    return Kept()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The line of the settings that ship, and a shelf with its model."""
    file = tmp_path_factory.mktemp("cuts") / "enginewatch.toml"
    file.write_text(SETTINGS)
    loaded = load(file, environment={})
    message = control.description(loaded.settings, resolve_classes(loaded))
    shelf = control.Shelf()
    for model_hash, files in message.models.items():
        shelf.put(model_hash, files)
    return message, shelf


@pytest.fixture(scope="module")
def wanted(world: World) -> Said:
    """The oracle: one by one."""
    message, shelf = world
    assert message.line is not None
    state = LineState.empty(message.line)
    models = shelf.models(message.line)
    records = [Record(1, BEGAN, Change(listening=True))]
    for (topic, payload), time in zip(kept().sent, kept().time, strict=True):
        records.append(Record(len(records) + 1, time, Batch([Message(topic, payload, time, len(payload))])))
    return said([step(state, record, models) for record in records])


def in_batches(world: World, cuts: Iterable[Ends]) -> list[StepResult]:
    """The shard, with batches that end there."""
    message, shelf = world
    shard = Shard(LineState.empty(LineSpec("", 1, ())))
    results = list(shard.control([control.encode(message)], BEGAN, shelf))
    begin: Ends = (0,) * PARTITIONS
    for end in cuts:
        if end != begin:
            results += shard.take(kept().span(begin, end), BEGAN + SPAN_MS + 1_000, shelf)
        begin = end
    return results


def said(
    results: Sequence[StepResult],
) -> Said:
    """Rows, transitions and what was refused."""
    rows: dict[tuple[str, int], tuple[int, float]] = {}
    for batch in (batch for result in results for batch in result.scores):
        columns = batch.streams, batch.time.tolist(), batch.rows.status.tolist(), batch.rows.score.tolist()
        for stream, at, status, score in zip(*columns, strict=True):
            assert (stream, at) not in rows
            rows[stream, at] = status, score
    events = [event for result in results for event in result.events if event.kind != Kind.STALE]
    told = [(each.incident_id, each.kind, each.transition, each.time) for each in events]
    return rows, sorted(told), Counter(each.reason for result in results for each in result.dead_letters)


def by_time(every_ms: int) -> list[Ends]:
    """Batches of what has come so far, so often."""
    moments = range(BEGAN + every_ms, BEGAN + SPAN_MS + 2 * every_ms, every_ms)
    pairs = list(zip(kept().partition, kept().time, strict=True))
    return [
        tuple(sum(1 for one, time in pairs if one == number and time <= moment) for number in range(PARTITIONS))
        for moment in moments
    ]


def by_share(batches: int) -> list[Ends]:
    """Batches of so much of each partition, as the source has them while it catches up."""
    return [tuple(end * number // batches for end in kept().ends) for number in range(1, batches + 1)]


CUTS = {
    "at once": lambda: [kept().ends],
    "each second": lambda: by_time(1_000),
    "every eleven seconds": lambda: by_time(11_000),
    "by share": lambda: by_share(9),
}


@pytest.mark.parametrize("cuts", CUTS)
def test_cuts_change_nothing(world: World, wanted: Said, cuts: str) -> None:
    """Readings late, repeated, missing and bad: rows, transitions and dead letters are those of one by one."""
    found = said(in_batches(world, CUTS[cuts]()))
    assert len(wanted[1]) > 2
    assert {key: row[0] for key, row in found[0].items()} == {key: row[0] for key, row in wanted[0].items()}
    scores = [np.array([rows[key][1] for key in wanted[0]]) for rows in (found[0], wanted[0])]
    np.testing.assert_allclose(scores[0], scores[1], rtol=0, atol=CLOSE)  # NaN where there is none, in both
    assert found[1:] == wanted[1:]
