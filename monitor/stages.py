"""Whether every thread of the daemon goes on: each counts its turns; who looks on finds the stuck and the dead.

Time is counted by the looks: a process that was stopped or suspended, and with it all threads, finds none stuck.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Pulse:
    """What a thread says of itself. Only the thread writes it, anyone may read it."""

    __slots__ = ("may_take_s", "turns")

    def __init__(self) -> None:
        self.turns = 0
        self.may_take_s = 0.0

    def turn(self, may_take_s: float = 0.0) -> None:
        """A turn begins; waiting for somebody else may take so much longer than usual."""
        self.may_take_s = may_take_s
        self.turns += 1


class Worker(threading.Thread):
    """A thread that does not end the process by itself; what ended the thread stands in `failed`."""

    def __init__(self, name: str, body: Callable[[], None]) -> None:
        super().__init__(name=name, daemon=True)
        self._body = body
        self.failed: Exception | None = None

    def run(self) -> None:
        """The thread's body."""
        try:
            self._body()
        except Exception as error:  # noqa: BLE001 - whatever it was: who looks on tells it
            self.failed = error


class Stage(NamedTuple):
    """A thread that must go on as long as the daemon works.

    `needed`: readings are not taken in, scored and kept without it. Where another one is stuck, that is told, but
    starting the daemon anew would interrupt the work and mend nothing: it waits for somebody else.
    """

    name: str
    thread: Worker
    pulse: Pulse
    needed: bool = True


class Stages:
    """All stages, looked at again and again by one thread."""

    def __init__(self, stages: Sequence[Stage], *, patience_s: float, now: float) -> None:
        """A turn may take `patience_s`, and what its pulse allows beside; `now` in monotonic seconds."""
        self._stages = stages
        self._patience_s = patience_s
        self._looked = now
        self._awake = 0.0  # seconds that were looked at
        self._turned = {
            each.name: (each.pulse.turns, 0.0) for each in stages
        }  # turns, and when they were first seen
        self.stuck: dict[str, float] = {}  # name -> seconds since its last turn

    def look(self, now: float) -> dict[str, float]:
        """Look once; returns the stages that are stuck since this look, and since when in seconds."""
        self._awake += min(now - self._looked, self._patience_s / 4)
        self._looked = now
        stuck = {}
        for each in self._stages:
            turns, since = self._turned[each.name]
            if each.pulse.turns != turns:
                self._turned[each.name] = (each.pulse.turns, self._awake)
            elif self._awake - since > self._patience_s + each.pulse.may_take_s:
                stuck[each.name] = self._awake - since
        new = {name: seconds for name, seconds in stuck.items() if name not in self.stuck}
        self.stuck = stuck
        return new

    @property
    def works(self) -> bool:
        """Whether none is stuck that the work needs."""
        return not any(each.needed and each.name in self.stuck for each in self._stages)

    def vital(self) -> list[tuple[Stage, bool, float]]:
        """Each stage: whether it is alive, and for how many seconds it is stuck. For any thread."""
        stuck = self.stuck
        return [(each, each.thread.is_alive(), stuck.get(each.name, 0.0)) for each in self._stages]

    def dead(self) -> tuple[str, Exception] | None:
        """The first stage that has ended, and why; None while all go on."""
        for each in self._stages:
            if not each.thread.is_alive():
                return each.name, each.thread.failed or RuntimeError("the thread has ended by itself")
        return None
