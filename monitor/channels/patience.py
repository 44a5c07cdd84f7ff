"""Waiting for others for so long and no longer, whatever they do: an answer that drips, a name that is looked up.

No time limit of a library bounds all of a conversation: each of its steps may take so long, and there may be any
number of steps. So it is held on a thread of its own, and left to itself when its time is over.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Answer = TypeVar("Answer")

MOST_LEFT = 3  # conversations that were left to themselves and go on


class Patience:
    """One channel's."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._left: list[threading.Thread] = []

    def wait(self, ask: Callable[[], Answer], longest_s: float) -> Answer:
        """What `ask` returns or raises. Raises TimeoutError where it does neither in time.

        And at once, where too many that were given up go on: they would become more and more.
        """
        self._left = [each for each in self._left if each.is_alive()]
        if len(self._left) >= MOST_LEFT:
            raise TimeoutError
        answers: list[Answer] = []
        errors: list[BaseException] = []

        def body() -> None:
            try:
                answers.append(ask())
            except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
                errors.append(error)

        thread = threading.Thread(target=body, name=self._name, daemon=True)
        thread.start()
        thread.join(longest_s)
        if errors:
            raise errors[0]
        if answers:
            return answers[0]
        self._left.append(thread)
        raise TimeoutError
