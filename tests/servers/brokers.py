"""Real MQTT brokers: mosquitto, and nats-server where mosquitto is missing.

Both keep their port and their disk over `kill()` and `start()`, so that a test can pull the plug.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import pytest

from monitor.broker import write_settings
from tests.servers import find, free_port, missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

START_LIMIT_S = 20.0


@dataclass(frozen=True)
class Certificates:
    """A certificate for `localhost` alone and the authority that signed it."""

    ca_file: Path
    cert_file: Path
    key_file: Path


def make_certificates(folder: Path, *, name: str = "localhost", days: int = 2) -> Certificates:
    """Make an authority and a server certificate with the openssl command; `days` < 0 makes an expired one."""
    folder.mkdir(parents=True, exist_ok=True)
    made = Certificates(folder / "ca.crt", folder / "server.crt", folder / "server.key")
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], check=True, capture_output=True, cwd=folder)

    authority = ["-keyout", "ca.key", "-out", "ca.crt", "-days", "2", "-subj", f"/CN=Test authority {folder.name}"]
    openssl("req", "-x509", *key, *authority)
    openssl("req", *key, "-keyout", "server.key", "-out", "server.csr", "-subj", f"/CN={name}")
    (folder / "names").write_text(f"subjectAltName=DNS:{name}\n")
    signing = ["-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", str(days), "-extfile", "names"]
    openssl("x509", "-req", "-in", "server.csr", "-out", "server.crt", *signing)
    return made


class Broker:
    """A broker as a process of its own on a loopback port."""

    program = ""

    def __init__(self, folder: Path) -> None:
        self.host = "127.0.0.1"
        self.port = free_port()
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)

    def command(self) -> list[str]:
        """How the server is called."""
        raise NotImplementedError

    @classmethod
    def installed(cls) -> bool:
        return find(cls.program) is not None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start the server and wait until it takes connections."""
        path = find(self.command()[0])
        if path is None:
            raise FileNotFoundError(f"{self.program} is not installed")
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen([path, *self.command()[1:]], stdout=log, stderr=log)
        deadline = time.monotonic() + START_LIMIT_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"{self.program} did not start:\n{(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(0.01)

    def ports(self) -> tuple[int, ...]:
        """All on which it takes connections."""
        return (self.port,)

    def _answers(self) -> bool:
        return all(map(self._answers_on, self.ports()))

    def _answers_on(self, port: int) -> bool:
        with contextlib.suppress(OSError), socket.create_connection((self.host, port), timeout=1.0):
            return True
        return False

    def stop(self) -> None:
        """Ask the server to end in order, and wait for it."""
        self._end(lambda process: process.terminate())

    def kill(self) -> None:
        """Pull the plug (SIGKILL)."""
        self._end(lambda process: process.kill())

    def _end(self, how: Callable[[subprocess.Popen[bytes]], None]) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        how(process)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


class Mosquitto(Broker):
    """mosquitto with persistence on; users, TLS, an ACL file's text and further lines by option.

    It saves each second; with `save_every_change` it writes everything at every change, which survives `kill()`
    and is slow where much is queued.
    """

    program = "mosquitto"

    def __init__(
        self,
        folder: Path,
        *,
        users: Mapping[str, str] | None = None,
        tls: Certificates | None = None,
        acl: str | None = None,
        save_every_change: bool = False,
        lines: Sequence[str] = (),
    ) -> None:
        super().__init__(folder)
        written = [
            f"listener {self.port} {self.host}",
            *(["user root"] if os.geteuid() == 0 else []),
            "persistence true",
            f"persistence_location {folder}/",
            "autosave_interval 1",
            f"autosave_on_changes {'true' if save_every_change else 'false'}",
            "max_queued_messages 0",
            f"allow_anonymous {'false' if users else 'true'}",
        ]
        if users:
            password_file = folder / "users"
            password_file.write_text("".join(f"{user}:{password}\n" for user, password in users.items()))
            hasher = find("mosquitto_passwd")
            assert hasher is not None
            subprocess.run([hasher, "-U", str(password_file)], check=True, capture_output=True)
            written.append(f"password_file {password_file}")
        if acl is not None:
            (folder / "acl").write_text(acl)
            written.append(f"acl_file {folder / 'acl'}")
        if tls is not None:
            written += [f"certfile {tls.cert_file}", f"keyfile {tls.key_file}"]
        (folder / "mosquitto.conf").write_text("\n".join([*written, *lines]) + "\n")

    def command(self) -> list[str]:
        return [self.program, "-c", str(self.folder / "mosquitto.conf")]


class Nats(Broker):
    """nats-server as an MQTT 3.1.1 broker, sessions on disk; `authorization` is that block of its settings.

    What stays without a PUBACK it sends again after `ack_wait`, whether the client came back or not.
    """

    program = "nats-server"

    def __init__(
        self, folder: Path, *, ack_wait: str = "2s", authorization: Mapping[str, object] | None = None
    ) -> None:
        super().__init__(folder)
        self._arguments = write_settings(
            folder / "nats.json", port=self.port, ack_wait=ack_wait, authorization=authorization
        )

    def command(self) -> list[str]:
        return [self.program, *self._arguments]


def any_broker(folder: Path) -> Broker:
    """Mosquitto, or nats-server where mosquitto is missing (a context manager, not started yet)."""
    return Mosquitto(folder) if Mosquitto.installed() else Nats(folder)


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """A running mosquitto that lets everybody in."""
    if not Mosquitto.installed():
        missing("mosquitto")
    with Mosquitto(tmp_path / "mosquitto") as server:
        yield server


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[Nats]:
    """A running nats-server that speaks MQTT."""
    if not Nats.installed():
        missing("nats-server")
    with Nats(tmp_path / "nats") as server:
        yield server


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """A running broker: mosquitto, or nats-server where mosquitto is missing."""
    if not Mosquitto.installed() and not Nats.installed():
        missing("an MQTT broker")
    with any_broker(tmp_path / "broker") as server:
        yield server


@pytest.fixture(params=[Mosquitto, Nats], ids=["mosquitto", "nats"])
def each_broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Broker]:
    """Run the test with each of the two brokers."""
    kind: type[Mosquitto | Nats] = request.param
    if not kind.installed():
        missing(kind.program)
    with kind(tmp_path / kind.program) as server:
        yield server
