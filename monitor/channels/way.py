"""How a channel's messages leave: what every way has in common. Types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from monitor.channels.memory import Telling


class Undelivered(Exception):  # noqa: N818 - it says what is so
    """It did not get through, and why, in words. It is tried again, after `retry_after` seconds or later.

    `alone`: the other side is there and does not take this message; it may take another one. `partly`: some
    recipients have it, so it is not to be told again; what the others did not take is kept for `again`.
    `doubt`: it was sent and no answer came, so nobody knows whether it arrived.
    """

    def __init__(
        self,
        sentence: str,
        retry_after: float = 0.0,
        *,
        alone: bool = False,
        partly: bool = False,
        doubt: bool = False,
    ) -> None:
        super().__init__(sentence)
        self.retry_after = retry_after
        self.alone = alone
        self.partly = partly
        self.doubt = doubt


class Other(Protocol):
    """The other side of a channel. Each raises Undelivered."""

    def test(self) -> str:
        """Send one that is marked as a test; returns what was answered, in words."""

    def reach(self) -> str:
        """Find out whether somebody is there, without sending anything; returns who, in words."""

    def close(self) -> None:
        """Close what is open."""


class Way(Other, Protocol):
    """One that takes messages."""

    def tell(self, telling: Telling) -> None:
        """Send a message; return once the other side has taken it. Raises Undelivered."""

    def again(self) -> None:
        """Send what only some recipients have to the others. Raises Undelivered while one does not take it."""
