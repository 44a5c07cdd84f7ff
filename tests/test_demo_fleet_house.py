"""The servers of the demo's fleet: what they are told, and that the demo's own side finds its way to them."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from config.classes import resolve_classes
from config.load import load
from config.settings import InfluxSettings
from monitor.demo import fleet_influx
from monitor.demo.fleet_house import LET_GO, settings_file
from monitor.demo.fleet_vehicles import Report
from monitor.demo.fleet_watch import Seen, Watch, rows_by_asset
from monitor.demo.plan import PROGRAMME, faults
from monitor.fleet_page.influxql import InfluxReader
from monitor.influx_client import InfluxClient
from monitor.records import AlertEvent, Transition
from tests.rig import until
from tests.servers.influxd import DATABASE

if TYPE_CHECKING:
    from tests.servers.influxd import Influxd

EVENT = AlertEvent(
    event_id="e1",
    incident_id="i",
    stream="fleet//vehicle-0001",
    kind="anomaly",
    sensor="",
    transition=Transition.FIRED,
    severity="critical",
    started=0,
    time=0,
    recorded=0,
    score=4.0,
    threshold=1.0,
    summary="score 4 against 1",
    top=(),
)


def test_the_settings_lead_the_job_and_its_page_to_the_servers(tmp_path: Path) -> None:
    """A row is made of each report, and of every vehicle by the model that comes with the package."""
    file = tmp_path / "enginewatch.toml"
    influx = {"url": "http://127.0.0.1:8086", "bucket": "b/rp", "token_file": None}
    file.write_text(settings_file("127.0.0.1:40123", influx), encoding="utf-8")
    loaded = load(file, environment={})
    settings = loaded.settings
    assert settings.fleet.brokers == "127.0.0.1:40123"
    assert settings.fleet.topics == ("vehicles",)
    assert (settings.influx.url, settings.influx.bucket) == ("http://127.0.0.1:8086", "b/rp")
    assert settings.influx.write_readings
    assert settings.window.stride == 8
    (engine,) = resolve_classes(loaded)
    assert engine.window


def test_that_kafka_let_go_of_records_is_known_by_the_jobs_own_words() -> None:
    """They stand where the job reads Kafka, which cannot be imported where Spark is not installed."""
    assert LET_GO in (Path(__file__).parents[1] / "monitor/fleet/kafka.py").read_text(encoding="utf-8")


def test_a_fleet_has_a_fault_every_so_many_seconds() -> None:
    """The programme, from its time on; each on a vehicle of its own as long as there are enough."""
    plan = faults(2000, 1, from_ms=60_000, until_ms=360_000, first_s=(0,), each_s=10)
    assert [fault.start_ms for fault in plan] == list(range(60_000, 360_000, 10_000))
    assert [fault.kind for fault in plan[: len(PROGRAMME)]] == [act.kind for act in PROGRAMME]
    assert len({fault.engine for fault in plan}) == len(plan)


@pytest.mark.parametrize(
    ("there", "reason"),
    [
        ((), "influxd and nginx not found: apt install influxdb nginx-light, or name"),
        (("influxd",), "nginx not found: apt install influxdb nginx-light, or name"),
        (("influxd", "nginx"), "influxd is not InfluxDB 1 (InfluxDB v2.7.1): install that, or name"),
    ],
)
def test_what_is_not_installed_is_told_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: tuple[str, ...], reason: str
) -> None:
    for name in there:
        (tmp_path / name).write_text("#!/bin/sh\necho InfluxDB v2.7.1\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(fleet_influx, "PLACES", ())
    assert reason in fleet_influx.trouble()


def test_reports_go_to_kafka_and_transitions_come_back_once() -> None:
    """A transition that is delivered twice is told once."""
    confluent_kafka = pytest.importorskip("confluent_kafka")
    from monitor.demo.fleet_kafka import ALERT_TOPIC, TOPIC, Bridge, Listener  # noqa: PLC0415 - of the extra

    mock = confluent_kafka.Producer({"bootstrap.servers": "unused", "test.mock.num.brokers": 1, "log_level": 0})
    (broker,) = mock.list_topics(timeout=10).brokers.values()
    address = f"{broker.host}:{broker.port}"
    bridge, listener = Bridge(address), Listener(address)
    try:
        for number in range(3):
            bridge.send(Report(f"enginewatch/v1/fleet/vehicle-{number}/telemetry", b"[]", 8, 119))
        assert bridge.wait_delivered(10)
        assert (bridge.reports, bridge.readings, bridge.values, bridge.trouble) == (3, 24, 357, "")
        assert sum(1 for _ in mock.list_topics(TOPIC, timeout=10).topics[TOPIC].partitions) > 1
        for _ in range(2):
            mock.produce(ALERT_TOPIC, msgspec.json.encode(EVENT), "fleet//vehicle-0001")
        mock.produce(ALERT_TOPIC, msgspec.json.encode(replace(EVENT, event_id="e2")), "another")
        mock.flush(10)
        told: list[AlertEvent] = []

        def came() -> bool:
            told.extend(event for _, event in listener.news())
            return len(told) > 1

        until(came)
        assert sorted(event.event_id for event in told) == ["e1", "e2"]
        assert told[0].stream == EVENT.stream
    finally:
        bridge.close()
        listener.close()


def test_rows_are_counted_and_their_delay_is_measured(database: Influxd) -> None:
    """Two rows of one vehicle and one of another; one has no score. What came before is not counted."""
    settings = InfluxSettings(url=database.url, bucket=f"{DATABASE}/autogen")
    asked = InfluxReader(settings, None)
    client = InfluxClient(settings.model_copy(update={"bucket": DATABASE}), None)  # nginx knows no policies
    assert rows_by_asset(asked, 0) == {}
    beginning = time.time_ns() // 1_000_000 - 20_000

    def write(asset: str, at: int, fields: str) -> None:
        client.write([f"anomaly,asset={asset},model=m,site=fleet {fields} {beginning + at}"])

    write("vehicle-0001", -1, 'status="scored",score=1.0')
    write("vehicle-0001", 4_000, 'status="warming_up"')
    write("vehicle-0002", 4_500, 'status="scored",score=0.5')
    watch = Watch(
        InfluxReader(settings, None), ["vehicle-0001", "vehicle-0002"], beginning=beginning, period_ms=500
    )
    watch.start()
    until(lambda: watch.seen == Seen(rows=2, scored=1))
    write("vehicle-0001", 8_000, 'status="scored",score=0.25')
    until(lambda: watch.seen.rows == 3)
    assert rows_by_asset(asked, beginning) == {"vehicle-0001": 2, "vehicle-0002": 1}
    delay = watch.seen.delay_s
    assert delay is not None
    assert 20.0 - 8.5 <= delay[0] <= delay[1]  # its last tick ended 8.5 s after the beginning, which was 20 s ago
    database.stop()
    until(lambda: watch.seen.trouble)
    assert watch.seen.rows == 3
    watch.stop()
