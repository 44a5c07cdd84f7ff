"""The line on Spark beside the same line in one process: CPU time of all processes of the job, Spark's own too.

A core's worth of work is what counts where a cluster is paid by cores; the time that passes is told beside it.
Measured only where it is asked for by name (`make bench ARGS=fleet`): Spark takes its time to warm up.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sys
import tempfile
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.speed.backlog import BEGINS
from benchmarks.speed.figures import CannotRunError, Figure
from benchmarks.speed.plant import Plant
from config.classes import resolve_classes
from config.load import load
from monitor.allocator import keep_memory
from monitor.fleet import control
from monitor.fleet.place import places
from monitor.fleet.shard import LINES, Arrived, Shard, rows
from monitor.spec import LineSpec
from monitor.state import LineState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from config.settings import Settings
    from monitor.fleet.control import Control

ONLY_NAMED = True
STREAMS, MANY = 1_000, 10_000
READINGS = 200_000  # in a batch, as fleet.most_per_batch has it
WARM = 3  # batches before the first that counts: Java compiles what it does often
PERIOD_MS = 500
PARTITIONS = 4
LATEST = BEGINS * 2  # nothing of what is sent came later
LIMIT_S = 600.0
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
CLASSES = {"name": "engine", "model": "pretrained:engine", "assets": '["plant/*"]'}


class Messages:
    """A fleet's readings, a batch after the other: topics, payloads, and when they came."""

    def __init__(self, streams: int) -> None:
        self._plant = Plant(streams)
        self._ticks = READINGS // streams
        self._streams = streams
        self._begin = BEGINS

    def batch(self) -> tuple[list[bytes], list[bytes], np.ndarray[Any, np.dtype[np.int64]]]:
        """The next one."""
        laid = self._plant.messages(self._ticks)
        time = np.repeat(self._begin + PERIOD_MS * np.arange(self._ticks), self._streams)
        self._begin += PERIOD_MS * self._ticks
        return [each.topic.encode() for each in laid], [each.payload for each in laid], time


def _settings(folder: str, brokers: str = "127.0.0.1:9", topics: str = "") -> tuple[Settings, Control]:
    shards = os.cpu_count() or 1
    given = {f"classes.0.{key}": value for key, value in CLASSES.items()} | {
        "fleet.checkpoint": folder,
        "fleet.shards": str(shards),
        "fleet.trigger_s": "0.01",
        "fleet.clock_s": "600",
        "fleet.most_per_batch": str(READINGS),
        "fleet.brokers": brokers,
        **({"fleet.topics": topics} if topics else {}),
    }
    loaded = load(None, overrides=[f"{key}={value}" for key, value in given.items()], environment={})
    return loaded.settings, control.description(loaded.settings, resolve_classes(loaded))


def _alone(streams: int, batches: int) -> Iterator[float]:
    """Readings per CPU second of the line in this process, from the payload to the lines that InfluxDB gets."""
    _, described = _settings("unused")
    shelf, shard, messages = control.Shelf(), Shard(LineState.empty(LineSpec("", 1, ()))), Messages(streams)
    keep_memory()
    list(shard.control([control.encode(described)], BEGINS, shelf))
    for _ in range(batches):
        topics, payloads, came = messages.batch()
        arrived = Arrived(topics, payloads, np.zeros(len(came), np.int64), np.arange(len(came)), came)
        start = time.process_time()
        made = [row for result in shard.take(arrived, LATEST, shelf) for row in rows(result, readings=False)]
        taken = time.process_time() - start
        assert sum(row.count for row in made if row.kind == LINES) >= READINGS
        yield READINGS / taken


beside: set[int] = set()  # processes that are no part of the job, though we have started them


