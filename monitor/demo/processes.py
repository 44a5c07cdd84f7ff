"""The demo's child processes: each in its own session, so that Ctrl-C reaches only us, and none outlives us."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

PR_SET_PDEATHSIG = 1  # linux/prctl.h
END_LIMIT_S = 10.0  # from SIGTERM to SIGKILL


class ProcessError(Exception):
    """A process cannot go on; the sentence says which, and what it said last."""


class Child:
    """One process. What it writes goes to a file."""

    def __init__(self, name: str, command: Sequence[str], *, folder: Path) -> None:
        """Start it in the folder, where its log is kept; not beside threads, whose locks a fork would copy.

        Raises ProcessError where it cannot be started.
        """
        self._name = name
        self.log = folder / f"{name}.log"
        # Settings that are meant for the user's own daemon must not reach ours.
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("ENGINEWATCH_")}
        # Else onnxruntime (from 1.29 on) reports to its maker, and keeps a file for that in the temporary folder.
        inherited.setdefault("ORT_DISABLE_TELEMETRY", "1")
        try:
            with self.log.open("wb") as log:
                self._process = subprocess.Popen(
                    command,
                    cwd=folder,
                    env=inherited,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    preexec_fn=_end_with_parent(),  # noqa: PLW1509 - safe as long as we have no other threads
                )
        except OSError as error:
            raise ProcessError(f"the {name} cannot be started: {error.strerror or error}") from error

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def said(self) -> str:
        """All that it wrote."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def check(self) -> None:
        """Raises ProcessError where it has ended, which it must not before `stop`."""
        code = self._process.poll()
        if code is not None:
            raise ProcessError(f"the {self._name} ended by itself (exit code {code}): {last_word(self.said())}")

    def stop(self) -> int:
        """End it, in order if it can; returns its exit code."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(END_LIMIT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
        return self._process.wait()


def last_word(said: str) -> str:
    r"""Why a process ended, of what it wrote: the last error that its log has in JSON, else its last line.

    >>> last_word('{"level":"error","event":"job_failed","reason":"no bucket"}\n{"event":"stopped"}\n')
    'job_failed: no bucket'
    >>> last_word("kafka at 127.0.0.1:1\n")
    'kafka at 127.0.0.1:1'
    >>> last_word("")
    'it said nothing'
    """
    lines = said.strip().splitlines()
    for line in reversed(lines):
        with suppress(ValueError):
            told = json.loads(line)
            if isinstance(told, dict) and told.get("level") == "error":
                return ": ".join(str(told[key]) for key in ("event", "reason") if key in told)
    return lines[-1] if lines else "it said nothing"


def _end_with_parent() -> Callable[[], None] | None:
    """What a new process has to do first so that the kernel ends it with us, however we end; only Linux can."""
    if sys.platform != "linux":
        return None
    library, parent = ctypes.CDLL(None), os.getpid()

    def first() -> None:
        library.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # we ended before it could ask
            os._exit(1)

    return first
