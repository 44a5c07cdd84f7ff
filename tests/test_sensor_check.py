"""Range, stuck and dropout, tick by tick: worked by hand, and against one sensor at a time in plain Python."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.records import Frames, Kind
from monitor.sensor_check import SensorCheckConfig, SensorCheckState, push
from monitor.ticks import REACH
from tests.line_samples import FAST

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.records import Masks, SensorChange

NAN = math.nan
SENSORS = ("speed", "heat", "flow")
RANGE, STUCK, DROPOUT = Kind.SENSOR_RANGE, Kind.SENSOR_STUCK, Kind.SENSOR_DROPOUT

Row = tuple[tuple[float, ...], bool, bool]  # values, whether the asset reported anything, gap
Said = tuple[int, int, "Kind | None", int]  # tick, sensor, what, since


def config(**changes: Any) -> SensorCheckConfig:
    """Three sensors at 2 Hz; heat from 0 to 100 and stuck after 4 ticks, a fault of the others after 2 or 3."""
    plain = SensorCheckConfig(
        sensors=SENSORS,
        units=("rpm", "°C", ""),
        lowest=(None, 0.0, 0.0),
        highest=(9000.0, 100.0, None),
        stuck_ticks=(None, 4, None),
        range_ticks=2,
        dropout_ticks=3,
        clear_ticks=3,
        period_ms=500,
    )
    return replace(plain, **changes)


def frames(stream: Sequence[int], tick: int, rows: Sequence[Row]) -> Frames:
    values = np.array([row[0] for row in rows], np.float32).reshape(len(rows), 3)
    count = [int(row[1]) * int((~np.isnan(each)).sum()) for row, each in zip(rows, values, strict=True)]
    return Frames(
        stream=np.array(stream, np.int32),
        tick=np.full(len(rows), tick, np.int64),
        values=values,
        count=np.array(count, np.int32),
        gap=np.array([row[2] for row in rows], np.bool_),
    )


class One:
    """One stream whose ticks are pushed one after the other."""

    def __init__(self, rule: SensorCheckConfig | None = None) -> None:
        self.rule = rule or config()
        self.state = SensorCheckState.empty(3, 1)
        self.tick = -1
        self.changes: list[SensorChange] = []
        self.masks: list[Masks] = []

    def push(self, *values: tuple[float, ...], reported: bool = True, gap: bool = False) -> One:
        for each in values:
            self.tick += 1
            masks, changes = push(self.state, self.rule, frames([0], self.tick, [(each, reported, gap)]))
            self.masks.append(masks)
            self.changes += changes
        return self

    def run(self, heat: Sequence[float]) -> One:
        """So many ticks in which the other two move."""
        first = self.tick + 1
        return self.push(*((1000.0 + first + n, value, 5.0 + first + n) for n, value in enumerate(heat)))

    def said(self) -> list[Said]:
        return [(each.tick, each.sensor, each.kind, each.since) for each in self.changes]

    def heat(self, which: str) -> list[int]:
        """The ticks in which the heat was masked in this way."""
        return [tick for tick, masks in enumerate(self.masks) if getattr(masks, which)[0, 1]]


def test_a_value_out_of_range_is_masked_alone_and_is_no_fault() -> None:
    one = One().run([20, 1203, 21, -1, 22, 100, 0])
    assert one.said() == []
    assert one.heat("value") == [1, 3]
    assert one.heat("sensor") == one.heat("history") == []


def test_a_fault_is_the_same_where_its_ticks_are_counted_from_another_one() -> None:
    """It is found in the tick at which the base moves, and was seen before."""
    one = One().run([20])
    one.tick = REACH - 4
    heat = (20, 21, 101, 102, 103, 22, 104, 23, 24, 25, 26)
    one.push(*((1000.0 + n, float(value), 5.0 + n) for n, value in enumerate(heat)))
    assert one.said() == [(REACH, 1, RANGE, REACH - 1), (REACH + 6, 1, None, REACH + 6)]
    assert one.state.base.tolist() == [REACH]


def test_out_of_range_for_long_enough_is_a_fault_until_it_is_good_for_long_enough() -> None:
    """Tick 3 is the second outside; 5 is good, 6 is not, 7 to 9 are the three good ones."""
    one = One().run([20, 21, 101, 102, 103, 22, 104, 23, 24, 25, 26])
    assert one.said() == [(3, 1, RANGE, 2), (9, 1, None, 9)]
    assert one.heat("value") == [2, 3, 4, 6]
    assert one.heat("sensor") == [3, 4, 5, 6, 7, 8]
    assert one.changes[0].summary == "heat 102 °C, outside 0 to 100 °C"
    assert one.changes[1].summary == "heat 25 °C: good again"


@pytest.mark.parametrize(
    ("values", "summary"),
    [((9001.0, 20.0, 5.0), "speed 9001 rpm, above 9000 rpm"), ((1.0, 20.0, -0.5), "flow -0.5, below 0")],
)
def test_a_range_may_be_open_to_one_side(values: tuple[float, ...], summary: str) -> None:
    one = One(config(range_ticks=1)).push(values)
    assert [each.summary for each in one.changes] == [summary]


def test_a_sensor_without_a_range_can_be_stuck_and_drop_out() -> None:
    rule = config(lowest=(None,) * 3, highest=(None,) * 3, stuck_ticks=(None, None, 2))
    one = One(rule).push((1, 20, 5), (2, 21, 5), (3, 22, 5), (4, NAN, 5), (5, NAN, 5), (6, NAN, 5))
    assert [each.summary for each in one.changes] == [
        "flow stuck at 5 for 1 s",
        "heat has not been reported for 1.5 s",
    ]


def test_a_bound_is_met_by_the_number_nearest_to_it() -> None:
    """0.1 is not a number of 32 bits; the value and the bound are rounded alike."""
    one = One(config(lowest=(0.1, 0.1, 0.1), range_ticks=1)).push((0.1, 0.1, 0.1))
    assert one.said() == []


def test_a_sensor_that_stands_while_the_others_move_is_suspected_then_stuck() -> None:
    """Its value came in tick 1; still in 2 to 5, of which two make a suspicion and four a fault."""
    one = One().run([20, 85, 85, 85, 85, 85, 85, 85])
    assert one.said() == [(5, 1, STUCK, 2)]
    assert one.changes[0].summary == "heat stuck at 85 °C for 2 s"
    assert one.heat("sensor") == [3, 4, 5, 6, 7]
    assert one.heat("value") == [5, 6, 7]
    assert one.heat("history") == [5]


def test_a_sensor_that_never_stands_is_suspect_at_once_and_one_that_does_later() -> None:
    """Four ticks at first; having stood for four and moved again, eight; never more than half of what is stuck."""
    one = One(config(stuck_ticks=(None, 20, None)))
    assert one.run([20, 21, 22, 22, 22, 22, 22, 23]).heat("sensor") == [6]
    one.run([24] * 10)
    assert one.heat("sensor") == [6, 16, 17]
    one.run([25] * 15)
    assert one.heat("sensor") == [6, 16, 17, 28, 29, 30, 31, 32]
    assert one.said() == []


def test_a_suspicion_that_was_wrong_is_over_with_the_next_change() -> None:
    one = One().run([20, 85, 85, 85, 85, 86, 86])
    assert one.said() == []
    assert one.heat("sensor") == [3, 4]
    assert one.heat("value") == one.heat("history") == []


def test_where_the_file_says_nothing_the_model_says_when_a_sensor_is_stuck() -> None:
    """Speed has a limit of the model alone; heat has one of its own, which holds; flow has none."""
    one = One(config(learned_ticks=(6, 50, None)))
    one.push(*((float(tick > 0), 50.0, float(tick)) for tick in range(2)))
    one.push(*((1.0, 50.0 + tick, float(tick)) for tick in range(3, 10)))
    assert [(each.sensor, each.kind, each.tick) for each in one.changes] == [(0, STUCK, 7)]


def test_sensors_that_are_polled_in_turn_move_within_a_few_ticks() -> None:
    """Of three one moves in each tick, until heat does no more: told only where moving lately is moving."""
    rows = [
        (float(tick // 3), 50.0 if tick > 5 else 10.0 + (tick + 1) // 3, float((tick + 2) // 3))
        for tick in range(20)
    ]
    assert One(config()).push(*rows).changes == []
    assert [each.sensor for each in One(config(moved_within=3)).push(*rows).changes] == [1]


def test_a_stuck_sensor_is_good_again_some_time_after_it_moves() -> None:
    """And stuck a second time it is another incident."""
    one = One().run([85, 85, 85, 85, 85, 86, 87, 88, 88, 88, 88, 88])
    assert one.said() == [(4, 1, STUCK, 1), (7, 1, None, 7), (11, 1, STUCK, 8)]
    assert one.heat("value") == [4, 11]


def test_a_machine_that_stands_has_no_stuck_sensors() -> None:
    """Nor one of which only a single other sensor of two moves; what was still before goes on counting."""
    one = One().push(*[(0.0, 20.0, 0.0)] * 20)
    one.push(*((n, 20.0, 0.0) for n in range(20)))
    assert one.said() == []
    assert one.heat("sensor") == []
    one.run([20, 20, 20])
    assert one.said() == []
    assert one.run([20]).said() == [(43, 1, STUCK, 40)]


def test_a_faulty_sensor_does_not_say_whether_the_machine_runs() -> None:
    """The flow is out of range and stands; the speed alone, which moves, is most of the rest."""
    one = One().push((1, 20, 5), (2, 21, -5), (3, 22, -5))
    assert one.said() == [(2, 2, RANGE, 1)]
    one.push(*((4.0 + n, 22.0, -5.0) for n in range(4)))
    assert one.said()[1:] == [(6, 1, STUCK, 3)]


def test_a_sensor_that_is_missing_while_others_report_has_dropped_out() -> None:
    one = One().run([20, 21, NAN, NAN, NAN, NAN, 22, 23, NAN, 24, 25, 26])
    assert one.said() == [(4, 1, DROPOUT, 2), (11, 1, None, 11)]
    assert one.changes[0].summary == "heat has not been reported for 1.5 s"
    assert one.heat("sensor") == [4, 5, 6, 7, 8, 9, 10]


def test_what_was_never_reported_is_not_missed() -> None:
    assert One().run([NAN] * 20).said() == []


def test_ticks_without_any_report_say_nothing_of_sensors() -> None:
    """Two missing before the silence and one after it are three; values that are held count for nothing."""
    one = One().run([20, NAN, NAN])
    one.push(*[(NAN, NAN, NAN)] * 50, reported=False)
    one.push(*[(1003.0, 400.0, 7.0)] * 5, reported=False)
    assert one.said() == []
    assert one.heat("value") == [53, 54, 55, 56, 57]
    assert one.run([NAN]).said() == [(58, 1, DROPOUT, 1)]


def test_after_a_gap_everything_counts_anew_and_a_fault_stays() -> None:
    one = One().run([20, NAN, NAN]).push((1.0, NAN, 2.0), gap=True).run([NAN])
    assert one.said() == []
    one.run([NAN, 20, 21])
    assert one.said() == [(5, 1, DROPOUT, 3)]
    one.push((1.0, 22.0, 2.0), gap=True).run([23])
    assert len(one.said()) == 1
    assert one.run([24]).said()[1:] == [(10, 1, None, 10)]


def test_a_fault_keeps_its_kind() -> None:
    """Out of range, then missing, then stuck in range: one incident, until all is well."""
    one = One().run([20, 101, 102, NAN, NAN, NAN, NAN, 50, 50, 50, 50, 50, 51, 52, 53])
    assert one.said() == [(2, 1, RANGE, 1), (9, 1, None, 9), (11, 1, STUCK, 8), (14, 1, None, 14)]
    one = One(config(clear_ticks=9)).run([20, 101, 102, NAN, NAN, NAN, NAN, 50, 50, 50, 50, 50, 51, 52, 53])
    assert one.said() == [(2, 1, RANGE, 1)]
    assert one.heat("history") == [11]


def test_out_of_range_and_stuck_in_one_tick_is_told_as_out_of_range() -> None:
    one = One(config(range_ticks=5)).run([101] * 5)
    assert one.said() == [(4, 1, RANGE, 0)]


@dataclass
class SlowSensor:
    """One sensor's life, in the words of the room's page."""

    lowest: float
    highest: float
    stuck: int | None
    rule: SensorCheckConfig
    value: float = NAN
    outside: int = 0
    still: int = 0
    missing: int = 0
    usual: int = 0
    fault: str = ""
    good: int = 0

    def take(self, value: float, alive: bool, others_moved: bool) -> tuple[bool, bool, str]:
        """One tick; returns whether the value and the sensor are masked, and what is told."""
        told, known = "", not math.isnan(value)
        out = known and not self.lowest <= value <= self.highest
        if alive:
            if known:
                self.outside = self.outside + 1 if out else 0
                if value != self.value:
                    if self.stuck is not None and self.still < self.stuck:
                        self.usual = max(self.usual, self.still)
                    self.still = 0
                elif others_moved:
                    self.still += 1
                self.missing, self.value = 0, value
            elif not math.isnan(self.value):
                self.missing += 1
        is_stuck = self.stuck is not None and self.still >= self.stuck
        now = (
            "range" if self.outside >= self.rule.range_ticks
            else "stuck" if is_stuck
            else "dropout" if self.missing >= self.rule.dropout_ticks
            else ""
        )  # fmt: skip
        if now or out or not known:
            self.good = 0
        elif alive:
            self.good += 1
        if not self.fault and now:
            self.fault, self.good, told = now, 0, now
        elif self.fault and self.good >= self.rule.clear_ticks:
            self.fault, told = "", "good"
        suspect = self.stuck is not None and self.still >= min(max(4, 2 * self.usual), self.stuck / 2)
        return out or is_stuck, bool(self.fault) or suspect, told


def slowly(rule: SensorCheckConfig, rows: Sequence[Row]) -> list[list[tuple[bool, bool, str]]]:
    """The ticks of one stream, sensor by sensor."""
    sensors = [
        SlowSensor(-math.inf if low is None else low, math.inf if high is None else high, stuck, rule)
        for low, high, stuck in zip(rule.lowest, rule.highest, rule.stuck_ticks, strict=True)
    ]
    found = []
    for values, reported, gap in rows:
        alive = reported and not all(math.isnan(value) for value in values)
        for each in sensors:
            if gap:
                each.outside = each.still = each.missing = each.good = 0
        moves = {
            n: value != each.value
            for n, (each, value) in enumerate(zip(sensors, values, strict=True))
            if not math.isnan(value) and not each.fault
        }
        others = [[moved for m, moved in moves.items() if m != n] for n in range(len(sensors))]
        most = [sum(each) > len(each) / 2 for each in others]
        found.append([each.take(values[n], alive, most[n]) for n, each in enumerate(sensors)])
    return found


CELL = st.sampled_from([1.0, 1.0, 1.0, 2.0, 50.0, 200.0, NAN, NAN])
ROW = st.tuples(
    st.tuples(CELL, CELL, CELL),
    st.sampled_from([True, True, True, True, True, False]),
    st.sampled_from([False] * 15 + [True]),
)


@FAST
@given(
    rule=st.builds(
        config,
        stuck_ticks=st.tuples(*[st.sampled_from([None, 1, 3, 4, 14])] * 3),
        range_ticks=st.integers(1, 3),
        dropout_ticks=st.integers(1, 3),
        clear_ticks=st.integers(1, 4),
    ),
    streams=st.lists(st.lists(ROW, min_size=25, max_size=25), min_size=1, max_size=4),
    together=st.lists(st.booleans(), min_size=25, max_size=25),
)
def test_streams_together_are_the_same_as_each_alone_and_as_sensors_in_plain_python(
    rule: SensorCheckConfig, streams: list[list[Row]], together: list[bool]
) -> None:
    """However the rounds are split: some ticks come in one round of all streams, some stream by stream."""
    state = SensorCheckState.empty(3, len(streams))
    wanted = [slowly(rule, rows) for rows in streams]
    everyone = list(range(len(streams)))
    for tick in range(25):
        for part in [everyone] if together[tick] else [[stream] for stream in everyone]:
            masks, changes = push(state, rule, frames(part, tick, [streams[stream][tick] for stream in part]))
            told = {
                (each.stream, each.sensor): each.kind.removeprefix("sensor_") if each.kind else "good"
                for each in changes
            }
            found = [
                [(bool(masks.value[n, c]), bool(masks.sensor[n, c]), told.get((stream, c), "")) for c in range(3)]
                for n, stream in enumerate(part)
            ]
            assert found == [wanted[stream][tick] for stream in part]
