"""The way of a channel whose secrets cannot be used: it says so whenever it is asked to send something."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from monitor.channels.way import Undelivered

if TYPE_CHECKING:
    from monitor.channels.memory import Telling


class Unusable:
    """A `Way` that leads nowhere, and why."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def tell(self, telling: Telling) -> NoReturn:
        """Raises Undelivered."""
        del telling
        raise Undelivered(self._reason)

    def again(self) -> None:
        """There is no recipient."""

    def test(self) -> NoReturn:
        """Raises Undelivered."""
        raise Undelivered(self._reason)

    def reach(self) -> NoReturn:
        """Raises Undelivered."""
        raise Undelivered(self._reason)

    def close(self) -> None:
        """Nothing is open."""
