"""`enginewatch` with threads that die or block when the test says so: `python -m tests.faults.hung monitor`.

SIGUSR1 ends, SIGUSR2 blocks, at its next turn, each thread that ENGINEWATCH_TEST_THREADS names.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

from monitor.cli import main
from monitor.stages import Pulse
from monitor.upkeep import Upkeep

NAMES = os.environ.pop("ENGINEWATCH_TEST_THREADS", "").split(",")


def _turn(pulse: Pulse, may_take_s: float = 0.0) -> None:
    """A turn that goes wrong."""
    _go()
    healthy(pulse, may_take_s)


def _upkeep(upkeep: Upkeep, now: float) -> None:
    """The same for the main thread."""
    _go()
    kept(upkeep, now)


def _go() -> None:
    if threading.current_thread().name in NAMES:
        if wrong == signal.SIGUSR1:
            raise RuntimeError("told to die")
        if wrong == signal.SIGUSR2:
            threading.Event().wait()


def _go_wrong(number: int, _frame: object) -> None:
    global wrong  # noqa: PLW0603 - a signal handler has nobody else to tell
    wrong = number


healthy, kept = Pulse.turn, Upkeep.turn
wrong = 0

if __name__ == "__main__":
    Pulse.turn = _turn  # type: ignore[assignment,method-assign]
    Upkeep.turn = _upkeep  # type: ignore[assignment,method-assign]
    for each in (signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(each, _go_wrong)
    sys.exit(main())
