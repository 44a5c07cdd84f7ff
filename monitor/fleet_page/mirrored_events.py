"""Which transitions of incidents are new in InfluxDB.

They are few, so that some are read again and again: those of the last minutes at each look, those of a day once a
minute, those of a month at the start. What was taken before is known by its id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.fleet_page.read_back import transitions
from monitor.records import Transition

if TYPE_CHECKING:
    from monitor.fleet_page.influxql import InfluxReader
    from monitor.records import AlertEvent
    from monitor.store import Store

AT_ONCE = 10_000
MINUTE_MS = 60_000
LATELY_MS, DAY_MS, MONTH_MS = 15 * MINUTE_MS, 24 * 60 * MINUTE_MS, 30 * 24 * 60 * MINUTE_MS
DAILY_S = 60.0  # between two looks at all of a day
ORDER = list(Transition)


class Events:
    """For one thread."""

    def __init__(self, store: Store, reader: InfluxReader) -> None:
        """What the store has is known. Raises StoreError."""
        self._reader = reader
        self._known: set[str] = set()
        self._incidents: set[str] = set()
        self._due: float | None = None  # when all of a day is looked at; None = all of a month is, now
        position = 0
        while found := store.events_after(position, AT_ONCE):
            position = found[-1][0]
            self.taken([event for _, event in found])

    def new(self, front: int, now: float) -> list[AlertEvent]:
        """Those that are not known, in the order in which they came about. Raises Unavailable, TooLarge.

        `front` is the time that most of the fleet has got to, `now` that of a clock that only goes forward. What
        is said of an incident that is not known is left for later: that it fired may be on its way.
        """
        back = MONTH_MS if self._due is None else DAY_MS if now >= self._due else LATELY_MS
        found = {each.event_id: each for each in self._since(front - back) if each.event_id not in self._known}
        if back != LATELY_MS:
            self._due = now + DAILY_S
        fired = self._incidents | {
            each.incident_id for each in found.values() if each.transition is Transition.FIRED
        }
        return sorted(
            (each for each in found.values() if each.incident_id in fired),
            key=lambda each: (each.recorded, ORDER.index(each.transition)),
        )

    def taken(self, events: list[AlertEvent]) -> None:
        """These are in the store."""
        self._known.update(each.event_id for each in events)
        self._incidents.update(each.incident_id for each in events if each.transition is Transition.FIRED)

    def _since(self, time: int) -> list[AlertEvent]:
        found: list[AlertEvent] = []
        limit, after = AT_ONCE, time
        while True:
            series = self._reader.ask(f'SELECT * FROM "alert_event" WHERE time > {after}ms LIMIT {limit}')  # noqa: S608 - numbers of ours
            if not series or not series[0].values:
                return found
            rows = series[0].values
            found += transitions(series[0].columns, rows)
            if len(rows) < limit and not series[0].partial:
                return found
            latest = rows[-1][0] - 1  # others of the same time may be missing
            limit, after = (limit, latest) if latest > after else (2 * limit, after)
