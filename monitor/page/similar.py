"""Which past incidents are like one [pure].

What the model found is compared by its sensors: the cosine between their contributions, where a sensor that is off
to the other side counts against it. 1 = the same sensors, by the same shares, in the same direction. A sensor's
own fault is like one of the same sensor: 1 of the same kind, one half of another. Other kinds have no sensors: the
same kind is 1.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from monitor.records import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from monitor.records import AlertEvent

ALIKE = 0.5  # what is less like is not told
BY_SENSORS = {Kind.ANOMALY, Kind.LIMIT}
OTHER_KIND = 0.5


class Similar(NamedTuple):
    """A past incident, and how much it is like the one that is looked at."""

    incident: AlertEvent
    verdict: str  # empty: nobody gave one
    likeness: float  # 0 … 1


def similar(to: AlertEvent, past: Iterable[tuple[AlertEvent, str]], limit: int) -> list[Similar]:
    """Those that are most like it, the most like first and then the newest; at most so many, and not itself."""
    found = [
        Similar(each, verdict, likeness(to, each)) for each, verdict in past if each.incident_id != to.incident_id
    ]
    alike = [each for each in found if each.likeness >= ALIKE]
    return sorted(alike, key=lambda each: (-each.likeness, -each.incident.started))[:limit]


def likeness(one: AlertEvent, other: AlertEvent) -> float:
    """How much two incidents are like each other, 0 … 1."""
    if one.sensor or other.sensor:
        if one.sensor != other.sensor:
            return 0.0
        return 1.0 if one.kind == other.kind else OTHER_KIND
    if one.kind != other.kind:
        return 0.0
    if one.kind not in BY_SENSORS:
        return 1.0
    ours, theirs = _directed(one), _directed(other)
    together = math.hypot(*ours.values()) * math.hypot(*theirs.values())
    along = sum(value * theirs.get(name, 0.0) for name, value in ours.items())
    return min(max(along / together, 0.0), 1.0) if together > 0 else 0.0


def _directed(of: AlertEvent) -> dict[str, float]:
    """What each sensor has to do with it, below 0 where it is lower than expected."""
    sized = ((each.sensor, abs(each.contribution), each.actual - each.expected) for each in of.top)
    return {name: math.copysign(size, off) for name, size, off in sized if math.isfinite(size + off)}
