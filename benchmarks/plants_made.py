"""Plants that are nothing like the simulator's engine, healthy and with faults, for `benchmarks.plants`.

A plant is a function of random numbers and of how worn it is at each tick, from 0, as new, to 1: wear is a fault
of the process itself, to which several sensors answer. The other faults are put on its sensors afterwards, as
large as is drawn in terms of what the sensor does anyway, so that some of them are hard.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Callable

Float64 = npt.NDArray[np.float64]
Random = np.random.Generator

WARM_UP = 300  # ticks before a run begins, so that it begins in the middle of things
FAULT_TICKS = 60, 181  # how long a fault lasts
QUIET_TICKS = 120  # at least, before a fault and after it


@dataclass(frozen=True, slots=True)
class Plant:
    """A plant, and how much of it is recorded."""

    name: str
    make: Callable[[Random, Float64], Float64]  # random numbers, wear (T,) -> sensors (T, C)
    period_ms: int
    runs: int  # to train on
    ticks: int  # of each
    first: int | None = None  # where assets differ: so many ticks of each judged run train, and `runs` are judged


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong in ticks start to end, the last one included."""

    start: int
    end: int
    kind: str
    sensor: int | None  # None: the process itself


def _lagged(signal: Float64, ticks: float, start: float | None = None) -> Float64:
    """A first-order lag of so many ticks behind a signal (T,)."""
    out, now = np.empty(len(signal)), float(signal[0] if start is None else start)
    for tick, value in enumerate(signal.tolist()):
        now += (value - now) / ticks
        out[tick] = now
    return out


def _wander(random: Random, ticks: int, slowness: float) -> Float64:
    """A stationary first-order autoregressive signal (T,) of deviation 1."""
    keep = 1 - 1 / slowness
    return _lagged(random.normal(size=ticks) * slowness * np.sqrt(1 - keep**2), slowness, random.normal())


def _steps(random: Random, ticks: int, levels: tuple[float, ...], shortest: int, longest: int) -> Float64:
    """Another of these levels every so many ticks (T,)."""
    out = np.empty(0)
    while len(out) < ticks:
        out = np.append(out, np.full(random.integers(shortest, longest), random.choice(levels)))
    return out[:ticks]


def linear(random: Random, wear: Float64) -> Float64:
    """Twelve sensors of four hidden first-order autoregressive signals, with noise that goes together."""
    fixed = np.random.default_rng(1)
    mixing, noises = fixed.normal(size=(4, 12)), fixed.normal(size=(12, 12)) / 4
    hidden = np.stack([_wander(random, len(wear), slow) for slow in (5, 20, 60, 200)], axis=1)
    worn = mixing + wear[:, None, None] * np.eye(4, 12, 2)  # (T, 4, 12) a hidden signal reaches sensors it did not
    exact: Float64 = np.einsum("th,thc->tc", hidden, worn)
    return exact + random.normal(size=(len(wear), 12)) @ noises


def tank(random: Random, wear: Float64) -> Float64:
    """A heated tank whose controller holds a temperature that operators choose; wear loses heat."""
    ticks = len(wear)
    wanted = _steps(random, ticks, (55, 60, 65, 70), 150, 400)
    inflow = 10 + 2 * _wander(random, ticks, 120)
    cold = 12 + _wander(random, ticks, 600)
    rows, temperature, summed = np.empty((ticks, 7)), wanted[0], 40.0
    for tick in range(ticks):
        wrong = wanted[tick] - temperature
        heating = float(np.clip(4 * wrong + summed, 0, 100))
        summed = float(np.clip(summed + 0.05 * wrong, 0, 100))
        loss = 0.08 * (1 + 0.6 * wear[tick]) * (temperature - 20)
        temperature += (0.9 * heating - 0.09 * inflow[tick] * (temperature - cold[tick]) - loss) / 60
        rows[tick] = wanted[tick], temperature, heating, inflow[tick], cold[tick], 0.4 * heating, temperature - 2
    rows[:, 6] = _lagged(rows[:, 6], 40)
    return rows + random.normal(size=rows.shape) * [0, 0.2, 0.8, 0.15, 0.1, 0.5, 0.2]


