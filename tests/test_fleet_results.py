"""Lines to InfluxDB from the executors: all of them, bad ones apart, however long it is away."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from config.fleet import FleetSettings
from config.settings import InfluxSettings, Settings
from monitor.records import DeadLetter
from tests.servers.influxd import DATABASE

pytest.importorskip("confluent_kafka", reason='needs the extra "fleet"')
pytest.importorskip("pyspark", reason='needs the extra "fleet"')

import pyarrow as pa

from monitor.fleet.processor import CODEC
from monitor.fleet.results import INFLUX, Results, _id_of, _write_out
from monitor.fleet.shard import CONTROL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.servers.influxd import Influxd

BEGAN = 1_790_000_000_000
GOOD = [f"anomaly,asset=pump score={number} {BEGAN + number}" for number in range(20)]


def written(url: str, *bodies: Sequence[str], batch_rows: int = 7) -> tuple[int, list[tuple[str, str]]]:
    """How many lines went, and those that were refused with the reason."""
    settings = InfluxSettings(url=url, bucket=DATABASE, batch_rows=batch_rows, retry_min_s=0.05, retry_max_s=0.1)
    texts = ["\n".join(lines).encode() for lines in bodies]
    packed = [pa.compress(text, codec=CODEC, asbytes=True) for text in texts]
    batch = pa.RecordBatch.from_pydict({"body": packed, "size": [len(text) for text in texts]})
    [told] = _write_out(settings, None, iter([batch]))
    rows = told.to_pylist()
    refused = [(row["line"], row["reason"]) for row in rows if row["line"] is not None]
    return sum(row["sent"] for row in rows), refused


def test_all_lines_of_all_rows_are_there_and_twice_is_once(database: Influxd) -> None:
    for _ in range(2):
        assert written(database.url, GOOD[:8], GOOD[8:]) == (20, [])
    assert [row["score"] for row in database.query("SELECT score FROM anomaly", DATABASE)] == list(range(20))


def test_a_line_that_is_refused_is_told_apart(database: Influxd) -> None:
    bad = "anomaly,asset=pump score= 1"
    sent, refused = written(database.url, [*GOOD[:10], bad, *GOOD[10:]])
    assert sent == 20
    assert [line for line, _ in refused] == [bad]
    assert refused[0][1].startswith("refused by InfluxDB")
    assert len(database.query("SELECT score FROM anomaly", DATABASE)) == 20


def test_while_influxdb_is_away_it_waits_and_says_so_once(
    database: Influxd, capsys: pytest.CaptureFixture[str]
) -> None:
    database.stop()
    back = threading.Timer(1.0, database.start)
    back.start()
    assert written(database.url, GOOD) == (20, [])
    back.join()
    assert len(database.query("SELECT score FROM anomaly", DATABASE)) == 20
    said = capsys.readouterr().err
    assert "the job waits for InfluxDB" in said


def test_what_every_shard_refuses_is_told_once_by_its_topic() -> None:
    """And the same letter has the same id whenever it is told, that of a line of InfluxDB too."""
    settings = Settings(fleet=FleetSettings(brokers="127.0.0.1:9", options=("log_level=0",)))
    results = Results(settings, None, None)  # type: ignore[arg-type]  # no transition comes
    bad = DeadLetter(5, CONTROL, b"{", "not a control message", 0)
    other = DeadLetter(5, "x/a/t", b"{", "not JSON")
    assert results._once([bad, other, bad]) == [replace(bad, topic=settings.fleet.control_topic), other]
    assert _id_of(other) == _id_of(replace(other)) != _id_of(replace(other, time=6))
    line = DeadLetter(5, INFLUX, b"a b=1 7", "no")
    assert _id_of(line) == _id_of(replace(line, time=6))
