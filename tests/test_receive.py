"""Receiving: nothing that the broker took is lost, and only what came back through `acknowledge` is confirmed."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from pydantic import SecretStr

from config.settings import MqttSettings, TlsSettings
from monitor import mqtt_client
from monitor.receive import Delivery
from simulator.publish import Publisher
from tests.ear import STATUS, listening, numbered, started
from tests.faults.proxy import Proxy
from tests.servers import missing
from tests.servers.brokers import Mosquitto, Nats, make_certificates
from tests.servers.peers import Peer, RecordingProxy, ScriptedBroker, publish_packet, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.brokers import Broker

QUICK_S = 1  # a keep-alive for tests; the settings allow 5 s at the least


def test_what_was_queued_meanwhile_arrives_after_a_restart(each_broker: Broker) -> None:
    """The same client id finds its session and, in order, what came while it was away."""
    with listening(each_broker):
        pass
    with Peer(each_broker) as peer:
        peer.publish_all("t/1", numbered(300))
    with listening(each_broker, expect_session=True) as ear:
        assert ear.payloads(300) == numbered(300)
        assert ear.lost_sessions == 0
        assert ear.receiver.counters.received == 300


def test_session_is_kept_with_version_5(mosquitto: Mosquitto) -> None:
    """There the broker must be asked to keep it."""
    with listening(mosquitto, protocol="5"):
        pass
    with Peer(mosquitto) as peer:
        peer.publish_all("t/1", numbered(30))
    with listening(mosquitto, expect_session=True, protocol="5") as ear:
        assert ear.payloads(30) == numbered(30)
        assert ear.lost_sessions == 0


def test_a_session_forgets_what_is_given_up(each_broker: Broker) -> None:
    """Else what the settings no longer name would come for ever."""
    with listening(each_broker, subscriptions=("t/#", "old/#")):
        pass
    with listening(each_broker, expect_session=True, given_up=("old/#",)) as ear, Peer(each_broker) as peer:
        peer.publish_all("old/1", numbered(3))
        peer.publish_all("t/1", numbered(3))
        assert ear.payloads(3) == numbered(3)
        assert ear.receiver.counters.received == 3


def test_everything_arrives_over_tls(tmp_path: Path) -> None:
    """OpenSSL keeps decrypted bytes of which the socket does not tell; none may stay there."""
    if not Mosquitto.installed():
        missing("mosquitto")
    certificates = make_certificates(tmp_path / "tls")
    tls = TlsSettings(enabled=True, ca_file=certificates.ca_file)
    with Mosquitto(tmp_path / "broker", tls=certificates) as server:
        server.host = "localhost"
        chosen = MqttSettings(host="localhost", port=server.port, tls=tls)
        publisher = Publisher(chosen, "publisher", site="site")
        with listening(server, subscriptions=("enginewatch/v1/#",), tls=tls) as ear:
            publisher.start()
            for number in range(2_000):
                publisher.send("pump", number, {"a": 1.0})
            found = [json.loads(payload)["ts"] for payload in ear.payloads(2_000)]
            assert found == list(range(2_000))
            publisher.stop()


def test_only_the_acknowledged_is_not_sent_again(each_broker: Broker) -> None:
    with listening(each_broker) as ear, Peer(each_broker) as peer:
        peer.publish_all("t/1", numbered(10))
        assert ear.payloads(10) == numbered(10)
        peer.publish_all("t/1", numbered(10, 10))
        assert [message.payload for message in ear.gather(10).messages] == numbered(10, 10)
    with listening(each_broker, expect_session=True) as ear:
        assert sorted(ear.payloads(10)) == numbered(10, 10)
        assert ear.receiver.take(0.2).messages == []


def test_survives_a_killed_broker(each_broker: Broker) -> None:
    """The loss is told, the return too, and what is published then arrives."""
    with listening(each_broker) as ear:
        wait_until(lambda: ear.receiver.connected)
        each_broker.kill()
        wait_until(lambda: not ear.listens(), "the loss")
        each_broker.start()
        wait_until(ear.listens, "listening again")
        with Peer(each_broker) as peer:
            peer.publish_all("t/1", numbered(3))
        assert ear.payloads(3) == numbered(3)
        assert ear.receiver.counters.reconnects == 1
        assert all(reason for ok, reason in ear.told if not ok)


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_the_unacknowledged_comes_again_after_the_broker_restarts(how: str, tmp_path: Path) -> None:
    """Tokens of before the restart acknowledge nothing after it.

    mosquitto stops in order, because it forgets on a kill what was on its way to a client; nats-server does not.
    """
    kind: type[Mosquitto | Nats] = Mosquitto if how == "stop" else Nats
    if not kind.installed():
        missing(kind.program)
    with kind(tmp_path / "broker") as server, listening(server) as ear, Peer(server) as peer:
        peer.publish_all("t/1", numbered(10))
        tokens = ear.gather(10).tokens
        getattr(server, how)()
        wait_until(lambda: not ear.listens(), "the loss")
        ear.receiver.acknowledge(tokens)
        server.start()
        assert sorted(ear.payloads(10)) == numbered(10)
        assert ear.receiver.counters.stale_acks == 10
        assert ear.lost_sessions == 0


def test_may_start_before_the_broker(tmp_path: Path) -> None:
    """Each new reason is told once, however many attempts fail."""
    if not Mosquitto.installed():
        missing("mosquitto")
    server = Mosquitto(tmp_path / "broker")
    with started(server) as ear:
        wait_until(lambda: ear.told)
        ear.receiver.take(0.3)  # some more attempts
        assert len(ear.told) == 1
        assert "nobody listens" in ear.told[0][1]
        with server:
            wait_until(ear.listens)
            assert len(ear.told) == 2
            ear.receiver.stop()


def test_connect_comes_first_whatever_is_acknowledged_meanwhile(each_broker: Broker) -> None:
    """Acknowledgements handed in while the connection is broken never reach the next one."""
    with RecordingProxy(each_broker) as proxy, listening(proxy) as ear, Peer(each_broker) as peer:
        for _ in range(5):
            made = ear.receiver.connections
            peer.publish_all("t/1", numbered(20))
            delivery = ear.receiver.take(5.0)
            proxy.cut()
            for token in delivery.tokens:
                ear.receiver.acknowledge([token])
            wait_until(lambda: ear.receiver.connections > made and ear.listens())  # noqa: B023 - within the turn
        assert [said[0] for said in proxy.said] == [0x10] * len(proxy.said)
        assert len(proxy.said) >= 6
    assert ear.receiver.failed is None


def test_a_forgotten_session_is_reported(tmp_path: Path) -> None:
    """By an earlier run (told by `expect_session`), and within a run; a first start is no loss."""
    if not Mosquitto.installed():
        missing("mosquitto")
    with Mosquitto(tmp_path / "broker") as server:
        with listening(server) as ear:
            assert ear.lost_sessions == 0
            server.kill()
            (server.folder / "mosquitto.db").unlink(missing_ok=True)
            server.start()
            wait_until(lambda: ear.receiver.connections == 2)
            wait_until(lambda: ear.lost_sessions == 1)
        server.kill()
        (server.folder / "mosquitto.db").unlink(missing_ok=True)
        server.start()
        with listening(server, expect_session=True) as ear:
            assert ear.lost_sessions == 1


def test_status_is_retained_and_says_how_the_receiver_ended(broker: Broker) -> None:
    with RecordingProxy(broker) as proxy, Peer(broker, "enginewatch/#") as peer:
        with listening(proxy, reconnect_min_s=20.0, reconnect_max_s=20.0):
            wait_until(lambda: (peer.last(STATUS) or {}).get("online") is True)
            proxy.cut()  # the broker publishes the last will
            wait_until(lambda: peer.last(STATUS) == {"online": False})
        with listening(broker):
            wait_until(lambda: peer.last(STATUS)["online"] is True)
        wait_until(lambda: peer.last(STATUS).get("reason") == "shutdown")
    with Peer(broker, "enginewatch/#") as late:
        wait_until(lambda: late.messages)
        assert late.messages[0][2]
        assert late.last(STATUS)["online"] is False


def test_topic_that_is_not_utf8_arrives_as_bytes() -> None:
    """Real brokers refuse such a topic, so a scripted one sends it; the message after it is unharmed."""
    packets = publish_packet(b"t/\xff\xfe", b"odd", 1) + publish_packet(b"t/fine", b"even", 2)
    with ScriptedBroker(then=packets) as server, listening(server) as ear:
        messages = ear.gather(2).messages
        assert [message.topic for message in messages] == [b"t/\xff\xfe", b"t/fine"]
        assert [message.payload for message in messages] == [b"odd", b"even"]


def test_tokens_acknowledge_the_packets_that_came() -> None:
    packets = publish_packet(b"t/1", b"one", 7) + publish_packet(b"t/2", b"two", 300)
    with ScriptedBroker(then=packets) as server, listening(server) as ear:
        ear.payloads(2)
        wait_until(lambda: len([body for kind, body in server.packets if kind == 4]) == 2)
        assert [body for kind, body in server.packets if kind == 4] == [b"\x00\x07", b"\x01\x2c"]


def test_messages_and_other_packets_of_one_piece_are_all_heard() -> None:
    """A PINGRESP among them, a message at most once, one as long as several pieces; each in its place."""
    long = b"l" * 300_000
    body = b"\x00\x03t/4" + b"\x00\x09" + long
    packets = [
        publish_packet(b"t/1", b"one", 7),
        b"\xd0\x00",
        b"\x30\x08\x00\x03t/2two",
        publish_packet(b"t/3", b"three", 8),
        b"\x32" + bytes([len(body) & 127 | 128, len(body) >> 7 & 127 | 128, len(body) >> 14]) + body,
        publish_packet(b"t/5", b"five", 10),
    ]
    with ScriptedBroker(then=b"".join(packets)) as server, listening(server) as ear:
        delivery = ear.gather(5)
        assert [each.topic for each in delivery.messages] == [b"t/1", b"t/2", b"t/3", b"t/4", b"t/5"]
        assert [each.payload for each in delivery.messages] == [b"one", b"two", b"three", long, b"five"]
        ear.receiver.acknowledge(delivery.tokens)
        wait_until(lambda: len([body for kind, body in server.packets if kind == 4]) == 4)
        acknowledged = [body for kind, body in server.packets if kind == 4]
        assert acknowledged == [b"\x00\x07", b"\x00\x08", b"\x00\x09", b"\x00\x0a"]


def test_messages_of_version_5_have_properties(mosquitto: Mosquitto) -> None:
    """Of the publisher's, in any number; they are no part of the payload."""
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho left it untyped
    properties.UserProperty = [("plant", "n" * 100), ("line", "2")]
    with listening(mosquitto, protocol="5") as ear:
        client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        client.connect(mosquitto.host, mosquitto.port)
        client.loop_start()
        for number, given in enumerate([None, properties, None]):
            client.publish("t/1", b"%d" % number, 1, properties=given).wait_for_publish(30)
        assert ear.payloads(3) == numbered(3)
        client.disconnect()
        client.loop_stop()


