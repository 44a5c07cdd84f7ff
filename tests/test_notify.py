"""Notifying: every transition reaches the broker, in order, and the retained list is what is open now."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from config.notify import NotifySettings
from config.settings import MqttSettings
from monitor.notify import LOSSES, Notifier
from monitor.records import AlertEvent, DeadLetter, OutboxError, SensorFinding, StoredScores, Transition
from tests.servers import missing
from tests.servers.brokers import Mosquitto
from tests.servers.peers import Peer, RecordingProxy, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.servers.brokers import Broker, Nats

ALERT = "enginewatch/v1/plant/pump-1/alert"
FIRED = AlertEvent(
    event_id="e1",
    incident_id="i1",
    stream="plant//pump-1",
    kind="anomaly",
    sensor="",
    transition=Transition.FIRED,
    severity="warning",
    started=1_000,
    time=2_000,
    recorded=2_500,
    score=1.5,
    threshold=1.2,
    summary="oil_pressure is lower than expected",
    top=(SensorFinding("oil_pressure", "kPa", 120.0, 310.0, 1.5),),
)


class Book:
    """An outbox in memory."""

    def __init__(self) -> None:
        self.events: list[AlertEvent] = []
        self.delivered = 0
        self.lock = threading.Lock()

    def tell(self, *events: AlertEvent) -> None:
        with self.lock:
            self.events.extend(events)

    def position(self, sink: str) -> int:
        assert sink == "notify"
        return self.delivered

    def advance(self, sink: str, position: int) -> None:
        assert sink == "notify"
        assert position > self.delivered
        self.delivered = position

    def scores_after(self, position: int, limit: int) -> list[StoredScores]:
        raise NotImplementedError

    def events_after(self, position: int, limit: int) -> list[tuple[int, AlertEvent]]:
        with self.lock:
            return list(enumerate(self.events, start=1))[position : position + limit]

    def open_incidents(self, stream: str | None = None) -> list[AlertEvent]:
        latest = {event.incident_id: event for event in self.events if stream in {None, event.stream}}
        return [event for event in latest.values() if event.transition != Transition.CLEARED]

    def add_dead_letters(self, letters: Sequence[DeadLetter]) -> None:
        raise NotImplementedError


def test_an_alert_that_no_topic_can_have_does_not_hold_up_the_others(
    broker: Broker, book: Book, notifier: Notifier
) -> None:
    """A wildcard, a control character, a length that MQTT has not: told in the log, and passed over."""
    with Peer(broker, "enginewatch/#") as peer:
        for number, name in enumerate(("a+b", "a#", "a\x00", "a\nb", "a\x1b[2J", "a\u202e", "x" * 66_000)):
            book.tell(replace(FIRED, event_id=f"bad{number}", stream=f"plant//{name}"))
        wait_until(lambda: book.delivered == 7)
        book.tell(FIRED)
        wait_until(lambda: ids(peer) == ["e1"])
    assert notifier.connections == 1


def test_a_broker_that_hangs_up_on_a_name_gets_the_other_alerts(nats: Nats, book: Book) -> None:
    """nats-server takes no topic with a space in it. That asset's alerts are told in the log, the others come."""
    with Peer(nats, "enginewatch/#") as peer:
        odd = replace(FIRED, event_id="odd", stream="plant//pump 1", incident_id="i-odd")
        book.tell(odd, FIRED)
        made = make(nats, book)
        with capture_logs() as told:
            made.start()
            try:
                wait_until(lambda: book.delivered == 2)
                book.tell(replace(odd, event_id="odd2"), replace(FIRED, event_id="e2"))
                wait_until(lambda: book.delivered == 4)
            finally:
                made.stop()
        wait_until(lambda: ids(peer)[-1] == "e2")
        assert set(ids(peer)) == {"e1", "e2"}
    assert made.connections == LOSSES + 2
    passed_over = [line["asset"] for line in told if line["event"] == "alert_without_topic"]
    assert passed_over == ["plant//pump 1"] * 2


@pytest.mark.parametrize("losses", range(3 * LOSSES))
def test_a_name_is_not_blamed_for_a_connection_that_ends_anyway(book: Book, losses: int) -> None:
    """However often it ended with the alert in flight: once it stays, all alerts are told."""
    published: dict[int, tuple[str, bytes]] = {}

    class Unsent(Notifier):
        def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> int:
            published[len(published)] = topic, payload if not retain else b""
            return len(published) - 1

    book.tell(replace(FIRED, event_id="odd", stream="plant//pump 1", incident_id="i-odd"), FIRED)
    made = Unsent(NotifySettings(), MqttSettings(), "daemon", book)
    for _ in range(losses):
        made.on_up(session_present=False)
        made.on_turn()
        made.on_down("the broker is gone")
    made.on_up(session_present=False)
    published.clear()
    told = 0
    while book.delivered < 2:
        made.on_turn()
        for packet in range(told, len(published)):
            made.on_delivered(packet, "")
        assert len(published) > told
        told = len(published)
    events = [json.loads(payload)["event_id"] for _, payload in published.values() if payload]
    assert list(dict.fromkeys(events)) in (["odd", "e1"], ["e1", "odd"])


