"""What is known of the job on Spark, in its driver: what Spark and the sinks tell in, health and metrics out.

The metrics have the names of the daemon's, where they mean the same. The books are those of the shards' states, so
that a driver that is new has them when every shard has been heard; everything else begins anew with the driver.
"""

from __future__ import annotations

import json
import threading
import time
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from monitor.exposition import Metric
from monitor.health import Ready, of_the_books
from monitor.web.asked import Asked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence, Sized

    from pyspark.sql.streaming.listener import StreamingQueryListener

    from monitor.web.asked import Judged

log = structlog.get_logger()

STILL_S = 120.0  # neither a batch that ended nor a word that there is none to do: something waits, or hangs
NUMBERS = ("waiting", "streams", "heard")  # of the books, that are added up

Offsets = dict[str, dict[str, int]]  # by topic and partition


class Counted(Protocol):
    """What the sink of the job counts."""

    @property
    def books(self) -> Mapping[int, Mapping[str, Any]]:
        """By shard, as `monitor.books` has them."""

    sent_rows: int
    expired_rows: int
    events: int
    dead_letters: int


class Alerts(Protocol):
    """Knows what is open."""

    def open_incidents(self) -> Sized:
        """The incidents that are not over."""


class Standing:
    """How the job stands; any thread may tell and ask."""

    def __init__(
        self,
        *,
        counted: Counted,
        alerts: Alerts,
        shards: int,
        begin: Offsets,
        ends: Callable[[], Offsets | None],
        notify: Callable[[], str] = str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`begin` is where a job begins that is new, as Spark does not say that of its first batch.

        `ends` asks Kafka where the topics end, and may wait; it gives None where Kafka does not say.
        `notify` tells why subscribers at the MQTT broker get no alerts; nothing where they do.
        """
        self._counted = counted
        self._alerts = alerts
        self._shards = shards
        self._begin = begin
        self._ends = ends
        self._notify = notify
        self._clock = clock
        self._lock = threading.Lock()
        self._started = self._heard = clock()
        self._messages = self._batches = 0
        self._busy_s = self._last_s = 0.0
        self._read: Offsets = {}
        self._state_bytes = 0
        self._ended = False

    def progressed(self, progress: Mapping[str, Any]) -> None:
        """A batch has ended: its progress as Spark has it."""
        with self._lock:
            self._heard = self._clock()
            self._batches += 1
            self._last_s = progress["batchDuration"] / 1000
            self._busy_s += self._last_s
            self._state_bytes = sum(each["memoryUsedBytes"] for each in progress["stateOperators"])
            for source in progress["sources"]:
                start, end = _offsets(source["startOffset"]) or self._begin, _offsets(source["endOffset"])
                self._messages += passed(start, end)
                self._read.update(end)

    def idle(self) -> None:
        """There is nothing to do."""
        with self._lock:
            self._heard = self._clock()

    def ended(self) -> None:
        """The query does no more."""
        self._ended = True

    def live(self) -> Judged:
        """Whether the query runs; else it should be started anew."""
        reasons = ["the query has ended: the log says why"] if self._ended else []
        return not reasons, {"status": "dead" if reasons else "alive", "reasons": reasons}

    def ready(self) -> Judged:
        """Whether readings are taken in, scored and kept, and why not."""
        grave, notify = list(self._grave()), self._notify()
        light = [f"subscribers get no alerts, they are kept: {notify}"] if notify else []
        status = Ready.NOT_READY if grave else Ready.DEGRADED if light else Ready.READY
        return not grave, {"status": str(status), "reasons": [*grave, *light]}

    def _grave(self) -> Iterator[str]:
        with self._lock:
            quiet = self._clock() - self._heard
            if self._ended:
                yield "the query has ended: the log says why"
            elif not self._batches:
                yield "no batch has ended yet"
            elif quiet > STILL_S:
                yield f"no batch has ended for {quiet:.0f} s: the log says what it waits for, such as InfluxDB"

    def metrics(self) -> Iterator[Metric]:
        """Everything that is measured. Asks Kafka."""
        ready, said = self.ready()
        yield Metric.gauge("enginewatch_live", "1 while the query runs", int(self.live()[0]))
        yield Metric.gauge("enginewatch_ready", "1 while readings are taken in, scored and kept", int(ready))
        degraded = int(said["status"] == Ready.DEGRADED)
        yield Metric.gauge(
            "enginewatch_degraded", "1 while ready, but something beside that does not work", degraded
        )
        yield Metric.gauge("enginewatch_start_time_seconds", "when the driver started", self._started)
        yield Metric.gauge("enginewatch_info", "always 1", 1, version=version("enginewatch"))
        known = list(self._counted.books.values())
        if len(known) >= self._shards:  # else the sums would seem to jump when the others are heard
            yield from of_the_books(added_up(known))
        yield from self._of_the_sinks()
        yield from self._of_the_batches()
        if (ends := self._ends()) is not None:
            yield from self._of_the_backlog(ends)

    def _of_the_sinks(self) -> Iterator[Metric]:
        counted, opened = self._counted, len(self._alerts.open_incidents())
        yield Metric.counter("enginewatch_influx_lines_total", "lines that InfluxDB took", counted.sent_rows)
        yield Metric.counter(
            "enginewatch_influx_expired_lines_total", "lines beyond the bucket's retention", counted.expired_rows
        )
        yield Metric.counter(
            "enginewatch_transitions_total", "transitions that the alert topic took", counted.events
        )
        yield Metric.counter(
            "enginewatch_dead_letters_total", "letters that their topic took", counted.dead_letters
        )
        yield Metric.gauge("enginewatch_incidents_open", "incidents that fired and are not over", opened)

    def _of_the_batches(self) -> Iterator[Metric]:
        with self._lock:
            yield Metric.counter("enginewatch_messages_total", "records read from Kafka", self._messages)
            yield Metric.counter("enginewatch_batches_total", "batches that ended", self._batches)
            yield Metric.counter("enginewatch_batch_seconds_total", "that batches took", self._busy_s)
            if self._batches:
                yield Metric.gauge("enginewatch_batch_seconds", "that the last batch took", self._last_s)
                yield Metric.gauge(
                    "enginewatch_state_bytes", "of the state in the executors' memory", self._state_bytes
                )

    def _of_the_backlog(self, ends: Offsets) -> Iterator[Metric]:
        with self._lock:
            behind = {
                f"{topic}/{partition}": max(0, end - self._read[topic][partition])
                for topic, partitions in ends.items()
                for partition, end in partitions.items()
                if partition in self._read.get(topic, {})
            }
        if not behind:
            return
        words = "in Kafka, not taken by the line yet"
        yield Metric.gauge("enginewatch_backlog_records", words, sum(behind.values()))
        yield Metric.many(
            "enginewatch_partition_backlog_records", "the same by topic and partition", behind, "partition"
        )

    def asked(self) -> Asked:
        """What the HTTP port asks."""
        return Asked(self.live, self.ready, self.metrics)


def added_up(books: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The books of the shards as those of one line.

    >>> a = {"outcomes": {"late": 1}, "rows": {}, "waiting": 1, "streams": 2, "heard": 1, "clock_suspect": False}
    >>> both = added_up([a, a | {"rows": {"gap": 1}, "clock_suspect": True}])
    >>> both["outcomes"], both["rows"], both["streams"], both["clock_suspect"]
    ({'late': 2}, {'gap': 1}, 4, True)
    """
    sums: dict[str, Any] = {name: sum(each[name] for each in books) for name in NUMBERS}
    for table in ("outcomes", "rows"):
        names = dict.fromkeys(name for each in books for name in each[table])
        sums[table] = {name: sum(each[table].get(name, 0) for each in books) for name in names}
    return sums | {"clock_suspect": any(each["clock_suspect"] for each in books)}


def passed(start: Offsets, end: Offsets) -> int:
    """How many records lie between; a partition that is new has been read from its first record on.

    >>> passed({"a": {"0": 5}}, {"a": {"0": 7, "1": 3}})
    5
    """
    return sum(
        offset - start.get(topic, {}).get(partition, 0)
        for topic, partitions in end.items()
        for partition, offset in partitions.items()
    )


def _offsets(offset: Any) -> Offsets:
    """Where a source stands, as those of Kafka say it; nothing where it is no such source."""
    if not isinstance(offset, dict):
        return {}
    return {topic: dict(each) for topic, each in offset.items() if isinstance(each, dict)}


def listener(standing: Standing) -> StreamingQueryListener:
    """What Spark is to be given, so that the job is heard of. A mistake in here must not end the query."""
    from pyspark.sql.streaming.listener import StreamingQueryListener  # noqa: PLC0415 - only the driver has it

    class Listener(StreamingQueryListener):  # type: ignore[misc]  # untyped where Spark is not installed
        def onQueryStarted(self, event: Any) -> None:  # noqa: N802 - these names are Spark's
            """It is heard of by its first batch."""

        def onQueryProgress(self, event: Any) -> None:  # noqa: N802 - Spark's name
            try:
                standing.progressed(json.loads(event.progress.json))
            except (KeyError, TypeError, ValueError) as error:
                log.warning("progress_unread", reason=f"{type(error).__name__}: {error}")

        def onQueryIdle(self, event: Any) -> None:  # noqa: ARG002, N802 - as Spark calls it
            standing.idle()

        def onQueryTerminated(self, event: Any) -> None:  # noqa: ARG002, N802 - as Spark calls it
            standing.ended()

    return Listener()
