"""The canary at work: a thread that publishes its readings, and looks in the store for what became of them.

Nothing of the daemon waits for it, and where it fails that is told and all else goes on. After a start it is
silent until its windows are empty: the engine begins anew, and must not look like one that leapt.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from monitor.canary.engine import CanaryEngine
from monitor.canary.plan import Outcome, Plan
from monitor.schema import StoreError
from monitor.synthetic import SITE
from simulator.publish import Publisher, PublishError

if TYPE_CHECKING:
    from collections.abc import Callable

    from config.canary import CanarySettings
    from config.settings import MqttSettings
    from monitor.store import Store

log = structlog.get_logger()

FACT = "canary"
FIRST_MS = 2_000  # from the first reading to the first fault
WINDOWS = 2  # of readings before a fault
NOTED_EVERY_MS = 30_000  # how far readings went, for a start after a crash
COOLS_MS = 120_000  # beside a window's length, that a fault has an effect behind its end
EVENTS_AT_ONCE = 100
STOP_S = 2.0


@dataclass(frozen=True, slots=True)
class Grid:
    """The ticks of its class."""

    period_ms: int
    window: int  # ticks

    @property
    def window_ms(self) -> int:
        """How long a window is."""
        return self.period_ms * self.window


class Canary:
    """`start`, then `wake` whenever a transition was stored; the rest is for any thread."""

    def __init__(
        self,
        settings: CanarySettings,
        mqtt: MqttSettings,
        client_id: str,
        *,
        asset: str,
        grid: Grid,
        store: Store,
        away: Callable[[], str],
    ) -> None:
        """`away` says why the daemon hears nothing, empty while it does. Raises MqttError."""
        self._store = store
        self._asset = asset
        self._key = f"{SITE}//{asset}"
        self._grid = grid
        self._daemon_away = away
        self._publisher = Publisher(mqtt, f"{client_id}-canary", site=SITE)
        self._plan = Plan(
            every_ms=round(settings.every_s * 1000),
            within_ms=round(settings.expect_within_s * 1000),
            after_ms=grid.window_ms + COOLS_MS,
            due=0,
        )
        self._newest = 0  # event time of the latest reading
        self._noted = 0
        self._unbroken = 0  # since when readings follow each other
        self._position = 0  # of the transitions
        self._others = 0  # values that are not its own
        self._woken = threading.Event()
        self._ends = False
        self._failed = ""
        self._report: dict[str, Any] = self._plan.report()
        self._thread = threading.Thread(target=self._run, name="canary", daemon=True)

    # For any thread.

    def start(self) -> None:
        """Begin; returns at once."""
        self._publisher.start()
        self._thread.start()

    def wake(self) -> None:
        """A transition was stored, perhaps one of its own."""
        self._woken.set()

    def stop(self) -> None:
        """Say goodbye, so that the silence is no fault."""
        self._ends = True
        self._woken.set()
        if self._thread.ident is not None:  # else the daemon never came so far
            self._thread.join(STOP_S)
            self._publisher.stop(STOP_S)

    def report(self) -> dict[str, Any]:
        """What came of it so far."""
        return self._report | ({"trouble": self._failed} if self._failed else {})

    def apart(self, values: int) -> int:
        """Of the values that have come in all, those of others, for one thread.

        Its own count as soon as they are published, and come a moment later: others' never become fewer by that.
        """
        self._others = max(self._others, values - self._publisher.counters.values)
        return self._others

    # On its own.

    def _run(self) -> None:
        try:
            self._recall()
            self._publish()
        except Exception as error:  # whatever it is: the daemon watches on without its canary
            self._failed = f"the canary has ended: {type(error).__name__}: {error}"
            log.error("canary_failed", reason=str(error), exc_info=error)
        finally:
            self._store.leave()

    def _recall(self) -> None:
        """What an earlier daemon noted; what of its incidents is still open."""
        known = msgspec.json.decode(self._store.facts().get(FACT, "{}"))
        self._newest = int(known.get("newest", 0))
        self._plan.counts.update(known.get("counts", {}))
        self._plan.outcomes.extend(Outcome(**each) for each in reversed(known.get("outcomes", [])))
        self._plan.number = int(known.get("number", 0))
        self._plan.untried, self._plan.hindrance = int(known.get("untried", 0)), str(known.get("hindrance", ""))
        self._position = self._store.heads()[1]
        self._plan.open.update(each.incident_id for each in self._store.open_incidents(self._key))
        self._report = self._plan.report()

    def _publish(self) -> None:
        """A reading each tick, and faults as planned, until the end."""
        grid, engine = self._grid, CanaryEngine(self._grid.period_ms)
        before = WINDOWS * grid.window_ms  # readings that are published at once, so that windows are full
        latest = min(self._newest, _now())  # else the clock was set back, for nobody knows how long
        empty = latest + NOTED_EVERY_MS + grid.window_ms + before
        self._plan.due = max(_now(), empty) + FIRST_MS
        turned = _now()
        while not self._ends and (turned < empty or not self._publisher.connected):
            self._woken.wait(grid.period_ms / 1000)
            self._woken.clear()
            empty -= max(0, turned - _now())  # as far as the clock was set back meanwhile
            turned = _now()
            if not self._publisher.connected:
                self._plan.turn(turned, self._daemon_away(), self._hindered(), warm=False)
            self._note_news()
        at = _now() // grid.period_ms * grid.period_ms - before
        self._unbroken, self._plan.due = at, _now() + FIRST_MS
        self._publisher.announce(self._asset, engine.sensors, grid.period_ms)
        try:
            while not self._ends:
                at = self._tick(engine, at)
        finally:
            self._publisher.retire(self._asset)
            self._note()

    def _tick(self, engine: CanaryEngine, at: int) -> int:
        """Wait for a tick, looking at what comes meanwhile, and publish it; returns the next one."""
        while (left := at - _now()) > 0 and not self._ends:
            if left > self._grid.window_ms:  # the clock was set back
                at = self._unbroken = _now() // self._grid.period_ms * self._grid.period_ms
            elif self._woken.wait(left / 1000):
                self._woken.clear()
                self._hear()
        self._hear()
        away, hindered = self._daemon_away(), self._hindered()
        warm = at - self._unbroken >= WINDOWS * self._grid.window_ms
        order = self._plan.turn(_now(), away, hindered, warm=warm)
        if order == "begin":
            engine.begin(self._plan.fault)
            self._plan.begin(at)
        elif order == "end":
            engine.end()
        self._note_news()
        values = engine.reading()
        if away or hindered:
            self._unbroken = at + self._grid.period_ms
        else:
            self._send(at, values)
        return self._following(at)

    def _send(self, at: int, values: dict[str, float]) -> None:
        try:
            self._publisher.send(self._asset, at, values)
        except PublishError as error:
            raise RuntimeError(str(error)) from error
        self._newest = at
        if abs(at - self._noted) > NOTED_EVERY_MS:
            self._note()

    def _following(self, at: int) -> int:
        """The next tick; where the process stood still, that of now."""
        period = self._grid.period_ms
        late = _now() - at
        if at > self._unbroken + WINDOWS * self._grid.window_ms and late > self._grid.window_ms:
            at += late // period * period
            self._unbroken = at
        return at + period

    def _hindered(self) -> str:
        """Why nothing of its own could be heard now."""
        if not self._publisher.connected:
            return self._publisher.problem or "the broker is away"
        return "" if self._publisher.wait_room(0.0) else "the broker acknowledges nothing"

    def _hear(self) -> None:
        """Take in what was stored of it."""
        try:
            while events := self._store.events_after(self._position, EVENTS_AT_ONCE):
                for position, event in events:
                    if event.stream == self._key:
                        self._plan.hear(event, _now())
                    self._position = position
        except StoreError as error:
            log.warning("canary_not_looked", reason=str(error))

    def _note_news(self) -> None:
        if (self._plan.began, self._plan.counts) != (self._report["began"], self._report["counts"]):
            self._note()

    def _note(self) -> None:
        """Keep what is known, for those who look and for the next start."""
        before, self._report = self._report, self._plan.report()
        self._noted = self._newest
        try:
            self._store.note({FACT: msgspec.json.encode({**self._report, "newest": self._newest}).decode()})
        except StoreError as error:
            log.warning("not_noted", facts=[FACT], reason=str(error))
        if self._report["trouble"] and self._report["trouble"] != before["trouble"]:
            log.error("canary", reason=self._report["trouble"])


def _now() -> int:
    return time.time_ns() // 1_000_000
