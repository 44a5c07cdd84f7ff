"""Whether what a sensor reports can be a measurement: in range, moving as it does, and there at all.

Pure: time is ticks. A sensor fault is not an engine fault, so it must not reach the model: a value out of range is
masked alone and at once, and so is a spike; a sensor that is faulty otherwise, or suspected of being stuck, is
withheld for as long as that lasts; and when it turns out to have been stuck, what the window holds of it is taken
out as well. What `roughness` says of leaps, spikes and noise is judged here beside the rest.

Ticks in which the asset reports nothing say nothing of any sensor. A sensor is still only in ticks in which most
of the asset's other sensors have moved lately: where all stand still, it is the machine that stands. How lately is
learned from normal data, because values that are polled in turn do not move together. A faulty sensor is good
again after `clear_ticks` in which it reported, in range and not stuck; until then it keeps the fault it was found
with.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from models.remembered import remembered
from monitor import roughness
from monitor.records import Frames, Kind, Masks, SensorChange
from monitor.roughness import Findings, RoughnessConfig
from monitor.ticks import LONG_AGO, NO_TICK, near
from monitor.wording import after
from monitor.wording import sensor as said

if TYPE_CHECKING:
    from monitor.records import Bool, Float32, Int32, Int64, UInt8
    from monitor.roughness import RoughnessState

# F faults, in the order in which one wins where a tick shows two.
FAULTS = (
    Kind.SENSOR_RANGE,
    Kind.SENSOR_STUCK,
    Kind.SENSOR_DROPOUT,
    Kind.SENSOR_NOISE,
    Kind.SENSOR_RATE,
    Kind.SENSOR_SPIKES,
)
RANGE, STUCK, DROPOUT, NOISE, RATE, SPIKES = range(len(FAULTS))
COUNTED = 3  # of them are a matter of how long something lasts
GOOD = np.uint8(255)

# A sensor is suspect before it is stuck, or the model would see it stand still for long enough to call the engine
# faulty: when it has stood for twice as long as it ever did before it moved again. One with noise on it, of which
# the model expects movement, is suspect within these few ticks, or after what the model has seen of it in normal
# data; a coarse one after this share of what is stuck.
SUSPECT_TICKS = 4
SUSPECT_SHARE = 0.5
NEVER = np.int32(2**31 - 1)


@dataclass(frozen=True, slots=True)
class SensorCheckConfig:
    """The asset file explains the limits of each sensor, the settings' section `sensor_check` the rest."""

    sensors: tuple[str, ...]  # C
    units: tuple[str, ...]
    lowest: tuple[float | None, ...]  # a value below is no measurement; None = no bound
    highest: tuple[float | None, ...]
    stuck_ticks: tuple[int | None, ...]  # still for so long is stuck; None = not checked
    range_ticks: int
    dropout_ticks: int
    clear_ticks: int
    period_ms: int
    learned_ticks: tuple[
        int | None, ...
    ] = ()  # C: as stuck_ticks, of the model, where that says nothing; empty: none
    moved_within: int = 1  # ticks within which a sensor that moves has moved
    rough: RoughnessConfig | None = None  # of leaps, spikes, noise and missing readings; None = not checked


@dataclass(slots=True)
class SensorCheckState:
    """S streams."""

    value: Float32  # (S, C) the last one reported, NaN = none yet
    unmoved: Int32  # (S, C) ticks since it moved
    count: Int32  # (S, COUNTED, C) ticks for which it has been out of range, still, missing
    base: Int64  # (S,) the tick that those of `since` and of roughness are counted from (`monitor.ticks`)
    since: Int32  # (S, COUNTED + 1, C) when what is counted began, of the latest; last a fault of another kind
    usual: Int32  # (S, C) ticks for which it was still at the longest without being stuck
    fault: UInt8  # (S, C) the index of the fault it was found with, or GOOD
    good: Int32  # (S, C) ticks for which a faulty sensor has been good

    @classmethod
    def empty(cls, sensors: int, streams: int) -> SensorCheckState:
        """The state of streams that have not closed a tick yet."""
        return cls(
            value=np.full((streams, sensors), np.nan, np.float32),
            unmoved=np.full((streams, sensors), NEVER),
            count=np.zeros((streams, COUNTED, sensors), np.int32),
            base=np.full(streams, NO_TICK),
            since=np.full((streams, COUNTED + 1, sensors), LONG_AGO),
            usual=np.zeros((streams, sensors), np.int32),
            fault=np.full((streams, sensors), GOOD),
            good=np.zeros((streams, sensors), np.int32),
        )


class _Limits(NamedTuple):
    """A description as arrays."""

    lowest: Float32  # (C,)
    highest: Float32  # (C,)
    ticks: Int32  # (COUNTED, C) for so long makes a fault
    suspect: Int32  # (C,) still for so long makes a suspicion at the latest
    soonest: Int32  # (C,) and at the soonest


