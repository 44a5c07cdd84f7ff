"""Line protocol says what the rows say, and nothing that a name or a text contains can change its meaning."""

from __future__ import annotations

import dataclasses
import doctest
import math
import re
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor import event_store, lineprotocol
from monitor.exposition import Metric
from monitor.lineprotocol import event_line, health_lines, reading_lines, score_lines
from monitor.records import Status, Transition
from tests.influx_samples import START, event, floats, stored

if TYPE_CHECKING:
    from tests.servers.influxd import Influxd

Point = tuple[str, dict[str, str], dict[str, str | float | int], int]

# Surrogates are not text; every other character may stand in a topic or in an operator's comment.
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
tricky = st.text(st.sampled_from('\\,= "\n\r\t%5Cab#é'), min_size=1, max_size=12)
names = (texts | tricky).filter(lambda text: "/" not in text)


def cut(text: str, separator: str, *, quoted: bool = False) -> list[str]:
    """Cut a line at every separator that no backslash and (where asked) no quotes protect."""
    parts, inside, position = [""], False, 0
    while position < len(text):
        character = text[position]
        if character == "\\":
            parts[-1] += text[position : position + 2]
            position += 2
            continue
        inside ^= quoted and character == '"'
        if character == separator and not inside:
            parts.append("")
        else:
            parts[-1] += character
        position += 1
    assert not inside
    return parts


def name_of(text: str) -> str:
    """The name behind an escaped one: the backslash escapes first, then the codes."""
    for character in ",= ":
        text = text.replace(f"\\{character}", character)
    assert "\\" not in text
    return urllib.parse.unquote(text)


