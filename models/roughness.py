"""How far sensors leap, stand out and miss from tick to tick in normal data [pure].

A value stands out by how much it is above both of its neighbours, or below both. `monitor/roughness.py` has the
rules that these limits are for, and the same words.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

HORIZON = 30  # ticks that noise and missing are averaged over, by exponential weights
SPIKE_TICKS = 600  # ticks within which spikes are counted
SPIKES = 3  # so many in them are a fault
STEP_MARGIN = 2.0  # times the furthest step of normal data is a leap
MARGIN = 1.5  # times what stands out most in normal data, once or on the average
# Polled values are held, and never stand out in normal data; so limits are never below what is usual anyway.
USUAL_STEP = 0.999  # quantile of steps; no spike is smaller
NOISE_SHARE = 1 / 30  # of the usual step; no noise is smaller
RESOLUTIONS = 2  # of the smallest step; no spike is smaller. One is no noise
MORE_MISSING = 0.3  # more than the largest share of normal data, where that leaves room
LEAST_STEPS = 1000  # between neighbouring ticks, or values; with fewer a sensor has no limits
CHUNK = 256  # ticks smoothed at once


@dataclass(frozen=True, slots=True)
class Roughness:
    """Limits for the sensor check, of each sensor (C,); None = not checked."""

    horizon: int  # ticks
    spike_ticks: int
    step: tuple[float | None, ...]  # in the sensor's unit: from one tick to the next
    spike: tuple[float | None, ...]  # in its unit: by so much a value may stand out
    noise: tuple[float | None, ...]  # in its unit: and by so much on the average, of roots
    missing: tuple[float | None, ...]  # share of the ticks


def learn_roughness(stretches: list[Float32]) -> Roughness:
    """The limits by stretches of normal rows (N, C), a tick each without a break, NaN = missing.

    A spike is what no three values in `SPIKE_TICKS` come near. A sensor that never moved is checked for missing
    readings only.
    """
    steps = [np.abs(np.diff(rows, axis=0)) for rows in stretches]
    heights = [standing_out(rows) for rows in stretches]
    known = _known(steps)
    furthest = _most(steps)
    usual = np.array([_quantile([each[:, sensor] for each in steps]) for sensor in range(len(known))])
    finest = np.min([_least(each) for each in steps], axis=0)
    often = _most([_third_largest(each) for each in heights])
    rough = _most([smoothed(np.sqrt(each)) for each in heights]) ** 2
    missing = _most([smoothed(_missing(rows)) for rows in stretches])
    moves = (known >= LEAST_STEPS) & (furthest > 0)  # (C,)
    share = missing + MORE_MISSING
    return Roughness(
        HORIZON,
        SPIKE_TICKS,
        step=_limits(STEP_MARGIN * furthest, moves),
        spike=_limits(np.maximum.reduce([MARGIN * often, usual, RESOLUTIONS * finest]), moves),
        noise=_limits(np.maximum.reduce([MARGIN * rough, NOISE_SHARE * usual, finest]), moves),
        missing=_limits(share, (share < 1) & (_known(stretches) >= LEAST_STEPS)),
    )


def standing_out(rows: Float32) -> Float32:
    """By how much values (N, C) stand out from both neighbours, of all but the first and the last (N - 2, C)."""
    step = np.diff(rows, axis=0)  # (N - 1, C)
    out, back = step[:-1], step[1:]  # (N - 2, C)
    height: Float32 = np.where((out > 0) == (back > 0), 0, np.minimum(np.abs(out), np.abs(back)))
    return np.where(np.isnan(out) | np.isnan(back), np.float32(np.nan), height)


def smoothed(values: npt.NDArray[np.floating]) -> Float64:
    """The exponential mean (N, C) over `HORIZON` of values (N, C), from 0 on; NaN leaves it as it is."""
    known = ~np.isnan(values)
    keep = np.where(known, 1 - 1 / HORIZON, 1.0)
    gain = np.where(known, values, 0.0) / HORIZON
    mean = np.zeros_like(gain)
    last = np.zeros(gain.shape[1])
    for start in range(0, len(gain), CHUNK):
        part = slice(start, start + CHUNK)
        decay = np.cumprod(keep[part], axis=0)
        mean[part] = decay * (last + np.cumsum(gain[part] / decay, axis=0))
        last = mean[part][-1]
    return mean


def _known(parts: list[Float32]) -> npt.NDArray[np.int_]:
    """How many values (C,) are there in all parts (N, C)."""
    known: npt.NDArray[np.int_] = np.sum([np.count_nonzero(~np.isnan(each), axis=0) for each in parts], axis=0)
    return known


def _missing(rows: Float32) -> Float64:
    """1 where a sensor is missing, 0 where it is there, NaN where all are missing or it never was there (N, C)."""
    there = ~np.isnan(rows)
    says = there.any(axis=1, keepdims=True) & np.logical_or.accumulate(there, axis=0)
    return np.where(says, np.where(there, 0.0, 1.0), np.nan)


def _third_largest(heights: Float32) -> Float32:
    """The largest value (1, C) that so many reach within `SPIKE_TICKS`, by blocks that overlap by half; (N, C)."""
    filled = np.nan_to_num(heights)
    if len(filled) < SPIKES:
        return filled.max(axis=0, keepdims=True) if len(filled) else filled
    starts = range(0, max(1, len(filled) - SPIKE_TICKS // 2), SPIKE_TICKS // 2)
    blocks = (filled[start : start + SPIKE_TICKS] for start in starts)
    third: Float32 = np.max([np.partition(block, -SPIKES, axis=0)[-SPIKES] for block in blocks], axis=0)[None]
    return third


def _most(parts: list[npt.NDArray[np.floating]]) -> Float64:
    """The largest value (C,) of all parts (N, C); 0 where there is none."""
    most: Float64 = np.max([np.nan_to_num(each).max(axis=0, initial=0) for each in parts], axis=0)
    return most


def _least(steps: Float32) -> Float64:
    """The smallest step (C,) that is one, of all (N, C); infinite where there is none."""
    least: Float64 = np.where(steps > 0, steps, np.inf).min(axis=0, initial=np.inf).astype(np.float64)
    return least


def _quantile(parts: list[Float32]) -> float:
    """The usual step by all parts (N,); 0 where there is none."""
    every = np.concatenate(parts)
    every = every[~np.isnan(every)]
    return float(np.quantile(every, USUAL_STEP)) if len(every) else 0.0


def _limits(values: Float64, given: npt.NDArray[np.bool_]) -> tuple[float | None, ...]:
    """As numbers that can be read; None where there is no limit."""
    return tuple(
        float(f"{value:.4g}") if is_one and value > 0 else None
        for value, is_one in zip(values.tolist(), given.tolist(), strict=True)
    )
