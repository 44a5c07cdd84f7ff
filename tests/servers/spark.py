"""A real Spark cluster out of the pyspark package: a master, a worker and executors as processes of their own."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest

from tests.servers import free_port, missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

START_LIMIT_S = 60.0
STOP_LIMIT_S = 10.0
EXECUTOR = b"CoarseGrainedExecutorBackend"


class Spark:
    """A standalone cluster on loopback with one worker, whose executors can be killed like any other process.

    The worker starts a new executor where one has died, and the master takes drivers again that come back.
    """

    def __init__(self, folder: Path, *, cores: int = 2, memory: str = "2g") -> None:
        self.folder = folder
        self._cores, self._memory = cores, memory
        self._port, self._worker_port = free_port(), free_port()
        self._processes: list[subprocess.Popen[bytes]] = []
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def url(self) -> str:
        """The address for `fleet.master`."""
        return f"spark://127.0.0.1:{self._port}"

    def environment(self) -> dict[str, str]:
        """What a driver and its executors need to find each other, and this Python."""
        return {
            "SPARK_HOME": str(home()),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_LOCAL_DIRS": str(self.folder / "local"),
            "PYSPARK_PYTHON": sys.executable,
            "PYSPARK_DRIVER_PYTHON": sys.executable,
        }

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start master and worker, and wait until the worker has been taken."""
        here = ("--host", "127.0.0.1", "--webui-port", str(free_port()))
        master = self._launch("master", "org.apache.spark.deploy.master.Master", "--port", str(self._port), *here)
        self._await(master, "master", lambda: _listens(self._port))
        here = ("--host", "127.0.0.1", "--webui-port", str(free_port()))
        room = ("--cores", str(self._cores), "--memory", self._memory, "--work-dir", str(self.folder / "work"))
        name = "org.apache.spark.deploy.worker.Worker"
        worker = self._launch("worker", name, "--port", str(self._worker_port), *here, *room, self.url)
        self._await(worker, "worker", lambda: "Successfully registered" in self.said("worker"))

    def stop(self) -> None:
        """End all, executors too."""
        processes, self._processes = self._processes, []
        for process in reversed(processes):
            _end(process)

    def executors(self) -> list[int]:
        """The process ids of the executors that live, the oldest first."""
        worker = self._processes[-1].pid
        running = sorted(int(each.name) for each in Path("/proc").iterdir() if each.name.isdigit())
        return [pid for pid in running if _parent(pid) == worker and EXECUTOR in _command(pid)]

    def kill_executor(self) -> int | None:
        """Kill one executor as kill -9 does; returns its process id, None where there is none just now."""
        for pid in self.executors():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                return pid
        return None

    def said(self, name: str) -> str:
        """The log of "master" or "worker" so far."""
        return (self.folder / f"{name}.out").read_text(errors="replace")

    def _launch(self, name: str, *words: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.out").open("ab") as log:
            process = subprocess.Popen(
                [str(home() / "bin" / "spark-class"), *words],
                env={**os.environ, **self.environment(), "SPARK_DAEMON_MEMORY": "256m"},
                stdout=log, stderr=log, cwd=self.folder, start_new_session=True,
            )  # fmt: skip
        self._processes.append(process)
        return process

    def _await(self, process: subprocess.Popen[bytes], name: str, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_LIMIT_S
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"Spark's {name} did not start:\n{self.said(name)[-2000:]}")
            time.sleep(0.05)


def home() -> Path:
    """Where the pyspark package lies."""
    found = importlib.util.find_spec("pyspark")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent


def _command(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def _parent(pid: int) -> int:
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1.0):
        return True
    return False


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process with all that it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOP_LIMIT_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(STOP_LIMIT_S)


@pytest.fixture
def spark_cluster(tmp_path: Path) -> Iterator[Spark]:
    """A running cluster with one worker."""
    if importlib.util.find_spec("pyspark") is None:
        missing("pyspark (the extra `fleet`)")
    if shutil.which("java") is None:
        missing("Java")
    with Spark(tmp_path / "spark") as cluster:
        yield cluster
