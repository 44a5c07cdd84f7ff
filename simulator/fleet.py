"""A fleet of simulated engines: duty, faults, physics and sensors put together, block after block. Pure.

The same arguments give the same bytes, whatever the sizes of the blocks. Each engine draws from random numbers of
its own, one sequence a purpose, so that neither another engine nor another engine's fault changes its readings.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from simulator.duty import DUTIES, Duty
from simulator.engine import DRAWS, advance, cold_state, warm_state
from simulator.faults import SensorFaults, effects, mistake, truth_record
from simulator.parameters import draw_parameters
from simulator.records import SENSORS, Block
from simulator.sensors import Sensors, quantise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.records import Float64
    from simulator.engine import EngineState
    from simulator.faults import Fault

PURPOSES = ("duty", "parameters", "running", "calibration", "noise")  # what random numbers are drawn for
PREROLL_MS = 600_000  # simulated before a warm start's beginning: coolant and oil settle in a few minutes
PREROLL_BLOCK = 200  # ticks
STARTS = ("warm", "cold")


def asset_names(engines: int) -> tuple[str, ...]:
    """The names of a fleet's engines.

    >>> asset_names(2)
    ('engine-01', 'engine-02')
    """
    width = max(2, len(str(engines)))
    return tuple(f"engine-{number:0{width}d}" for number in range(1, engines + 1))


class Fleet:
    """N engines, simulated block after block."""

    def __init__(
        self,
        engines: int,
        *,
        seed: int = 0,
        duty: str = "mixed",
        faults: Sequence[Fault] = (),
        period_ms: int = 500,
        start: str = "warm",
        stops: float = 0.0,
        ambient: float | None = None,
        altitude: float | None = None,
        parameters_seed: int | None = None,
        spread: float = 1.0,
    ) -> None:
        """`parameters_seed` draws the engines themselves where they are not to follow `seed`.

        Raises ValueError for a fault, a duty or a start that cannot be.
        """
        wrong = [mistake(fault) for fault in faults if mistake(fault)]
        if wrong or duty not in DUTIES or start not in STARTS:
            raise ValueError(wrong[0] if wrong else f"duty {duty!r} or start {start!r} is not known")
        self.assets = asset_names(engines)
        self._faults = tuple(faults)
        self._seed = seed
        self._period_ms = period_ms
        body = seed if parameters_seed is None else parameters_seed
        self._running_random = _generators(seed, "running", engines)
        self._noise_random = _generators(seed, "noise", engines)
        self._parameters = draw_parameters(_generators(body, "parameters", engines), spread=spread)
        self._sensors = Sensors.draw(_generators(body, "calibration", engines), period_s=period_ms / 1000)
        self._sensor_faults = SensorFaults(faults, seed, period_ms)
        self._duty = Duty.draw(
            duty,
            _generators(seed, "duty", engines),
            period_s=period_ms / 1000,
            stops=stops,
            ambient=ambient,
            altitude=altitude,
        )
        self._state: EngineState | None = None  # a cold one needs to know the weather of the first tick
        self._tick = 0  # the next one
        if start == "warm":
            self._state = warm_state(engines, self._parameters)
            self._tick = -(PREROLL_MS // period_ms)
            while self._tick < 0:
                self.block(min(PREROLL_BLOCK, -self._tick))

    def block(self, ticks: int) -> Block:
        """The next ticks."""
        engines = len(self.assets)
        time = np.arange(self._tick, self._tick + ticks, dtype=np.int64) * self._period_ms  # (T,)
        demand = self._duty.block(ticks)
        if self._state is None:
            self._state = cold_state(engines, demand.ambient_temperature[0])
        truth = advance(
            self._state,
            self._parameters,
            demand,
            effects(self._faults, time, engines, self._seed),
            self._period_ms / 1000,
            _normal(self._running_random, ticks, DRAWS),
        )
        signal = self._sensors.signal(truth, _normal(self._noise_random, ticks, len(SENSORS)))
        self._sensor_faults.apply(signal, time)
        self._tick += ticks
        return Block(time, quantise(signal), demand.running)

    @property
    def time(self) -> int:
        """The next tick in ms since the beginning: what happens from now on begins there at the earliest."""
        return self._tick * self._period_ms

    def inject(self, fault: Fault) -> None:
        """One more fault, from `time` on or later. Raises ValueError for one that cannot be."""
        wrong = mistake(fault)
        if not wrong and fault.start_ms < self.time:
            wrong = "it begins in the past"
        at = fault.start_ms
        if not wrong and any(
            each.part == fault.part and each.start_ms <= at < each.end_ms for each in self._faults
        ):
            wrong = f"{self.assets[fault.engine]} has a fault of the same part already"
        if wrong:
            raise ValueError(wrong)
        self._faults += (fault,)
        self._sensor_faults.add(fault)

    def mend(self, fault: Fault) -> Fault:
        """End one of the fleet's faults now, and return it as it then was. Raises ValueError where it is none."""
        if fault not in self._faults or not fault.start_ms <= self.time < fault.end_ms:
            raise ValueError("it has no such fault just now")
        ended = replace(fault, duration_ms=max(self.time - fault.start_ms, 1))
        self._faults = tuple(ended if each == fault else each for each in self._faults)
        self._sensor_faults.end(fault, ended)
        return ended

    def truth(self, beginning: int = 0) -> list[dict[str, Any]]:
        """What really is wrong when, in the order of time; `beginning` is that of the fleet in epoch ms."""
        ordered = sorted(self._faults, key=lambda fault: (fault.start_ms, fault.engine))
        return [truth_record(fault, self.assets[fault.engine], beginning) for fault in ordered]


def _generators(seed: int, purpose: str, engines: int) -> list[np.random.Generator]:
    """Random numbers for one purpose, each engine its own."""
    number = PURPOSES.index(purpose)
    keys = ((number, engine) for engine in range(engines))
    return [np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key)) for key in keys]


def _normal(generators: Sequence[np.random.Generator], ticks: int, columns: int) -> Float64:
    """Standard normal numbers (T, N, columns), drawn tick by tick: blocks of any size hold the same."""
    return np.stack([generator.standard_normal((ticks, columns)) for generator in generators], axis=1)
