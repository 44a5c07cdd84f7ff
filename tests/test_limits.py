"""Simple limits: what counts as seen, what is beyond it, and what is forgotten, worked out by hand."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor import limits
from monitor.limits import BLOCKS, OF, LimitsConfig, LimitsState
from monitor.records import Change, Frames, Masks, Status
from tests.line_samples import FAST, START, Line, asked, in_regimes, pump, quick, shipped, spec_of, telemetry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.limits import Judged
    from monitor.spec import ClassSpec

CONFIG = LimitsConfig(block_ticks=4, min_ticks=6, margin=0.5, period_ms=1000)
NAN = float("nan")
KEY = "plant//a"


def frames(tick: int, values: Sequence[Sequence[float]]) -> Frames:
    """One tick of as many streams as there are rows."""
    table = np.array(values, np.float32)
    count = np.count_nonzero(~np.isnan(table), axis=1).astype(np.int32)
    rows = len(table)
    return Frames(np.arange(rows, dtype=np.int32), np.full(rows, tick), table, count, np.zeros(rows, np.bool_))


def push(
    state: LimitsState, tick: int, *values: Sequence[float], frozen: bool = False, masks: Masks | None = None
) -> Judged:
    """Judge one tick, then learn it, as the line does."""
    one = frames(tick, values)
    judged = limits.judge(state, CONFIG, one, masks)
    limits.learn(state, CONFIG, one, masks, judged, frozen=np.full(len(values), frozen))
    return judged


def fed(column: Sequence[float]) -> LimitsState:
    """The state of one stream whose one sensor had these values."""
    state = LimitsState.empty(CONFIG, 1, 1)
    for tick, value in enumerate(column):
        push(state, tick, [value])
    return state


def seen(state: LimitsState) -> tuple[float, float]:
    """The range that was seen of the first sensor."""
    return float(np.nanmin(state.lowest[0, :, 0])), float(np.nanmax(state.highest[0, :, 0]))


def test_seen_is_the_middle_one_of_three_values() -> None:
    """One value of 20 widens nothing, two do; what is missing is not between them."""
    assert seen(fed([10, 10, 10, 20, 10, 10])) == (10, 10)
    assert seen(fed([10, 10, 10, 20, 20, 10])) == (10, 20)
    assert seen(fed([10, 10, 10, 20, NAN, 20, 10])) == (10, 20)


@pytest.mark.parametrize(
    ("value", "beyond", "expected"),
    [(125, 0.5, 120), (131, 1.1, 120), (89, 1.1, 100), (110, 0, 110), (100, 0, 100), (150, 3, 120)],
)
def test_beyond_is_counted_in_margins(value: float, beyond: float, expected: float) -> None:
    """Seen 100 to 120: half of that range is 10, and more than 5 % of 120."""
    judged = push(fed([100] * 3 + [120] * 3), 6, [value])
    assert judged.scores.status.tolist() == [Status.SCORED]
    assert judged.scores.threshold.tolist() == [1]
    assert judged.scores.score[0] == judged.scores.contribution[0, 0] == pytest.approx(beyond)
    assert judged.scores.expected.tolist() == [[expected]]
    assert judged.outside.tolist() == [[beyond > 1]]


def test_a_steady_sensor_has_a_margin_of_its_level() -> None:
    """5 % of 200 is 10; and a sensor that was always 0 says nothing of what is much."""
    assert push(fed([200] * 6), 6, [211]).scores.score[0] == pytest.approx(1.1)
    assert len(push(fed([0] * 6), 6, [1000]).scores.stream) == 0


def test_nothing_is_judged_before_enough_was_seen() -> None:
    assert len(push(fed([100] * 5), 5, [500]).scores.stream) == 0
    assert len(push(fed([100] * 6), 6, [500]).scores.stream) == 1
    assert len(push(fed([100] * 6), 6, [NAN]).scores.stream) == 0


def test_what_is_beyond_is_not_learned_and_nothing_while_frozen() -> None:
    state = fed([100] * 3 + [120] * 3)
    before = state.age.copy()
    for tick in range(6, 12):
        push(state, tick, [140])  # two margins beyond
        push(state, tick, [125], frozen=True)  # half a margin
    assert seen(state) == (100, 120)
    assert state.age == before
    for tick in range(12, 15):
        push(state, tick, [125])
    assert seen(state) == (100, 125)


def test_what_is_masked_is_neither_judged_nor_learned() -> None:
    state = fed([100] * 6)
    nothing, mark = np.zeros((1, 1), np.bool_), np.ones((1, 1), np.bool_)
    for masks in (Masks(mark, nothing, nothing, nothing), Masks(nothing, mark, nothing, nothing)):
        before = state.age.copy()
        assert len(push(state, 6, [500], masks=masks).scores.stream) == 0
        assert state.age == before


def test_a_range_is_forgotten_after_so_much_running_and_not_by_a_silence() -> None:
    """A block is four ticks; the first one's 20 goes when the thirteenth block begins, however long it stood."""
    state = fed([10, 20, 20, 12])
    for number in range((BLOCKS - 1) * 4):
        push(state, 1_000_000 * (number + 1), [12])
    assert seen(state) == (12, 20)
    push(state, 2**40, [12])
    assert seen(state) == (12, 12)


