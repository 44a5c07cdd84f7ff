"""A fleet on a Spark cluster with all that belongs to it: vehicles, Kafka, the job, InfluxDB, and an oracle.

The oracle is `pipeline.step` in one process that never died, given the same messages with the same arrival times.
Staleness is not asked for: it goes by the clock.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Self

from config.classes import resolve_classes
from config.load import load
from models.runtime import load_model
from monitor.assemble import line_spec
from monitor.pipeline import step
from monitor.records import Batch, Change, Kind, Message, Record, Status, Transition
from monitor.state import LineState
from tests import vehicles
from tests.faults.beside import beside
from tests.faults.oracle import Verdict
from tests.rig import COMMAND, environment, until
from tests.servers.influxd import DATABASE

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from monitor.records import AlertEvent
    from tests.servers.influxd import Influxd
    from tests.servers.kafka import MockKafka
    from tests.servers.spark import Spark

    Row = tuple[str, int]  # asset, event time in epoch ms

ALERTS = "enginewatch-alerts"
TOPICS = (ALERTS, "enginewatch-control", "enginewatch-dead-letters")  # as the settings have them by default
SETTLE_S = 900.0  # seconds prove nothing where much else runs
CLOSE = 1e-5
LAST = 20  # ticks that are left for when all is over

SETTINGS = """
[[classes]]
name = "engine"
model = "pretrained:engine"
assets = ["fleet/*"]
[alert]
stale_after_s = 86400
[fleet]
brokers = "{brokers}"
topics = ["vehicles"]
checkpoint = "{folder}/fleet-checkpoint"
master = "{master}"
shards = 4
trigger_s = 2.0
spark = ["spark.driver.host=127.0.0.1", "spark.driver.bindAddress=127.0.0.1", "spark.executor.memory=1g"]
[influx]
url = "{url}"
bucket = "{bucket}"
[log]
format = "json"
"""


class FleetHouse:
    """`ticks` of so many vehicles, of which some are faulty; `sent` counts the ticks that were handed over."""

    def __init__(
        self, folder: Path, kafka: MockKafka, spark: Spark, database: Influxd, *, engines: int, ticks: int
    ) -> None:
        self._kafka, self.spark, self._database = kafka, spark, database
        self.settings = folder / "enginewatch.toml"
        self.settings.write_text(
            SETTINGS.format(
                brokers=kafka.address, master=spark.url, folder=folder, url=database.url, bucket=DATABASE
            )
        )
        kafka.make("vehicles", *TOPICS)
        self.log = folder / "job.log"
        self.engines, self.ticks, self.sent = engines, ticks, 0
        now = time.time_ns() // 1_000_000 // vehicles.PERIOD_MS
        self._began = (now - ticks) * vehicles.PERIOD_MS
        self._driven = vehicles.drive(engines, ticks, began=self._began, seed=7)
        self._arrived: list[tuple[int, list[vehicles.Sent]]] = []
        self._sending = threading.Lock()
        self._job: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._job is not None and self._job.poll() is None:
            self.kill_driver()

    def start(self) -> None:
        """Start the job, the first time or again."""
        with self.log.open("ab") as log:
            self._job = subprocess.Popen(
                [*COMMAND, "fleet", "run", "--config", str(self.settings)],
                cwd=self.settings.parent, env=environment() | self.spark.environment(),
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def kill_driver(self) -> None:
        """Kill the driver, its Python and its Java, as kill -9 does."""
        assert self._job is not None
        os.killpg(self._job.pid, signal.SIGKILL)
        self._job.wait()

    def stop(self) -> None:
        """SIGTERM, and the end in order."""
        assert self._job is not None
        self._job.terminate()
        assert self._job.wait(60) == 0, self.log.read_text()[-4000:]

    def publish(self, ticks: int, *, per_second: float = 0.0, over: threading.Event | None = None) -> None:
        """Hand over the next ticks, which arrive now."""
        began, first = time.monotonic(), self.sent
        while self.sent < min(first + ticks, self.ticks):
            with self._sending:
                now = time.time_ns() // 1_000_000
                self._kafka.send("vehicles", [(*each, now) for each in self._driven[self.sent]])
                self._arrived.append((now, self._driven[self.sent]))
                self.sent += 1
            pause = began + (self.sent - first) / per_second - time.monotonic() if per_second else 0.0
            if over is not None and over.wait(max(0.0, pause)):
                break
            if over is None and pause > 0:
                time.sleep(pause)

    def load(self, per_second: float) -> AbstractContextManager[None]:
        """Publish from a thread of its own as long as the block lasts."""
        ticks = self.ticks - LAST - self.sent
        return beside(lambda over: self.publish(ticks, per_second=per_second, over=over))

    def fresh(self) -> float:
        """Wait until what is sent from now on is in InfluxDB; returns the seconds that took."""
        began, tick = time.monotonic(), self.sent
        until(lambda: self.sent > tick, seconds=SETTLE_S, why="the vehicles go on")
        until(lambda: self._is_stored(tick), seconds=SETTLE_S, why=f"fresh rows in InfluxDB; see {self.log}")
        return time.monotonic() - began

    def finish(self) -> tuple[Verdict, str]:
        """Publish a little more, wait until it has come through, end the job, and ask the oracle."""
        self.publish(LAST)
        until(lambda: self._is_stored(self.sent - 1), seconds=SETTLE_S, why=f"the last rows; see {self.log}")
        self.stop()
        return self.ask()

    def _is_stored(self, tick: int) -> bool:
        at = self._began + tick * vehicles.PERIOD_MS
        try:
            found = self._database.query(f"SELECT status FROM anomaly WHERE time = {at}ms", DATABASE)  # noqa: S608 - numbers of ours
        except OSError:
            return False  # it is busy
        return len(found) >= len(self._driven[tick])

    def ask(self) -> tuple[Verdict, str]:
        """What is missing, doubled and wrong, and how much there was to be so."""
        rows, events = self.undisturbed()
        verdict = Verdict()
        points: dict[Row, dict[str, Any]] = {}
        for point in self._database.query("SELECT asset, score, status FROM anomaly", DATABASE):
            row = point["asset"], point["time"]
            verdict.count(verdict.doubled, "rows", [row] if row in points else [])
            points[row] = point
        verdict.count(verdict.missing, "rows", rows.keys() - points.keys())
        verdict.count(verdict.corrupted, "rows that nobody sent", points.keys() - rows.keys())
        unlike = (
            (row, points[row], rows[row]) for row in rows if row in points and not _same(points[row], rows[row])
        )
        verdict.count(verdict.corrupted, "scores", unlike)
        records = self._kafka.read(ALERTS)
        told = {each["event_id"]: each for each in (json.loads(record.value()) for record in records)}
        heard = Counter(
            (each["incident_id"], each["transition"], each["time"])
            for each in told.values()
            if each["kind"] != Kind.STALE
        )
        wanted = Counter((each.incident_id, each.transition.value, each.time) for each in events)
        verdict.count(verdict.missing, "transitions", (wanted - heard).elements())
        verdict.count(verdict.doubled, "transitions", (key for key, count in heard.items() if count > 1))
        verdict.count(verdict.corrupted, "transitions that nothing brought about", heard.keys() - wanted.keys())
        stored = self._database.query("SELECT incident_id, transition, kind FROM alert_event", DATABASE)
        kept = Counter((each["incident_id"], each["transition"]) for each in stored if each["kind"] != Kind.STALE)
        due = Counter((each.incident_id, each.transition.value) for each in events)
        verdict.count(verdict.missing, "transitions in InfluxDB", (due - kept).elements())
        verdict.count(verdict.doubled, "transitions in InfluxDB", (kept - due).elements())
        incidents = sum(each.transition is Transition.FIRED for each in events)
        again = len(records) - len(told)
        return (
            verdict,
            f"{len(rows):,} rows, {len(events)} transitions of {incidents} incidents, {again} told again",
        )

    def undisturbed(self) -> tuple[dict[Row, tuple[float, int]], list[AlertEvent]]:
        """Score and status of every row, and the transitions."""
        loaded = load(self.settings, environment={})
        classes = resolve_classes(loaded)
        spec = line_spec(loaded.settings, classes)
        assert classes[0].model is not None
        models = {spec.classes[0].model_hash: load_model(classes[0].model, threads=1, batch_size=256)}
        state = LineState.empty(spec)
        records = [Record(1, self._arrived[0][0], Change(listening=True))]
        for position, (arrival, sent) in enumerate(self._arrived, 2):
            messages = [Message(topic, payload, arrival, len(payload)) for topic, payload in sent]
            records.append(Record(position, arrival, Batch(messages)))
        rows: dict[Row, tuple[float, int]] = {}
        events: list[AlertEvent] = []
        for record in records:
            result = step(state, record, models)
            events += [event for event in result.events if event.kind != Kind.STALE]
            for batch in result.scores:
                columns = batch.streams, batch.time.tolist(), batch.rows.score.tolist(), batch.rows.status.tolist()
                for stream, at, score, status in zip(*columns, strict=True):
                    rows[stream.rsplit("/", 1)[1], at] = score, status
        return rows, events


def _same(point: dict[str, Any], row: tuple[float, int]) -> bool:
    """The same status, and where it is scored the same score."""
    score, status = row
    if point["status"] != Status(status).name.lower():
        return False
    return point["score"] is None if status != Status.SCORED else abs(point["score"] - score) <= CLOSE
