"""What the user asked of a demo, checked. It stands alone, so that it is known before the large imports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from config.settings import InfluxSettings, MqttSettings


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the user asked for."""

    engines: int
    seed: int
    site: str
    live_s: float  # infinite where there is no end
    mqtt: MqttSettings  # of our own broker host and port are found out
    own_broker: bool
    influx: InfluxSettings | None


@dataclass(frozen=True, slots=True)
class FleetWishes:
    """What the user asked for of a fleet."""

    vehicles: int
    seed: int
    live_s: float  # infinite where there is no end
    influx: InfluxSettings | None  # None = one of our own
