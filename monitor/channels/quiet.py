"""Whether it is quiet hours somewhere. Pure: the time zone is given in."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo


def hours(begin: str, end: str, zone: tzinfo) -> Callable[[int], bool]:
    """Says of a time (epoch ms) whether it is within; over midnight where the end is earlier. Empty: it never is.

    >>> quiet = hours("22:00", "06:30", UTC)
    >>> [quiet(3_600_000 * hour) for hour in (21, 22, 24, 30, 31)]
    [False, True, True, True, False]
    """
    if not begin:
        return lambda _: False
    first, last = time.fromisoformat(begin), time.fromisoformat(end)

    def quiet(now: int) -> bool:
        there = datetime.fromtimestamp(now / 1000, UTC).astimezone(zone).time()
        return first <= there < last if first < last else there >= first or there < last

    return quiet
