"""Discovery with whatever may arrive: nothing crashes it, and what it writes is TOML that holds what was found."""

from __future__ import annotations

import doctest
import importlib
import json
import random
import tomllib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.load import load
from config.overlap import globs_overlap
from monitor.discovery import capture as captures
from monitor.discovery.capture import Capture, Captured, from_line, to_line
from monitor.discovery.discover import discover
from monitor.discovery.words import told
from monitor.discovery.written import comment, files, quoted
from monitor.payloads.names import Names
from tests.discovered import START, captured

MODULES = ("names", "units", "moments", "capture", "payloads", "statistics", "groups", "written")
WORDS = st.sampled_from(["temp", "ts", "value", "unit", "device", "sensor", "rpm", "v", "seq", "a.b", "", "x"])
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(
        [START, START // 1000, str(START), "2026-09-21T14:13:20Z", "2026-09-21 14:13:20", "bar", 1e308]
    ),
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(WORDS | st.text(max_size=4), inner, max_size=5)
    ),
    max_leaves=12,
)
LINES = st.builds(
    lambda name, tag, field, value, time: f"{name},host={tag} {field}={value} {time}",
    st.sampled_from(["m", "cpu", "a\\ b"]),
    st.text("ab/\\", min_size=1, max_size=2),
    WORDS,
    st.sampled_from(["1", "2i", "t", '"x y"', "1e400", "nan"]),
    st.sampled_from([str(START * 1_000_000), "1", "", "-5"]),
)
PAYLOADS = st.one_of(
    st.binary(max_size=20),
    st.text(max_size=20).map(str.encode),
    st.floats().map(lambda value: repr(value).encode()),
    JSON.map(lambda value: json.dumps(value).encode(errors="replace")),
    LINES.map(lambda line: line.encode(errors="replace")),
)
LEVELS = (
    WORDS
    | st.sampled_from(["pump-1", "pump-2", "acme", "v1", "telemetry", "spBv1.0", "meta"])
    | st.text(max_size=3)
)
TOPICS = st.lists(LEVELS, min_size=1, max_size=5).map("/".join)
MESSAGES = st.builds(Captured, TOPICS, PAYLOADS, st.integers(START, START + 60_000), st.booleans())


@pytest.mark.parametrize("module", MODULES)
def test_documented_examples(module: str) -> None:
    found = doctest.testmod(importlib.import_module(f"monitor.discovery.{module}"))
    assert found.attempted
    assert not found.failed


@settings(max_examples=80)
@given(st.lists(MESSAGES, max_size=25))
def test_no_capture_crashes_it_and_what_is_written_is_toml(messages: list[Captured]) -> None:
    """Each message comes several times, so that there is something to compare."""
    capture = Capture()
    for message in messages:
        for again in range(4):
            later = message.arrival + 1000 * again
            capture.add(Captured(message.topic, message.payload, later, message.retained))
    findings = discover(capture, globs_overlap)
    assert findings.messages == capture.messages
    made = files(findings, ['host = "h"'], "from a test")
    documents = {name: tomllib.loads(text) for name, text in made.items()}
    classes = documents["enginewatch.toml"].get("classes", [])
    assert [entry["name"] for entry in classes] == [each.name for each in findings.classes]
    for entry, found in zip(classes, findings.classes, strict=True):
        kept = [sensor.name for sensor in found.sensors if sensor.kept]
        asset = documents[entry["file"]]
        assert [sensor["name"] for sensor in asset["sensors"]] == kept
        names = Names([sensor.published for sensor in found.sensors if sensor.kept], asset.get("ignore", []))
        for sensor in found.sensors:  # each is a sensor or left out, whatever letters it has
            assert names.ignores(sensor.published) is not sensor.kept
        assert len(set(kept)) == len(kept)
    for line in told(findings):
        assert line.isprintable()


@settings(max_examples=40)
@given(st.lists(MESSAGES, min_size=3, max_size=25))
def test_whatever_is_written_passes_every_check(messages: list[Captured]) -> None:
    """Every generated file, through the daemon's own checks."""
    capture = Capture()
    for message in messages:
        for again in range(4):
            capture.add(Captured(message.topic, message.payload, message.arrival + 1000 * again))
    findings = discover(capture, globs_overlap)
    if not findings.classes:
        return
    with TemporaryDirectory() as folder:
        for name, text in files(findings, ['host = "h"'], "from a test").items():
            (Path(folder) / name).write_text(text, encoding="utf-8")
        loaded = load(Path(folder) / "enginewatch.toml", environment={})
    assert [entry.name for entry in loaded.settings.classes] == [each.name for each in findings.classes]


QUANTITIES = ("temp", "oil_pressure", "rpm", "flow", "vibration", "current", "load", "humidity")


