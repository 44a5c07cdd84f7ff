"""Findings -> the settings file and the asset files, as commented TOML."""

from __future__ import annotations

import glob
import json
import re
from typing import TYPE_CHECKING

from monitor.discovery.statistics import widened

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from monitor.discovery.findings import ClassFinding, Findings, Mapping, SensorFinding

SETTINGS = "enginewatch.toml"
WIDTH = 114
ASSETS_SHOWN = 10
OWN = re.compile(r"^([^/{}]+)(/v1/\{site\}/\{asset\}/telemetry)$")


def files(findings: Findings, mqtt: Sequence[str], origin: str, *, aliases: bool = True) -> dict[str, str]:
    """Name of each file -> its text; `mqtt` are the lines of that block, `origin` says where all of it is from.

    Without `aliases` the names as published are told as comments only.
    """
    made = {SETTINGS: _settings(findings, mqtt, origin)}
    for each in findings.classes:
        made[each.file] = _asset_file(each, origin, aliases=aliases)
    return made


def quoted(value: str) -> str:
    r"""A TOML string.

    >>> quoted('a "b"\n')
    '"a \\"b\\"\\n"'
    """
    clean = value.encode(errors="replace").decode()
    return json.dumps(clean, ensure_ascii=False).replace("\x7f", "\\u007f")


def comment(text: str, indent: str = "") -> list[str]:
    """A comment of as many lines as it takes."""
    words = "".join(letter if letter.isprintable() else " " for letter in text).split()
    lines = [indent + "#"]
    for word in words:
        if len(lines[-1]) + 1 + len(word) > WIDTH and lines[-1] != indent + "#":
            lines.append(indent + "#")
        lines[-1] += f" {word}"
    return lines


def root_of(findings: Findings) -> str | None:
    """The first level of our own topics, where all classes that have such share it."""
    roots = {match[1] for each in findings.classes for topic in each.topics if (match := OWN.match(topic))}
    return roots.pop() if len(roots) == 1 else None


def _settings(findings: Findings, mqtt: Sequence[str], origin: str) -> str:
    root = root_of(findings)
    lines = [
        *comment(
            f"The settings of Enginewatch, made by `enginewatch init` {origin}. What it guessed is marked with "
            "its reason; what it could not decide it asked on the screen. docs/settings.md has every key."
        ),
        "",
        "[mqtt]",
        *mqtt,
    ]
    if root not in {None, "enginewatch"}:
        lines.append(f"root = {quoted(root or '')}")
    told: set[str] = set()
    for each in findings.classes:
        lines += ["", *_class(each, root, told)]
        told |= set(each.reasons)
    if findings.hold_ms:
        why = "Sensors that report more rarely than a tick, or beside it, keep their last value for so long."
        lines += ["", "[align]", *comment(why), f"hold_ms = {findings.hold_ms}"]
    return "\n".join(lines) + "\n"


def _class(each: ClassFinding, root: str | None, told: set[str]) -> Iterator[str]:
    """The block of a class; reasons that were `told` with an earlier one are not repeated."""
    shown = ", ".join(each.assets[:ASSETS_SHOWN])
    more = f" and {len(each.assets) - ASSETS_SHOWN} more" if len(each.assets) > ASSETS_SHOWN else ""
    yield from comment(f"{len(each.assets)} asset{'s' if len(each.assets) > 1 else ''}: {shown}{more}.")
    for reason in each.reasons:
        if reason not in told:
            yield from comment(f"- {reason}")
    yield "[[classes]]"
    yield f"name = {quoted(each.name)}"
    yield f"file = {quoted(each.file)}"
    yield '#model = ""  # a folder that `enginewatch train` made'
    topics = [f"{{root}}{match[2]}" if root and (match := OWN.match(topic)) else topic for topic in each.topics]
    yield f"topics = {_list(topics)}"
    yield f"assets = {_list(each.globs)}"
    yield f"time = {quoted(each.mapping.time)}"
    yield f"payload = {quoted(each.mapping.payload)}"
    paths = list(_paths(each.mapping))
    if paths:
        yield ""
        yield "[classes.paths]"
        yield from paths


