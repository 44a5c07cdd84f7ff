"""The level of an asset: when it is asked for, what it is, and how a stream comes to it in service."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from models.level import assets_differ, fit_level, least_scale
from monitor import level
from monitor.level import LevelState
from monitor.records import Status, Windows

if TYPE_CHECKING:
    from monitor.records import Float32, Float64

ROWS = 400


def assets(count: int, spread: float, wander: float, seed: int = 0) -> list[Float32]:
    """Rows (N, 2) about means that lie `spread` apart; each asset wanders by `wander` as it goes."""
    random = np.random.default_rng(seed)
    means = random.normal(size=(count, 1, 2)) * spread
    paths = np.cumsum(random.normal(size=(count, ROWS, 2)), axis=1) * wander / math.sqrt(ROWS)
    return list((means + paths + random.normal(size=(count, ROWS, 2))).astype(np.float32))


@pytest.mark.parametrize(
    ("spread", "wander", "differ"),
    [(20, 0, True), (0, 0, False), (5, 20, False)],
    ids=["each its own", "all alike", "each all over the place"],
)
def test_assets_are_compared_with_themselves_where_they_explain_themselves_better(
    spread: float, wander: float, differ: bool
) -> None:
    answer, why = assets_differ(assets(10, spread, wander))
    assert answer is differ
    assert why.startswith("of 10 assets")


def test_two_assets_do_not_say_what_assets_have_in_common() -> None:
    answer, why = assets_differ(assets(2, 20, 0))
    assert not answer
    assert "too few" in why


def test_the_level_is_mean_and_deviation_by_hand() -> None:
    """Values 1, 3 and one missing: mean 2, deviation 1. The other sensor never moves and gets the least scale."""
    rows = np.array([[1, 7], [3, 7], [np.nan, 7]], np.float32)
    found = fit_level(rows, np.array([0.1, 0.5], np.float32))
    assert found.center.tolist() == [2, 7]
    assert found.scale.tolist() == [1, 0.5]
    np.testing.assert_allclose(found.unscaled(found.scaled(rows)), rows)


def test_the_least_scale_is_a_tenth_of_the_asset_in_the_middle() -> None:
    """Deviations 1, 2 and 100 make 0.2; a sensor that never moves is held to 1 % of its value."""
    rows = [np.array([[-d, 50], [d, 50]], np.float32) for d in (1, 2, 100)]
    np.testing.assert_allclose(least_scale(rows), [0.2, 0.5], rtol=1e-6)


class Knows:
    """A model that knows one asset, and wants three rows of any other."""

    window = 2
    level_rows = 3
    memory = 0
    lasting = None

    def level(self, asset: str) -> tuple[Float32, Float32] | None:
        known = np.array([10, 20], np.float32), np.array([1, 2], np.float32)
        return known if asset == "site/known" else None

    def level_from(self, mean: Float64, variance: Float64) -> tuple[Float32, Float32]:
        return mean.astype(np.float32), np.sqrt(variance).astype(np.float32)

    def score(
        self, values: Float32, level: tuple[Float32, Float32] | None = None
    ) -> tuple[Float32, Float32, Float32]:
        raise NotImplementedError


KEYS = ["site/known", "site/new"]


def windows(stream: int, *rows: tuple[float, float], status: Status = Status.SCORED) -> Windows:
    """A window for each of these last rows."""
    count = len(rows)
    values = np.zeros((count, 2, 2), np.float32)
    values[:, -1] = rows
    return Windows(
        stream=np.full(count, stream, np.int32),
        tick=np.arange(count, dtype=np.int64),
        values=values,
        actual=values[:, -1].copy(),
        status=np.full(count, status, np.uint8),
        count=np.full(count, 2, np.int32),
        ticks=np.ones(count, np.int32),
        regime=np.zeros(count, np.uint8),
        rewritten=np.zeros(count, np.bool_),
    )


def test_an_asset_of_the_training_has_its_level_from_the_start() -> None:
    state = LevelState.empty(2, 2)
    found, (center, scale) = level.about(state, Knows(), KEYS, windows(0, (0, 0)))
    assert found.status.tolist() == [Status.SCORED]
    assert center.tolist() == [[10, 20]]
    np.testing.assert_allclose(scale, [[1, 2]])


def test_another_one_learns_it_from_its_first_rows_and_is_not_scored_meanwhile() -> None:
    """Rows 1, 2 and 6 of one sensor: mean 3, variance (4 + 1 + 9) / 3. What comes later changes nothing."""
    state = LevelState.empty(2, 2)
    first, _ = level.about(state, Knows(), KEYS, windows(1, (1, 0), (2, 0)))
    second, _ = level.about(state, Knows(), KEYS, windows(1, (6, 0)))
    third, (center, scale) = level.about(state, Knows(), KEYS, windows(1, (100, 0)))
    assert {*first.status.tolist(), *second.status.tolist()} == {Status.COMMISSIONING}
    assert third.status.tolist() == [Status.SCORED]
    assert center[0, 0] == pytest.approx(3)
    assert scale[0, 0] == pytest.approx(math.sqrt(14 / 3))


def test_assets_learn_side_by_side_whatever_comes_in_one_batch() -> None:
    """Mean and deviation of the first three rows of each, missing cells left out, in batches of any size."""
    random = np.random.default_rng(0)
    rows = random.normal([[5, 50]], [[1, 9]], (40, 2)).astype(np.float32)
    rows[random.random(rows.shape) < 0.2] = np.nan
    stream = random.integers(0, 8, 40).astype(np.int32)
    keys = [f"site/{number}" for number in range(8)]
    for size in (1, 7, 40):
        state = LevelState.empty(2, 8)
        for start in range(0, 40, size):
            part = windows(0, *map(tuple, rows[start : start + size]))
            part.stream[:] = stream[start : start + size]
            level.about(state, Knows(), keys, part)
        for number in range(8):
            own = rows[stream == number][:3].astype(np.float64)
            count = np.count_nonzero(~np.isnan(own), axis=0)
            assert state.rows[number] == len(own)
            assert state.count[number].tolist() == count.tolist()
            there = count > 0
            np.testing.assert_allclose(state.mean[number][there], np.nanmean(own[:, there], axis=0))
            expected = np.nanvar(own[:, there], axis=0) * count[there]
            np.testing.assert_allclose(state.square[number][there], expected, atol=1e-9)


def test_rows_that_would_not_be_scored_say_nothing_of_the_level() -> None:
    state = LevelState.empty(2, 2)
    found, _ = level.about(state, Knows(), KEYS, windows(1, (1, 1), status=Status.WARMING_UP))
    assert found.status.tolist() == [Status.WARMING_UP]
    assert state.rows.tolist() == [0, 0]


def test_what_is_accepted_is_learned_anew_also_of_an_asset_that_the_model_knows() -> None:
    state = LevelState.empty(2, 2)
    level.about(state, Knows(), KEYS, windows(0, (0, 0)))
    level.forget(state, 0)
    found, _ = level.about(state, Knows(), KEYS, windows(0, (5, 5), (5, 5), (5, 5)))
    assert set(found.status.tolist()) == {Status.COMMISSIONING}
    _, (center, _) = level.about(state, Knows(), KEYS, windows(0, (5, 5)))
    assert center.tolist() == [[5, 5]]
