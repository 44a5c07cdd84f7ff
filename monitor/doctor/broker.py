"""A client of our own that looks at the broker and disturbs nobody: a clean session, and nothing is published."""

from __future__ import annotations

import threading
import time
import uuid
from typing import TYPE_CHECKING, Any

from paho.mqtt.client import topic_matches_sub

from monitor.discovery.capture import OURS
from monitor.doctor.facts import BrokerFacts
from monitor.mqtt import Link, MqttError
from monitor.mqtt_client import CONNECT_LIMIT_S
from monitor.records import Message
from monitor.synthetic import SITE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from config.settings import MqttSettings
    from monitor.mqtt_packets import Publishes

DROPPED = "$SYS/broker/publish/messages/dropped"
VERSION = "$SYS/broker/version"
MOST = 20_000  # messages that are kept
ELSEWHERE = 200  # messages looked at on other topics
LOOK_S = 2.0  # at other topics
PAUSE_S = 0.05


class Probe(Link):
    """Connects, subscribes, gathers."""

    def __init__(self, settings: MqttSettings, filters: Sequence[str], beside: Sequence[str] = ()) -> None:
        """`beside` are heard as well, but are no readings. Raises MqttError where the settings cannot be used."""
        super().__init__(
            settings, f"enginewatch-doctor-{uuid.uuid4().hex[:4]}"
        )  # 23 letters: every broker takes it
        self._client.on_subscribe = self._subscribed
        self._client.on_connect = self._told
        self._filters = filters
        self._beside = beside
        self._asked = -1  # the packet of our own filters
        self._lock = threading.Lock()
        self._messages: list[Message] = []
        self.heard: set[str] = set()  # our filters on which something came
        self._fresh = self._retained = 0
        self._looking = False
        self.elsewhere: dict[str, int] = {}
        self.dropped: list[int] = []
        self.is_mosquitto = False
        self.refused: list[str] = []
        self.reason = ""  # why there is no connection, or no longer
        self.granted = threading.Event()  # the broker has answered the subscription
        self.over = threading.Event()  # no connection, or no longer
        self.receive_maximum: int | None = None

    def seen(self) -> tuple[tuple[Message, ...], int, int]:
        """What came so far on our filters and beside them; how much on our filters is news, and was retained."""
        with self._lock:
            return tuple(self._messages), self._fresh, self._retained

    def look_elsewhere(self) -> None:
        """Whatever is published: only where nothing came on our own topics."""
        self._looking = True
        self.wake()

    def on_up(self, *, session_present: bool) -> None:  # noqa: ARG002 - it has no session
        """Subscribe to the readings, and to what the broker says of itself."""
        if self._filters:
            self._asked = self._client.subscribe([(each, 1) for each in self._filters])[1] or 0
        else:
            self.granted.set()
        self._client.subscribe([(each, 0) for each in (*self._beside, DROPPED, VERSION)])

    def on_down(self, reason: str) -> None:
        """One attempt is enough: a second one would begin with no problem."""
        self._stopping = True
        self.reason = reason
        self.over.set()

    def on_turn(self) -> None:
        """Look elsewhere when told to."""
        if self._looking:
            self._looking = False
            self._client.subscribe("#", 0)

    def on_messages(self, arrived: Publishes) -> None:
        """Keep them."""
        now = time.time_ns() // 1_000_000
        for topic, payload, retained in zip(arrived.topics, arrived.payloads, arrived.retained, strict=True):
            self._keep(Message(topic, payload, now, len(payload)), retained=retained)

    def _keep(self, message: Message, *, retained: bool) -> None:
        try:
            topic = message.topic.decode()
        except UnicodeDecodeError:
            topic = ""
        if topic == DROPPED:
            self.dropped.append(_number(message.payload))
        elif topic == VERSION:
            self.is_mosquitto = message.payload.startswith(b"mosquitto")
        elif f"/v1/{SITE}/" in topic:
            pass  # a canary comes through where nothing else does
        elif (ours := self._among(self._filters, topic)) or self._among(self._beside, topic):
            self.heard.update(ours)
            with self._lock:
                if len(self._messages) < MOST:
                    self._messages.append(message)
                    self._retained += bool(ours) and retained
                    self._fresh += bool(ours) and not retained
        elif not OURS.match(topic):
            self.elsewhere[topic] = self.elsewhere.get(topic, 0) + 1

    @staticmethod
    def _among(filters: Sequence[str], topic: str) -> list[str]:
        return [each for each in filters if topic_matches_sub(each, topic)]

    def _told(self, client: Any, data: Any, flags: Any, code: Any, properties: Any) -> None:
        """What an MQTT 5 broker says of itself in its first answer."""
        self.receive_maximum = getattr(properties, "ReceiveMaximum", None)
        self._answered(client, data, flags, code, properties)

    def _subscribed(self, _client: Any, _data: Any, packet_id: int, codes: Sequence[Any], _more: Any) -> None:
        if packet_id == self._asked:
            self.refused = [name for name, code in zip(self._filters, codes, strict=False) if code.is_failure]
            self.granted.set()


