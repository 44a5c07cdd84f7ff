"""A candidate in the shadow of a running daemon: killed, started again, promoted by the rule in a fault."""

from __future__ import annotations

import io
import json
import subprocess
import time
from collections import Counter
from contextlib import redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING, Any

import pytest

from models.artifact import load_header
from monitor.cli import main
from monitor.store import Store
from tests.rig import COMMAND, Daemon, environment, json_lines, run, until
from tests.servers.peers import Peer
from tests.shadow_samples import BEGINNING, FAILS, TICKS, journal, twin

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.brokers import Mosquitto

SETTINGS = """
[mqtt]
host = "{broker.host}"
port = {broker.port}
[[classes]]
name = "engine"
model = "pretrained:engine"
[store]
checkpoint_s = 1
[log]
format = "json"
"""


class Plant:
    """Two engines that go on where they stopped, and the daemon that listens."""

    def __init__(self, folder: Path, broker: Mosquitto) -> None:
        self.daemon = Daemon(folder, SETTINGS.format(broker=broker))
        self.folder, self.broker = folder, broker
        # Their time ends now, so that the daemon takes them for of today.
        self.shift = int(time.time()) * 1000 - TICKS * 500 - BEGINNING
        self.messages = [each for record in journal() for each in getattr(record.payload, "messages", ())]
        self.sent = self.values = 0

    def run(self, share: float) -> None:
        """Publish up to this share of all readings, and wait until the store has their rows."""
        end = round(share * len(self.messages) / 2) * 2
        with Peer(self.broker) as peer:
            for message in self.messages[self.sent : end]:
                reading = json.loads(message.payload)
                reading["ts"] += self.shift
                self.values += len(reading["values"])
                peer.publish(message.topic.decode(), json.dumps(reading).encode())
        self.sent = end
        until(lambda: sum(self.rows().values()) >= end - 8, why="a row for every tick that has closed")

    def rows(self) -> Counter[tuple[str, int]]:
        """How often each tick of each engine has a row."""
        with Stored(self.daemon) as store:
            return Counter(
                (name, int(at))
                for batch in store.latest_scores()
                for name, at in zip(batch.streams, batch.time, strict=True)
            )

    def open_incidents(self) -> list[str]:
        with Stored(self.daemon) as store:
            return [each.incident_id for each in store.open_incidents(FAILS) if each.kind == "anomaly"]

    def models(self, *arguments: str) -> tuple[str, str]:
        """What `enginewatch models` says, on standard output and error; in this process."""
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            assert main(["models", *arguments, "--state", str(self.daemon.state)]) == 0
        return out.getvalue(), err.getvalue()


class Stored:
    """The daemon's store, closed again."""

    def __init__(self, daemon: Daemon) -> None:
        self._store = Store(daemon.state / "store.db")

    def __enter__(self) -> Store:
        return self._store

    def __exit__(self, *_: object) -> None:
        self._store.close()


@pytest.fixture
def plant(tmp_path: Path, mosquitto: Mosquitto) -> Iterator[Plant]:
    made = Plant(tmp_path, mosquitto)
    try:
        made.daemon.start()
        yield made
    finally:
        made.daemon.close()


def test_in_the_shadow_killed_and_promoted_by_the_rule(plant: Plant, tmp_path: Path) -> None:
    """The incident that was open stays the one that is open, and every published value is accounted for."""
    header = load_header(twin(tmp_path, "second"))
    plant.run(0.1)
    shadow = subprocess.Popen(
        [*COMMAND, "models", "shadow", "second", "--json"],
        cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert shadow.stderr is not None
        assert "second in the shadow of engine" in shadow.stderr.readline()
        plant.run(0.9)
        assert shadow.stdout is not None
        event = json.loads(shadow.stdout.readline())
        assert (event["stream"], event["kind"], event["transition"]) == (FAILS, "anomaly", "fired")
    finally:
        shadow.kill()
        shadow.communicate()
    before = plant.open_incidents()
    assert len(before) == 1
    stores = plant.daemon.facts()["line"]

    promoted = run(
        "models", "shadow", "second", "--once", "--set", "shadow.promote_after_hours=0.001", folder=tmp_path
    )
    assert "the rule is met: " in promoted.stdout
    assert f"class engine: the model second ({header.hash[:12]}) is in use; windows of " in promoted.stdout
    found: dict[str, Any] = json.loads(plant.models("shadow", "--report", "--json")[0])
    assert (found["active"], found["both"]) == (found["candidate"], 1)
    assert found["active"]["incidents"] == 1
    assert plant.daemon.facts()["line"] != stores

    plant.run(1.0)
    assert plant.open_incidents() == before
    rows = plant.rows()
    assert set(rows.values()) == {1}
    times = [sorted(at for name, at in rows if name == each) for each in {name for name, _ in rows}]
    assert all(at[-1] - at[0] == (len(at) - 1) * 500 for at in times)
    until(lambda: plant.daemon.accounted() == plant.values, why="every value has its outcome")
    listed = json_lines(plant.models("list", "--json")[0])
    assert [(row["model"], row["by"]) for row in listed] == [("second", "promote"), ("engine", "settings")]
    assert listed[0]["who"].startswith("shadow.promote_after_hours, ")

    _, said = plant.models("promote", "pretrained:engine")
    assert "warning: engine was not in the shadow of second" in said
    answer, said = plant.models("promote", str(tmp_path / "second"), "--json")
    assert "in the shadow: " in said
    assert json.loads(answer)["shadow"]["both"] == 1
    plant.daemon.stop()