def _cpu_seconds() -> float:
    """What this process and all that it has started for the job have used."""
    found: dict[int, tuple[int, int]] = {}
    for each in Path("/proc").iterdir():
        if each.name.isdigit():
            try:
                fields = (each / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            found[int(each.name)] = int(fields[1]), sum(map(int, fields[11:15]))

    def ours(number: int) -> bool:
        while number in found and number != os.getpid() and number not in beside:
            number = found[number][0]
        return number == os.getpid()

    return sum(used for number, (_, used) in found.items() if ours(number)) / TICKS_A_SECOND


@contextmanager
def _spark(settings: Settings) -> Iterator[Any]:
    """A session. Raises CannotRunError where there is no Spark."""
    if importlib.util.find_spec("pyspark") is None:
        raise CannotRunError('needs the extra "fleet"')
    if shutil.which("java") is None:
        raise CannotRunError("needs Java 17")
    from monitor.fleet import job  # noqa: PLC0415 - the extra may be missing

    session = job.session(settings.fleet)
    try:
        yield session
    finally:
        session.stop()


def _job(settings: Settings, read: Any, batches: int) -> Iterator[tuple[float, float]]:
    """Readings per CPU second, and per second, of each batch that counts."""
    from monitor.fleet import job  # noqa: PLC0415 - as above

    marks: list[tuple[float, float]] = []

    def sink(batch: Any, _: int) -> None:
        """All that the job's own sink asks of Spark: what leaves is computed, and kept until InfluxDB has it."""
        batch.persist()
        batch.where(f"kind != '{LINES}'").collect()
        count = batch.where(f"kind = '{LINES}'").agg({"count": "sum"}).collect()[0][0]
        batch.unpersist()
        if count and count >= READINGS:
            marks.append((_cpu_seconds(), time.monotonic()))

    query = job.start(job.judged(read, settings), settings.fleet, sink)
    end = time.monotonic() + LIMIT_S
    while len(marks) < batches + WARM and query.isActive and time.monotonic() < end:
        time.sleep(0.2)
    failure = query.exception()
    query.stop()
    if failure is not None or len(marks) < batches + WARM:
        raise RuntimeError(f"the job did not come so far: {failure or 'it took too long'}")
    for (used, at), (more, later) in zip(marks[WARM - 1 :], marks[WARM:], strict=False):
        yield READINGS / (more - used), READINGS / (later - at)


def _of_files(streams: int, batches: int) -> list[tuple[float, float]]:
    """The job on records that lie in files."""
    with tempfile.TemporaryDirectory() as name:
        settings, described = _settings(f"{name}/checkpoint")
        assert described.line is not None
        with _spark(settings) as session:
            from benchmarks.speed.fleet_source import NAME, Source  # noqa: PLC0415 - as above
            from monitor.fleet import job  # noqa: PLC0415 - as above

            fleet = settings.fleet
            _write(Path(name), Messages(streams), batches + WARM, described, fleet.control_topic)
            known = places([each.route for each in described.line.classes], described.line.root)
            packing = fleet.mqtt_topic, fleet.control_topic, known, job.shard_ids(session, fleet.shards)
            session.dataSource.register(Source)
            options = {"folder": name, "batches": batches + WARM, "packing": json.dumps(packing)}
            read = session.readStream.format(NAME).options(**options).load()
            return list(_job(settings, read, batches))


def _write(folder: Path, messages: Messages, batches: int, described: Control, control_topic: str) -> None:
    import pyarrow as pa  # noqa: PLC0415 - as above

    kinds = (pa.binary(), pa.binary(), pa.string(), pa.int32(), pa.int64(), pa.timestamp("ms", tz="UTC"))
    names = ("key", "value", "topic", "partition", "offset", "timestamp")

    def write(file: str, *columns: Any) -> None:
        table = pa.table({n: pa.array(c, k) for n, c, k in zip(names, columns, kinds, strict=True)})
        with pa.OSFile(str(folder / file), "wb") as sink, pa.ipc.new_file(sink, table.schema) as made:
            made.write_table(table)

    write("0.control.arrow", [b""], [control.encode(described)], [control_topic], [0], [0], [BEGINS])
    for number in range(batches):
        topics, payloads, came = messages.batch()
        of = np.array([hash(topic) % PARTITIONS for topic in topics])
        for partition in range(PARTITIONS):
            rows = np.flatnonzero(of == partition)
            count = len(rows)
            offsets = number * READINGS + rows
            own = [topics[row] for row in rows], [payloads[row] for row in rows]
            file = f"{number}.{partition}.arrow"
            write(file, *own, ["enginewatch"] * count, [partition] * count, offsets, came[rows])


def _of_kafka(batches: int) -> list[tuple[float, float]]:
    """The job on records that another process has in its Kafka."""
    from benchmarks.speed.fleet_kafka import TOPICS, kafka  # noqa: PLC0415 - as above
    from monitor.fleet import job  # noqa: PLC0415 - as above
    from monitor.fleet.service import beginning, publish  # noqa: PLC0415 - as above

    with tempfile.TemporaryDirectory() as name, kafka(STREAMS, batches + WARM) as brokers:
        settings, described = _settings(f"{name}/checkpoint", brokers, json.dumps(TOPICS))
        assert described.line is not None
        begin = beginning(settings.fleet, publish(settings.fleet, described))
        with _spark(settings) as session:
            read = job.rows(session, settings.fleet, begin, described.line)
            return list(_job(settings, read, batches))


def _beside_alone(
    job_of: Callable[[int], list[tuple[float, float]]], repeats: int
) -> Iterator[tuple[float, float]]:
    found = job_of(repeats)
    passed = sorted(rate for _, rate in found)[len(found) // 2]
    sys.stderr.write(f"    of the time that passed: {passed:,.0f} readings/s on {os.cpu_count()} cores\n")
    alone = list(_alone(STREAMS, repeats + 1))[1:]
    return zip((rate for rate, _ in found), alone, strict=True)


def _many(repeats: int) -> Iterator[tuple[float, float]]:
    """CPU microseconds a reading, at many streams and at fewer."""
    many, fewer = (_of_files(streams, repeats) for streams in (MANY, STREAMS))
    for (one, _), (other, _) in zip(many, fewer, strict=True):
        yield 1e6 / one, 1e6 / other


ALONE = "the same line in one process, payload to lines"
FIGURES = (
    Figure(
        name="fleet",
        ours=f"the job on Spark at {STREAMS:,} streams with the shipped model, records from files, to lines",
        reference=ALONE,
        unit="readings per CPU second",
        pairs=partial(_beside_alone, partial(_of_files, STREAMS)),
        bar=0.4,
    ),
    Figure(
        name="fleet, Kafka",
        ours="the same with a JSON message a reading over the Kafka protocol",
        reference=ALONE,
        unit="readings per CPU second",
        pairs=partial(_beside_alone, _of_kafka),
        bar=0.15,
    ),
    Figure(
        name="fleet, many streams",
        ours=f"a reading at {MANY:,} streams, as many readings in a batch",
        reference=f"a reading at {STREAMS:,} streams",
        unit="CPU microseconds",
        pairs=_many,
        more_is_better=False,
        bar=1.3,
    ),
)