def test_acknowledgements_wait_while_the_broker_does_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """None is lost, and they leave in their order."""
    packets = publish_packet(b"t/1", b"one", 7) + publish_packet(b"t/2", b"two", 8)
    with ScriptedBroker(then=packets) as server, listening(server) as ear:
        tokens = ear.gather(2).tokens
        wait_until(lambda: not ear.receiver._socket.unsent)
        monkeypatch.setattr(mqtt_client, "UNSENT_LIMIT", 0)  # no byte more is taken
        for token in tokens:
            ear.receiver.acknowledge([token])
            time.sleep(0.05)
        assert 4 not in [kind for kind, _ in server.packets]
        monkeypatch.undo()
        ear.receiver.wake()
        wait_until(lambda: len([body for kind, body in server.packets if kind == 4]) == 2)
        assert [body for kind, body in server.packets if kind == 4] == [b"\x00\x07", b"\x00\x08"]
        assert ear.receiver.counters.stale_acks == 0


def test_payload_of_10_mb_is_cut_and_its_size_told(broker: Broker) -> None:
    """nats-server refuses payloads over 1 MB by itself, so this one is mosquitto's."""
    if not isinstance(broker, Mosquitto):
        pytest.skip("needs mosquitto")
    payload = bytes(range(256)) * 40_960
    with listening(broker) as ear, Peer(broker) as peer:
        peer.publish("t/1", payload)
        peer.publish("t/1", b"")
        peer.publish("t/1", b"at most once", qos=0)
        messages, tokens = (gathered := ear.gather(3)).messages, gathered.tokens
        assert (messages[0].payload, messages[0].size) == (payload[:1024], 10_485_760)
        assert (messages[1].payload, messages[1].size) == (b"", 0)
        assert messages[2].payload == b"at most once"
        assert len(tokens) == 2


