"""Gathers what `health` judges: out of the rooms, without waiting for any of them where that is promised."""

from __future__ import annotations

import time
from contextlib import suppress
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from monitor.health import STILL_S, Figures, Thread, Vitals, metrics, readyz
from monitor.influx import EVENTS, SCORES
from monitor.lineprotocol import health_lines
from monitor.notify import SINK
from monitor.schema import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from monitor.channels.all import Channels
    from monitor.influx import InfluxSink
    from monitor.intake import Intake
    from monitor.journal import Journal
    from monitor.line import Line
    from monitor.notify import Notifier
    from monitor.receive import Receiver
    from monitor.stages import Stages
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
        channels: Channels,
        broker: Callable[[], str],
        http: Callable[[], str],
        unmodelled: Callable[[], Sequence[str]],
        canary: Callable[[], dict[str, Any]] | None,
    ) -> None:
        """`broker` tells why it cannot be heard, `http` why its port cannot be had, `canary` of its faults.

        `unmodelled` tells the classes without a model.
        """
        self._journal = journal
        self._store = store
        self._line = line
        self._influx = influx
        self._notifier = notifier
        self._channels = channels
        self._broker = broker
        self._http = http
        self._unmodelled = unmodelled
        self._canary = canary
        self._turned = time.monotonic()
        self._started = time.time()
        self._version = version("enginewatch")
        self._phase = "recovering"
        self._errors: dict[str, tuple[str, int]] = {}
        self._receiver: Receiver | None = None
        self._intake: Intake | None = None
        self.stages: Stages | None = None  # as the daemon looks at them

    def started(self, receiver: Receiver, intake: Intake) -> None:
        """It works from now on."""
        self._receiver, self._intake = receiver, intake
        self._phase = ""

    def stopping(self) -> None:
        """It is about to end."""
        self._phase = "stopping"

    def turn(self) -> None:
        """The daemon's own loop has come around."""
        self._turned = time.monotonic()
        known = {
            "broker": self._broker(),
            "store": self._line.trouble,
            "influx": self._influx.last_error,
            "notify": self._notifier.last_error,
            **{f"channel {each.name}": each.last_error for each in self._channels.facts()},
        }
        now = time.time_ns() // 1_000_000
        self._errors |= {hop: (error, now) for hop, error in known.items() if error}

    def errors(self) -> dict[str, tuple[str, int]]:
        """Of every hop its last error, and when it was last seen in epoch ms; also where it is over."""
        return self._errors.copy()

    def vitals(self) -> Vitals:
        """Waits for nothing."""
        intake = self._intake
        influx = self._influx.last_error if self._influx.state == "degraded" else ""
        return Vitals(
            phase=self._phase,
            threads=list(self._of_threads()),
            broker="" if self._phase else self._broker(),
            disk_full=intake is not None and intake.full,
            store=self._line.trouble,
            paused=intake is not None and intake.paused,
            influx=influx,
            notify=self._notifier.last_error,
            channels={each.name: each.last_error for each in self._channels.facts()},
            http=self._http(),
            unmodelled=self._unmodelled(),
            canary="" if self._canary is None else self._canary()["trouble"],
        )

    def standing(self) -> dict[str, Any]:
        """Whether it is ready, why not, and what waits for each channel. Reads the store."""
        lags: dict[str, int] = {}
        with suppress(StoreError):  # which is among the reasons then
            lags = {sink.replace(":", " "): lag for sink, lag in self._channels.lags().items()}
        return {**readyz(self.vitals())[1], "lags": lags}

    def _of_threads(self) -> list[Thread]:
        """Recovering and stopping are one long turn, in which threads come and go."""
        if self._phase or self.stages is None:
            return []
        quiet = time.monotonic() - self._turned
        main = Thread("main", alive=True, stuck_s=quiet if quiet > STILL_S else 0.0)
        others = (Thread(each.name, alive, stuck, each.needed) for each, alive, stuck in self.stages.vital())
        return [main, *others]

    def figures(self) -> Figures:
        """Reads the store, on a connection that it closes again."""
        try:
            scores, events = self._store.heads()
            heads = {SCORES: scores, EVENTS: events} if self._influx.state != "off" else {}
            heads[SINK] = events
            lag = {sink: max(0, head - self._store.position(sink)) for sink, head in heads.items()}
            lag |= self._channels.lags()
            incidents, letters, size = self._store.counts()
        finally:
            self._store.leave()
        receiver, channels = self._receiver, self._channels.facts()
        position = self._line.position
        return Figures(
            books=self._line.books,
            messages=receiver.counters.received if receiver else 0,
            records=self._journal.last(),
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
            channel_messages={each.name: each.sent for each in channels},
            channel_failures={each.name: each.failures for each in channels},
            open_incidents=incidents,
            dead_letters_kept=letters,
            store_bytes=size,
            canary={} if self._canary is None else self._canary(),
            started=self._started,
            version=self._version,
        )

    def lines(self, daemon_id: str) -> list[str]:
        """All of it as InfluxDB's line protocol, as of now."""
        vitals = self.vitals()
        _, ready = readyz(vitals)
        now = time.time_ns() // 1_000_000
        measured = metrics(vitals, self.figures())
        reasons: list[str] = ready["reasons"]  # type: ignore[assignment]  # they are a list
        return health_lines(daemon_id, str(ready["status"]), reasons, measured, now)