@settings(max_examples=60)
@given(
    layout=st.sampled_from(["numbers", "values", "flat"]),
    assets=st.lists(st.integers(1, 99), min_size=2, max_size=6, unique=True),
    kind=st.sampled_from(["pump", "Fan", "mixer-", "P"]),
    sensors=st.lists(st.sampled_from(QUANTITIES), min_size=2, max_size=6, unique=True),
    period=st.sampled_from([100, 500, 1000, 2000, 10_000, 60_000]),
    seed=st.integers(0, 9),
)
def test_a_plant_is_found_as_it_was_laid_out(
    layout: str, assets: list[int], kind: str, sensors: list[str], period: int, seed: int
) -> None:
    """Assets, sensors, period and payload of a plant that is published without a flaw."""
    chance = random.Random(seed)  # noqa: S311 - noise
    capture = Capture()
    for n in range(12):
        now = START + n * period
        for number in assets:
            place = f"works/hall/{kind}{number}"
            values = {sensor: round(chance.gauss(10 * 3**i, 1), 3) for i, sensor in enumerate(sensors)}
            if layout == "flat":
                capture.add(Captured(f"{place}/data", json.dumps({"time": now, **values}).encode(), now + 7))
                continue
            for sensor, value in values.items():
                text = str(value) if layout == "numbers" else json.dumps({"ts": now, "value": value})
                capture.add(Captured(f"{place}/{sensor}", text.encode(), now + chance.randrange(period // 20)))
    (found,) = discover(capture, globs_overlap).classes
    assert found.topics == ("works/{site}/{asset}/" + ("data" if layout == "flat" else "{sensor}"),)
    assert set(found.assets) == {f"hall//{kind}{number}" for number in assets}
    assert {sensor.published for sensor in found.sensors} == set(sensors)
    assert found.period_ms == period
    assert found.mapping.payload == ("value" if layout == "numbers" else "paths")


@settings(max_examples=100)
@given(MESSAGES)
def test_a_line_of_a_capture_file_gives_the_same_message(message: Captured) -> None:
    line = to_line(message)
    assert (
        from_line(line.encode(errors="replace").decode()).topic == message.topic.encode(errors="replace").decode()
    )
    assert from_line(line) == message


@given(st.text())
def test_every_text_is_told_in_toml_as_it_is(text: str) -> None:
    clean = text.encode(errors="replace").decode()
    assert tomllib.loads(f"key = {quoted(text)}") == {"key": clean}
    assert tomllib.loads("\n".join([*comment(text), "key = 1"])) == {"key": 1}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("[]", "needs a topic"),
        ('{"topic": "a", "payload": "1"}', "epoch milliseconds"),
        ('{"topic": "a", "arrival": 5}', "payload is missing"),
        ("nonsense", "Expecting value"),
    ],
)
def test_a_line_that_is_no_message(line: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        from_line(line)


def test_a_payload_may_stand_as_json_or_in_base64() -> None:
    entry: dict[str, Any] = {"topic": "a", "arrival": 5, "payload": {"temp": 1}}
    assert json.loads(from_line(json.dumps(entry)).payload) == {"temp": 1}
    assert from_line('{"topic": "a", "arrival": 5, "payload_base64": "/wA="}').payload == b"\xff\x00"


def test_memory_is_bounded_and_what_is_left_out_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(captures, "TOPICS", 2)
    monkeypatch.setattr(captures, "A_TOPIC", 3)
    monkeypatch.setattr(captures, "TOTAL", 5 * captures.MESSAGE_COST + 100)
    capture = captured([(f"acme/pump-{p}/temp", "1", n) for n in range(5) for p in (1, 2, 3)])
    assert capture.messages == 15
    assert {topic: len(kept) for topic, kept in capture.topics.items()} == {
        "acme/pump-1/temp": 3,
        "acme/pump-2/temp": 2,
    }
    assert capture.further_topics == 5
    assert capture.forgotten + capture.dropped + 5 == 10
    assert capture.size <= captures.TOTAL
    assert len(capture.left_out()) == 3


def test_a_long_payload_is_cut_and_known_to_be() -> None:
    capture = captured([("a/b", "9" * (captures.PAYLOAD + 1), 0)])
    (message,) = capture
    assert message.cut
    assert len(message.payload) == captures.PAYLOAD


def test_it_is_enough_when_every_topic_that_repeats_was_heard_often_and_nothing_is_new() -> None:
    capture = Capture()
    for n in range(captures.ENOUGH):
        assert not capture.enough(START + 60_000, 5_000)
        capture.add(Captured("a/b", b"1", START + n))
        capture.add(Captured("a/c", b"1", START, retained=True))
    capture.add(Captured("a/once", b"1", START + 50_000))
    assert not capture.enough(START + 54_000, 5_000), "a topic is new"
    assert capture.enough(START + 55_000, 5_000)
    capture.add(Captured("a/once", b"1", START + 55_000))
    assert not capture.enough(START + 90_000, 5_000), "it repeats, so it is waited for"
