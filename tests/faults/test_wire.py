"""What is not as it should be on the wire: payloads of every convention, and the broker's own packets."""

from __future__ import annotations

import random
import time
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from config.classes import resolve_classes
from config.load import load
from monitor.assemble import line_spec
from monitor.pipeline import step
from monitor.records import Batch, Change, Message, Record
from monitor.state import LineState
from tests.faults.beside import beside
from tests.faults.flood import Flood
from tests.faults.house import FRESH_LIMIT_S, House
from tests.faults.malformed import Malformed
from tests.faults.proxy import Proxy
from tests.faults.report import Finding, tell
from tests.faults.size import FULL, tries
from tests.rig import Daemon, until

if TYPE_CHECKING:
    import threading
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tests.servers.brokers import Broker, Mosquitto
    from tests.servers.influxd import Influxd

pytestmark = pytest.mark.timeout(3600)
PAYLOADS = tries(5_000, 100_000)
SENT = tries(500, 10_000)  # of them through a broker
GARBLED = tries(150, 10_000)
AT_ONCE = 500
NOTHING = {b"[]", b"null"}  # a list without readings, and a value that is missing: there is nothing to count
NOISE = (b"enginewatch/v1/noise/box/telemetry", b"no JSON at all, and of no sensor either")
CLASSES = """
[mqtt]
host = "{host}"
port = {port}
[[classes]]
name = "ours"
file = "asset.toml"
assets = ["ours/*"]
[[classes]]
name = "value"
file = "asset.toml"
topics = ["value/{{site}}/{{asset}}/{{sensor}}"]
payload = "value"
time = "arrival"
[[classes]]
name = "paths"
file = "asset.toml"
topics = ["paths/{{site}}/{{asset}}"]
payload = "paths"
paths = {{ values = "d", time = "t" }}
[[classes]]
name = "line"
file = "asset.toml"
topics = ["line/{{site}}/{{asset}}"]
payload = "line"
[[classes]]
name = "sparkplug"
file = "asset.toml"
topics = ["spBv1.0/{{site}}/DDATA/{{area}}/{{asset}}"]
payload = "sparkplug"
[log]
format = "json"
"""


@pytest.fixture
def settings(tmp_path: Path, mosquitto: Mosquitto) -> str:
    """A class for each convention, of assets with one sensor."""
    (tmp_path / "asset.toml").write_text('period_ms = 1000\n[[sensors]]\nname = "load"\n')
    return CLASSES.format(host=mosquitto.host, port=mosquitto.port)


class Line:
    """A line of these settings, in this process."""

    def __init__(self, file: Path) -> None:
        loaded = load(file, environment={})
        self._state = LineState.empty(line_spec(loaded.settings, resolve_classes(loaded)))
        self._position = 1
        step(self._state, Record(1, 1, Change(listening=True)), {})

    def take(self, messages: list[Message]) -> int:
        """One batch; returns how many values and dead letters have an outcome now, or wait for one."""
        self._position += 1
        step(self._state, Record(self._position, messages[-1].arrival, Batch(messages)), {})
        return int(self._state.outcomes.sum()) + self._state.waiting_values()


def test_malformed_payloads(tmp_path: Path, mosquitto: Mosquitto, settings: str) -> None:
    """Row 18: none ends the line, and each is counted: alone, in a batch, and through broker and daemon."""
    daemon = Daemon(tmp_path, settings)
    file = tmp_path / "enginewatch.toml"
    malformed = Malformed(random.Random(18))  # noqa: S311 - chance, not secrets
    messages = [malformed.message() for _ in range(PAYLOADS)]
    alone, together, through = Line(file), Line(file), Line(file)
    counted = [0, *(alone.take([message]) for message in messages)]
    silent = [
        message for message, (before, after) in zip(messages, pairwise(counted), strict=True) if after == before
    ]
    assert {message.payload for message in silent} <= NOTHING
    for first in range(0, PAYLOADS, AT_ONCE):
        total = together.take(messages[first : first + AT_ONCE])
    assert total == counted[-1]
    sent = messages[:SENT]
    for message in sent:
        expected = through.take([message])
    try:
        daemon.start()
        with Flood(mosquitto) as flood:
            flood.publish((message.topic, message.payload) for message in sent)
            flood.wait()
        until(lambda: daemon.accounted() == expected, why=f"{expected} values and letters counted")
        daemon.stop()
    finally:
        daemon.close()
    remark = (
        f"{len(silent):,} hold nothing, the others have {counted[-1]:,} outcomes; {SENT:,} went through a broker"
    )
    tell(Finding(18, "malformed payloads of five conventions", PAYLOADS, missing=0, remark=remark))


class Garbler:
    """Changes a few bytes of most pieces that pass."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.count = 0

    def __call__(self, piece: bytes) -> bytes:
        """Flip bytes, or lose some, or bring some twice."""
        chance = self._chance
        if chance.random() < 0.3:
            return piece
        self.count += 1
        garbled = bytearray(piece)
        at = chance.randrange(min(len(garbled), chance.choice([4, 40, 1 << 16])))
        match chance.randrange(4):
            case 0:
                del garbled[at : at + chance.randint(1, 9)]
            case 1:
                garbled[at:at] = garbled[at : at + chance.randint(1, 9)]
            case _:
                for place in range(at, min(at + chance.randint(1, 4), len(garbled))):
                    garbled[place] ^= chance.randint(1, 255)
        return bytes(garbled)


def noise(broker: Broker) -> AbstractContextManager[None]:
    """Messages that nobody can use, on a topic that the daemon reads."""

    def publish(over: threading.Event) -> None:
        with Flood(broker, "noise") as flood:
            while not over.wait(0.05):
                flood.publish([NOISE] * 20)
            flood.wait()

    return beside(publish)


def test_what_the_broker_says_is_garbled(
    tmp_path: Path, pump_model: Path, mosquitto: Mosquitto, database: Influxd
) -> None:
    """Row 19: bytes changed, lost and doubled on the way to the daemon, while nothing of worth is on its way.

    MQTT has no checksum: a reading can come garbled and pass for another one, so there are none meanwhile.
    """
    garbler = Garbler(random.Random(19))  # noqa: S311 - chance, not secrets
    with (
        Proxy(mosquitto.host, mosquitto.port) as proxy,
        House(
            *(tmp_path, pump_model, mosquitto, database), broker_proxy=proxy, reconnect_s=(0.005, 0.02)
        ) as house,
    ):
        house.begin()
        house.settle()
        time.sleep(0.5)  # the last acknowledgements are through
        made = proxy.made
        with noise(mosquitto):
            proxy.to_client = garbler
            while garbler.count < GARBLED:
                before = garbler.count
                time.sleep(0.1)
                if garbler.count == before:
                    proxy.cut()  # a garbled length waits for more than comes; the keep-alive would end that, too
            proxy.mend()
            proxy.cut()
        connections = proxy.made - made
        recovery = house.fresh()
        verdict = house.finish()
        assert house.daemon.process is not None
        assert house.daemon.process.poll() is None
        assert house.logged("mqtt_thread_failed") == 0
    remark = f"{garbler.count:,} pieces garbled on {connections:,} connections, the daemon lives"
    tell(Finding.of(19, "MQTT from the broker garbled (mosquitto)", garbler.count, verdict, recovery, remark))
    assert verdict.clean, verdict
    if FULL:
        assert recovery <= FRESH_LIMIT_S
