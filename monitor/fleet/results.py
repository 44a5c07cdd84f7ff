"""What a batch has brought about goes out: transitions first, then lines to InfluxDB, from the executors.

A batch that was cut off is sent again. Transitions that the alert topic has are not written twice, lines with the
same time and tags are one in InfluxDB, and dead letters come again with the same id.
"""

from __future__ import annotations

import hashlib
import json
import random
import sys
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
import structlog
from confluent_kafka import Producer

from monitor.fleet.client import client_options
from monitor.fleet.kafka import write_all
from monitor.fleet.processor import lines_of
from monitor.fleet.shard import BOOKS, CONTROL, DRIFT, EVENT, LETTER, LINES, MOVE
from monitor.influx import PROBE
from monitor.influx_client import InfluxClient, Refused, TooLarge, Unavailable
from monitor.line import tell_drifts, tell_moves
from monitor.records import AlertEvent, DeadLetter, Drift, Move

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pyspark.sql import DataFrame, Row

    from config.settings import InfluxSettings, Settings
    from monitor.fleet.alerts import AlertLog

log = structlog.get_logger()

INFLUX = "influx"  # the topic of a dead letter that InfluxDB refused
SENT = "sent long, expired long, line string, reason string"  # how many lines went, or one that is refused


class Results:
    """The sink of the job: Spark calls it with every batch, on the driver."""

    def __init__(self, settings: Settings, alerts: AlertLog, token: str | None) -> None:
        """`token` is that of InfluxDB. Raises OSError."""
        self._influx = settings.influx
        self._token = token
        self._alerts = alerts
        self._letters = settings.fleet.dead_letter_topic
        self._control = settings.fleet.control_topic
        self._producer = Producer(client_options(settings.fleet))
        self.books: dict[int, dict[str, Any]] = {}  # shard -> what became of everything so far
        self.sent_rows = 0
        self.expired_rows = 0
        self.events = 0
        self.dead_letters = 0
        self.last_batch = -1
        self.failure: Exception | None = None
        self.on_events: Callable[[], None] = lambda: None

    def __call__(self, batch: DataFrame, number: int) -> None:
        """Send everything of a batch; fails where that cannot be, and is called again with the same."""
        try:
            self._send(batch)
        except Exception as error:
            self.failure = error  # Spark wraps it in layers of its own
            raise
        self.last_batch = number

    def _send(self, batch: DataFrame) -> None:
        """Transitions first: InfluxDB may be away for long."""
        few = batch.where(f"kind != '{LINES}'")
        if not self._influx.url:
            self._tell(few.collect())
            return
        batch.persist()  # else the line would be run once for each
        try:
            self._tell(few.collect())
            lines = batch.where(f"kind = '{LINES}'").select("body", "size")
            self._count(lines.mapInArrow(partial(_write_out, self._influx, self._token), SENT).collect())
        finally:
            batch.unpersist()

    def _tell(self, rows: Sequence[Row]) -> None:
        of: dict[str, list[Row]] = {}
        for row in rows:
            of.setdefault(row.kind, []).append(row)
        events = [msgspec.json.decode(row.body, type=AlertEvent) for row in of.get(EVENT, ())]
        if events:
            self.events += self._alerts.publish(sorted(events, key=lambda event: event.time))
            self.on_events()
        self._refuse(self._once([msgspec.json.decode(row.body, type=DeadLetter) for row in of.get(LETTER, ())]))
        tell_drifts([msgspec.json.decode(row.body, type=Drift) for row in of.get(DRIFT, ())])
        tell_moves([msgspec.json.decode(row.body, type=Move) for row in of.get(MOVE, ())])
        for row in of.get(BOOKS, ()):
            self.books[row.shard] = json.loads(row.body)

    def _once(self, letters: Sequence[DeadLetter]) -> list[DeadLetter]:
        """A control message that is refused is refused by every shard: it is told once, by its topic."""
        to_all = {(each.payload, each.reason): each for each in letters if each.topic == CONTROL}
        told = [replace(each, topic=self._control) for each in to_all.values()]
        return [*told, *(each for each in letters if each.topic != CONTROL)]

    def _refuse(self, letters: Sequence[DeadLetter]) -> None:
        """Keep what was refused on its topic, and tell the first. Raises FleetError."""
        if not letters:
            return
        records = (
            {
                "value": msgspec.json.encode(letter),
                "key": letter.topic.encode(errors="replace"),
                "headers": [("id", _id_of(letter).encode())],
            }
            for letter in letters
        )
        write_all(self._producer, self._letters, records)
        self.dead_letters += len(letters)
        first, more = letters[0], f"{self._letters} has it, and {len(letters) - 1} more of this batch"
        log.warning("refused", topic=first.topic, reason=first.reason, more=more)

    def _count(self, rows: Sequence[Row]) -> None:
        self.sent_rows += sum(row.sent for row in rows)
        self.expired_rows += sum(row.expired for row in rows)
        refused = [row for row in rows if row.line is not None]
        now = time.time_ns() // 1_000_000
        self._refuse([DeadLetter(now, INFLUX, row.line.encode(), row.reason, 0) for row in refused])


