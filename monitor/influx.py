"""The store's outbox -> InfluxDB, by a thread of its own that never gives up and never holds up the rest.

* A position is advanced only after InfluxDB has accepted everything before it. What was sent and not confirmed is
  sent again: same tags and same time make the same point, so a resend adds nothing.
* The store keeps what is waiting; in memory there is at most one reading of each outbox (`batch_rows` rows).
* InfluxDB being away, refusing the token or lacking the bucket keeps the data and is told in words.
* The daemon's own figures are written beside, at best: they are not kept, and not tried again.
* A line that InfluxDB refuses for its own sake is bisected out into the dead letters, and the rest goes on.
"""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import structlog

from monitor.influx_client import InfluxClient, Refused, TooLarge, Unavailable
from monitor.lineprotocol import event_line, reading_lines, score_lines
from monitor.records import DeadLetter
from monitor.stages import Pulse, Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from config.settings import InfluxSettings
    from monitor.records import Outbox

SCORES = "influx"  # the names of our positions in the outbox
EVENTS = "influx-events"

IDLE_S = 5.0  # we look again by ourselves this often, should nobody wake us
LOOKED_UP_S = 60.0  # that a resolver without an answer takes, and more
DEAD_LETTER_BYTES = 1_024  # of a refused line that are kept
# Written where everything is refused: if this is refused as well, the lines are not to blame.
PROBE = "enginewatch_probe value=1"

log = structlog.get_logger()


@dataclass(slots=True)
class Delivery:
    """What was read from the outbox and is not confirmed yet."""

    sink: str
    position: int  # to advance to once everything is accepted or refused
    chunks: list[list[str]]  # lines still to send, the next chunk last
    accepted: bool = False  # InfluxDB took something of it, so it does take lines from us
    refused: list[tuple[str, str]] = field(default_factory=list)  # line, reason

    def split(self) -> None:
        """Cut the next chunk into halves."""
        chunk = self.chunks.pop()
        half = (len(chunk) + 1) // 2
        self.chunks += [chunk[half:], chunk[:half]]


