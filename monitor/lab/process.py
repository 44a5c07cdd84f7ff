"""One run of the lab's process, with a limit of time; whoever starts a second one meanwhile is told to wait."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import msgspec

from monitor.lab.matched import LabError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LIMIT_S = 50.0  # less than the HTTP port has for an answer (`monitor.web.bounded`)
# A process that reads what strangers send needs nothing of what else stands there, such as tokens.
PASSED_ON = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TMPDIR")


BUSY = "the lab is scoring something else just now: try again in a moment"


class BusyError(Exception):
    """Somebody else has the lab: trying again later is of use."""


class Wanted:
    """Whether somebody still waits for a run, before it begins as well; for any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._over = False

    def begin(self, child: subprocess.Popen[bytes]) -> None:
        """This is its process, which ends at once where nobody waits any more."""
        with self._lock:
            self._child = child
            if self._over:
                child.kill()

    def give_up(self) -> None:
        """Nobody waits any more: end it, and it alone."""
        with self._lock:
            self._over = True
            if self._child is not None:
                self._child.kill()


class Process:
    """For any thread."""

    def __init__(self, state: Path, *, limit_s: float = LIMIT_S) -> None:
        """`state` is the daemon's folder."""
        self._state = state
        self._limit_s = limit_s
        self._one = threading.Lock()

    def run(self, asked: Mapping[str, Any], content: bytes = b"", wanted: Wanted | None = None) -> dict[str, Any]:
        """The result of a request (`monitor.lab.worker`). Raises LabError and BusyError."""
        if not self._one.acquire(blocking=False):
            raise BusyError(BUSY)
        try:
            line = msgspec.json.encode({**asked, "state": str(self._state.absolute())})
            return self._run(line, content, wanted or Wanted())
        finally:
            self._one.release()

    def _run(self, line: bytes, content: bytes, wanted: Wanted) -> dict[str, Any]:
        environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        child = subprocess.Popen(
            [sys.executable, "-m", "monitor.lab.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
        )
        try:
            wanted.begin(child)
            told, complaint = child.communicate(line + b"\n" + content, timeout=self._limit_s)
        except subprocess.TimeoutExpired:
            raise LabError(
                f"this took longer than {self._limit_s:g} s and was given up: take fewer rows, or a shorter sample"
            ) from None
        finally:
            child.kill()
            child.wait()
        if child.returncode != 0 or not told:
            last = complaint.decode("utf-8", "replace").strip().rpartition("\n")[2]
            raise LabError(f"the lab's process ended without a result: {last or f'exit code {child.returncode}'}")
        said: dict[str, Any] = msgspec.json.decode(told)
        if "error" in said:
            raise LabError(said["error"])
        return said
