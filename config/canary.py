"""The canary's settings, and the asset class that comes with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from config.section import Mistake, Section, in_order
from config.sections import Positive

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "_canary"  # of the class, and the site of its asset


class CanarySettings(Section):
    """A simulated engine with known faults, through the whole line: whether they are seen, and how soon."""

    enabled: bool = Field(False, description="publish it, and watch it as an asset apart")
    every_s: float = Field(3600.0, ge=60, description="seconds from one fault to the next")
    expect_within_s: Positive = Field(120.0, description="a fault that is not seen so soon is missed")

    def mistakes(self) -> Iterator[Mistake]:
        """One fault is over before the next begins."""
        yield from in_order(self, "expect_within_s", "every_s")
