"""Incidents as channels come to know of them, and a channel whose time the test makes."""

from __future__ import annotations

import hashlib

import msgspec

from monitor.channels import rules as by
from monitor.channels.memory import Memory, Telling
from monitor.channels.rules import Plant, Rules
from monitor.records import AlertEvent, SensorFinding, Transition

SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000
RULES = Rules(wait_ms=30 * SECOND, interval_ms=5 * MINUTE, repeat_ms=4 * HOUR, flood=10, flood_ms=10 * MINUTE)
HOT = SensorFinding("coolant_temperature", "°C", 104.2, 90.3, 4.2)


def event(
    transition: Transition = Transition.FIRED,
    *,
    asset: str = "plant//p1",
    kind: str = "anomaly",
    sensor: str = "",
    severity: str = "warning",
    time: int = 0,
    started: int = 0,
) -> AlertEvent:
    """A transition of the incident that a kind, a sensor and a beginning make of an asset."""
    name = hashlib.sha256(f"{asset} {kind} {sensor} {started}".encode()).hexdigest()[:16]
    scored = kind == "anomaly"
    over = transition is Transition.CLEARED
    return AlertEvent(
        event_id=f"{name[:8]}-{transition}-{time}",
        incident_id=name,
        stream=asset,
        kind=kind,
        sensor=sensor,
        transition=transition,
        severity=severity,
        started=started,
        time=time,
        recorded=time,
        score=4.2 if scored else None,
        threshold=1.5 if scored else None,
        summary="normal again after 2 min" if over else "coolant temperature 14 °C above what the others explain",
        top=(HOT,) if scored else (),
    )


class Told:
    """A channel: what happens at which second, and what it tells then. After each step it is stored and read."""

    def __init__(self, rules: Rules = RULES, plant: Plant | None = None) -> None:
        self.rules = rules
        self.plant = plant or Plant({"plant": 20})
        self.memory = Memory()
        self.tellings: list[tuple[float, Telling]] = []

    def at(self, second: float, *events: AlertEvent) -> list[Telling]:
        """Take in what happened, and tell what is due."""
        now = int(second * SECOND)
        for each in events:
            by.take(self.memory, self.rules, each, now)
        due = by.due(self.memory, self.rules, self.plant, now)
        for telling in due:
            by.told(self.memory, telling, now)
        self.tellings += [(second, telling) for telling in due]
        self.memory = msgspec.json.decode(msgspec.json.encode(self.memory), type=Memory)
        return due

    def until(self, first: int, last: int, step: int = 1) -> list[tuple[float, str]]:
        """Let time go by; what was told at which second, as `news`."""
        return [(second, news(told)) for second in range(first, last, step) for told in self.at(second)]


def news(telling: Telling) -> str:
    """A message in short: its form and what it says of how many incidents."""
    kinds = [each.news for each in telling.told]
    counted = " ".join(f"{kinds.count(kind)} {kind}" for kind in ("fired", "over", "still") if kind in kinds)
    return f"{telling.form}: {counted}"
