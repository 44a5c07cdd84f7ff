"""`enginewatch monitor`: what is wrong is told in a line before anything is connected; it ends in order."""

from __future__ import annotations

import socket
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

from tests.rig import Daemon, plain_settings, run, small_disk, until
from tests.test_check_command import save_model

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class DeafBroker:
    """A port that takes connections and never answers."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self.host, self.port = self._listener.getsockname()

    def was_called(self) -> bool:
        """Whether somebody has connected since it was asked last."""
        try:
            self._listener.accept()[0].close()
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def broker() -> Iterator[Any]:
    made = DeafBroker()
    yield made
    made.close()


@pytest.fixture
def folder(tmp_path: Path, broker: Any) -> Path:
    """A folder with settings."""
    (tmp_path / "enginewatch.toml").write_text(plain_settings(broker, tmp_path))
    return tmp_path


def refused(folder: Path, broker: DeafBroker) -> str:
    """What `enginewatch monitor` says before it ends with exit code 2, without having connected."""
    done = run("monitor", folder=folder, code=2, seconds=60)
    assert not broker.was_called()
    assert "Traceback" not in done.stderr
    return done.stderr


def test_two_daemons_never_share_a_state_folder(folder: Path, broker: Any) -> None:
    """The second ends with one line; the first goes on."""
    first = Daemon(folder, (folder / "enginewatch.toml").read_text())
    try:
        first.start(listening=False)
        until(broker.was_called)
        said = run("monitor", folder=folder, code=2).stderr
        assert (
            said == "enginewatch monitor: state is in use by another daemon: give each its own daemon.state_dir\n"
        )
        first.stop()
    finally:
        first.close()


def test_a_daemon_without_a_broker_stops_in_order(folder: Path) -> None:
    """It never ends because a peer is away; told to end it does, with 0, and leaves its folder to the next."""
    for _ in range(2):
        daemon = Daemon(folder, (folder / "enginewatch.toml").read_text())
        try:
            daemon.start(listening=False)
            daemon.stop()
        finally:
            daemon.close()
    assert '"event":"stopped"' in daemon.log.read_text()


@pytest.mark.parametrize(
    ("sensors", "difference"),
    [
        ((("load", ""), ("flood", "")), "only the model has flood"),
        ((("load", ""), ("flow", "bar")), 'flow is in "" there and in "bar" in the model'),
    ],
)
def test_a_model_for_other_sensors_or_units_is_refused(
    folder: Path, broker: Any, sensors: tuple[tuple[str, str], ...], difference: str
) -> None:
    """In one line that names the place in the settings and the difference."""
    save_model(folder / "model", sensors, period_ms=1000)
    text = (folder / "enginewatch.toml").read_text()
    text = text.replace('file = "asset.toml"', 'file = "asset.toml"\nmodel = "model"')
    (folder / "enginewatch.toml").write_text(text)
    said = refused(folder, broker).splitlines()
    found = [line for line in said if difference in line]
    assert len(found) == 1, said
    assert "enginewatch.toml:" in found[0]
    assert "classes.0.model" in found[0]


def test_a_journal_of_another_release_is_refused(folder: Path, broker: Any) -> None:
    (folder / "state").mkdir()
    connection = sqlite3.connect(folder / "state" / "journal.db")
    connection.execute("PRAGMA user_version = 9")
    connection.close()
    said = refused(folder, broker)
    assert "journal.db has format 9, this release reads up to 2: start the release that made it" in said
    assert len(said.splitlines()) == 1


def test_a_model_that_cannot_be_run_stops_the_start(folder: Path, broker: Any) -> None:
    """And not the line, at the first window."""
    save_model(folder / "model")
    text = (folder / "enginewatch.toml").read_text()
    (folder / "enginewatch.toml").write_text(text.replace('file = "asset.toml"', 'model = "model"'))
    assert "model.onnx cannot be run" in refused(folder, broker).splitlines()[-1]


def test_a_disk_that_is_full_from_the_start(folder: Path, broker: Any) -> None:
    """Nothing is begun, and one line says why; with room it starts."""
    daemon = Daemon(folder, (folder / "enginewatch.toml").read_text())
    with small_disk(folder / "state", "2m") as fill:
        filler = fill()
        said = refused(folder, broker).splitlines()[-1]
        assert said.startswith("enginewatch monitor: ")
        assert "disk is full" in said or "No space left" in said or "disk I/O error" in said
        filler.unlink()
        try:
            daemon.start(listening=False)
            daemon.stop()
        finally:
            daemon.close()


def test_a_state_folder_that_the_daemon_makes_is_closed_to_others(folder: Path) -> None:
    """What it holds are readings of a plant; a folder that was there keeps its mode."""
    daemon = Daemon(folder, (folder / "enginewatch.toml").read_text())
    try:
        daemon.start(listening=False)
        assert daemon.state.stat().st_mode & 0o777 == 0o700
        daemon.stop()
        daemon.state.chmod(0o750)
        daemon.start(listening=False)
        assert daemon.state.stat().st_mode & 0o777 == 0o750
        daemon.stop()
    finally:
        daemon.close()
