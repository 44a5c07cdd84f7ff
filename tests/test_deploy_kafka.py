"""deploy/kafka: each file is read, passes on what the daemon would subscribe to, and makes records that decode.

No bridge is run here: what one does with a setting stands beside it, by its documentation or its source. The
nats-server is real.
"""

from __future__ import annotations

import base64
import json
import re
import socket
import tomllib
import xml.etree.ElementTree as ET
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion
from ruamel.yaml import YAML

from config.fleet import FleetSettings
from config.settings import MqttSettings
from monitor.broker import write_settings
from monitor.decode import TELEMETRY_TOPIC, ClassRoute, Decoder, beside_templates, subscription
from monitor.records import Message
from tests.line_samples import START
from tests.servers import free_port, missing
from tests.servers.brokers import Nats

if TYPE_CHECKING:
    from collections.abc import Callable

FOLDER = Path(__file__).parents[1] / "deploy" / "kafka"
ROOT = MqttSettings().root
FLEET = FleetSettings()
TOPIC = f"{ROOT}/v1/north/pump.7/telemetry"
PAYLOAD = b'{"v":1,"ts":%d,"values":{"load":0.5}}\n' % START
FILTERS = {subscription(each, ROOT) for each in (TELEMETRY_TOPIC, *beside_templates(TELEMETRY_TOPIC))}
_YAML = YAML(typ="safe")

Record = tuple[bytes, bytes]  # key and value


def _yaml(name: str) -> Any:
    return _YAML.load(FOLDER / name)


def _emqx(topic: str, payload: bytes) -> Record:
    """Templates are filled with what the rule selects; a payload stays bytes."""
    found = _yaml("emqx.hocon")
    [action] = found["actions"]["kafka_producer"].values()
    [rule] = found["rule_engine"]["rules"].values()
    assert action["connector"] in found["connectors"]["kafka_producer"]
    assert rule["actions"] == ["kafka_producer:enginewatch"]
    assert action["parameters"]["topic"] in FLEET.topics
    assert action["parameters"]["partition_strategy"] == "key_dispatch"  # else records of a key lie anywhere
    selected = re.match(r"SELECT ([\w, ]+) FROM ", rule["sql"])
    assert selected
    assert selected[1].split(", ") == ["topic", "payload", "timestamp"]
    known = {"${.topic}": topic.encode(), "${.payload}": payload}
    message = action["parameters"]["message"]
    return known[message["key"]], known[message["value"]]


def _hivemq(topic: str, payload: bytes) -> Record:
    """Without a transformer the key is the topic and the value the payload."""
    tree = ET.parse(FOLDER / "hivemq.xml")  # noqa: S314 - a file of ours
    assert tree.findtext(".//kafka-topic") in FLEET.topics
    assert tree.findtext(".//mqtt-to-kafka-mapping/cluster-id") == tree.findtext(".//kafka-cluster/id")
    assert tree.find(".//mqtt-to-kafka-transformer") is None
    return topic.encode(), payload


def _kafka_connect(topic: str, payload: bytes) -> Record:
    """The connector gives the topic as text and the body as bytes; each converter writes just that."""
    found = json.loads((FOLDER / "kafka-connect.json").read_text())
    assert found["kafka.topic"] in FLEET.topics
    assert found["key.converter"] == "org.apache.kafka.connect.storage.StringConverter"
    assert found["value.converter"] == "org.apache.kafka.connect.converters.ByteArrayConverter"
    return topic.encode(), payload


def _telegraf(topic: str, payload: bytes) -> Record:
    """The topic becomes a tag, which becomes the key; the payload becomes base64, and that the payload again."""
    found = tomllib.loads((FOLDER / "telegraf.conf").read_text())
    [consumer], [producer] = found["inputs"]["mqtt_consumer"], found["outputs"]["kafka"]
    assert producer["topic"] in FLEET.topics
    assert found["agent"]["metric_buffer_limit"] > consumer["max_undelivered_messages"]
    assert (consumer["data_format"], consumer["data_type"]) == ("value", "base64")
    assert (producer["data_format"], producer["template"]) == ("template", '{{ .Field "value" | b64dec }}')
    tags = {consumer["topic_tag"]: topic}
    return tags[producer["routing_tag"]].encode(), base64.b64decode(base64.b64encode(payload))


def _nats(topic: str, payload: bytes) -> Record:
    """A slash becomes a dot and a dot two slashes, by NATS' table; the key is what Bento makes of that."""
    subject = "//".join(part.replace("/", ".") for part in topic.split("."))
    output = _yaml("nats.yaml")["output"]["kafka_franz"]
    assert output["topic"] in FLEET.topics
    return _key_of(subject).encode(), payload


def _key_of(subject: str) -> str:
    """Bento's expression for the key, carried out: replacements, one after the other."""
    written = _yaml("nats.yaml")["output"]["kafka_franz"]["key"]
    chain = re.fullmatch(r'\$\{! metadata\("nats_subject"\)((?:\.replace_all\("[^"]*", "[^"]*"\))+) \}', written)
    assert chain
    for old, new in re.findall(r'\.replace_all\("([^"]*)", "([^"]*)"\)', chain[1]):
        subject = subject.replace(old, new)
    return subject


BRIDGES: dict[str, Callable[[str, bytes], Record]] = {
    "emqx.hocon": _emqx,
    "hivemq.xml": _hivemq,
    "kafka-connect.json": _kafka_connect,
    "telegraf.conf": _telegraf,
    "nats.yaml": _nats,
}


