"""How sensors move from tick to tick in normal data: what the sensor check is given."""

from __future__ import annotations

import numpy as np
import pytest

from models.roughness import (
    HORIZON,
    MARGIN,
    MORE_MISSING,
    RESOLUTIONS,
    STEP_MARGIN,
    learn_roughness,
    smoothed,
    standing_out,
)
from models.split import Run

ROWS = 4000
Rows = np.ndarray[tuple[int, ...], np.dtype[np.float32]]


def ramp(rows: int = ROWS) -> Rows:
    """A sensor that climbs by one a tick, and so never stands out."""
    return np.arange(rows, dtype=np.float32)


def test_what_stands_out_is_above_or_below_both_neighbours() -> None:
    values = np.array([[0, 3, 1, 1, 5, 4, 4, np.nan, 9, 9]], np.float32).T
    found = standing_out(values)[:, 0]
    assert found[:5].tolist() == [2, 0, 0, 1, 0]
    assert np.isnan(found[5:]).tolist() == [True, True, True]


def test_the_mean_is_exponential_and_goes_over_what_is_missing() -> None:
    values = np.random.default_rng(0).random((700, 2))
    values[::7, 0] = np.nan
    mean, wanted = np.zeros(2), []
    for row in values:
        mean = np.where(np.isnan(row), mean, mean + (row - mean) / HORIZON)
        wanted.append(mean)
    assert smoothed(values) == pytest.approx(np.array(wanted))


def test_limits_are_the_most_of_normal_data_with_a_margin() -> None:
    """Steps of one and, once, of seven; three values in 600 ticks that stand out by 5, 4 and 3: three reach 3."""
    values = ramp(5 * ROWS)
    values[2000:] += 6
    for tick, height in ((1000, 6), (1100, 5), (1200, 4)):
        values[tick] += height  # over the next value, which is one higher
    found = learn_roughness([values[:, None]])
    assert found.step == (STEP_MARGIN * 7,)
    assert found.spike == (MARGIN * 3,)
    assert found.noise == (1.0,)  # one value that stands out is no noise; the least that it moves is the limit
    assert found.missing == (MORE_MISSING,)


def test_values_that_are_held_have_limits_by_their_steps() -> None:
    """Polled every fourth tick, it never stands out; 2 is the least that it moves."""
    values = np.repeat(2.0 * np.random.default_rng(0).integers(0, 2, ROWS // 4), 4).astype(np.float32)
    found = learn_roughness([values[:, None]])
    assert found.spike == (RESOLUTIONS * 2,)
    assert found.noise == (2.0,)


def test_what_never_moved_or_was_hardly_seen_has_no_limits() -> None:
    values = np.stack([np.full(ROWS, 5, np.float32), ramp(), ramp()], axis=1)
    values[900:, 2] = np.nan
    found = learn_roughness([values])
    for limits in (found.step, found.spike, found.noise):
        assert [limit is None for limit in limits] == [True, False, True]
    assert found.missing[2] is None


def test_missing_counts_from_the_first_value_on_and_while_others_report() -> None:
    """The second comes late, the third is there in every second tick; in the middle nothing is."""
    values = np.stack([ramp(), ramp(), ramp()], axis=1)
    values[:2000, 1] = np.nan
    values[::2, 2] = np.nan
    values[3000:3200] = np.nan
    assert learn_roughness([values]).missing == pytest.approx((0.3, 0.3, 0.5 + 0.3), abs=0.02)


def test_a_run_is_parted_where_ticks_do_not_follow_each_other() -> None:
    """Windows of three ticks that end at 2, 3, 10 and 11: rows 0 to 3, and 8 to 11."""
    ends = np.array([2, 3, 10, 11])
    windows = (ends[:, None] + np.arange(-2, 1)).astype(np.float32)[:, :, None]
    assert [part[:, 0].tolist() for part in Run("a", windows, ends).stretches()] == [
        [0, 1, 2, 3],
        [8, 9, 10, 11],
    ]
    assert Run("a", windows[:0], ends[:0]).stretches() == []