def _id_of(letter: DeadLetter) -> str:
    """The same for what was refused once, however often it is told. InfluxDB's lines have their time in them."""
    parts = letter.topic, letter.payload.hex(), letter.reason, "" if letter.topic == INFLUX else str(letter.time)
    return hashlib.blake2b("\0".join(parts).encode(errors="replace"), digest_size=16).hexdigest()


def _write_out(
    settings: InfluxSettings, token: str | None, batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """On an executor: the lines of some rows to InfluxDB, however long that takes."""
    client = InfluxClient(settings, token)
    sent = expired = 0
    refused: list[tuple[str, str]] = []
    try:
        for batch in batches:
            bodies = zip(batch["body"].to_pylist(), batch["size"].to_pylist(), strict=True)
            lines = [line for body, size in bodies for line in lines_of(body, size)]
            for begin in range(0, len(lines), settings.batch_rows):
                chunk = lines[begin : begin + settings.batch_rows]
                expired += _deliver(client, settings, chunk, refused)
                sent += len(chunk)
    finally:
        client.close()
    columns = {
        "sent": [sent - expired - len(refused), *[0] * len(refused)],
        "expired": [expired, *[0] * len(refused)],
        "line": [None, *(line for line, _ in refused)],
        "reason": [None, *(f"refused by InfluxDB: {reason}" for _, reason in refused)],
    }
    kinds = (pa.int64(), pa.int64(), pa.string(), pa.string())
    arrays = [pa.array(values, kind) for values, kind in zip(columns.values(), kinds, strict=True)]
    yield pa.RecordBatch.from_arrays(arrays, names=list(columns))


def _deliver(
    client: InfluxClient, settings: InfluxSettings, lines: list[str], refused: list[tuple[str, str]]
) -> int:
    """Write lines, bad ones apart; returns how many were older than the bucket keeps."""
    try:
        return _write(client, settings, lines)
    except (Refused, TooLarge) as refusal:
        if len(lines) > 1:
            half = len(lines) // 2
            return sum(_deliver(client, settings, part, refused) for part in (lines[:half], lines[half:]))
        try:
            _write(client, settings, [PROBE])
        except (Refused, TooLarge):
            sentence = f"InfluxDB refuses everything: {refusal}; check influx.url, influx.org and influx.bucket"
            raise Unavailable(sentence) from refusal
        refused.append((lines[0], str(refusal)))
        return 0


def _write(client: InfluxClient, settings: InfluxSettings, lines: Sequence[str]) -> int:
    """Write, and wait while InfluxDB is away: Kafka keeps what comes meanwhile. Raises Refused and TooLarge."""
    pause, told = settings.retry_min_s, ""
    while True:
        try:
            expired = client.write(lines)
        except Unavailable as trouble:
            if str(trouble) != told:
                told = str(trouble)
                sys.stderr.write(f"enginewatch: the job waits for InfluxDB: {told}\n")
            time.sleep(max(random.uniform(0, pause), min(trouble.retry_after, settings.retry_max_s)))  # noqa: S311 - spreads load
            pause = min(2 * pause, settings.retry_max_s)
        else:
            return expired
