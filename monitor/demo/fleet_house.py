"""Where the demo of a fleet happens: Kafka, InfluxDB, the job on Spark and its page, each a process."""

from __future__ import annotations

import socket
import sys
from typing import TYPE_CHECKING, Self

from config.classes import resolve_classes
from config.fleet import FleetSettings
from config.load import load
from config.secret import secret
from monitor.demo import fleet_broker, fleet_influx
from monitor.demo.daemon import MODEL, as_toml, influx_section
from monitor.demo.fleet_kafka import ALERT_TOPIC, TOPIC, Bridge, Listener
from monitor.demo.fleet_vehicles import SITE
from monitor.demo.home import DemoError, Home
from monitor.fleet_page.influxql import InfluxReader
from monitor.influx_client import TooLarge, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from monitor.demo.screen import Signals
    from monitor.demo.wishes import FleetWishes

REPORT_TICKS = 8  # readings in a report, and ticks in a row: every report makes one row
SHARDS = 16
LET_GO = "records before they were read"  # as `monitor.fleet.kafka` says it
SPARK = "spark"  # what Spark and Java would leave in the folder of temporary files, where they are killed


class FleetHouse(Home):
    """All servers of the demo. Entering starts them, and does not wait for Spark.

    That raises DemoError, ProcessError, SettingsError where something cannot be used, and Stopped.
    """

    def __init__(self, wishes: FleetWishes, folder: Path, signals: Signals) -> None:
        """The folder is empty, and the demo's own."""
        super().__init__(folder, signals)
        self._wishes = wishes

    def __enter__(self) -> Self:
        with self._parts:  # undone where a part fails
            brokers = self._start_kafka()
            influx = self._start_influx() if self._wishes.influx is None else influx_section(self._wishes.influx)
            self._start_fleet(brokers, influx)
            # Only now, with all processes there, those that have threads: a fork copies the locks that they hold.
            self.bridge = Bridge(brokers)
            self._parts.callback(self.bridge.close)
            self.listener = Listener(brokers)
            self._parts.callback(self.listener.close)
            self._parts = self._parts.pop_all()
        return self

    # For the session.

    def let_go(self) -> bool:
        """Whether the job was so late that Kafka had no longer what it was to read."""
        return LET_GO in self._job.said()

    def reader(self) -> InfluxReader:
        """One more connection to ask InfluxDB by."""
        given = self.settings.influx
        reader = InfluxReader(given, secret(given.token, given.token_file))
        self._parts.callback(reader.close)
        return reader

    # The parts.

    def _start_kafka(self) -> str:
        """Start Kafka; returns where it is."""
        fleet = FleetSettings()
        topics = (TOPIC, fleet.control_topic, ALERT_TOPIC, fleet.dead_letter_topic)
        child = self._child("broker", fleet_broker.command(*topics))
        self.wait(lambda: fleet_broker.address_in(child.said()), "Kafka does not listen")
        return str(fleet_broker.address_in(child.said()))

    def _start_influx(self) -> dict[str, object]:
        """Start InfluxDB; returns the settings that lead to it."""
        port, own_port, backup_port = _free_ports(3)
        started = fleet_influx.write_settings(self._folder, port=port, own_port=own_port, backup_port=backup_port)
        for name, command in started.items():
            self._child(name, command)
        return {"url": f"http://{fleet_influx.HOST}:{port}", "bucket": fleet_influx.DATABASE}

    def _start_fleet(self, brokers: str, influx: Mapping[str, object]) -> None:
        """Start the job and its page, with settings that are checked here."""
        file = self._folder / "enginewatch.toml"
        (self._folder / SPARK).mkdir()
        file.write_text(settings_file(brokers, influx), encoding="utf-8")
        loaded = load(file, environment={})
        (engine,) = resolve_classes(loaded)
        self.settings = loaded.settings
        self.window = engine.window or 0
        self.period_ms = engine.period_ms
        self._reader = self.reader()
        if self._wishes.influx is None:
            self.wait(self._create_database, "InfluxDB does not answer")
        self._check_database()
        command = [sys.executable, "-m", "monitor.cli", "fleet"]
        self._job = self._child("job", [*command, "run", "--config", str(file)])
        (port,) = _free_ports(1)
        self.page = f"http://127.0.0.1:{port}"
        self._child("page", [*command, "page", "--config", str(file), "--set", f"http.port={port}"])

    def _create_database(self) -> bool:
        """Whether InfluxDB has made our database."""
        try:
            self._reader.ask(f'CREATE DATABASE "{fleet_influx.DATABASE}"')
        except Unavailable:
            return False
        return True

    def _check_database(self) -> None:
        """Raises DemoError where rows of a fleet cannot be asked for, or would be taken for those of ours."""
        try:
            there = self._reader.ask(f'SELECT last("status") FROM "anomaly" WHERE "site" = \'{SITE}\'')
        except (Unavailable, TooLarge) as error:
            raise DemoError(str(error)) from error
        if there:
            bucket = self.settings.influx.bucket
            raise DemoError(f"{bucket} has rows of a site {SITE} already: name an empty one by --influx-bucket")


def settings_file(brokers: str, influx: Mapping[str, object]) -> str:
    """The settings of the job and its page, as TOML. What they keep stands beside the file."""
    return as_toml(
        {
            "daemon": {"state_dir": "state"},
            "fleet": {
                "brokers": brokers,
                "topics": [TOPIC],
                "alert_topic": ALERT_TOPIC,
                "checkpoint": "checkpoint",
                "shards": SHARDS,
                "spark": [
                    f"spark.local.dir={SPARK}",
                    f"spark.driver.extraJavaOptions=-Djava.io.tmpdir={SPARK}",
                ],
            },
            "[classes]": {"name": "engine", "model": MODEL, "assets": [f"{SITE}/*"]},
            "window": {"stride": REPORT_TICKS},
            "influx": {**influx, "write_readings": True},
            "http": {"port": 0},
            "log": {"format": "json"},
        }
    )


def _free_ports(count: int) -> list[int]:
    """Ports of loopback on which nobody listens just now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
