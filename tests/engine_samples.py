"""Engines for the tests: demands by hand, and runs that are asked by a sensor's name."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING

import numpy as np

from simulator.duty import Duty
from simulator.engine import DRAWS, advance, warm_state
from simulator.parameters import Parameters, draw_parameters
from simulator.records import SENSORS, Demand, Effects

if TYPE_CHECKING:
    from monitor.records import Float64
    from simulator.engine import EngineState

NAMES = list(SENSORS)
MINUTES = 120  # ticks of half a second


def alike(engines: int, *, spread: float = 0.0) -> Parameters:
    return draw_parameters([np.random.default_rng([9, engine]) for engine in range(engines)], spread=spread)


def asked(
    ticks: int,
    engines: int = 1,
    *,
    running: bool = True,
    speed: float | list[float] = 0.0,
    power: float | list[float] = 0.0,
    ambient: float | list[float] = 20.0,
    pressure: float = 101.325,
) -> Demand:
    """The same demand all the time; a list has a value for each engine."""
    columns = (running, speed, power, ambient, pressure)
    return Demand(*(np.broadcast_to(np.array(column), (ticks, engines)).copy() for column in columns))


def joined(*parts: Demand) -> Demand:
    return Demand(*(np.concatenate([getattr(p, each.name) for p in parts]) for each in fields(Demand)))


def driven(kind: str, ticks: int, engines: int, seed: int = 4) -> Demand:
    generators = [np.random.default_rng([seed, engine]) for engine in range(engines)]
    return Duty.draw(kind, generators, period_s=0.5).block(ticks)


class Run:
    """The true values of a simulation by name, (T, N) each; without noise unless a seed is given."""

    def __init__(
        self,
        demand: Demand,
        effects: Effects | None = None,
        *,
        state: EngineState | None = None,
        seed: int | None = None,
        period_s: float = 0.5,
        spread: float = 0.0,
    ) -> None:
        ticks, engines = demand.running.shape
        own = alike(engines, spread=spread)
        self.state = warm_state(engines, own) if state is None else state
        shape = (ticks, engines, DRAWS)
        noise = np.zeros(shape) if seed is None else np.random.default_rng(seed).standard_normal(shape)
        effects = Effects.healthy(ticks, engines) if effects is None else effects
        self.truth = advance(self.state, own, demand, effects, period_s, noise)

    def __getitem__(self, name: str) -> Float64:
        values: Float64 = self.truth[:, :, NAMES.index(name)]
        return values

    def settled(self, name: str, engine: int = 0) -> float:
        """The mean of an engine's last minute."""
        return float(self[name][-MINUTES:, engine].mean())


def wrong(ticks: int, engines: int = 1, **values: float) -> Effects:
    effects = Effects.healthy(ticks, engines)
    return replace(effects, **{name: np.full((ticks, engines), value) for name, value in values.items()})


def stepped(*steps: tuple[float, float], seconds: float = 0.0) -> Demand:
    """Gensets' loads at ticks of 0.1 s: ten minutes at the one level, then at once or by a ramp at the other."""
    ramp = np.arange(round(seconds * 10)) / max(1, round(seconds * 10))
    share = np.concatenate([np.zeros(6_000), ramp, np.ones(200)])[:, None]  # (T, 1) of the step
    before, after = np.array(steps).T  # (N,) each
    return replace(asked(len(share), len(steps)), shaft_power=before + share * (after - before))
