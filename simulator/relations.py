"""Relations between quantities of an engine and of the car around it, each with its source. Pure.

The names in brackets are those of `simulator.engine`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from monitor.records import Float64
    from simulator.parameters import Parameters

KMH = 3.6  # km/h in a m/s
UPSHIFT = np.array([17.0, 32.0, 50.0, 68.0, 92.0])  # km/h at which the next gear is taken
DOWNSHIFT = np.array([11.0, 24.0, 40.0, 57.0, 78.0])  # and at which it is left again


def towards(lag_s: float, period_s: float) -> float:
    """The share of the way that a first-order lag goes in one tick, exactly."""
    return float(1 - np.exp(-period_s / lag_s))


def next_gear(gear: Float64, speed: Float64) -> Float64:
    """One gear up or down a tick, with the distance between shift speeds as hysteresis."""
    at = gear.astype(np.intp)
    up = (at < len(UPSHIFT)) & (speed > UPSHIFT[np.minimum(at, len(UPSHIFT) - 1)])
    down = (at > 0) & (speed < DOWNSHIFT[np.maximum(at - 1, 0)])
    return gear + up - down


def road_power(own: Parameters, speed: Float64, last: Float64, density: Float64, dt: float) -> Float64:
    """Power in kW at the engine for a car's speed: rolling, drag, and inertia with a tenth for what turns [B].

    `density` is the air's, in kg/m³.
    """
    metres = speed / KMH
    force = own.mass * 9.81 * 0.011 * (speed > 0) + 0.5 * density * own.drag * metres**2
    force = force + 1.1 * own.mass * (speed - last) / KMH / dt
    power: Float64 = force * metres / 1000
    return np.where(power > 0, power / 0.92, power * 0.92)


def viscosity(oil: Float64 | float) -> Float64:
    """Viscosity in mm²/s of SAE 5W-30 by Vogel's equation, through a data sheet's 62 at 40 and 10.5 at 100 °C."""
    viscous: Float64 = np.exp(-1.645 + 779.3 / (np.maximum(oil, -30.0) + 95.0))
    return viscous


def burns(mixture: Float64) -> Float64:
    """Indicated efficiency relative to lambda 1 [H, ch. 15].

    Rich loses its unburnt fuel; lean gains a little and then burns badly.
    """
    rich = np.minimum(mixture, 1.0)
    lean = np.maximum(mixture - 1.0, 0.0)
    relative: Float64 = rich * (1 + 0.35 * lean - 4.0 * np.maximum(lean - 0.12, 0.0) ** 2)
    return np.maximum(relative, 0.3)


def orifice(ratio: Float64) -> Float64:
    """Flow function of an isentropic flow with kappa 1.4, in g/s per mm² at 1 kPa and 1 J/kg [G, ch. 2].

    The units: kPa mm² / sqrt(J/kg) = 1e3 Pa 1e-6 m² / (m/s) = 1e-3 kg/s = 1 g/s.
    """
    ratio = np.clip(ratio, 0.528, 0.995)
    flow: Float64 = np.sqrt(7.0 * (ratio ** (2 / 1.4) - ratio ** (2.4 / 1.4)))
    return flow