def test_accepting_forgets_what_was_seen() -> None:
    state = fed([100] * 6)
    limits.relearn(state, 0)
    assert len(push(state, 6, [500]).scores.stream) == 0
    for tick in range(7, 12):
        push(state, tick, [500])
    assert len(push(state, 12, [500]).scores.stream) == 1
    assert seen(state) == (500, 500)


def test_the_words_name_the_furthest_first() -> None:
    state = LimitsState.empty(CONFIG, 3, 1)
    for tick in range(8):
        push(state, tick, [100 + 20 * (tick > 3), 50, 7])
    judged = push(state, 8, [140, 60, 7])
    told = judged.words(0, ("pressure", "flow", "level"), ("kPa", "", "m"))
    # Flow is 10 beyond a margin of 2.5, pressure 20 beyond one of 10; the level is where it was.
    assert told == (
        "flow 60, beyond 50 to 50 seen in its last 8 s of running; "
        "pressure 140 kPa, beyond 100 to 120 seen in its last 8 s of running"
    )


class Slow:
    """One sensor of one stream by the text of the docstring, value after value, with its whole history."""

    def __init__(self) -> None:
        self.taken: list[float] = []  # one for every tick that was learned, NaN where it was missing
        self.values: list[float] = []

    def judge(self, value: float) -> float | None:
        """Margins beyond; None where it is not judged."""
        began = max(0, math.ceil(len(self.taken) / 4) - BLOCKS) * 4
        lasts = [self._last(index) for index in range(began, len(self.taken)) if not math.isnan(self.taken[index])]
        levels = [sorted(last)[1] for last in lasts if last]
        count = sum(not math.isnan(each) for each in self.taken[began:])
        if count < CONFIG.min_ticks or math.isnan(value) or not levels:
            return None
        low, high = min(levels), max(levels)
        margin = max(0.5 * (high - low), 0.05 * max(abs(low), abs(high)))
        return None if margin <= 0 else max(value - high, low - value, 0) / margin

    def _last(self, index: int) -> list[float]:
        there = [each for each in self.taken[: index + 1] if not math.isnan(each)]
        return there[-OF:] if len(there) >= OF else []

    def learn(self, value: float, beyond: float | None, *, ticks: bool) -> None:
        """`ticks`: another sensor of the stream was learned."""
        fine = not math.isnan(value) and not (beyond is not None and beyond > 1)
        if fine or ticks:
            self.taken.append(value if fine else NAN)


@FAST
@given(
    st.lists(
        st.lists(st.sampled_from([NAN, 100.0, 100.0, 101.0, 104.0, 120.0, 160.0, -50.0]), min_size=2, max_size=2),
        max_size=90,
    )
)
def test_any_values_are_judged_as_the_text_says(rows: list[list[float]]) -> None:
    """Against the whole history, looked through again for every value."""
    state, slow = LimitsState.empty(CONFIG, 2, 1), (Slow(), Slow())
    for tick, row in enumerate(rows):
        values = [float(np.float32(value)) for value in row]
        expected = [each.judge(value) for each, value in zip(slow, values, strict=True)]
        judged = push(state, tick, values)
        found = judged.scores.contribution[0].tolist() if len(judged.scores.stream) else [NAN, NAN]
        np.testing.assert_allclose(found, [NAN if each is None else each for each in expected], rtol=1e-5)
        fine = [
            not math.isnan(value) and not (each is not None and each > 1)
            for value, each in zip(values, expected, strict=True)
        ]
        for each, value, beyond in zip(slow, values, expected, strict=True):
            each.learn(value, beyond, ticks=any(fine))


@FAST
@given(st.lists(st.lists(st.sampled_from([NAN, 1.0, 1.0, 2.0, 9.0]), min_size=3, max_size=3), max_size=40))
def test_streams_side_by_side_are_as_each_alone(rows: list[list[float]]) -> None:
    together = LimitsState.empty(CONFIG, 1, 3)
    alone = [LimitsState.empty(CONFIG, 1, 1) for _ in range(3)]
    for tick, row in enumerate(rows):
        push(together, tick, *([value] for value in row))
        for state, value in zip(alone, row, strict=True):
            push(state, tick, [value])
    for each in fields(LimitsState):
        parts = [getattr(state, each.name) for state in alone]
        np.testing.assert_array_equal(getattr(together, each.name), np.concatenate(parts))


# -- in the line --------------------------------------------------------------------------------------------------


def bare() -> ClassSpec:
    """Pumps without a model, which learn; an incident needs two of the last three ticks."""
    config = LimitsConfig(block_ticks=100, min_ticks=10, margin=0.5, period_ms=1000)
    spec = quick(shipped(), model="", model_hash="", wanted_ms=3_600_000, limits=config)
    return replace(spec, alert=replace(spec.alert, k=2, n=3, off_delay_ticks=3))


