"""SIGHUP under load: nothing lost, nothing doubled, no alert twice; what is wrong leaves everything as it was."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from models.artifact import load_header
from tests.faults.house import House
from tests.faults.report import Finding, tell
from tests.faults.size import tries
from tests.rig import Daemon, plain_settings, until
from tests.servers.managers import service_manager

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.brokers import Mosquitto
    from tests.servers.influxd import Influxd
    from tests.servers.managers import Manager

RELOADS = tries(5, 25)
WITHIN_S = 2


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
    """Row 26: an incident is open over all of them: it is told once, and so is its end."""
    with House(tmp_path, pump_model, mosquitto, database, ticks=400 + 100 * RELOADS) as house:
        house.begin()
        with house.plant.load(20.0):
            for number in range(RELOADS):
                change(house.daemon, f"checkpoint_s = {2 + number}.0", f"checkpoint_s = {3 + number}.0")
                assert reload(house.daemon)["changed"] == ["store.checkpoint_s"]
        recovery = house.fresh()
        verdict = house.finish()
        lost = house.daemon.logged("session_lost")
    tell(Finding.of(26, "settings reloaded under load (SIGHUP)", RELOADS, verdict, recovery))
    assert verdict.clean, verdict
    assert lost == []


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


def test_what_fails_while_it_starts_gives_way_for_good(daemon: Daemon, pump_model: Path) -> None:
    """The daemon that could not start has ended, and with it the time that it had for that."""
    change(daemon, "[log]", f"[daemon]\nstop_within_s = {WITHIN_S}\n[log]")
    assert reload(daemon)["changed"] == ["daemon.stop_within_s"]
    obstacle = daemon.state / "models" / f"{load_header(pump_model).hash}.new"
    obstacle.write_text("where the copy of the model would grow\n")
    change(daemon, 'file = "asset.toml"', f'file = "{pump_model}/asset.toml"\nmodel = "{pump_model}"')
    failed = reload(daemon, "reload_failed")
    assert obstacle.name in failed["reason"]
    until(lambda: len(daemon.logged("listening")) == 3)
    time.sleep(WITHIN_S + 1)
    assert daemon.process is not None
    assert daemon.process.poll() is None, daemon.log.read_text()
    daemon.stop()