def _paths(mapping: Mapping) -> Iterator[str]:
    """Where things are, for payloads that need it said."""
    if mapping.payload == "paths":
        yield f"items = {quoted(mapping.items)}"
        if mapping.time == "event":
            yield f"time = {quoted(mapping.time_path)}"
    if mapping.payload in {"paths", "line"} and mapping.time == "event":
        yield f"time_format = {quoted(mapping.time_format)}"
    if mapping.values is not None:
        yield f"values = {quoted(mapping.values)}"
    if mapping.value is not None:
        yield f"value = {quoted(mapping.value)}"
    if mapping.sensor:
        yield f"sensor = {quoted(mapping.sensor)}"
    if mapping.asset:
        yield f"asset = {quoted(mapping.asset)}"


def _list(values: Sequence[str]) -> str:
    line = ", ".join(map(quoted, values))
    if len(line) < WIDTH - len("topics = []"):
        return f"[{line}]"
    return "[\n" + "".join(f"    {quoted(value)},\n" for value in values) + "]"


def _asset_file(each: ClassFinding, origin: str, *, aliases: bool) -> str:
    once = "each sensor reports once a tick, so a complete tick closes at once"
    often = "true only where each sensor reports exactly once a tick"
    flag, why = ("true", once) if each.one_reading_per_tick else ("false", often)
    lines = [
        *comment(
            f"The sensors of the class {each.name}, found by `enginewatch init` {origin}, in the model's order."
        ),
        *comment(
            "`min` and `max` are suggestions, clearly wider than what was seen: outside is no measurement. Put in "
            "what the sensor can report, and remove the #. `published_unit` converts to `unit` from the unit "
            "that is published; `scale` and `offset` are for values that are counts of something."
        ),
        "",
        *comment(f"Length of a tick: {each.period_reason}."),
        f"period_ms = {each.period_ms}",
        f"one_reading_per_tick = {flag}  # {why}",
        f"allowed_lateness_ms = {each.lateness_ms}  # how long an incomplete tick waits",
    ]
    left_out = [sensor.published for sensor in each.sensors if not sensor.kept] + list(each.ignored)
    left_out = [glob.escape(name) for name in left_out]
    if left_out:
        lines += ["", *comment("Published, and left out: counted, and no dead letters. Globs are allowed.")]
        lines.append(f"ignore = {_list(left_out)}")
    for sensor in each.sensors:
        lines += ["", *_sensor(sensor, aliases=aliases)]
    return "\n".join(lines) + "\n"


def _sensor(sensor: SensorFinding, *, aliases: bool) -> list[str]:
    seen = f"Seen: {sensor.lowest:g} to {sensor.highest:g}"
    if sensor.period_ms:
        seen += f", {'usually ' if sensor.irregular else ''}every {sensor.period_ms} ms"
    if sensor.share < 1:
        seen += f", in {sensor.share:.0%} of the assets"
    lines = ["[[sensors]]", f"name = {quoted(sensor.name)}"]
    if sensor.published != sensor.name:
        if aliases:
            lines.append(f"alias = {quoted(sensor.published)}  # as it is published")
        else:
            lines += comment(f"in the files: {sensor.published}")
    if sensor.unit:
        guess = "a guess: " if sensor.unit_guessed else ""
        lines.append(f"unit = {quoted(sensor.unit)}  # {guess}{comment(sensor.unit_reason)[0][2:]}")
        lines.append('#published_unit = ""  # where the values come in another unit than this')
    else:
        lines.append('unit = ""  # not known')
    low, high = widened(sensor.lowest, sensor.highest, sensor.unit)
    lines += [f"#min = {_number(low)}", f"#max = {_number(high)}"]
    head = comment(seen + (f"; {sensor.note}." if sensor.note else "."))
    if sensor.kept:
        return head + lines
    return [
        *head,
        *comment("Left out; to take it in, remove the first # of each line, and its name from `ignore`."),
        *(f"#{line}" for line in lines),
    ]


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)  # noqa: PLR2004 - exact
