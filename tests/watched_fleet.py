"""A real fleet in a real InfluxDB: a daemon, an engine that fails, a faulty sensor, silence for good and a while.

What is past is sent at once, so that a quarter of an hour takes a few seconds.
"""

from __future__ import annotations

import math
import threading
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from monitor.decode import encode_telemetry
from simulator.faults import Fault
from simulator.fleet import Fleet
from simulator.records import SENSORS
from tests.engine_line import ENGINE, TOPIC
from tests.rig import Daemon, json_lines, run, until
from tests.servers import find, missing
from tests.servers.brokers import Mosquitto
from tests.servers.hooks import hook
from tests.servers.influxd import DATABASE, PROGRAMS, Influxd
from tests.servers.peers import Peer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PERIOD_MS = 500
TICKS = 1000  # a window and what the threshold waits for are 660
FAULT_MS = 700 * PERIOD_MS
SILENT_MS = 950 * PERIOD_MS
FAILING, FAULTY, SILENT, PAUSING = range(4)  # engines
FAULTS = (
    Fault(FAILING, "lean_mixture", "severe", start_ms=FAULT_MS),
    Fault(FAULTY, "dropout", "severe", start_ms=FAULT_MS, sensor="oil_pressure"),
)
OFTEN = "[influx]\nwrite_readings = true\nhealth_every_s = 0.5"
MORE = """
[alert]
stale_after_s = 1
critical_ratio = 1
[notify]
group_wait_s = 0.1
[[notify.channels]]
name = "on-call"
to = "webhook"
url = "{hook.url}"
"""
SETTINGS = ENGINE.replace("[influx]", OFTEN) + MORE


class Feed:
    """The fleet's readings, as far as time has come."""

    def __init__(self) -> None:
        self.fleet = Fleet(4, seed=1, faults=FAULTS, period_ms=PERIOD_MS)
        self.silent = {SILENT, PAUSING}
        self._begin = time.time_ns() // 1_000_000 - TICKS * PERIOD_MS
        self._ticks = 0  # that were taken

    def due(self) -> Iterator[tuple[str, bytes]]:
        """Topics and payloads of what is due and was not given yet."""
        now = time.time_ns() // 1_000_000
        ticks = (now - self._begin) // PERIOD_MS - self._ticks
        if ticks <= 0:
            return
        block = self.fleet.block(ticks)
        self._ticks += ticks
        for at, row in zip(block.time.tolist(), block.shortest(), strict=True):
            for number, values in enumerate(row):
                if at < SILENT_MS or number not in self.silent:
                    pairs = zip(SENSORS, values, strict=True)
                    reading = {name: value for name, value in pairs if not math.isnan(value)}
                    payload = encode_telemetry(time=self._begin + at, boot="b", seq=0, values=reading)
                    yield TOPIC.format(self.fleet.assets[number]), payload


@contextmanager
def watched_fleet(folder: Path) -> Iterator[Influxd]:
    """InfluxDB while everything still runs, once all of it is there."""
    for program in (*PROGRAMS, Mosquitto.program):
        if find(program) is None:
            missing(program)
    with ExitStack() as house:
        broker = house.enter_context(Mosquitto(folder / "mosquitto"))
        database = house.enter_context(Influxd(folder / "influxd"))
        database.create_database(DATABASE)
        people = house.enter_context(hook())
        daemon = Daemon(folder, SETTINGS.format(broker=broker, influx=database, hook=people))
        house.callback(daemon.close)
        daemon.start()
        peer = house.enter_context(Peer(broker))
        feed = Feed()

        def stored(transition: str, kind: str, assets: int) -> bool:
            """Whether so many assets have it; what is due is published meanwhile."""
            peer.publish_each(list(feed.due()))
            where = f"WHERE transition = '{transition}' AND kind = '{kind}'"
            return len(database.query(f"SELECT * FROM alert_event {where}", DATABASE)) >= assets  # noqa: S608

        peer.publish(TOPIC.format(feed.fleet.assets[FAULTY]), b"{not JSON")
        until(lambda: stored("fired", "anomaly", 1), why="the failing engine")
        until(lambda: stored("fired", "sensor_dropout", 1), why="the faulty sensor")
        until(lambda: stored("fired", "stale", 2), why="the silent ones")
        feed.silent = {SILENT}
        until(lambda: stored("cleared", "stale", 1), why="the one that came back")
        listed = json_lines(run("incidents", "list", "--json", folder=folder).stdout)
        known = {event["kind"]: event["incident_id"] for event in listed}
        for kind, verdict in (("anomaly", "false"), ("sensor_dropout", "real")):
            run("incidents", "verdict", known[kind], verdict, folder=folder)
            until(lambda kind=kind: stored("verdict", kind, 1), why="the verdict")  # type: ignore[misc]  # its type
        until(
            lambda: len(database.query("SELECT ready FROM enginewatch", DATABASE)) > 3, why="the daemon's figures"
        )
        ends = threading.Event()

        def go_on() -> None:
            while not ends.wait(PERIOD_MS / 2000):
                peer.publish_each(list(feed.due()))

        thread = threading.Thread(target=go_on)  # else all would be silent soon
        thread.start()
        try:
            yield database
        finally:
            ends.set()
            thread.join()
