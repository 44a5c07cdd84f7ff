"""What is known of the job on Spark, in its driver: progress of batches in, health and metrics out.

The metrics have the names of the daemon's, where they mean the same. Counts begin anew with the driver, and a
batch that is done again after a failure is counted again: they say how fast, the rows in InfluxDB say how many.
"""

from __future__ import annotations

import json
import re
import threading
import time
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import structlog

from monitor.exposition import Metric
from monitor.health import Ready
from monitor.printable import printable
from monitor.web.asked import Asked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pyspark.sql.streaming.listener import StreamingQueryListener

    from monitor.web.asked import Judged

log = structlog.get_logger()

NAME = "enginewatch"  # under which the query observes sums of its rows' numbers
VALUES, ROWS = "values_", "rows_"  # before an outcome, and before a status, in the names of these sums
STILL_S = 120.0  # neither a batch that ended nor a word that there is none to do: something hangs
LONGEST = 300  # characters of an error

Offsets = dict[str, dict[str, int]]  # by topic and partition


class Job:
    """The query as it is heard of; any thread may tell and ask.

    `ends` asks Kafka where the topics end, and may wait; it gives None where Kafka does not say.
    """

    def __init__(self, ends: Callable[[], Offsets | None], clock: Callable[[], float] = time.time) -> None:
        self._ends = ends
        self._clock = clock
        self._lock = threading.Lock()
        self._started = self._heard = clock()
        self._counts: dict[str, int] = {}  # what is observed, added up
        self._messages = self._batches = 0
        self._busy_s = self._last_s = 0.0
        self._read: Offsets = {}
        self._state_bytes = 0
        self._ended: str | None = None  # why, where it has

    def progressed(self, progress: Mapping[str, Any]) -> None:
        """A batch has ended."""
        counted = progress.get("observedMetrics", {}).get(NAME, {})
        with self._lock:
            self._heard = self._clock()
            self._batches += 1
            self._last_s = progress["batchDuration"] / 1000
            self._busy_s += self._last_s
            self._messages += progress["numInputRows"]
            self._state_bytes = sum(each["memoryUsedBytes"] for each in progress["stateOperators"])
            for name, number in counted.items():
                self._counts[name] = self._counts.get(name, 0) + (number or 0)  # None: of no row
            for source in progress["sources"]:
                self._read.update(_offsets(source["endOffset"]))

    def idle(self) -> None:
        """There is nothing to do."""
        with self._lock:
            self._heard = self._clock()

    def ended(self, error: str | None) -> None:
        """The query does no more; `error` is why, where it was not stopped."""
        with self._lock:
            self._ended = "it was stopped" if error is None else in_words(error)

    def live(self) -> Judged:
        """Whether the query runs; else it should be started anew."""
        reasons = [] if self._ended is None else [f"the query has ended: {self._ended}"]
        return not reasons, {"status": "dead" if reasons else "alive", "reasons": reasons}

    def ready(self) -> Judged:
        """Whether readings are taken in, scored and kept, and why not."""
        reasons = [reason for reason in self._grave() if reason]
        return not reasons, {"status": str(Ready.NOT_READY if reasons else Ready.READY), "reasons": reasons}

    def _grave(self) -> Iterator[str]:
        with self._lock:
            quiet = self._clock() - self._heard
            if self._ended is not None:
                yield f"the query has ended: {self._ended}"
            elif not self._batches:
                yield "no batch has ended yet"
            elif quiet > STILL_S:
                yield f"no batch has ended for {quiet:.0f} s, the last one took {self._last_s:.0f} s"

    def metrics(self) -> Iterator[Metric]:
        """Everything that is measured. Asks Kafka."""
        live, ready, ends = self.live()[0], self.ready()[0], self._ends()
        with self._lock:
            yield Metric.gauge("enginewatch_live", "1 while the query runs", int(live))
            yield Metric.gauge("enginewatch_ready", "1 while readings are taken in, scored and kept", int(ready))
            yield Metric.gauge("enginewatch_start_time_seconds", "when the driver started", self._started)
            yield Metric.gauge("enginewatch_info", "always 1", 1, version=version("enginewatch"))
            yield from self._of_the_books()
            yield from self._of_the_batches()
            if ends is not None:
                yield from self._of_the_backlog(ends)

    def _of_the_books(self) -> Iterator[Metric]:
        values = self._by(VALUES)
        if values:
            yield Metric.counter("enginewatch_values_total", "values by what became of them", values, "outcome")
        rows = self._by(ROWS)
        if rows:
            yield Metric.counter("enginewatch_rows_total", "score rows by status", rows, "status")
        yield Metric.counter("enginewatch_messages_total", "records read from Kafka", self._messages)

    def _by(self, prefix: str) -> dict[str, int]:
        return {
            name.removeprefix(prefix): number for name, number in self._counts.items() if name.startswith(prefix)
        }

    def _of_the_batches(self) -> Iterator[Metric]:
        yield Metric.counter("enginewatch_batches_total", "batches that ended", self._batches)
        yield Metric.counter("enginewatch_batch_seconds_total", "that batches took", self._busy_s)
        if self._batches:
            yield Metric.gauge("enginewatch_batch_seconds", "that the last batch took", self._last_s)
            yield Metric.gauge("enginewatch_state_bytes", "of the state in the executors", self._state_bytes)

    def _of_the_backlog(self, ends: Offsets) -> Iterator[Metric]:
        behind = {
            f"{topic}/{partition}": max(0, end - self._read[topic][partition])
            for topic, partitions in ends.items()
            for partition, end in partitions.items()
            if partition in self._read.get(topic, {})
        }
        words = "in Kafka, not taken by the line yet"
        yield Metric.gauge("enginewatch_backlog_records", words, sum(behind.values()))
        yield Metric.many(
            "enginewatch_partition_backlog_records", "the same by topic and partition", behind, "partition"
        )

    def asked(self, command: Callable[[bytes], dict[str, object]]) -> Asked:
        """What the HTTP port asks."""
        return Asked(self.live, self.ready, self.metrics, command, lambda: "")


