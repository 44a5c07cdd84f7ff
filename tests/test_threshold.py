"""The rolling threshold: the rule over the recent normal scores, what it forgets, and what it must not learn."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.sections import ThresholdSettings
from monitor.threshold import (
    HIGHEST,
    LOWEST,
    MAD_TO_DEVIATION,
    RATIO,
    ThresholdConfig,
    ThresholdState,
    current,
    learn,
    quantile,
    relearn,
)
from tests.line_samples import FAST

if TYPE_CHECKING:
    from collections.abc import Iterable

    from monitor.records import Float64

ONE = np.array([0], np.int32)


def config(**changes: Any) -> ThresholdConfig:
    """A rule by a high quantile and what ships, at a tick a second; without bounds, so that the rule is seen."""
    ships = ThresholdSettings()
    plain = ThresholdConfig(
        rule="quantile",
        quantile=0.999,
        margin=1.2,
        deviations=ships.deviations,
        horizon_ticks=ships.horizon_s,
        min_rows=1,
        floor=1e-6,
        cap=1e6,
    )
    return replace(plain, **changes)


def fed(
    rule: ThresholdConfig,
    scores: Iterable[float],
    *,
    state: ThresholdState | None = None,
    first: int = 0,
    every: int = 1,
) -> ThresholdState:
    """One stream after it has learned these scores, a row each `every` ticks."""
    state = state or ThresholdState.empty(rule, 1)
    for row, score in enumerate(scores):
        take(state, rule, first + row * every, score)
    return state


def take(state: ThresholdState, rule: ThresholdConfig, tick: int, score: float, *, frozen: bool = False) -> None:
    learn(state, rule, ONE, np.array([tick], np.int64), np.array([score], np.float32), frozen=np.array([frozen]))


def now(state: ThresholdState, rule: ThresholdConfig) -> float:
    return float(current(state, rule, ONE)[0])


def lognormal(count: int, seed: int = 0, *, scale: float = 0.4) -> Float64:
    """What normal scores look like: skewed, a few of them far above the rest."""
    return scale * np.random.default_rng(seed).lognormal(0, 0.5, count)


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99, 0.999])
@pytest.mark.parametrize("seed", range(3))
def test_the_quantile_is_known_to_one_bin(share: float, seed: int) -> None:
    """Against the exact quantile of the same scores; the horizon is so long that nothing is forgotten."""
    scores = lognormal(3000, seed, scale=10.0**seed)
    rule = config(quantile=share, margin=1.0, horizon_ticks=1e12)
    exact = np.quantile(scores, share)
    assert exact / RATIO <= now(fed(rule, scores), rule) <= exact * RATIO


def test_the_quantile_rule_is_the_quantile_times_the_margin() -> None:
    rule = config(horizon_ticks=1e12, margin=1.5)
    state = fed(rule, [0.7] * 100)
    assert 1.5 * 0.7 / RATIO <= now(state, rule) <= 1.5 * 0.7 * RATIO


def test_the_mad_rule_is_the_median_and_so_many_deviations() -> None:
    scores = lognormal(3000)
    rule = config(rule="mad", deviations=4.0, horizon_ticks=1e12)
    median = np.median(scores)
    mad = np.median(np.abs(scores - median))
    exact = median + 4.0 * MAD_TO_DEVIATION * mad
    assert now(fed(rule, scores), rule) == pytest.approx(exact, rel=0.1)


@pytest.mark.parametrize("level", [2.0, 2.09, 50.0])
def test_the_mad_rule_leaves_room_above_scores_that_never_move(level: float) -> None:
    """Wherever in its bin the level lies: else an accepted state that is steady would be above its threshold."""
    rule = config(rule="mad", deviations=6.0, horizon_ticks=1e12)
    assert 1.2 * level < now(fed(rule, [level] * 100), rule) < 1.6 * level


def test_scores_outside_the_histogram_count_in_its_outermost_bins() -> None:
    low, high = config(margin=1.0), config(margin=1.0)
    assert now(fed(low, [0.0] * 10), low) <= LOWEST * RATIO
    assert now(fed(high, [1e9] * 10), high) == pytest.approx(HIGHEST, rel=0.01)


def test_floor_and_cap_bound_it() -> None:
    rule = config(floor=1.0, cap=10.0)
    assert now(fed(rule, [0.1] * 50), rule) == 1.0
    assert now(fed(rule, [80.0] * 50), rule) == 10.0


def test_until_enough_rows_are_learned_it_is_the_floor() -> None:
    rule = config(min_rows=20, floor=1.0)
    state = fed(rule, [5.0] * 19)
    assert now(state, rule) == 1.0
    take(state, rule, 19, 5.0)
    assert now(state, rule) == pytest.approx(6.0, rel=0.1)


@pytest.mark.parametrize("period_s", [1, 60, 600])
def test_enough_rows_are_enough_also_where_the_horizon_holds_fewer(period_s: int) -> None:
    """At a tick a minute the horizon that ships, six hours, weighs 360 rows, and 600 are asked for at first."""
    ships = ThresholdSettings()
    rule = config(min_rows=ships.min_rows, horizon_ticks=ships.horizon_s / period_s, floor=1.0)
    assert now(fed(rule, [5.0] * ships.min_rows), rule) == pytest.approx(6.0, rel=0.1)


@pytest.mark.parametrize("every", [1, 10])
def test_a_change_of_level_is_followed_over_the_horizon_in_event_time(every: int) -> None:
    """By the median, which follows when half of the weight is new: after 0.69 horizons, whatever the rows."""
    rule = config(quantile=0.5, margin=1.0, horizon_ticks=1000)
    state = fed(rule, [0.5] * (20_000 // every), every=every)
    fed(rule, [4.0] * (650 // every), state=state, first=20_000, every=every)
    assert now(state, rule) == pytest.approx(0.5, rel=0.1)
    fed(rule, [4.0] * (100 // every), state=state, first=20_650, every=every)
    assert now(state, rule) == pytest.approx(4.0, rel=0.1)


def test_after_a_long_silence_a_few_rows_do_not_say_what_is_normal() -> None:
    """Twenty horizons leave nothing of what was learned: the floor holds until enough is learned again."""
    rule = config(min_rows=50, floor=1.0, horizon_ticks=100)
    state = fed(rule, [2.0] * 200)
    assert now(state, rule) > 2.0
    fed(rule, [5.0] * 49, state=state, first=2200)
    assert now(state, rule) == 1.0
    take(state, rule, 2249, 5.0)
    assert now(state, rule) == pytest.approx(6.0, rel=0.1)


def test_a_short_silence_forgets_nothing_but_weight() -> None:
    rule = config(min_rows=50, floor=1.0, horizon_ticks=100)
    state = fed(rule, [2.0] * 200)
    take(state, rule, 350, 2.0)
    assert now(state, rule) == pytest.approx(2.4, rel=0.1)


def test_while_frozen_it_neither_learns_nor_forgets() -> None:
    """After an incident of many horizons it is what it was before."""
    rule = config(min_rows=50, floor=1.0, horizon_ticks=100)
    state = fed(rule, [2.0] * 200)
    before = now(state, rule)
    for tick in range(200, 5200):
        take(state, rule, tick, 9.0, frozen=True)
    assert now(state, rule) == before
    take(state, rule, 5200, 2.0)
    assert now(state, rule) == pytest.approx(before, rel=0.01)


@pytest.mark.parametrize("level", [5.0, 40.0, 900.0])
def test_after_accept_it_is_not_judged_until_the_new_state_is_learned(level: float) -> None:
    """At the settings that ship: then the threshold lies above the accepted level, also above the cap."""
    ships = ThresholdSettings()
    rule = config(min_rows=ships.min_rows, floor=ships.floor, cap=ships.cap)
    state = fed(rule, lognormal(2000))
    relearn(state, rule, 0)
    fed(rule, [level] * (ships.min_rows - 1), state=state, first=3000)
    assert np.isnan(now(state, rule))
    take(state, rule, 3000 + ships.min_rows, level)
    assert now(state, rule) == pytest.approx(1.2 * level, rel=0.1)
    fed(rule, [level] * 2000, state=state, first=4000)
    assert now(state, rule) == pytest.approx(1.2 * level, rel=0.1)


def test_another_cap_holds_also_for_what_was_learned_before() -> None:
    rule = config(cap=10.0)
    state = fed(rule, [80.0] * 50)
    assert now(state, replace(rule, cap=20.0)) == 20.0
    assert now(state, replace(rule, cap=5.0)) == 5.0


@FAST
@given(
    rounds=st.lists(
        st.dictionaries(st.integers(0, 4), st.tuples(st.floats(0, 200, width=32), st.booleans()), min_size=1),
        max_size=20,
    ),
    order=st.permutations(range(5)),
)
def test_streams_do_not_know_of_each_other(rounds: list[dict[int, tuple[float, bool]]], order: list[int]) -> None:
    """Renumbered, or one at a time: every stream's threshold is the same, bit for bit."""
    rule = config(min_rows=3, horizon_ticks=5)
    together, renumbered, alone = (ThresholdState.empty(rule, 5) for _ in range(3))
    numbers = np.array(order, np.int32)
    for tick, each in enumerate(rounds):
        stream = np.array(list(each), np.int32)
        score = np.array([score for score, _ in each.values()], np.float32)
        frozen = np.array([held for _, held in each.values()])
        ticks = np.full(len(stream), tick, np.int64)
        learn(together, rule, stream, ticks, score, frozen=frozen)
        learn(renumbered, rule, numbers[stream], ticks, score, frozen=frozen)
        for row in range(len(stream)):
            part = slice(row, row + 1)
            learn(alone, rule, stream[part], ticks[part], score[part], frozen=frozen[part])
    everyone = np.arange(5, dtype=np.int32)
    wanted = current(together, rule, everyone)
    np.testing.assert_array_equal(current(renumbered, rule, numbers[everyone]), wanted)
    np.testing.assert_array_equal(current(alone, rule, everyone), wanted)


def test_the_quantile_of_one_bin_lies_in_it() -> None:
    """Also at the ends: nothing is divided by nothing."""
    for bin_ in (0, 7, 143):
        histogram = np.zeros((1, 144))
        histogram[0, bin_] = 3.0
        low, high = LOWEST * RATIO**bin_, LOWEST * RATIO ** (bin_ + 1)
        for share in (0.001, 0.5, 1.0):
            assert low <= quantile(histogram, share)[0] <= high * (1 + 1e-12)
