"""Faults by order: what somebody tells a fleet that runs, and what is said back. Pure.

An order is JSON: `{"id", "do": "inject", "engine", "kind", "severity"?, "sensor"?}`, or `"do": "mend"` with the
engine, the kind and the sensor of a fault that was injected. What is planned stays as it is. Every order has a
reply with its id, done or not and why, and none is carried out twice.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec

from simulator.schedule import ScheduleError, from_table, written

if TYPE_CHECKING:
    from simulator.faults import Fault
    from simulator.fleet import Fleet

LONGEST = 2_000  # bytes of an order
MOST = 50  # faults that are injected at a time
REPLIES = 20  # that are remembered


class Order(msgspec.Struct, forbid_unknown_fields=True):
    """One order."""

    id: str
    do: Literal["inject", "mend"]
    engine: str
    kind: str
    severity: Literal["mild", "moderate", "severe"] | float = "moderate"
    sensor: str = ""


class Reply(NamedTuple):
    """What became of an order."""

    id: str
    done: bool
    reply: str


class Done(NamedTuple):
    """What orders did to a fleet."""

    begun: list[Fault]
    ended: list[tuple[Fault, Fault]]  # as it was injected, and as it was


class Hand:
    """Carries out orders on one fleet."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._replies: deque[Reply] = deque(maxlen=REPLIES)
        self.injected: list[Fault] = []  # by hand, and not mended

    def take(self, payloads: list[bytes]) -> Done:
        """Carry out what came, in its order."""
        done = Done([], [])
        for payload in payloads:
            order = _read(payload)
            if order is None or any(order.id == each.id for each in self._replies):
                continue
            try:
                said = self._inject(order, done) if order.do == "inject" else self._mend(order, done)
                self._replies.append(Reply(order.id, True, said))
            except ValueError as error:
                self._replies.append(Reply(order.id, False, str(error)))
        return done

    def _inject(self, order: Order, done: Done) -> str:
        """Raises ValueError where it cannot be."""
        if len(self.injected) >= MOST:
            raise ValueError(f"{MOST} faults are injected: mend one first")
        fault = self._fault(order)
        self._fleet.inject(fault)
        self.injected.append(fault)
        done.begun.append(fault)
        return f"{order.engine} has {_named(fault)} from now on"

    def _fault(self, order: Order) -> Fault:
        table = {
            "engine": order.engine,
            "kind": order.kind,
            "severity": order.severity,
            "at": written(max(self._fleet.time, 0)),
            **({"sensor": order.sensor} if order.sensor else {}),
        }
        try:
            return from_table(table, "the order", self._fleet.assets).fault
        except ScheduleError as error:
            raise ValueError(str(error).removeprefix("the order: ")) from error

    def _mend(self, order: Order, done: Done) -> str:
        """Raises ValueError where there is nothing to mend."""
        for fault in self.injected:
            asset = self._fleet.assets[fault.engine]
            if (asset, fault.kind, fault.sensor) == (order.engine, order.kind, order.sensor):
                ended = self._fleet.mend(fault)
                self.injected.remove(fault)
                done.ended.append((fault, ended))
                return f"{order.engine} is mended: {_named(fault)} is over"
        raise ValueError(f"nobody has injected {order.kind} into {order.engine}, or it is mended already")

    def state(self, beginning: int) -> bytes:
        """For whoever gives orders, as JSON; `beginning` is the fleet's in epoch ms."""
        told: dict[str, Any] = {
            "assets": list(self._fleet.assets),
            "injected": [
                {
                    "engine": self._fleet.assets[fault.engine],
                    "kind": fault.kind,
                    "sensor": fault.sensor,
                    "severity": fault.severity,
                    "since": beginning + fault.start_ms,
                }
                for fault in self.injected
            ],
            "replies": [each._asdict() for each in self._replies],
        }
        return msgspec.json.encode(told)


def _read(payload: bytes) -> Order | None:
    """The order; None where it is none: at a broker of others anything may come."""
    if len(payload) > LONGEST:
        return None
    try:
        return msgspec.json.decode(payload, type=Order)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _named(fault: Fault) -> str:
    of = f" of {fault.sensor}" if fault.sensor else ""
    severity = fault.severity if isinstance(fault.severity, str) else f"{fault.severity:g}"
    return f"{fault.kind}{of} ({severity})"
