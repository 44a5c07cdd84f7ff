"""For how long sensors stand still in normal data: what the sensor check is given."""

from __future__ import annotations

import numpy as np

from models.stillness import LEAST_STUCK, MARGIN, MOST_STILL, learn_stillness

ROWS = 2000


def moving(columns: int, seed: int = 0) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.random.default_rng(seed).normal(size=(ROWS, columns)).astype(np.float32)


def test_the_longest_stillness_of_normal_data_times_the_margin() -> None:
    """One sensor of four stands still for 40 ticks once; the others never do and get the least there is."""
    values = moving(4)
    values[100:141, 0] = values[100, 0]
    found = learn_stillness([values, moving(4, seed=1)])
    assert found.moved_within == 1
    assert found.stuck == (40 * MARGIN, LEAST_STUCK, LEAST_STUCK, LEAST_STUCK)


def test_a_sensor_that_stands_still_for_long_says_nothing_by_it() -> None:
    values = moving(4)
    values[100 : 102 + MOST_STILL, 0] = 7
    assert learn_stillness([values]).stuck[0] is None


def test_a_machine_that_rests_is_no_stillness_of_its_sensors() -> None:
    """All four stand still together for 500 ticks."""
    values = moving(4)
    values[100:600] = values[100]
    assert learn_stillness([values]).stuck == (LEAST_STUCK,) * 4


def test_sensors_that_are_polled_in_turn_count_as_moving() -> None:
    """Each of six moves at every sixth tick only: half have not for three ticks; rest is five times that."""
    tick = np.arange(ROWS)[:, None]
    values = moving(6)[(tick - (tick - np.arange(6)) % 6).clip(0), np.arange(6)]
    found = learn_stillness([values])
    assert found.moved_within == 16
    assert found.stuck == (LEAST_STUCK,) * 6
    values[500:560, 2] = values[500, 2]  # ten turns
    stuck = learn_stillness([values]).stuck[2]
    assert stuck is not None
    assert 55 * MARGIN <= stuck <= 65 * MARGIN
