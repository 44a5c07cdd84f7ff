"""What the tests of discovery share: captures by hand, and what is found in them."""

from __future__ import annotations

import json
import random
import tomllib
from typing import TYPE_CHECKING, Any

from config.overlap import globs_overlap
from monitor.discovery.capture import Capture, Captured
from monitor.discovery.discover import discover
from monitor.discovery.written import files

if TYPE_CHECKING:
    from collections.abc import Iterable

    from monitor.discovery.findings import ClassFinding, Findings

START = 1_790_000_000_000


def captured(messages: Iterable[tuple[str, Any, int]], *, retained: bool = False) -> Capture:
    """A capture of (topic, payload, milliseconds after the start); what is neither bytes nor text becomes JSON."""
    capture = Capture()
    for topic, payload, after in messages:
        text = payload if isinstance(payload, str | bytes) else json.dumps(payload)
        data = text.encode() if isinstance(text, str) else text
        capture.add(Captured(topic, data, START + after, retained))
    return capture


def found_in(messages: Iterable[tuple[str, Any, int]]) -> Findings:
    """The findings in such a capture."""
    return discover(captured(messages), globs_overlap)


def one_class(findings: Findings) -> ClassFinding:
    """The only class."""
    assert [each.name for each in findings.classes] == [findings.classes[0].name]
    return findings.classes[0]


def settings_of(findings: Findings) -> dict[str, Any]:
    """The settings file as TOML reads it; every asset file must be TOML, too."""
    made = files(findings, ['host = "127.0.0.1"'], "from a test")
    return {name: tomllib.loads(text) for name, text in made.items()}["enginewatch.toml"]


def asked(findings: Findings) -> str:
    """All questions as one text."""
    return "\n".join(f"{question.text} -> {question.key}" for question in findings.questions)


def aside(findings: Findings) -> dict[str, str]:
    """What was left aside, and why."""
    return {each.what: each.reason for each in findings.asides}


CHANCE = random.Random(7)  # noqa: S311 - noise; tests.conftest begins it anew for each test


def about(middle: float) -> float:
    """A value near a middle."""
    return round(CHANCE.gauss(middle, middle / 60), 3)


def own(
    assets: tuple[str, ...] = ("engine-1", "engine-2"), *, root: str = "enginewatch"
) -> list[tuple[str, Any, int]]:
    """Our own layout: two sensors, twice a second."""
    return [
        (
            f"{root}/v1/plant/{asset}/telemetry",
            {"v": 1, "ts": START + 500 * n, "seq": n, "values": {"engine_speed": about(800), "map": about(40)}},
            500 * n + CHANCE.randrange(50),
        )
        for n in range(30)
        for asset in assets
    ]


def numbers(assets: dict[str, dict[str, float]], place: str = "acme/berlin") -> list[tuple[str, Any, int]]:
    """A bare number a topic, each second: asset -> sensor -> usual value."""
    return [
        (f"{place}/{asset}/{sensor}", str(about(middle)), 1000 * n + CHANCE.randrange(80))
        for n in range(25)
        for asset, sensors in assets.items()
        for sensor, middle in sensors.items()
    ]


PUMP = {"temp_c": 62.0, "pressure_bar": 4.2, "rpm": 1480.0}
FAN = {"rpm": 900.0, "current_a": 9.1}


def nested(*, time: Any = lambda n: START // 1000 + n) -> list[tuple[str, Any, int]]:
    """Nested JSON, its time in a head."""
    return [
        (
            f"factory/line2/mixer-{number:02}/data",
            {
                "head": {"epoch": time(n), "seq": n},
                "body": {"motor": {"temp": about(58), "speed": about(1500)}, "load": about(40), "running": True},
            },
            1000 * n + 30,
        )
        for n in range(25)
        for number in (1, 2, 3)
    ]
