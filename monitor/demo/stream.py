"""The demo's fleet over MQTT: what is past as fast as the broker takes it, then every tick at its time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.records import SENSORS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simulator.fleet import Fleet
    from simulator.publish import Publisher

BLOCK = 20  # ticks simulated at once …
LIVE_BLOCK = 2  # … and of what is not past yet: what is ordered begins behind them
READINGS_A_TURN = 600
ROOM_S = 0.05  # how long a turn waits for the broker


class Stream:
    """Publishes a fleet whose first tick was at `beginning` (epoch ms): history, and then live, without a seam."""

    def __init__(self, publisher: Publisher, fleet: Fleet, *, beginning: int, end: float, period_ms: int) -> None:
        """`end` is when it ends (epoch ms, infinite for never)."""
        self._publisher = publisher
        self._assets = fleet.assets
        self._end = end
        self._period_ms = period_ms
        self._now = beginning
        self._readings = self._simulated(fleet, beginning)
        self._next = next(self._readings)
        self.time = beginning  # of the latest reading

    def announce(self) -> None:
        """Say what the engines are, and that they are there."""
        for asset in self._assets:
            self._publisher.announce(asset, SENSORS, self._period_ms)

    @property
    def ended(self) -> bool:
        """Whether all that comes before the end has been published."""
        return self._next[1] >= self._end

    def turn(self, now: int) -> float:
        """Publish some of what is due; returns the seconds until more is. Raises PublishError."""
        self._now = now
        for _ in range(READINGS_A_TURN):
            asset, at, values = self._next
            if at > now:
                return (at - now) / 1000
            if self.ended or not self._publisher.wait_room(ROOM_S):
                return 0.0
            self._publisher.send(asset, at, values)
            self.time = at
            self._next = next(self._readings)
        return 0.0

    def retire(self) -> None:
        """Say goodbye for all engines."""
        for asset in self._assets:
            self._publisher.retire(asset)

    def _simulated(self, fleet: Fleet, beginning: int) -> Iterator[tuple[str, int, dict[str, float]]]:
        """Asset, epoch ms and values, in the order of time, without an end."""
        while True:
            past = beginning + fleet.time + BLOCK * self._period_ms <= self._now
            block = fleet.block(BLOCK if past else LIVE_BLOCK)
            for time, row in zip(block.time.tolist(), block.shortest(), strict=True):
                for asset, values in zip(fleet.assets, row, strict=True):
                    yield asset, beginning + time, dict(zip(SENSORS, values, strict=True))
