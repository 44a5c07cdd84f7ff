"""The time that a daemon has to end: shared out among its threads, and the end of the process when it is over."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Sequence

log = structlog.get_logger()

IN_ORDER = 0.8  # of the time is for the threads: the rest is for what comes after them
LEAST_S = 0.1  # that each has in any case


class Deadline:
    """So many seconds from `begin` on; after that the process ends with 1, whatever hangs."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._until = 0.0  # by when the threads should have ended
        self._timer: threading.Timer | None = None
        self._lock = threading.Lock()

    def begin(self) -> None:
        """From now on the time runs; for any thread, and once."""
        with self._lock:
            if self._timer is None:
                self._until = time.monotonic() + IN_ORDER * self._seconds
                self._timer = threading.Timer(self._seconds, self._end)
                self._timer.daemon = True
                self._timer.start()

    def share(self, of_it: float) -> float:
        """The seconds that somebody may take who gets such a part of what is left for the threads."""
        return max(LEAST_S, of_it * (self._until - time.monotonic()))

    def cancel(self) -> None:
        """It has ended: the process may go on."""
        if self._timer is not None:
            self._timer.cancel()

    def tell(self, threads: Sequence[str]) -> None:
        """Say which threads were not waited for any longer."""
        remedy = "the next start replays what is in the journal; see daemon.stop_within_s"
        log.error("stop_forced", after_s=self._seconds, threads=threads, remedy=remedy)

    def _end(self) -> None:
        """End at once: what is acknowledged is on the disk."""
        self.tell([each.name for each in threading.enumerate() if each is not threading.current_thread()])
        os._exit(1)
