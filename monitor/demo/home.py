"""What every demo's house has: processes that are started in order, watched, and stopped in order."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from monitor.demo.processes import Child

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from monitor.demo.screen import Signals

START_LIMIT_S = 30.0  # for a process to do its work, or a broker to answer
STEP_S = 0.05


class DemoError(Exception):
    """The demo cannot begin; the sentence says why."""


class Stopped(Exception):  # noqa: N818 - it is no error
    """The user asked for the end before the demo had begun."""


class Home:
    """A context manager; when it is left everything has stopped, the latest part first, whatever happened.

    A house starts its parts on entering, and leaves none behind where one fails.
    """

    def __init__(self, folder: Path, signals: Signals) -> None:
        """The folder is empty, and the demo's own."""
        self._folder = folder
        self._signals = signals
        self._parts = ExitStack()
        self._children: list[Child] = []

    def __exit__(self, *_: object) -> None:
        self._parts.close()

    def wait(self, what: Callable[[], object], why_not: str) -> None:
        """Wait until something is true, as long as everything lives.

        Raises DemoError where it takes too long, ProcessError where a process ends, and Stopped.
        """
        until = time.monotonic() + START_LIMIT_S
        while not what():
            self.check()
            if self._signals.asked:
                raise Stopped
            if time.monotonic() > until:
                raise DemoError(f"{why_not} after {START_LIMIT_S:g} s")
            time.sleep(STEP_S)

    def check(self) -> None:
        """Raises ProcessError where a process has ended by itself."""
        for child in self._children:
            child.check()

    def _child(self, name: str, command: list[str]) -> Child:
        child = Child(name, command, folder=self._folder)
        self._parts.callback(child.stop)
        self._children.append(child)
        return child
