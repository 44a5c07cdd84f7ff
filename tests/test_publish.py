"""Publishing: every reading once but for MQTT's own repeats, counted when the broker has taken it."""

from __future__ import annotations

import json
import math
import threading
import time
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from config.settings import MqttSettings
from simulator import publish
from simulator.publish import Publisher, PublishError
from tests.servers import free_port, missing
from tests.servers.brokers import Mosquitto, Nats
from tests.servers.peers import Peer, RecordingProxy, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.brokers import Broker

TELEMETRY = "enginewatch/v1/site/pump/telemetry"


@contextmanager
def publishing(broker: Any, *, in_flight: int = 1000, spool_s: float = 0.0, **other: Any) -> Iterator[Publisher]:
    fast = {"host": broker.host, "port": broker.port, "reconnect_min_s": 0.01, "reconnect_max_s": 0.05}
    settings = MqttSettings(**{**fast, **other})
    publisher = Publisher(settings, "publisher", site="site", in_flight=in_flight, spool_s=spool_s)
    publisher.start()
    try:
        yield publisher
    finally:
        publisher.stop()
        assert publisher.failed is None


def numbers(peer: Peer) -> list[int]:
    return [json.loads(payload)["seq"] for topic, payload, _ in peer.messages if topic == TELEMETRY]


def test_readings_are_numbered_and_counted(broker: Broker) -> None:
    """A NaN is neither sent nor counted; each asset has numbers of its own, all have one boot."""
    with Peer(broker, "enginewatch/#") as peer, publishing(broker) as publisher:
        publisher.send("pump", 1_000, {"a": 1.5, "b": math.nan})
        publisher.send("pump", 2_000, {"a": 2.5, "b": 3.5})
        publisher.send("fan", 2_000, {"a": 4.5, "b": 5.5})
        assert publisher.wait_delivered()
        counters = publisher.counters
        assert (counters.messages, counters.values) == (3, 5)
        assert (counters.acknowledged_messages, counters.acknowledged_values) == (3, 5)
        wait_until(lambda: len(numbers(peer)) == 2 and peer.last("enginewatch/v1/site/fan/telemetry"))
        last = peer.last(TELEMETRY)
        assert (last["ts"], last["seq"], last["values"]) == (2_000, 2, {"a": 2.5, "b": 3.5})
        fan = peer.last("enginewatch/v1/site/fan/telemetry")
        assert (fan["seq"], fan["boot"]) == (1, last["boot"])
        assert not any(retained for topic, _, retained in peer.messages if topic == TELEMETRY)


def test_meta_and_status_are_retained(broker: Broker) -> None:
    with publishing(broker) as publisher:
        publisher.announce("pump", {"a": "kPa", "b": ""}, 500)
        assert publisher.wait_delivered()
        with Peer(broker, "enginewatch/v1/#") as peer:
            wait_until(lambda: len(peer.messages) == 2)
            assert all(retained for _, _, retained in peer.messages)
            meta = peer.last("enginewatch/v1/site/pump/meta")
            assert meta == {"v": 1, "period_ms": 500, "sensors": {"a": {"unit": "kPa"}, "b": {"unit": ""}}}
            assert peer.last("enginewatch/v1/site/pump/status")["online"] is True
            publisher.retire("pump")
            wait_until(lambda: peer.last("enginewatch/v1/site/pump/status").get("reason") == "shutdown")
        assert publisher.counters.messages == 0


def test_own_status_tells_a_goodbye_from_a_death(broker: Broker) -> None:
    own = "enginewatch/_publisher/publisher/status"
    with RecordingProxy(broker) as proxy, Peer(broker, own) as peer:
        with publishing(proxy, reconnect_min_s=20.0, reconnect_max_s=20.0):
            wait_until(lambda: (peer.last(own) or {}).get("online"))
            proxy.cut()
            wait_until(lambda: not peer.last(own)["online"])
            assert "reason" not in peer.last(own)
        with publishing(broker):
            wait_until(lambda: peer.last(own)["online"])
        # The goodbye is told to who listens; the retained word is taken back, and nothing stays at the broker.
        wait_until(lambda: [payload for _, payload, _ in peer.messages[-2:]][1:] == [b""])
        assert json.loads(peer.messages[-2][1])["reason"] == "shutdown"


