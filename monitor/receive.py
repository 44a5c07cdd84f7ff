"""MQTT messages in, in batches; and back to the broker the acknowledgement of those that the journal has kept.

A message counts as received only when its token comes back through `acknowledge`; until then the broker keeps
it, and sends it again on the next connection. Tokens of an earlier connection are dropped and counted: there
their packet ids may stand for other messages.
"""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from itertools import repeat
from typing import TYPE_CHECKING, Any

import structlog

from monitor import mqtt_words
from monitor.mqtt import Link, Will
from monitor.records import Message

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from paho.mqtt.client import Client
    from paho.mqtt.properties import Properties
    from paho.mqtt.reasoncodes import ReasonCode

    from config.settings import MqttSettings
    from monitor.mqtt_packets import Publishes

_log = structlog.get_logger()

KEPT_OF_TOO_LONG = 1024  # bytes kept of a payload over mqtt.max_payload_bytes


@dataclass(frozen=True, slots=True)
class Delivery:
    """What arrived since the last one, in order. `tokens` go back through `Receiver.acknowledge`."""

    messages: list[Message]
    tokens: list[int]


@dataclass(slots=True)
class Counters:
    """What the receiver has counted since it was made."""

    received: int = 0  # messages, those sent again included
    stale_acks: int = 0  # tokens that came back after their connection had ended
    reconnects: int = 0


@dataclass(slots=True)
class _Pending:
    messages: list[Message] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    size: int = 0  # bytes


