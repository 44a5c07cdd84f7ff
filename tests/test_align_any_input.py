"""Alignment of any input, against a slow aligner of dictionaries that takes one reading at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.align import NEVER, AlignConfig, clock_suspect, open_values
from monitor.records import Outcome
from tests.aligner import Aligner, Row
from tests.line_samples import FAST, START, Frame

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hypothesis.strategies import DrawFn, SearchStrategy

NAN = math.nan


@dataclass
class SlowStream:
    """One stream of the slow aligner."""

    cells: dict[tuple[int, int], tuple[int, float]] = field(default_factory=dict)
    first_arrival: dict[int, int] = field(default_factory=dict)
    held: dict[int, tuple[int, float]] = field(default_factory=dict)
    newest: int | None = None
    last: int | None = None  # the last tick made a frame
    closed: int = -1  # every tick up to here is
    frames: list[Frame] = field(default_factory=list)


class SlowAligner:
    """The rules of the design page taken word by word: dictionaries, and one reading at a time."""

    def __init__(self, config: AlignConfig, since: int) -> None:
        self.config = config
        self.since = since
        self.streams: dict[int, SlowStream] = {}
        self.ahead: dict[int, bool] = {}
        self.superseded = self.quarantined = self.refused = 0

    def push(self, row: Row) -> None:
        number, time, arrival, values = row
        given = {sensor: value for sensor, value in enumerate(values) if not math.isnan(value)}
        self.ahead[number] = time > arrival + self.config.max_ahead_ms
        blamed = sum(self.ahead.values())
        if self.ahead[number] and not (blamed >= 3 and blamed > len(self.ahead) / 2):
            self.quarantined += len(given)
            return
        stream = self.streams.setdefault(number, SlowStream())
        mark = time if self.ahead[number] else min(time, arrival)
        stream.newest = mark if stream.newest is None else max(stream.newest, mark)
        self._settle(stream, arrival)
        tick = time // self.config.period_ms
        is_open = tick > stream.closed and not self._past(stream, tick)
        if is_open:
            stream.first_arrival.setdefault(tick, arrival)
        for sensor, value in given.items():
            self._cell(stream, (tick, sensor), (time, value), is_open=is_open)
        self._settle(stream, arrival)

    def clock(self, now: int) -> None:
        for stream in self.streams.values():
            self._settle(stream, now)

    def _cell(self, stream: SlowStream, cell: tuple[int, int], new: tuple[int, float], *, is_open: bool) -> None:
        old = stream.cells.get(cell)
        if not is_open or (old is not None and old[0] == new[0]):
            self.refused += 1
            return
        if old is not None:
            self.superseded += 1
        if old is None or new[0] > old[0]:
            stream.cells[cell] = new

    def _past(self, stream: SlowStream, tick: int) -> bool:
        """Whether the newest time is lateness past this tick's end."""
        assert stream.newest is not None
        return stream.newest >= (tick + 1) * self.config.period_ms + self.config.lateness_ms

    def _settle(self, stream: SlowStream, now: int) -> None:
        while True:
            waiting = [tick for tick in stream.first_arrival if tick > stream.closed]
            if not waiting:
                return
            tick = min(waiting)
            empty = [] if stream.last is None else range(stream.last + 1, tick)
            gap = len(empty) > self.config.gap_ticks
            heard = max(stream.first_arrival[tick], self.since)
            due = self._past(stream, tick) or now >= heard + self.config.lateness_ms
            if self.config.one_reading_per_tick and stream.last is not None and not gap:
                complete = all((tick, sensor) in stream.cells for sensor in range(self.config.sensors))
                due |= complete and all(self._past(stream, each) for each in empty)
            if not due:
                return
            for each in [*([] if gap else empty), tick]:
                self._close(stream, each, gap=gap)

    def _close(self, stream: SlowStream, tick: int, *, gap: bool) -> None:
        values: list[float | None] = []
        count = 0
        for sensor in range(self.config.sensors):
            if (tick, sensor) in stream.cells:
                stream.held[sensor] = (tick, stream.cells[tick, sensor][1])
                count += 1
            since, value = stream.held.get(sensor, (-(10**9), NAN))
            fresh = (tick - since) * self.config.period_ms <= self.config.hold_ms
            values.append(value if fresh else None)
        stream.frames.append((tick, tuple(values), count, gap))
        stream.last = stream.closed = tick


Step = Row | int  # a reading, or what the clock says


def value() -> SearchStrategy[float]:
    return st.sampled_from([1.0, 2.0, 3.0, NAN])


@st.composite
def configs(draw: DrawFn) -> AlignConfig:
    """Small grids, where everything happens within a few ticks."""
    return AlignConfig(
        sensors=2,
        period_ms=10,
        lateness_ms=draw(st.sampled_from([0, 5, 10, 35])),
        one_reading_per_tick=draw(st.booleans()),
        hold_ms=draw(st.sampled_from([0, 10, 25])),
        max_ahead_ms=draw(st.sampled_from([0, 15])),
        repeat_ticks=3,
        gap_ticks=draw(st.integers(1, 4)),
    )


@st.composite
def histories(draw: DrawFn) -> list[Step]:
    """Any readings of four streams, most of them near now, arriving in order; and the clock between them."""
    now = 0
    steps: list[Step] = []
    for _ in range(draw(st.integers(1, 25))):
        now += draw(st.sampled_from([0, 1, 4, 10, 30, 80]))
        if draw(st.integers(0, 5)) == 0:
            steps.append(now)
            continue
        time = now + draw(st.integers(-40, 5) | st.sampled_from([-1000, 14, 16, 500, 520]))
        steps.append((draw(st.integers(0, 3)), max(time, -START), now, (draw(value()), draw(value()))))
    return steps


