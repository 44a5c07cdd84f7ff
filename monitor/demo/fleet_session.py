"""What happens in the demo of a fleet: vehicles that run and fail, and at last the books."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from typing import TYPE_CHECKING, Any

from monitor.demo import fleet_words, words
from monitor.demo.books import explains
from monitor.demo.fleet_house import REPORT_TICKS
from monitor.demo.fleet_vehicles import Vehicles
from monitor.demo.fleet_watch import Watch, rows_by_asset
from monitor.demo.plan import faults
from monitor.influx_client import TooLarge, Unavailable
from monitor.rate import Rate
from monitor.records import Kind, Transition

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import RenderableType

    from monitor.demo.fleet_house import FleetHouse
    from monitor.demo.screen import Screen, Signals
    from monitor.demo.wishes import FleetWishes
    from monitor.records import AlertEvent
    from simulator.faults import Fault

FIRST_FAULT_MS = 60_000  # Spark has started by then, and the windows are full
FAULT_EVERY_S = 10
PLANNED_MS = 86_400_000  # an endless demo has faults for so long
SIMULATED_A_SECOND = 150  # vehicles up to where the demo begins, on a machine that is busy
ROWS_LIMIT_S = 120.0  # for the rows of what was published last; Spark may have started but now
RATE_S = 30.0  # Spark's batches take seconds
STEP_S = 0.05


class FleetSession:
    """One fleet in one house."""

    def __init__(self, wishes: FleetWishes, house: FleetHouse, screen: Screen, signals: Signals) -> None:
        """Simulate the vehicles up to where the demo begins; Spark starts meanwhile."""
        self._house = house
        self._screen = screen
        self._signals = signals
        self._end_ms = 1000 * wishes.live_s
        self._plan = faults(
            wishes.vehicles,
            wishes.seed,
            from_ms=FIRST_FAULT_MS,
            until_ms=int(min(self._end_ms, PLANNED_MS)),
            first_s=(0,),
            each_s=FAULT_EVERY_S,
        )
        self._of_vehicle: dict[int, list[Fault]] = defaultdict(list)
        for fault in self._plan:
            self._of_vehicle[fault.engine].append(fault)
        self._to_begin = deque(self._plan)  # they begin in this order
        self._to_end = deque(sorted(self._plan, key=lambda fault: fault.end_ms))
        self._after_ms = house.period_ms * (house.window + house.settings.alert.off_delay_ticks)
        self._beginning = _now() + 1000 * (wishes.vehicles // SIMULATED_A_SECOND)
        self._vehicles = Vehicles(
            wishes.vehicles,
            seed=wishes.seed,
            faults=self._plan,
            period_ms=house.period_ms,
            ticks=REPORT_TICKS,
            beginning=self._beginning,
        )
        self._numbers = {name: number for number, name in enumerate(self._vehicles.names)}
        self._first = self._beginning - REPORT_TICKS * house.period_ms  # no reading is older
        self._watch = Watch(house.reader(), self._vehicles.names, beginning=self._first, period_ms=house.period_ms)
        self._published, self._covered = Rate(), Rate(RATE_S)
        self._open: set[str] = set()  # incidents
        self._found: dict[Fault, float] = {}  # seconds to its first alert
        self._false_alarms = 0

    def live(self) -> None:
        """Publish what happens until it ends, or the user asks for the end. Raises ProcessError."""
        self._watch.start()
        while not self._signals.asked and self._vehicles.due <= self._beginning + self._end_ms:
            if self._vehicles.due <= _now():
                for report in self._vehicles.turn():
                    self._house.bridge.send(report)
            self._look()
            time.sleep(min(STEP_S, max(0.0, (self._vehicles.due - _now()) / 1000)))

    def finish(self) -> dict[str, Any]:
        """Wait until every report has its row, and add it up. Raises ProcessError.

        Who asks for the end once more does not want to wait.
        """
        self._screen.say("The end: the vehicles report no more, and the fleet scores what is on its way.")
        impatient = self._signals.asked + 1
        until = time.monotonic() + ROWS_LIMIT_S
        self._house.bridge.wait_delivered(ROWS_LIMIT_S)
        while self._watch.seen.rows < self._house.bridge.reports:
            if time.monotonic() > until or self._signals.asked >= impatient:
                break
            self._look()
            time.sleep(STEP_S)
        self._look()
        self._watch.stop()
        return self._add_up()

    def _add_up(self) -> dict[str, Any]:
        bridge, seen = self._house.bridge, self._watch.seen
        sent = dict(zip(self._vehicles.names, self._vehicles.sent, strict=True))
        try:
            rows = rows_by_asset(self._house.reader(), self._first)
        except (Unavailable, TooLarge) as error:
            self._screen.say(str(error))
            rows = {}
        return {
            "vehicles": len(sent),
            "reports": bridge.reports,
            "readings": bridge.readings,
            "values": bridge.values,
            "rows": sum(rows.values()),
            "scored_rows": seen.scored,
            "missing_rows": fleet_words.missing(sent, rows, REPORT_TICKS),
            "let_go": self._house.let_go(),
            "delay_s": seen.delay_s,
            "faults": [
                {
                    "asset": self._vehicles.names[fault.engine],
                    "kind": fault.kind,
                    "sensor": fault.sensor or None,
                    "severity": fault.severity,
                    "start": self._beginning + fault.start_ms,
                    "seconds_to_alert": self._found.get(fault),
                }
                for fault in self._plan[: self._begun]
            ],
            "false_alarms": self._false_alarms,
        }

    @property
    def _begun(self) -> int:
        return len(self._plan) - len(self._to_begin)

    def _look(self) -> None:
        """Tell what came, and bring the live line up to date."""
        self._house.check()
        now = self._vehicles.due - self._house.period_ms  # up to which readings are published
        while self._to_begin and self._beginning + self._to_begin[0].start_ms <= now:
            self._tell(words.begins, self._to_begin.popleft(), now)
        while self._to_end and self._beginning + self._to_end[0].end_ms <= now:
            self._tell(words.ends, self._to_end.popleft(), now)
        for came, event in self._house.listener.news():
            self._take(came, event)
        if self._screen.due():
            self._screen.show(fleet_words.status(self._state()))

    def _tell(self, how: Callable[[Fault, str, int], RenderableType], fault: Fault, now: int) -> None:
        self._screen.say(how(fault, self._vehicles.names[fault.engine], now))

    def _take(self, came: int, event: AlertEvent) -> None:
        """Tell a transition, and set it beside the faults."""
        asset = event.stream.rpartition("/")[2]
        cause = next(
            (
                fault
                for fault in self._of_vehicle[self._numbers[asset]]
                if explains(fault, asset, self._beginning, event, self._after_ms)
            ),
            None,
        )
        seconds = None if cause is None else (came - self._beginning - cause.start_ms) / 1000
        if event.transition == Transition.FIRED:
            self._open.add(event.incident_id)
            if cause is not None and seconds is not None:
                self._found.setdefault(cause, seconds)
            elif event.kind != Kind.STALE:  # that a vehicle is silent is no alarm of a fault
                self._false_alarms += 1
        elif event.transition == Transition.CLEARED:
            self._open.discard(event.incident_id)
        self._screen.say(words.told(event, asset, came, seconds))

    def _state(self) -> fleet_words.FleetState:
        now, seen, bridge = time.monotonic(), self._watch.seen, self._house.bridge
        covered = seen.rows * REPORT_TICKS
        return fleet_words.FleetState(
            since_s=max(0.0, (_now() - self._beginning) / 1000),
            published_s=self._published.take(now, bridge.readings),
            rows=seen.rows,
            scored=seen.scored,
            covered_s=self._covered.take(now, covered),
            behind=max(0, bridge.readings - covered),
            delay_s=seen.delay_s,
            open_incidents=len(self._open),
            faults=self._begun,
            found=len(self._found),
            trouble=bridge.trouble or seen.trouble,
        )


def _now() -> int:
    return time.time_ns() // 1_000_000
