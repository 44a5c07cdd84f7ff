"""Where a demo happens: its broker, its daemon, and our own connections, started in order and stopped in order."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Self

from config.classes import resolve_classes
from config.load import load
from monitor import broker
from monitor.demo.daemon import Sweeper, settings_file, simulator_topic
from monitor.demo.home import STEP_S, DemoError, Home
from monitor.demo.watch import Listener, Watch
from simulator.fleet import asset_names
from simulator.ordered import OrderLink
from simulator.publish import Publisher

if TYPE_CHECKING:
    from pathlib import Path

    from config.settings import MqttSettings
    from monitor.demo.screen import Signals
    from monitor.demo.wishes import Wishes

SWEEP_LIMIT_S = 5.0


class House(Home):
    """The house of the demo on one machine.

    The broker is reached and the daemon started on entering. That raises DemoError, ProcessError, SettingsError
    and MqttError where something cannot be used, and Stopped.
    """

    def __init__(self, wishes: Wishes, folder: Path, signals: Signals) -> None:
        """The folder is empty, and the demo's own."""
        super().__init__(folder, signals)
        self._wishes = wishes
        # The daemon's, and by that its client id's, so that demos do not disturb each other at a broker of others.
        self._daemon_id = f"demo-{os.getpid()}"
        self._client_id = f"enginewatch-{self._daemon_id}-fleet"
        self._reached = False  # the broker

    def __enter__(self) -> Self:
        with self._parts:  # undone where a part fails
            self._mqtt = self._start_broker() if self._wishes.own_broker else self._wishes.mqtt
            self._start_daemon()  # all processes come before our threads: a fork copies the locks that they hold
            self.publisher = self._reach_broker()
            self.listener = self._listen()
            self.orders = self._take_orders()
            self._parts = self._parts.pop_all()
        return self

    # For the session.

    def wait_ready(self) -> None:
        """Wait until the daemon hears the broker, and we hear the daemon."""
        try:
            self.wait(
                lambda: self.watch.listening() and self.listener.subscribed and self.watch.page(),
                "nothing goes through",
            )
        except DemoError as error:
            reason = self.listener.problem or self.watch.broker()
            raise DemoError(f"{error}: {reason}") from error

    def stop_daemon(self) -> None:
        """Stop the daemon, in order: what it knows is in its store then."""
        self._children.pop().stop()

    # The parts.

    def _start_broker(self) -> MqttSettings:
        """Start the broker; returns the way to it."""
        program = broker.program()
        assert program is not None  # the command has looked
        child = self._child("broker", [program, *broker.write_settings(self._folder / "broker.json")])
        self.wait(lambda: broker.port_in(child.said()) is not None, "the broker does not listen")
        return self._wishes.mqtt.model_copy(update={"host": broker.HOST, "port": broker.port_in(child.said())})

    def _reach_broker(self) -> Publisher:
        """Connect, so that what is wrong with the way to the broker is told at once."""
        publisher = Publisher(self._mqtt, self._client_id, site=self._wishes.site)
        self._parts.callback(publisher.stop)
        publisher.start()
        self.wait(
            lambda: publisher.connected or publisher.problem or publisher.failed, "the broker does not answer"
        )
        if not publisher.connected:
            raise DemoError(publisher.problem or f"the connection failed: {publisher.failed}")
        self._reached = True
        return publisher

    def _start_daemon(self) -> None:
        """Start the daemon, with settings that are checked here."""
        wishes = self._wishes
        file = self._folder / "enginewatch.toml"
        text = settings_file(self._mqtt, daemon_id=self._daemon_id, site=wishes.site, influx=wishes.influx)
        file.write_text(text, encoding="utf-8")
        loaded = load(file, environment={})
        (engine,) = resolve_classes(loaded)
        self.settings = loaded.settings
        self.window = engine.window or 0
        self.period_ms = engine.period_ms
        self.watch = Watch(
            self._folder / "state",
            influx=wishes.influx is not None,
            acknowledged=lambda: self.publisher.counters.acknowledged_values,
        )
        self._parts.callback(self.watch.close)
        if not wishes.own_broker:
            self._parts.callback(self._sweep)  # after the daemon has stopped
        self._child("daemon", [sys.executable, "-m", "monitor.cli", "monitor", "--config", str(file)])

    def _listen(self) -> Listener:
        topic = f"{self._mqtt.root}/v1/{self._wishes.site}/+/alert/event"
        listener = Listener(self._mqtt, f"{self._client_id}-alerts", topic)
        self._parts.callback(listener.stop)
        listener.start()
        return listener

    def _take_orders(self) -> OrderLink:
        topic = simulator_topic(self._mqtt.root, self._daemon_id)
        orders = OrderLink(self._mqtt, f"{self._client_id}-orders", topic)
        self._parts.callback(orders.stop)
        orders.start()
        return orders

    def _sweep(self) -> None:
        """Leave nothing at a broker that is not ours."""
        if not self._reached:
            return
        assets = asset_names(self._wishes.engines)
        sweeper = Sweeper(self._mqtt, self._daemon_id, self._client_id, self._wishes.site, assets)
        sweeper.start()
        until = time.monotonic() + SWEEP_LIMIT_S
        while not sweeper.done and not sweeper.problem and time.monotonic() < until:
            time.sleep(STEP_S)
        sweeper.stop()
