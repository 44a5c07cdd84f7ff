"""What engines are asked to do: drives with the statistics of the standard cycles, plant load steps, idling.

Pure. Each engine has random numbers of its own, and its demand is drawn piece by piece as it is asked for: an
engine more changes nothing for the others, and the sizes of the blocks change nothing at all.

The pieces are of our own making. Their ranges follow the published statistics of the standard cycles: urban as the
low and medium phases of WLTP class 3b (mean 19 and 40 km/h, standing 26 and 11 % of the time, accelerations to
1.6 m/s²), motorway as its extra-high phase (mean 92, up to 131 km/h); a genset's loads are levels over its range,
as test cycles for constant-speed engines have them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from simulator.records import RATED_KW, Demand
from simulator.relations import KMH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.records import Float64

DUTIES = ("urban", "motorway", "plant", "idle", "mixed")
MIXED = ("urban", "motorway", "urban", "plant")  # what the engines of a mixed fleet do, in turn
DAY_S = 86_400.0
SWING_K = 4.0  # amplitude of the ambient temperature over a day
SMOOTH_S = 3.0  # a car's speed has no corners sharper than this
STANDS_S = 2.0  # that a trip ends with, so that its last corner is rounded too
CREEP_KMH = 0.1  # a car slower than this stands
RIPPLE_S = 4.0  # correlation time of a driver's foot and of a plant's load


@dataclass(slots=True)
class _Course:
    """One engine's demand so far: what was drawn and not asked for yet."""

    kind: str
    generator: np.random.Generator
    temperature: float  # °C, the day's mean
    phase: float  # s, where the day begins
    pressure: float  # kPa
    speed: float = 0.0  # m/s at the end of what was drawn
    power: float = 0.0  # kW at the end of what was drawn
    ripple: float = 0.0
    pieces: list[Float64] = field(default_factory=list)  # (ticks, 3): running, km/h, kW


@dataclass(slots=True)
class Duty:
    """The demand of N engines, drawn as it is asked for."""

    courses: list[_Course]
    period_s: float
    stops: float
    tick: int = 0

    @classmethod
    def draw(
        cls,
        kind: str,
        generators: Sequence[np.random.Generator],
        *,
        period_s: float,
        stops: float = 0.0,
        ambient: float | None = None,
        altitude: float | None = None,
    ) -> Duty:
        """One engine for each generator.

        With `stops` 1 engines are switched off and on again now and then, with more so much oftener. `ambient` is
        the day's mean temperature in °C, `altitude` in m; None leaves each engine its own.
        """
        courses = []
        for index, generator in enumerate(generators):
            own_ambient, own_altitude, phase = generator.uniform((2.0, 0.0, 0.0), (30.0, 700.0, DAY_S))
            courses.append(
                _Course(
                    kind=MIXED[index % len(MIXED)] if kind == "mixed" else kind,
                    generator=generator,
                    temperature=float(own_ambient if ambient is None else ambient),
                    phase=float(phase),
                    pressure=standard_pressure(float(own_altitude if altitude is None else altitude)),
                )
            )
        return cls(courses, period_s, stops)

    def block(self, ticks: int) -> Demand:
        """The next ticks."""
        asked = np.stack([self._next(course, ticks) for course in self.courses], axis=1)  # (T, N, 3)
        time = (self.tick + np.arange(ticks))[:, None] * self.period_s  # (T, 1)
        self.tick += ticks
        mean, phase, pressure = (
            np.array([getattr(course, name) for course in self.courses])
            for name in ("temperature", "phase", "pressure")
        )
        swing = SWING_K * np.sin(2 * np.pi * (time + phase) / DAY_S)  # (T, N)
        return Demand(
            running=asked[:, :, 0] > 0,
            vehicle_speed=asked[:, :, 1],
            shaft_power=asked[:, :, 2],
            ambient_temperature=mean + swing,
            ambient_pressure=np.broadcast_to(pressure, swing.shape).copy(),
        )

    def _next(self, course: _Course, ticks: int) -> Float64:
        """(ticks, 3) of one engine."""
        there = sum(len(piece) for piece in course.pieces)
        while there < ticks:
            course.pieces.append(self._piece(course))
            there += len(course.pieces[-1])
        drawn = np.concatenate(course.pieces) if len(course.pieces) > 1 else course.pieces[0]
        course.pieces = [drawn[ticks:]] if there > ticks else []
        return drawn[:ticks]

    def _piece(self, course: _Course) -> Float64:
        """The next piece: a trip from standstill to standstill, a load step, or a pause."""
        generator, period = course.generator, self.period_s
        # Both are drawn in any case, so that `stops` does not change what is done in between.
        pause, length = generator.random(), generator.uniform(120, 1200)
        if pause < self.stops * STOP_SHARE[course.kind] and course.speed == 0:
            course.power = 0.0
            return np.zeros((max(1, int(length / period)), 3))
        match course.kind:
            case "urban" | "motorway":
                speed = _trip(course, period, motorway=course.kind == "motorway")
                power = np.zeros_like(speed)
            case "plant":
                power = _load_step(course, period)
                speed = np.zeros_like(power)
            case _:
                speed = power = np.zeros(max(1, int(60 / period)))
        return np.stack([np.ones_like(speed), speed, power], axis=1)  # (ticks, 3)


