"""What may be asked at the socket: the assets that the line knows, and dead letters to be sent through again."""

from __future__ import annotations

import time
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, TypeVar

from monitor.door import CommandError
from monitor.intake import MESSAGES_AT_ONCE
from monitor.journal import JournalError
from monitor.records import Batch
from monitor.retry import again
from monitor.roll import roll
from monitor.schema import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from monitor.door import Question
    from monitor.journal import Journal
    from monitor.line import Line
    from monitor.state import LineState
    from monitor.store import Store

Answer = TypeVar("Answer")
ASK_S = 10.0  # how long a question waits for the line


class Questions:
    """Answers, from any thread."""

    def __init__(self, line: Line, journal: Journal, store: Store) -> None:
        self._line = line
        self._journal = journal
        self._store = store

    def by_name(self) -> Mapping[str, Callable[[Question], object]]:
        """What answers each question."""
        return {"assets": lambda _: self.assets(), "retry": self._retry}

    def assets(self, *, fits: bool = True) -> list[dict[str, Any]]:
        """Every asset, as the line knows it now; on wish without whether models fit. Raises CommandError."""
        now = int(time.time() * 1000)
        return self._ask(lambda state: roll(state, now, fits=fits))

    def _retry(self, asked: Question) -> dict[str, Any]:
        """Send through the line again what would be taken now. Raises CommandError where it cannot be kept."""
        letters = [
            (number, letter)
            for number, letter in self._store.letters()
            if fnmatchcase(letter.topic, asked.topic) and fnmatchcase(letter.reason, asked.reason)
        ]
        found = self._ask(lambda state: again(state, letters))
        try:
            # First the journal: what is in both after a crash is told as a duplicate, and not lost.
            for first in range(0, len(found.messages), MESSAGES_AT_ONCE):
                batch = Batch(found.messages[first : first + MESSAGES_AT_ONCE])
                self._journal.append([batch], int(time.time() * 1000))
                self._line.wake()
            self._store.drop_letters(found.letters)
        except (JournalError, StoreError) as error:
            raise CommandError(f"not carried out in full: {error}") from error
        return {
            "messages": len(found.messages),
            "values": found.values,
            "letters": len(found.letters),
            "kept_in_part": found.kept_in_part,
            "refused": found.refused,
            "reason": found.reason,
        }

    def _ask(self, question: Callable[[LineState], Answer]) -> Answer:
        """Ask the line's thread. Raises CommandError where it is busy."""
        try:
            return self._line.ask(question, ASK_S)
        except TimeoutError as error:
            raise CommandError("the line is busy: ask again later") from error