def rotor(random: Random, wear: Float64) -> Float64:
    """A machine that is switched between two speeds and standing; heat lags behind, wear shakes and heats."""
    ticks = len(wear)
    duty = _steps(random, ticks, (0.0, 0.6, 1.0), 30, 120)
    speed = _lagged(1500 * duty, 6)
    load = 0.5 + 0.15 * _wander(random, ticks, 40)
    torque = 40 * load * (speed / 1500) ** 2
    current = 2 + 0.25 * torque + 1.5 * np.abs(np.diff(speed, prepend=speed[:1])) / 100
    shaking = 0.4 + 3 * (speed / 1500) ** 2 * (1 + 0.7 * wear) * (1 + 0.1 * random.normal(size=ticks))
    bearing = _lagged(25 + 30 * (speed / 1500) * (1 + 0.5 * wear), 150)
    winding = _lagged(25 + 1.2 * current**2, 200)
    flow, pressure = 12 * speed / 1500, 300 * (speed / 1500) ** 2 + 20 * load
    rows = np.stack([speed, torque, current, shaking, bearing, winding, flow, pressure], axis=1)
    return rows + random.normal(size=rows.shape) * [5, 0.4, 0.1, 0.03, 0.3, 0.4, 0.15, 3]


def batch(random: Random, wear: Float64) -> Float64:
    """Fill, heat, hold, cool and empty, over and over, never quite as long; a worn valve leaks."""
    ticks = len(wear)
    # Of each phase: valve, heat, stirrer, cooling.
    phases = ((1, 0, 0, 0), (0, 1, 0, 0), (0, 0.35, 1, 0), (0, 0, 1, 1), (-1, 0, 0, 0.5))
    states, level, warm = np.empty((ticks, 7)), 0.0, 25.0
    plan: list[tuple[float, float, float, float]] = []
    while len(plan) < ticks:
        plan += [each for each in phases for _ in range(int(random.integers(20, 40)))]
    for tick, (valve, heat, stirrer, cooling) in enumerate(plan[:ticks]):
        level = float(np.clip(level + 3.5 * valve - 0.6 * wear[tick] * (level > 0), 0, 90))
        warm += (60 * heat - 35 * cooling - 0.5 * (warm - 25)) / (10 + level / 2)
        flow = 3.5 * valve if 0 < level < 90 else 0.0  # noqa: PLR2004 - full
        states[tick] = level, warm, flow, 100 * heat, stirrer * (50 + level / 3), 100 * cooling, 1 + warm / 40
    return states + random.normal(size=states.shape) * [0.5, 0.4, 0.1, 1, 0.8, 1, 0.02]


def heavy(random: Random, wear: Float64) -> Float64:
    """Ten sensors of three hidden signals, two of which wander for long, in noise with heavy tails."""
    mixing = np.random.default_rng(5).normal(size=(3, 10))
    hidden = np.stack([_wander(random, len(wear), slow) for slow in (15, 300, 900)], axis=1)
    hidden[:, 0] += 1.5 * wear
    return hidden @ mixing + 0.4 * random.standard_t(3, size=(len(wear), 10))


def server(random: Random, wear: Float64) -> Float64:
    """A server with days and nights, read each five minutes, and with jobs at any time; wear leaks memory."""
    ticks = len(wear)
    day = np.clip(np.sin(2 * np.pi * (np.arange(ticks) + random.integers(288)) / 288), -0.3, 1)
    requests = 400 * (1 + 0.8 * day) * np.exp(0.15 * _wander(random, ticks, 12))
    jobs = _steps(random, ticks, (0, 0, 0, 25), 5, 20)
    processor = np.clip(requests / 14 + jobs, 0, 100)
    memory = 30 + _lagged(requests / 40 + jobs / 2, 24) + 12 * wear
    temperature = 30 + _lagged(0.4 * processor, 4)
    fan = 1200 + 25 * np.maximum(temperature - 40, 0)
    network, disc = 0.8 * requests * (1 + 0.05 * random.normal(size=ticks)), 5 + 2.5 * jobs + requests / 100
    latency = 20 / np.clip(1 - processor / 110, 0.05, 1) * np.exp(0.2 * wear + 0.1 * random.normal(size=ticks))
    rows = np.stack([requests, processor, memory, temperature, fan, network, disc, latency], axis=1)
    return rows * (1 + 0.02 * random.normal(size=rows.shape))


def quadratic(random: Random, wear: Float64) -> Float64:
    """Nine sensors that are squares and products of three hidden signals: no two of them correlate."""
    a, b, c = (_wander(random, len(wear), slow) for slow in (10, 30, 80))
    c = c + 0.8 * wear
    exact = np.stack([a, b, a * b, a**2, b * c, c**2, a * c, b**2 - a**2, a + b**2], axis=1)
    return exact + 0.15 * random.normal(size=exact.shape)


