"""Every payload convention: golden cases in folders, and that no input crashes a reader or escapes the books.

A case in `tests/payloads/` is a folder of settings and asset file as a user writes them, messages as they arrive
(one JSON object a line: topic, payload, arrival) and what must come of them, worked out by hand. The bytes of the
Sparkplug case were made with the Tahu project's own schema.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.classes import resolve_classes
from config.load import load
from monitor.assemble import line_spec
from monitor.decode import ClassRoute, Decoded, Decoder
from monitor.payloads.line import encode_line
from monitor.payloads.number import encode_number
from monitor.payloads.paths import Paths, encode_value
from monitor.records import Message, Outcome
from monitor.spec import LineSpec
from tests.line_samples import FAST, START, Line, shipped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.payloads.sparkplug_memory import Memory

CASES = Path(__file__).parent / "payloads"


def described(folder: Path) -> LineSpec:
    """The description of the line that a case's settings lead to, as it comes out of a journal."""
    loaded = load(folder / "enginewatch.toml", environment={})
    return LineSpec.decode(line_spec(loaded.settings, resolve_classes(loaded)).encode())


def messages(folder: Path) -> list[Message]:
    """The messages of a case."""
    lines = (folder / "messages.jsonl").read_text(encoding="utf-8").splitlines()
    return [made(entry["topic"], payload_of(entry), entry["arrival"]) for entry in map(json.loads, lines)]


def payload_of(entry: dict[str, Any]) -> bytes:
    return bytes.fromhex(entry["payload_hex"]) if "payload_hex" in entry else str(entry["payload"]).encode()


def made(topic: str, payload: bytes, arrival: int = START) -> Message:
    return Message(topic.encode(), payload, arrival, len(payload))


def readings(decoded: Decoded, sensors: Sequence[str]) -> list[dict[str, Any]]:
    """What was decoded, in the form of a case; values as 32-bit floats have them."""
    found = decoded.readings[0]
    return [
        {
            "stream": stream,
            "time": time,
            "values": {name: value for name, value in zip(sensors, row, strict=True) if not math.isnan(value)},
        }
        for stream, time, row in zip(found.streams, found.time.tolist(), found.values.tolist(), strict=True)
    ]


@pytest.mark.parametrize("case", sorted(path.name for path in CASES.iterdir()))
def test_a_convention_is_read_as_its_case_says(case: str) -> None:
    """All messages in one batch, and one by one: the same readings and the same reasons."""
    spec = described(CASES / case)
    route = spec.classes[0].route
    expected = json.loads((CASES / case / "expected.json").read_text(encoding="utf-8"))
    sent = messages(CASES / case)
    decoder = Decoder([route], root=spec.root)
    memory: Memory = {}
    for parts in (
        [Decoder([route], root=spec.root).decode(sent, {})],
        [decoder.decode([message], memory) for message in sent],
    ):
        assert [each for part in parts for each in readings(part, route.sensors)] == expected["readings"]
        reasons = [letter.reason for part in parts for letter in part.dead_letters]
        assert sorted(reasons) == sorted(expected["refused"])
        reports = [[report.stream, report.online] for part in parts for report in part.reports]
        assert reports == expected.get("online", [])
        assert [topic for part in parts for topic, _ in part.requests] == expected.get("requests", [])