def test_byte_cap_leaves_the_rest_with_the_broker(broker: Broker) -> None:
    """With nobody taking, memory holds the cap and one message more; then everything comes, in order."""
    cap, size = 1 << 16, 10_000
    payloads = [b"%04d" % number + bytes(size - 4) for number in range(60)]
    with listening(broker, max_pending_bytes=cap, max_payload_bytes=cap) as ear, Peer(broker) as peer:
        peer.publish_all("t/1", payloads)
        wait_until(lambda: ear.receiver._pending.size >= cap)
        assert ear.receiver._pending.size < cap + size + 1000
        assert ear.receiver.counters.received < 60
        assert ear.payloads(60) == payloads


def test_pause_holds_and_resume_goes_on(broker: Broker) -> None:
    with listening(broker) as ear, Peer(broker) as peer:
        ear.receiver.pause(True)
        peer.publish_all("t/1", numbered(5))
        early = [message.payload for message in ear.receiver.take(0.2).messages]
        assert len(early) <= 1  # the one that was being read as the pause came
        ear.receiver.pause(False)
        assert early + ear.payloads(5 - len(early)) == numbered(5)


def test_a_pause_longer_than_the_keep_alive_costs_no_connection(broker: Broker) -> None:
    """Nothing is read meanwhile, also no answer to a ping; both sides know that this is no death."""
    with started(broker, keepalive_s=QUICK_S) as ear, Peer(broker) as peer:
        wait_until(ear.listens)
        ear.receiver.pause(True)
        peer.publish_all("t/1", numbered(5))
        time.sleep(3 * QUICK_S)
        assert ear.listens()
        ear.receiver.pause(False)
        assert ear.payloads(5) == numbered(5)
        assert ear.receiver.connections == 1


