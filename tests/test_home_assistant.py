"""Home Assistant's discovery: what a real broker keeps for it, and what it does not keep any more."""

from __future__ import annotations

import contextlib
import doctest
import json
import threading
from typing import TYPE_CHECKING, Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from config.notify import HomeAssistantSettings
from config.settings import MqttSettings
from monitor.channels import home_assistant as ha
from monitor.channels.home import FACT, HomeAssistant
from tests.servers.peers import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.brokers import Broker

OWN = "enginewatch/_monitor/main"
WORST = {"kind": "anomaly", "sensor": "map", "summary": "map 12 kPa below what the other sensors explain"}


def row(asset: str, *, score: float | None = 0.41234, worst: dict[str, Any] | None = None) -> dict[str, Any]:
    """Of the fleet, as far as it is told there."""
    return {"asset": asset, "class": "engine", "score": score, "incident": worst}


class Retained:
    """What a broker keeps on some topics, and what it lets go."""

    def __init__(self, broker: Broker) -> None:
        self.kept: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = self._heard
        self._client.connect(broker.host, broker.port)
        self._client.subscribe([("homeassistant/#", 1), (f"{OWN}/home/#", 1)])
        self._client.loop_start()

    def _heard(self, _client: paho.Client, _userdata: object, message: paho.MQTTMessage) -> None:
        with self._lock:
            if message.payload:
                self.kept[message.topic] = json.loads(message.payload)
            else:
                self.kept.pop(message.topic, None)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@contextlib.contextmanager
def home(
    broker: Broker, rows: list[dict[str, Any]], facts: dict[str, str], **settings: Any
) -> Iterator[HomeAssistant]:
    made = HomeAssistant(
        HomeAssistantSettings(enabled=True, **settings).model_copy(update={"every_s": 0.05}),
        MqttSettings(host=broker.host, port=broker.port),
        "daemon",
        own_topic=OWN,
        page="https://plant.example",
        look=lambda: rows,
        note=facts.update,
        noted=facts.get(FACT, ""),
    )
    made.start()
    try:
        yield made
    finally:
        made.stop()


def test_the_example_holds() -> None:
    assert doctest.testmod(ha).failed == 0


def test_an_asset_is_a_device_with_its_state_and_a_forgotten_one_is_taken_back(broker: Broker) -> None:
    """Also one that was forgotten while the daemon was away; of the canary nothing is published."""
    rows, facts = [row("plant//p1"), row("plant/hall 2/p 2"), row("_canary//main")], dict[str, str]()
    seen = Retained(broker)
    topics = [
        (ha.config_topic("homeassistant", key), ha.state_topic(OWN, key))
        for key in ("plant//p1", "plant/hall 2/p 2")
    ]
    with home(broker, rows, facts):
        wait_until(lambda: seen.kept.keys() == {*topics[0], *topics[1]}, "both devices")
        device = seen.kept[topics[0][0]]
        assert device["device"]["name"] == "p1"
        assert device["state_topic"] == topics[0][1]
        assert device["availability_topic"] == f"{OWN}/status"
        assert {each["unique_id"] for each in device["components"].values()} == {
            f"{ha.node('plant//p1')}_{name}" for name in ("problem", "score", "incident")
        }
        assert seen.kept[topics[0][1]] == {"problem": "OFF", "score": 0.412, "incident": "no incident"}
        rows[0] = row("plant//p1", score=None, worst=WORST)
        wait_until(lambda: seen.kept[topics[0][1]]["problem"] == "ON", "the problem")
        assert seen.kept[topics[0][1]] == {
            "problem": "ON",
            "score": None,
            "incident": "anomaly: map 12 kPa below what the other sensors explain",
        }
        del rows[0]
        wait_until(lambda: seen.kept.keys() == set(topics[1]), "the first to be taken back")
    rows.clear()
    with home(broker, rows, facts):
        wait_until(lambda: not seen.kept, "the second to be taken back")
        wait_until(lambda: json.loads(facts[FACT]) == {}, "nothing to be noted")
    seen.close()


def test_a_state_is_no_longer_than_home_assistant_takes() -> None:
    told = ha.state(row("plant//p1", worst=WORST | {"summary": "x" * 400}))["incident"]
    assert len(told) == 255
