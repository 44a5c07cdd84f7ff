"""Gathers what `health` judges: out of the rooms, without waiting for any of them where that is promised."""

from __future__ import annotations

import time
from importlib.metadata import version
from typing import TYPE_CHECKING

from monitor.health import Figures, Thread, Vitals
from monitor.influx import EVENTS, SCORES
from monitor.notify import SINK

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping, Sequence

    from monitor.influx import InfluxSink
    from monitor.intake import Intake
    from monitor.journal import Journal
    from monitor.line import Line
    from monitor.notify import Notifier
    from monitor.receive import Receiver
    from monitor.store import Store


class Gatherer:
    """The daemon's vitals and figures, for any thread. The daemon says what its phase is, and when it turns."""

    def __init__(
        self,
        *,
        journal: Journal,
        store: Store,
        line: Line,
        influx: InfluxSink,
        notifier: Notifier,
        threads: Callable[[], Sequence[threading.Thread]],
        broker: Callable[[], str],
        unmodelled: Callable[[], Sequence[str]],
        still: Callable[[], Mapping[str, float]] = dict,
    ) -> None:
        """`still` tells, by the name of a thread, for how many seconds it has not turned."""
        self._journal = journal
        self._store = store
        self._line = line
        self._influx = influx
        self._notifier = notifier
        self._threads = threads
        self._broker = broker
        self._unmodelled = unmodelled
        self._still = still
        self._turned = time.monotonic()
        self._started = time.time()
        self._version = version("enginewatch")
        self.phase = "recovering"
        self.receiver: Receiver | None = None
        self.intake: Intake | None = None

    def turn(self) -> None:
        """The daemon's own loop has come around."""
        self._turned = time.monotonic()

    def vitals(self) -> Vitals:
        """Waits for nothing."""
        intake = self.intake
        influx = self._influx.last_error if self._influx.state == "degraded" else ""
        return Vitals(
            phase=self.phase,
            threads=list(self._of_threads()),
            broker="" if self.phase else self._broker(),
            disk_full=intake is not None and intake.full,
            store=self._line.trouble,
            paused=intake is not None and intake.paused,
            influx=influx,
            notify=self._notifier.last_error,
            unmodelled=self._unmodelled(),
        )

    def _of_threads(self) -> list[Thread]:
        still = self._still()
        known = [Thread(each.name, each.is_alive(), still.get(each.name, 0.0)) for each in self._threads()]
        # Recovering and stopping it does in one turn, which may take long.
        return [Thread("main", True, 0.0 if self.phase else time.monotonic() - self._turned), *known]

    def figures(self) -> Figures:
        """Reads the store, on a connection that it closes again."""
        try:
            scores, events = self._store.heads()
            heads = {SCORES: scores, EVENTS: events} if self._influx.state != "off" else {}
            heads[SINK] = events
            lag = {sink: max(0, head - self._store.position(sink)) for sink, head in heads.items()}
            incidents, letters, size = self._store.counts()
        finally:
            self._store.leave()
        receiver = self.receiver
        position = self._line.position
        return Figures(
            books=self._line.books,
            messages=receiver.counters.received if receiver else 0,
            stale_acks=receiver.counters.stale_acks if receiver else 0,
            reconnects=receiver.counters.reconnects if receiver else 0,
            packet_age_s=receiver.packet_age if receiver else None,
            backlog_bytes=self._journal.bytes_after(position),
            backlog_records=max(0, self._journal.last() - position),
            lag=lag,
            influx_requests=self._influx.requests,
            influx_rows=self._influx.sent_rows,
            influx_expired=self._influx.expired_rows,
            influx_dead_letters=self._influx.dead_letters,
            open_incidents=incidents,
            dead_letters_kept=letters,
            store_bytes=size,
            started=self._started,
            version=self._version,
        )
