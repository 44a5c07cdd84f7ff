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
    creep,
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
        creep=1e6,
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


SLOPES = 1 / np.array([0.1, 1, 4, 12, 24])  # of normal a horizon: from a step to one that takes a hundred horizons
SHORT = 30.0  # ticks of a horizon here


def fired(rule: ThresholdConfig, until: float) -> list[float]:
    """At how many times normal each ramp fires: five rows above the threshold, which freeze it; inf = never.

    Normal is learned for four horizons before the ramps begin, and one stream goes on without a ramp.
    """
    slope = np.append(SLOPES, 0)
    streams = np.arange(len(slope), dtype=np.int32)
    regime = np.zeros(len(slope), np.uint8)
    state = ThresholdState.empty(rule, len(slope))
    random = np.random.default_rng(0)
    above, at = np.zeros(len(slope), np.int64), np.full(len(slope), np.inf)
    begin, tick = int(4 * SHORT), 0
    while tick < begin + until / slope[-2] * SHORT:
        level = 1 + slope * max(tick - begin, 0) / SHORT
        score = (0.4 * level * random.lognormal(0, 0.1, len(slope))).astype(np.float32)
        over = score > current(state, rule, streams)
        above = np.where(over, above + 1, 0)
        at = np.where((above >= 5) & np.isinf(at), level, at)
        learn(state, rule, streams, np.full(len(slope), tick), score, regime, frozen=over | ~np.isinf(at))
        tick += 1
    return at.tolist()


def test_a_fault_of_every_slope_fires_and_normal_running_does_not() -> None:
    """At the floor of 1.0, 2.5 times normal, a fast one; a slow one a creep later; without `creep`, never."""
    ships = ThresholdSettings()
    rule = config(rule="mad", min_rows=20, floor=1.0, cap=ships.cap, creep=ships.creep, horizon_ticks=SHORT)
    *ramps, normal = fired(rule, until=4.0)
    assert normal == np.inf
    assert all(2 < level < 2.5 * 1.2 * ships.creep for level in ramps)
    *slowest, _ = fired(replace(rule, creep=1e6, cap=1e6), until=4.0)
    assert slowest[-1] == np.inf


def test_the_creep_is_how_far_the_recent_scores_would_raise_it_above_its_anchor() -> None:
    """It is 2.4 after its first horizon; scores that would make it 6.0 are a creep of 2.5; it stops at 1.5."""
    rule = config(min_rows=50, floor=1.0, horizon_ticks=100, creep=1.5)
    here = ONE, np.zeros(1, np.uint8)
    state = fed(rule, [2.0] * 60)
    assert np.isnan(creep(state, rule, *here)).all()
    fed(rule, [2.0] * 140, state=state, first=60)
    assert creep(state, rule, *here) == pytest.approx([1.0], rel=0.1)
    fed(rule, [5.0] * 5000, state=state, first=200)
    assert creep(state, rule, *here) == pytest.approx([2.5], rel=0.1)
    assert now(state, rule) == pytest.approx(3.6, rel=0.1)
    relearn(state, rule, 0)
    assert np.isnan(creep(state, rule, *here)).all()


@given(
    seed=st.integers(0, 2**32 - 1),
    level=st.floats(0.05, 20.0),
    spread=st.floats(0.01, 1.5),
    floor=st.floats(0.005, 10.0),
    relative=st.tuples(st.floats(0.5, 2.0), st.floats(0.5, 2.0)),
)
@FAST
def test_a_floor_only_lifts_what_lies_below_it(
    seed: int, level: float, spread: float, floor: float, relative: tuple[float, float]
) -> None:
    """Whatever the recent scores are: with a floor the threshold is the larger of it and that without one."""
    random = np.random.default_rng(seed)
    rule = config(rule="mad", floor=floor, regime_levels=relative)
    state = ThresholdState.empty(rule, 40)
    state.to_learn[:] = 0
    for each in range(40):
        for score in level * random.lognormal(0, spread, random.integers(0, 60)):
            place = min(max(int(np.log(score / LOWEST) / np.log(RATIO)), 0), 143)
            state.histogram[each, 0, place] += random.uniform(0.01, 2)
    stream, regime = np.arange(40, dtype=np.int32), random.integers(0, 2, 40).astype(np.uint8)
    bare = current(state, config(rule="mad"), stream, regime)
    floors = (floor * np.array(relative)[regime]).astype(np.float32)
    np.testing.assert_array_equal(current(state, rule, stream, regime), np.maximum(bare, floors))
