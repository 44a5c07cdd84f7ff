"""A fleet of vehicles that report in turn, each the readings since its last report in one message. Pure.

Telematics units do so: they measure twice a second and send every few seconds. A message is a list of readings in
our own JSON (docs/payloads.md), as a bridge hands it to Kafka: the MQTT topic as key, the payload as value.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from monitor.decode import TELEMETRY_TOPIC, encode_telemetry, fill
from simulator.fleet import Fleet
from simulator.records import SENSORS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simulator.faults import Fault

ROOT = "enginewatch"
SITE = "fleet"


class Report(NamedTuple):
    """One message."""

    topic: str
    payload: bytes
    readings: int
    values: int


class Vehicles:
    """As many groups of vehicles as a report has ticks: at each tick one of them reports. So the load is even."""

    def __init__(
        self, vehicles: int, *, seed: int, faults: Sequence[Fault], period_ms: int, ticks: int, beginning: int
    ) -> None:
        """Simulate the fleet up to `beginning` (epoch ms), before which no report is due.

        `ticks` are in a report; there are at least as many vehicles. Faults count from `beginning`, and their
        `engine` is the number of the vehicle.
        """
        width = max(4, len(str(vehicles)))
        self.names = tuple(f"vehicle-{number:0{width}d}" for number in range(1, vehicles + 1))
        self._topics = [fill(TELEMETRY_TOPIC, root=ROOT, site=SITE, area="", asset=name) for name in self.names]
        self._ticks = ticks
        self._period_ms = period_ms
        self._beginning = beginning
        self._boot = f"fleet-{beginning}"
        self._groups = [
            Fleet(
                len(range(group, vehicles, ticks)),
                seed=seed + group,
                faults=[
                    replace(fault, engine=fault.engine // ticks, start_ms=fault.start_ms + self._earlier(group))
                    for fault in faults
                    if fault.engine % ticks == group
                ],
                period_ms=period_ms,
            )
            for group in range(ticks)
        ]
        self._turns = 0
        self._sent = [0] * vehicles

    @property
    def due(self) -> int:
        """When the next turn is due (epoch ms): its last tick is over then."""
        return self._beginning + (self._turns + 1) * self._period_ms

    @property
    def sent(self) -> tuple[int, ...]:
        """How many readings of each vehicle were handed out so far."""
        return tuple(self._sent)

    def turn(self) -> list[Report]:
        """What the group whose turn it is has measured since its last report."""
        number = self._turns % self._ticks
        self._turns += 1
        block = self._groups[number].block(self._ticks)
        times = (self._beginning - self._earlier(number) + block.time).tolist()
        rows = block.shortest()  # T x N x C
        missing = np.isnan(block.values).sum(axis=(0, 2)).tolist()  # (N,)
        reports = []
        for vehicle, absent in zip(range(number, len(self.names), self._ticks), missing, strict=True):
            readings = [
                encode_telemetry(
                    time=time,
                    boot=self._boot,
                    seq=self._sent[vehicle] + place,
                    values=dict(zip(SENSORS, row[vehicle // self._ticks], strict=True)),
                )
                for place, (time, row) in enumerate(zip(times, rows, strict=True), 1)
            ]
            payload = b"[" + b",".join(readings) + b"]"
            values = self._ticks * len(SENSORS) - absent
            reports.append(Report(self._topics[vehicle], payload, self._ticks, values))
            self._sent[vehicle] += self._ticks
        return reports

    def _earlier(self, group: int) -> int:
        """By how many ms a group's first tick is before the beginning: so its first report is a whole one."""
        return (self._ticks - 1 - group) * self._period_ms
