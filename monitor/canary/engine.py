"""The canary's engine: one that idles, tick by tick, with a fault on demand. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.faults import Fault
from simulator.fleet import Fleet
from simulator.records import SENSORS

if TYPE_CHECKING:
    from collections.abc import Mapping

SEED = 3  # the same engine each time
SEVERITY = "severe"


class CanaryEngine:
    """One simulated engine. Its sensors are those of the model that comes with the package."""

    sensors: Mapping[str, str] = SENSORS  # name -> unit

    def __init__(self, period_ms: int) -> None:
        """Warm, and well."""
        self._fleet = Fleet(1, seed=SEED, duty="idle", period_ms=period_ms)
        self._fault: Fault | None = None

    def begin(self, kind: str) -> None:
        """It has a fault from the next reading on."""
        self._fault = Fault(0, kind, SEVERITY, start_ms=self._fleet.time)
        self._fleet.inject(self._fault)

    def end(self) -> None:
        """It is well from the next reading on."""
        if self._fault is not None:
            self._fleet.mend(self._fault)
            self._fault = None

    def reading(self) -> dict[str, float]:
        """The next one."""
        ((values,),) = self._fleet.block(1).shortest()
        return dict(zip(SENSORS, values, strict=True))
