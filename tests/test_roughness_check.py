"""Leaps, spikes, noise and missing readings: worked by hand, and against one stream in plain Python."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.roughness import smoothed, standing_out
from monitor import roughness
from monitor.records import Frames, Kind
from monitor.roughness import APART, RATE_TICKS, SPIKES, RoughnessConfig, RoughnessState
from monitor.sensor_check import SensorCheckConfig, SensorCheckState, push
from tests.line_samples import FAST

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.records import Float32, Masks, SensorChange

NAN = math.nan
C = 5  # sensors, of which one alone may be at fault at a time
HEAT = 1
LIMITS = RoughnessConfig(
    step=(10.0,) * C,
    spike=(2.0,) * C,
    noise=(0.5,) * C,
    missing=(0.4,) * C,
    stated=(True,) * C,
    horizon=4,
    spike_ticks=50,
)
RULE = SensorCheckConfig(
    sensors=("speed", "heat", "flow", "load", "oil"),
    units=("rpm", "°C", "", "%", "kPa"),
    lowest=(None,) * C,
    highest=(None, 100.0, None, None, None),
    stuck_ticks=(None,) * C,
    range_ticks=2,
    dropout_ticks=1000,
    clear_ticks=3,
    period_ms=500,
    rough=LIMITS,
)
NOISE, RATE, MANY, DROPOUT = Kind.SENSOR_NOISE, Kind.SENSOR_RATE, Kind.SENSOR_SPIKES, Kind.SENSOR_DROPOUT


def frames(
    tick: int, rows: Sequence[Sequence[float]], stream: Sequence[int] = (0,), *, gap: bool = False
) -> Frames:
    values = np.array(rows, np.float32).reshape(len(rows), C)
    return Frames(
        stream=np.array(stream, np.int32),
        tick=np.full(len(rows), tick, np.int64),
        values=values,
        count=np.count_nonzero(~np.isnan(values), axis=1).astype(np.int32),
        gap=np.full(len(rows), gap),
    )


class One:
    """One asset, of which all but the heat, and what a test gives, move on evenly."""

    def __init__(self, **changes: Any) -> None:
        self.rule = replace(RULE, **changes)
        self.state, self.rough = SensorCheckState.empty(C, 1), RoughnessState.empty(C, 1)
        self.tick = -1
        self.masks: list[Masks] = []
        self.changes: list[SensorChange] = []

    def run(self, *heat: float, gap: bool = False, rests: bool = False, **others: float) -> One:
        """So many ticks; what is given of other sensors is added to them in each."""
        for each in heat:
            self.tick += 1
            row = [float(self.tick)] * C
            row[HEAT] = each
            for name, more in others.items():
                row[RULE.sensors.index(name)] += more
            resting = np.array([rests])
            frame = frames(self.tick, [row], gap=gap)
            masks, changes = push(self.state, self.rule, frame, resting, self.rough)
            self.masks.append(masks)
            self.changes += changes
        return self

    def said(self) -> list[tuple[int, Kind | None, int]]:
        assert {each.sensor for each in self.changes} <= {HEAT}
        return [(each.tick, each.kind, each.since) for each in self.changes]

    def ticks(self, which: str) -> list[int]:
        """The ticks in which the heat was masked in this way."""
        return [tick for tick, masks in enumerate(self.masks) if getattr(masks, which)[0, HEAT]]


def test_a_spike_higher_than_any_step_is_withheld_at_once_and_alone() -> None:
    """What comes back after it is not; nor is one spike a fault."""
    one = One().run(20, 20.1, 60, 20.2, 20.1, 20.2, 20.3, 20.2)
    assert one.ticks("value") == [2]
    assert one.ticks("before") == [3]
    assert one.ticks("sensor") == []
    assert one.said() == []


def test_a_spike_no_higher_than_steps_is_taken_out_when_the_next_tick_tells() -> None:
    """Five above both neighbours is more than the two that normal values are; a step of five is none."""
    one = One().run(20, 20, 25, 20, 20, 25, 25, 25)
    assert one.ticks("before") == [3]
    assert one.ticks("value") == []
    assert one.said() == []


def test_two_values_that_come_back_are_a_spike_too() -> None:
    one = One().run(20, 20, 60, 60, 21, 21, 21, 21)
    assert one.ticks("value") == [2, 3]
    assert one.rough.spikes[0, 0, HEAT] == 4
    assert one.said() == []


def test_a_leap_that_stays_is_a_fault_and_clears_by_itself_at_the_new_level() -> None:
    """Away in ticks 2 to 5 is long enough; good in 6 to 8, it is trusted again."""
    one = One().run(20, 20, 60, 60.5, 61, 61.5, *[62.0] * 8)
    assert one.said() == [(5, RATE, 2), (8, None, 8)]
    assert one.ticks("value") == [2, 3, 4, 5]
    assert one.ticks("sensor") == [5, 6, 7]
    summary = "heat leapt from 20 to 61.5 °C and stayed; normal is up to 10 °C in 0.5 s"
    assert one.changes[0].summary == summary


def test_a_leap_beyond_what_was_learned_is_withheld_until_it_has_stayed_and_is_no_fault() -> None:
    """Nothing in normal data was so fast; the model judges it from tick 6 on."""
    learned = replace(LIMITS, stated=())
    one = One(rough=learned).run(20, 20, 60, 60.5, 61, 61.5, *[62.0] * 8)
    assert one.said() == []
    assert one.ticks("value") == [2, 3, 4, 5]
    assert one.ticks("sensor") == []


def test_a_fast_climb_is_one_fault_for_as_long_as_it_lasts() -> None:
    """Eleven a tick: every tick leaps, and none settles before it ends."""
    one = One(highest=(None,) * C).run(20, 20, *range(31, 140, 11), *[130.0] * 9)
    assert [kind for _, kind, _ in one.said()] == [RATE, None]


def test_three_spikes_are_a_fault_that_withholds_nothing_else() -> None:
    """In ticks 5, 15 and 25, told in 26, when the third has come back; over 50 ticks after the first was told."""
    heat = [25.0 if tick in {5, 15, 25} else 20.0 for tick in range(80)]
    one = One().run(*heat)
    assert one.said() == [(26, MANY, 6), (58, None, 58)]
    assert one.ticks("before") == [6, 16, 26]
    assert one.ticks("sensor") == one.ticks("value") == []
    summary = "heat has had 3 spikes in 10.5 s; normal values stand out by up to 2 °C"
    assert one.changes[0].summary == summary


def test_spikes_that_are_rare_or_in_one_burst_are_no_fault() -> None:
    rare = [25.0 if tick in {5, 35, 65, 95} else 20.0 for tick in range(100)]
    burst = [25.0 if tick in {5, 8, 11} else 20.0 for tick in range(30)]
    assert APART > 2
    for heat in (rare, burst):
        assert One(rough=replace(LIMITS, noise=(None,) * C)).run(*heat).said() == []


def test_noise_is_that_values_stand_out_all_the_time() -> None:
    """Each by 1.8, the root of which is 1.342: a quarter of that, 7/16 and 37/64 = 0.776 > root of 0.5 = 0.707.

    The first can be told at tick 2, so it is the third at 4. Still from 12 on, the last of eleven is told then.
    """
    one = One().run(*(20 + 0.9 * (-1) ** tick for tick in range(12)), *[20.9] * 20)
    assert one.said()[0] == (4, NOISE, 4)
    assert one.ticks("sensor")[0] == 4
    assert one.ticks("value") == one.ticks("before") == []
    summary = "heat is noisy: values stand out by 0.602 °C over 2 s; normal is up to 0.5 °C"
    assert one.changes[0].summary == summary
    # At 12 the mean is 1.342 (1 - 0.75^11) = 1.285; 0.75^3 of that is below 0.707, three ticks of which clear it.
    assert one.said()[1:] == [(17, None, 17)]


def test_noise_about_the_limit_is_told_once() -> None:
    """Roots of 0.7 and 0.8 in turn, of a limit of 0.707 and an end at 0.566, are one incident; quiet ends it."""
    rough = [20 + (0.49 if tick // 20 % 2 else 0.64) / 2 * (-1) ** tick for tick in range(200)]
    one = One().run(*rough, *[20.0] * 20)
    assert [kind for _, kind, _ in one.said()] == [NOISE, None]
    assert one.said()[1][0] >= 200


def test_noise_that_is_over_does_not_wait_for_spikes_to_be_forgotten() -> None:
    """The spikes of ticks 5, 15 and 25 count until 56; of the noise after them only ten ticks are left at 39."""
    spikes = [25.0 if tick in {5, 15, 25} else 20.0 for tick in range(28)]
    one = One().run(*spikes, *(20 + 0.9 * (-1) ** tick for tick in range(11)), *[20.9] * 60)
    assert [kind for _, kind, _ in one.said()] == [MANY, None, NOISE, None]
    assert one.said()[-1][0] < 39 + 10


@pytest.mark.parametrize("seed", range(5))
def test_strong_noise_is_told_as_noise_though_it_leaps_and_stands_out(seed: int) -> None:
    noise = 40 + 10 * np.random.default_rng(seed).standard_normal(100)
    one = One(highest=(None,) * C, rough=replace(LIMITS, horizon=30)).run(*[40.0] * 10, *noise.tolist())
    assert one.said()[-1][1] == NOISE


def test_what_is_missing_is_a_fault_by_its_share() -> None:
    """Every second one: 1/4, 0.39, 0.47, in ticks 3, 5 and 7."""
    one = One().run(20, 20, 20, NAN, 20, NAN, 20, NAN, 20, NAN)
    assert one.said() == [(7, DROPOUT, 7)]
    assert one.changes[0].summary == "heat misses 47% of its readings over 2 s; normal is up to 40%"
    assert One().run(NAN, NAN, NAN, NAN, NAN, 20, 20).said() == []  # never reported before


def test_what_many_sensors_do_at_once_the_machine_does() -> None:
    """Two of five leap together, and one of them later alone."""
    one = One().run(20, 20).run(*[60.0] * 8, speed=40)
    assert one.said() == []
    assert one.ticks("value") == []
    one.run(20.0, speed=40)
    assert one.ticks("value") == [10]
    one = One()
    for tick in range(40):
        one.run(20 + 0.9 * (-1) ** tick, flow=(-1) ** tick)
    assert one.said() == []


def test_out_of_range_is_no_leap_neither_there_nor_back() -> None:
    one = One().run(20, 20, *[120.0] * 5, *[20.0] * 10)
    assert [kind for _, kind, _ in one.said()] == [Kind.SENSOR_RANGE, None]


def test_rest_and_gaps_part_what_was_from_what_comes() -> None:
    assert One().run(20, 20).run(60, gap=True).run(*[60.0] * 8).said() == []
    assert One().run(20, 20).run(60, 60, rests=True).run(*[60.0] * 8).said() == []
    assert One().run(20, 20, 60, 60).run(60, rests=True).run(*[60.0] * 8).said() == []


def test_a_lasting_fault_takes_the_place_of_spikes() -> None:
    heat = [25.0 if tick in {5, 15, 25} else 20.0 for tick in range(30)]
    one = One().run(*heat, 120, 121, 122)
    assert one.said() == [(26, MANY, 6), (31, None, 31), (31, Kind.SENSOR_RANGE, 30)]
    assert one.changes[1].summary == "heat: no longer faulty in this way but in another"


def test_without_limits_nothing_is_checked() -> None:
    nothing = (None,) * C
    rules = (None, replace(LIMITS, step=nothing, spike=nothing, noise=nothing, missing=nothing))
    for rule in rules:
        one = One(rough=rule, highest=(None,) * C).run(20, 20, 60, 20, NAN, 20, 90, 20, 20, 99, 20, 500, 500, 500)
        assert one.said() == []
        assert not any(mask.before.any() or mask.value.any() for mask in one.masks)


def test_noise_and_missing_are_averaged_as_training_does() -> None:
    """A third of the values is missing: the daemon's mean after each tick is that of `models.roughness`."""
    random = np.random.default_rng(1)
    rows = random.normal(size=(600, C)).astype(np.float32)
    rows[random.random(rows.shape) < 0.3] = np.nan
    rows[0] = 0  # all have reported
    rows[:, 0] = random.normal(size=600)  # and the asset does in every tick
    free = replace(LIMITS, step=(None,) * C, spike=(None,) * C, noise=(None,) * C, horizon=30)
    state = RoughnessState.empty(C, 1)
    nowhere, never = np.zeros((1, C), np.bool_), np.zeros(1, np.bool_)
    rough, missing = [], []
    for tick, row in enumerate(rows):
        roughness.push(state, free, frames(tick, [row.tolist()]), nowhere, nowhere, never)
        rough.append(state.rough[0].copy())
        missing.append(state.missing[0].copy())
    assert np.array(rough[2:]) == pytest.approx(smoothed(np.sqrt(standing_out(rows))), rel=1e-4)
    assert np.array(missing) == pytest.approx(smoothed(np.isnan(rows).astype(float)), rel=1e-4, abs=1e-6)


