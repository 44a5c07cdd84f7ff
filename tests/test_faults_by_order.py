"""Faults by order: what a fleet does when somebody injects one, and how the page's order gets there and back."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest

from config.settings import HttpSettings, MqttSettings
from monitor.demo.stream import BLOCK, LIVE_BLOCK, Stream
from monitor.page import demo_api
from monitor.page.simulator import Simulator
from simulator.faults import Fault
from simulator.fleet import Fleet
from simulator.ordered import OrderLink
from simulator.orders import Hand
from tests.http_rig import Fake, ask, port
from tests.rig import until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from starlette.routing import Route

    from tests.servers.brokers import Broker

MISFIRE = {"do": "inject", "engine": "engine-01", "kind": "misfire", "severity": "severe"}
TOPIC = "enginewatch/_simulator/demo"
JSON = {"Content-Type": "application/json"}


def order(number: int, **fields: Any) -> bytes:
    return json.dumps({"id": f"o{number}", **fields}).encode()


def replies(hand: Hand) -> list[tuple[str, bool, str]]:
    return [(each["id"], each["done"], each["reply"]) for each in msgspec.json.decode(hand.state(0))["replies"]]


def test_what_is_injected_is_what_a_planned_fault_would_be_from_then_until_it_is_mended() -> None:
    """The same engine with the fault in its plan gives the same readings, to the bit; so does a sensor's."""
    planned = [
        Fault(0, "misfire", "severe", start_ms=5_000, duration_ms=5_000),
        Fault(0, "offset", "severe", start_ms=5_000, duration_ms=5_000, sensor="map"),
    ]
    expected = Fleet(1, seed=3, faults=planned, start="cold").block(40)
    fleet = Fleet(1, seed=3, start="cold")
    hand = Hand(fleet)
    offset = {**MISFIRE, "kind": "offset", "sensor": "map"}
    parts = [fleet.block(10)]
    assert len(hand.take([order(1, **MISFIRE), order(2, **offset)]).begun) == 2
    parts.append(fleet.block(10))
    mended = [{**each, "do": "mend"} for each in (MISFIRE, offset)]
    ended = hand.take([order(3 + at, **each) for at, each in enumerate(mended)]).ended
    assert [after for _, after in ended] == planned
    parts.append(fleet.block(20))
    np.testing.assert_array_equal(np.concatenate([each.values for each in parts]), expected.values)
    assert hand.injected == []


def test_an_order_that_cannot_be_is_answered_and_none_is_carried_out_twice() -> None:
    hand = Hand(Fleet(2, seed=3, start="cold"))
    hand.take([
        order(1, **MISFIRE),
        order(1, **{**MISFIRE, "engine": "engine-02"}),
        order(2, **MISFIRE),
        order(3, **{**MISFIRE, "engine": "engine-1"}),
        order(4, **{**MISFIRE, "severity": 5}),
        order(5, do="inject", engine="engine-02", kind="stuck"),
        order(6, do="mend", engine="engine-02", kind="misfire"),
        b"no order", order(7, do="explode"), b"x" * 5_000,
    ])  # fmt: skip
    told = replies(hand)
    assert [each[:2] for each in told] == [("o1", True), *((f"o{number}", False) for number in range(2, 7))]
    words = ["same part", "did you mean engine-01?", "misfire takes 0 to 1", "say which one", "mended already"]
    assert all(word in reply for word, (_, _, reply) in zip(words, told[1:], strict=True))
    assert [fault.engine for fault in hand.injected] == [0]


class Heard:
    """A publisher that keeps what it is given."""

    def __init__(self) -> None:
        self.sent: list[int] = []

    def wait_room(self, _timeout: float) -> bool:
        return True

    def send(self, _asset: str, at: int, _values: object) -> None:
        self.sent.append(at)


def test_a_stream_that_is_live_is_simulated_hardly_ahead() -> None:
    """What is ordered then shows within a second; what is past comes in large blocks."""
    fleet, heard = Fleet(1, seed=3, start="cold"), Heard()
    stream = Stream(heard, fleet, beginning=0, end=float("inf"), period_ms=500)  # type: ignore[arg-type]
    stream.turn(100_000)
    assert heard.sent == list(range(0, 100_001, 500))
    assert fleet.time - 100_500 <= LIVE_BLOCK * 500 < BLOCK * 500


@contextmanager
def linked(broker: Broker) -> Iterator[tuple[OrderLink, Simulator]]:
    settings = MqttSettings(host=broker.host, port=broker.port)
    ours = OrderLink(settings, "fleet-orders", TOPIC), Simulator(settings, "page", TOPIC)
    for each in ours:
        each.start()
    try:
        yield ours
    finally:
        for each in ours:
            each.stop()


class Page(Fake):
    """A daemon with the demo's faults alone."""

    def __init__(self, simulator: Simulator | None) -> None:
        super().__init__()
        self._simulator = simulator

    def further(self) -> Sequence[Route]:
        return demo_api.routes(self._simulator)


def test_an_order_of_the_page_reaches_the_fleet_by_a_real_broker(broker: Broker) -> None:
    """The state is retained while the fleet is there, and gone when it has said goodbye."""
    hand = Hand(Fleet(1, seed=3, start="cold"))
    with linked(broker) as (orders, simulator), port(Page(simulator)) as page:
        assert ask(page, "/api/v1/demo/faults")[1] == {"available": False, "simulated": True}
        orders.tell(hand.state(1_000))
        until(lambda: ask(page, "/api/v1/demo/faults")[1]["available"], why="the fleet is known")
        told: list[Any] = []
        orders.on_messages = _carried_out(orders, hand)  # type: ignore[method-assign]
        told.append(ask(page, "/api/v1/demo/faults", "POST", json.dumps(MISFIRE).encode(), **JSON)[:2])
        told.append(ask(page, "/api/v1/demo/faults", "POST", json.dumps(MISFIRE).encode(), **JSON)[:2])
        done, again = told
        assert done == (200, {"done": True, "reply": "engine-01 has misfire (severe) from now on"})
        assert (again[0], again[1]["done"]) == (422, False)
        (only,) = ask(page, "/api/v1/demo/faults")[1]["injected"]
        assert (only["engine"], only["kind"], only["since"]) == ("engine-01", "misfire", 1_000)
        status, said, _ = ask(page, "/api/v1/demo/faults", "POST", b'{"do": "explode"}', **JSON)
        assert (status, "explode" in said["error"]) == (400, True)
        orders.stop()
        until(lambda: not ask(page, "/api/v1/demo/faults")[1]["available"], why="the fleet is gone")


def _carried_out(orders: OrderLink, hand: Hand) -> Any:
    """As the fleet's own loop does it, at once."""
    keep = orders.on_messages

    def came(arrived: Any) -> None:
        keep(arrived)
        hand.take(orders.orders())
        orders.tell(hand.state(1_000))

    return came


def test_where_no_fleet_takes_orders_there_is_nothing_to_order() -> None:
    with port(Page(None)) as page:
        assert ask(page, "/api/v1/demo/faults")[1] == {"available": False, "simulated": False}
        assert ask(page, "/api/v1/demo/faults", "POST", json.dumps(MISFIRE).encode(), **JSON)[0] == 404


@pytest.mark.parametrize("topic", ["a/#", "$SYS/a", "/a"])
def test_a_topic_that_is_none_is_refused(topic: str) -> None:
    with pytest.raises(ValueError, match="cannot be a topic"):
        HttpSettings(simulator_topic=topic)