def push(
    state: SensorCheckState,
    config: SensorCheckConfig,
    frames: Frames,
    resting: Bool | None = None,
    rough: RoughnessState | None = None,
) -> tuple[Masks, list[SensorChange]]:
    """Take in one closed tick per stream; changes `state` and `rough`. Returns what to mask, and what was found.

    `resting` (N,) says which machines are at rest: there a sensor may stand still while others move. None = none.
    Without `rough`, or without limits for it, there are no leaps, spikes and noise.
    """
    limits = _limits(config)
    if np.count_nonzero(frames.gap):
        _restart(state, frames.stream[frames.gap])
    stream, values = frames.stream, frames.values
    noted = () if rough is None else (rough.leapt, rough.outlier, rough.spikes)
    tick = near(state.base, stream, frames.tick, state.since, *noted)  # (N,)
    here = (frames.count > 0)[:, None]  # (N, 1) whether the asset reported anything
    known = ~np.isnan(values)  # (N, C)
    there = known & here  # (N, C)
    outside = (values < limits.lowest) | (values > limits.highest)  # (N, C) nothing missing is
    rests = np.zeros(len(stream), np.bool_) if resting is None else resting

    before = state.value.take(stream, axis=0)  # (N, C)
    changed = there & (values != before)
    missing = here & ~known & ~np.isnan(before)
    state.value[stream] = np.where(changed, values, before)
    fault = state.fault.take(stream, axis=0)  # (N, C)
    unmoved = state.unmoved.take(stream, axis=0)  # (N, C)
    unmoved += here & (unmoved < NEVER)
    unmoved *= ~changed
    state.unmoved[stream] = unmoved
    still = there & ~changed & _others_moved(there & (fault == GOOD), unmoved < config.moved_within)
    still &= ~rests[:, None]
    goes_on = _beside(outside & here, still, missing)  # (N, COUNTED, C)
    ends = _beside(there & ~outside, changed, there)  # (N, COUNTED, C)
    count = state.count.take(stream, axis=0)  # (N, COUNTED, C)
    seen = None
    if rough is not None and config.rough is not None:
        counted = replace(frames, tick=tick)
        seen = roughness.push(rough, config.rough, counted, outside, count[:, RANGE] > 0, rests)
    suspect = _suspect_after(state, limits, stream, changed * count[:, STUCK])  # (N, C)
    count += goes_on
    count *= ~ends
    state.count[stream] = count
    row, which, sensor = (goes_on & (count == 1)).nonzero()
    if len(row):
        state.since[stream[row], which, sensor] = tick[row]

    over = count >= limits.ticks  # (N, COUNTED, C)
    changes = _judge(state, config, frames, rough, fault, over, outside | ~known, seen)
    masks = Masks(
        value=outside | over[:, STUCK] if seen is None else outside | over[:, STUCK] | seen.pending,
        sensor=withheld(fault) | (count[:, STUCK] >= suspect),
        history=still & (count[:, STUCK] == limits.ticks[STUCK]),
        before=np.zeros_like(known) if seen is None else seen.before,
    )
    return masks, changes


def _judge(
    state: SensorCheckState,
    config: SensorCheckConfig,
    frames: Frames,
    rough: RoughnessState | None,
    fault: UInt8,
    over: Bool,
    unfit: Bool,
    seen: Findings | None,
) -> list[SensorChange]:
    """Which sensors turn faulty, and which are good again; changes `state`, `rough` and `fault` (N, C).

    `over` (N, COUNTED, C) is what lasts long enough; `unfit` (N, C) is what is out of range or missing.
    """
    # Of most assets nothing is to be said.
    shown = fault != GOOD  # (N, C)
    shown |= over[:, RANGE] | over[:, STUCK] | over[:, DROPOUT]
    if seen is not None:
        shown |= seen.losing | seen.noisy | seen.leapt | seen.spiking
    if not np.count_nonzero(shown):
        state.good[frames.stream] = 0
        return []
    rows = np.flatnonzero(shown.any(axis=1))
    good = state.good.take(frames.stream[rows], axis=0)
    state.good[frames.stream] = 0
    frames = Frames(*(getattr(frames, name)[rows] for name in Frames.__slots__))
    stream, here = frames.stream, (frames.count > 0)[:, None]
    seen = None if seen is None else Findings(*(each[rows] for each in seen))
    was = fault[rows]  # (n, C)
    found = _found(over[rows], seen)  # (n, F, C)
    fires = found.any(axis=1) & (was == GOOD)
    gives_way = found[:, :RATE].any(axis=1) & ((was == RATE) | (was == SPIKES))
    # Spikes are counted for minutes: what else was wrong with a sensor may be over before.
    wrong = found[:, :SPIKES].any(axis=1) | (found[:, SPIKES] & (was == SPIKES)) | unfit[rows]
    if seen is not None:
        wrong |= seen.pending | (seen.still_noisy & (was == NOISE)) | (seen.still_losing & (was == DROPOUT))
    good = np.where(wrong | (was == GOOD), 0, good + here)  # (n, C)
    state.good[stream] = good
    clears = (was != GOOD) & (good >= config.clear_ticks)
    news = fires | clears | gives_way
    if not news.any():
        return []
    row, sensor = np.nonzero(fires | gives_way)
    was[row, sensor] = found[row, :, sensor].argmax(axis=1)
    _begins(state, rough, frames, was, row, sensor)
    if rough is not None:
        row, sensor = np.nonzero(clears & (was == NOISE))
        roughness.forget_spikes(rough, stream[row], sensor)
    was[clears] = GOOD
    fault[rows] = state.fault[stream] = was
    changes = []
    for place in np.argwhere(news).tolist():
        if gives_way[tuple(place)]:
            changes.append(_passed(config, frames, *place))
        changes.append(_change(state, config, frames, rough, *place))
    return changes


