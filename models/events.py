"""Which events a detector told, how soon, and how often it told something else [pure].

An event is a stretch of ticks in which something was wrong. An incident belongs to the event in which it *fired*,
or within `reach` ticks behind it, because a window holds an event for its own length after it. An incident that
fired elsewhere is false, also where it is still open when an event begins: nobody is told of that event, it is
counted as `hidden`. A detector that always alarms therefore finds nothing.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True, slots=True)
class Event:
    """What was really wrong, in ticks, the last one included."""

    start: int
    end: int
    kind: str = ""
    sensor: str = ""


@dataclass(frozen=True, slots=True)
class Incident:
    """What was told: when it fired and when it cleared, in ticks."""

    fired: int
    cleared: int | None = None  # None: it stayed open
    kind: str = "anomaly"
    sensor: str = ""
    named: tuple[str, ...] = ()  # sensors that it blamed, the first one most

    def open_at(self, tick: int) -> bool:
        """Whether it had fired before this tick and not cleared by then."""
        return self.fired < tick and (self.cleared is None or self.cleared > tick)


@dataclass(frozen=True, slots=True)
class Matched:
    """What became of one run's events and incidents."""

    events: tuple[Event, ...]
    delay: tuple[int | None, ...]  # of each event: ticks from its start until it was told; None: it was not
    hidden: tuple[bool, ...]  # of each event: not told, but an earlier incident was open when it began
    named: tuple[bool | None, ...]  # of each event: the sensor at fault came first; None: not told, or not known
    own: int  # incidents that belong to an event
    false: tuple[Incident, ...]


@dataclass(slots=True)
class Told:
    """Sums over runs."""

    events: int = 0
    found: int = 0
    hidden: int = 0
    false: int = 0
    delays: list[int] = field(default_factory=list)
    of_kind: Counter[str] = field(default_factory=Counter)
    found_of_kind: Counter[str] = field(default_factory=Counter)
    named: int = 0  # of those found whose sensor is known: it was blamed first
    nameable: int = 0

    @property
    def f1(self) -> float | None:
        """As `event_f1`."""
        return event_f1(self.events, self.found, self.false)


def match(events: Sequence[Event], incidents: Iterable[Incident], reach: int) -> Matched:
    """Hold the incidents of one run against its events."""
    told = sorted(incidents, key=lambda incident: incident.fired)
    delay: list[int | None] = []
    hidden, named = [], list[bool | None]()
    for event in events:
        own = [each for each in told if event.start <= each.fired <= event.end + reach]
        delay.append(own[0].fired - event.start if own else None)
        hidden.append(not own and any(each.open_at(event.start) for each in told))
        known = own and event.sensor and any(each.named or each.sensor for each in own)
        blamed = {(each.sensor or (each.named or ("",))[0]) for each in own}
        named.append(event.sensor in blamed if known else None)
    spans = [(event.start, event.end + reach) for event in events]
    false = [each for each in told if not any(start <= each.fired <= end for start, end in spans)]
    own_ones = len(told) - len(false)
    return Matched(tuple(events), tuple(delay), tuple(hidden), tuple(named), own_ones, tuple(false))


def summed(runs: Iterable[Matched]) -> Told:
    """The sums over runs."""
    total = Told()
    for run in runs:
        total.events += len(run.events)
        total.hidden += sum(run.hidden)
        total.false += len(run.false)
        total.nameable += sum(named is not None for named in run.named)
        total.named += sum(named is True for named in run.named)
        for event, delay in zip(run.events, run.delay, strict=True):
            total.of_kind[event.kind] += 1
            if delay is not None:
                total.found += 1
                total.found_of_kind[event.kind] += 1
                total.delays.append(delay)
    return total


def event_f1(events: int, found: int, false: int) -> float | None:
    """Of precision = found / (found + false) and recall = found / events; None where there is no event.

    >>> event_f1(4, 2, 2)
    0.5
    """
    return 2 * found / (events + found + false) if events else None
