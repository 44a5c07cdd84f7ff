"""The daemon and the job on Spark say the same of the same messages, wherever batches are cut."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, Any

from monitor.journal import Journal
from monitor.lineprotocol import score_lines
from monitor.records import AlertEvent, Batch, Kind, Message
from monitor.store import Store
from tests import vehicles
from tests.fleet.rig import CLASSES, parsed, take
from tests.rig import Daemon, until
from tests.servers.kafka import mock_kafka
from tests.servers.peers import Peer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pyspark.sql import SparkSession

    from tests.fleet.rig import Rows
    from tests.servers.brokers import Mosquitto

ENGINES, TICKS = 20, 300
CLOSE = 1e-5


def test_same_rows_and_incidents_as_the_daemon(tmp_path: Path, spark: SparkSession, mosquitto: Mosquitto) -> None:
    """Of readings late, repeated, missing and bad, at the settings that ship; in one batch, and in many."""
    began = (time.time_ns() // 1_000_000 // vehicles.PERIOD_MS - TICKS - 60) * vehicles.PERIOD_MS
    sent = vehicles.badly(ENGINES, TICKS, began=began, seed=3)
    messages, rows, events, books = _by_the_daemon(tmp_path, mosquitto, sent)
    assert len(messages) == len(sent)
    assert {status for status, _, _ in rows.values()} == {"warming_up", "scored"}
    assert {event.kind for event in events} >= {Kind.ANOMALY, Kind.SENSOR_SPIKES, Kind.SENSOR_STUCK}
    outcomes = books["outcomes"]
    assert all(outcomes[name] for name in ("in_row", "duplicate", "late", "quarantined", "dead_letter"))

    with mock_kafka() as kafka:
        kafka.send("vehicles", [(each.topic, each.payload, each.arrival) for each in messages])
        values = sum(outcomes.values())
        once = take(spark, kafka, tmp_path / "once", values=values)
        often = take(spark, kafka, tmp_path / "often", values=values, most=len(messages) // 7)
    assert often.batches > 5
    for told in (once, often):
        assert _unlike(told.rows, rows) == {}
        assert _said(told.events) == _said(events)
        assert told.outcomes() == outcomes
    assert Counter(map(_letter, once.letters)) == Counter(map(_letter, often.letters))


def _by_the_daemon(
    folder: Path, broker: Mosquitto, sent: Sequence[vehicles.Sent]
) -> tuple[list[Message], Rows, list[AlertEvent], dict[str, Any]]:
    """The messages as they arrived, and what came of them."""
    settings = f'[mqtt]\nhost = "{broker.host}"\nport = {broker.port}\n[store]\ncheckpoint_s = 3600\n{CLASSES}'
    daemon = Daemon(folder, f'{settings}\n[log]\nformat = "json"\n')
    try:
        daemon.start()
        with Peer(broker) as peer:
            peer.publish_each([(topic.decode(), payload) for topic, payload in sent])
        with closing(Journal(daemon.state / "journal.db")) as journal:
            end = until(lambda: _end_of(journal, len(sent)), why="all messages in the journal")
            records = journal.read(0, end)
        until(lambda: daemon.books().get("position", 0) >= end, why="all messages taken")
        books = daemon.books()
    finally:
        daemon.close()
    messages = [
        each for record in records if isinstance(record.payload, Batch) for each in record.payload.messages
    ]
    with closing(Store(daemon.state / "store.db")) as store:
        rows = parsed(line for batch in store.latest_scores() for line in score_lines(batch))
        events = [event for _, event in store.events_after(0, 1_000_000)]
    return messages, rows, events, books


def _end_of(journal: Journal, messages: int) -> int | None:
    """Where so many messages end; None before they are there."""
    came = 0
    for record in journal.read(0, 1_000_000):
        came += len(record.payload.messages) if isinstance(record.payload, Batch) else 0
        if came >= messages:
            return record.position
    return None


def _unlike(found: Rows, wanted: Rows) -> dict[Any, Any]:
    """Rows that are missing, too many, or of another status, regime or score."""
    return {
        key: (found.get(key), wanted.get(key))
        for key in found.keys() | wanted.keys()
        if key not in found or key not in wanted or not _alike(found[key], wanted[key])
    }


def _alike(one: tuple[str, str, float | None], other: tuple[str, str, float | None]) -> bool:
    if one[:2] != other[:2] or one[2] is None or other[2] is None:
        return one == other
    return abs(one[2] - other[2]) <= CLOSE


def _said(events: Sequence[AlertEvent]) -> list[tuple[Any, ...]]:
    """Incidents by what makes them; staleness goes by the clock."""
    return sorted(
        (each.stream, each.incident_id, each.kind, each.sensor, each.transition, each.time, each.severity)
        for each in events
        if each.kind != Kind.STALE
    )


def _letter(letter: Any) -> tuple[str, bytes, str]:
    return letter.topic, letter.payload, letter.reason
