"""`enginewatch doctor`: every hop from the settings to whom is told, one after the other, and what to change."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from config.classes import resolve_classes
from config.mistakes import SettingsError
from config.options import add_settings_options, load_from_options
from monitor.commands.looked_at import line, quiet, seconds
from monitor.doctor import findings
from monitor.doctor.facts import HOPS, DaemonFacts, Finding, State

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping, Sequence

    from config.classes import ResolvedClass
    from monitor.doctor.facts import BrokerFacts, LineFacts

WAIT_S = 10.0
GATHER_PERIODS = 3  # of the slowest class: enough to see how far its readings are apart
GATHER_S = (2.0, 30.0)
WIDTH = max(len(hop) for hop in HOPS)


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    add_settings_options(parser)
    parser.add_argument(
        "--wait",
        type=seconds,
        default=WAIT_S,
        metavar="SECONDS",
        help="how long to wait for a first message (default %(default)g)",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line: hop, state, said, remedy")


def run(options: argparse.Namespace) -> int:
    """Print a line as each hop is through; exit code 1 where one failed, 2 where the settings are wrong."""
    told: list[Finding] = []
    with quiet():
        for finding in _look(options):
            told.append(finding)
            sys.stdout.write(line(finding, WIDTH, as_json=options.json))
            sys.stdout.flush()
    return findings.exit_code(told)


def _look(options: argparse.Namespace) -> Iterator[Finding]:
    """The hops in their order."""
    try:
        loaded = load_from_options(options)
        classes = resolve_classes(loaded)
    except SettingsError as error:
        yield from (Finding("settings", State.FAILED, line) for line in error.lines)
        yield from findings.skipped(HOPS[1:], "the settings are wrong")
        return
    settings = loaded.settings
    names = ", ".join(f"{each.name} ({len(each.sensors)} sensors, {each.period_ms} ms)" for each in classes)
    yield Finding("settings", State.OK, f"{loaded.path or 'no file'}: {names}")

    from monitor.assemble import beside_filters, line_spec, topic_filters  # noqa: PLC0415 - the settings are told before what takes long to load
    from monitor.doctor import broker, place, trial  # noqa: PLC0415 - as above

    classes = place.in_use(settings, classes)
    yield findings.model(list(place.models(settings, classes)))
    filters = topic_filters(settings, classes)
    running = place.is_running(settings.daemon.state_dir)
    before, _ = place.noted(settings.daemon.state_dir)
    began = time.monotonic()
    beside = beside_filters(settings, classes)
    seen = broker.look(settings.mqtt, filters, beside, wait_s=options.wait, gather_s=_gather_s(classes))
    line = trial.run(line_spec(settings, classes), seen.messages, time.time_ns() // 1_000_000)
    theirs = {each.name: set(topic_filters(settings, [each])) for each in classes}
    seen, line = _by_class(theirs, seen, line)
    after, word = place.noted(settings.daemon.state_dir)
    yield from _of_the_broker(seen, line)
    daemon = DaemonFacts(
        running,
        before,
        after,
        broker=word,
        topics=tuple(filters),
        unmodelled=tuple(each.name for each in classes if each.model is None),
        messages=seen.fresh,
        waited_s=time.monotonic() - began,
    )
    yield findings.score(daemon)
    yield findings.store(place.folder(settings))
    yield findings.influx(place.influx(settings.influx, settings.daemon.id))
    yield findings.channels(list(place.channels(settings)))
    yield findings.http(place.http(settings, running=running))
    if seen.connected:
        yield findings.limits(seen)
        yield findings.clock(line)
    else:
        yield from findings.skipped(("limits", "clock"), "not connected to the broker")


def _by_class(theirs: Mapping[str, set[str]], seen: BrokerFacts, line: LineFacts) -> tuple[BrokerFacts, LineFacts]:
    """The facts with the classes of which nothing came, and of which nothing could be read."""
    read = {each.asset_class for each in line.streams}
    known = {topic for name in read for topic in theirs[name]}  # what comes here may all be another class's
    silent = [name for name, filters in theirs.items() if not filters & seen.heard]
    unread = [name for name, filters in theirs.items() if name not in read and filters & seen.heard - known]
    return replace(seen, silent=tuple(silent)), replace(line, unread=tuple(unread))


def _of_the_broker(seen: BrokerFacts, line: LineFacts) -> Iterator[Finding]:
    """From the connection to the tick; what lies behind a hop that failed is skipped."""
    hops = ("connect", "subscribe", "first message", "decode", "tick")
    found = [findings.connect(seen)]
    if found[-1].state is State.OK:
        found.append(findings.subscribe(seen))
    if found[-1].state is State.OK:
        found.append(findings.first_message(seen))
    if seen.fresh or seen.retained:
        found.append(findings.decode(line))
    if seen.fresh:
        found.append(findings.tick(line))
    yield from found
    failed = next((each.hop for each in found if each.state is State.FAILED), "")
    yield from findings.skipped(hops[len(found) :], f"{failed} failed")


def _gather_s(classes: Sequence[ResolvedClass]) -> float:
    """How long to listen behind the first message."""
    slowest = max(each.period_ms * GATHER_PERIODS + each.lateness_ms for each in classes) / 1000
    return min(max(slowest, GATHER_S[0]), GATHER_S[1])