def began(state: SensorCheckState, stream: int, sensor: int) -> int:
    """The tick in which the fault of a sensor began; NO_TICK = unknown."""
    kept = state.since[stream, _place(state.fault[stream, sensor]), sensor]
    return int(NO_TICK if kept == LONG_AGO else state.base[stream] + kept)


def withheld(fault: UInt8) -> Bool:
    """Whether a sensor with this fault is withheld wholly: spikes are left out one by one."""
    wholly: Bool = (fault != GOOD) & (fault != SPIKES)
    return wholly


def _found(lasts: Bool, seen: Findings | None) -> Bool:
    """The faults (N, F, C) that a tick shows, of what lasts long enough (N, COUNTED, C) and of roughness."""
    streams, _, sensors = lasts.shape
    found = np.zeros((streams, len(FAULTS), sensors), np.bool_)
    found[:, :COUNTED] = lasts
    if seen is not None:
        found[:, DROPOUT] |= seen.losing
        found[:, NOISE], found[:, RATE], found[:, SPIKES] = seen.noisy, seen.leapt, seen.spiking
    return found


def _begins(
    state: SensorCheckState,
    rough: RoughnessState | None,
    frames: Frames,
    fault: UInt8,
    row: Int64,
    sensor: Int64,
) -> None:
    """Note since when these sensors have a fault of those that are not counted."""
    stream, which = frames.stream[row], fault[row, sensor]
    place = _place(which)
    begun = np.where(which < COUNTED, state.since[stream, place, sensor], frames.tick[row] - state.base[stream])
    if rough is not None:
        begun = np.where(which == RATE, rough.leapt[stream, sensor], begun)
        begun = np.where(which == SPIKES, rough.spikes[stream, -1, sensor], begun)
    state.since[stream, place, sensor] = begun


def _place(fault: UInt8) -> UInt8:
    """Where in `since` the beginning of these faults stands."""
    return np.minimum(fault, np.uint8(COUNTED))


def _others_moved(telling: Bool, lately: Bool) -> Bool:
    """For every sensor, whether most of the others (N, C) that can be told by have moved lately."""
    moved = telling & lately
    others, moved_others = _counted(telling) - telling, _counted(moved) - moved
    most: Bool = 2 * moved_others > others
    return most


def _counted(shown: Bool) -> Float32:
    """How many sensors (N, 1) show something (N, C)."""
    count: Float32 = shown.astype(np.float32) @ _ones(shown.shape[1])
    return count


@lru_cache(maxsize=256)
def _ones(sensors: int) -> Float32:
    return np.ones((sensors, 1), np.float32)


def _beside(*each: Bool) -> Bool:
    """What is counted (N, COUNTED, C), of three (N, C)."""
    rows, sensors = each[0].shape
    beside = np.empty((rows, len(each), sensors), np.bool_)
    for index, one in enumerate(each):
        beside[:, index] = one
    return beside


def _suspect_after(state: SensorCheckState, limits: _Limits, stream: Int32, was_still: Int32) -> Int32:
    """Learn from stillness that is over (N, C), in ticks; for how long each sensor may now be still (N, C)."""
    was_still = was_still * (was_still < limits.ticks[STUCK])  # what ended well
    usual = np.maximum(state.usual.take(stream, axis=0), was_still)
    state.usual[stream] = usual
    longest: Int32 = np.minimum(np.maximum(2 * usual, limits.soonest), limits.suspect)
    return longest


def _restart(state: SensorCheckState, stream: Int32) -> None:
    """After a gap everything is counted anew; what is faulty stays so until it is seen to be good."""
    state.count[stream] = 0
    state.good[stream] = 0
    state.unmoved[stream] = NEVER