def running(line: Line, first: int, count: int, *, breach: float = 0.0) -> None:
    for second in range(first, first + count):
        line.send(second * 1000, telemetry("a", second * 1000, pump(50 + second % 5, breach=breach)))


def test_a_gross_fault_fires_once_and_clears_and_no_row_pretends_a_score() -> None:
    """Flow is 110 to 118; half its range is 4, 5 % of its level nearly 6, a breach of 40 is far beyond."""
    line = Line(bare()).listen()
    running(line, 0, 30)
    running(line, 30, 10, breach=40)
    running(line, 40, 10)
    assert line.told() == [(KEY, "limit", "fired"), (KEY, "limit", "cleared")]
    fired, cleared = line.events
    assert fired.summary.startswith("limits, no model yet: flow ")
    # Of the first tick that is beyond, the other sensor is still learned.
    assert "beyond 112 to 116 seen in its last 31 s of running" in fired.summary
    assert (fired.score, fired.threshold, [each.sensor for each in fired.top]) == (None, None, ["flow"])
    assert (fired.started, fired.time, cleared.time) == (START + 31_000, START + 31_000, START + 43_000)
    assert cleared.summary == "within the limits again"
    assert {(status, math.isnan(score)) for _, status, score, _ in line.rows(KEY)} == {(Status.LEARNING, True)}
    # Of 50 ticks, those from pending to cleared are no normal running.
    assert line.state.classes[0].limits.normal[0] == 50 - 12


def test_what_is_not_scored_is_not_for_the_limits_either() -> None:
    """Off for ten ticks and blanked for two: no incident, nothing learned, none of it normal running."""
    spec = bare()
    line = Line(in_regimes(spec, blank_ticks=2, off="load < 10")).listen()
    running(line, 0, 20)
    learned = line.state.classes[0].limits.lowest.copy()
    for second in range(20, 30):
        line.send(second * 1000, telemetry("a", second * 1000, {"load": 0.0, "flow": 0.0}))
    np.testing.assert_array_equal(line.state.classes[0].limits.lowest, learned)
    running(line, 30, 10)
    assert line.told() == []
    assert line.state.classes[0].limits.normal[0] == 20 + 10 - 2
    statuses = [status for _, status, *_ in line.rows("plant//a")]
    assert statuses[20:33] == [Status.REGIME] * 10 + [Status.BLANKED] * 2 + [Status.LEARNING]
    assert statuses[33] == Status.LEARNING


def test_accept_ends_it_and_what_is_now_becomes_normal() -> None:
    line = Line(bare()).listen()
    running(line, 0, 30)
    running(line, 30, 5, breach=40)
    reply = line.take(35_000, asked("accept", asset=KEY)).reply
    assert "accepted" in reply
    running(line, 35, 40, breach=40)
    assert line.told() == [(KEY, "limit", "fired"), (KEY, "limit", "accepted")]


def test_a_model_that_comes_takes_over_with_the_windows_that_are_full() -> None:
    """Scored from the next tick on; the limits' incident ends in words; when the model goes they learn anew."""
    line = Line(bare()).listen()
    running(line, 0, 30)
    running(line, 30, 5, breach=40)
    line.take(35_000, Change(line=spec_of(quick(shipped()))))
    running(line, 35, 5, breach=40)
    statuses = [status for _, status, *_ in line.rows(KEY)]
    assert statuses == [Status.LEARNING] * 35 + [Status.SCORED] * 5
    assert line.told() == [(KEY, "limit", "fired"), (KEY, "limit", "cleared"), (KEY, "anomaly", "fired")]
    assert line.events[1].summary == "from here on the model balance judges"
    line.take(40_000, Change(line=spec_of(bare())))
    running(line, 40, 5, breach=40)
    assert line.told()[3:] == [(KEY, "anomaly", "cleared")]
    assert line.events[-1].summary == "the model balance is gone"
    assert [status for _, status, *_ in line.rows(KEY)][40:] == [Status.LEARNING] * 5
    assert [time for time, *_ in line.rows(KEY)] == list(range(45))


def test_another_model_begins_with_thresholds_of_its_own() -> None:
    """And leaves what is open as it is, for it to clear."""
    line = Line(quick(shipped()), models={"balance": Line().models["balance"], "second": Line().models["balance"]})
    line.listen()
    running(line, 0, 40, breach=1.9)
    running(line, 40, 10, breach=40)
    raised = line.rows(KEY)[39][3]
    line.take(50_000, Change(line=spec_of(quick(shipped(), model="second", model_hash="second"))))
    running(line, 50, 8)
    assert raised != 1.0
    assert [threshold for *_, threshold in line.rows(KEY)][50:] == [1.0] * 8
    assert line.told() == [(KEY, "anomaly", "fired"), (KEY, "anomaly", "cleared")]