def fired(count: int, start: int = 0) -> list[AlertEvent]:
    return [replace(FIRED, event_id=f"e{n}", incident_id=f"i{n}") for n in range(start, start + count)]


def ids(peer: Peer) -> list[str]:
    return [json.loads(payload)["event_id"] for topic, payload, _ in peer.messages if topic == f"{ALERT}/event"]


def cleared(event: AlertEvent) -> AlertEvent:
    return replace(event, event_id=f"{event.event_id}-cleared", transition=Transition.CLEARED)


def make(broker: Broker | RecordingProxy, book: Book, **other: Any) -> Notifier:
    fast = {"host": broker.host, "port": broker.port, "reconnect_min_s": 0.01, "reconnect_max_s": 0.05}
    return Notifier(NotifySettings(), MqttSettings(**{**fast, **other}), "daemon", book)


@pytest.fixture
def book() -> Book:
    return Book()


@pytest.fixture
def notifier(broker: Broker, book: Book) -> Iterator[Notifier]:
    made = make(broker, book)
    made.start()
    yield made
    made.stop()
    assert made.failed is None


def test_a_transition_is_told_whole_and_the_open_incidents_are_retained(
    broker: Broker, book: Book, notifier: Notifier
) -> None:
    with Peer(broker, "enginewatch/#") as peer:
        book.tell(FIRED)
        notifier.wake()
        wait_until(lambda: book.delivered == 1)
        wait_until(lambda: peer.last(ALERT))
        told = peer.last(f"{ALERT}/event")
        assert told == {
            "event_id": "e1",
            "incident_id": "i1",
            "stream": "plant//pump-1",
            "kind": "anomaly",
            "sensor": "",
            "transition": "fired",
            "severity": "warning",
            "started": 1_000,
            "time": 2_000,
            "recorded": 2_500,
            "score": 1.5,
            "threshold": 1.2,
            "summary": "oil_pressure is lower than expected",
            "top": [
                {"sensor": "oil_pressure", "unit": "kPa", "actual": 120.0, "expected": 310.0, "contribution": 1.5}
            ],
            "who": "",
            "why": "",
            "until": None,
        }
        assert peer.last(ALERT) == [told]
    with Peer(broker, "enginewatch/#") as late:
        wait_until(lambda: late.messages)
        assert [(topic, retained) for topic, _, retained in late.messages] == [(ALERT, True)]


def test_after_the_clear_an_empty_list_is_retained(broker: Broker, book: Book, notifier: Notifier) -> None:
    book.tell(FIRED)
    notifier.wake()
    wait_until(lambda: book.delivered == 1)
    book.tell(cleared(FIRED))
    notifier.wake()
    wait_until(lambda: book.delivered == 2)
    with Peer(broker, "enginewatch/#") as late:
        wait_until(lambda: late.messages)
        assert late.messages == [(ALERT, b"[]", True)]


def test_assets_of_one_name_in_two_areas_have_topics_of_their_own(
    broker: Broker, book: Book, notifier: Notifier
) -> None:
    """Else the one that clears last would say that the other has no incident."""
    halls = [replace(FIRED, stream=f"plant/hall-{hall}/pump-1", event_id=hall, incident_id=hall) for hall in "ab"]
    book.tell(*halls, replace(cleared(FIRED), stream=halls[0].stream, incident_id="a"))
    notifier.wake()
    wait_until(lambda: book.delivered == 3)
    with Peer(broker, "enginewatch/#") as late:
        wait_until(lambda: len(late.messages) == 2)
        told = {topic: json.loads(payload) for topic, payload, _ in late.messages}
        assert told["enginewatch/v1/plant/hall-a/pump-1/alert"] == []
        assert [each["incident_id"] for each in told["enginewatch/v1/plant/hall-b/pump-1/alert"]] == ["b"]


def test_nothing_is_lost_and_order_is_kept_over_a_broker_that_was_down(
    broker: Broker, book: Book, notifier: Notifier
) -> None:
    """What was told while the broker was down comes after its return; the lag says how much waits."""
    with Peer(broker, f"{ALERT}/event", session="subscriber"):
        pass
    events = fired(250)
    book.tell(*events[:10])
    notifier.wake()
    wait_until(lambda: book.delivered == 10)
    broker.stop()
    book.tell(*events[10:])
    wait_until(lambda: notifier.last_error)
    assert notifier.lag == 240
    assert "broker" in notifier.last_error
    broker.start()
    wait_until(lambda: book.delivered == 250)
    assert notifier.lag == 0
    assert notifier.last_error == ""
    with Peer(broker, f"{ALERT}/event", session="subscriber") as peer:
        wait_until(lambda: len(set(ids(peer))) == 250)
        assert list(dict.fromkeys(ids(peer))) == [event.event_id for event in events]


