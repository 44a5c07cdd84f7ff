"""Alignment: hand-worked cases for every rule of closing."""

from __future__ import annotations

import math

import numpy as np

from monitor.align import NEVER, NONE, arrived_by, clock_suspect, open_values, push, regrid
from monitor.records import Outcome
from tests.aligner import Aligner, Row
from tests.line_samples import START, grid, readings

NAN = math.nan


def test_the_watermark_closes_a_tick_when_lateness_has_passed_its_end() -> None:
    """Tick 0 ends at 1000 and waits 2000 for what is late: the reading of 2999 leaves it open, 3000 closes it."""
    aligner = Aligner(grid(), since=10**6)  # the clock closes nothing here
    aligner.push((0, 0, 0, (1, 2)))
    assert aligner.push((0, 2999, 2999, (3, 4))) == []
    assert aligner.push((0, 3000, 3000, (5, 6))) == [(0, (1, 2), 2, False)]


def test_the_watermark_never_passes_arrival() -> None:
    """A stream whose clock is four seconds ahead does not close its own ticks early."""
    aligner = Aligner(grid(), since=10**6)
    aligner.push((0, 0, 0, (1, 2)))
    assert aligner.push((0, 4500, 500, (3, 4))) == []
    assert aligner.push((0, 100, 600, (5, NAN))) == []
    assert aligner.count(Outcome.SUPERSEDED) == 1
    assert aligner.count(Outcome.LATE) == 0


def test_the_clock_closes_a_tick_when_lateness_has_passed_since_its_first_arrival() -> None:
    aligner = Aligner(grid())
    aligner.push((0, 0, 700, (1, NAN)))
    aligner.push((0, 500, 1500, (NAN, 2)))
    assert aligner.clock(2699) == []
    assert aligner.clock(2700) == [(0, (1, 2), 2, False)]


def test_a_reading_behind_the_clock_is_late() -> None:
    """It arrives when its tick is already due by time, though nobody had looked."""
    aligner = Aligner(grid())
    aligner.push((0, 0, 0, (1, NAN)))
    assert aligner.push((0, 1, 2000, (NAN, 2))) == [(0, (1, None), 1, False)]
    assert aligner.count(Outcome.LATE) == 1


def test_the_clock_closes_nothing_before_the_broker_can_be_heard_for_as_long() -> None:
    """What it held back gets its chance first; the watermark closes as ever."""
    aligner = Aligner(grid(), since=60_000)
    aligner.push((0, 0, 0, (1, 2)))
    assert aligner.clock(61_999) == []
    assert aligner.clock(62_000) == [(0, (1, 2), 2, False)]
    aligner = Aligner(grid())
    aligner.since = int(NEVER)  # it cannot be heard at all
    aligner.push((0, 0, 0, (1, 2)))
    assert aligner.push((0, 1000, 50_000, (3, 4))) == []
    assert aligner.push((0, 3000, 50_001, (5, 6))) == [(0, (1, 2), 2, False)]


def test_a_clock_that_was_set_back_closes_ticks_all_the_same() -> None:
    """A tick that began to arrive an hour "later" waits no hour, but as long as any other from now on."""
    aligner = Aligner(grid(), streams=2)
    aligner.push((0, 3_600_000, 3_600_000, (1, 2)))
    arrived_by(aligner.state, START + 5_000)
    assert aligner.state.last_arrival.tolist() == [START + 5_000, NONE]  # never heard stays never heard
    assert aligner.clock(6_999) == []
    assert aligner.clock(7_000) == [(3600, (1, 2), 2, False)]


def test_a_tick_closes_early_when_every_sensor_has_reported_once() -> None:
    """Only where each reports once a tick, only in order, and a stream's first tick waits for what is older."""
    aligner = Aligner(grid(one_reading_per_tick=True))
    assert aligner.push((0, 0, 0, (1, 2))) == []
    assert aligner.push((0, 1000, 1000, (3, 4))) == []
    assert aligner.push((0, 2000, 2000, (5, NAN))) == [(0, (1, 2), 2, False), (1, (3, 4), 2, False)]
    assert aligner.push((0, 2500, 2500, (NAN, 6))) == [(2, (5, 6), 2, False)]
    assert aligner.push((0, 4000, 4000, (9, 9))) == []  # tick 3 may still come
    assert aligner.push((0, 3000, 4001, (7, 8))) == [(3, (7, 8), 2, False), (4, (9, 9), 2, False)]
    plain = Aligner(grid(one_reading_per_tick=False))
    plain.push((0, 0, 0, (1, 2)))
    plain.clock(2000)
    assert plain.push((0, 1000, 2000, (3, 4))) == []


