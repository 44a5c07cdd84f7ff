"""Assets that are none: the canary publishes them to itself. They are watched as others are. Pure."""

from __future__ import annotations

SITE = "_canary"


def is_synthetic(name: str) -> bool:
    """Whether an asset (site/area/asset), or a class, is the canary's.

    >>> is_synthetic("_canary//main"), is_synthetic("_canary"), is_synthetic("plant//_canary")
    (True, True, False)
    """
    return name.partition("/")[0] == SITE


def is_meant(name: str, asked: str) -> bool:
    """Whether a question about assets, by a name or a glob, is about one: the canary is meant where it is named.

    >>> is_meant("_canary//main", "*"), is_meant("_canary//main", "_canary/*"), is_meant("plant//p1", "*")
    (False, True, True)
    """
    return is_synthetic(asked) or not is_synthetic(name)