def sisters(random: Random, wear: Float64) -> Float64:
    """Fans of one make that differ more from each other than each does from hour to hour."""
    ticks = len(wear)
    offset, gain = random.normal(size=8) * 4, np.exp(0.4 * random.normal(size=8))
    slow, fast = _wander(random, ticks, 100), _wander(random, ticks, 8)
    exact = np.stack(
        [slow, fast, slow + fast, slow - fast, 0.5 * slow + fast**2 / 3, np.abs(slow), np.tanh(fast), 0.7 * slow],
        axis=1,
    )
    exact[:, 5] += 0.7 * wear
    rows: Float64 = offset + gain * exact + 0.25 * random.normal(size=exact.shape)
    return rows


PLANTS = (
    Plant("linear", linear, 1000, 1, 6000),
    Plant("tank", tank, 1000, 4, 2000),
    Plant("rotor", rotor, 1000, 12, 600),
    Plant("batch", batch, 1000, 3, 2000),
    Plant("heavy", heavy, 100, 1, 6000),
    Plant("server", server, 300_000, 6, 1152),
    Plant("quadratic", quadratic, 1000, 12, 500),
    Plant("sisters", sisters, 1000, 16, 1300, first=500),
)


def _offset(random: Random, own: Float64, spread: float) -> Float64:
    return own + float(random.choice([-1, 1])) * random.uniform(0.8, 2) * spread


def _gain(random: Random, own: Float64, spread: float) -> Float64:
    del spread
    larger = float(random.choice([0.4, 0.6, 1.5, 1.8])) - 1
    return own + larger * (own - float(own.mean()))


def _decoupled(random: Random, own: Float64, spread: float) -> Float64:
    del spread
    return np.roll(own[::-1], random.integers(len(own)))


def _drift(random: Random, own: Float64, spread: float) -> Float64:
    return own + float(random.choice([-1, 1])) * random.uniform(1.5, 3) * spread * np.linspace(0, 1, len(own))


def _noise(random: Random, own: Float64, spread: float) -> Float64:
    return own + random.uniform(0.5, 1.2) * spread * random.normal(size=len(own))


def _spikes(random: Random, own: Float64, spread: float) -> Float64:
    where = random.random(len(own)) < 0.1  # noqa: PLR2004 - one in ten
    sign = 2.0 * random.integers(2, size=len(own)) - 1
    return own + where * sign * random.uniform(2, 4) * spread


def _stuck(random: Random, own: Float64, spread: float) -> Float64:
    del random, spread
    return np.full(len(own), own[0])


# kind -> what it makes of a sensor's values while it lasts, given the sensor's usual deviation
ON_SENSORS: dict[str, Callable[[Random, Float64, float], Float64]] = {
    "offset": _offset,
    "gain": _gain,
    "decoupled": _decoupled,
    "drift": _drift,
    "noise": _noise,
    "spikes": _spikes,
    "stuck": _stuck,
}
KINDS = (*ON_SENSORS, "process")


def healthy(plant: Plant, random: Random, ticks: int) -> Float64:
    """A run (T, C) in which nothing is wrong."""
    return plant.make(random, np.zeros(WARM_UP + ticks))[WARM_UP:]


def faulty(
    plant: Plant, random: Random, ticks: int, kinds: list[str], after: int = 0
) -> tuple[Float64, list[Fault]]:
    """A run (T, C) with a fault of each of these kinds, in this order, none before tick `after`."""
    share = (ticks - after) // len(kinds)
    faults = []
    for place, kind in enumerate(kinds):
        length = int(random.integers(*FAULT_TICKS))
        start = after + place * share + int(random.integers(QUIET_TICKS, share - length))
        faults.append(Fault(start, start + length - 1, kind, None))
    wear = np.zeros(WARM_UP + ticks)
    for fault in faults:
        if fault.kind == "process":
            wear[WARM_UP + fault.start : WARM_UP + fault.end + 1] = random.uniform(0.5, 1)
    values = plant.make(random, wear)[WARM_UP:]
    spread = values.std(axis=0)  # (C,)
    named = []
    for fault in faults:
        sensor = None
        if fault.kind != "process":
            sensor = int(random.choice(np.flatnonzero(spread > 0)))
            rows = slice(fault.start, fault.end + 1)
            own, usual = values[rows, sensor], float(spread[sensor])
            values[rows, sensor] = ON_SENSORS[fault.kind](random, own, usual)
        named.append(Fault(fault.start, fault.end, fault.kind, sensor))
    return values, named
