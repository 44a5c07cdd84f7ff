"""Windows: full ones are cut at every stride, copied, and the same whether streams come together or alone."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.records import Frames, Masks, Status, Windows
from monitor.window import WindowConfig, WindowState, flush, last, push, resized
from tests.line_samples import FAST

NAN = math.nan
Row = tuple[int, int, tuple[float, float], int, bool]  # stream, tick, values, count, gap
Cut = tuple[int, int, Status, list[list[float | None]] | None, int]  # stream, tick, status, window if full, count


def config(**changes: Any) -> WindowConfig:
    """Three ticks of two sensors, a row each tick, half of the cells at the least."""
    return WindowConfig(**({"sensors": 2, "length": 3, "stride": 1, "min_coverage": 0.5} | changes))


def frames(*rows: Row) -> Frames:
    return Frames(
        stream=np.array([row[0] for row in rows], np.int32),
        tick=np.array([row[1] for row in rows], np.int64),
        values=np.array([row[2] for row in rows], np.float32).reshape(len(rows), 2),
        count=np.array([row[3] for row in rows], np.int32),
        gap=np.array([row[4] for row in rows], np.bool_),
    )


def table(values: Any) -> list[list[float | None]]:
    return [[None if math.isnan(value) else float(value) for value in row] for row in values]


def cuts(windows: Windows) -> list[Cut]:
    found: list[Cut] = []
    for row in range(len(windows.stream)):
        status = Status(windows.status[row])
        full = status in {Status.SCORED, Status.TOO_FEW_SENSORS}
        values = table(windows.values[row]) if full else None
        found.append((int(windows.stream[row]), int(windows.tick[row]), status, values, int(windows.count[row])))
    return found


def ticks(state: WindowState, config_: WindowConfig, count: int, first: int = 0) -> list[Cut]:
    """The rows that so many whole ticks of stream 0 make; tick n has the values n and -n."""
    found = []
    for tick in range(first, first + count):
        found += cuts(push(state, config_, frames((0, tick, (tick, -tick), 2, False))))
    return found


def test_a_window_holds_its_ticks_oldest_first_and_warms_up_until_it_is_full() -> None:
    state = WindowState.empty(config(), 1)
    assert ticks(state, config(), 5) == [
        (0, 0, Status.WARMING_UP, None, 2),
        (0, 1, Status.WARMING_UP, None, 2),
        (0, 2, Status.SCORED, [[0, 0], [1, -1], [2, -2]], 2),
        (0, 3, Status.SCORED, [[1, -1], [2, -2], [3, -3]], 2),
        (0, 4, Status.SCORED, [[2, -2], [3, -3], [4, -4]], 2),
    ]


def test_a_row_is_cut_at_every_stride_and_covers_the_values_since_the_last() -> None:
    strided = config(stride=4)
    state = WindowState.empty(strided, 1)
    assert ticks(state, strided, 8) == [
        (0, 3, Status.SCORED, [[1, -1], [2, -2], [3, -3]], 8),
        (0, 7, Status.SCORED, [[5, -5], [6, -6], [7, -7]], 8),
    ]


def test_a_later_push_does_not_change_an_earlier_window() -> None:
    """A view of the ring would change under a batch that holds two windows of one stream."""
    state = WindowState.empty(config(), 1)
    ticks(state, config(), 2)
    early = push(state, config(), frames((0, 2, (2, -2), 2, False)))
    before = early.values.copy()
    ticks(state, config(), 3, first=3)
    np.testing.assert_array_equal(early.values, before)


def test_a_gap_starts_the_window_anew_and_says_so_until_it_is_full() -> None:
    state = WindowState.empty(config(), 1)
    ticks(state, config(), 4)
    after = cuts(push(state, config(), frames((0, 50, (50, -50), 2, True)))) + ticks(state, config(), 3, first=51)
    assert [status for _, _, status, _, _ in after] == [Status.GAP, Status.GAP, Status.SCORED, Status.SCORED]
    assert after[2][3] == [[50, -50], [51, -51], [52, -52]]


def test_too_much_missing_is_not_scored() -> None:
    """Of six cells three are half; two are not."""
    state = WindowState.empty(config(), 1)
    rows = [(1.0, NAN), (NAN, NAN), (2.0, 3.0), (NAN, 4.0), (NAN, NAN)]
    found = [cuts(push(state, config(), frames((0, tick, row, 0, False))))[0] for tick, row in enumerate(rows)]
    assert [each[2] for each in found[2:]] == [Status.SCORED, Status.SCORED, Status.SCORED]
    last = cuts(push(state, config(), frames((0, 5, (NAN, 5.0), 0, False))))[0]
    assert last[2:4] == (Status.TOO_FEW_SENSORS, [[None, 4], [None, None], [None, 5]])


def test_a_flush_gives_a_row_to_what_no_row_covers_yet_and_to_nothing_else() -> None:
    strided = config(stride=4)
    state = WindowState.empty(strided, 3)
    push(state, strided, frames((0, 7, (1, 1), 2, False), (1, 8, (NAN, NAN), 0, False)))
    last = np.array([7, 8, 0], np.int64)
    assert cuts(flush(state, strided, last)) == [(0, 7, Status.WARMING_UP, None, 2)]
    assert cuts(flush(state, strided, last)) == []


def masks(*, value: bool = False, sensor: bool = False, history: bool = False, before: bool = False) -> Masks:
    """What the sensor check says of the first sensor of one stream."""
    return Masks(*(np.array([[each, False]]) for each in (value, sensor, history, before)))


def test_what_the_model_must_not_see_is_left_out_of_the_window_and_told_as_it_was_reported() -> None:
    """A value for good, a sensor for as long as it is withheld, what came before when that is worth nothing."""
    state = WindowState.empty(config(min_coverage=0.0), 1)
    found = []
    said = [masks(), masks(value=True), masks(), masks(sensor=True), masks(), masks(history=True, value=True)]
    for tick, each in enumerate(said):
        row = frames((0, tick, (tick, -tick), 2, False))
        found.append(push(state, config(min_coverage=0.0), row, each))
    assert [table(each.values[0]) for each in found[2:]] == [
        [[0, 0], [None, -1], [2, -2]],
        [[None, -1], [None, -2], [None, -3]],
        [[2, -2], [3, -3], [4, -4]],
        [[None, -3], [None, -4], [None, -5]],
    ]
    assert [each.actual[0].tolist() for each in found] == [[tick, -tick] for tick in range(6)]


def test_a_spike_that_the_next_tick_tells_is_taken_out_behind_it() -> None:
    """In the third tick it is told of the second, and in the fourth, where the ring begins anew, of the third."""
    state = WindowState.empty(config(min_coverage=0.0), 1)
    said = [masks(), masks(), masks(before=True), masks(before=True)]
    for tick, each in enumerate(said):
        found = push(state, config(min_coverage=0.0), frames((0, tick, (tick, -tick), 2, False)), each)
    assert table(found.values[0]) == [[None, -1], [None, -2], [3, -3]]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["plain", "value", "sensor", "history", "before", "gap"]), st.booleans(), st.booleans()
        ),
        min_size=4,
        max_size=40,
    )
)
@FAST
def test_what_is_counted_and_told_to_have_changed_is_what_the_windows_show(
    steps: list[tuple[str, bool, bool]],
) -> None:
    """A window is the one before with the new ticks behind it, unless it says that it was rewritten."""
    small = config(length=4, min_coverage=0.0)
    state, before = WindowState.empty(small, 1), None
    tick = 0
    for kind, *there in steps:
        tick += 10 if kind == "gap" else 1
        values = tuple(float(tick) if each else NAN for each in there)
        said = masks(**({kind: True} if kind not in {"plain", "gap"} else {}))
        cut = push(state, small, frames((0, tick, (values[0], values[1]), 2, kind == "gap")), said)
        whole = last(state, np.zeros(1, np.int32), 4)
        np.testing.assert_array_equal(cut.values, whole)
        assert state.present[0] == np.count_nonzero(~np.isnan(state.ring[0]))
        if before is not None and not cut.rewritten[0]:
            np.testing.assert_array_equal(whole[0, :-1], before[0, 1:])
        assert cut.rewritten[0] or kind in {"plain", "value", "sensor"}
        before = whole


def test_a_row_brings_no_more_ticks_along_than_are_judged() -> None:
    state = WindowState.empty(config(length=4, judged=2), 1)
    for tick in range(6):
        found = push(state, config(length=4, judged=2), frames((0, tick, (tick, -tick), 2, False)))
    assert table(found.values[0]) == [[4, -4], [5, -5]]
    assert found.status.tolist() == [Status.SCORED]
    assert table(last(state, np.zeros(1, np.int32), 4)[0]) == [[2, -2], [3, -3], [4, -4], [5, -5]]


def test_a_flush_and_an_unchecked_tick_know_what_is_withheld() -> None:
    strided = config(length=2, stride=4, min_coverage=0.0)
    state = WindowState.empty(strided, 1)
    for tick in range(2):
        push(state, strided, frames((0, tick, (1, 1), 2, False)), masks(sensor=True))
    flushed = flush(state, strided, np.array([1], np.int64))
    assert table(flushed.values[0]) == [[None, 1], [None, 1]]
    assert flushed.actual.tolist() == [[1, 1]]
    push(state, strided, frames((0, 2, (2, 2), 2, False)))
    assert table(flush(state, strided, np.array([2], np.int64)).values[0]) == [[1, 1], [2, 2]]


def test_too_much_withheld_is_not_scored() -> None:
    whole = config(min_coverage=0.6)
    state = WindowState.empty(whole, 1)
    found = [push(state, whole, frames((0, tick, (1, 1), 2, False)), masks(sensor=tick > 2)) for tick in range(4)]
    assert [Status(each.status[0]) for each in found[2:]] == [Status.SCORED, Status.TOO_FEW_SENSORS]


class SlowWindow:
    """One stream's window as a list of its ticks."""

    def __init__(self, config_: WindowConfig) -> None:
        self.config = config_
        self.ticks: list[tuple[float, float]] = []
        self.waiting: list[int] = []
        self.status = Status.WARMING_UP

    def push(self, row: Row) -> list[Cut]:
        stream, tick, values, count, gap = row
        if gap:
            self.ticks, self.status = [], Status.GAP
        self.ticks.append(values)
        self.waiting.append(count)
        if len(self.waiting) < self.config.stride:
            return []
        covers, self.waiting = sum(self.waiting), []
        if len(self.ticks) < self.config.length:
            return [(stream, tick, self.status, None, covers)]
        window = table(self.ticks[-self.config.length :])
        there = sum(value is not None for each in window for value in each)
        enough = there >= self.config.min_coverage * self.config.length * self.config.sensors
        return [(stream, tick, Status.SCORED if enough else Status.TOO_FEW_SENSORS, window, covers)]


