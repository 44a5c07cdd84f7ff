"""`enginewatch simulate`: a fleet of engines, healthy or failing, published over MQTT or written to a file."""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import signal
import time
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from monitor.cli import UserError
from monitor.commands.common import show
from monitor.commands.connection import broker_arguments, mqtt_settings
from monitor.commands.numbers import LARGEST_SEED, number, whole_number
from monitor.commands.publishing import connected, layout_argument, speed, writable_summary
from monitor.commands.simulation import Simulation
from simulator.duty import DUTIES
from simulator.fault_kinds import FAULTS, LEVELS
from simulator.fleet import Fleet, asset_names
from simulator.output import OutputError, check_output, check_place, open_output, whole_file
from simulator.schedule import SYNTAX, ScheduleError, checked, draw_faults, from_line, from_toml, milliseconds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from config.settings import MqttSettings
    from simulator.faults import Fault
    from simulator.ordered import OrderLink
    from simulator.schedule import Entry

FASTEST_HZ, SLOWEST_HZ = 20.0, 0.5  # between them the physics have been checked
MOST_ENGINES = 10_000
FILE_BEGINS = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000)  # not now: same seed, same bytes
ROWS_A_BLOCK = 20_000  # written at a time
RANDOM_FOR_MS = 7 * 86_400_000  # an endless run has random faults for so long

SPOOL = (
    "after a lost connection send again what was acknowledged in the last SECONDS before it; the daemon knows "
    "repeats of up to align.repeat_ticks, 8 s at 2 Hz (0)"
)


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add = parser.add_argument_group("the fleet").add_argument
    add("--engines", type=whole_number(1, MOST_ENGINES), default=12, metavar="N", help="how many (%(default)s)")
    add(
        "--rate",
        type=number(SLOWEST_HZ, FASTEST_HZ),
        default=2.0,
        metavar="HZ",
        help="readings a second of each (%(default)g)",
    )
    add("--duration", type=_duration, default=math.inf, metavar="TIME", help="such as 90s, 5m, 2h (endless)")
    add(
        "--seed",
        type=whole_number(0, LARGEST_SEED),
        default=0,
        metavar="N",
        help="same seed, same readings (%(default)s)",
    )
    add("--duty", choices=DUTIES, default="mixed", help="what the engines are asked to do (%(default)s)")
    add("--stops", action="store_true", help="engines are switched off and on again now and then")
    add("--cold", action="store_true", help="start at ambient temperature, not warmed up")
    add("--ambient", type=number(-40, 50), metavar="°C", help="mean temperature of the day (each its own)")
    add("--altitude", type=number(-400, 5000), metavar="M", help="metres above the sea (each its own)")
    add = parser.add_argument_group("faults").add_argument
    add("--fault", action="append", default=[], metavar="LINE", help=f"any number of them: {SYNTAX}")
    add("--faults", type=Path, metavar="FILE", help="a TOML file with tables [[faults]]: the same words as keys")
    add("--random-faults", type=float, default=0.0, metavar="RATE", help="mean number per engine and hour (0)")
    add("--list-faults", action="store_true", help="show every kind with its severities, and why they are so")
    add("--truth", type=Path, metavar="FILE", help="write what really was wrong here, as JSON")
    add = parser.add_argument_group("to a file, in place of a broker").add_argument
    add("--out", type=Path, metavar="FILE", help="write .csv or .parquet: time (epoch ms), asset, sensors")
    add("--replace", action="store_true", help="overwrite --out and --truth")
    group = parser.add_argument_group("to a broker")
    broker_arguments(group, site="simulated")
    layout_argument(group)
    add = group.add_argument
    add("--speed", type=speed, default=1.0, metavar="X", help="times real time, or max: as acknowledged (1)")
    add("--spool", type=number(0, 3600), default=0.0, metavar="SECONDS", help=SPOOL)
    add("--truth-topic", metavar="TOPIC", help="where faults are told as they begin and end (ROOT/_truth)")
    add(
        "--take-faults",
        metavar="TOPIC",
        help="take orders for faults at TOPIC/order, such as the page gives (http.simulator_topic)",
    )
    parser.add_argument("--summary", type=Path, metavar="FILE", help="write the counts here, as JSON")


def run(options: argparse.Namespace) -> int:
    """Simulate; 0 where all was written or taken by the broker, 130 where the user broke it off, else 1."""
    if options.list_faults:
        _list_faults()
        return 0
    writable_summary(options.summary)
    _check_outputs(options)
    try:
        if options.truth is not None:
            check_place(options.truth, replace=options.replace)
        return _write(options) if options.out is not None else _publish(options)
    except OutputError as error:
        raise UserError(str(error)) from error


def _check_outputs(options: argparse.Namespace) -> None:
    """Raises UserError where two outputs would be one file, or an option has no meaning."""
    given = {name: getattr(options, name) for name in ("out", "truth", "summary") if getattr(options, name)}
    for one, other in itertools.combinations(given, 2):
        if given[one].resolve() == given[other].resolve():
            raise UserError(f"--{one} and --{other} are both {given[one]}: give each a file of its own")
    if options.out is not None and (options.spool or options.speed != 1):
        raise UserError("--out writes a file as fast as it can: leave out --speed and --spool")


def _ticks(options: argparse.Namespace) -> float:
    """How many ticks there are; infinite where there is no end."""
    duration: float = options.duration  # ms
    return duration if math.isinf(duration) else math.ceil(duration / _period_ms(options))


def _period_ms(options: argparse.Namespace) -> int:
    rate: float = options.rate
    return round(1000 / rate)


