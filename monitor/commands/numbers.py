"""Numbers on the command line, between bounds that a refusal names."""

from __future__ import annotations

import argparse
import math
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LARGEST_SEED = 2**63 - 1


def number(lowest: float, highest: float) -> Callable[[str], float]:
    """A parser of numbers between two bounds.

    >>> number(0, 10)("2.5")
    2.5
    """

    def parse(text: str) -> float:
        value = math.nan
        with suppress(ValueError):
            value = float(text)
        if not lowest <= value <= highest:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number from {lowest:g} to {highest:g}")
        return value

    return parse


def whole_number(lowest: int, highest: int) -> Callable[[str], int]:
    """A parser of whole numbers between two bounds."""

    def parse(text: str) -> int:
        if not text.isdecimal() or not lowest <= int(text) <= highest:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {lowest} to {highest}")
        return int(text)

    return parse
