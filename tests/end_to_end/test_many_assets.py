"""Two thousand assets of three classes in three conventions through real mosquitto and the real daemon."""

from __future__ import annotations

import json
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from models import pretrained
from models.artifact import load_header
from monitor.store import Store
from tests.rig import Daemon, json_lines, run, until
from tests.servers.peers import Peer

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.brokers import Mosquitto

ENGINES, FANS, PRESSES, SECONDS = 300, 1_000, 700, 3
TICKS = 61  # of 500 ms: two windows of the model that ships
SENSORS = 15
SETTINGS = """
[mqtt]
host = "{host}"
port = {port}
[[classes]]
name = "engine"
model = "pretrained:engine"
assets = ["plant//engine-*"]
{overrides}
[[classes]]
name = "fan"
file = "fan.toml"
topics = ["acme/{{site}}/{{area}}/{{asset}}/{{sensor}}"]
payload = "value"
time = "arrival"
[[classes]]
name = "press"
file = "press.toml"
topics = ["telegraf/{{asset}}"]
payload = "line"
[log]
format = "json"
"""
OVERRIDES = """
[[classes.overrides]]
name = "old"
assets = ["plant//engine-1?"]
[classes.overrides.threshold]
floor = 3.0
"""
FILES = {
    "fan": ("2000", ("speed",)),
    "press": ("1000\none_reading_per_tick = true", ("force", "stroke", "oil")),
}


VALUES = FANS + 3 * PRESSES  # a second


def engines(now: int) -> list[tuple[str, bytes]]:
    """Each engine's readings of half a minute, as a gateway sends them: a list in one message."""
    sensors = load_header(pretrained.folder("engine")).sensors
    values = {sensor.name: 50.0 for sensor in sensors}
    batch = json.dumps([{"ts": now - 500 * tick, "values": values} for tick in reversed(range(TICKS))]).encode()
    return [(f"enginewatch/v1/plant/engine-{number}/telemetry", batch) for number in range(ENGINES)]


def others(now: int) -> list[tuple[str, bytes]]:
    """Topic and payload of one second of the fans and presses."""
    found = [(f"acme/plant/hall/fan-{number}/speed", b"900.5") for number in range(FANS)]
    press = f"hydraulics force=180.5,stroke=40.25,oil=44.5 {now}000000".encode()
    return found + [(f"telegraf/press-{number}", press) for number in range(PRESSES)]


def settings(broker: Mosquitto, overrides: str = "") -> str:
    return SETTINGS.format(host=broker.host, port=broker.port, overrides=overrides)


@pytest.mark.timeout(180)
def test_each_of_two_thousand_assets_is_watched_by_its_own_class(tmp_path: Path, mosquitto: Mosquitto) -> None:
    """Nothing is refused, every value has its row; then ten engines come under an override, and are told of."""
    for name, (period, sensors) in FILES.items():
        text = "".join(f'[[sensors]]\nname = "{sensor}"\n' for sensor in sensors)
        (tmp_path / f"{name}.toml").write_text(f"period_ms = {period}\n{text}")
    daemon = Daemon(tmp_path, settings(mosquitto))
    try:
        daemon.start()
        sent = ENGINES * TICKS * SENSORS + SECONDS * VALUES
        with Peer(mosquitto) as plant:
            plant.publish_each(engines(int(time.time() * 1000)))
            for _ in range(SECONDS):
                plant.publish_each(others(int(time.time() * 1000)))
                time.sleep(1)
        until(lambda: daemon.accounted() == sent and daemon.books()["waiting"] == 0, why="an outcome for all")
        outcomes = daemon.books()["outcomes"]
        assert outcomes["dead_letter"] == 0
        assert outcomes["in_row"] + outcomes["superseded"] == sent
        assert outcomes["superseded"] <= FANS * SECONDS // 2, "only a fan's second value within a tick can be"
        assert daemon.books()["rows"]["scored"] == 2 * ENGINES
        assert counted(tmp_path) == {"engine": ENGINES, "fan": FANS, "press": PRESSES}
        daemon.stop()
        (tmp_path / "enginewatch.toml").write_text(settings(mosquitto, OVERRIDES))
        daemon.start()
        moved = {"engine": ENGINES - 10, "engine/old": 10}
        assert counted(tmp_path) == moved | {"fan": FANS, "press": PRESSES}
        told = [line for line in json_lines(daemon.log.read_text()) if line["event"] == "assets_moved"]
        assert [(line["count"], line["left"], line["taken"]) for line in told] == [(10, "engine", "engine/old")]
        daemon.stop()
    finally:
        daemon.close()
    store = Store(daemon.state / "store.db")
    found = {batch.asset_class: batch.sensors for batch in store.scores_after(0, 1_000_000)}
    store.close()
    assert len(found.pop("engine")) == SENSORS
    assert found == {name: names for name, (_, names) in FILES.items()}


def counted(folder: Path) -> Counter[str]:
    """How many assets the daemon knows of each class."""
    rows = run("assets", "list", "--json", folder=folder).stdout.splitlines()
    return Counter(json.loads(row)["class"] for row in rows)
