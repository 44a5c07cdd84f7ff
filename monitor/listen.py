"""Listens on a broker for a while and keeps, in bounded memory, what it hears.

It publishes nothing unless it is told to: then each Sparkplug B node that it hears is asked once for its births.
"""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, Any

from monitor import mqtt_words
from monitor.discovery.capture import Capture, Captured
from monitor.discovery.sparkplug import LEVELS, NAMESPACE
from monitor.mqtt import Link

if TYPE_CHECKING:
    from collections.abc import Sequence

    from paho.mqtt.client import Client
    from paho.mqtt.properties import Properties
    from paho.mqtt.reasoncodes import ReasonCode

    from config.settings import MqttSettings
    from monitor.mqtt_packets import Publishes

NODES = 10_000  # that are asked


class Listener(Link):
    """A clean session under a name of its own: it takes nothing from the daemon's. QoS 0 is enough here."""

    def __init__(self, settings: MqttSettings, filters: Sequence[str], *, rebirth: bytes | None = None) -> None:
        """Nothing connects before `start`; `rebirth` is the request. Raises MqttError on settings of no use."""
        super().__init__(settings, f"enginewatch-init-{os.getpid()}")
        self._client.on_subscribe = self._subscribed
        self._filters = list(filters)
        self._change = threading.Condition()
        self._capture = Capture()
        self._rebirth = rebirth
        self._nodes: set[tuple[str, str]] = set()  # that were born, or asked
        self._answered_filters = False
        self._ended = False
        self.refused: list[str] = []  # filters that the broker does not let us have, in words

    # For any thread.

    def wait_listening(self) -> str:
        """Wait until the subscriptions stand; returns why they do not, in words, or an empty text."""
        with self._change:
            self._change.wait_for(lambda: self._answered_filters or self.problem or self._ended)
        if self._answered_filters:
            return "; ".join(self.refused) if len(self.refused) == len(self._filters) else ""
        return self.problem or f"the connection failed: {self.failed}"

    def enough(self, now: int, quiet_ms: int) -> bool:
        """Whether nothing new is to be expected."""
        with self._change:
            return self._capture.enough(now, quiet_ms)

    def counts(self) -> tuple[int, int]:
        """Messages and topics so far."""
        with self._change:
            return self._capture.messages, len(self._capture.topics)

    def captured(self) -> Capture:
        """What was heard; for when the link has stopped."""
        return self._capture

    # The link's thread.

    def on_up(self, *, session_present: bool) -> None:
        """Subscribe."""
        del session_present
        self._client.subscribe([(topic, 0) for topic in self._filters])

    def on_down(self, reason: str) -> None:
        """Whoever waits looks at the reason."""
        del reason
        with self._change:
            self._change.notify_all()

    def on_end(self) -> None:
        """As `on_down`."""
        with self._change:
            self._ended = True
            self._change.notify_all()

    def on_messages(self, arrived: Publishes) -> None:
        """Keep them."""
        now = time.time_ns() // 1_000_000
        topics = []
        with self._change:
            for name, payload, retained in zip(arrived.topics, arrived.payloads, arrived.retained, strict=True):
                try:
                    topic = name.decode()
                except UnicodeDecodeError:
                    self._capture.unreadable += 1
                    continue
                self._capture.add(Captured(topic, payload, now, retained))
                topics.append(topic)
        for topic in topics:
            if self._rebirth is not None and topic.startswith(f"{NAMESPACE}/"):
                self._ask_for_births(topic.split("/"), self._rebirth)

    def _ask_for_births(self, levels: Sequence[str], request: bytes) -> None:
        """Once a node; one that is just being born needs not be asked."""
        if len(levels) < LEVELS - 1 or levels[2] not in {"NBIRTH", "NDATA", "DDATA"} or len(self._nodes) >= NODES:
            return
        node = (levels[1], levels[3])
        if node not in self._nodes:
            self._nodes.add(node)
            if levels[2] != "NBIRTH":
                self.publish(f"{NAMESPACE}/{levels[1]}/NCMD/{levels[3]}", request)

    def _subscribed(
        self, _client: Client, _data: Any, _packet_id: int, codes: list[ReasonCode], _properties: Properties | None
    ) -> None:
        refused = [topic for topic, code in zip(self._filters, codes, strict=False) if code.is_failure]
        with self._change:
            self.refused = [mqtt_words.subscription_refused(topic) for topic in refused]
            self._answered_filters = True
            self._change.notify_all()
