"""nats-server as the broker that comes along: found, called, and its port read from what it says."""

from __future__ import annotations

import os
import subprocess
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from monitor import broker
from tests.servers import missing
from tests.servers.peers import Peer, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.servers.brokers import Broker


def test_it_takes_a_free_port_and_says_which(tmp_path: Path) -> None:
    """Two at the same time do not disturb each other; a message goes through the second."""
    program = broker.program()
    if program is None:
        missing("nats-server")
    servers = []
    try:
        for name in ("first", "second"):
            folder = tmp_path / name
            folder.mkdir()
            log = folder / "log"
            with log.open("wb") as file:
                arguments = broker.write_settings(folder / "broker.json")
                servers.append(subprocess.Popen([program, *arguments], stderr=file, stdout=file))
        logs = [tmp_path / name / "log" for name in ("first", "second")]
        wait_until(lambda: all(broker.port_in(log.read_text()) for log in logs), "two ports")
        ports = [broker.port_in(log.read_text()) for log in logs]
        assert ports[0] != ports[1]
        address = cast("Broker", SimpleNamespace(host=broker.HOST, port=ports[1]))
        with Peer(address, "a/+") as peer:
            peer.publish("a/b", b"hello")
            wait_until(lambda: peer.messages == [("a/b", b"hello", False)])
        assert (tmp_path / "second" / "jetstream").is_dir()
    finally:
        for server in servers:
            server.terminate()
            server.wait(10)


def test_a_log_without_the_port_names_none() -> None:
    assert broker.port_in("") is None
    assert broker.port_in("[7] [INF] Listening for client connections on 127.0.0.1:4222\n") is None


def test_it_is_looked_for_beside_the_interpreter_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then on the PATH; nowhere else, and None says that it is not there."""
    beside, on_path = tmp_path / "beside", tmp_path / "on_path"
    for folder in (beside, on_path):
        folder.mkdir()
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(beside))
    monkeypatch.setenv("PATH", str(on_path))
    assert broker.program() is None
    for folder in (on_path, beside):
        (folder / "nats-server").touch(mode=0o755)
        assert broker.program() == os.fspath(folder / "nats-server")