class SlowSensor:
    """One sensor of one stream without rest or gaps, in the words of the room's page, all others being quiet."""

    def __init__(self) -> None:
        self.values: list[float] = []
        self.rough = 0.0
        self.away: list[int] = []  # the ticks of a leap that is not settled
        self.origin = NAN
        self.outliers: list[int] = []
        self.counted: list[int] = []

    def take(self, value: float) -> dict[str, bool]:
        self.values.append(value)
        tick = len(self.values) - 1
        earlier, before = ([NAN, NAN, *self.values])[-3:-1]
        height = NAN
        if not any(map(math.isnan, (earlier, before, value))):
            out, back = before - earlier, before - value
            height = min(abs(out), abs(back)) if (out > 0) == (back > 0) and out and back else 0.0
            self.rough += (
                math.sqrt(min(height, 16 * 0.6)) - self.rough
            ) / 5  # sixteen times the limit at the most
        stands = height > 2
        comes_back = bool(self.away) and abs(value - self.origin) <= 10
        if stands or comes_back:
            self.away = []
            if self.rough**2 <= 0.6 and (not self.outliers or tick - self.outliers[-1] > APART):
                self.counted.append(tick)
            self.outliers.append(tick)
        elif self.away:
            self.away += [] if math.isnan(value) else [tick]
        elif abs(value - before) > 10:
            self.away, self.origin = [tick], before
        pending, leapt = bool(self.away), len(self.away) >= RATE_TICKS
        if leapt:
            self.away = []
        return {
            "pending": pending,
            "before": stands,
            "noisy": self.rough**2 > 0.6,
            "leapt": leapt,
            "spiking": len(self.counted) >= SPIKES and tick - self.counted[-SPIKES] < 50,
        }


