"""What one engine is: a turbocharged spark-ignition engine, four cylinders, two litres, in a car or a genset.

Pure. The values are those of a common engine of its class; each engine of a fleet differs a little, as castings,
fits and ageing make them differ.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.records import Float64

# name -> (usual value, relative deviation between engines)
USUAL = {
    "displacement": (2.0, 0.0),  # l; one type of engine
    "idle_speed": (800.0, 0.012),  # rpm
    "volumetric_efficiency": (0.88, 0.012),  # at its best speed
    "indicated_efficiency": (0.36, 0.012),  # Heywood (1988), ch. 5: 0.35 to 0.38 for a throttled engine
    "friction": (1.0, 0.04),  # relative to the correlation of Barnes-Moss
    "boost": (0.9, 0.03),  # the turbocharger's pressure ratio at full delivery, less one
    "thermostat": (86.0, 0.008),  # °C at which it begins to open
    "thermal_mass": (68.0, 0.05),  # kJ/K of block and coolant
    "radiator": (1.0, 0.06),
    "oil_delivery": (1.0, 0.03),
    "oil_relief": (430.0, 0.025),  # kPa
    "vibration": (1.0, 0.06),
    "alternator": (14.25, 0.006),  # V
    "mass": (1450.0, 0.06),  # kg of the car
    "drag": (0.66, 0.04),  # m², drag coefficient times frontal area
    "exhaust": (1.0, 0.015),
}


@dataclass(frozen=True, slots=True)
class Parameters:
    """N engines; `USUAL` says the units."""

    displacement: Float64  # (N,) and so all of them
    idle_speed: Float64
    volumetric_efficiency: Float64
    indicated_efficiency: Float64
    friction: Float64
    boost: Float64
    thermostat: Float64
    thermal_mass: Float64
    radiator: Float64
    oil_delivery: Float64
    oil_relief: Float64
    vibration: Float64
    alternator: Float64
    mass: Float64
    drag: Float64
    exhaust: Float64


def draw_parameters(generators: Sequence[np.random.Generator], *, spread: float = 1.0) -> Parameters:
    """The parameters of one engine for each generator; `spread` scales how much they differ (0 = all the same).

    Deviations are normal, cut at two and a half standard deviations: what lies further out fails the factory.
    """
    names = [each.name for each in fields(Parameters)]
    drawn = np.stack([generator.standard_normal(len(names)) for generator in generators])  # (N, parameters)
    drawn = np.clip(drawn, -2.5, 2.5) * spread
    return Parameters(*(USUAL[name][0] * (1 + USUAL[name][1] * drawn[:, i]) for i, name in enumerate(names)))
