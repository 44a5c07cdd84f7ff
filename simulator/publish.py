"""Readings -> MQTT, with retained meta and status; counts what the broker has taken responsibility for.

A publisher speaks for many assets, and MQTT gives a connection one last will. The will is therefore of the
publisher itself (`{root}/_publisher/{client id}/status`); the assets of a publisher that dies fall silent,
which the monitor judges as it judges a last will.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from monitor.decode import (
    META_TOPIC,
    STATUS_TOPIC,
    encode_meta,
    encode_status,
    fill,
)
from monitor.mqtt import Link, Will
from simulator.layouts import lay_out

if TYPE_CHECKING:
    from collections.abc import Mapping

    from config.settings import MqttSettings

SPOOL_LIMIT = 50_000  # messages; readings of fifteen sensors take 42 MB then


@dataclass(slots=True)
class PublisherCounters:
    """Telemetry messages and the values in them; meta and status are not counted."""

    messages: int = 0  # handed to MQTT
    values: int = 0
    acknowledged_messages: int = 0  # by a positive PUBACK
    acknowledged_values: int = 0
    refused_messages: int = 0  # by a negative one
    resent_messages: int = 0  # handed to MQTT once more after a reconnect; `messages` counts them once
    resent_values: int = 0
    unspooled_messages: int = 0  # left the spool before their time, because it was full


@dataclass(slots=True)
class _Outgoing:
    topic: str
    payload: bytes
    values: int  # 0 = meta or status
    retain: bool = False
    number: int = 0  # in the order of publishing; 0 = not published yet
    acknowledged: bool = False


class PublishError(Exception):
    """The publisher cannot go on; the sentence says why."""


class Publisher(Link):
    """Publishes with QoS 1 and at most `in_flight` messages that the broker has not acknowledged.

    What is sent while the connection is down waits in the queue, and what was in flight when it broke is sent
    again. So is what was acknowledged in the last `spool_s` seconds before, up to SPOOL_LIMIT messages: brokers
    acknowledge before they save, and one that is killed loses that. Nothing else is ever sent twice. Everything
    leaves in the order in which it was first sent, old before new, with the same payload: `boot` and a number
    per asset tell a repeat.

    The daemon tells repeats by the last `align.repeat_ticks` ticks (16) that closed. What lies further back is
    counted as late instead of duplicate; neither changes a score. So `spool_s` is best no longer than
    `repeat_ticks` periods, at a speed-up shorter by as much: 8 s at 2 Hz in real time.
    """

    def __init__(
        self,
        settings: MqttSettings,
        client_id: str,
        *,
        site: str,
        in_flight: int = 1000,
        spool_s: float = 0.0,
        layout: str = "message",
    ) -> None:
        """`layout` is one of `layouts.LAYOUTS`. Raises MqttError where the settings cannot be used."""
        own_status = f"{settings.root}/_publisher/{client_id}/status"
        super().__init__(settings, client_id, will=Will(own_status, encode_status(online=False, time=_now())))
        self._own_status = own_status
        self._names = {"root": settings.root, "site": site, "area": ""}
        self._in_flight = in_flight
        self._spool_s = spool_s
        self._layout = layout
        self._boot = uuid.uuid4().hex
        self._numbers: dict[str, int] = {}  # of the last message of each asset
        self._change = threading.Condition()  # told when something that others wait for has changed
        self._queue: deque[_Outgoing] = deque()
        self._flying: dict[int, _Outgoing] = {}  # packet id -> message
        self._spool: deque[tuple[float, _Outgoing]] = deque()  # when it was acknowledged, and what
        self._published = 0  # also the number of the last one
        self._up = False
        self._ended = False
        self.counters = PublisherCounters()

    # For any thread.

    def wait_connected(self) -> None:
        """Wait for the first connection; raises PublishError with the reason where the first attempt fails."""
        with self._change:
            self._change.wait_for(lambda: self.connected or self.problem or self._ended)
        if not self.connected and not self.connections:
            raise PublishError(self.problem or f"the connection failed: {self.failed}")

    def announce(self, asset: str, sensors: Mapping[str, str], period_ms: int) -> None:
        """Publish, retained, what an asset is (its sensors with their units, its period) and that it is online.

        Only in our own layout: other plants say neither.
        """
        if self._layout != "message":
            return
        self._enqueue(_Outgoing(self._topic(META_TOPIC, asset), encode_meta(sensors, period_ms), 0, retain=True))
        self._status(asset, online=True)

    def send(self, asset: str, time: int, values: Mapping[str, float]) -> None:
        """Publish one reading (epoch ms; NaN = missing), as one message or, by the layout, as several.

        Waits while too much is unacknowledged.
        Raises PublishError where the publisher has ended.
        """
        while not self.wait_room(1.0):
            pass
        number = self._numbers[asset] = self._numbers.get(asset, 0) + 1
        names = {**self._names, "asset": asset}
        for laid in lay_out(self._layout, names, time, values, boot=self._boot, seq=number):
            self._enqueue(_Outgoing(laid.topic, laid.payload, laid.values))

    def note(self, topic: str, payload: bytes) -> None:
        """Publish what is no reading, on a topic of its own: neither retained nor counted."""
        self._enqueue(_Outgoing(topic, payload, 0))

    def wait_room(self, timeout: float) -> bool:
        """Wait until `send` would not wait; False where that took too long. Raises PublishError as `send` does."""
        if self._outstanding >= self._in_flight and not self._ended:
            with self._change:
                self._change.wait_for(lambda: self._outstanding < self._in_flight or self._ended, timeout)
        if self._ended:
            raise PublishError(f"the connection failed: {self.failed or 'it was stopped'}")
        return self._outstanding < self._in_flight

    def retire(self, asset: str) -> None:
        """Say goodbye for an asset, in our own layout: its silence from now on is no fault."""
        if self._layout != "message":
            return
        self._status(asset, online=False, reason="shutdown")

    def wait_delivered(self, timeout: float | None = None) -> bool:
        """Wait until everything sent has its answer from the broker; False where that took too long."""
        with self._change:
            self._change.wait_for(lambda: not self._outstanding or self._ended, timeout)
            return not self._outstanding

    # Hooks.

    def on_up(self, *, session_present: bool) -> None:  # noqa: ARG002 - there is no session to lose
        """Publish the publisher's own status, and queue what has to be sent again before all the rest."""
        self.forget_published()  # paho would repeat what was in flight too early: behind it comes what is older
        again = [*(outgoing for _, outgoing in self._spool), *self._flying.values()]
        again.sort(key=lambda outgoing: outgoing.number)
        self._queue.extendleft(reversed(again))
        self._flying.clear()  # only now, so that nothing is ever in neither of the two
        self._spool.clear()  # what is acknowledged again comes back
        self.publish(self._own_status, encode_status(online=True, time=_now()), retain=True)
        self._up = True  # last: from here on `_outstanding` counts what comes again
        self._tell()

    def on_down(self, reason: str) -> None:  # noqa: ARG002 - it stands in `problem`
        """Keep of the spool what is young enough, and wake whoever waits for the connection."""
        if self._up and self._socket is not None:
            self._forget_acknowledged(before=self._socket.heard - self._spool_s)
        self._up = False
        self._tell()

    def on_turn(self) -> None:
        """Publish what is queued; while much is sent again that takes several turns."""
        while self._queue and len(self._flying) < self._in_flight:
            outgoing = self._queue[0]
            self._flying[self.publish(outgoing.topic, outgoing.payload, retain=outgoing.retain)] = outgoing
            self._queue.popleft()  # only now, for the same reason as in `on_up`
            self._count_published(outgoing)

    def on_delivered(self, packet_id: int, problem: str) -> None:
        """Count, and make room."""
        outgoing = self._flying.pop(packet_id, None)
        if outgoing is None:
            return
        if not outgoing.acknowledged and outgoing.values:
            if problem:
                self.counters.refused_messages += 1
            else:
                self.counters.acknowledged_messages += 1
                self.counters.acknowledged_values += outgoing.values
        if not problem:
            outgoing.acknowledged = True
            self._keep(outgoing)
        self._tell()

    def on_goodbye(self) -> None:
        """Publish the rest and the publisher's own goodbye, of which nothing stays at the broker."""
        self.on_turn()
        self.publish(self._own_status, encode_status(online=False, time=_now(), reason="shutdown"), retain=False)
        self.publish(self._own_status, b"", retain=True)

    def on_end(self) -> None:
        """Wake whoever waits."""
        self._ended = True
        self._tell()

    # Inside.

    @property
    def _outstanding(self) -> int:
        return len(self._queue) + len(self._flying)

    def _count_published(self, outgoing: _Outgoing) -> None:
        again = outgoing.number > 0
        if not again:
            self._published += 1
            outgoing.number = self._published
        if outgoing.values and again:
            self.counters.resent_messages += 1
            self.counters.resent_values += outgoing.values
        elif outgoing.values:
            self.counters.messages += 1
            self.counters.values += outgoing.values

    def _keep(self, outgoing: _Outgoing) -> None:
        """Put into the spool what was just acknowledged, and take out what has been there for long enough."""
        if not self._spool_s:
            return
        now = time.monotonic()
        self._spool.append((now, outgoing))
        self._forget_acknowledged(before=now - self._spool_s)
        if len(self._spool) > SPOOL_LIMIT:
            self._spool.popleft()
            self.counters.unspooled_messages += 1

    def _forget_acknowledged(self, *, before: float) -> None:
        while self._spool and self._spool[0][0] < before:
            self._spool.popleft()

    def _enqueue(self, outgoing: _Outgoing) -> None:
        self._queue.append(outgoing)
        self.wake()

    def _status(self, asset: str, *, online: bool, reason: str = "") -> None:
        payload = encode_status(online=online, time=_now(), reason=reason)
        self._enqueue(_Outgoing(self._topic(STATUS_TOPIC, asset), payload, 0, retain=True))

    def _topic(self, template: str, asset: str) -> str:
        return fill(template, asset=asset, **self._names)

    def _tell(self) -> None:
        with self._change:
            self._change.notify_all()


def _now() -> int:
    return time.time_ns() // 1_000_000
