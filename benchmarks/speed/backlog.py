"""A broker that holds the same backlog for several sessions, so that clients can be compared in draining it.

The messages are those of `enginewatch simulate`: telemetry of engines with fifteen sensors, QoS 1. They are
published once and queued for every session; the broker keeps nothing on disk and limits nothing, so that it is no
part of what is compared.
"""

from __future__ import annotations

import socket
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from config.settings import MqttSettings
from simulator.fleet import Fleet
from simulator.layouts import lay_out
from simulator.records import SENSORS
from tests.servers.brokers import Broker

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from simulator.layouts import Laid

FILTER = "enginewatch/v1/#"
ENGINES = 100
BEGINS = 1_767_225_600_000  # epoch ms
BOOT = "0" * 32
PIECE = 1 << 20  # bytes asked of the kernel at once
CONNECT = b"\x10\x10\x00\x04MQTT\x04\x02\x00\x00\x00\x04fill"  # MQTT 3.1.1, a clean session
CONFIGURATION = """
listener {port} {host}
allow_anonymous true
persistence false
max_queued_messages 0
max_queued_bytes 0
max_inflight_messages 0
"""


class Holding(Broker):
    """mosquitto without a disk and without limits."""

    program = "mosquitto"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._file = folder / "mosquitto.conf"
        self._file.write_text(CONFIGURATION.format(host=self.host, port=self.port))

    def command(self) -> list[str]:
        """How the server is called."""
        return [self.program, "-c", str(self._file)]

    @property
    def settings(self) -> MqttSettings:
        """What a client of ours needs to connect."""
        return MqttSettings(host=self.host, port=self.port)

    def subscribe(self, sessions: Sequence[str]) -> None:
        """Begin sessions for which the broker queues from now on, by client id; those of before are gone."""
        for name in sessions:
            for clean in (True, False):
                self._subscribe_once(name, clean=clean)

    def _subscribe_once(self, name: str, *, clean: bool) -> None:
        def leave(*_: Any) -> None:
            client.disconnect()

        client = Client(CallbackAPIVersion.VERSION2, name, clean_session=clean)
        client.on_subscribe = leave
        client.connect(self.host, self.port)
        client.subscribe(FILTER, 1)
        client.loop_forever()

    def fill(self, messages: Sequence[Laid]) -> None:
        """Publish all messages and wait until the broker has them."""
        packets = b"".join(packet(each, 1 + number % 0xFFFF) for number, each in enumerate(messages))
        with socket.create_connection((self.host, self.port)) as connection:
            connection.sendall(CONNECT + packets)
            left = 4 + 4 * len(messages)  # CONNACK and a PUBACK each have four bytes
            while left > 0:
                answered = len(connection.recv(PIECE))
                assert answered, "the broker hung up"
                left -= answered


@contextmanager
def holding() -> Iterator[Holding]:
    """A running broker in a folder of its own."""
    with TemporaryDirectory(prefix="enginewatch-speed-") as folder, Holding(Path(folder)) as broker:
        yield broker


def telemetry(count: int, engines: int = ENGINES) -> list[Laid]:
    """So many messages of a fleet, one reading of an engine each, in the order of publishing."""
    fleet = Fleet(engines, start="cold")
    block = fleet.block(-(-count // engines))
    made = []
    for tick, rows in zip(block.time.tolist(), block.shortest(), strict=True):
        for asset, row in zip(fleet.assets, rows, strict=True):
            names = {"root": "enginewatch", "site": "plant", "area": "", "asset": asset}
            values = dict(zip(SENSORS, row, strict=True))
            made += lay_out("message", names, BEGINS + tick, values, boot=BOOT, seq=tick)
    return made[:count]


def packet(message: Laid, number: int) -> bytes:
    """PUBLISH of MQTT 3.1.1 with QoS 1."""
    topic = message.topic.encode()
    body = len(topic).to_bytes(2) + topic + number.to_bytes(2) + message.payload
    length = len(body)
    lead = bytearray([0x32])
    while length >= 1 << 7:
        lead.append(length & 0x7F | 0x80)
        length >>= 7
    lead.append(length)
    return bytes(lead) + body