class InfluxSink:
    """Sends scores and transitions to InfluxDB.

    `sent_rows` counts lines that InfluxDB stored, `expired_rows` those that it dropped as older than its bucket's
    retention, `dead_letters` those that it refused, `requests` every request.

    `wait` pauses for so many seconds after a failure and returns early on `stop()`; tests put their own there.
    """

    def __init__(
        self,
        settings: InfluxSettings,
        outbox: Outbox,
        token: str | None,
        *,
        health: Callable[[], Sequence[str]] | None = None,
        wait: Callable[[float], object] | None = None,
    ) -> None:
        """Open nothing yet. `health` gives the lines of the daemon's own figures, as of now.

        Raises ValueError for a token that no HTTP header can carry.
        """
        self.sent_rows = 0
        self.expired_rows = 0
        self.requests = 0
        self.dead_letters = 0
        self._settings = settings
        self._outbox = outbox
        self._client = InfluxClient(settings, token)
        self._health = health if settings.write_health else None
        self._health_due = 0.0  # of time.monotonic()
        self._health_refused = False
        self._stopping = threading.Event()
        self._wait = wait or self._stopping.wait
        self._wake = threading.Event()
        self._deadline = 0.0  # of time.monotonic(), once stopping
        self.thread = Worker("influx", self._run)
        self.pulse = Pulse()
        self._in_hand: dict[str, Delivery] = {}
        self._chunk_rows = settings.batch_rows  # lines in a request; halved where the server finds it too large
        self._failures = 0  # in a row
        self._last_error = ""
        self._refusing = False
        self._expiring = False

    @property
    def state(self) -> Literal["off", "ok", "degraded"]:
        """Off without a URL; degraded while InfluxDB (or the store) does not do its part."""
        if not self._settings.url:
            return "off"
        return "degraded" if self._last_error else "ok"

    @property
    def last_error(self) -> str:
        """What is wrong while degraded, in words that name the setting to change; else empty."""
        return self._last_error

    @property
    def lag(self) -> int:
        """Lines read from the store that InfluxDB has not accepted: 0 = nothing; the store may hold more."""
        return sum(len(chunk) for delivery in list(self._in_hand.values()) for chunk in list(delivery.chunks))

    def start(self) -> None:
        """Start sending; without a URL this does nothing."""
        if self._settings.url:
            self.thread.start()

    def wake(self) -> None:
        """Say that the outbox has something new."""
        self._wake.set()

    def stop(self, drain_seconds: float = 0.0) -> bool:
        """Send what is left for as long as InfluxDB answers, at most `drain_seconds`; True if all was sent.

        After that the outbox is not touched any more; what was not confirmed is sent after the next start.
        """
        self._deadline = time.monotonic() + drain_seconds
        self._stopping.set()
        self._wake.set()
        if self.thread.ident is None:
            return True
        self.thread.join(drain_seconds)
        return not self.thread.is_alive() and not self._in_hand and not self._last_error

    def _run(self) -> None:
        try:
            while not self._over():
                self._turn()
        finally:
            self._client.close()

    def _turn(self) -> None:
        """One round, and the pause that follows from how it went."""
        self.pulse.turn()
        pause = None
        try:
            busy = self._round()
            self._tell_health()
        except Unavailable as trouble:
            pause = self._degrade(str(trouble), trouble.retry_after)
        except Exception as error:  # noqa: BLE001 - a dead thread would be a silent one; the next round tries again
            pause = self._degrade(f"sending to InfluxDB failed by itself: {type(error).__name__}: {error}", 0.0)
        else:
            self._recover()
            if busy:
                return
        if self._stopping.is_set():
            self._deadline = 0.0  # nothing left, or nobody answers
        elif pause is not None:
            self.pulse.turn(pause)
            self._wait(pause)
        else:
            idle = IDLE_S if self._health is None else min(IDLE_S, self._settings.health_every_s)
            self.pulse.turn(idle)
            self._wake.wait(idle)
            self._wake.clear()

    def _over(self) -> bool:
        return self._stopping.is_set() and time.monotonic() >= self._deadline

    def _round(self) -> bool:
        """Deliver one piece of each kind, so that a backlog of scores never holds up alerts; False if none was."""
        busy = False
        for sink, read in ((EVENTS, self._read_events), (SCORES, self._read_scores)):
            delivery = self._in_hand.get(sink) or read(self._outbox.position(sink))
            if delivery is not None:
                busy = True
                self._in_hand[sink] = delivery
                self._deliver(delivery)
        return busy

    def _tell_health(self) -> None:
        """Write the daemon's own figures, if it is time.

        Nothing keeps them: of a time in which InfluxDB takes nothing there are none, and that says what was so.
        """
        now = time.monotonic()
        if self._health is None or now < self._health_due or self._stopping.is_set():
            return
        self._health_due = now + self._settings.health_every_s
        lines = self._health()
        try:
            self._write(lines)
        except (Refused, TooLarge) as refusal:
            if not self._health_refused:
                remedy = "what else is written goes on; influx.write_health = false ends this"
                log.warning("influx_health_refused", reason=str(refusal), remedy=remedy)
            self._health_refused = True
        else:
            self._health_refused = False

    def _read_scores(self, position: int) -> Delivery | None:
        batches = self._outbox.scores_after(position, self._settings.batch_rows)
        if not batches:
            return None
        lines = [line for stored in batches for line in score_lines(stored)]
        if self._settings.write_readings:
            lines += [line for stored in batches for line in reading_lines(stored)]
        return Delivery(SCORES, batches[-1].position, [lines] if lines else [])

    def _read_events(self, position: int) -> Delivery | None:
        events = self._outbox.events_after(position, self._settings.batch_rows)
        if not events:
            return None
        return Delivery(EVENTS, events[-1][0], [[event_line(event) for _, event in events]])

    def _deliver(self, delivery: Delivery) -> None:
        """Send every chunk, then advance. Raises Unavailable; a later call goes on where this one stopped."""
        while delivery.chunks:
            if self._over():
                return
            chunk = delivery.chunks[-1]
            if len(chunk) > self._chunk_rows:
                delivery.split()
                continue
            try:
                expired = self._write(chunk)
            except TooLarge as refusal:
                if len(chunk) > 1:
                    self._chunk_rows = (len(chunk) + 1) // 2
                    continue
                self._blame(delivery, chunk[0], str(refusal))
            except Refused as refusal:
                if len(chunk) > 1:
                    delivery.split()
                    continue
                self._blame(delivery, chunk[0], str(refusal))
            else:
                self._count(len(chunk), expired)
                delivery.accepted = True
            delivery.chunks.pop()
        if not self._over():
            self._confirm(delivery)

    def _write(self, lines: Sequence[str]) -> int:
        self.requests += 1
        # A name is looked up, then the connection and the answer may take their time-out each.
        self.pulse.turn(2 * self._settings.timeout_s + LOOKED_UP_S)
        expired = self._client.write(lines)
        self.pulse.turn()
        self._failures = 0
        return expired

    def _count(self, rows: int, expired: int) -> None:
        """Book an accepted request; rows beyond the bucket's retention are told when they begin."""
        self.sent_rows += rows - expired
        self.expired_rows += expired
        if expired and not self._expiring:
            remedy = "they are older than the bucket keeps: lengthen its retention, where they are wanted"
            log.warning("influx_rows_expired", rows=expired, of=rows, bucket=self._settings.bucket, remedy=remedy)
        self._expiring = expired > 0

    def _blame(self, delivery: Delivery, line: str, reason: str) -> None:
        """Take a line that was refused alone for a bad one, if InfluxDB takes anything from us at all.

        Some servers answer 400 also where an organisation is missing: without the probe, such a mistake would
        make a dead letter of every line. Raises Unavailable then.
        """
        if not delivery.accepted:
            try:
                self._write([PROBE])
            except (Refused, TooLarge) as refusal:
                raise Unavailable(
                    f"InfluxDB refuses everything, not single lines: {refusal}; "
                    "check influx.url, influx.org and influx.bucket"
                ) from refusal
            delivery.accepted = True
        delivery.refused.append((line, reason))

    def _confirm(self, delivery: Delivery) -> None:
        """Keep the refused lines, then advance: a crash in between repeats a dead letter and loses none."""
        if delivery.refused:
            now = time.time_ns() // 1_000_000
            self._outbox.add_dead_letters([_dead_letter(now, *refused) for refused in delivery.refused])
            if not self._refusing:
                log.warning(
                    "influx_lines_refused",
                    lines=len(delivery.refused),
                    first=delivery.refused[0][1],
                    remedy="see them with `enginewatch dead-letters list`",
                )
            self.dead_letters += len(delivery.refused)
        self._refusing = bool(delivery.refused)
        delivery.refused = []
        self._outbox.advance(delivery.sink, delivery.position)
        del self._in_hand[delivery.sink]

    def _degrade(self, error: str, retry_after: float) -> float:
        """Say what is wrong, once; returns the seconds to wait: full jitter under a doubling cap, or as asked."""
        if error != self._last_error:
            log.warning("influx_degraded", error=error, lines_in_hand=self.lag)
        self._last_error = error
        longest = self._settings.retry_max_s
        cap = min(longest, self._settings.retry_min_s * 2.0 ** min(self._failures, 30))
        self._failures += 1
        return max(random.uniform(0.0, cap), min(retry_after, longest))  # noqa: S311 - spreads load, hides nothing

    def _recover(self) -> None:
        self._failures = 0
        if self._last_error:
            self._last_error = ""
            log.info("influx_ok", sent_rows=self.sent_rows)


def _dead_letter(now: int, line: str, reason: str) -> DeadLetter:
    # It stands for no value in the books: the values of a score row were counted when the row was made.
    payload = line.encode(errors="replace")[:DEAD_LETTER_BYTES]
    return DeadLetter(now, "influx", payload, f"refused by InfluxDB: {reason}", values=0)