class Receiver(Link):
    """Subscribes with a persistent session and hands over what arrives."""

    good_at_once = False  # only when all subscriptions stand

    def __init__(
        self,
        *,
        settings: MqttSettings,
        client_id: str,
        subscriptions: Sequence[str],
        given_up: Sequence[str] = (),
        status_topic: str,
        expect_session: bool,
        on_listening: Callable[[bool, str], None],
        on_session_lost: Callable[[], None],
    ) -> None:
        """`expect_session`: an earlier run connected with this client id, so the broker should know it.

        `given_up` are subscriptions of earlier runs that are not wanted any more: the session still has them.
        `status_topic` holds, retained, whether this daemon is online. On the receiver's own thread,
        `on_listening` is called with True when all subscriptions stand, and with False and the reason in words
        when they end or when the reason changes (not because of `stop`); `on_session_lost` when the broker has
        forgotten the session, and with it what it held for us. Raises MqttError where the settings cannot be
        used.
        """
        will = Will(status_topic, json.dumps({"online": False}).encode())
        super().__init__(settings, client_id, persistent=True, manual_ack=True, will=will)
        self._client.on_subscribe = self._subscribed
        self._subscriptions = list(subscriptions)
        self._given_up = list(given_up)
        self._status_topic = status_topic
        self._expect_session = expect_session
        self._on_listening = on_listening
        self._on_session_lost = on_session_lost
        self._listening = (False, "")  # as told last
        self._arrival = threading.Condition()  # guards what arrived and what is to be acknowledged
        self._pending = _Pending()
        self._kept: list[int] = []  # tokens that came back
        self._paused = False
        self._released = False
        self.counters = Counters()

    # For any thread.

    def take(self, timeout: float) -> Delivery:
        """Everything that arrived meanwhile; waits up to `timeout` seconds for something, then returns nothing."""
        with self._arrival:
            if not self._pending.messages and self.failed is None and not self._released:
                self._arrival.wait(timeout)
            taken, self._pending = self._pending, _Pending()
        if taken.size >= self._settings.max_pending_bytes:
            self.wake()  # reading was paused for lack of room
        return Delivery(taken.messages, taken.tokens)

    def release(self) -> None:
        """Let nobody wait in `take` any more."""
        with self._arrival:
            self._released = True
            self._arrival.notify_all()

    def acknowledge(self, tokens: Sequence[int]) -> None:
        """Tell the broker that these messages are kept; the acknowledgements leave together, soon."""
        with self._arrival:
            self._kept.extend(tokens)
        self.wake()

    def pause(self, paused: bool) -> None:
        """Stop or resume reading. If the broker hangs up meanwhile, the receiver comes back when resumed."""
        self._paused = paused
        self.wake()

    # Hooks.

    def room(self) -> int:
        """What is left of the cap; none while the journal does not keep up."""
        return 0 if self._paused else self._settings.max_pending_bytes - self._pending.size

    def on_up(self, *, session_present: bool) -> None:
        """Report a lost session, publish the status and subscribe."""
        if self.connections > 1:
            self.counters.reconnects += 1
        if self._expect_session and not session_present:
            _log.error("mqtt_session_lost", client_id=self._client_id)
            self._on_session_lost()
        self._expect_session = True
        self.forget_published()  # an old status must not follow the new one
        self.publish(self._status_topic, _status(online=True), retain=True)
        if self._given_up:
            self._client.unsubscribe(self._given_up)  # what the broker has queued by them still comes
        if self._subscriptions:
            self._client.subscribe([(topic_filter, 1) for topic_filter in self._subscriptions])
        else:
            self.good()
            self._tell(True, "")

    def on_down(self, reason: str) -> None:
        """Tell that nothing is heard."""
        self._tell(False, reason)

    def on_messages(self, arrived: Publishes) -> None:
        """Add to the batch, and do nothing else: pings must not wait for it."""
        if self._stopping:
            return  # not acknowledged, so the broker keeps it
        now = time.time_ns() // 1_000_000
        size, payloads = arrived.size, arrived.payloads
        sizes = list(map(len, payloads))
        if max(sizes) > self._settings.max_payload_bytes:
            payloads = list(map(self._cut, payloads))
            size -= sum(sizes) - sum(map(len, payloads))
        messages = list(map(Message, arrived.topics, payloads, repeat(now), sizes))
        generation = self.connections << 16
        tokens = [generation | packet_id for packet_id in arrived.packet_ids if packet_id]
        with self._arrival:
            pending = self._pending
            pending.messages += messages
            pending.tokens += tokens
            pending.size += size
            if len(pending.messages) == len(messages):
                self._arrival.notify_all()
        self.counters.received += len(messages)

    def _cut(self, payload: bytes) -> bytes:
        return payload[:KEPT_OF_TOO_LONG] if len(payload) > self._settings.max_payload_bytes else payload

    def on_turn(self) -> None:
        """Send the acknowledgements that belong to this connection."""
        if not self._kept or self.clogged:
            return
        with self._arrival:
            kept, self._kept = self._kept, []
        current = [token & 0xFFFF for token in kept if token >> 16 == self.connections]
        self.counters.stale_acks += len(kept) - len(current)
        self.confirm(current)

    def on_goodbye(self) -> None:
        """Send the last acknowledgements and the daemon's goodbye."""
        self.on_turn()
        self.publish(self._status_topic, _status(online=False, reason="shutdown"), retain=True)

    def on_end(self) -> None:
        """Wake whoever waits for messages that will not come."""
        with self._arrival:
            self._arrival.notify_all()

    def _subscribed(
        self, _client: Client, _data: Any, _packet_id: int, codes: list[ReasonCode], _properties: Properties
    ) -> None:
        refused = [name for name, code in zip(self._subscriptions, codes, strict=False) if code.is_failure]
        if refused:
            # Hanging up is loud, and the next attempt finds out whether the broker has been told better.
            self.problem = mqtt_words.subscription_refused(refused[0])
        else:
            self.good()
            self._guarded(self._tell, True, "")

    def _tell(self, listening: bool, reason: str) -> None:
        if (listening, reason) != self._listening:
            self._listening = (listening, reason)
            self._on_listening(listening, reason)


def _status(*, online: bool, reason: str = "") -> bytes:
    status = {"online": online, "timestamp": time.time_ns() // 1_000_000}
    return json.dumps({**status, "reason": reason} if reason else status).encode()
