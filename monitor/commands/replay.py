"""`enginewatch replay`: publish recorded files over MQTT, as if they happened now."""

from __future__ import annotations

import argparse
import json
import logging
import math
import os
import signal
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import structlog
from pydantic import ValidationError
from rich.console import Console
from rich.live import Live

from config.settings import MqttSettings, TlsSettings
from monitor.cli import UserError
from monitor.commands.recordings import read, recording_arguments
from monitor.mqtt import MqttError
from simulator.publish import Publisher, PublishError
from simulator.replay import Plan, period_of, plan

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simulator.recording import Recording

PORTS = {"mqtt": 1883, "mqtts": 8883}
FLUSH_LIMIT_S = 30.0  # for the last acknowledgements
SHOWN_EVERY_S = 0.25  # the live line


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    recording_arguments(parser, files="CSV or Parquet", period="distance of the rows where there is no time")
    parser.add_argument(
        "--broker",
        default="mqtt://127.0.0.1:1883",
        metavar="URL",
        help="mqtt://user@host:port, or mqtts:// for TLS",
    )
    parser.add_argument("--password-file", type=Path, metavar="FILE", help="password of the user")
    parser.add_argument(
        "--ca-file", type=Path, metavar="FILE", help="authority that signed the broker's certificate"
    )
    parser.add_argument("--root", default="enginewatch", help="first level of the topics (%(default)s)")
    parser.add_argument("--site", default="replay", help="site in the topics (%(default)s)")
    parser.add_argument(
        "--speed",
        type=_speed,
        default=1.0,
        metavar="X",
        help="times real time, or max: as fast as acknowledged (1)",
    )
    parser.add_argument("--summary", type=Path, metavar="FILE", help="write the counts here, as JSON")


def run(options: argparse.Namespace) -> int:
    """Replay; 0 where the broker took every reading, 130 where the user broke it off, else 1."""
    settings = _settings(options)
    recordings = _recordings(options)
    if options.summary is not None and not options.summary.parent.is_dir():
        raise UserError(f"--summary: there is no folder {options.summary.parent}")
    try:
        publisher = Publisher(settings, f"enginewatch-replay-{os.getpid()}", site=options.site)
    except MqttError as error:
        raise UserError(_in_options(error)) from error
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ended in order, as by Ctrl-C
    with _only_errors_logged():
        publisher.start()
        try:
            publisher.wait_connected()
            planned = plan(recordings, speed=options.speed, start=time.time_ns() // 1_000_000)
            return _replay(publisher, planned, options.summary)
        except PublishError as error:
            raise UserError(_in_options(error)) from error
        finally:
            publisher.stop()


@contextmanager
def _only_errors_logged() -> Iterator[None]:
    """The live line says what happens; a log between its updates would tear it."""
    before = structlog.get_config()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    try:
        yield
    finally:
        structlog.configure(**before)


def _replay(publisher: Publisher, planned: Plan, summary: Path | None) -> int:
    """Publish the plan and keep the books, which are written also when the user breaks it off."""
    console = Console(stderr=True)
    books = _Books(publisher, planned)
    try:
        with Live(console=console, auto_refresh=False, transient=True) as live:
            books.publish_all(live)
        code = 0
    except KeyboardInterrupt:
        code = 130
    except PublishError as error:
        console.print(f"enginewatch replay: {error}", highlight=False, markup=False)
        code = 1
    for recording in planned.recordings:
        publisher.retire(recording.asset)
    publisher.wait_delivered(FLUSH_LIMIT_S)
    result = books.result()
    if summary is not None:
        summary.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    console.print(books.line(), highlight=False, markup=False)
    return code or int(result["acknowledged_messages"] != result["messages"])


class _Books:
    """What was published, when, and what the broker took over."""

    def __init__(self, publisher: Publisher, planned: Plan) -> None:
        self._publisher = publisher
        self._planned = planned
        self._began = time.monotonic()
        self._shown = 0.0
        self._first_time: int | None = None
        self._last_time: int | None = None

    def publish_all(self, live: Live) -> None:
        """Publish every row when it is due."""
        for recording in self._planned.recordings:
            self._publisher.announce(recording.asset, dict.fromkeys(recording.sensors, ""), period_of(recording))
        for due, asset, at, values in self._planned.rows():
            self._wait_until(due, live)
            self._publisher.send(asset, at, values)
            self._first_time = at if self._first_time is None else self._first_time
            self._last_time = at

    def _wait_until(self, due: float, live: Live) -> None:
        """Wait for the moment and for room in flight; the live line goes on meanwhile."""
        self._show(live)
        while (left := self._began + due - time.monotonic()) > 0:
            time.sleep(min(left, SHOWN_EVERY_S))
            self._show(live)
        while not self._publisher.wait_room(SHOWN_EVERY_S):
            self._show(live)

    def _show(self, live: Live) -> None:
        if time.monotonic() - self._shown >= SHOWN_EVERY_S:
            self._shown = time.monotonic()
            live.update(f"{self.line()} {self._publisher.problem}", refresh=True)

    def line(self) -> str:
        """The counts as a sentence."""
        counters = self._publisher.counters
        rate = counters.acknowledged_messages / max(time.monotonic() - self._began, 1e-9)
        return (
            f"{counters.messages} of {len(self._planned.time)} rows sent, "
            f"{counters.acknowledged_messages} acknowledged ({rate:.0f}/s)"
        )

    def result(self) -> dict[str, Any]:
        """The summary. `start_time` is the published time of each recording's first row, empty or not."""
        counters = self._publisher.counters
        assets = [recording.asset for recording in self._planned.recordings]
        return {
            "assets": len(assets),
            "messages": counters.messages,
            "values": counters.values,
            "acknowledged_messages": counters.acknowledged_messages,
            "acknowledged_values": counters.acknowledged_values,
            "first_time": self._first_time,
            "last_time": self._last_time,
            "start_time": dict(zip(assets, self._planned.starts(), strict=True)),
        }


def _settings(options: argparse.Namespace) -> MqttSettings:
    """The connection that the options describe."""
    try:
        url = urlsplit(options.broker)
        port = url.port
    except ValueError as error:
        raise UserError(f"--broker {options.broker}: {error}") from error
    if url.scheme not in PORTS or not url.hostname or url.path.strip("/") or url.query:
        raise UserError("--broker takes mqtt://user@host:port or mqtts://user@host:port")
    if url.password is not None:
        raise UserError("a password on the command line is seen by every user of this host: use --password-file")
    if not options.site or set(options.site) & set("+#/"):
        raise UserError(f"--site {options.site!r} cannot be a topic level")
    try:
        return MqttSettings(
            host=url.hostname,
            port=port or PORTS[url.scheme],
            username=unquote(url.username or ""),
            password_file=options.password_file,
            root=options.root,
            tls=TlsSettings(enabled=url.scheme == "mqtts", ca_file=options.ca_file),
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def _recordings(options: argparse.Namespace) -> list[Recording]:
    recordings = read(options, period_ms=options.period_ms, columns=options.columns)
    if not any(len(recording.time) for recording in recordings):
        raise UserError("there are no rows to replay: check the files and --assets")
    return recordings


def _in_options(error: Exception) -> str:
    """The settings that an error names have options here."""
    return f"{error} (here by --broker, --password-file and --ca-file)"


def _speed(text: str) -> float:
    try:
        speed = math.inf if text == "max" else float(text)
    except ValueError:
        speed = math.nan
    if not speed > 0 or (math.isinf(speed) and text != "max"):
        raise argparse.ArgumentTypeError(f"{text!r} is neither a positive number nor max")
    return speed
