"""False alarms by the floor of the threshold: by hand, and as the alert itself counts them, row by row."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor import unscored
from monitor.alert import AlertConfig, AlertState, judge
from monitor.false_alarms import FalseAlarms, NormalRows, false_alarms, poisson_bounds
from monitor.incident import Moment
from monitor.records import Transition
from tests.alert_watch import ONE, config
from tests.line_samples import scores

# Pending after 2 of 3 rows, fires 2 ticks later, clears after 3 ticks below nine tenths of the threshold.
RULE = config()


def rows(*row_scores: float) -> NormalRows:
    """A score a tick."""
    return NormalRows.at_the_floor(np.arange(len(row_scores)), np.array(row_scores, np.float32))


def counted(assets: list[NormalRows], *floors: float) -> list[int]:
    return [int(each) for each in false_alarms(assets, RULE, np.array(floors)).incidents]


def test_a_short_crossing_is_no_false_alarm() -> None:
    """Three rows above 1.0 are pending for two ticks only with a fourth one; above 3.0 there is never one."""
    assert counted([rows(0, 2, 2, 0, 0, 0, 0)], 1.0, 3.0) == [0, 0]
    assert counted([rows(0, 2, 2, 2, 2, 0, 0)], 1.0, 3.0) == [1, 0]


def test_what_stays_above_nine_tenths_is_still_the_same_incident() -> None:
    """0.95 keeps it open at 1.0; at 0.5 both passages were one all along, and at 1.5 they are two."""
    passage = [2.0] * 4
    between = [0.0, 0.0, 0.95, 0.0, 0.0]
    assert counted([rows(*passage, *between, *passage)], 0.5, 1.0, 1.5) == [1, 1, 2]


def test_every_asset_counts_for_itself_and_its_time_adds_up() -> None:
    found = false_alarms([rows(*[2.0] * 4, *[0.0] * 4), rows(*[2.0] * 4)], RULE, np.array([1.0]))
    assert found.incidents.tolist() == [2]
    assert found.observed_ms == 12_000
    assert found.a_day.tolist() == pytest.approx([2 * 86_400 / 12])


def test_a_floor_below_what_the_recent_scores_ask_for_changes_nothing() -> None:
    loud = rows(*[2.0] * 4)
    asked = NormalRows(loud.tick, loud.score, np.full(4, 2.5, np.float32), loud.level, loud.rested)
    assert counted([asked], 0.5, 1.0) == [0, 0]


def test_the_floor_of_a_regime_is_so_many_times_the_floor() -> None:
    loud = rows(*[2.0] * 4)
    idle = NormalRows(loud.tick, loud.score, loud.least, np.full(4, 0.5, np.float32), loud.rested)
    assert counted([idle], 3.0, 5.0) == [1, 0]


def test_without_rows_nothing_is_known() -> None:
    found = false_alarms([], RULE, np.array([1.0]))
    assert (found.incidents.tolist(), found.days) == ([0], 0)
    assert np.isnan(found.a_day[0])
    assert np.isnan(found.bounds(0)[1])


@pytest.mark.parametrize(
    ("count", "low", "high"), [(0, 0.0, 2.9957), (1, 0.0513, 4.7439), (5, 1.9701, 10.5130), (10, 5.4254, 16.9622)]
)
def test_bounds_are_those_of_the_tables(count: int, low: float, high: float) -> None:
    """Half of the quantiles of chi square with 2n (5 %) and 2n + 2 (95 %) degrees of freedom."""
    assert poisson_bounds(count) == pytest.approx((low, high), abs=1e-3)


def test_bounds_of_many_go_on_where_those_of_few_end() -> None:
    few, many = poisson_bounds(100), poisson_bounds(101)
    assert np.subtract(many, few) == pytest.approx([1, 1], abs=0.2)


def test_none_in_three_days_is_at_most_one_a_day() -> None:
    """The rule of three."""
    found = FalseAlarms(np.array([1.0]), np.array([0]), 3 * 86_400_000)
    assert found.bounds(0) == pytest.approx((0, 1), abs=2e-3)


@st.composite
def observed(draw: st.DrawFn) -> tuple[NormalRows, AlertConfig]:
    count = draw(st.integers(1, 60))
    numbers = st.sampled_from([0.0, 0.3, 0.46, 0.5, 0.92, 0.97, 1.0, 1.2, 1.9, 2.0, 2.5])
    made = draw(st.lists(numbers, min_size=count, max_size=count))
    steps = draw(st.lists(st.sampled_from([1, 1, 1, 4]), min_size=count, max_size=count))
    rests = draw(st.lists(st.sampled_from([False] * 9 + [True]), min_size=count, max_size=count))
    least = draw(st.sampled_from([0.0, 0.8]))
    n = draw(st.integers(1, 5))
    rule = config(
        k=draw(st.integers(1, n)),
        n=n,
        on_delay_ticks=draw(st.integers(0, 3)),
        off_delay_ticks=draw(st.integers(0, 4)),
    )
    column = np.array(made, np.float32)
    return (
        NormalRows(np.cumsum(steps), column, np.full_like(column, least), np.ones_like(column), np.array(rests)),
        rule,
    )


@given(observed())
def test_it_counts_as_the_alert_does_row_by_row(case: tuple[NormalRows, AlertConfig]) -> None:
    """At every floor, whatever lies between the rows."""
    given_rows, rule = case
    floors = [0.5, 1.0, 2.0]
    found = false_alarms([given_rows, given_rows], rule, np.array(floors))
    for floor, incidents in zip(floors, found.incidents.tolist(), strict=True):
        assert incidents == 2 * _one_by_one(given_rows, rule, floor)


def _one_by_one(given_rows: NormalRows, rule: AlertConfig, floor: float) -> int:
    state, fired = AlertState.empty(rule, 1), 0
    for tick, score, least, rested in zip(
        given_rows.tick.tolist(), given_rows.score, given_rows.least, given_rows.rested, strict=True
    ):
        if rested:
            unscored.pause(state, ONE)
        row = scores([0], tick, [float(score)], threshold=max(floor, float(least)))
        events = judge(state, rule, row, Moment(["plant//a"], tick))
        fired += sum(event.transition == Transition.FIRED for event in events)
    return fired