def test_an_empty_tick_closes_with_the_next_one_that_time_closes() -> None:
    aligner = Aligner(grid())
    aligner.push((0, 0, 0, (1, 2)))
    aligner.clock(2000)
    assert aligner.clock(60_000) == []
    aligner.push((0, 3500, 60_000, (3, 4)))
    assert aligner.clock(62_000) == [
        (1, (None, None), 0, False),
        (2, (None, None), 0, False),
        (3, (3, 4), 2, False),
    ]


def test_a_gap_longer_than_a_window_makes_no_ticks_and_says_so() -> None:
    """With a window of 3: three empty ticks are ticks, four are a gap."""
    config = grid(gap_ticks=3)
    three, four = Aligner(config), Aligner(config)
    three.push((0, 0, 0, (1, 2)), (0, 4000, 4000, (3, 4)))
    four.push((0, 0, 0, (1, 2)), (0, 5000, 5000, (3, 4)))
    assert [(tick, gap) for tick, _, _, gap in three.finish()[0]] == [(n, False) for n in range(5)]
    assert [(tick, gap) for tick, _, _, gap in four.finish()[0]] == [(0, False), (5, True)]


def test_whether_it_is_a_gap_is_known_only_when_the_tick_behind_it_closes() -> None:
    """Tick 5 alone would be behind a gap; tick 4, which comes after it within the lateness, is not."""
    config = grid(gap_ticks=3)
    in_order, crossed = Aligner(config, since=10**6), Aligner(config, since=10**6)
    rows: list[Row] = [
        (0, 0, 0, (1, 2)),
        (0, 4000, 5000, (3, 4)),
        (0, 5000, 5000, (5, 6)),
        (0, 9000, 9000, (7, 8)),
    ]
    in_order.push(*rows)
    crossed.push(rows[0], rows[2], rows[1], rows[3])
    assert crossed.finish() == in_order.finish()
    assert [tick for tick, *_ in crossed.frames()[0]] == list(range(10))


def test_a_new_stream_takes_first_readings_out_of_order() -> None:
    aligner = Aligner(grid())
    aligner.push((0, 5000, 5000, (1, 2)), (0, 3000, 5001, (3, 4)), (0, 2999, 5002, (5, 6)))
    assert aligner.count(Outcome.LATE) == 2  # 3000 is just within the lateness
    assert [tick for tick, *_ in aligner.finish()[0]] == [3, 4, 5]


def test_a_new_stream_that_starts_ahead_does_not_shut_out_what_is_on_time() -> None:
    """The first reading is five seconds ahead, the second is right: the lateness counts from arrival."""
    aligner = Aligner(grid())
    aligner.push((0, 5000, 0, (1, 2)), (0, 10, 20, (3, 4)))
    assert aligner.count(Outcome.LATE) == 0
    assert [tick for tick, *_ in aligner.finish()[0]] == [0, 1, 2, 3, 4, 5]


def test_a_later_time_wins_a_cell_and_of_equal_times_the_first() -> None:
    aligner = Aligner(grid())
    aligner.push(
        (0, 500, 500, (1, 1)),
        (0, 400, 501, (2, NAN)),  # earlier: superseded at once
        (0, 600, 601, (NAN, 3)),  # later: supersedes
        (0, 500, 602, (4, 4)),  # the same time for the first sensor; for the second an earlier one than it has
    )
    assert aligner.finish()[0] == [(0, (1, 3), 2, False)]
    assert aligner.count(Outcome.SUPERSEDED) == 3
    assert aligner.count(Outcome.DUPLICATE) == 1


def test_a_repeat_is_a_duplicate_while_the_ring_holds_it_and_late_afterwards() -> None:
    config = grid(repeat_ticks=4)
    aligner = Aligner(config)
    rows: list[Row] = [(0, 1000 * n, 1000 * n, (n, n)) for n in range(config.slots + 1)]
    aligner.push(*rows)
    aligner.push(*((0, time, config.slots * 1000, values) for _, time, _, values in rows[:2]))
    assert (aligner.count(Outcome.LATE), aligner.count(Outcome.DUPLICATE)) == (2, 2)


