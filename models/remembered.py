"""What a description comes to, found once. Pure: the same description gives the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Description = TypeVar("Description")
Made = TypeVar("Made")
MOST = 256  # descriptions; there is one a class


def remembered(make: Callable[[Description], Made]) -> Callable[[Description], Made]:
    """As `functools.lru_cache` for a function of one frozen description, which it knows by which object it is.

    A description may hold a thousand numbers: to hash them takes longer than what is done with what they come to.
    """
    kept: dict[int, tuple[Description, Made]] = {}  # with the object itself, so that no other gets its id

    def find(description: Description) -> Made:
        found = kept.get(id(description))
        if found is None:
            if len(kept) >= MOST:
                kept.clear()
            found = kept[id(description)] = description, make(description)
        return found[1]

    return find
