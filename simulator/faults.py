"""Faults in time: from a list of them to what is wrong with the engines, and with what their sensors say. Pure.

A fault's effect at a time is healthy + profile x (severity - healthy); the profile is 0 outside the fault, 1 at
its full severity, and between them while it grows. What a fault draws at random comes from the fleet's seed and
the fault itself, so that neither other faults nor the sizes of the blocks change it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from simulator.fault_kinds import ENGINE_FAULTS, FAULTS, SENSOR_FAULTS, SPIKE_SPAN, WORKING_SPAN, FaultKind
from simulator.records import SENSORS, Effects

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.records import Bool, Float64, Int64

__all__ = ["ENGINE_FAULTS", "FAULTS", "SENSOR_FAULTS", "Fault", "FaultKind", "SensorFaults", "effects", "profile"]

EPISODE_SLOT_MS = 60_000  # an intermittent fault comes once in each
EPISODE_MS = (15_000, 45_000)  # shortest and longest episode
REGULATING = 0.3  # opening at which a working thermostat mostly is, where a stuck one sets out from


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of one engine. Times are ms since the fleet's beginning."""

    engine: int  # index
    kind: str
    severity: float | str = "moderate"  # a level's name, or a number of the kind's unit
    start_ms: int = 0
    duration_ms: int | None = None  # None: until the end
    onset: str = "sudden"
    sensor: str = ""
    ramp_ms: int = 0  # how long a ramped one takes to its full severity

    @property
    def amount(self) -> float:
        """The severity in the kind's unit."""
        return FAULTS[self.kind].severities[self.severity] if isinstance(self.severity, str) else self.severity

    @property
    def end_ms(self) -> float:
        """When it is mended; infinite where never."""
        return math.inf if self.duration_ms is None else self.start_ms + self.duration_ms

    @property
    def part(self) -> tuple[int, str, str]:
        """What can have only one such fault at a time: a part of an engine, or a sensor and the kind."""
        kind = FAULTS[self.kind]
        return (self.engine, kind.effect or kind.name, self.sensor)

    def overlaps(self, other: Fault) -> bool:
        """Whether both act on the same part at the same time."""
        return self.part == other.part and self.start_ms < other.end_ms and other.start_ms < self.end_ms


def mistake(fault: Fault) -> str:
    """What is wrong with a fault, and the remedy, in one sentence; empty where nothing is.

    Names are taken as known: whoever reads them from a user can say which one was meant.
    """
    kind = FAULTS[fault.kind]
    if kind.on_sensor and not fault.sensor:
        return f"{kind.name} is a fault of a sensor: say which one"
    if fault.sensor and not kind.on_sensor:
        return f"{kind.name} is a fault of the engine: leave out the sensor {fault.sensor}"
    if not kind.lowest <= fault.amount <= kind.highest:
        return (
            f"a severity of {fault.amount:g} cannot be: {kind.name} takes {kind.lowest:g} to {kind.highest:g} "
            f"({kind.unit}), or {', '.join(kind.severities)}"
        )
    if fault.start_ms < 0:
        return "it begins before the beginning: the earliest start is 0s"
    if fault.duration_ms is not None and fault.duration_ms <= 0:
        return "it lasts no time: give a positive duration, or none for the rest of the run"
    if fault.onset not in kind.onsets:
        return f"{kind.name} cannot be {fault.onset}, only {' or '.join(kind.onsets)}"
    if (fault.onset == "ramped") != (fault.ramp_ms > 0):
        return "a ramped fault takes a positive time to grow, and no other does"
    if kind.name == "decoupled" and fault.start_ms < 1000 * fault.amount:
        return f"it follows what was {fault.amount:g} s before: begin at {fault.amount:g}s or later"
    return ""


def profile(fault: Fault, time: Int64, seed: int) -> Float64:
    """How far a fault has grown at each time (T,): 0 not at all, 1 to its full severity."""
    active = (time >= fault.start_ms) & (time < fault.end_ms)  # (T,)
    if fault.onset == "ramped":
        return np.where(active, np.clip((time - fault.start_ms) / fault.ramp_ms, 0.0, 1.0), 0.0)
    if fault.onset == "intermittent":
        return np.where(active, _episodes(fault, time, seed), 0.0)
    return active.astype(np.float64)


def effects(faults: Sequence[Fault], time: Int64, engines: int, seed: int) -> Effects:
    """What is wrong with the engines at each time, (T, N) each. Sensor faults are passed over."""
    made = Effects.healthy(len(time), engines)
    for fault in faults:
        kind = FAULTS[fault.kind]
        if kind.on_sensor or not _touches(fault, time):
            continue
        grown = profile(fault, time, seed)  # (T,)
        column: Float64 = getattr(made, kind.effect)[:, fault.engine]  # (T,), a view
        full = kind.base + kind.slope * fault.amount
        if kind.effect == "thermostat_opening":  # NaN while it works
            column[grown > 0] = (REGULATING + grown * (full - REGULATING))[grown > 0]
        else:
            column += grown * (full - column)
    return made


