"""When the canary has a fault, and what came of it. Pure: time and incidents come in, orders and outcomes go out.

One fault at a time, each until it was seen or too much time has passed. What cannot be tried is no miss: while the
broker is away nobody could see anything. But where nothing is tried, nothing is proven, and that is told too.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import median
from typing import TYPE_CHECKING, Any, Literal

from monitor.records import Kind, Transition

if TYPE_CHECKING:
    from monitor.records import AlertEvent

# Those that the shipped model sees within seconds on an engine that idles (docs/canary.md), in turn.
FAULTS = ("low_ignition_voltage", "manifold_leak", "lean_mixture", "misfire")
KEPT = 20  # outcomes
UNTRIED = 2  # rounds without a trial that are trouble
OVER = {Transition.CLEARED, Transition.ACCEPTED}
OF_THE_WAY = {Kind.STALE, Kind.BLIND}  # they say that nothing arrives or is scored, and nothing of the engine


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a fault, or an incident that had none."""

    at: int  # epoch ms: when the fault, or that incident, began
    result: Literal["seen", "missed", "not tried", "false"]
    fault: str = ""
    delay_s: float | None = None  # from the first faulty reading until the incident was in the store
    why: str = ""

    @property
    def trouble(self) -> str:
        """What is wrong, in words; empty where nothing is."""
        when = datetime.fromtimestamp(self.at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
        if self.result == "missed":
            return f"the canary's fault {self.fault.replace('_', ' ')} of {when} was missed: {self.why}"
        if self.result == "false":
            return f"the canary had an incident without a fault at {when}: {self.why}"
        return ""


@dataclass(slots=True)
class Plan:
    """The state of it; times are epoch ms."""

    every_ms: int
    within_ms: int
    after_ms: int  # how long a fault explains incidents behind its end
    due: int  # when the next fault begins
    number: int = 0  # of faults so far
    began: int | None = None  # of the fault that is there
    seen: bool = False  # it was seen, and has to end
    ended: int | None = None  # of the one before
    open: set[str] = field(default_factory=set)  # incidents
    untried: int = 0  # rounds without a trial since the last one, for reasons that nobody else tells
    hindrance: str = ""  # the latest of these reasons
    turned: int = 0  # the time of the turn before
    counts: dict[str, int] = field(default_factory=dict)  # outcomes by result
    outcomes: deque[Outcome] = field(default_factory=lambda: deque(maxlen=KEPT))

    @property
    def fault(self) -> str:
        """The fault that is there, or is the next."""
        return FAULTS[self.number % len(FAULTS)]

    def turn(self, now: int, away: str, hindered: str = "", *, warm: bool) -> Literal["begin", "end", ""]:
        """What to do now; a fault waits until windows are full (`warm`), though not for ever.

        `away` says why the daemon hears nothing, which it tells by itself; `hindered` why the canary alone cannot
        be heard.
        """
        self._set_back(self.turned - now)
        self.turned = now
        if self.began is not None:
            return self._look(now, away, hindered, self.began)
        if now < self.due:
            return ""
        if not (warm or away or hindered):
            if now < self.due + self.every_ms:
                return ""
            hindered = "its readings never filled its windows"
        self.due = now + self.every_ms
        if not (away or hindered or self.open):
            return "begin"
        self._not_tried(now, away, hindered or "the incident of before is still open")
        return ""

    def _set_back(self, by_ms: int) -> None:
        """Where the clock was set back, what is planned comes no later for it."""
        if by_ms <= 0:
            return
        self.due -= by_ms
        self.began = None if self.began is None else self.began - by_ms
        self.ended = None if self.ended is None else self.ended - by_ms

    def _look(self, now: int, away: str, hindered: str, began: int) -> Literal["end", ""]:
        late = now - began > self.within_ms
        if not (self.seen or away or hindered or late):
            return ""
        if (away or hindered) and not self.seen:
            self._not_tried(began, away and f"broken off: {away}", f"broken off: {hindered}")
        elif not self.seen:
            why = f"there was no incident within {self.within_ms / 1000:g} s"
            self._note(Outcome(began, "missed", self.fault, why=why))
        self.began, self.seen, self.ended = None, False, now
        self.number += 1
        return "end"

    def begin(self, at: int) -> None:
        """The fault is there from this reading on."""
        self.began, self.due = at, at + self.every_ms

    def hear(self, event: AlertEvent, now: int) -> None:
        """A transition of the canary's, which is in the store by now."""
        if event.transition in OVER:
            self.open.discard(event.incident_id)
        if event.transition is not Transition.FIRED or event.kind in OF_THE_WAY:
            return
        self.open.add(event.incident_id)
        if self.began is not None and event.time >= self.began:
            if event.kind == Kind.ANOMALY and not self.seen:
                self.seen = True
                self._note(Outcome(self.began, "seen", self.fault, (now - self.began) / 1000))
        elif self.ended is None or event.time > self.ended + self.after_ms:
            self._note(Outcome(event.time, "false", why=event.summary))

    def _not_tried(self, at: int, away: str, hindrance: str) -> None:
        if not away:
            self.untried, self.hindrance = self.untried + 1, hindrance
        self._note(Outcome(at, "not tried", self.fault, why=away or hindrance))

    def _note(self, outcome: Outcome) -> None:
        if outcome.result in {"seen", "missed"}:
            self.untried, self.hindrance = 0, ""
        self.outcomes.append(outcome)
        self.counts[outcome.result] = self.counts.get(outcome.result, 0) + 1

    @property
    def trouble(self) -> str:
        """What the latest outcome that says something says, or that nothing is tried any more, in words."""
        told = (each for each in reversed(self.outcomes) if each.result != "not tried")
        if trouble := next((each.trouble for each in told), ""):
            return trouble
        if self.untried < UNTRIED:
            return ""
        return f"the canary could not be tried {self.untried} times in a row: {self.hindrance}"

    @property
    def delays(self) -> dict[str, float]:
        """Of the faults that were seen lately: the last delay, the median and the longest, in seconds."""
        seen = [each.delay_s for each in self.outcomes if each.delay_s is not None]
        return {"last": seen[-1], "median": median(seen), "longest": max(seen)} if seen else {}

    def report(self) -> dict[str, Any]:
        """All of it, for those who look."""
        return {
            "trouble": self.trouble,
            "fault": "" if self.began is None else self.fault,
            "began": self.began,
            "next": self.due,
            "number": self.number,
            "untried": self.untried,
            "hindrance": self.hindrance,
            "delay_s": self.delays,
            "counts": dict(self.counts),
            "outcomes": [
                {"at": e.at, "result": e.result, "fault": e.fault, "delay_s": e.delay_s, "why": e.why}
                for e in reversed(self.outcomes)
            ],
        }