def batches(steps: Sequence[Step], cuts: Iterable[int]) -> list[list[Row] | int]:
    """The same steps with readings joined to batches, where no cut and no clock parts them."""
    joined: list[list[Row] | int] = []
    for number, each in enumerate(steps):
        if isinstance(each, int):
            joined.append(each)
        elif joined and isinstance(joined[-1], list) and number not in cuts:
            joined[-1].append(each)
        else:
            joined.append([each])
    return joined


def run(config: AlignConfig, since: int, work: Sequence[list[Row] | int]) -> Aligner:
    aligner = Aligner(config, streams=4, since=since)
    for each in work:
        if isinstance(each, int):
            aligner.clock(each)
        else:
            aligner.push(*each)
    return aligner


@FAST
@given(
    config=configs(), since=st.sampled_from([0, 60, 10**9]), steps=histories(), cuts=st.sets(st.integers(0, 24))
)
def test_it_does_what_the_slow_aligner_does(
    config: AlignConfig, since: int, steps: list[Step], cuts: set[int]
) -> None:
    """Any input in any batches: the same frames, and the same count for each outcome."""
    fast = run(config, since, batches(steps, cuts))
    slow = SlowAligner(config, START + since)
    for each in steps:
        if isinstance(each, int):
            slow.clock(START + each)
        else:
            stream, time, arrival, values = each
            slow.push((stream, START + time, START + arrival, values))
    slow.clock(int(NEVER))
    first = START // config.period_ms
    wanted = {
        number: [(tick - first, values, count, gap) for tick, values, count, gap in stream.frames]
        for number, stream in slow.streams.items()
        if stream.frames
    }
    assert fast.finish() == wanted
    refused = fast.count(Outcome.DUPLICATE) + fast.count(Outcome.LATE)
    assert refused == slow.refused
    assert fast.count(Outcome.SUPERSEDED) == slow.superseded
    assert fast.count(Outcome.QUARANTINED) == slow.quarantined


@FAST
@given(config=configs(), steps=histories(), cuts=st.sets(st.integers(0, 24)))
def test_batch_boundaries_do_not_matter(config: AlignConfig, steps: list[Step], cuts: set[int]) -> None:
    """Whatever is sent: also every count, and also what a duplicate is."""
    some = run(config, 0, batches(steps, cuts))
    alone = run(config, 0, batches(steps, range(25)))
    assert some.finish() == alone.finish()
    assert some.outcomes.tolist() == alone.outcomes.tolist()
    assert clock_suspect(some.state) == clock_suspect(alone.state)


@FAST
@given(
    config=configs(),
    rows=st.lists(
        st.tuples(
            st.integers(0, 3),
            st.integers(-300, 300) | st.integers(-START // 2, 10**13),
            st.integers(-300, 300),
            st.tuples(value(), value()),
        ),
        min_size=1,
        max_size=30,
    ),
)
def test_every_value_has_one_outcome_or_waits(config: AlignConfig, rows: list[Row]) -> None:
    """Also of nonsense: times of another age, and arrivals that go back."""
    aligner = run(config, 0, [rows])
    sent = sum(not math.isnan(value) for *_, values in rows for value in values)

    def in_frames() -> int:
        return sum(count for frames in aligner.frames().values() for *_, count, _ in frames)

    assert int(aligner.outcomes.sum()) + open_values(aligner.state) + in_frames() == sent
    aligner.finish()
    assert open_values(aligner.state) == 0
    assert int(aligner.outcomes.sum()) + in_frames() == sent


@st.composite
def on_time(draw: DrawFn) -> tuple[AlignConfig, list[Row], list[list[Row]]]:
    """Readings of distinct times, each with the arrival it keeps, and two orders within the allowed lateness.

    A reading is up to `skew` ahead, arrives up to `delay` after its time and is taken up to `shift` later than
    others; the three and a period together stay below the lateness, by time and by the clock. Where ticks close
    early each cell is reported once: the first half of a tick brings the one sensor, the second the other.
    """
    skew, delay, shift = 4, 10, 10
    lateness = 10 + skew + delay + shift
    config = replace(draw(configs()), lateness_ms=lateness, max_ahead_ms=15)
    rows: list[Row] = []
    for time in sorted(draw(st.sets(st.integers(0, 300), min_size=1, max_size=25))):
        both = draw(value()), draw(value())
        if config.one_reading_per_tick:
            if rows and rows[-1][1] // 5 == time // 5:
                continue
            both = (both[0], NAN) if time % 10 < 5 else (NAN, both[1])
        rows.append((draw(st.integers(0, 1)), time, time + draw(st.integers(-skew, delay)), both))
    orders = []
    for _ in range(2):
        taken = {row: row[1] + draw(st.integers(0, shift)) for row in rows}
        orders.append(sorted(rows, key=taken.__getitem__))
    return config, rows, orders


@settings(FAST, max_examples=300)
@given(made=on_time(), cuts=st.sets(st.integers(0, 24)))
def test_any_order_within_the_lateness_gives_the_same_frames(
    made: tuple[AlignConfig, list[Row], list[list[Row]]], cuts: set[int]
) -> None:
    """And loses nothing: nothing is late, and nothing superseded that a later time did not take the cell of."""
    config, rows, orders = made
    straight = run(config, 0, [rows])
    wanted = straight.finish()
    for order in orders:
        other = run(config, 0, batches(order, cuts))
        assert other.finish() == wanted
        assert other.outcomes.tolist() == straight.outcomes.tolist()
        assert other.count(Outcome.LATE) == other.count(Outcome.DUPLICATE) == 0
