"""What the demo sees of the daemon, from outside as anybody could: its store, and its alerts over MQTT."""

from __future__ import annotations

import json
import time
from collections import deque
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

import msgspec

from monitor.demo.books import stored_values
from monitor.demo.words import State
from monitor.mqtt import Link
from monitor.notify import SINK
from monitor.rate import Rate
from monitor.records import AlertEvent
from monitor.schema import StoreError
from monitor.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from config.settings import MqttSettings
    from monitor.mqtt_packets import Publishes

COUNTED = 10_000  # a lag is counted up to here
LASTING_S = 3.0  # from which on trouble is told


class Listener(Link):
    """Subscribes to the transitions of incidents, and gathers them with the time at which each came (epoch ms)."""

    def __init__(self, settings: MqttSettings, client_id: str, topic_filter: str) -> None:
        """Raises MqttError where the settings cannot be used."""
        super().__init__(settings, client_id)
        self._client.on_subscribe = lambda *_: setattr(self, "subscribed", True)
        self._filter = topic_filter
        self._seen: set[str] = set()  # they are delivered at least once
        self._news: deque[tuple[int, AlertEvent]] = deque()
        self.subscribed = False

    def on_up(self, *, session_present: bool) -> None:  # noqa: ARG002 - it has no session
        """Subscribe."""
        self._client.subscribe(self._filter, 1)

    def on_messages(self, arrived: Publishes) -> None:
        """Keep the transitions that have not been seen yet; at a broker of others anything may come."""
        for payload in arrived.payloads:
            try:
                event = msgspec.json.decode(payload, type=AlertEvent)
            except msgspec.DecodeError:
                continue
            if event.event_id not in self._seen:
                self._seen.add(event.event_id)
                self._news.append((time.time_ns() // 1_000_000, event))

    def news(self) -> list[tuple[int, AlertEvent]]:
        """What came since the last call."""
        return [self._news.popleft() for _ in range(len(self._news))]


class Watch:
    """Looks at the daemon's store."""

    def __init__(self, state_dir: Path, *, influx: bool, acknowledged: Callable[[], int]) -> None:
        """`influx`: it sends to InfluxDB as well; `acknowledged` counts the values that the broker took."""
        self._file = state_dir / "store.db"
        self._influx = influx
        self._acknowledged = acknowledged
        self._values = Rate()
        self._scored = Rate()
        self._opened: Store | None = None
        self._troubled: float | None = None  # since when nothing is scored

    @property
    def store(self) -> Store | None:
        """The store; None before the daemon has made it."""
        if self._opened is None and self._file.exists():
            with suppress(StoreError):  # the daemon is just making it
                self._opened = Store(self._file)
        return self._opened

    def listening(self) -> bool:
        """Whether the daemon hears the broker."""
        return self.broker() == "connected"

    def broker(self) -> str:
        """What the daemon says of its connection to the broker."""
        return self._facts().get("broker", "the daemon has not said anything yet")

    def page(self) -> str:
        """The address of the daemon's page, or why there is none; empty before it has said."""
        return self._facts().get("http", "")

    def books(self) -> dict[str, Any]:
        """What became of all values; empty where nothing was noted yet."""
        books: dict[str, Any] = json.loads(self._facts().get("books", "{}"))
        return books

    def accounted(self) -> int:
        """How many values have an outcome, once none waits for one any more; else 0."""
        books = self.books()
        return sum(books["outcomes"].values()) if books and not books["waiting"] else 0

    def stored(self) -> int:
        """How many values stand in score rows, read back one by one."""
        if self.store is None:
            return 0
        with closing(self.store.latest_scores()) as batches:
            return stored_values(batches)

    def state(self) -> State:
        """What the status line tells."""
        now = time.monotonic()
        facts, store = self._facts(), self.store
        values = self._values.take(now, self._acknowledged())
        books = self.books()
        if store is None or not books:
            return State(values_s=values, trouble="the daemon is starting")
        scored = books["rows"]["scored"]
        return State(
            values_s=values,
            scored_s=self._scored.take(now, scored),
            streams=books["streams"],
            warming_up=None if scored or not books["warmest"] else tuple(books["warmest"]),
            open_incidents=len(store.open_incidents()),
            lags=self._lags(store),
            trouble=self._lasting(now, facts.get("not_scoring", "") if self.listening() else self.broker()),
        )

    def _lasting(self, now: float, trouble: str) -> str:
        """Trouble once it has lasted: what passes in a moment is none."""
        if not trouble:
            self._troubled = None
        elif self._troubled is None:
            self._troubled = now
        return trouble if self._troubled is not None and now - self._troubled > LASTING_S else ""

    def unsent(self) -> int:
        """What waits for any sink."""
        return 0 if self.store is None else sum(self._lags(self.store).values())

    def _lags(self, store: Store) -> dict[str, int]:
        """Transitions that wait for MQTT; for InfluxDB also batches of score rows."""
        lags = {"mqtt": len(store.events_after(store.position(SINK), COUNTED))}
        if self._influx:
            from monitor.influx import EVENTS, SCORES  # noqa: PLC0415 - its library takes long to import

            with closing(store.latest_scores()) as newest_first:
                newest = next((batch.position for batch in newest_first), 0)
            events = len(store.events_after(store.position(EVENTS), COUNTED))
            lags["influx"] = newest - store.position(SCORES) + events
        return lags

    def _facts(self) -> dict[str, str]:
        return {} if self.store is None else self.store.facts()

    def close(self) -> None:
        """Let go of the store."""
        if self._opened is not None:
            self._opened.close()
