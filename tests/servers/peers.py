"""The other ends of a connection: a plain paho client, a proxy that pulls cables, a broker that misbehaves."""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
import threading
import time
from typing import TYPE_CHECKING, Any, Self

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from paho.mqtt.client import MQTTMessage

    from tests.servers.brokers import Broker

LIMIT_S = 30.0
_numbers = itertools.count()


def wait_until(condition: Callable[[], Any], what: str = "the expected") -> None:
    """Wait until a condition holds; the limit only ends a test that has failed."""
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen"
        time.sleep(0.005)


class Peer:
    """A plain client beside the code under test: publishes, and gathers what it subscribed to.

    With a `session` the broker keeps for it what comes while it is away.
    """

    def __init__(self, broker: Broker, topic_filter: str = "", *, session: str = "") -> None:
        self.messages: list[tuple[str, bytes, bool]] = []  # topic, payload, retained
        self.subscribed = 0  # times; once a connection
        self._ready = threading.Event()
        self._filter = topic_filter
        self._broker = broker
        name = session or f"peer-{next(_numbers)}"
        self._client = Client(CallbackAPIVersion.VERSION2, name, clean_session=not session)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message

    def __enter__(self) -> Self:
        self._client.connect(self._broker.host, self._broker.port)
        self._client.loop_start()
        assert self._ready.wait(LIMIT_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _on_connect(self, client: Client, *_: Any) -> None:
        if self._filter:
            client.subscribe(self._filter, 1)
        else:
            self._ready.set()

    def _on_subscribe(self, *_: Any) -> None:
        self.subscribed += 1
        self._ready.set()

    def _on_message(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        self.messages.append((message.topic, bytes(message.payload), message.retain))

    def publish(self, topic: str, payload: bytes, *, retain: bool = False, qos: int = 1) -> None:
        """Publish and wait for the PUBACK."""
        self._client.publish(topic, payload, qos, retain).wait_for_publish(LIMIT_S)

    def publish_all(self, topic: str, payloads: Sequence[bytes]) -> None:
        """Publish many and wait for the PUBACK of each."""
        self.publish_each([(topic, payload) for payload in payloads])

    def publish_each(self, messages: Sequence[tuple[str, bytes]]) -> None:
        """The same of many topics."""
        for sent in [self._client.publish(topic, payload, 1) for topic, payload in messages]:
            sent.wait_for_publish(LIMIT_S)

    def last(self, topic: str) -> Any:
        """The newest payload of a topic as JSON; None where there is none yet."""
        found = [payload for name, payload, _ in self.messages if name == topic]
        return json.loads(found[-1]) if found else None


class _Server:
    """Takes connections on a loopback port and gives each a thread."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host: str = "127.0.0.1"
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """Break all connections."""
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._open.clear()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._open.append(connection)
                threading.Thread(target=self._guarded, args=(connection,), daemon=True).start()

    def _guarded(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            self.serve(connection)

    def serve(self, connection: socket.socket) -> None:
        raise NotImplementedError


class RecordingProxy(_Server):
    """Stands between a client and a broker and keeps what the client said on each connection."""

    def __init__(self, broker: Broker) -> None:
        super().__init__()
        self._broker = broker
        self.said: list[bytearray] = []  # one a connection

    def serve(self, connection: socket.socket) -> None:
        with socket.create_connection((self._broker.host, self._broker.port)) as onward:
            self._open.append(onward)
            said = bytearray()
            self.said.append(said)
            back = threading.Thread(target=_copy, args=(onward, connection), daemon=True)
            back.start()
            _copy(connection, onward, said)
            back.join()


def _copy(source: socket.socket, target: socket.socket, kept: bytearray | None = None) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            if kept is not None:
                kept += data
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


class ScriptedBroker(_Server):
    """Says what no real broker can be brought to say. `answer` is the CONNACK, `then` follows a subscription."""

    def __init__(self, *, answer: bytes = b"\x20\x02\x00\x00", then: bytes = b"") -> None:
        super().__init__()
        self._answer = answer
        self._then = then
        self.packets: list[tuple[int, bytes]] = []  # type and body

    def serve(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as stream:
            while first := stream.read(1):
                length = shift = 0
                while (byte := stream.read(1)[0]) & 0x80:
                    length |= (byte & 0x7F) << shift
                    shift += 7
                body = stream.read(length | byte << shift)
                self.packets.append((first[0] >> 4, body))
                match first[0] >> 4:
                    case 1:
                        connection.sendall(self._answer)
                    case 3:
                        topic_end = 2 + int.from_bytes(body[:2])
                        connection.sendall(b"\x40\x02" + body[topic_end : topic_end + 2])
                    case 8:
                        connection.sendall(b"\x90\x03" + body[:2] + b"\x01" + self._then)
                    case 12:
                        connection.sendall(b"\xd0\x00")


def publish_packet(topic: bytes, payload: bytes, packet_id: int) -> bytes:
    """A PUBLISH of MQTT 3.1.1 with QoS 1, for bodies of up to 127 bytes."""
    body = len(topic).to_bytes(2) + topic + packet_id.to_bytes(2) + payload
    assert len(body) < 128
    return bytes([0x32, len(body)]) + body
