"""A budget of false alarms: as it is written, and the floor that keeps it."""

from __future__ import annotations

import doctest
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.alarm_budget import DAYS, LOWEST, RUNG, Budget, choose, ladder, parse, share_bound
from monitor.false_alarms import DAY_MS, FalseAlarms, poisson_bounds


def counted(days: float, *incidents: int) -> FalseAlarms:
    """So many incidents on the rungs of a ladder, from the lowest on."""
    floors = (LOWEST * RUNG ** np.arange(len(incidents))).astype(np.float64)
    return FalseAlarms(floors, np.array(incidents, np.int64), round(days * DAY_MS))


@given(st.floats(0.001, 1e6), st.sampled_from(["asset", "fleet"]), st.sampled_from(list(DAYS)))
def test_what_is_written_is_read_again(count: float, of: Any, unit: str) -> None:
    text = f"{count:.3f}/{of}-{unit}"
    assert parse(f" {text} ") == Budget(float(f"{count:.3f}"), of, unit)


@pytest.mark.parametrize(
    "text", ["", "1", "0/asset-day", "-1/asset-day", "1/month", "1e3/asset-day", "nan/asset-day"]
)
def test_what_is_no_budget_is_told_with_one_that_is(text: str) -> None:
    with pytest.raises(ValueError, match="such as 1/asset-month"):
        parse(text)


def test_a_budget_of_the_fleet_is_shared_by_its_assets() -> None:
    assert parse("14/fleet-week").a_day(4) == pytest.approx(0.5)
    assert parse("7/asset-week").a_day(4) == pytest.approx(1)
    assert parse("14/fleet-week").of_rate(0.5, 4) == pytest.approx(14)


def test_the_lowest_floor_counts_whose_bound_is_within_the_budget() -> None:
    """30 are allowed: 21 have an upper bound of 30.24, 20 one of 29.06 (chi square with 44 and 42 degrees)."""
    choice = choose(counted(30, 50, 21, 20, 0), 1.0)
    assert choice.way == "counted"
    assert choice.floor == pytest.approx(LOWEST * RUNG**2)
    assert (choice.a_day, choice.high) == pytest.approx((20 / 30, 29.06 / 30), abs=1e-3)


def test_a_floor_below_one_that_counts_more_is_not_trusted() -> None:
    """Where a higher one parts an incident into several."""
    assert choose(counted(30, 50, 3, 21, 3), 1.0).floor == pytest.approx(LOWEST * RUNG**3)


def test_too_little_data_is_refused_with_how_much_it_takes() -> None:
    """Nothing seen in three days says: less than one a day. One a month takes 91 days, a tenth with the tail."""
    choice = choose(counted(3, 200, 100, 50, 25, 12, 6, 3, 1, 0), 1 / DAYS["month"])
    assert choice.floor is None
    assert "3 asset-days" in choice.why
    assert "91.2, or 9.12" in choice.why


def test_a_tail_that_nobody_saw_is_not_gone_on_with() -> None:
    choice = choose(counted(1, 19, 5, 0), 1.0)
    assert choice.floor is None
    assert "19 incidents at the lowest floor tell no tail" in choice.why


def test_the_tail_is_gone_on_with_by_its_worst_share() -> None:
    """Halved by each rung: 32 is the last with 20 or more, and 31 lie on rungs above it."""
    choice = choose(counted(1, 64, 32, 16, 8, 4, 2, 1, *[0] * 40), 1.0)
    worst = share_bound(32, 31)
    rungs = np.log(poisson_bounds(32)[1]) / -np.log(worst)
    assert (choice.way, choice.high) == ("tail", 1.0)
    assert choice.floor == pytest.approx(LOWEST * RUNG ** (1 + rungs))
    assert choice.a_day is None


@pytest.mark.parametrize(("peaks", "beyond"), [(20, 0), (20, 7), (35, 400)])
def test_the_bound_of_a_share_is_that_of_the_negative_binomial_distribution(peaks: int, beyond: int) -> None:
    stats: Any = pytest.importorskip("scipy.stats")
    high = share_bound(peaks, beyond)
    assert stats.nbinom.cdf(beyond, peaks, 1 - high) == pytest.approx(0.05, abs=1e-6)


@pytest.mark.parametrize(("days", "way", "share"), [(2.0, "tail", 0.9), (10.0, "counted", 0.9)])
def test_the_promise_is_kept_where_incidents_are_as_they_are_taken_to_be(
    days: float, way: str, share: float
) -> None:
    """Peaks of Pareto's distribution, 40 a day above 0.5, a sixteenth above 1.0: one a day is at 1.257."""
    random = np.random.default_rng(5)
    floors = ladder(10.0)
    kept = 0
    for _ in range(60):
        peaks = LOWEST * (1 + random.pareto(4, random.poisson(40 * days)))
        found = FalseAlarms(floors, (peaks[:, None] > floors).sum(axis=0), round(days * DAY_MS))
        choice = choose(found, 1.0)
        assert choice.way == way
        assert choice.floor is not None
        kept += 40 * (choice.floor / LOWEST) ** -4 <= 1.0
    assert kept >= share * 60


def test_the_examples() -> None:
    for module in ("monitor.alarm_budget", "monitor.synthetic", "config.edit"):
        failed, tried = doctest.testmod(import_module(module))
        assert (failed, tried > 0) == (0, True)