def _offsets(offset: Any) -> Offsets:
    """Where a source stands, as Kafka's sources say it; nothing where it is no such source."""
    if not isinstance(offset, dict):
        return {}
    return {topic: dict(each) for topic, each in offset.items() if isinstance(each, dict)}


def in_words(error: str) -> str:
    r"""What went wrong, of an error as Spark tells it: the last line that is said before Java's trace.

    >>> in_words("Py4JException: Return Message: Traceback\n  File x\nValueError: no bucket\n\n\tat a.b(C.java:1)")
    'ValueError: no bucket'
    >>> in_words("SparkException: the executor is lost\nDriver stacktrace:\n\tat a.b(C.java:1)")
    'SparkException: the executor is lost'
    """
    said = [line.strip() for line in re.split(r"\n\s*at ", error, maxsplit=1)[0].splitlines()]
    said = [line for line in said if line not in {"", "Driver stacktrace:"}]
    return printable(said[-1] if said else "nothing was said")[:LONGEST]


def listener(job: Job) -> StreamingQueryListener:
    """What Spark is to be given, so that the job is heard of. A mistake in here must not end the query."""
    from pyspark.sql.streaming.listener import StreamingQueryListener  # noqa: PLC0415 - only the driver has it

    class Listener(StreamingQueryListener):
        def onQueryStarted(self, event: Any) -> None:  # noqa: N802 - these names are Spark's
            """It is heard of by its first batch."""

        def onQueryProgress(self, event: Any) -> None:  # noqa: N802
            try:
                job.progressed(json.loads(event.progress.json))
            except (KeyError, TypeError, ValueError) as error:
                log.warning("fleet_progress_unread", reason=f"{type(error).__name__}: {error}")

        def onQueryIdle(self, event: Any) -> None:  # noqa: ARG002, N802
            job.idle()

        def onQueryTerminated(self, event: Any) -> None:  # noqa: N802
            job.ended(event.exception)

    return Listener()
