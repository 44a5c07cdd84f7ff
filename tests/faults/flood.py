"""A publisher that is faster than any client library: packets made in bulk, answers only counted."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.servers.brokers import Broker

LIMIT_S = 300.0
PUBACK = 4  # bytes of each
CONNACK = 4
AT_ONCE = 500  # packets handed to the kernel together


class Flood:
    """One connection. `acknowledged` counts what the broker has taken, in the order in which it was sent."""

    def __init__(self, broker: Broker, name: str = "flood", *, in_flight: int = 5_000) -> None:
        """`in_flight` messages at the most are without an answer."""
        self._broker = broker
        self._name = name.encode()
        self._in_flight = in_flight
        self._change = threading.Condition()
        self._ended = False
        self.sent = 0
        self.acknowledged = 0

    def __enter__(self) -> Self:
        self._socket = socket.create_connection((self._broker.host, self._broker.port))
        body = b"\x00\x04MQTT\x04\x02\x00\x00" + len(self._name).to_bytes(2) + self._name
        self._socket.sendall(bytes([0x10, len(body)]) + body)
        self._socket.recv(CONNACK, socket.MSG_WAITALL)
        self._reader = threading.Thread(target=self._count)
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended = True
        with contextlib.suppress(OSError):
            self._socket.sendall(b"\xe0\x00")
            self._socket.shutdown(socket.SHUT_RDWR)
        self._reader.join()
        self._socket.close()

    def publish(self, messages: Iterable[tuple[bytes, bytes]]) -> None:
        """Publish with QoS 1 what has a topic and a payload; waits where too much is without an answer."""
        made = bytearray()
        for topic, payload in messages:
            self.sent += 1
            made += _packet(topic, payload, self.sent % 65_535 + 1)
            if self.sent % AT_ONCE == 0:
                self._send(made)
        self._send(made)

    def wait(self) -> None:
        """Wait until all have their answer."""
        with self._change:
            assert self._change.wait_for(lambda: self.acknowledged >= self.sent, LIMIT_S)

    def _send(self, made: bytearray) -> None:
        with self._change:
            assert self._change.wait_for(lambda: self.sent - self.acknowledged <= self._in_flight, LIMIT_S)
        self._socket.sendall(made)
        made.clear()

    def _count(self) -> None:
        received = 0
        with contextlib.suppress(OSError):
            while data := self._socket.recv(1 << 16):
                received += len(data)
                with self._change:
                    self.acknowledged = received // PUBACK
                    self._change.notify_all()


def _packet(topic: bytes, payload: bytes, packet_id: int) -> bytes:
    body = len(topic).to_bytes(2) + topic + packet_id.to_bytes(2) + payload
    left, length = len(body), bytearray()
    while True:
        left, part = left >> 7, left & 0x7F
        length.append(part | 0x80 * (left > 0))
        if not left:
            return b"\x32" + bytes(length) + body
