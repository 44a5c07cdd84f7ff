"""Orders to a simulated fleet over MQTT: `TOPIC/order` in, what is injected and every reply at `TOPIC/state` out.

The state is retained, so that whoever comes finds it, and is taken back at the end. Who may publish at the topic
may order: it is taken only where the user asked for it, and does nothing beyond the simulation.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from monitor.mqtt import Link, Will
from simulator.orders import LONGEST

if TYPE_CHECKING:
    from config.settings import MqttSettings
    from monitor.mqtt_packets import Publishes

WAITING = 50  # orders; further ones are dropped
ORDER, STATE = "order", "state"


class OrderLink(Link):
    """One connection for orders; satisfied by `Hand` on the thread of whoever has the fleet."""

    def __init__(self, settings: MqttSettings, client_id: str, topic: str) -> None:
        """Raises MqttError where the settings cannot be used."""
        self._topic = topic
        super().__init__(settings, client_id, will=Will(f"{topic}/{STATE}", b""))
        self._came: deque[bytes] = deque(maxlen=WAITING)
        self._state: bytes | None = None
        self._told: bytes | None = None

    # For any thread.

    def orders(self) -> list[bytes]:
        """What came since the last call."""
        return [self._came.popleft() for _ in range(len(self._came))]

    def tell(self, state: bytes) -> None:
        """Publish a state, where it is another one."""
        if state != self._state:
            self._state = state
            self.wake()

    # Hooks.

    def on_up(self, *, session_present: bool) -> None:  # noqa: ARG002 - it has no session
        """Subscribe, and tell the state anew."""
        self._client.subscribe(f"{self._topic}/{ORDER}", 1)
        self._told = None

    def on_messages(self, arrived: Publishes) -> None:
        """Keep the orders; one that was retained is of another time."""
        for payload, retained in zip(arrived.payloads, arrived.retained, strict=True):
            if payload and not retained and len(payload) <= LONGEST:
                self._came.append(payload)

    def on_turn(self) -> None:
        """Tell what is new."""
        state = self._state
        if state is not None and state != self._told:
            self._told = state
            self.publish(f"{self._topic}/{STATE}", state, retain=True)

    def on_goodbye(self) -> None:
        """Nothing of it stays at the broker."""
        self.publish(f"{self._topic}/{STATE}", b"", retain=True)
