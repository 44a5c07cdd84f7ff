"""benchmarks.detection: what counts as worse than what was recorded."""

from __future__ import annotations

import pytest

from benchmarks.detection import worse
from models.evaluation import Figure

BEFORE = {"AP": Figure(0.70, 0.65, 0.75), "false alerts an hour": Figure(0.4, 0.2, 0.9)}


@pytest.mark.parametrize(
    ("now", "said"),
    [
        ({"AP": Figure(0.66)}, []),
        ({"AP": Figure(0.64)}, ["X: AP is 0.640, was 0.700 [0.650, 0.750]"]),
        ({"AP": Figure(0.99), "false alerts an hour": Figure(0.0)}, []),
        ({"false alerts an hour": Figure(1.0)}, ["X: false alerts an hour is 1.000, was 0.400 [0.200, 0.900]"]),
        ({"AP": Figure(None)}, []),
    ],
)
def test_worse_is_beyond_the_interval_that_was_recorded(now: dict[str, Figure], said: list[str]) -> None:
    """More false alerts are worse, less average precision is; what cannot be had is not compared."""
    assert worse("X", now, BEFORE) == said


def test_what_had_no_interval_is_not_compared() -> None:
    assert worse("X", {"AP": Figure(0.1)}, {"AP": Figure(0.9)}) == []
