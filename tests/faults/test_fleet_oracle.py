"""The oracle of the line on Spark finds what is wrong: what an honest job told, and that spoilt in one place."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from config.settings import InfluxSettings
from monitor.influx_client import InfluxClient
from monitor.lineprotocol import event_line
from monitor.records import Status
from tests.faults.fleet_house import ALERTS, FleetHouse
from tests.servers.influxd import DATABASE
from tests.servers.kafka import mock_kafka
from tests.servers.spark import Spark

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.oracle import Verdict
    from tests.servers.influxd import Influxd

ENGINES, TICKS = 6, 240


def test_each_loss_is_found(tmp_path: Path, database: Influxd) -> None:
    """What was taken away is missing, what was told under another key is doubled, what is other is corrupted."""
    pytest.importorskip("confluent_kafka", reason='needs the extra "fleet"')
    with mock_kafka() as kafka:
        house = FleetHouse(tmp_path, kafka, Spark(tmp_path / "spark"), database, engines=ENGINES, ticks=TICKS)
        house.publish(TICKS)
        rows, events = house.undisturbed()
        assert len(rows) == ENGINES * TICKS
        assert len(events) > 1
        lines = [_line(asset, time, *row) for (asset, time), row in rows.items()]
        _write(database, [*lines, *map(event_line, events)])
        kafka.send(ALERTS, [(b"", msgspec.json.encode(event), 0) for event in events])

        def ask() -> Verdict:
            return house.ask()[0]

        assert ask().clean
        kafka.send(ALERTS, [(b"", msgspec.json.encode(events[0]), 0)])
        assert ask().clean, "a repeat under the same key doubles nothing"
        (asset, time), (score, _) = max(rows.items(), key=lambda item: item[1][0] if item[1][0] > 0 else 0.0)
        _write(database, [_line(asset, time, score + 1e-3, Status.SCORED)])
        assert ask().corrupted == {"scores": 1}
        database.query(f"DELETE FROM anomaly WHERE time = {time}ms", DATABASE)  # noqa: S608 - our own words
        found = ask()
        assert (found.missing, found.doubled, found.corrupted) == ({"rows": ENGINES}, {}, {})
        database.query("DELETE FROM alert_event", DATABASE)
        assert ask().missing == {"rows": ENGINES, "transitions in InfluxDB": len(events)}
        other: dict[str, Any] = json.loads(msgspec.json.encode(events[0])) | {"event_id": "another"}
        kafka.send(ALERTS, [(b"", json.dumps(other).encode(), 0)])
        assert ask().doubled == {"transitions": 1}


def _line(asset: str, time: int, score: float, status: int) -> str:
    number = "" if math.isnan(score) else f",score={score:.9g}"
    return f'anomaly,asset={asset} status="{Status(status).name.lower()}"{number} {time}'


def _write(database: Influxd, lines: list[str]) -> None:
    client = InfluxClient(InfluxSettings(url=database.url, bucket=DATABASE), None)
    client.write(lines)
    client.close()