def look(
    settings: MqttSettings, filters: Sequence[str], beside: Sequence[str], *, wait_s: float, gather_s: float
) -> BrokerFacts:
    """Connect, subscribe, wait so long for a first message, and gather for a while from then on."""
    place = f"{settings.host}:{settings.port}"
    try:
        probe = Probe(settings, filters, beside)
    except MqttError as error:
        return BrokerFacts(place, problem=str(error))
    probe.start()
    try:
        until = time.monotonic() + 2 * CONNECT_LIMIT_S
        while not probe.granted.is_set() and not probe.over.is_set() and time.monotonic() < until:
            time.sleep(PAUSE_S)
        connected = probe.connections > 0
        began = time.monotonic()
        if probe.granted.is_set() and not probe.refused:
            _gather(probe, wait_s, gather_s)
        messages, fresh, retained = probe.seen()
        # A subscription must have been answered by now: what hangs up instead says so by itself.
        problem = probe.reason or ("" if probe.granted.is_set() else f"{place} does not answer the subscription")
        return BrokerFacts(
            place,
            user=settings.username,
            problem=problem,
            connected=connected,
            filters=tuple(filters),
            refused=tuple(probe.refused),
            waited_s=time.monotonic() - began,
            messages=messages,
            fresh=fresh,
            retained=retained,
            heard=frozenset(probe.heard),
            elsewhere=tuple(probe.elsewhere),
            dropped=tuple(probe.dropped),
            receive_maximum=_receive_maximum(settings, probe) if connected else None,
            is_mosquitto=probe.is_mosquitto,
        )
    finally:
        probe.stop()


def _gather(probe: Probe, wait_s: float, gather_s: float) -> None:
    """Wait for a first message that is news, then for more of them; where none comes, look at other topics."""
    until = time.monotonic() + wait_s
    while time.monotonic() < until and not probe.over.is_set():
        if probe.seen()[1]:
            time.sleep(gather_s)
            return
        time.sleep(PAUSE_S)
    probe.look_elsewhere()
    until = time.monotonic() + LOOK_S
    while time.monotonic() < until and sum(probe.elsewhere.values()) < ELSEWHERE and not probe.over.is_set():
        time.sleep(PAUSE_S)


def _receive_maximum(settings: MqttSettings, probe: Probe) -> int | None:
    """How many messages may be in flight towards the broker: only MQTT 5 tells, so it is asked with that."""
    if settings.protocol == "5":
        return probe.receive_maximum
    asking = Probe(settings.model_copy(update={"protocol": "5"}), ())
    asking.start()
    until = time.monotonic() + LOOK_S
    while not asking.connections and not asking.over.is_set() and time.monotonic() < until:
        time.sleep(PAUSE_S)
    asking.stop()
    return asking.receive_maximum


def _number(payload: bytes) -> int:
    return int(payload) if payload.isdigit() else 0
