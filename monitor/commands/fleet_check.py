"""`enginewatch fleet check`: everything that a job needs, looked at without starting one, and what to change."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from config.classes import resolve_classes
from config.mistakes import SettingsError
from config.options import add_settings_options, load_from_options
from monitor.commands.looked_at import line, quiet, seconds
from monitor.doctor import findings
from monitor.doctor.facts import Finding, State
from monitor.fleet.seen import HOPS

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from config.classes import ResolvedClass
    from config.settings import Settings
    from monitor.spec import LineSpec

WAIT_S = 5.0
WIDTH = max(len(hop) for hop in HOPS)


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    add_settings_options(parser)
    parser.add_argument(
        "--wait",
        type=seconds,
        default=WAIT_S,
        metavar="SECONDS",
        help="how long to wait for each answer of Kafka (default %(default)g)",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line: hop, state, said, remedy")


def run(options: argparse.Namespace) -> int:
    """Print a line as each hop is through; exit code 1 where one failed, 2 where the settings are wrong."""
    failed: list[str] = []
    with quiet():
        for finding in _look(options):
            sys.stdout.write(line(finding, WIDTH, as_json=options.json))
            sys.stdout.flush()
            failed += [finding.hop] * (finding.state is State.FAILED)
    return 2 if "settings" in failed else int(bool(failed))


def _look(options: argparse.Namespace) -> Iterator[Finding]:
    """The hops in their order."""
    try:
        loaded = load_from_options(options)
        classes = resolve_classes(loaded)
    except SettingsError as error:
        yield from (Finding("settings", State.FAILED, said) for said in error.lines)
        yield from findings.skipped(HOPS[1:], "the settings are wrong")
        return
    names = ", ".join(f"{each.name} ({len(each.sensors)} sensors, {each.period_ms} ms)" for each in classes)
    yield Finding("settings", State.OK, f"{loaded.path or 'no file'}: {names}")

    from monitor.assemble import line_spec  # noqa: PLC0415 - the settings are told before what takes long to load
    from monitor.doctor import place  # noqa: PLC0415 - as above
    from monitor.fleet import checkpoint_folder, installed, judged  # noqa: PLC0415 - as above

    settings = loaded.settings
    fleet, spec = settings.fleet, line_spec(settings, classes)
    yield findings.model(list(place.models(settings, classes)))
    yield judged.java(installed.java())
    packages = installed.packages()
    yield judged.packages(packages, fleet)
    yield judged.checkpoint(checkpoint_folder.look(fleet), fleet)
    if "confluent-kafka" in packages.missing:
        yield from findings.skipped(HOPS[HOPS.index("kafka") : -1], "confluent-kafka is not installed")
    else:
        yield from _of_kafka(settings, spec, classes, options.wait)
    yield findings.influx(place.influx(settings.influx, settings.daemon.id))


def _of_kafka(
    settings: Settings, spec: LineSpec, classes: Sequence[ResolvedClass], wait_s: float
) -> Iterator[Finding]:
    """What Kafka holds, and whether the classes can read it."""
    from monitor.doctor import trial  # noqa: PLC0415 - as above
    from monitor.fleet import control, judged, topics  # noqa: PLC0415 - as above

    fleet = settings.fleet
    seen = topics.look(fleet, wait_s=wait_s)
    yield judged.kafka(seen)
    if seen.problem:
        yield from findings.skipped(HOPS[HOPS.index("topics") : -1], "Kafka does not answer")
        return
    yield judged.topics(seen, fleet)
    change = control.encode(control.description(settings, classes))
    yield judged.control(seen, fleet, len(change))
    yield judged.shards(seen, fleet, max_streams=spec.max_streams, stream_bytes=_stream_bytes(spec))
    lines = [trial.run(spec, each.messages, each.newest()) for each in seen.topics]
    yield from judged.records(seen, fleet, lines)


def _stream_bytes(spec: LineSpec) -> int:
    """What an asset's state takes in a checkpoint, of the class that takes the most."""
    from monitor import checkpoint  # noqa: PLC0415 - as above
    from monitor.state import LineState  # noqa: PLC0415 - as above

    sizes = []
    for index in range(len(spec.classes)):
        state = LineState.empty(spec)
        empty = len(checkpoint.encode(0, state))
        state.classes[index].register("site/area/asset")
        sizes.append(len(checkpoint.encode(0, state)) - empty)
    return max(sizes, default=0)