def test_nothing_is_missing_after_cut_connections(broker: Broker) -> None:
    """Cut while sending: every number arrives, and in order but for repeats."""
    with RecordingProxy(broker) as proxy, Peer(broker, "enginewatch/#") as peer:
        with publishing(proxy, in_flight=50) as publisher:
            for number in range(3_000):
                publisher.send("pump", number, {"a": 1.0})
                if number % 500 == 250:
                    proxy.cut()
            assert publisher.wait_delivered(30.0)
            assert publisher.counters.acknowledged_messages == publisher.counters.messages == 3_000
            assert publisher.connections > 1
        wait_until(lambda: len(set(numbers(peer))) == 3_000)
        assert list(dict.fromkeys(numbers(peer))) == list(range(1, 3_001))
        assert [said[0] for said in proxy.said] == [0x10] * len(proxy.said)


def test_in_flight_is_bounded_while_the_broker_is_away(broker: Broker) -> None:
    """`send` waits; when the broker is back the waiting ends."""
    with publishing(broker, in_flight=10) as publisher:
        publisher.wait_connected()
        broker.stop()
        wait_until(lambda: not publisher.connected)

        def send_all() -> None:
            for number in range(25):
                publisher.send("pump", number, {"a": 1.0})

        sender = threading.Thread(target=send_all)
        sender.start()
        wait_until(lambda: publisher._outstanding == 10)
        assert not publisher.wait_room(0.05)
        assert sender.is_alive()
        broker.start()
        sender.join()
        assert publisher.wait_delivered(30.0)
        assert publisher.counters.acknowledged_messages == 25


def test_a_refused_publication_is_not_counted_as_taken(tmp_path: Path) -> None:
    """MQTT 5 lets the broker say no."""
    if not Mosquitto.installed():
        missing("mosquitto")
    with (
        Mosquitto(tmp_path / "broker", acl="topic enginewatch/_publisher/#\ntopic read #\n") as server,
        publishing(server, protocol="5") as publisher,
    ):
        publisher.send("pump", 1, {"a": 1.0})
        assert publisher.wait_delivered(30.0)
        counters = publisher.counters
        assert (counters.messages, counters.acknowledged_messages, counters.refused_messages) == (1, 0, 1)


def test_first_connection_fails_with_the_reason() -> None:
    class Nobody:
        host, port = "127.0.0.1", free_port()

    with publishing(Nobody) as publisher, pytest.raises(PublishError, match="nobody listens"):
        publisher.wait_connected()


def test_sending_after_the_end_is_refused(broker: Broker) -> None:
    with publishing(broker) as publisher:
        publisher.wait_connected()
    with pytest.raises(PublishError):
        publisher.send("pump", 1, {"a": 1.0})


LONG = 3600.0  # nothing in a test is older


@pytest.fixture
def forgetful(tmp_path: Path) -> Iterator[Mosquitto]:
    """A mosquitto that saves when it ends in order, and never before; a session called "later" waits in it."""
    if not Mosquitto.installed():
        missing("mosquitto")
    with Mosquitto(tmp_path / "broker", lines=("autosave_interval 100000",)) as server:
        with Peer(server, "enginewatch/v1/#", session="later"):
            pass
        server.stop()
        server.start()
        yield server


def send(publisher: Publisher, numbers: range) -> None:
    for number in numbers:
        publisher.send("pump", number, {"a": float(number), "b": 1.0})


def reconnected(publisher: Publisher, connections: int) -> None:
    wait_until(lambda: publisher.connections > connections and publisher._up)  # by then what comes again is queued
    assert publisher.wait_delivered(30.0)


def parcels(peer: Peer) -> list[dict[str, Any]]:
    """The telemetry that arrived, in order."""
    return [json.loads(payload) for topic, payload, _ in peer.messages if topic == TELEMETRY]


@pytest.mark.parametrize(("spool_s", "kept"), [(0.0, []), (LONG, [*range(1, 501)])])
def test_the_spool_replaces_what_a_killed_broker_had_acknowledged(
    forgetful: Mosquitto, spool_s: float, kept: list[int]
) -> None:
    """All 500 have their PUBACK and die with the broker: without a spool for ever, with it they come again."""
    with publishing(forgetful, spool_s=spool_s) as publisher:
        send(publisher, range(500))
        assert publisher.wait_delivered(30.0)
        assert publisher.counters.acknowledged_messages == 500
        forgetful.kill()
        forgetful.start()
        reconnected(publisher, 1)
        publisher.send("pump", 500, {"a": 1.0})
        assert publisher.wait_delivered(30.0)
        counters = publisher.counters
        assert (counters.messages, counters.values) == (501, 1001)
        assert (counters.acknowledged_messages, counters.acknowledged_values) == (501, 1001)
        assert (counters.resent_messages, counters.resent_values) == (len(kept), 2 * len(kept))
        assert (counters.refused_messages, counters.unspooled_messages) == (0, 0)
        with Peer(forgetful, "enginewatch/v1/#", session="later") as peer:
            wait_until(lambda: 501 in numbers(peer))
            assert numbers(peer) == [*kept, 501]


