"""A receiver whose consumer is the test, and what it told."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from config.settings import MqttSettings
from monitor.receive import Delivery, Receiver
from tests.servers.peers import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

STATUS = "enginewatch/_monitor/test/status"


@dataclass
class Ear:
    """A receiver and what it told."""

    told: list[tuple[bool, str]] = field(default_factory=list)
    lost_sessions: int = 0
    receiver: Any = None

    def on_session_lost(self) -> None:
        self.lost_sessions += 1

    def listens(self) -> bool:
        return bool(self.told) and self.told[-1][0]

    def gather(self, count: int) -> Delivery:
        """The next `count` messages, not acknowledged."""
        found = Delivery([], [])

        def enough() -> bool:
            delivery: Delivery = self.receiver.take(0.05)
            found.messages.extend(delivery.messages)
            found.tokens.extend(delivery.tokens)
            return len(found.messages) >= count

        wait_until(enough, f"receiving {count} messages")
        return found

    def payloads(self, count: int) -> list[bytes]:
        """The payloads of the next `count` messages, acknowledged a batch at a time."""
        found: list[bytes] = []

        def enough() -> bool:
            delivery: Delivery = self.receiver.take(0.05)
            found.extend(message.payload for message in delivery.messages)
            self.receiver.acknowledge(delivery.tokens)
            return len(found) >= count

        wait_until(enough, f"receiving {count} messages")
        return found


@contextmanager
def listening(
    broker: Any, *, expect_session: bool = False, subscriptions: tuple[str, ...] = ("t/#",), **other: Any
) -> Iterator[Ear]:
    """A receiver that has subscribed; stopped at the end."""
    with started(broker, expect_session=expect_session, subscriptions=subscriptions, **other) as ear:
        wait_until(ear.listens, "listening")
        yield ear


@contextmanager
def started(
    broker: Any,
    *,
    expect_session: bool = False,
    subscriptions: tuple[str, ...] = ("t/#",),
    given_up: tuple[str, ...] = (),
    keepalive_s: int = 30,
    **other: Any,
) -> Iterator[Ear]:
    ear = Ear()
    settings = MqttSettings(
        **{"host": broker.host, "port": broker.port, "reconnect_min_s": 0.01, "reconnect_max_s": 0.05, **other}
    )
    ear.receiver = Receiver(
        settings=settings.model_copy(update={"keepalive_s": keepalive_s}),
        client_id="receiver",
        subscriptions=subscriptions,
        given_up=given_up,
        status_topic=STATUS,
        expect_session=expect_session,
        on_listening=lambda ok, reason: ear.told.append((ok, reason)),
        on_session_lost=ear.on_session_lost,
    )
    ear.receiver.start()
    try:
        yield ear
    finally:
        ear.receiver.stop()


def numbered(count: int, start: int = 0) -> list[bytes]:
    return [b"%d" % number for number in range(start, start + count)]
