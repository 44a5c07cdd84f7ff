"""What holds of every payload convention: nothing crashes it or escapes the books; what is written is read."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.asset_file import AssetSensor
from monitor.decode import ClassRoute, Decoder, encode_telemetry
from monitor.payloads.line import encode_line
from monitor.payloads.number import encode_number
from monitor.payloads.paths import Paths, encode_value
from monitor.payloads.sparkplug_schema import DOUBLE, FLOAT, Metric, encode_payload
from monitor.records import Message, Outcome
from tests.line_samples import FAST, START, Line, shipped

if TYPE_CHECKING:
    from monitor.decode import Decoded
    from monitor.payloads.times import TimeFormat

ONE_EACH = "plant/{site}/{asset}/{sensor}"
WHOLE = "plant/{site}/{asset}"
SENSORS = ("engine_speed", "oil temperature", "a,b=c")
MAPPED = ClassRoute(
    ("speed", "heat", "flow"), (WHOLE,), published=SENSORS, scale=(0.25, 1, -2), offset=(0, -40, 7), ignore=("x*",)
)
ITEMS = Paths(items="a.0", time="t", time_format="s", value="v", sensor="n", asset="who")
ROUTES = {
    "ours": ClassRoute(SENSORS, (WHOLE,)),
    "ours, mapped": MAPPED,
    "ours, on arrival": replace(MAPPED, arrival_time=True),
    "value": ClassRoute(SENSORS, (ONE_EACH,), arrival_time=True, payload="value"),
    "value, mapped": replace(MAPPED, topics=(ONE_EACH,), arrival_time=True, payload="value"),
    "value and time": ClassRoute(SENSORS, (ONE_EACH,), payload="paths", paths=Paths(value="value")),
    "paths": ClassRoute(SENSORS, (WHOLE,), payload="paths"),
    "flat": ClassRoute(SENSORS, (WHOLE,), payload="paths", paths=Paths(values="")),
    "flat, mapped, on arrival": replace(MAPPED, arrival_time=True, payload="paths", paths=Paths(values="")),
    "items": ClassRoute(SENSORS, ("plant/{site}",), payload="paths", paths=ITEMS),
    "us": ClassRoute(SENSORS, (WHOLE,), payload="paths", paths=Paths(time_format="us")),
    "ns": ClassRoute(SENSORS, (WHOLE,), payload="paths", paths=Paths(time_format="ns")),
    "rfc3339": ClassRoute(SENSORS, (WHOLE,), payload="paths", paths=Paths(time_format="rfc3339")),
    "line": ClassRoute(SENSORS, (WHOLE,), payload="line", paths=Paths(time_format="ns")),
    "line, mapped, on arrival": replace(MAPPED, arrival_time=True, payload="line"),
    "tag": ClassRoute(SENSORS, ("plant/{site}",), payload="line", paths=Paths(time_format="ns", asset="who")),
}


def made(topic: str, payload: bytes, arrival: int = START) -> Message:
    return Message(topic.encode(), payload, arrival, len(payload))


def readings(decoded: Decoded) -> list[tuple[str, int, dict[int, float]]]:
    """Stream, time and the values that are there, by their column, of the first class."""
    found = decoded.readings[0]
    return [
        (stream, time, {column: value for column, value in enumerate(row) if not math.isnan(value)})
        for stream, time, row in zip(found.streams, found.time.tolist(), found.values.tolist(), strict=True)
    ]


WORDS = st.sampled_from(["ts", "value", "values", "a", "t", "v", "n", "who", "engine_speed", "x.y", "xs", ""])
MOMENTS = [START, START // 1000, START * 1_000_000, str(START), "2023-11-14T22:14:00Z", 10**400]
LEAVES = st.none() | st.booleans() | st.integers() | st.sampled_from(MOMENTS) | st.floats() | st.text(max_size=5)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)
SHAPED = st.builds(  # as ours, or one of a list
    lambda time, values, many: [{"ts": time, "values": values}] * many or {"ts": time, "values": values},
    st.sampled_from(MOMENTS),
    st.dictionaries(st.sampled_from([*SENSORS, "x", "y"]), LEAVES, max_size=3),
    st.integers(0, 2),
)
WORDS_OF_LINES = ["m", "engine_speed", "1", "-1.5", "2i", "3u", "1e999", "t", "who", "xs", str(START * 10**6)]
PIECES = st.sampled_from([*WORDS_OF_LINES, *'=, \n"\\#'])
PAYLOADS = (
    st.binary(max_size=40)
    | (JSON | SHAPED).map(lambda value: json.dumps(value).encode())
    | st.lists(PIECES, max_size=25).map(lambda pieces: "".join(pieces).encode())
    | st.sampled_from([b"[" * 50_000, b'{"values":' * 20_000, b'm f="' + b"\\" * 10_000, b"m" + b",a=b" * 5_000])
)
TOPICS = st.sampled_from(
    ["plant/north/pump/engine_speed", "plant/north/pump", "plant/north", "plant/north/pump/state"]
)


@pytest.mark.parametrize("convention", ROUTES)
@FAST
@given(batch=st.lists(st.tuples(TOPICS, PAYLOADS), max_size=4))
def test_no_input_crashes_a_reader_and_a_batch_is_the_same_as_one_by_one(
    convention: str, batch: list[tuple[str, bytes]]
) -> None:
    route = ROUTES[convention]
    sent = [made(topic, payload, START + number) for number, (topic, payload) in enumerate(batch)]
    together = Decoder([route], root="r").decode(sent)
    apart = [Decoder([route], root="r").decode([message]) for message in sent]
    assert readings(together) == [each for one in apart for each in readings(one)]
    reasons = sorted(letter.reason for one in apart for letter in one.dead_letters)
    assert sorted(letter.reason for letter in together.dead_letters) == reasons
    assert together.ignored == sum(one.ignored for one in apart)


VALUES = st.floats(width=32, allow_nan=False, allow_infinity=False)
TIMES = st.integers(START, START + 10**12)


@FAST
@given(value=VALUES, time=TIMES, column=st.integers(0, 2))
def test_what_is_encoded_is_decoded_again(value: float, time: int, column: int) -> None:
    """Bit for bit, in each convention that we can write, by the wire format's own rules."""
    sensor = SENSORS[column]
    topic = f"plant/north/pump/{sensor}"
    text = json.dumps({"ts": time, "values": {sensor: value}}).encode()
    item = {"t": time / 1000, "n": sensor, "v": value, "who": "pump"}
    sent = {
        "ours": made("plant/north/pump", encode_telemetry(time=time, boot="b", seq=1, values={sensor: value})),
        "ours, on arrival": made("plant/north/pump", text, time),
        "value": made(topic, encode_number(value), time),
        "value and time": made(topic, encode_value(time, value)),
        "paths": made("plant/north/pump", text),
        "flat": made("plant/north/pump", json.dumps({"ts": time, sensor: value}).encode()),
        "items": made("plant/north", json.dumps({"a": [[item]]}).encode()),
        "line": made("plant/north/pump", encode_line("m x", {"a b": "c,d"}, {sensor: value}, time)),
        "tag": made("plant/north", encode_line("m", {"who": "pump"}, {sensor: value}, time)),
    }
    for convention, message in sent.items():
        route = replace(ROUTES[convention], scale=(), offset=())
        decoded = Decoder([route], root="r").decode([message])
        assert not decoded.dead_letters, convention
        ((stream, found_time, values),) = readings(decoded)
        assert (stream, found_time, values) == ("north//pump", time, {column: value}), convention
        assert math.copysign(1, values[column]) == math.copysign(1, value), convention