def test_nothing_is_missing_when_the_broker_is_killed_under_load(forgetful: Mosquitto) -> None:
    """Three times, with messages acknowledged, in flight and queued: all arrive, in order but for the repeats."""
    with publishing(forgetful, in_flight=50, spool_s=LONG) as publisher:
        sender = threading.Thread(target=send, args=(publisher, range(6_000)))
        sender.start()
        for kill in range(1, 4):
            wait_until(lambda: publisher.counters.messages > 1_500 * kill)  # noqa: B023 - called at once
            forgetful.kill()
            forgetful.start()
        sender.join()
        assert publisher.wait_delivered(30.0)
        assert publisher.counters.acknowledged_messages == publisher.counters.messages == 6_000
        assert publisher.counters.resent_messages > 4_500
        with Peer(forgetful, "enginewatch/v1/#", session="later") as peer:
            wait_until(lambda: 6_000 in numbers(peer))
            assert list(dict.fromkeys(numbers(peer))) == list(range(1, 6_001))


def test_a_repeat_is_the_same_message(each_broker: Broker) -> None:
    """Where the broker lost nothing, a subscriber gets each twice: same bytes, first all of the one, then more.

    nats-server may send the first of them again later, behind newer ones, when a subscriber has just come back.
    """
    with publishing(each_broker, spool_s=LONG) as publisher:
        with Peer(each_broker, "enginewatch/v1/#", session="later"):
            pass
        send(publisher, range(100))
        assert publisher.wait_delivered(30.0)
        each_broker.stop()
        each_broker.start()
        reconnected(publisher, 1)
        with Peer(each_broker, "enginewatch/v1/#", session="later") as peer:
            wait_until(lambda: len(numbers(peer)) == 200)
            came = parcels(peer)
            if isinstance(each_broker, Nats):
                came.sort(key=lambda parcel: parcel["seq"])  # stable: both of one stand beside each other
                came = came[::2] + came[1::2]
            first, second = came[:100], came[100:]
            assert first == second
            assert [parcel["seq"] for parcel in first] == list(range(1, 101))
            assert len({parcel["boot"] for parcel in first}) == 1


def test_retained_messages_come_again_too(forgetful: Mosquitto) -> None:
    """A broker that lost them would know of no asset; and the last status is the one that stays."""
    with publishing(forgetful, spool_s=LONG) as publisher:
        publisher.announce("pump", {"a": "kPa"}, 500)
        publisher.retire("pump")
        assert publisher.wait_delivered(30.0)
        forgetful.kill()
        forgetful.start()
        reconnected(publisher, 1)
        assert publisher.counters.resent_messages == 0
        with Peer(forgetful, "enginewatch/v1/#") as peer:
            wait_until(lambda: len(peer.messages) == 2)
            assert peer.last("enginewatch/v1/site/pump/status")["online"] is False
            assert peer.last("enginewatch/v1/site/pump/meta")["period_ms"] == 500


def test_what_was_acknowledged_long_before_is_not_sent_again(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Age counts up to when the broker was last heard, however long it is away then."""
    shift = [0.0]  # what the publisher's clock differs from the time at which the connection breaks
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + shift[0], time_ns=time.time_ns)
    monkeypatch.setattr(publish, "time", clock)
    with publishing(broker, spool_s=100.0) as publisher:
        for shift[0] in (-190.0, -80.0, -10.0):
            send(publisher, range(3))
            assert publisher.wait_delivered(30.0)
        broker.stop()
        wait_until(lambda: not publisher.connected)
        shift[0] = 1000.0
        broker.start()
        reconnected(publisher, 1)
        assert publisher.counters.resent_messages == 6


def test_the_spool_is_bounded_and_tells_what_it_let_go(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish, "SPOOL_LIMIT", 30)
    with RecordingProxy(broker) as proxy, publishing(proxy, spool_s=LONG) as publisher:
        send(publisher, range(100))
        assert publisher.wait_delivered(30.0)
        assert publisher.counters.unspooled_messages == 70
        proxy.cut()
        reconnected(publisher, 1)
        assert publisher.counters.resent_messages == 30
