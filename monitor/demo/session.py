"""What happens in a demo: history, then engines that run and fail, and at last the books."""

from __future__ import annotations

import heapq
import itertools
import math
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from monitor.demo import books, words
from monitor.demo.plan import faults
from monitor.demo.stream import Stream
from simulator.fleet import Fleet
from simulator.orders import Hand

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import RenderableType

    from monitor.demo.house import House
    from monitor.demo.screen import Screen, Signals
    from monitor.demo.wishes import Wishes
    from monitor.records import AlertEvent
    from simulator.faults import Fault

    _News = tuple[float, int, Callable[[], RenderableType]]  # when, in which order, and how that is told

ACCOUNT_LIMIT_S = 30.0  # for the daemon to account for what was published last
SEND_LIMIT_S = 10.0  # for it to tell the last alerts
STEP_S = 0.05
PLANNED_MS = 7 * 86_400_000  # an endless demo has faults for so long


class Session:
    """One fleet in one house."""

    def __init__(self, wishes: Wishes, house: House, screen: Screen, signals: Signals) -> None:
        """Simulate the fleet up to where the demo begins."""
        self._house = house
        self._screen = screen
        self._signals = signals
        self._live_ms = 1000 * wishes.live_s
        # A window, and what the threshold wants to see before it follows the scores of an engine.
        self._history_ms = house.period_ms * (house.window + house.settings.threshold.min_rows)
        self._after_ms = house.period_ms * (house.window + house.settings.alert.off_delay_ticks)
        until = self._history_ms + int(min(self._live_ms, PLANNED_MS))
        self._plan = faults(wishes.engines, wishes.seed, from_ms=self._history_ms, until_ms=until)
        self._fleet = Fleet(wishes.engines, seed=wishes.seed, faults=self._plan, period_ms=house.period_ms)
        self._hand = Hand(self._fleet)
        self._by_hand: list[Fault] = []  # all that were ordered, as far as they have come
        self._news: list[_News] = []  # a heap
        self._numbers = itertools.count()
        self._alerts: list[books.Alert] = []

    def live(self) -> None:
        """Publish history and then what happens, until it ends or the user asks for the end.

        Raises ProcessError and PublishError.
        """
        house = self._house
        self._beginning = _now() - self._history_ms  # of the fleet, epoch ms
        end = self._beginning + self._history_ms + self._live_ms
        self._stream = Stream(
            house.publisher, self._fleet, beginning=self._beginning, end=end, period_ms=house.period_ms
        )
        self._stream.announce()
        for fault in self._plan:
            self._announce(fault.start_ms, words.begins, fault)
            self._announce(fault.end_ms, words.ends, fault)
        while not self._signals.asked and not self._stream.ended:
            self._take_orders()
            pause = self._stream.turn(_now())
            while self._news and self._news[0][0] <= self._stream.time:
                self._screen.say(heapq.heappop(self._news)[2]())
            self._look()
            time.sleep(min(pause, STEP_S))

    def finish(self) -> dict[str, Any]:
        """Say goodbye, wait until everything is accounted for and told, and add it up.

        Raises ProcessError. Who asks for the end once more does not want to wait.
        """
        house, publisher = self._house, self._house.publisher
        impatient = self._signals.asked + 1
        self._screen.say("The end: the engines say goodbye, and the daemon accounts for the last readings.")
        self._stream.retire()

        def wait(what: Callable[[], bool], limit: float) -> None:
            until = time.monotonic() + limit
            while not what() and time.monotonic() < until and self._signals.asked < impatient:
                self._look()
                time.sleep(STEP_S)

        wait(lambda: publisher.wait_delivered(STEP_S), ACCOUNT_LIMIT_S)
        published = publisher.counters.acknowledged_values
        wait(lambda: house.watch.accounted() >= published, ACCOUNT_LIMIT_S)
        wait(lambda: house.watch.unsent() == 0, SEND_LIMIT_S)
        publisher.stop()
        house.stop_daemon()
        self._look()
        return self._add_up()

    def _add_up(self) -> dict[str, Any]:
        faults = self._plan + self._by_hand
        begun = [fault for fault in faults if self._beginning + fault.start_ms <= self._stream.time]
        return books.summary(
            published=self._house.publisher.counters.acknowledged_values,
            outcomes=self._house.watch.books().get("outcomes", {}),
            stored=self._house.watch.stored(),
            faults=begun,
            assets=self._fleet.assets,
            beginning=self._beginning,
            alerts=self._alerts,
            after_ms=self._after_ms,
        )

    def _look(self) -> None:
        """Tell what came, and bring the live line up to date."""
        self._house.check()
        for came, event in self._house.listener.news():
            self._alerts.append((came, event))
            asset = event.stream.rpartition("/")[2]
            self._screen.say(words.told(event, asset, came, self._since_fault(event, came)))
        if self._screen.due():
            self._screen.show(words.status(self._house.watch.state()))

    def _since_fault(self, event: AlertEvent, came: int) -> float | None:
        """Seconds since the fault began that an incident can be of; None where there is none."""
        for fault in self._by_hand + self._plan:
            if books.explains(fault, self._fleet.assets[fault.engine], self._beginning, event, self._after_ms):
                return (came - self._beginning - fault.start_ms) / 1000
        return None

    def _take_orders(self) -> None:
        """Let faults begin and end by hand, as the page orders."""
        orders = self._house.orders
        done = self._hand.take(orders.orders())
        for fault in done.begun:
            self._by_hand.append(fault)
            self._announce(fault.start_ms, partial(words.begins, by_hand=True), fault)
        for fault, ended in done.ended:
            self._by_hand[self._by_hand.index(fault)] = ended
            self._announce(ended.end_ms, partial(words.ends, by_hand=True), ended)
        orders.tell(self._hand.state(self._beginning))

    def _announce(self, at_ms: float, how: Callable[..., RenderableType], fault: Fault) -> None:
        """Say something that happens to an engine when the readings are there."""
        if math.isfinite(at_ms):
            time_ms = self._beginning + int(at_ms)
            asset = self._fleet.assets[fault.engine]
            told: _News = (time_ms, next(self._numbers), partial(how, fault, asset, time_ms))
            heapq.heappush(self._news, told)


def _now() -> int:
    return time.time_ns() // 1_000_000
