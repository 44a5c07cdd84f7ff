"""The demo's screen: lines that stay, and one below them that is alive; the signals that ask for the end."""

from __future__ import annotations

import signal
import sys
import time
from typing import TYPE_CHECKING, Self

from rich.console import Console, Group
from rich.live import Live

if TYPE_CHECKING:
    from rich.console import RenderableType

SHOWN_EVERY_S = 0.25
PLAIN_EVERY_S = 5.0  # where there is no terminal
NO_LIMIT = 10_000  # columns: a file's lines need not be broken


class Screen:
    """Standard output; a context manager."""

    def __init__(self) -> None:
        """Find out whether somebody looks."""
        self._alive = sys.stdout.isatty()
        width = None if self._alive else NO_LIMIT
        self._console = Console(highlight=False, markup=False, emoji=False, width=width)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._shown = 0.0

    def __enter__(self) -> Self:
        if self._alive:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def say(self, what: RenderableType) -> None:
        """Something that stays."""
        if self._alive:
            self._console.print(what)
            return
        with self._console.capture() as written:  # tables fill up their lines with blanks
            self._console.print(what)
        sys.stdout.write("".join(f"{line.rstrip()}\n" for line in written.get().splitlines()))
        sys.stdout.flush()

    def due(self) -> bool:
        """Whether the live line is due."""
        return time.monotonic() - self._shown >= (SHOWN_EVERY_S if self._alive else PLAIN_EVERY_S)

    def show(self, line: RenderableType) -> None:
        """Bring the live line up to date."""
        self._shown = time.monotonic()
        if self._alive:
            self._live.update(Group("", line), refresh=True)
        else:
            self.say(line)


class Signals:
    """Ctrl-C, SIGTERM and SIGHUP ask for the end and interrupt nothing; a context manager."""

    NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __init__(self) -> None:
        self.asked = 0  # how often

    def __enter__(self) -> Self:
        # What is ignored stays so: that is how nohup asks for a run that outlives its terminal.
        heeded = [number for number in self.NUMBERS if signal.getsignal(number) != signal.SIG_IGN]
        self._before = {number: signal.signal(number, self._ask) for number in heeded}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, *_: object) -> None:
        self.asked += 1
