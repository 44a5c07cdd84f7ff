"""Whether two globs can match the same text, so that two classes cannot claim one asset."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from functools import cache

SLASHES = 2  # in a stream key
_ALPHABET = [chr(code) for code in range(0x20, 0x250)]


def globs_overlap(one: str, other: str) -> bool:
    """Whether some stream key matches both globs (`*`, `?` and `[…]` as `fnmatch` has them: `*` crosses a `/`).

    A key is site/area/asset, so a text with more or fewer than two slashes does not count.

    >>> globs_overlap("plant/*/engine-?", "*/press"), globs_overlap("plant/*", "*/*/engine-1")
    (False, True)
    >>> globs_overlap("*/*/fan-*", "*/*/pump-*")  # x/y/fan-/pump- would be no key
    False
    """
    if _differ(*(re.split(r"[*?[]", glob, maxsplit=1)[0] for glob in (one, other))):
        return False  # at little cost: a class may name a thousand assets one by one
    first, second = (re.findall(r"\[!?\]?[^]]*\]|.", glob, re.DOTALL) for glob in (one, other))

    @cache
    def meet(i: int, j: int, slashes: int) -> bool:
        """Whether the rest of the first glob from i and of the second from j share a text with so many slashes."""
        if slashes < 0:
            return False
        if i == len(first) and j == len(second):
            return slashes == 0
        here, there = (each[k] if k < len(each) else "" for each, k in ((first, i), (second, j)))
        if here == there == "*":
            return any(meet(i + 1, j, left) or meet(i, j + 1, left) for left in range(slashes + 1))
        if here == "*":
            return meet(i + 1, j, slashes) or any(meet(i, j + 1, slashes - used) for used in _slashes(there))
        if there == "*":
            return meet(i, j + 1, slashes) or any(meet(i + 1, j, slashes - used) for used in _slashes(here))
        if not here or not there or not _share(here, there):
            return False
        return any(meet(i + 1, j + 1, slashes - used) for used in _slashes(here) & _slashes(there))

    return meet(0, 0, SLASHES)


def _differ(one: str, other: str) -> bool:
    """Whether two beginnings contradict each other."""
    return not one.startswith(other) and not other.startswith(one)


def _slashes(part: str) -> set[int]:
    """How many slashes a part of a glob that stands for one character can be; none where there is no such part."""
    if not part:
        return set()
    one = int(fnmatchcase("/", part))
    return {one} if len(part) == 1 and part != "?" else {0, one}


def _share(one: str, other: str) -> bool:
    """Whether two parts of a glob that each stand for one character have one in common."""
    characters = [part for part in (one, other) if len(part) == 1 and part != "?"] or _ALPHABET
    return one == other or any(fnmatchcase(c, one) and fnmatchcase(c, other) for c in characters)
