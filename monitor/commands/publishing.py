"""What `replay` and `simulate` share: a connected publisher, the pace, the live line, and an end in order."""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import time
from abc import ABC, abstractmethod
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.live import Live

from monitor.cli import UserError
from monitor.commands.connection import in_options, mqtt_settings
from monitor.log import only_errors_logged
from monitor.mqtt import MqttError
from simulator.layouts import LAYOUTS
from simulator.output import OutputError, check_place, whole_file
from simulator.publish import Publisher, PublishError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

FLUSH_LIMIT_S = 30.0  # for the last acknowledgements
SHOWN_EVERY_S = 0.25  # the live line


@contextmanager
def connected(options: argparse.Namespace, **more: Any) -> Iterator[Publisher]:
    """A publisher that has reached the broker of the options; it has stopped afterwards. Raises UserError.

    `more` goes to the publisher. From here on SIGTERM ends the command in order, as Ctrl-C does.
    """
    settings = mqtt_settings(options)
    try:
        publisher = Publisher(settings, f"enginewatch-{options.command}-{os.getpid()}", site=options.site, **more)
    except MqttError as error:
        raise UserError(in_options(error)) from error
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with only_errors_logged():
        publisher.start()
        try:
            publisher.wait_connected()
            yield publisher
        except PublishError as error:
            raise UserError(in_options(error)) from error
        finally:
            publisher.stop()


class Run(ABC):
    """One run of a publishing command: what is published when, and what the broker took over."""

    def __init__(self, publisher: Publisher) -> None:
        self.publisher = publisher
        self._began = time.monotonic()
        self._shown = 0.0
        self._live: Live | None = None
        self._first_time: int | None = None
        self._last_time: int | None = None

    @abstractmethod
    def publish_all(self) -> None:
        """Announce the assets and publish every reading when it is due."""

    @abstractmethod
    def line(self) -> str:
        """The counts as a sentence."""

    @abstractmethod
    def online(self) -> Iterable[str]:
        """The assets that have to say goodbye at the end."""

    def carry_out(self, command: str, summary: Path | None) -> int:
        """Publish and keep the books, which are written also when the user breaks it off.

        Returns 0 where the broker took every reading, 130 where the user broke it off, else 1.
        """
        console = Console(stderr=True)
        self._began = time.monotonic()
        try:
            with Live(console=console, auto_refresh=False, transient=True) as self._live:
                self.publish_all()
            code = 0
        except KeyboardInterrupt:
            code = 130
        except PublishError as error:
            console.print(f"enginewatch {command}: {error}", highlight=False, markup=False)
            code = 1
        for asset in self.online():
            self.publisher.retire(asset)
        self.publisher.wait_delivered(FLUSH_LIMIT_S)
        result = self.result()
        console.print(self.line(), highlight=False, markup=False)
        if summary is not None:
            try:
                with whole_file(summary) as file:
                    file.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
            except OutputError as error:
                console.print(f"enginewatch {command}: --summary {error}", highlight=False, markup=False)
                return 1
        return code or int(result["acknowledged_messages"] != result["messages"])

    def result(self) -> dict[str, Any]:
        """The summary."""
        counters = self.publisher.counters
        return {
            "messages": counters.messages,
            "values": counters.values,
            "acknowledged_messages": counters.acknowledged_messages,
            "acknowledged_values": counters.acknowledged_values,
            "resent_messages": counters.resent_messages,
            "resent_values": counters.resent_values,
            "unspooled_messages": counters.unspooled_messages,
            "first_time": self._first_time,
            "last_time": self._last_time,
        }

    # For the runs.

    def send(self, asset: str, at: int, values: dict[str, float]) -> None:
        """Publish one reading."""
        self.publisher.send(asset, at, values)
        self._first_time = at if self._first_time is None else self._first_time
        self._last_time = at

    def wait_until(self, due: float) -> None:
        """Wait for a moment, in seconds after the beginning, and for room; the live line goes on meanwhile."""
        self.show()
        while (left := due - self.elapsed()) > 0:
            time.sleep(min(left, SHOWN_EVERY_S))
            self.show()
        self.wait_room()

    def wait_room(self) -> None:
        """Wait until another reading may be sent; the live line goes on meanwhile."""
        while not self.publisher.wait_room(SHOWN_EVERY_S):
            self.show()

    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._began

    def rate(self) -> float:
        """Messages a second that the broker took over."""
        return self.publisher.counters.acknowledged_messages / max(self.elapsed(), 1e-9)

    def show(self) -> None:
        """Bring the live line up to date, where it is time."""
        if self._live is not None and time.monotonic() - self._shown >= SHOWN_EVERY_S:
            self._shown = time.monotonic()
            self._live.update(f"{self.line()} {self.publisher.problem}", refresh=True)


def layout_argument(parser: argparse._ActionsContainer) -> None:
    """Add `--layout`."""
    words = "one message a reading, one topic a sensor with value and time or a bare number, or line protocol"
    parser.add_argument("--layout", choices=LAYOUTS, default="message", help=f"{words} (%(default)s)")


def writable_summary(summary: Path | None) -> None:
    """Raises UserError where the summary cannot be written: that is told before anything is published."""
    try:
        if summary is not None:
            check_place(summary, replace=True)
    except OutputError as error:
        raise UserError(f"--summary {error}") from error


def speed(text: str) -> float:
    """Times real time; "max" is infinite. Raises ArgumentTypeError."""
    try:
        number = math.inf if text == "max" else float(text)
    except ValueError:
        number = math.nan
    if not number > 0 or (math.isinf(number) and text != "max"):
        raise argparse.ArgumentTypeError(f"{text!r} is neither a positive number nor max")
    return number
