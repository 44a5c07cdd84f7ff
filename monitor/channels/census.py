"""What channels have to know of the line, asked now and then."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol, TypeVar

from monitor.channels.rules import Plant

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitor.state import LineState

Answer = TypeVar("Answer")
FRESH_S = 5.0  # an answer is as good as another for so long
ASK_S = 2.0  # how long the line may take


class Asked(Protocol):
    """The line, as far as it can be asked."""

    def ask(self, question: Callable[[LineState], Answer], seconds: float) -> Answer:
        """What a function says of its state. Raises TimeoutError where it is busy for longer."""


class Census:
    """Answers from any thread; the last known one where the line is busy."""

    def __init__(self, line: Asked, question: Callable[[LineState], Plant]) -> None:
        self._line = line
        self._question = question
        self._known = Plant({})
        self._asked_at: float | None = None

    def __call__(self) -> Plant:
        """What there is."""
        now = time.monotonic()
        if self._asked_at is None or now - self._asked_at >= FRESH_S:
            self._asked_at = now
            try:
                self._known = self._line.ask(self._question, ASK_S)
            except TimeoutError:  # it has much to do: what was so a moment ago will do
                self._asked_at = None
        return self._known
