"""How a sensor moves from tick to tick: leaps, spikes, noise, and how much is missing in between.

Pure: time is ticks. A value *stands out* by how much it is above both of its neighbours, or below both. The
machine's own movement goes one way for a while, and so hardly stands out, however fast it is.

* A *leap* is a step further than any of normal data. Its value is withheld until it is known what it is: it comes
  back, and was a spike; or it stays away for RATE_TICKS in which nothing stands out. Then the value has changed
  faster than it can, where the asset file says how fast that is; else the model judges it: that nothing changed so
  fast in normal data does not say that nothing can.
* A *spike* is what came back, or a single value that stands out further than normal ones do. The next tick tells.
* *Noise* is that values stand out all the time: the mean of the roots of by how much, over a horizon. A root,
  because many that stand out a little are noise and a few that do by much are not.
* *Missing* is the share of the ticks, over the same horizon, in which the sensor did not report and others did.

What many sensors do at once the machine does: leaps, spikes and noise count where no more than a quarter of them
shows the same. Ticks at rest and ticks without any report say nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from models.remembered import remembered
from monitor.ticks import LONG_AGO

if TYPE_CHECKING:
    import numpy.typing as npt

    from monitor.records import Bool, Float32, Frames, Int32, Int64

    Int8 = npt.NDArray[np.int8]

RATE_TICKS = 4  # away for so long, a value is not coming back; noise hardly runs one way for longer
SPIKES = 3  # within `spike_ticks` are a fault
APART = 4  # ticks; of what stands out sooner after another only the first is counted, or noise would be spikes
# In the mean for noise a value stands out by no more than so many times the limit: 20 spikes a minute at 2 Hz are
# hardly noise then, and noise itself is known within some 15 ticks.
MOST = 16.0
IN_COMPANY = 0.5  # of the limit's root: so rough, others keep a noisy one company
LINGERS = 0.8  # of the limits of noise (its root) and missing: a sensor that was beyond is not good until below
AT_ONCE = 0.25  # share of the sensors; one is always few enough


@dataclass(frozen=True, slots=True)
class RoughnessConfig:
    """Limits of each sensor (C,), of the asset file or learned by the model; None = not checked."""

    step: tuple[float | None, ...]  # in the sensor's unit: from one tick to the next
    spike: tuple[float | None, ...]  # in its unit: by so much a single value may stand out
    noise: tuple[float | None, ...]  # in its unit: and by so much on the average
    missing: tuple[float | None, ...]  # share of the ticks
    stated: tuple[bool, ...] = ()  # whether the asset file gives `step`: only then is a leap that stays a fault
    horizon: int = 30  # ticks that noise and missing are averaged over, by exponential weights
    spike_ticks: int = 600  # ticks within which spikes are counted


@dataclass(slots=True)
class RoughnessState:
    """S streams. Ticks are counted from a base (`monitor.ticks`) that is for those who push to keep."""

    last: Float32  # (S, 2, C) the values of the last tick and the one before, NaN = not reported
    rough: Float32  # (S, C) the mean root of by how much values stood out
    missing: Float32  # (S, C) the share missing, NaN = never reported
    away: Int8  # (S, C) ticks since a leap that is not settled, itself included; 0 = none
    origin: Float32  # (S, C) the value before that leap
    leapt: Int32  # (S, C) its tick
    outlier: Int32  # (S, C) the tick of the latest spike, counted or not
    spikes: Int32  # (S, SPIKES, C) the ticks of the latest that were counted, newest first

    @classmethod
    def empty(cls, sensors: int, streams: int) -> RoughnessState:
        """The state of streams that have not closed a tick yet."""
        return cls(
            last=np.full((streams, 2, sensors), np.nan, np.float32),
            rough=np.zeros((streams, sensors), np.float32),
            missing=np.full((streams, sensors), np.nan, np.float32),
            away=np.zeros((streams, sensors), np.int8),
            origin=np.full((streams, sensors), np.nan, np.float32),
            leapt=np.full((streams, sensors), LONG_AGO),
            outlier=np.full((streams, sensors), LONG_AGO),
            spikes=np.full((streams, SPIKES, sensors), LONG_AGO),
        )


class Findings(NamedTuple):
    """What one round of N ticks says of C sensors; each (N, C)."""

    pending: Bool  # this value leapt, and is not settled
    before: Bool  # the value of the tick before was a spike
    noisy: Bool
    leapt: Bool  # a leap has stayed that the asset file rules out: told once
    spiking: Bool  # spikes are too many
    losing: Bool  # too much is missing
    still_noisy: Bool  # as these two, but by what a fault that was found has to fall below
    still_losing: Bool


class _Limits(NamedTuple):
    step: Float32  # (C,) as all; infinite where not checked
    stated: Bool
    spike: Float32
    noise: Float32
    root: Float32  # of `noise`
    missing: Float32
    most: Float32  # of what stands out, in the mean for noise
    spikes: Bool  # whether they are looked for
    still_root: Float32  # what a fault that was found has to fall below
    still_missing: Float32


def push(
    state: RoughnessState, config: RoughnessConfig, frames: Frames, outside: Bool, was_outside: Bool, rests: Bool
) -> Findings:
    """Take in one closed tick per stream; changes `state`.

    `outside` and `was_outside` (N, C) say which values are out of their range, now and when last reported: those
    are no leaps. `rests` (N,) says which machines are at rest. The ticks of `frames` are counted from the base.
    """
    limits = limits_of(config)
    if np.count_nonzero(frames.gap):
        restart(state, frames.stream[frames.gap])
    stream, says = frames.stream, (frames.count > 0) & ~rests
    here = says[:, None]  # (N, 1)
    values = frames.values  # (N, C)
    if np.count_nonzero(says) < len(says):
        values = np.where(here, values, np.float32(np.nan))
    there = ~np.isnan(values)
    last = state.last.take(stream, axis=0)  # (N, 2, C)
    before, earlier = last[:, 0].copy(), last[:, 1].copy()  # (N, C)
    last[:, 0], last[:, 1] = values, before
    state.last[stream] = last

    missing = state.missing.take(stream, axis=0)
    first = there & np.isnan(missing)
    if np.count_nonzero(first):
        missing[first] = 0
    missing += here * ((~there - missing) / np.float32(config.horizon))
    state.missing[stream] = missing

    with np.errstate(over="ignore", invalid="ignore"):  # values may be of any size
        out, back = before - earlier, values - before  # (N, C)
    far = np.abs(back)
    height = np.minimum(np.abs(out), far)  # NaN where a value is missing
    height = np.where(((out > 0) == (back > 0)) & ~np.isnan(height), np.float32(0), height)
    stands = _few(height > limits.spike)
    rough = state.rough.take(stream, axis=0)
    moved = (np.sqrt(np.minimum(height, limits.most)) - rough) / np.float32(config.horizon)
    rough += np.where(np.isnan(moved), np.float32(0), moved)
    state.rough[stream] = rough
    beyond = rough > limits.root
    noisy = beyond & _few(rough > IN_COMPANY * limits.root) if np.count_nonzero(beyond) else beyond

    steps = (far > limits.step) & ~outside & ~was_outside
    spike, pending, stayed = _follow_leaps(state, limits, frames, values, before, stands, steps, rests)
    if np.count_nonzero(spike):
        _count_spikes(state, frames, spike, beyond)
    last_of_many = state.spikes[stream, -1]  # (N, C)
    return Findings(
        pending=pending,
        before=stands,
        noisy=noisy,
        leapt=stayed & limits.stated,
        spiking=limits.spikes & (frames.tick[:, None] - last_of_many < config.spike_ticks),
        losing=missing > limits.missing,
        still_noisy=rough > limits.still_root,
        still_losing=missing > limits.still_missing,
    )


def _follow_leaps(
    state: RoughnessState,
    limits: _Limits,
    frames: Frames,
    values: Float32,
    before: Float32,
    stands: Bool,
    steps: Bool,
    rests: Bool,
) -> tuple[Bool, Bool, Bool]:
    """Follow values (N, C) that have leapt; changes `state`. Returns what is a spike, is pending, has stayed.

    `stands` says which values before this one stood out, `steps` which are further from it than ever.
    """
    stream = frames.stream
    away = state.away.take(stream, axis=0)
    is_away, spike = away > 0, stands
    if np.count_nonzero(is_away):
        with np.errstate(over="ignore", invalid="ignore"):
            spike = spike | (is_away & (np.abs(values - state.origin.take(stream, axis=0)) <= limits.step))
    leaps = steps & ~spike & ~is_away
    is_away |= leaps
    if not np.count_nonzero(is_away):
        return spike, is_away, is_away
    row, sensor = np.nonzero(leaps)
    state.origin[stream[row], sensor] = before[row, sensor]
    state.leapt[stream[row], sensor] = frames.tick[row]
    away += is_away & ~np.isnan(values)
    away *= ~(spike | rests[:, None])
    pending = _few(away > 0)
    stayed = pending & (away >= RATE_TICKS)
    state.away[stream] = away * (pending & ~stayed)
    return spike, pending, stayed


def _count_spikes(state: RoughnessState, frames: Frames, spike: Bool, beyond: Bool) -> None:
    """Note spikes (N, C); those count that are no noise and not close upon another. Changes `state`."""
    stream, tick = frames.stream, frames.tick
    row, sensor = np.nonzero(spike)
    counts = ~beyond[row, sensor] & (tick[row] - state.outlier[stream[row], sensor] > APART)
    state.outlier[stream[row], sensor] = tick[row]
    row, sensor = row[counts], sensor[counts]
    state.spikes[stream[row], 1:, sensor] = state.spikes[stream[row], :-1, sensor]
    state.spikes[stream[row], 0, sensor] = tick[row]


def forget_spikes(state: RoughnessState, stream: Int32, sensor: Int64) -> None:
    """What stood out of these sensors (K,) was noise, which has been told; changes `state`."""
    state.spikes[stream, :, sensor] = LONG_AGO


def restart(state: RoughnessState, stream: Int32) -> None:
    """After a gap all begins anew; what was reported once can be missed."""
    fresh = RoughnessState.empty(state.rough.shape[1], 1)
    for name in ("last", "rough", "away", "spikes"):
        getattr(state, name)[stream] = getattr(fresh, name)
    state.missing[stream] *= 0


def _few(shown: Bool) -> Bool:
    """Where (N, C) so few sensors of the asset show it that it is theirs and not the machine's."""
    if not np.count_nonzero(shown):
        return shown
    most = max(1, int(AT_ONCE * shown.shape[1]))
    few: Bool = shown & (np.count_nonzero(shown, axis=1, keepdims=True) <= most)
    return few


@remembered
def limits_of(config: RoughnessConfig) -> _Limits:
    """The limits as arrays."""
    step, spike, noise, missing = (
        np.array([np.inf if limit is None else limit for limit in limits], np.float32)
        for limits in (config.step, config.spike, config.noise, config.missing)
    )
    stated = np.array(config.stated or (False,) * len(step))
    root = np.sqrt(noise)
    return _Limits(
        step=step,
        stated=stated,
        spike=spike,
        noise=noise,
        root=root,
        missing=missing,
        most=np.float32(MOST) * noise,
        spikes=np.isfinite(spike),
        still_root=np.float32(LINGERS) * root,
        still_missing=np.float32(LINGERS) * missing,
    )