def value_of(text: str) -> str | float | int:
    if text.startswith('"'):
        return text[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    return int(text[:-1]) if text.endswith("i") else float(text)


def read(line: str) -> Point:
    """A line by the rules of the format's own page, written without a look at the code under test."""
    assert "\n" not in line
    series, fields, time = cut(line, " ", quoted=True)
    measurement, *tags = cut(series, ",")
    pairs = [cut(tag, "=") for tag in tags]
    values = [cut(field, "=", quoted=True) for field in cut(fields, ",", quoted=True)]
    return (
        measurement,
        {key: name_of(value) for key, value in pairs},
        {name_of(key): value_of(value) for key, value in values},
        int(time),
    )


def test_a_scored_row() -> None:
    batch = stored(1, 1)
    rows = dataclasses.replace(
        batch.rows, score=floats(2.5), threshold=floats(1.25), contribution=floats(2.5, 1.0).reshape(1, 2)
    )
    (line,) = score_lines(dataclasses.replace(batch, rows=rows))
    assert line == (
        'anomaly,area=hall,asset=pump-1,model=m1,site=plant status="scored",regime="all",score=2.5,threshold=1.25,'
        "margin=1.25,contribution_oil_pressure=2.5,contribution_engine_speed=1 1700000000000"
    )


def test_a_row_says_its_regime_by_name() -> None:
    batch = stored(1, 3)
    rows = dataclasses.replace(
        batch.rows,
        status=np.array([Status.REGIME, Status.BLANKED, Status.SCORED], np.uint8),
        regime=np.array([0, 2, 1], np.uint8),
    )
    lines = score_lines(dataclasses.replace(batch, rows=rows, regimes=("off", "load", "running")))
    assert [line.split(" ")[1].split(",score")[0] for line in lines] == [
        'status="regime",regime="off"',
        'status="blanked",regime="running"',
        'status="scored",regime="load"',
    ]


def test_a_row_without_score_has_its_status_and_no_made_up_number() -> None:
    batch = stored(1, 2)
    nothing = floats(math.nan, math.inf)
    rows = dataclasses.replace(
        batch.rows,
        status=np.array([Status.WARMING_UP, Status.NO_MODEL], np.uint8),
        score=nothing,
        threshold=nothing,
        contribution=np.full((2, 2), np.nan, np.float32),
    )
    nowhere = dataclasses.replace(batch, rows=rows, model="", streams=["plant//pump-1"] * 2)
    assert score_lines(nowhere) == [
        'anomaly,asset=pump-1,site=plant status="warming_up",regime="all" 1700000000000',
        'anomaly,asset=pump-1,site=plant status="no_model",regime="all" 1700000001000',
    ]


def test_readings_leave_out_missing_sensors_and_rows_without_any() -> None:
    batch = stored(1, 2)
    actual = floats(math.nan, 812.5, math.nan, math.nan).reshape(2, 2)
    rows = dataclasses.replace(batch.rows, actual=actual)
    assert reading_lines(dataclasses.replace(batch, rows=rows)) == [
        "engine,area=hall,asset=pump-1,site=plant engine_speed=812.5 1700000000000"
    ]


def test_a_transition() -> None:
    line, whole = event_line(event()), r'event="\{.*\}",'
    assert re.sub(whole, "", line) == (
        "alert_event,area=hall,asset=pump-1,kind=anomaly,severity=warning,site=plant,transition=fired "
        'incident_id="i1",summary="oil pressure is low",'
        'top_sensors="oil_pressure 180 kPa, expected 310.2; engine_speed missing, expected 812",'
        "score=2.5,threshold=1.25,open=1,started=1700000000000i 1700000005000"
    )


def test_all_of_a_transition_is_in_its_line() -> None:
    told = event(summary='the "hot" \\ end', who="Ann", why="ü\n2", until=START + 60_000, top=event().top[:1])
    assert event_store.decode(str(read(event_line(told))[2]["event"]).encode()) == told


def test_a_transition_without_a_score_has_none() -> None:
    _, tags, fields, _ = read(event_line(event(kind="stale", sensor="map", score=None, threshold=None, top=())))
    assert tags["sensor"] == "map"
    assert fields.pop("event")
    assert fields == {
        "incident_id": "i1",
        "summary": "oil pressure is low",
        "top_sensors": "",
        "open": 1.0,
        "started": START,
    }


@pytest.mark.parametrize(("transition", "fields"), [("cleared", {"open": 0.0}), ("accepted", {"open": 0.0})])
@pytest.mark.parametrize("words", ["acknowledged", "shelved", "unshelved", "commented", "verdict"])
def test_the_last_that_is_said_of_open_tells_whether_an_incident_is(
    transition: str, fields: dict[str, float], words: str
) -> None:
    """Orders, whose times may lie behind the tick of a transition that comes later, say nothing of it."""
    assert read(event_line(event(transition=Transition(transition))))[2].items() >= fields.items()
    assert "open" not in read(event_line(event(transition=Transition(words))))[2]


def test_the_daemons_figures() -> None:
    """By the names of /metrics; a label is a tag; what is not known is left out, and the version is a field."""
    figures = [
        Metric.gauge("enginewatch_info", "", 1, version='0.1 "beta"'),
        Metric.gauge("enginewatch_ready", "", 1),
        Metric.gauge("enginewatch_start_time_seconds", "", 1_700_000_000.125),
        Metric.gauge("enginewatch_packet_age_seconds", "", math.nan),
        Metric.many("enginewatch_sink_lag", "", {"influx": 0, "mqtt": 12}, "sink"),
        Metric.counter("enginewatch_rows_total", "", {"too few": 12_345_678_901}, "status"),
    ]
    lines = health_lines("main hall", "degraded", ["InfluxDB is away", "no model"], figures, START)
    assert [read(line) for line in lines] == [
        (
            "enginewatch",
            {"id": "main hall"},
            {
                "state": "degraded",
                "reasons": "InfluxDB is away; no model",
                "version": '0.1 "beta"',
                "ready": 1.0,
                "start_time_seconds": 1_700_000_000.125,
            },
            START,
        ),
        ("enginewatch", {"id": "main hall", "sink": "influx"}, {"sink_lag": 0.0}, START),
        ("enginewatch", {"id": "main hall", "sink": "mqtt"}, {"sink_lag": 12.0}, START),
        ("enginewatch", {"id": "main hall", "status": "too few"}, {"rows_total": 12_345_678_901.0}, START),
    ]


@given(site=names, area=names | st.just(""), asset=names, model=texts | tricky, sensor=texts | tricky)
def test_no_name_can_become_anything_but_itself(site: str, area: str, asset: str, model: str, sensor: str) -> None:
    """Names of any characters come back as they were, and the rest of the line says the same as ever."""
    batch = dataclasses.replace(stored(1, 1, sensors=(sensor,), stream=f"{site}/{area}/{asset}"), model=model)
    measurement, tags, fields, time = read(score_lines(batch)[0])
    expected = {"site": site, "area": area, "asset": asset, "model": model}
    assert (measurement, time) == ("anomaly", START)
    assert tags == {key: value for key, value in expected.items() if value}
    assert list(fields) == ["status", "regime", "score", "threshold", "margin", f"contribution_{sensor}"]
    assert read(reading_lines(batch)[0])[2].keys() == {sensor}


@given(first=tricky, second=tricky)
def test_different_names_stay_different(first: str, second: str) -> None:
    assert (lineprotocol.escape_name(first) == lineprotocol.escape_name(second)) == (first == second)


@given(summary=texts | tricky)
def test_no_text_can_end_its_quotes(summary: str) -> None:
    """A text comes back as it was, but for control characters, which become spaces."""
    plain = "".join(" " if ord(character) < 0x20 or character == "\x7f" else character for character in summary)
    assert read(event_line(event(summary=summary)))[2]["summary"] == plain


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_every_float32_comes_back_exactly(value: float) -> None:
    batch = stored(1, 1)
    rows = dataclasses.replace(batch.rows, score=floats(value))
    fields = read(score_lines(dataclasses.replace(batch, rows=rows))[0])[2]
    assert np.float32(fields["score"]) == np.float32(value)


def test_influxdb_itself_reads_the_names_and_texts_as_they_were(influxd: Influxd) -> None:
    """The real parser, which treats backslashes, quotes and comments in ways of its own."""
    influxd.create_database("names")
    asset_names = [
        "a b,c=d",
        '"quoted"',
        "#comment",
        "tail\\",
        "a\\,x=1",
        "new\nline v=1 1",
        "50%",
        "%5C",
        "é 漢",
        "=",
    ]
    lines = []
    for position, name in enumerate(asset_names):
        batch = stored(1, 1, sensors=(name,), start=START + position, stream=f"plant//{name}")
        lines += score_lines(batch)
        lines.append(event_line(event(stream=f"plant//{name}", summary=f'"{name}\\', time=START + position)))
    request = urllib.request.Request(  # noqa: S310 - our own server
        f"{influxd.url}/api/v2/write?bucket=names&precision=ms", "\n".join(lines).encode(), method="POST"
    )
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        assert answer.status == 204
    scores = influxd.query("SELECT * FROM anomaly", "names")
    assert [row["time"] for row in scores] == [START + position for position in range(len(asset_names))]
    for name, row in zip(asset_names, scores, strict=True):
        written = name.replace("%5C", "%255C").replace("\\", "%5C").replace("\n", "%0A").replace('"', "%22")
        assert row["asset"] == written
        assert row[f"contribution_{written}"] == np.float64("0.100000001")
    events = influxd.query("SELECT * FROM alert_event", "names")
    assert [row["summary"] for row in events] == [f'"{name}\\'.replace("\n", " ") for name in asset_names]


def test_the_examples_in_the_docstrings() -> None:
    assert doctest.testmod(lineprotocol).failed == 0
