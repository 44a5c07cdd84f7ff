"""Findings as the user reads them: what was found, what was left aside, and what has to be asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.discovery.findings import ClassFinding, Findings, SensorFinding

SENSORS = 40  # rows shown of a class
ASSETS = 6
ASIDES = 15
QUESTIONS = 40


def told(findings: Findings) -> list[str]:
    """The findings, line by line."""
    lines: list[str] = []
    reasons: set[str] = set()
    for each in findings.classes:
        lines += ["", *_class(each, [reason for reason in each.reasons if reason not in reasons])]
        reasons |= set(each.reasons)
    if findings.asides:
        lines += ["", "Left aside:"]
        for aside in findings.asides[:ASIDES]:
            count = f" ({aside.count})" if aside.count > 1 else ""
            lines.append(f"  {aside.what}{count}: {aside.reason}")
        lines += _more(len(findings.asides) - ASIDES)
    if findings.left_out:
        lines += ["", "Not looked at, to bound the memory: " + "; ".join(findings.left_out)]
    if findings.questions:
        lines += ["", "What could not be decided, and the key to edit:"]
        for number, question in enumerate(findings.questions[:QUESTIONS], 1):
            lines.append(f"  {number}. {question.text}")
            lines.append(f"     -> {question.key}")
        lines += _more(len(findings.questions) - QUESTIONS)
    return [_clean(line) for line in lines]


def _more(count: int) -> list[str]:
    return [f"  … and {count} more"] if count > 0 else []


def _class(each: ClassFinding, reasons: Sequence[str]) -> list[str]:
    """A class; its `reasons` are those that were not told before."""
    count, kept = len(each.assets), sum(sensor.kept for sensor in each.sensors)
    shown = ", ".join(each.assets[:ASSETS]) + (f" and {count - ASSETS} more" if count > ASSETS else "")
    lines = [
        f"Class {each.name}: {_count(count, 'asset')}, {_count(kept, 'sensor')}",
        f"  period   {each.period_ms} ms: {each.period_reason}",
        f"  assets   {shown}",
        *(f"  topics   {topic}" for topic in each.topics),
        f"  payload  {_payload(each)}",
        f"  time     {_time(each)}",
    ]
    if each.globs != ("*",):
        lines.append(f"  globs    {', '.join(each.globs[:ASSETS])}")
    lines += [f"  because  {reason}" for reason in reasons]
    return lines + [f"    {line}" for line in _table(each.sensors)]


def _count(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _payload(each: ClassFinding) -> str:
    mapping = each.mapping
    if mapping.payload != "paths":
        words = {
            "json": "Enginewatch's own JSON",
            "value": "a bare number per topic",
            "line": "InfluxDB line protocol",
            "sparkplug": "Sparkplug B",
        }
        return f'"{mapping.payload}": {words[mapping.payload]}'
    parts = [f"a list at {mapping.items}" if mapping.items else ""]
    parts.append(f"sensors under {mapping.values or 'the whole'}" if mapping.values is not None else "")
    parts.append(f"the value at {mapping.value}" if mapping.value is not None else "")
    parts.append(f"the sensor's name at {mapping.sensor}" if mapping.sensor else "")
    parts.append(f"the asset's name at {mapping.asset}" if mapping.asset else "")
    return '"paths": ' + ", ".join(part for part in parts if part)


def _time(each: ClassFinding) -> str:
    if each.mapping.time == "arrival":
        return '"arrival": the payload carries none that can be used'
    path = f" at {each.mapping.time_path}" if each.mapping.time_path else ""
    return f'"event":{path} in {each.mapping.time_format}'


def _table(sensors: Sequence[SensorFinding]) -> list[str]:
    rows = [("sensor", "published as", "unit", "every", "seen", "")]
    for sensor in sensors[:SENSORS]:
        published = sensor.published if sensor.published != sensor.name else ""
        unit = f"{sensor.unit} (a guess)" if sensor.unit and sensor.unit_guessed else sensor.unit or "?"
        every = f"{sensor.period_ms} ms" if sensor.period_ms else "?"
        note = sensor.note + ("" if sensor.kept else "; left out")
        note += f"; in {sensor.share:.0%} of the assets" if sensor.share < 1 else ""
        rows.append(
            (sensor.name, published, unit, every, f"{sensor.lowest:g} to {sensor.highest:g}", note.strip("; "))
        )
    widths = [max(len(_clean(row[index])) for row in rows) for index in range(6)]
    used = [
        index for index in range(6) if index != 1 or widths[1] > len(rows[0][1]) or any(row[1] for row in rows[1:])
    ]
    lines = ["  ".join(_clean(row[index]).ljust(widths[index]) for index in used).rstrip() for row in rows]
    return lines + _more(len(sensors) - SENSORS)


def _clean(text: str) -> str:
    """Names come from outside: nothing in them may move the cursor."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
