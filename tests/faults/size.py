"""How much of a fault is tried: a little in `make test`, the whole in `make faults`."""

from __future__ import annotations

import os

import pytest

FULL = os.environ.get("ENGINEWATCH_FAULTS") == "full"


def tries(short: int, full: int) -> int:
    """The number that this run asks for."""
    return full if FULL else short


def only_full() -> None:
    """Skip a test that shows nothing else than its neighbour does, with another server."""
    if not FULL:
        pytest.skip("only in `make faults`")
