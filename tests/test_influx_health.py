"""The daemon's own figures in InfluxDB: written beside the rows, at best, and in nobody's way."""

from __future__ import annotations

import itertools
import re
import time
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from structlog.testing import capture_logs

from monitor.health import Figures, Vitals, metrics
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


def test_the_page_names_every_tag() -> None:
    """InfluxDB 3 fixes a table's tags when it is made, so that none may be missing there."""
    books = {"outcomes": {"in_row": 1}, "rows": {"scored": 1}, "waiting": 0, "streams": 1, "heard": 1}
    counted = {each.name: {"x": 1} for each in fields(Figures) if each.type == "Mapping[str, int]"}
    figures = Figures(books=books | {"clock_suspect": False}, version="1", **counted)  # type: ignore[arg-type]  # by name
    measured = list(metrics(Vitals(channels={"x": ""}), figures))
    labels = {name for metric in measured for named, _ in metric.samples for name, _ in named} - {"version"}
    page = (Path(__file__).parents[1] / "docs" / "influxdb.md").read_text()
    [tags] = re.findall(r"--tags (\S+) enginewatch\n", page)
    assert tags.split(",") == ["id", *sorted(labels)]
    [named] = re.findall(r"\| tag \| ((?:`\w+`, )*`sink`.*?) \|", page)
    assert re.findall(r"`(\w+)`", named) == sorted(labels)