@FAST
@given(
    rows=st.lists(
        st.tuples(TIMES, st.dictionaries(st.integers(0, 2), VALUES, min_size=1)),
        min_size=1,
        unique_by=lambda row: row[0],
    )
)
def test_a_list_of_readings_comes_back_in_its_order(rows: list[tuple[int, dict[int, float]]]) -> None:
    """A gateway's batch of ours; items with a sensor each; lines."""
    named = [(time, {SENSORS[column]: value for column, value in row.items()}) for time, row in rows]
    items = [
        {"t": time / 1000, "n": name, "v": value, "who": "pump"}
        for time, row in named
        for name, value in row.items()
    ]
    lines = b"".join(encode_line("m", {}, row, time) for time, row in named)
    sent = {
        "ours": made(
            "plant/north/pump", json.dumps([{"ts": time, "values": row} for time, row in named]).encode()
        ),
        "items": made("plant/north", json.dumps({"a": [items]}).encode()),
        "line": made("plant/north/pump", lines),
    }
    for convention, message in sent.items():
        decoded = Decoder([ROUTES[convention]], root="r").decode([message])
        assert not decoded.dead_letters, convention
        assert readings(decoded) == [("north//pump", time, row) for time, row in rows], convention


@FAST
@given(
    rows=st.lists(st.tuples(VALUES, VALUES), max_size=5),
    kind=st.sampled_from([FLOAT, DOUBLE]),
    by_alias=st.booleans(),
)
def test_what_an_edge_node_sends_is_read_again(rows: list[tuple[float, float]], kind: int, by_alias: bool) -> None:
    """Names and aliases as its birth gave them; the birth's own values are the first reading."""
    route = ClassRoute(("load", "flow"), ("spBv1.0/{site}/DDATA/{area}/{asset}",), payload="sparkplug")

    def metrics(values: tuple[float, float], *, birth: bool) -> list[Metric]:
        return [
            Metric(
                "" if by_alias and not birth else name,
                alias if by_alias else None,
                None,
                kind if birth else 0,
                value,
                null=False,
            )
            for alias, (name, value) in enumerate(zip(("load", "flow"), values, strict=True))
        ]

    births = [
        made("spBv1.0/n/NBIRTH/line", encode_payload(START, 0, [])),
        made("spBv1.0/n/DBIRTH/line/pump", encode_payload(START, 1, metrics((0.5, 1.5), birth=True))),
    ]
    data = [
        made("spBv1.0/n/DDATA/line/pump", encode_payload(START + number, number + 1, metrics(row, birth=False)))
        for number, row in enumerate(rows, 1)
    ]
    decoded = Decoder([route], root="r").decode([*births, *data])
    assert (decoded.dead_letters, decoded.requests) == ([], [])
    table = [(0.5, 1.5), *rows]
    assert readings(decoded) == [
        ("n/line/pump", START + number, {0: load, 1: flow}) for number, (load, flow) in enumerate(table)
    ]


