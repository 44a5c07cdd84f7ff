"""A simulated fleet over MQTT: every reading at its moment, the truth beside it, engines that stop and start."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from monitor.commands.publishing import Run
from simulator.faults import truth_record
from simulator.orders import Hand
from simulator.records import SENSORS

if TYPE_CHECKING:
    from simulator.fleet import Fleet
    from simulator.ordered import OrderLink
    from simulator.publish import Publisher
    from simulator.records import Block

BLOCK_S = 0.5  # of the host's time: longer would keep Ctrl-C and the live line waiting
READINGS_A_BLOCK = 5_000
BEHIND_SHOWN_S = 1.0


class Simulation(Run):
    """Publishes a fleet. Readings carry their own time, also where the host cannot keep pace.

    No reading lies in the future at its publication: a run that is faster than real time is laid so that it ends
    now, any other begins now.
    """

    def __init__(
        self,
        publisher: Publisher,
        fleet: Fleet,
        *,
        ticks: float,
        period_ms: int,
        speed: float,
        now: int,
        truth_topic: str,
        orders: OrderLink | None = None,
    ) -> None:
        """`ticks` are infinite for an endless run, at a speed of 1 or less; `now` is epoch ms.

        `orders` are where faults by order come from, where they are taken.
        """
        super().__init__(publisher)
        self._fleet = fleet
        self._ticks = ticks
        self._period_ms = period_ms
        self._speed = speed
        span = (ticks - 1) * period_ms if speed > 1 else 0.0
        self.beginning = now - int(span - span / speed)  # epoch ms of the first tick
        self._truth_topic = truth_topic
        self._records = fleet.truth(self.beginning)
        self._events = _events(self._records)
        self._orders = orders
        self._hand = Hand(fleet)
        self._online: set[str] = set()
        self._done = 0  # ticks
        self._time = self.beginning  # epoch ms of the latest
        self._behind = 0.0  # s

    def publish_all(self) -> None:
        """Publish every tick when it is due."""
        wished = BLOCK_S * self._speed * 1000 / self._period_ms
        most = max(1, READINGS_A_BLOCK // len(self._fleet.assets))
        while self._done < self._ticks:
            self._take_orders()
            size = int(max(1, min(wished, most, self._ticks - self._done)))
            self._publish(self._fleet.block(size))

    def _publish(self, block: Block) -> None:
        for time, row, running in zip(block.time.tolist(), block.shortest(), block.running.tolist(), strict=True):
            due = time / 1000 / self._speed
            self.wait_until(due)
            self._behind = self.elapsed() - due
            self._time = self.beginning + time
            self._tell_truth()
            for asset, values, on in zip(self._fleet.assets, row, running, strict=True):
                if on != (asset in self._online):
                    self._switch(asset, on=on)
                if on:
                    self.wait_room()
                    self.send(asset, self._time, dict(zip(SENSORS, values, strict=True)))
            self._done += 1

    def _switch(self, asset: str, *, on: bool) -> None:
        """An engine that is switched off says goodbye; one that starts says what it is."""
        if on:
            self._online.add(asset)
            self.publisher.announce(asset, SENSORS, self._period_ms)
        else:
            self._online.remove(asset)
            self.publisher.retire(asset)

    def _take_orders(self) -> None:
        """Let faults begin and end by order, with the block that comes next."""
        if self._orders is None:
            return
        done = self._hand.take(self._orders.orders())
        for fault in done.begun:
            record = truth_record(fault, self._fleet.assets[fault.engine], self.beginning)
            self._records.append(record)
            self._events.append((record["start"], "begin", record))
        for fault, ended in done.ended:
            asset = self._fleet.assets[fault.engine]
            before, after = (truth_record(each, asset, self.beginning) for each in (fault, ended))
            self._records[self._records.index(before)] = after
            self._events.append((after["end"], "end", after))
        self._events.sort(key=lambda event: event[0], reverse=True)
        self._orders.tell(self._hand.state(self.beginning))

    def _tell_truth(self) -> None:
        while self._events and self._events[-1][0] <= self._time:
            _, event, record = self._events.pop()
            self.publisher.note(self._truth_topic, json.dumps({"event": event, **record}).encode())

    def line(self) -> str:
        """The counts as a sentence."""
        counters = self.publisher.counters
        of = "" if math.isinf(self._ticks) else f" of {_clock(self._ticks * self._period_ms)}"
        begun = sum(each["start"] <= self._time for each in self._records)
        faults = f"{begun} fault{'' if begun == 1 else 's'} begun"
        late = self._behind > BEHIND_SHOWN_S and not math.isinf(self._speed)
        return (
            f"{len(self._online)} engines running, {_clock(self._done * self._period_ms)}{of}, "
            f"{counters.messages} readings sent, {counters.acknowledged_messages} acknowledged "
            f"({self.rate():.0f}/s), {faults}" + (f", {self._behind:.0f} s behind" if late else "")
        )

    def online(self) -> list[str]:
        """The engines that run."""
        return sorted(self._online)

    def result(self) -> dict[str, Any]:
        """The summary."""
        return {"engines": len(self._fleet.assets), **super().result(), "faults": self._records}


def _events(records: list[dict[str, Any]]) -> list[tuple[int, str, dict[str, Any]]]:
    """When faults begin and end, the last first."""
    begins = [(record["start"], "begin", record) for record in records]
    ends = [(record["end"], "end", record) for record in records if record["end"] is not None]
    return sorted(begins + ends, key=lambda event: event[0], reverse=True)


def _clock(time_ms: float) -> str:
    seconds = int(time_ms // 1000)
    return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
