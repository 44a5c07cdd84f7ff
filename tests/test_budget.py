"""When something is nearly full is told once, with how long it lasts."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from monitor.budget import Gauge


def test_it_is_told_at_the_bound_and_again_only_after_it_was_well() -> None:
    """Well is half as far below the bound as the limit is above it: 70 for 80 of 100."""
    gauge = Gauge()
    used = [79, 80, 85, 79, 71, 80, 70, 79, 80]
    looks = [gauge.look(float(second), each, limit=100, bound=80) for second, each in enumerate(used)]
    assert [each.tell for each in looks] == [False, True, False, False, False, False, False, False, True]
    assert [each.near for each in looks] == [False, True, True, True, True, True, False, False, True]


def test_how_long_it_lasts_is_by_the_rate_of_the_last_hour() -> None:
    """A byte a second from 0: at 300 of 1000 there are 700 s left. Standing still for an hour, there is no end."""
    gauge = Gauge()
    left = [gauge.look(float(second), second, limit=1000, bound=800).full_in_s for second in range(301)]
    assert left[:60] == [None] * 60  # over less than a minute there is no rate
    assert left[60] == 940.0
    assert left[300] == 700.0
    still = [gauge.look(float(second), 300, limit=1000, bound=800).full_in_s for second in range(301, 4000, 10)]
    assert still[0] == 700 * 301 / 300
    assert still[-1] == math.inf


@given(st.lists(st.tuples(st.floats(0.1, 1e5), st.integers(0, 2000)), max_size=60))
def test_whatever_comes_it_is_near_at_the_bound_and_never_where_it_is_well(
    steps: list[tuple[float, int]],
) -> None:
    gauge, now, before = Gauge(), 0.0, False
    for pause, used in steps:
        now += pause
        level = gauge.look(now, used, limit=1000, bound=800)
        assert level.near == (used >= 800 or (before and used > 700))
        assert level.tell == (level.near and not before)
        assert level.full_in_s is None or level.full_in_s >= 0
        before = level.near