class SensorFaults:
    """Changes what the sensors of a fleet say. It has to see every block, in order."""

    def __init__(self, faults: Sequence[Fault], seed: int, period_ms: int) -> None:
        """`seed` is the fleet's."""
        self._seed = seed
        self._period_ms = period_ms
        self._acting: list[_Acting] = []
        for fault in sorted(faults, key=lambda each: each.start_ms):
            self.add(fault)

    def add(self, fault: Fault) -> None:
        """One more, which begins behind all of those that there are; a fault of the engine is passed over."""
        if FAULTS[fault.kind].on_sensor:
            self._acting.append(_Acting(fault, self._seed, self._period_ms))

    def end(self, fault: Fault, ended: Fault) -> None:
        """A fault ends as `ended` says."""
        for acting in self._acting:
            if acting.fault == fault:
                acting.fault = ended

    def apply(self, signal: Float64, time: Int64) -> None:
        """Change a signal (T, N, C) in place; NaN is a missing reading."""
        for acting in self._acting:
            fault = acting.fault
            column: Float64 = signal[:, fault.engine, acting.sensor]  # (T,), a view
            acting.remember(column)
            if _touches(fault, time):
                grown = profile(fault, time, self._seed)  # (T,)
                faulty = acting.faulty(column, time, grown)  # (T,)
                column[...] = np.where(grown > 0, column + grown * (faulty - column), column)


class _Acting:
    """A sensor fault at work, with what it has to remember from block to block."""

    def __init__(self, fault: Fault, seed: int, period_ms: int) -> None:
        self.fault = fault
        self.sensor = list(SENSORS).index(fault.sensor)
        self._period_ms = period_ms
        self._span = WORKING_SPAN[fault.sensor]
        self._random = _generator(fault, seed)
        self._held = math.nan
        self._held_before = False  # whether the tick before was in an episode
        delay = round(1000 * fault.amount / period_ms) if fault.kind == "decoupled" else 0
        self._past: Float64 = np.full(delay, np.nan)  # the ticks before this block
        self._delayed: Float64 = self._past  # (T,)

    def remember(self, column: Float64) -> None:
        """Take note of the healthy signal (T,), also before the fault begins."""
        if self.fault.kind == "decoupled":
            known = np.concatenate([self._past, column])
            self._delayed = known[: len(column)]
            self._past = known[len(column) :]

    def faulty(self, column: Float64, time: Int64, grown: Float64) -> Float64:
        """The signal (T,) at full severity; `grown` is the profile. Only the fault's own ticks draw at random."""
        amount, span = self.fault.amount, self._span
        active = np.flatnonzero((time >= self.fault.start_ms) & (time < self.fault.end_ms))
        match self.fault.kind:
            case "stuck":
                return self._stuck(column, time, grown > 0)
            case "offset":
                return column + amount * span
            case "drift":
                hours = (time - self.fault.start_ms) / 3_600_000
                return column + np.clip(amount * hours, -1.0, 1.0) * span
            case "gain":
                return column * (1.0 + amount)
            case "decoupled":
                return np.where(np.isnan(self._delayed), column, self._delayed)
            case "noise":
                change = np.zeros(len(column))
                change[active] = amount * span * self._random.standard_normal(len(active))
                return column + change
            case "spikes":
                half = amount * self._period_ms / 60_000 / 2  # probability of each of the two directions
                drawn = self._random.random(len(active))
                change = np.zeros(len(column))
                change[active] = SPIKE_SPAN * span * (1.0 * (drawn < half) - (drawn > 1.0 - half))
                return column + change
            case _:  # dropout
                lost = np.zeros(len(column), bool)
                lost[active] = self._random.random(len(active)) < amount * grown[active]
                return np.where(lost, np.nan, column)

    def _stuck(self, column: Float64, time: Int64, on: Bool) -> Float64:
        """The value of the latest refresh: when an episode begins, and when one was held for long enough."""
        hold = max(1, round(1000 * self.fault.amount / self._period_ms))  # ticks
        first = -(-self.fault.start_ms // self._period_ms)
        before = np.concatenate([[self._held_before], on[:-1]])
        refresh = on & (~before | ((time // self._period_ms - first) % hold == 0))
        latest = np.maximum.accumulate(np.where(refresh, np.arange(len(column)), -1))
        held = np.where(latest >= 0, column[latest], self._held)
        self._held, self._held_before = float(held[-1]), bool(on[-1])
        return held


def _touches(fault: Fault, time: Int64) -> bool:
    return len(time) > 0 and bool(fault.start_ms <= time[-1]) and bool(time[0] < fault.end_ms)


def _generator(fault: Fault, seed: int, *more: int) -> np.random.Generator:
    """Random numbers of this fault alone."""
    sensor = list(SENSORS).index(fault.sensor) + 1 if fault.sensor else 0
    key = (fault.engine, list(FAULTS).index(fault.kind), sensor, fault.start_ms, *more)
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def _episodes(fault: Fault, time: Int64, seed: int) -> Float64:
    """1 in the episodes of an intermittent fault, else 0; (T,). The first begins with the fault."""
    since = time - fault.start_ms
    on = np.zeros(len(time))
    for slot in range(max(0, int(since[0]) // EPISODE_SLOT_MS), int(since[-1]) // EPISODE_SLOT_MS + 1):
        random = _generator(fault, seed, slot)
        length = random.integers(*EPISODE_MS, endpoint=True)
        wait = random.integers(0, EPISODE_SLOT_MS - length, endpoint=True) if slot else 0
        begin = slot * EPISODE_SLOT_MS + wait
        on[(since >= begin) & (since < begin + length)] = 1.0
    return on


def truth_record(fault: Fault, asset: str, beginning: int) -> dict[str, Any]:
    """A fault as the ground truth tells it; `start` and `end` are epoch ms, `end` None where it stays."""
    return {
        "asset": asset,
        "kind": fault.kind,
        "sensor": fault.sensor or None,
        "severity": {
            "name": fault.severity if isinstance(fault.severity, str) else None,
            "value": fault.amount,
            "unit": FAULTS[fault.kind].unit,
        },
        "start": beginning + fault.start_ms,
        "end": None if fault.duration_ms is None else beginning + fault.start_ms + fault.duration_ms,
        "onset": fault.onset,
    }
