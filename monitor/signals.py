"""SIGTERM, SIGINT and SIGHUP on a thread of their own: a main thread that hangs in a call does not delay them.

Python's handlers run on the main thread only, between two of its instructions; the byte that the interpreter
writes at the signal itself is read here.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable

log = structlog.get_logger()

HANDLED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
INTERRUPTED = 130  # exit code of what Ctrl-C ended at once


class Signals:
    """Takes the signals from its making on, in the main thread."""

    def __init__(self, *, stop: Callable[[], None], reload: Callable[[], None]) -> None:
        """Each is called on this room's thread; `stop` once, and a second Ctrl-C ends the process at once."""
        self._stop = stop
        self._reload = reload
        self.stopping = False
        self._ear, self._mouth = socket.socketpair()
        self._mouth.setblocking(False)
        for number in HANDLED:
            signal.signal(number, lambda *_: None)
        signal.set_wakeup_fd(self._mouth.fileno(), warn_on_full_buffer=False)
        threading.Thread(target=self._run, name="signals", daemon=True).start()

    def _run(self) -> None:
        while True:
            for number in self._ear.recv(64):
                self._take(number)

    def _take(self, number: int) -> None:
        if number == signal.SIGHUP:
            self._reload()
        elif number in HANDLED and not self.stopping:
            self.stopping = True
            self._stop()
        elif number == signal.SIGINT:
            log.warning("stopped_at_once", reason="Ctrl-C again; the next start replays what is in the journal")
            os._exit(INTERRUPTED)