VALUE = st.sampled_from([20.0, 20.0, 20.0, 21.0, 21.0, 24.0, 60.0, 60.0, NAN])


@FAST
@given(
    heats=st.lists(st.lists(VALUE, min_size=40, max_size=40), min_size=1, max_size=3),
    together=st.lists(st.booleans(), min_size=40, max_size=40),
)
def test_streams_together_are_the_same_as_each_alone_in_plain_python(
    heats: list[list[float]], together: list[bool]
) -> None:
    state = RoughnessState.empty(C, len(heats))
    limits = replace(LIMITS, noise=(0.6,) * C, horizon=5)
    slow = [SlowSensor() for _ in heats]
    everyone = list(range(len(heats)))
    for tick in range(40):
        for part in [everyone] if together[tick] else [[stream] for stream in everyone]:
            rows: Float32 = np.full((len(part), C), tick, np.float32)
            rows[:, HEAT] = [heats[stream][tick] for stream in part]
            nowhere = np.zeros(rows.shape, np.bool_)
            never = np.zeros(len(part), np.bool_)
            found = roughness.push(state, limits, frames(tick, rows.tolist(), part), nowhere, nowhere, never)
            for row, stream in enumerate(part):
                wanted = slow[stream].take(heats[stream][tick])
                assert {name: bool(getattr(found, name)[row, HEAT]) for name in wanted} == wanted