def written(time: int, form: str, zone: int) -> Any:
    """A time, epoch ms, as a publisher writes it."""
    if form == "rfc3339":
        at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=time)
        return at.astimezone(timezone(timedelta(minutes=zone))).isoformat()
    return time / 1000 if form == "s" else time * {"ms": 1, "us": 1_000, "ns": 1_000_000}[form]


@pytest.mark.parametrize("form", ["s", "ms", "us", "ns", "rfc3339"])
@pytest.mark.parametrize("as_text", [False, True])
@FAST
@given(time=TIMES, zone=st.integers(-14 * 60, 14 * 60), finer=st.integers(0, 999))
def test_a_time_comes_back_from_every_form(
    form: TimeFormat, as_text: bool, time: int, zone: int, finer: int
) -> None:
    """As a number or as text; what is finer than a millisecond is cut."""
    given = written(time, form, zone)
    given += finer * {"us": 1, "ns": 1_001}.get(form, 0) if form in {"us", "ns"} else type(given)()
    payload = json.dumps({"ts": str(given) if as_text else given, "values": {"load": 1}}).encode()
    route = ClassRoute(("load",), (WHOLE,), payload="paths", paths=Paths(time_format=form))
    for arrival_time, expected in ((False, time), (True, START + 7)):
        decoder = Decoder([replace(route, arrival_time=arrival_time)], root="r")
        decoded = decoder.decode([made("plant/north/pump", payload, START + 7)])
        assert readings(decoded) == [("north//pump", expected, {0: 1.0})]
        assert not decoded.dead_letters


@FAST
@given(steps=st.integers(-1_000_000, 1_000_000), degrees=st.integers(-200, 2_000))
def test_a_value_is_what_its_scale_offset_and_unit_make_of_it_under_its_own_name(steps: int, degrees: int) -> None:
    """Counts of a quarter from -40 on; degrees Fahrenheit, by their definition."""
    counted = AssetSensor(name="heat", alias="n", scale=0.25, offset=-40)
    converted = AssetSensor(name="oil", alias="f", unit="°C", published_unit="degF")
    factors = zip(counted.factors, converted.factors, strict=True)
    scale, offset = ((first, second) for first, second in factors)
    route = ClassRoute(("heat", "oil"), (WHOLE,), published=("n", "f"), scale=scale, offset=offset)
    sent = encode_telemetry(time=START, boot="", seq=0, values={"f": (degrees * 9 + 160) / 5, "n": steps})
    ((_, _, values),) = readings(Decoder([route], root="r").decode([made("plant/north/pump", sent)]))
    assert values[0] == (steps - 160) / 4
    assert values[1] == pytest.approx(degrees, rel=1e-6, abs=1e-4)


CELLS = st.sampled_from(["1", "2.5", "1e39", "1e999", "true", '"x"'])


@FAST
@given(
    table=st.lists(
        st.lists(st.tuples(st.sampled_from(["load", "flow", "rpm", "xs"]), CELLS), max_size=4), max_size=4
    )
)
def test_every_number_and_every_value_of_a_sensor_is_counted_once(
    table: list[list[tuple[str, str]]],
) -> None:
    """In the books of the whole line, by JSON and by line protocol; text under another name is no reading.

    Of a sensor that is left out what can be no float is not looked at either.
    """
    items, lines, counted, ignored = [], [], 0, 0
    for second, cells in enumerate(table):
        if not cells:
            continue
        time = START + 1000 * second
        items += [f'{{"t":{time},"n":"{name}","v":{text}}}' for name, text in cells]
        fields = ",".join(f"{name}={text}" for name, text in cells)
        lines.append(f"m {fields} {time * 10**6}")
        counted += sum(name in {"load", "flow"} or (name == "rpm" and text[0] in "12") for name, text in cells)
        ignored += sum(name == "xs" and text in {"1", "2.5", "1e39"} for name, text in cells)
    by_item = Paths(time="t", value="v", sensor="n")
    for payload, paths, text in (
        ("paths", by_item, f"[{','.join(items)}]"),
        ("line", Paths(time_format="ns"), "\n".join(lines)),
    ):
        spec = shipped()
        route = replace(spec.route, topics=(WHOLE,), payload=payload, paths=paths, ignore=("x?",))  # type: ignore[arg-type]
        line = Line(replace(spec, route=route)).listen()
        if items:
            line.send(10_000, made("plant/north/pump", text.encode(), START + 10_000))
        outcomes = line.state.outcomes
        assert int(outcomes[Outcome.IGNORED]) == ignored, payload
        assert int(outcomes.sum()) + line.state.waiting_values() == counted + ignored, payload
        assert int(outcomes[Outcome.DEAD_LETTER]) == sum(letter.values for letter in line.dead_letters)