def test_what_was_in_flight_when_the_connection_broke_is_told_again(broker: Broker, book: Book) -> None:
    """Cut at random moments: nothing is missing, and no event comes before an earlier one was told."""
    events = fired(2_000)
    with RecordingProxy(broker) as proxy, Peer(broker, f"{ALERT}/event") as peer:
        notifier = make(proxy, book)
        book.tell(*events)
        notifier.start()
        for reached in range(200, 2_000, 300):
            wait_until(lambda: book.delivered >= reached)  # noqa: B023 - within the turn
            proxy.cut()
        wait_until(lambda: book.delivered == 2_000)
        wait_until(lambda: len(set(ids(peer))) == 2_000)
        notifier.stop()
        assert list(dict.fromkeys(ids(peer))) == [event.event_id for event in events]
        assert notifier.connections > 1


def test_a_broker_that_forgot_what_it_had_taken_is_told_again(tmp_path: Path, book: Book) -> None:
    """The transitions of the last seconds, with their keys; and every open incident, however old."""
    if not Mosquitto.installed():
        missing("mosquitto")
    long_open, *latest = fired(3)
    other = "enginewatch/v1/plant/pump-2/alert"
    with Mosquitto(tmp_path / "broker") as server:
        notifier = make(server, book)
        notifier.start()
        book.tell(replace(long_open, stream="plant//pump-2"))
        notifier.wake()
        wait_until(lambda: book.delivered == 1)
        notifier._taken.clear()  # as if it had been long ago
        book.tell(*latest, cleared(latest[0]))
        notifier.wake()
        wait_until(lambda: book.delivered == 4)
        server.kill()
        (server.folder / "mosquitto.db").unlink(missing_ok=True)
        server.start()
        with Peer(server, "enginewatch/#") as peer:
            wait_until(lambda: len(peer.last(other) or ()) == 1 and len(peer.last(ALERT) or ()) == 1)
            assert [each["incident_id"] for each in peer.last(ALERT)] == ["i2"]
            assert [each["incident_id"] for each in peer.last(other)] == ["i0"]
        with Peer(server, f"{ALERT}/event", session="subscriber"):
            pass
        server.stop()
        server.start()
        with Peer(server, f"{ALERT}/event", session="subscriber") as peer:
            wait_until(lambda: len(ids(peer)) >= 3)
            assert ids(peer) == ["e1", "e2", "e1-cleared"]
        notifier.stop()
        assert (notifier.failed, book.delivered) == (None, 4)


def test_a_negative_puback_keeps_the_position_and_says_why(tmp_path: Path, book: Book) -> None:
    """Only MQTT 5 can refuse a publication; it is tried again, and delivered once the broker allows it."""
    if not Mosquitto.installed():
        missing("mosquitto")
    with Mosquitto(tmp_path / "broker", acl="topic read #\n") as server:
        notifier = make(server, book, protocol="5")
        notifier.start()
        book.tell(FIRED)
        notifier.wake()
        wait_until(lambda: notifier.last_error)
        assert "refuses alerts (Not authorized)" in notifier.last_error
        assert book.delivered == 0
        server.stop()
        (server.folder / "acl").write_text("topic readwrite #\n")
        server.start()
        wait_until(lambda: book.delivered == 1)
        wait_until(lambda: not notifier.last_error)
        notifier.stop()


def test_reply_is_published(broker: Broker, notifier: Notifier) -> None:
    with Peer(broker, "reply/#") as peer:
        notifier.reply("reply/1", b'{"done":true}')
        wait_until(lambda: peer.messages)
        assert peer.messages == [("reply/1", b'{"done":true}', False)]


def test_an_outbox_that_cannot_remember_costs_repeats_and_nothing_else(broker: Broker) -> None:
    """While the store cannot be written the transition is told again and again; the link lives on."""

    class Full(Book):
        full = True

        def advance(self, sink: str, position: int) -> None:
            if self.full:
                raise OutboxError("the disk is full")
            super().advance(sink, position)

    book = Full()
    notifier = make(broker, book)
    with Peer(broker, "enginewatch/#") as peer:
        notifier.start()
        book.tell(FIRED)
        notifier.wake()
        wait_until(lambda: ids(peer).count("e1") > 1)
        assert notifier.last_error == "the disk is full"
        book.full = False
        wait_until(lambda: book.delivered == 1)
        wait_until(lambda: not notifier.last_error)
    notifier.stop()
    assert notifier.failed is None


def test_switched_off_it_publishes_replies_alone(broker: Broker) -> None:
    """With notify.mqtt = false no alert leaves, and commands are still answered."""
    book = Book()
    settings = MqttSettings(host=broker.host, port=broker.port)
    notifier = Notifier(NotifySettings(mqtt=False), settings, "daemon", book)
    with Peer(broker, "enginewatch/#") as peer:
        book.tell(FIRED)
        notifier.start()
        notifier.reply("enginewatch/_monitor/main/reply", b"1")
        wait_until(lambda: peer.messages)
        notifier.stop()
        assert [topic for topic, _, _ in peer.messages] == ["enginewatch/_monitor/main/reply"]
    assert book.delivered == 0
