"""A simulated fleet that takes faults by order, as the demo's does: what it says of itself, and orders to it."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Any

import msgspec

from monitor.mqtt import Link

if TYPE_CHECKING:
    from config.settings import MqttSettings
    from monitor.mqtt_packets import Publishes

PATIENCE_S = 5.0  # for a reply
WAITING = 20  # orders; further ones are refused
MOST_STATE = 256 << 10  # bytes


class Reply(msgspec.Struct):
    """What became of an order."""

    id: str
    done: bool
    reply: str


class Injected(msgspec.Struct):
    """A fault that was ordered, and is not mended."""

    engine: str
    kind: str
    sensor: str
    severity: str | float
    since: int  # epoch ms


class Fleet(msgspec.Struct):
    """What the fleet says of itself."""

    assets: list[str]
    injected: list[Injected]
    replies: list[Reply]


class SimulatorError(Exception):
    """The fleet did not do it: the sentence says why."""


class Simulator(Link):
    """One connection of its own: the daemon's own session must not hear what is no telemetry."""

    def __init__(self, settings: MqttSettings, client_id: str, topic: str) -> None:
        """Raises MqttError where the settings cannot be used."""
        super().__init__(settings, client_id)
        self._topic = topic
        self._orders: deque[bytes] = deque()
        self._change = threading.Condition()
        self._fleet: Fleet | None = None

    # For any thread.

    @property
    def fleet(self) -> Fleet | None:
        """What the fleet said last; None where none is there."""
        return self._fleet if self.connected else None

    def order(self, order_id: str, wish: dict[str, Any]) -> tuple[bool, str]:
        """Whether the fleet did it, and what it said. Waits. Raises SimulatorError where it does not answer."""
        if self.fleet is None:
            raise SimulatorError("no simulated fleet is there just now")
        if len(self._orders) >= WAITING:
            raise SimulatorError("too many orders wait already: try again in a moment")
        self._orders.append(msgspec.json.encode({**wish, "id": order_id}))
        self.wake()
        with self._change:
            self._change.wait_for(lambda: self._reply(order_id) is not None, PATIENCE_S)
        found = self._reply(order_id)
        if found is None:
            raise SimulatorError(f"the simulated fleet did not answer within {PATIENCE_S:g} s")
        return found.done, found.reply

    def _reply(self, order_id: str) -> Reply | None:
        replies = self._fleet.replies if self._fleet is not None else []
        return next((each for each in replies if each.id == order_id), None)

    # Hooks.

    def on_up(self, *, session_present: bool) -> None:  # noqa: ARG002 - it has no session
        """Subscribe to what the fleet says."""
        self._client.subscribe(f"{self._topic}/state", 1)

    def on_messages(self, arrived: Publishes) -> None:
        """Keep the latest; what is none says that no fleet is there."""
        payload = arrived.payloads[-1]
        try:
            found = msgspec.json.decode(payload, type=Fleet) if len(payload) <= MOST_STATE else None
        except (msgspec.DecodeError, UnicodeDecodeError):
            found = None
        with self._change:
            self._fleet = found
            self._change.notify_all()

    def on_turn(self) -> None:
        """Publish the orders."""
        while self._orders:
            self.publish(f"{self._topic}/order", self._orders.popleft())
