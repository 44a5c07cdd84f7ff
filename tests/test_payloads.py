"""Every payload convention: golden cases in folders.

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

from config.classes import resolve_classes
from config.load import load
from monitor.assemble import line_spec
from monitor.decode import ClassRoute, Decoded, Decoder
from monitor.payloads.names import Names
from monitor.records import Message
from monitor.spec import LineSpec
from tests.line_samples import START, shipped

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
        assert sum(part.ignored for part in parts) == expected.get("ignored", 0)


WHOLE = "plant/{site}/{asset}"


def test_a_value_out_of_32_bits_only_after_its_scale_is_refused_too() -> None:
    route = ClassRoute(("load",), (WHOLE,), payload="paths", scale=(1e30,), offset=(0.0,))
    text = b'{"ts":1700000040000,"values":{"load":1e10}}'
    decoded = Decoder([route], root="r").decode([made("plant/north/pump", text)])
    assert [letter.reason for letter in decoded.dead_letters] == ["load: 10000000000.0 does not fit 32-bit floats"]


def test_two_values_under_one_dotted_name_are_one_and_a_dead_letter() -> None:
    """A key with a dot in it, and the same by an object; null is no second value."""
    route = ClassRoute(("a.b", "c.d"), (WHOLE,), payload="paths")
    text = b'{"ts":1700000040000,"values":{"a.b":1,"a":{"b":2},"c.d":null,"c":{"d":3}}}'
    decoded = Decoder([route], root="r").decode([made("plant/north/pump", text)])
    assert [letter.reason for letter in decoded.dead_letters] == ["a.b: is there twice"]
    assert [each["values"] for each in readings(decoded, route.sensors)] == [{"a.b": 1, "c.d": 3}]


def test_by_what_nobody_watches_an_asset_is_not_heard() -> None:
    """Neither a sensor that is left out nor one that is unknown opens a tick; a null of a sensor does."""
    route = ClassRoute(
        ("load",), ("plant/{site}/{asset}/{sensor}",), arrival_time=True, payload="value", ignore=("k*",)
    )
    sent = [made(f"plant/north/pump/{sensor}", payload) for sensor, payload in (
        ("kwh", b"7"), ("kept", b"null"), ("known", b"on"), ("rpm", b"7"), ("load", b"null"),
    )]  # fmt: skip
    decoded = Decoder([route], root="r").decode(sent)
    assert [letter.reason for letter in decoded.dead_letters] == ["unknown sensor rpm"]
    assert readings(decoded, route.sensors) == [{"stream": "north//pump", "time": START, "values": {}}]
    assert decoded.ignored == 1


@pytest.mark.parametrize("payload", ["json", "paths"])
@pytest.mark.parametrize(
    ("values", "heard"), [('{"kind":"on"}', 0), ('{"load":"on"}', 0), ('{"load":null}', 1), ("{}", 1)]
)
def test_a_reading_of_text_alone_is_none(payload: str, values: str, heard: int) -> None:
    """One without any values is: the asset says that it lives."""
    route = ClassRoute(("load",), (WHOLE,), payload=payload, ignore=("k*",))  # type: ignore[arg-type]
    text = f'{{"ts":1700000040000,"values":{values}}}'.encode()
    assert len(readings(Decoder([route], root="r").decode([made("plant/north/pump", text)]), ("load",))) == heard


def test_names_that_are_left_out_are_remembered_within_bounds() -> None:
    """A glob takes any name, and a publisher may make up one with every message."""
    names = Names(["load"], ["x*"])
    for number in range(300):
        assert names.layout((f"x{number}".ljust(50_000),)) is not None
    assert len(names._layouts) < 220


def test_a_description_from_before_there_were_conventions_still_decodes() -> None:
    """Old journals and checkpoints hold such ones."""
    old = json.loads(LineSpec("r", 1, (shipped(),)).encode())
    for name in ("payload", "paths", "published", "scale", "offset", "ignore"):
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
