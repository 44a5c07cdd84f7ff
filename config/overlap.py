"""Whether two globs can match the same text, so that two classes cannot claim one asset."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from functools import cache

_ALPHABET = [chr(code) for code in range(0x20, 0x250)]


def globs_overlap(one: str, other: str) -> bool:
    """Whether some text matches both globs (`*`, `?` and `[…]` as `fnmatch` has them: `*` crosses a `/`).

    >>> globs_overlap("plant/*/engine-?", "*/press"), globs_overlap("plant/*", "*/*/engine-1")
    (False, True)
    """
    first, second = (re.findall(r"\[!?\]?[^]]*\]|.", glob, re.DOTALL) for glob in (one, other))

    @cache
    def meet(i: int, j: int) -> bool:
        """Whether the rest of the first glob from i and of the second from j have a text in common."""
        if i == len(first) and j == len(second):
            return True
        if i < len(first) and first[i] == "*":
            return meet(i + 1, j) or (j < len(second) and meet(i, j + 1))
        if j < len(second) and second[j] == "*":
            return meet(i, j + 1) or (i < len(first) and meet(i + 1, j))
        return i < len(first) and j < len(second) and _share(first[i], second[j]) and meet(i + 1, j + 1)

    return meet(0, 0)


def _share(one: str, other: str) -> bool:
    """Whether two parts of a glob that each stand for one character have one in common."""
    characters = [part for part in (one, other) if len(part) == 1 and part != "?"] or _ALPHABET
    return one == other or any(fnmatchcase(c, one) and fnmatchcase(c, other) for c in characters)