def test_a_connection_that_breaks_in_a_pause_comes_back_after_it(broker: Broker) -> None:
    """The broker holds everything meanwhile, and no attempt to connect is made before there is room again."""
    with RecordingProxy(broker) as proxy, started(proxy, keepalive_s=QUICK_S) as ear, Peer(broker) as peer:
        wait_until(ear.listens)
        ear.receiver.pause(True)
        proxy.cut()
        peer.publish_all("t/1", numbered(5))
        wait_until(lambda: not ear.listens())
        assert "paused" in ear.told[-1][1]
        assert ear.receiver.connections == 1
        ear.receiver.pause(False)
        assert ear.payloads(5) == numbered(5)


def test_a_broker_that_vanished_is_given_up(broker: Broker) -> None:
    """It takes what is sent and never answers; nobody ends the connection."""
    with Proxy(broker.host, broker.port) as proxy, started(proxy, keepalive_s=QUICK_S) as ear:
        wait_until(ear.listens)
        time.sleep(2 * QUICK_S)
        assert ear.receiver.connections == 1  # it is silent, and answers when it is asked
        proxy.hang_open()
        wait_until(lambda: ear.receiver.connections == 2 and ear.listens())
        assert ear.told[1] == (False, f"the broker was silent for longer than mqtt.keepalive_s ({QUICK_S} s)")


def test_a_thousand_unacknowledged_of_one_subscription_hold_no_other_back(tmp_path: Path) -> None:
    """nats-server lets fall what a session cannot take, so ours is called with a wider window than its own."""
    if not Nats.installed():
        missing("nats-server")
    with (
        Nats(tmp_path / "nats", ack_wait="60s") as server,
        listening(server, subscriptions=("t/+/telemetry", "t/+/status")) as ear,
        Peer(server) as peer,
    ):
        peer.publish_all("t/1/telemetry", numbered(1_100))
        peer.publish("t/1/status", b"online")
        delivery = ear.gather(1_101)
        assert [message.payload for message in delivery.messages] == [*numbered(1_100), b"online"]
        ear.receiver.acknowledge(delivery.tokens)


def test_refused_subscription_is_told(tmp_path: Path) -> None:
    if not Nats.installed():
        missing("nats-server")
    rules = {"subscribe": {"deny": ["t.>"]}}
    guarded = {"users": [{"user": "ann", "password": "x", "permissions": rules}]}
    with (
        Nats(tmp_path / "nats", authorization=guarded) as server,
        started(server, username="ann", password=SecretStr("x")) as ear,
    ):
        wait_until(lambda: ear.told)
        assert ear.told[0] == (
            False,
            "the broker refuses the subscription to t/#: allow it for mqtt.username in the broker's ACL",
        )


def test_a_failing_callback_stops_the_receiver_loudly(broker: Broker) -> None:
    """`failed` is set and whoever waits in `take` is let go."""

    def fail(*_: object) -> None:
        raise RuntimeError("a caller's mistake")

    with listening(broker) as ear:
        ear.receiver._on_listening = fail
        broker.kill()
        assert ear.receiver.take(20.0) == Delivery([], [])
        assert isinstance(ear.receiver.failed, RuntimeError)
