"""Sparkplug B over real mosquitto: the daemon asks for births, reads aliases, and knows them after kill -9."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from monitor.payloads.sparkplug_schema import DOUBLE, Metric, decode_payload, encode_payload
from tests.rig import Daemon, until
from tests.servers.peers import Peer

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.brokers import Mosquitto

SETTINGS = """
[mqtt]
host = "{host}"
port = {port}
reconnect_min_s = 0.1
reconnect_max_s = 0.5

[[classes]]
name = "machine"
file = "asset.toml"
topics = ["spBv1.0/{{site}}/DDATA/{{area}}/{{asset}}"]
payload = "sparkplug"

[log]
format = "json"
"""
ASSET = 'period_ms = 1000\n[[sensors]]\nname = "speed"\nalias = "Motor/Speed"\n[[sensors]]\nname = "heat"\n'
NODE, DEVICE = "spBv1.0/plant/{}/line-1", "spBv1.0/plant/{}/line-1/press"


class EdgeNode:
    """A node with one device, as the specification has it."""

    def __init__(self, peer: Peer) -> None:
        self.peer, self.seq = peer, 0

    def send(self, topic: str, *metrics: Metric) -> None:
        self.peer.publish(topic, encode_payload(time.time_ns() // 1_000_000, self.seq, metrics))
        self.seq = (self.seq + 1) % 256

    def births(self) -> None:
        self.seq = 0
        self.send(NODE.format("NBIRTH"), Metric("bdSeq", None, None, 8, 0, null=False))
        named = (("Motor/Speed", 1, 800.0), ("heat", 2, 80.0))
        metrics = [Metric(name, alias, None, DOUBLE, value, null=False) for name, alias, value in named]
        self.send(DEVICE.format("DBIRTH"), *metrics)

    def data(self) -> None:
        metrics = [Metric("", alias, None, 0, 100.0 * alias, null=False) for alias in (1, 2)]
        self.send(DEVICE.format("DDATA"), *metrics)


def test_births_are_asked_for_and_remembered(tmp_path: Path, mosquitto: Mosquitto) -> None:
    (tmp_path / "asset.toml").write_text(ASSET)
    daemon = Daemon(tmp_path, SETTINGS.format(host=mosquitto.host, port=mosquitto.port))
    try:
        daemon.start()
        with Peer(mosquitto, "spBv1.0/+/NCMD/#") as peer:
            node = EdgeNode(peer)
            node.data()  # nobody knows what this is
            until(lambda: peer.messages, why="a request for a rebirth")
            topic, payload, retained = peer.messages[0]
            assert (topic, retained) == (NODE.format("NCMD"), False)
            log = [json.loads(line) for line in daemon.log.read_text().splitlines()]
            told = [line for line in log if line["event"] in {"refused", "rebirth_requested"}]
            assert [line["event"] for line in told] == ["rebirth_requested", "refused"]
            assert told[0]["topic"] == topic
            assert told[1]["reason"] == f"data before a birth certificate: may mqtt.username publish to {topic}?"
            (asked,) = decode_payload(payload).metrics
            assert (asked.name, asked.value) == ("Node Control/Rebirth", True)

            node.births()
            node.data()
            until(lambda: daemon.accounted() == 5, why="the refused message, two of the birth, two of the data")
            daemon.kill()
            daemon.start()
            node.data()
            until(lambda: daemon.accounted() == 7, why="two more")
            assert daemon.books()["outcomes"]["dead_letter"] == 1
            assert len(peer.messages) == 1, "what it knew needs no other birth"
        daemon.stop()
    finally:
        daemon.close()
