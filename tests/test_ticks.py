"""Ticks counted from one that is near: what is kept of them in 32 bits, and for how long."""

from __future__ import annotations

import numpy as np

from monitor.ticks import LONG_AGO, NO_TICK, REACH, from_base, near

NOW = 170_000_000_000  # at 10 ms


def test_a_stream_s_first_tick_is_its_base_and_what_never_was_stays_so() -> None:
    base, noted = np.full(2, NO_TICK), np.full((2, 3), LONG_AGO)
    counted = near(base, np.array([1], np.int32), np.array([NOW]), noted)
    assert counted.tolist() == [0]
    assert base.tolist() == [NO_TICK, NOW]
    assert (noted == LONG_AGO).all()


def test_what_was_noted_means_the_same_tick_when_the_base_moves() -> None:
    """Just within reach nothing moves; at its end the base does, of that stream alone."""
    base, noted = np.array([NOW, NOW]), np.array([[7, LONG_AGO], [7, -5]], np.int32)
    stream = np.array([0, 1], np.int32)
    counted = near(base, stream, np.array([NOW + REACH - 1, NOW + REACH]), noted)
    assert counted.tolist() == [REACH - 1, 0]
    assert base.tolist() == [NOW, NOW + REACH]
    assert noted.tolist() == [[7, LONG_AGO], [7 - REACH, -5 - REACH]]
    assert (base[1] + noted[1].astype(np.int64)).tolist() == [NOW + 7, NOW - 5]


def test_what_is_too_far_back_is_long_ago_and_does_not_come_round_again() -> None:
    base, noted = np.array([NOW]), np.array([7], np.int32)
    for step in range(1, 9):
        near(base, np.array([0], np.int32), np.array([NOW + step * REACH]), noted)
        assert noted[0] == (7 - step * REACH if step <= 2 else LONG_AGO)


def test_ticks_are_counted_from_bases_of_their_own() -> None:
    never = -(2**62)
    ticks, base = np.array([[NOW, never], [NOW - 5, NOW - 2**40]]), np.array([NOW, NOW])
    assert from_base(ticks, base).tolist() == [[0, LONG_AGO], [-5, LONG_AGO]]
    assert from_base(ticks, base).dtype == np.int32
