"""What the tests of discovery share: captures by hand, and what is found in them."""

from __future__ import annotations

import json
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