ONE_EACH = "plant/{site}/{asset}/{sensor}"
WHOLE = "plant/{site}/{asset}"
SENSORS = ("engine_speed", "oil temperature", "a,b=c")
ROUTES = {
    "value": ClassRoute(SENSORS, (ONE_EACH,), arrival_time=True, payload="value"),
    "value and time": ClassRoute(SENSORS, (ONE_EACH,), payload="paths", paths=Paths(value="value")),
    "paths": ClassRoute(SENSORS, (WHOLE,), payload="paths"),
    "flat": ClassRoute(SENSORS, (WHOLE,), payload="paths", paths=Paths(values="")),
    "items": ClassRoute(
        SENSORS,
        ("plant/{site}",),
        payload="paths",
        paths=Paths(items="a.0", time="t", time_format="s", value="v", sensor="n", asset="who"),
    ),
    "rfc3339": ClassRoute(SENSORS, (WHOLE,), payload="paths", paths=Paths(time_format="rfc3339")),
    "line": ClassRoute(SENSORS, (WHOLE,), payload="line", paths=Paths(time_format="ns")),
    "tag": ClassRoute(SENSORS, ("plant/{site}",), payload="line", paths=Paths(time_format="ns", asset="who")),
}
WORDS = st.sampled_from(["ts", "value", "values", "a", "t", "v", "n", "who", "engine_speed", "x.y", ""])
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([START, START // 1000, START * 1_000_000, str(START), "2023-11-14T22:14:00Z", 10**400])
    | st.floats()
    | st.text(max_size=5)
)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)
PIECES = st.sampled_from(
    [
        "m",
        "engine_speed",
        "=",
        ",",
        " ",
        "\n",
        '"',
        "\\",
        "1",
        "-1.5",
        "2i",
        "3u",
        "1e999",
        "t",
        "#",
        "who",
        str(START * 10**6),
    ]
)
PAYLOADS = (
    st.binary(max_size=40)
    | JSON.map(lambda value: json.dumps(value).encode())
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
    assert readings(together, SENSORS) == [each for one in apart for each in readings(one, SENSORS)]
    reasons = sorted(letter.reason for one in apart for letter in one.dead_letters)
    assert sorted(letter.reason for letter in together.dead_letters) == reasons


@FAST
@given(
    value=st.floats(width=32, allow_nan=False, allow_infinity=False),
    time=st.integers(START, START + 10**12),
    sensor=st.sampled_from(SENSORS),
)
def test_what_is_encoded_is_decoded_again(value: float, time: int, sensor: str) -> None:
    """Bit for bit, in each convention that we can write, by the wire format's own rules."""
    topic = f"plant/north/pump/{sensor}"
    text = json.dumps({"ts": time, "values": {sensor: value}}).encode()
    sent = {
        "value": made(topic, encode_number(value), time),
        "value and time": made(topic, encode_value(time, value)),
        "paths": made("plant/north/pump", text),
        "line": made("plant/north/pump", encode_line("m x", {"a b": "c,d"}, {sensor: value}, time)),
        "tag": made("plant/north", encode_line("m", {"who": "pump"}, {sensor: value}, time)),
    }
    for convention, message in sent.items():
        decoded = Decoder([ROUTES[convention]], root="r").decode([message])
        assert not decoded.dead_letters, convention
        (reading,) = readings(decoded, SENSORS)
        assert reading == {"stream": "north//pump", "time": time, "values": {sensor: value}}, convention
        assert math.copysign(1, reading["values"][sensor]) == math.copysign(1, value), convention


CELLS = st.sampled_from(["1", "2.5", "1e39", "1e999", "true", '"x"'])


@FAST
@given(
    table=st.lists(st.lists(st.tuples(st.sampled_from(["load", "flow", "rpm"]), CELLS), max_size=4), max_size=4)
)
def test_every_number_and_every_value_of_a_sensor_is_counted_once(
    table: list[list[tuple[str, str]]],
) -> None:
    """In the books of the whole line, by JSON and by line protocol; text under another name is no reading."""
    items, lines, counted = [], [], 0
    for second, cells in enumerate(table):
        if not cells:
            continue
        time = START + 1000 * second
        items += [f'{{"t":{time},"n":"{name}","v":{text}}}' for name, text in cells]
        fields = ",".join(f"{name}={text}" for name, text in cells)
        lines.append(f"m {fields} {time * 10**6}")
        counted += sum(name != "rpm" or text[0] in "12" for name, text in cells)
    by_item = Paths(time="t", value="v", sensor="n")
    for payload, paths, text in (
        ("paths", by_item, f"[{','.join(items)}]"),
        ("line", Paths(time_format="ns"), "\n".join(lines)),
    ):
        spec = shipped()
        route = replace(spec.route, topics=(WHOLE,), payload=payload, paths=paths)  # type: ignore[arg-type]
        line = Line(replace(spec, route=route)).listen()
        if items:
            line.send(10_000, made("plant/north/pump", text.encode(), START + 10_000))
        outcomes = line.state.outcomes
        assert int(outcomes.sum()) + line.state.waiting_values() == counted, payload
        assert int(outcomes[Outcome.DEAD_LETTER]) == sum(letter.values for letter in line.dead_letters)


def test_a_value_out_of_32_bits_only_after_its_scale_is_refused_too() -> None:
    route = ClassRoute(("load",), (WHOLE,), payload="paths", scale=(1e30,), offset=(0.0,))
    text = b'{"ts":1700000040000,"values":{"load":1e10}}'
    decoded = Decoder([route], root="r").decode([made("plant/north/pump", text)])
    assert [letter.reason for letter in decoded.dead_letters] == ["load: 10000000000.0 does not fit 32-bit floats"]


def test_a_description_from_before_there_were_conventions_still_decodes() -> None:
    """Old journals and checkpoints hold such ones."""
    old = json.loads(LineSpec("r", 1, (shipped(),)).encode())
    for name in ("payload", "paths", "published", "scale", "offset"):
        del old["classes"][0]["route"][name]
    route = LineSpec.decode(json.dumps(old).encode()).classes[0].route
    assert (route.payload, route.published, route.scale) == ("json", (), ())
    assert route == shipped().route


def test_another_scale_is_another_meaning_of_what_waits() -> None:
    """Windows filled by the old one must not be scored with the new."""
    plain = shipped()
    scaled = replace(plain, route=replace(plain.route, scale=(2.0, 1.0), offset=(0.0, 0.0)))
    renamed = replace(plain, route=replace(plain.route, published=("a", "b")))
    assert not scaled.keeps_windows_of(plain)
    assert not scaled.keeps_sensor_faults_of(plain)
    assert renamed.keeps_windows_of(plain)