def test_a_stream_goes_on_after_years_and_what_it_said_before_is_known_as_long() -> None:
    """At a tick a second, 51 years in three steps: a slot that was not used since knows its tick for 68."""
    aligner = Aligner(grid())
    step = 2**29 * 1000
    aligner.push((0, 0, 0, (1, 2)))
    for turn in range(1, 4):
        time = turn * (step + 1000)
        assert [frame[1] for frame in aligner.push((0, time, time, (3, 4)))] == [(1, 2) if turn == 1 else (3, 4)]
        aligner.push((0, time - step, time, (9, 9)))
    aligner.push((0, 0, 3 * step + 5000, (1, 2)))
    assert aligner.count(Outcome.DUPLICATE) == 2
    assert aligner.count(Outcome.LATE) == 6


def test_a_stream_goes_on_after_a_silence_of_any_length() -> None:
    """Of what was before it nothing is open, and nothing is known."""
    aligner = Aligner(grid())
    aligner.push((0, 0, 0, (1, 2)))
    assert len(aligner.clock(5000)) == 1
    time = 2**33 * 1000
    assert aligner.push((0, time, time, (3, NAN))) == []
    assert open_values(aligner.state) == 1
    assert aligner.clock(time + 5000) == [(2**33, (3, None), 1, True)]
    assert aligner.push((0, 0, time + 5000, (1, 2))) == []
    assert aligner.count(Outcome.LATE) == 2


def test_a_closed_tick_never_reopens() -> None:
    aligner = Aligner(grid())
    aligner.push((0, 0, 0, (1, NAN)))
    aligner.clock(5000)
    assert aligner.push((0, 900, 900, (5, 2))) == []
    assert aligner.count(Outcome.LATE) == 2
    assert aligner.finish()[0] == [(0, (1, None), 1, False)]


def test_a_reading_from_the_future_is_quarantined_and_the_stream_goes_on() -> None:
    aligner = Aligner(grid())
    _, quarantined = push(
        aligner.state,
        aligner.config,
        readings([(0, 5001, 0, (1, 2)), (0, 5000, 0, (3, NAN))]),
        START,
        aligner.outcomes,
    )
    assert quarantined.tolist() == [True, False]
    assert aligner.count(Outcome.QUARANTINED) == 2
    assert open_values(aligner.state) == 1


def test_when_most_streams_are_ahead_the_hosts_clock_is_blamed_and_work_goes_on() -> None:
    """Two of two could both be wrong; three of five cannot. The clock being right again ends it."""
    hour = 3_600_000
    aligner = Aligner(grid(), streams=5)
    aligner.push((3, 0, 0, (1, 1)), (4, 0, 0, (1, 1)), (0, hour, 0, (1, 1)), (1, hour, 1, (1, 1)))
    assert not clock_suspect(aligner.state)
    assert aligner.count(Outcome.QUARANTINED) == 4
    aligner.push((2, hour, 2, (1, 1)))
    assert clock_suspect(aligner.state)
    aligner.push((0, hour + 1000, 1000, (2, 2)), (1, hour + 1000, 1000, (2, 2)))
    assert aligner.count(Outcome.QUARANTINED) == 4
    aligner.push(*((stream, hour + 9000, hour + 9000, (3, 3)) for stream in range(3)))
    assert not clock_suspect(aligner.state)
    frames = aligner.finish()
    assert [(tick, gap) for tick, *_, gap in frames[0]] == [(hour // 1000 + n, False) for n in range(1, 10)]


def test_a_held_value_stands_in_for_a_missing_one_for_so_long() -> None:
    """Held for two ticks after it was reported, not counted, and gone in the third."""
    aligner = Aligner(grid(hold_ms=2000))
    aligner.push((0, 0, 0, (1, 2)), *((0, 1000 * n, 1000 * n, (10 + n, NAN)) for n in range(1, 5)))
    assert [(values, count) for _, values, count, _ in aligner.finish()[0]] == [
        ((1, 2), 2),
        ((11, 2), 1),
        ((12, 2), 1),
        ((13, None), 1),
        ((14, None), 1),
    ]


def test_ticks_on_another_grid_are_rounded_up() -> None:
    """So that no time of a closed tick is open again."""
    assert regrid(np.array([NONE, 7, 10]), 100, 1000).tolist() == [int(NONE), 1, 1]
    assert regrid(np.array([NONE, 7, 11]), 1000, 100).tolist() == [int(NONE), 70, 110]
