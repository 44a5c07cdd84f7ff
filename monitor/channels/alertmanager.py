"""To a Prometheus Alertmanager: open incidents again and again, the end of each once it is over.

Alertmanager groups, repeats, inhibits and routes by its own rules, so none of ours apply here but which assets,
kinds and severities are meant. It takes an alert for over when it has not heard of it for its `resolve_timeout`;
so everything that is open is sent again every notify.resend_s.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from monitor.channels import rules as by
from monitor.channels.bodies import alert, test_alert
from monitor.channels.sink import BATCH, IDLE_S, Channel
from monitor.records import Transition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from monitor.channels.http import HttpClient
    from monitor.channels.rules import Plant, Rules
    from monitor.channels.sink import Ledger
    from monitor.records import AlertEvent

ALERTS, READY = "/api/v2/alerts", "/-/ready"
ALERTS_AT_ONCE = 500  # in a request


class AlertmanagerWay:
    """The other side: it takes alerts and no messages."""

    def __init__(self, client: HttpClient) -> None:
        self.client = client

    def test(self) -> str:
        """Send an alert that ends by itself."""
        status = self.client.post([test_alert(int(time.time() * 1000))], path=ALERTS)
        return f"taken, with status {status}; the alert EnginewatchTest ends by itself in a minute"

    def reach(self) -> str:
        """Ask whether it is ready."""
        return f"a server answers (status {self.client.reach(READY)} to {READY})"

    def close(self) -> None:
        """Close the connection."""
        self.client.close()


class Alertmanager(Channel):
    """Sends alerts. What it remembers is only how far it got: what is open, the store knows."""

    def __init__(
        self,
        name: str,
        way: AlertmanagerWay,
        ledger: Ledger,
        *,
        rules: Rules,
        plant: Callable[[], Plant],
        page: str,
        resend_s: float,
        retry_max_s: float,
        timeout_s: float,
    ) -> None:
        """Of the rules only those count that say which incidents are meant."""
        super().__init__(name, way, ledger, retry_max_s=retry_max_s, timeout_s=timeout_s)
        self._client = way.client
        self._rules = rules
        self._plant = plant
        self._page = page
        self._resend_s = resend_s
        self._sent_at: float | None = None
        self._active: dict[str, AlertEvent] = {}  # as they were sent last

    def round(self) -> float:
        """Send what began or ended, and everything that is open when it is time."""
        if self._ledger.remembered(self.sink) is None:
            self._ledger.remember(self.sink, self._ledger.heads()[1], "{}")
        position = self._ledger.position(self.sink)
        events = self._ledger.events_after(position, BATCH)
        resend = self._sent_at is None or time.monotonic() - self._sent_at >= self._resend_s
        if events or resend:
            active = {event.incident_id: event for event in self._open()}
            self._post(list(self._over(active, [event for _, event in events])), active, resend=resend)
            self._active = active
        if events:
            self._ledger.remember(self.sink, events[-1][0], "{}")
        if len(events) == BATCH:
            return 0.0
        assert self._sent_at is not None
        return min(IDLE_S, max(0.0, self._sent_at + self._resend_s - time.monotonic()))

    def _open(self) -> Iterator[AlertEvent]:
        maintained = self._plant().maintained
        for event in self._ledger.open_incidents():
            if event.stream not in maintained and by.wanted(self._rules, event) and not self._shelved(event):
                yield event

    def _shelved(self, event: AlertEvent) -> bool:
        if event.transition is not Transition.ACKNOWLEDGED:
            return event.transition is Transition.SHELVED
        return by.shelved(self._ledger.history(event.incident_id))

    def _over(self, active: dict[str, AlertEvent], events: list[AlertEvent]) -> Iterator[tuple[AlertEvent, int]]:
        """What is open no longer, or not to be told of any more, and since when."""
        ended = {event.incident_id: event for event in events if event.transition in by.OVER}
        for incident, event in ended.items():
            fired = self._active.get(incident) or self._ledger.incident(incident)
            if fired is not None and by.wanted(self._rules, fired):
                yield fired, event.time
        now = int(time.time() * 1000)
        yield from (
            (event, now) for name, event in self._active.items() if name not in active and name not in ended
        )

    def _post(self, over: list[tuple[AlertEvent, int]], active: dict[str, AlertEvent], *, resend: bool) -> None:
        # The new ones at once; what was sent before is due only now and then.
        due = active.values() if resend else [event for name, event in active.items() if name not in self._active]
        alerts = [alert(event, self._page, ended=end) for event, end in over]
        alerts += [alert(event, self._page) for event in due]
        for first in range(0, len(alerts), ALERTS_AT_ONCE):
            self._sending()
            self._client.post(alerts[first : first + ALERTS_AT_ONCE], path=ALERTS)
            self.sent += 1
        if resend:
            self._sent_at = time.monotonic()