def _fleet(options: argparse.Namespace) -> Fleet:
    """The fleet. It takes a while to warm up, so whatever can be wrong is checked before. Raises UserError."""
    return Fleet(
        engines=options.engines,
        seed=options.seed,
        duty=options.duty,
        faults=_faults(options, _ticks(options) * _period_ms(options)),
        period_ms=_period_ms(options),
        start="cold" if options.cold else "warm",
        stops=float(options.stops),
        ambient=options.ambient,
        altitude=options.altitude,
    )


def _truth(options: argparse.Namespace, fleet: Fleet, beginning: int) -> str:
    """The contents of the truth file; times are epoch ms."""
    told = {
        "beginning": beginning,
        "period_ms": _period_ms(options),
        "engines": options.engines,
        "seed": options.seed,
        "duty": options.duty,
        "faults": fleet.truth(beginning),
    }
    return json.dumps(told, indent=2) + "\n"


def _faults(options: argparse.Namespace, end_ms: float) -> list[Fault]:
    """Those by hand and those at random. Raises UserError."""
    assets = asset_names(options.engines)
    try:
        entries: list[Entry] = [from_line(line, f"--fault {line!r}", assets) for line in options.fault]
        if options.faults is not None:
            entries += from_toml(_text(options.faults), str(options.faults), assets)
        drawn = draw_faults(
            options.random_faults,
            options.engines,
            RANDOM_FOR_MS if math.isinf(end_ms) else int(end_ms),
            options.seed,
            beside=checked(entries, end_ms),
        )
    except ScheduleError as error:
        raise UserError(str(error)) from error
    return [entry.fault for entry in entries] + drawn


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UserError(f"--faults {path}: {reason}") from error


def _write(options: argparse.Namespace) -> int:
    """Write the fleet to a file."""
    if math.isinf(options.duration):
        raise UserError("--out needs a --duration: a file has an end")
    check_output(options.out, replace=options.replace)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ended in order, as by Ctrl-C
    fleet = _fleet(options)
    rows, left = 0, int(_ticks(options))
    with ExitStack() as stack:
        if options.truth is not None:
            truth = stack.enter_context(whole_file(options.truth))
            truth.write_text(_truth(options, fleet, FILE_BEGINS), encoding="utf-8")
        write = stack.enter_context(open_output(options.out, fleet.assets))
        while left:
            block = fleet.block(min(left, max(1, ROWS_A_BLOCK // options.engines)))
            write(block, FILE_BEGINS)
            left -= len(block.time)
            rows += int(block.running.sum())
        if options.summary is not None:
            counts = {"engines": options.engines, "rows": rows, "file": str(options.out)}
            summary = stack.enter_context(whole_file(options.summary))
            summary.write_text(json.dumps(counts, indent=2) + "\n", encoding="utf-8")
    return 0


def _publish(options: argparse.Namespace) -> int:
    """Publish the fleet."""
    settings = mqtt_settings(options)
    if math.isinf(options.duration) and options.speed > 1:
        raise UserError("--speed above 1 needs a --duration: an endless run would get ahead of the clock")
    topic = f"{settings.root}/_truth" if options.truth_topic is None else options.truth_topic
    _check_topic("--truth-topic", topic, settings.root)
    if options.take_faults is not None:
        _check_topic("--take-faults", options.take_faults, settings.root)
        if options.speed != 1:
            raise UserError("--take-faults needs a fleet in real time: leave out --speed")
    fleet = _fleet(options)
    with (
        connected(options, spool_s=options.spool, layout=options.layout) as publisher,
        _orders(options, settings) as orders,
    ):
        simulation = Simulation(
            publisher,
            fleet,
            ticks=_ticks(options),
            period_ms=_period_ms(options),
            speed=options.speed,
            now=time.time_ns() // 1_000_000,
            truth_topic=topic,
            orders=orders,
        )
        if options.truth is not None:
            with whole_file(options.truth) as truth:
                truth.write_text(_truth(options, fleet, simulation.beginning), encoding="utf-8")
        return simulation.carry_out("simulate", options.summary)


@contextmanager
def _orders(options: argparse.Namespace, settings: MqttSettings) -> Iterator[OrderLink | None]:
    """Where faults by order come from; None where nobody asked for them."""
    if options.take_faults is None:
        yield None
        return
    from simulator.ordered import OrderLink  # noqa: PLC0415 - for those who take orders

    link = OrderLink(settings, f"enginewatch-simulate-{os.getpid()}-orders", options.take_faults)
    link.start()
    try:
        yield link
    finally:
        link.stop()


def _check_topic(option: str, topic: str, root: str) -> None:
    """Nothing that a daemon reads may tell it the truth."""
    if not topic or set(topic) & set("+#\0") or topic.startswith("$"):
        raise UserError(f"{option} {topic!r} cannot be a topic: leave out +, #, and a leading $")
    if topic.startswith((f"{root}/v1/", f"{root}/_monitor/", f"{root}/_publisher/")):
        other = "_truth" if option == "--truth-topic" else "_simulator"
        raise UserError(f"{option} {topic}: the monitor reads there; take one such as {root}/{other}")


def _list_faults() -> None:
    rows = [
        {
            "kind": kind.name,
            "of": "sensor" if kind.on_sensor else "engine",
            **{level: f"{kind.severities[level]:g}" for level in LEVELS},
            "unit": kind.unit,
            "what": kind.what,
            "why these": kind.reason,
        }
        for kind in FAULTS.values()
    ]
    show(rows, list(rows[0]), as_json=False)


def _duration(text: str) -> float:
    if text == "endless":
        return math.inf
    try:
        time_ms = milliseconds(text)
    except ScheduleError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if time_ms <= 0:
        raise argparse.ArgumentTypeError(f"{text} is not positive")
    return time_ms