STOP_SHARE = {"urban": 0.02, "motorway": 0.2, "plant": 0.03, "idle": 0.02}  # of the pieces


def standard_pressure(altitude: float) -> float:
    """Pressure in kPa at an altitude in m (International Standard Atmosphere, ISO 2533).

    >>> round(standard_pressure(0), 1), round(standard_pressure(1000), 1)
    (101.3, 89.9)
    """
    return float(101.325 * (1 - 2.25577e-5 * altitude) ** 5.25588)


def _trip(course: _Course, period: float, *, motorway: bool) -> Float64:
    """A micro-trip in km/h: stand, then a few speeds with gentle changes in between, then stand again."""
    generator = course.generator
    stand = generator.uniform(4, 30)
    if motorway:
        targets = generator.uniform(85, 128, generator.integers(2, 6))
        holds = generator.uniform(60, 400, len(targets))
        rates = generator.uniform(0.3, 0.9, len(targets) + 1)
    else:
        targets = generator.uniform(15, 62, generator.integers(1, 4))
        holds = generator.uniform(4, 50, len(targets))
        rates = generator.uniform(0.4, 1.5, len(targets) + 1)
    knots, speeds, now, last = [0.0, stand], [0.0, 0.0], stand, 0.0
    for target, hold, rate in zip([*targets, 0.0], [*holds, period], rates, strict=True):
        now += max(abs(target - last) / KMH / rate, period)
        knots.append(now)
        speeds.append(target)
        now += hold
        knots.append(now)
        speeds.append(target)
        last = target
    time = np.arange(0.0, now + STANDS_S, period)
    speed = np.interp(time, knots, speeds)
    moving = np.minimum(speed / 20.0, 1.0)  # nobody's foot wanders at a standstill
    wander = _ripple(course, len(time), period) * (2.0 if motorway else 1.2) * moving
    smooth = _smoothed(np.maximum(speed + wander, 0.0), period)
    return np.where(smooth < CREEP_KMH, 0.0, smooth)


def _load_step(course: _Course, period: float) -> Float64:
    """A genset's load in kW: a ramp of a few seconds to the next level, which then stands with a little ripple."""
    generator = course.generator
    level = generator.choice([0.1, 0.25, 0.5, 0.75, 0.9]) * RATED_KW
    ramp, hold = generator.uniform(2, 8), generator.uniform(60, 600)
    time = np.arange(0.0, ramp + hold, period)
    power = np.interp(time, [0.0, ramp], [course.power, level])
    course.power = float(level)
    rippling: Float64 = power * (1 + 0.012 * _ripple(course, len(time), period))
    return np.maximum(rippling, 0.0)


def _ripple(course: _Course, ticks: int, period: float) -> Float64:
    """(ticks,) a first-order random walk with deviation 1 that goes on where it was."""
    keep = float(np.exp(-period / RIPPLE_S))
    pushes = course.generator.standard_normal(ticks) * np.sqrt(1 - keep**2)
    made = np.empty(ticks)
    value = course.ripple
    for i, push in enumerate(pushes.tolist()):
        value = keep * value + push
        made[i] = value
    course.ripple = value
    return made


def _smoothed(speed: Float64, period: float) -> Float64:
    """The moving mean over SMOOTH_S."""
    width = max(1, round(SMOOTH_S / period))
    padded = np.pad(speed, (width // 2, width - 1 - width // 2), mode="edge")
    smooth: Float64 = np.convolve(padded, np.full(width, 1 / width), mode="valid")
    return smooth