def test_every_file_is_in_the_table_and_in_these_tests() -> None:
    files = {each.name for each in FOLDER.iterdir()} - {"README.md"}
    assert files == set(BRIDGES)
    page = (FOLDER / "README.md").read_text()
    assert {name for name in files if f"]({name})" in page} == files


@pytest.mark.parametrize("name", BRIDGES)
def test_a_bridge_writes_what_enginewatch_decodes(name: str) -> None:
    """With `[fleet]` as it is by default, `brokers` aside: a reading, and what an asset says of itself."""
    write = BRIDGES[name]
    records = [
        write(TOPIC, PAYLOAD),
        write(TOPIC.replace("telemetry", "status"), b'{"online":true,"timestamp":1}'),
    ]
    messages = [
        Message(FLEET.mqtt_topic.replace("{key}", key.decode()).encode(), value, START + 5, len(value))
        for key, value in records
    ]
    decoded = Decoder((ClassRoute(("load",), (TELEMETRY_TOPIC,)),), root=ROOT).decode(messages)
    [readings], [report] = decoded.readings, decoded.reports
    assert (readings.streams, readings.time.tolist(), readings.values.tolist()) == (
        ["north//pump.7"],
        [START],
        [[0.5]],
    )
    assert (report.stream, report.online) == ("north//pump.7", True)
    assert not decoded.dead_letters


def test_what_is_passed_on_is_what_the_daemon_would_subscribe_to() -> None:
    rule = _yaml("emqx.hocon")["rule_engine"]["rules"]["enginewatch"]["sql"]
    assert set(re.findall(r'"([^"]+)"', rule)) == FILTERS
    tree = ET.parse(FOLDER / "hivemq.xml")  # noqa: S314 - a file of ours
    assert {each.text for each in tree.iter("mqtt-topic-filter")} == FILTERS
    connect = json.loads((FOLDER / "kafka-connect.json").read_text())
    assert set(connect["mqtt.topics"].split(",")) == FILTERS
    telegraf = tomllib.loads((FOLDER / "telegraf.conf").read_text())
    assert set(telegraf["inputs"]["mqtt_consumer"][0]["topics"]) == FILTERS
    assert set(_subjects()) == {each.replace("/", ".").replace("+", "*") for each in FILTERS}


def _subjects() -> list[str]:
    """Of the stream that the head of nats.yaml says how to make."""
    named = re.search(r'--subjects "([^"]+)"', (FOLDER / "nats.yaml").read_text())
    assert named
    return named[1].split(",")


def test_topics_of_the_page_are_those_of_the_settings() -> None:
    """Control and alerts have one partition, on which the order of changes and transitions rests."""
    made = dict(
        re.findall(r"--topic (\S+) --partitions (\d+)", (FOLDER / "README.md").read_text().replace("\\\n", " "))
    )
    assert set(made) == {*FLEET.topics, FLEET.control_topic, FLEET.alert_topic, FLEET.dead_letter_topic}
    assert made[FLEET.control_topic] == made[FLEET.alert_topic] == "1"


class _Jetstream:
    """Just so much of NATS' own protocol as makes a stream and reads it."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self._lines = self._socket.makefile("rb")
        self._socket.sendall(b'CONNECT {"verbose":false}\r\nSUB answers 1\r\n')

    def ask(self, what: str, **request: object) -> dict[str, Any]:
        body = json.dumps(request).encode()
        self._socket.sendall(f"PUB $JS.API.STREAM.{what} answers {len(body)}\r\n".encode() + body + b"\r\n")
        for line in iter(self._lines.readline, b""):
            if line.startswith(b"PING"):
                self._socket.sendall(b"PONG\r\n")
            if line.startswith(b"MSG"):
                answer: dict[str, Any] = json.loads(self._lines.read(int(line.split()[-1])))
                assert "error" not in answer, answer
                return answer
        raise AssertionError("nats-server hung up")

    def close(self) -> None:
        self._lines.close()
        self._socket.close()


def test_nats_keeps_what_comes_by_mqtt_under_subjects_that_become_its_topics_again(tmp_path: Path) -> None:
    """By a real nats-server, with the stream that nats.yaml says how to make."""
    if not Nats.installed():
        missing("nats-server")
    server, own_port = Nats(tmp_path / "nats"), free_port()
    write_settings(server.folder / "nats.json", port=server.port, own_port=own_port)
    stream = _yaml("nats.yaml")["input"]["nats_jetstream"]["stream"]
    topics = [TOPIC, f"{ROOT}/v1/north/engine-1/status", f"{ROOT}/v1/a.b/c..d/telemetry"]
    with server:
        jetstream = _Jetstream(own_port)
        jetstream.ask(f"CREATE.{stream}", name=stream, subjects=_subjects(), storage="file")
        machine = Client(CallbackAPIVersion.VERSION2)
        machine.connect(server.host, server.port)
        machine.loop_start()
        for topic in [*topics, f"{ROOT}/v1/north/engine-1/meta"]:  # the last is none of the stream's
            machine.publish(topic, PAYLOAD, qos=1).wait_for_publish(10)
        machine.disconnect()
        machine.loop_stop()
        kept = jetstream.ask(f"INFO.{stream}")["state"]["messages"]
        numbers = count(1)
        found = [jetstream.ask(f"MSG.GET.{stream}", seq=next(numbers))["message"] for _ in range(kept)]
        jetstream.close()
    assert [_key_of(each["subject"]) for each in found] == topics
    assert {base64.b64decode(each["data"]) for each in found} == {PAYLOAD}
