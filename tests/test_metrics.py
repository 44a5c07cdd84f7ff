"""models.metrics: what counts leave open."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.metrics import poisson_interval


@pytest.mark.parametrize(
    ("count", "low", "high"), [(0, 0.0, 3.689), (1, 0.0253, 5.572), (5, 1.623, 11.668), (10, 4.795, 18.390)]
)
def test_the_interval_is_the_published_one(count: int, low: float, high: float) -> None:
    """Values of the table in Garwood (1936), as reprinted in textbooks of epidemiology."""
    assert list(poisson_interval(count)) == pytest.approx([low, high], abs=1e-3)


@given(st.integers(1, 300))
def test_each_end_leaves_half_of_the_rest(count: int) -> None:
    """At the upper end so many or fewer have 2.5 %, at the lower so many or more; summed term by term."""
    low, high = poisson_interval(count)

    def at_most(most: int, mean: float) -> float:
        term = total = math.exp(-mean)
        for k in range(1, most + 1):
            term *= mean / k
            total += term
        return total

    assert at_most(count, high) == pytest.approx(0.025, rel=1e-6)
    assert 1 - at_most(count - 1, low) == pytest.approx(0.025, rel=1e-6)


def test_a_negative_count_is_refused() -> None:
    with pytest.raises(ValueError, match="-1"):
        poisson_interval(-1)