def _change(
    state: SensorCheckState,
    config: SensorCheckConfig,
    frames: Frames,
    rough: RoughnessState | None,
    row: int,
    sensor: int,
) -> SensorChange:
    """What was found of one sensor, in words."""
    stream, tick = int(frames.stream[row]), int(frames.tick[row])
    name = said(config.sensors[sensor], config.units[sensor])
    unit = after(config.units[sensor])
    value = f"{frames.values[row, sensor]:.6g}{unit}"
    fault = int(state.fault[stream, sensor])
    if fault == GOOD:
        return SensorChange(stream, sensor, None, tick, tick, f"{name} {value}: good again")
    since = began(state, stream, sensor)
    seconds = (tick + 1 - since) * config.period_ms / 1000
    if fault == STUCK:
        text = f"{name} stuck at {value} for {seconds:.6g} s"
    elif fault == DROPOUT and state.count[stream, DROPOUT, sensor] >= _limits(config).ticks[DROPOUT, sensor]:
        text = f"{name} has not been reported for {seconds:.6g} s"
    elif fault == RANGE:
        text = f"{name} {value}, {_bounds(config.lowest[sensor], config.highest[sensor])}{unit}"
    else:
        assert rough is not None  # it has found this
        assert config.rough is not None
        words = _in_words(rough, config.rough, config.period_ms, frames, row, sensor, fault, unit, seconds)
        text = f"{name} {words}"
    return SensorChange(stream, sensor, FAULTS[fault], since, tick, text)


def _passed(config: SensorCheckConfig, frames: Frames, row: int, sensor: int) -> SensorChange:
    """The end of a fault that gives way to another."""
    tick = int(frames.tick[row])
    text = f"{said(config.sensors[sensor], config.units[sensor])}: no longer faulty in this way but in another"
    return SensorChange(int(frames.stream[row]), sensor, None, tick, tick, text)


def _in_words(
    rough: RoughnessState,
    config: RoughnessConfig,
    period_ms: int,
    frames: Frames,
    row: int,
    sensor: int,
    fault: int,
    unit: str,
    seconds: float,
) -> str:
    """What `roughness` found of one sensor, `seconds` ago at first, with the bound that it is beyond."""
    stream = int(frames.stream[row])
    horizon = f"{config.horizon * period_ms / 1000:.6g} s"
    if fault == DROPOUT:
        share = float(rough.missing[stream, sensor])
        return f"misses {share:.0%} of its readings over {horizon}; normal is up to {config.missing[sensor]:.0%}"
    if fault == NOISE:
        size = float(rough.rough[stream, sensor]) ** 2
        normal = f"normal is up to {config.noise[sensor]:.3g}{unit}"
        return f"is noisy: values stand out by {size:.3g}{unit} over {horizon}; {normal}"
    if fault == RATE:
        leap = (
            f"leapt from {rough.origin[stream, sensor]:.6g} to {frames.values[row, sensor]:.6g}{unit} and stayed"
        )
        return f"{leap}; normal is up to {config.step[sensor]:.3g}{unit} in {period_ms / 1000:.6g} s"
    normal = f"normal values stand out by up to {config.spike[sensor]:.3g}{unit}"
    return f"has had {roughness.SPIKES} spikes in {seconds:.6g} s; {normal}"


def _bounds(lowest: float | None, highest: float | None) -> str:
    """What a value that is out of range is beyond."""
    if lowest is not None and highest is not None:
        return f"outside {lowest:.6g} to {highest:.6g}"
    return f"above {highest:.6g}" if lowest is None else f"below {lowest:.6g}"


@remembered
def _limits(config: SensorCheckConfig) -> _Limits:
    given = config.stuck_ticks
    if config.learned_ticks:
        given = tuple(own or seen for own, seen in zip(given, config.learned_ticks, strict=True))
    stuck = np.array([NEVER if ticks is None else ticks for ticks in given], np.int32)  # (C,)
    # A model has seen half of what it calls stuck in normal data.
    seen = np.array([ticks or 0 for ticks in config.learned_ticks or (0,) * len(stuck)])
    soonest = np.maximum(np.ceil(seen * SUSPECT_SHARE), SUSPECT_TICKS)
    others = np.full(len(stuck), config.range_ticks), np.full(len(stuck), config.dropout_ticks)
    return _Limits(
        lowest=np.array([-np.inf if bound is None else bound for bound in config.lowest], np.float32),
        highest=np.array([np.inf if bound is None else bound for bound in config.highest], np.float32),
        ticks=np.stack([others[0], stuck, others[1]]).astype(np.int32),
        suspect=np.where(stuck == NEVER, NEVER, np.ceil(stuck * SUSPECT_SHARE)).astype(np.int32),
        soonest=np.where(stuck == NEVER, NEVER, soonest).astype(np.int32),
    )
