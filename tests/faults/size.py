"""How much of a fault is tried: a little in `make test`, the whole in `make faults`."""

from __future__ import annotations

import os

FULL = os.environ.get("ENGINEWATCH_FAULTS") == "full"


def tries(short: int, full: int) -> int:
    """The number that this run asks for."""
    return full if FULL else short