@FAST
@given(
    config_=st.builds(
        WindowConfig,
        sensors=st.just(2),
        length=st.integers(1, 5),
        stride=st.integers(1, 4),
        min_coverage=st.sampled_from([0.0, 0.5, 1.0]),
    ),
    rounds=st.lists(
        st.dictionaries(
            st.integers(0, 3),
            st.tuples(
                st.tuples(st.sampled_from([1.0, 2.0, NAN]), st.sampled_from([3.0, NAN])),
                st.integers(0, 2),
                st.sampled_from([False, False, False, True]),
            ),
            min_size=1,
        ),
        max_size=15,
    ),
)
def test_a_batch_of_streams_is_the_same_as_each_stream_alone(
    config_: WindowConfig, rounds: list[dict[int, tuple[tuple[float, float], int, bool]]]
) -> None:
    """And the same as a list of ticks would give."""
    state = WindowState.empty(config_, 4)
    slow = [SlowWindow(config_) for _ in range(4)]
    for tick, each in enumerate(rounds):
        rows = [(stream, tick, *rest) for stream, rest in each.items()]
        wanted = [cut for row in rows for cut in slow[row[0]].push(row)]
        assert cuts(push(state, config_, frames(*rows))) == wanted


@pytest.mark.parametrize("length", [1, 3, 4, 6])
@pytest.mark.parametrize("ticks", [2, 4, 7])
def test_windows_of_another_length_keep_the_latest_ticks(ticks: int, length: int) -> None:
    """Window by window what a ring of that length would hold, but for the ticks that the old one had not kept."""
    old, new = (WindowConfig(sensors=1, length=each, stride=1, min_coverage=0.0) for each in (4, length))
    state = WindowState.empty(old, 1)
    for tick in range(ticks):
        push(state, old, one(tick))
    state = resized(state, length)
    there = min(ticks, 4, length)
    for more in range(1, 8):
        cut = push(state, new, one(ticks + more - 1))
        full = there + more >= length
        assert (cut.status[0] == Status.SCORED) == full
        if full:
            assert cut.values[0, :, 0].tolist() == list(range(ticks + more - length, ticks + more))


def one(tick: int) -> Frames:
    """A tick of one stream whose one value is the tick."""
    number = np.array([tick])
    return Frames(
        np.zeros(1, np.int32), number, number[:, None].astype(np.float32), np.ones(1, np.int32), number < 0
    )
