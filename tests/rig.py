"""Runs the real command in processes of its own, as a user would, and reads its state folder from outside."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from monitor.store import Store

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Iterator, Sequence

    from tests.servers.brokers import Broker

COMMAND = [str(Path(sys.executable).with_name("enginewatch"))]


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Callable[[], Path]]:
    """A file system of its own at the folder; gives a function that fills it and returns the file to delete.

    Skips the test where none can be mounted.
    """
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small file system cannot be mounted here")

    def fill() -> Path:
        filler = folder / "filler"
        with suppress(OSError), filler.open("wb", buffering=0) as file:
            while file.write(bytes(4096)) == 4096:
                pass
        return filler

    try:
        yield fill
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)  # a failed test may hold files open


def open_files() -> int:
    """How many file descriptors this process holds."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def plain_settings(broker: Broker, folder: Path, *, extra: str = "") -> str:
    """Settings without a model: one class of two sensors at 1 Hz, whose asset file lies in the folder."""
    sensors = "".join(f'[[sensors]]\nname = "{name}"\n' for name in ("load", "flow"))
    (folder / "asset.toml").write_text(f"period_ms = 1000\none_reading_per_tick = true\n{sensors}")
    return f"""
{extra}
[mqtt]
host = "{broker.host}"
port = {broker.port}
reconnect_min_s = 0.1
reconnect_max_s = 0.5

[[classes]]
name = "machine"
file = "asset.toml"
assets = ["plant/*"]

[log]
format = "json"
"""


def environment() -> dict[str, str]:
    """The environment without what would speak to the settings, but for a free port."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("ENGINEWATCH_")}
    return plain | {"ENGINEWATCH_HTTP__PORT": "0"}  # several daemons run at once


def run(
    *arguments: str | int | Path, folder: Path | None = None, code: int = 0, seconds: float = 300
) -> subprocess.CompletedProcess[str]:
    """Run `enginewatch ARGUMENTS` to its end; its exit code is checked."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == code, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def until(what: Callable[[], Any], *, seconds: float = 60.0, why: str = "") -> Any:
    """Wait until something is true, and return it; the time limit only ends a test that hangs."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = what()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"did not happen in {seconds} s: {why or what}")


class Daemon:
    """`enginewatch monitor` with a settings file of its own."""

    def __init__(self, folder: Path, settings: str, *, command: Sequence[str] = COMMAND, **variables: str) -> None:
        """Write the settings; `start` runs it, with further environment variables, by another command if given."""
        self._command = [*command, "monitor"]
        self.folder = folder
        self._environment = environment() | variables
        self.state = folder / "state"
        self.log = folder / "daemon.log"
        (folder / "enginewatch.toml").write_text(settings)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *, listening: bool = True) -> None:
        """Start it, and wait until it works; and listens, because before it first does nothing is kept for it."""
        began = self.launch()
        event = "listening" if listening else "started"
        until(lambda: self._has_logged(event, began), why=f"{event}; see {self.log}")

    def launch(self, *under: str) -> int:
        """Run it without waiting, perhaps under another program; returns where in the log it begins."""
        began = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*under, *self._command], cwd=self.folder, env=self._environment, stderr=log, stdout=log
            )
        return began

    def _has_logged(self, event: str, began: int) -> bool:
        assert self.process is not None
        written = self.log.read_bytes()[began:].decode()
        assert self.process.poll() is None, written
        return f'"event":"{event}"' in written or re.search(rf"\] {event} ", written) is not None

    def kill(self) -> None:
        """End it as kill -9 does."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self, code: int = 0) -> None:
        """SIGTERM, and the end in order."""
        assert self.process is not None
        self.process.terminate()
        assert self.process.wait(30) == code, self.log.read_text()

    def vary(self, **variables: str) -> None:
        """Other environment variables, from the next start on."""
        self._environment |= variables

    def tell(self, number: signal.Signals) -> None:
        """Send a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def logged(self, event: str) -> list[dict[str, Any]]:
        """All lines of the log with this event, of all its runs."""
        lines = [line for line in self.log.read_text().splitlines() if f'"event":"{event}"' in line]
        return [json.loads(line) for line in lines]

    def close(self) -> None:
        """End it if it still runs."""
        if self.process is not None and self.process.poll() is None:
            self.kill()

    def facts(self) -> dict[str, str]:
        """What the daemon noted in its store."""
        store = Store(self.state / "store.db")
        try:
            return store.facts()
        finally:
            store.close()

    def books(self) -> dict[str, Any]:
        """What became of all values so far."""
        books: dict[str, Any] = json.loads(self.facts().get("books", "{}"))
        return books

    def accounted(self) -> int:
        """How many values have an outcome, or wait for one."""
        books = self.books()
        return sum(books["outcomes"].values()) + int(books["waiting"]) if books else 0


def answer(address: str, path: str, body: object = None) -> tuple[int, Any]:
    """Status and answer of a daemon's HTTP port; (0, why) where there is none."""
    if not address.startswith("http://"):
        return 0, address
    sent = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address + path, sent, {"Content-Type": "application/json"})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=20) as got:  # noqa: S310 - our own address
            text = got.read().decode()
            return got.status, text if path == "/metrics" else json.loads(text)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)
    except OSError as error:
        return 0, str(error)


def settings(broker: Broker, model: Path, *, influx: str = "", extra: str = "") -> str:
    """A settings file for tests: JSON log, this broker, this model, and a floor between its normal and the fault.

    Normal running scores about 1, the fault 5 and more: where between them an incident begins is not in question.
    """
    return f"""
{extra}
[mqtt]
host = "{broker.host}"
port = {broker.port}
reconnect_min_s = 0.1
reconnect_max_s = 0.5

[[classes]]
name = "machine"
file = "{model / "asset.toml"}"
model = "{model}"

[threshold]
floor = 2.0

[influx]
url = "{influx}"
bucket = "engines"
retry_min_s = 0.1
retry_max_s = 0.5

[log]
format = "json"
"""


def json_lines(text: str) -> Sequence[dict[str, Any]]:
    """One object a line."""
    return [json.loads(line) for line in text.splitlines()]
