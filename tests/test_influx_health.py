"""The daemon's own figures in InfluxDB: written beside the rows, at best, and in nobody's way."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING

from structlog.testing import capture_logs

from tests.influx_samples import DATABASE, MemoryOutbox, sending, stored, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.influxd import Influxd


def figures() -> Iterator[list[str]]:
    """One line at a time, each of another moment."""
    for number in itertools.count():
        yield [f"enginewatch,id=main number={number}.0 {time.time_ns() // 1_000_000}"]


def test_they_are_written_again_and_again_and_left_out_while_influxdb_is_away(database: Influxd) -> None:
    """What was so then is not told later: after the outage it goes on with the figures of then."""
    made = figures()
    outbox = MemoryOutbox()
    with sending(outbox, database.url, health=lambda: next(made), health_every_s=0.02) as sink:
        until(lambda: database.count("enginewatch") >= 3, "three rows of figures")
        database.stop_database()
        until(lambda: sink.state == "degraded", "the outage was seen")
        first = next(made)  # taken out: nothing that is written from now on is of before
        number = float(first[0].partition("number=")[2].partition(" ")[0])
        database.start()
        newest = "SELECT last(number) AS number FROM enginewatch"
        until(lambda: database.query(newest, DATABASE)[0]["number"] > number, "figures of after the outage")
        until(lambda: sink.state == "ok", "it works again")
        assert (sink.sent_rows, sink.dead_letters, outbox.letters) == (0, 0, [])


def test_refused_figures_are_told_once_and_harm_nothing(database: Influxd) -> None:
    """A measurement of this name that somebody else filled has fields of other types."""
    outbox = MemoryOutbox([stored(1, 10)])
    bad = ["enginewatch,id=main number=oil 1700000000000"]
    with capture_logs() as logs, sending(outbox, database.url, health=lambda: bad, health_every_s=0.01) as sink:
        until(lambda: sink.requests >= 5, "several tries")
        until(outbox.delivered, "the rows arrived")
        assert (sink.state, sink.dead_letters, outbox.letters) == ("ok", 0, [])
    told = [line for line in logs if line["event"] == "influx_health_refused"]
    assert len(told) == 1
    assert "influx.write_health" in told[0]["remedy"]


def test_they_can_be_switched_off(database: Influxd) -> None:
    outbox = MemoryOutbox([stored(1, 10)])
    made = figures()
    with sending(outbox, database.url, health=lambda: next(made), write_health=False):
        until(outbox.delivered, "the rows arrived")
    assert database.count("enginewatch") == 0
