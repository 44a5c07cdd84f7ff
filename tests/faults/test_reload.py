"""SIGHUP under load: nothing lost, nothing doubled, no alert twice; what is wrong leaves everything as it was."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from monitor.decode import encode_telemetry
from tests import recordings
from tests.faults.size import tries
from tests.rig import Daemon, json_lines, plain_settings, run, settings, until
from tests.servers.managers import service_manager
from tests.servers.peers import Peer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.brokers import Mosquitto
    from tests.servers.influxd import Influxd
    from tests.servers.managers import Manager

RELOADS = tries(5, 25)
LENGTH = 1000
EVENTS = "enginewatch/v1/plant/+/alert/event"


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    with service_manager(str(tmp_path / "notify")) as hearing:
        yield hearing


@pytest.fixture
def daemon(tmp_path: Path, mosquitto: Mosquitto, manager: Manager) -> Iterator[Daemon]:
    """One that runs, without a model."""
    running = Daemon(tmp_path, plain_settings(mosquitto, tmp_path), NOTIFY_SOCKET=manager.address)
    running.start()
    yield running
    running.close()


def change(daemon: Daemon, old: str, new: str) -> None:
    """Edit the settings file."""
    path = daemon.folder / "enginewatch.toml"
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def reload(daemon: Daemon, event: str = "reloaded") -> dict[str, Any]:
    """SIGHUP, and the line that the log has about it."""
    before = len(daemon.logged(event))
    daemon.tell(signal.SIGHUP)
    return until(lambda: daemon.logged(event)[before:])[-1]  # type: ignore[no-any-return]


def test_reloads_under_load(tmp_path: Path, pump_model: Path, mosquitto: Mosquitto, database: Influxd) -> None:
    """An incident is open over most of them: it is told once, and so is its end; every row is in InfluxDB once."""
    text = settings(mosquitto, pump_model, influx=database.url, extra="[store]\ncheckpoint_s = 30.0")
    daemon = Daemon(tmp_path, text)
    table = recordings.pump(LENGTH, 101, faulty=True)
    began = time.time_ns() // 1_000_000 - LENGTH * 1000
    go = threading.Semaphore(0)

    def load() -> None:
        with Peer(mosquitto) as peer:
            for number in range(LENGTH):
                go.acquire()
                if 650 <= number < 900:  # these come while it reloads
                    time.sleep(0.015)
                values = dict(zip(recordings.SENSORS, table[number].tolist(), strict=True))
                payload = encode_telemetry(time=began + number * 1000, boot="b", seq=number, values=values)
                peer.publish("enginewatch/v1/plant/pump/telemetry", payload)

    sender = threading.Thread(target=load)
    with Peer(mosquitto, EVENTS, session="subscriber") as subscriber:
        try:
            daemon.start()
            sender.start()
            go.release(650)  # the fault begins at 600
            until(lambda: len(subscriber.messages) == 1, why="fired")
            go.release(250)
            for number in range(RELOADS):
                change(daemon, f"checkpoint_s = {30 + number}.0", f"checkpoint_s = {31 + number}.0")
                assert reload(daemon)["changed"] == ["store.checkpoint_s"]
            go.release(LENGTH)
            sender.join()
            values = LENGTH * len(recordings.SENSORS)
            until(lambda: daemon.books().get("outcomes", {}).get("in_row") == values, why="all values in rows")
            until(lambda: database.count("anomaly") == LENGTH, why="all rows in InfluxDB")
            until(lambda: len(subscriber.messages) == 2, why="cleared")
            daemon.stop()
        finally:
            go.release(LENGTH)
            daemon.close()
    outcomes = daemon.books()["outcomes"]
    assert outcomes == {**dict.fromkeys(outcomes, 0), "in_row": values, "duplicate": outcomes["duplicate"]}
    told = [json.loads(payload) for _, payload, _ in subscriber.messages]
    assert [each["transition"] for each in told] == ["fired", "cleared"]
    assert told[0]["incident_id"] == told[1]["incident_id"]
    assert daemon.logged("session_lost") == []
    rows = json_lines(run("scores", "--json", "--limit", 2 * LENGTH, folder=tmp_path).stdout)
    assert Counter(Counter(row["time"] for row in rows).values()) == {1: LENGTH}


def test_what_is_wrong_is_refused(daemon: Daemon, manager: Manager) -> None:
    """One line with every mistake; the daemon goes on, and takes what is mended. systemd hears of each try."""
    change(daemon, "reconnect_min_s = 0.1", "reconnect_min_s = 0.1\nkeepalive_s = 1")
    change(daemon, 'assets = ["plant/*"]', 'assets = ["plant/*"]\nnonsense = 1')
    refused = reload(daemon, "reload_refused")
    assert len(refused["mistakes"]) == 2
    assert "enginewatch.toml:" in refused["mistakes"][0]
    change(daemon, "nonsense = 1", "")
    change(daemon, "keepalive_s = 1", "keepalive_s = 11")
    change(daemon, "[mqtt]", '[daemon]\nid = "other"\nstate_dir = "elsewhere"\n[mqtt]')
    assert reload(daemon, "reload_refused")["mistakes"] == [
        f"{key} is another: that needs a restart of the daemon" for key in ("daemon.state_dir", "daemon.id")
    ]
    assert daemon.logged("stopping") == []
    change(daemon, 'id = "other"\nstate_dir = "elsewhere"\n', "")
    assert reload(daemon)["changed"] == ["mqtt.keepalive_s"]
    assert reload(daemon)["changed"] == []  # nothing is
    assert len(daemon.logged("started")) == 2
    daemon.stop()
    until(lambda: manager.said[-1] == "STOPPING=1")
    words = [word for word, _, _ in (line.partition("=") for line in manager.said)]
    states = [word for word in words if word in {"READY", "RELOADING", "STOPPING"}]
    assert states == ["READY", *["RELOADING", "READY"] * 4, "STOPPING"]


def test_what_cannot_start_gives_way_to_what_was(daemon: Daemon, tmp_path: Path) -> None:
    """A file of certificates without any is found by whoever opens it: then the settings before go on.

    A file whose path is the same and whose content is not counts as changed.
    """
    (tmp_path / "ca.pem").write_text("no certificate\n")
    change(daemon, "[log]", '[mqtt.tls]\nenabled = true\nca_file = "ca.pem"\n[log]')
    failed = reload(daemon, "reload_failed")
    assert "mqtt.tls.ca_file" in failed["reason"]
    until(lambda: len(daemon.logged("listening")) == 2)
    change(daemon, '[mqtt.tls]\nenabled = true\nca_file = "ca.pem"\n', "")
    asset = tmp_path / "asset.toml"
    asset.write_text(asset.read_text().replace('name = "flow"', 'name = "flow"\nmax = 500.0'))
    assert reload(daemon)["changed"] == ["classes.0.file (content)"]
    daemon.stop()
