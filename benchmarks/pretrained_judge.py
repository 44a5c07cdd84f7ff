"""What the pretrained model finds, with the settings that ship: every fault of the catalogue, and false alarms.

Simulated fleets that neither the training nor the demo has seen go message by message through
`monitor.pipeline.step` under the default settings, so that what is judged is what ships.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.pretrained_data import JUDGING_SEEDS, PERIOD_MS
from config.classes import resolve_classes
from config.load import load
from models.metrics import poisson_interval
from models.runtime import load_model
from monitor.assemble import line_spec
from monitor.decode import TELEMETRY_TOPIC, encode_telemetry, fill
from monitor.pipeline import step
from monitor.records import Batch, Change, Message, Record, Transition
from monitor.state import LineState
from simulator.fault_kinds import LEVELS
from simulator.faults import ENGINE_FAULTS, SENSOR_FAULTS, Fault
from simulator.fleet import Fleet
from simulator.records import SENSORS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from monitor.records import AlertEvent

BEGINNING = 1_790_000_000_000  # any time will do
BLOCK = 40  # ticks a record: what arrives while a daemon is busy
ENGINES_EACH = 8  # engines for each kind and severity
NORMAL_MINUTES, FAULTY_MINUTES = 10, 5  # "decoupled" plays back what was up to ten minutes ago
DAY_S = 86_400.0
ROOT, SITE = "enginewatch", "fleet"
# In turn; not those that stand still in many states, so that a stuck one could be nothing else.
FAULTY_SENSORS = ("map", "oil_pressure", "coolant_temperature", "engine_speed", "exhaust_gas_temperature", "maf",
                  "vibration_rms", "control_module_voltage")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Found:
    """What became of the faults of one kind and severity."""

    kind: str
    severity: str
    faults: int
    seconds: tuple[float, ...]  # to the alert, of those that were found
    incidents: str  # kinds of incident that fired, with how often
    named: int  # of the found faults: the failing sensor was the incident's own, or its first


@dataclass(frozen=True, slots=True)
class Quiet:
    """False alarms on engines without a fault."""

    days: float  # engine-days in operation
    incidents: int
    interval: tuple[float, float]  # per engine-day, 95 %
    causes: str


def alerts_of(folder: Path, fleet: Fleet, ticks: int) -> tuple[list[AlertEvent], int]:
    """What the line says of a fleet, and how many readings there were."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "settings.toml"
        path.write_text(f'[[classes]]\nname = "engine"\nmodel = "{folder.resolve()}"\nfile = "{_asset_file()}"\n')
        loaded = load(path, environment={})
        spec = line_spec(loaded.settings, resolve_classes(loaded))
    models = {spec.classes[0].model_hash: load_model(folder)}
    state = LineState.empty(spec)
    events = list(step(state, Record(1, BEGINNING, Change(listening=True)), models).events)
    readings = 0
    for position, (time, messages) in enumerate(_messages(fleet, ticks), start=2):
        readings += len(messages)
        events += step(state, Record(position, time, Batch(messages)), models).events
    return events, readings


def _asset_file() -> Path:
    return Path(__file__).parent.parent / "config" / "assets" / "engine.toml"


def _messages(fleet: Fleet, ticks: int) -> Iterator[tuple[int, list[Message]]]:
    """The fleet's messages as they would arrive, a block at a time."""
    names = tuple(SENSORS)
    topics = [fill(TELEMETRY_TOPIC, root=ROOT, site=SITE, area="", asset=asset).encode() for asset in fleet.assets]
    for begun in range(0, ticks, BLOCK):
        block = fleet.block(min(BLOCK, ticks - begun))
        messages = []
        for at, row, runs in zip(
            (block.time + BEGINNING).tolist(), block.values.tolist(), block.running, strict=True
        ):
            for engine in np.flatnonzero(runs).tolist():
                values = dict(zip(names, row[engine], strict=True))
                payload = encode_telemetry(time=at, boot="", seq=0, values=values)
                messages.append(Message(topics[engine], payload, at, len(payload)))
        yield int(block.time[-1]) + BEGINNING, messages


def faults_found(folder: Path) -> tuple[list[Found], int]:
    """Every kind of fault at every severity on engines of mixed duty; also the incidents before any fault."""
    groups = [(kind, level) for kind in (*ENGINE_FAULTS, *SENSOR_FAULTS) for level in LEVELS]
    start = NORMAL_MINUTES * 60_000
    faults = [
        Fault(
            engine=index,
            kind=kind,
            severity=level,
            start_ms=start,
            duration_ms=FAULTY_MINUTES * 60_000,
            sensor=FAULTY_SENSORS[index % len(FAULTY_SENSORS)] if kind in SENSOR_FAULTS else "",
        )
        for index, (kind, level) in enumerate(group for group in groups for _ in range(ENGINES_EACH))
    ]
    fleet = Fleet(len(faults), seed=JUDGING_SEEDS[0], faults=faults, period_ms=PERIOD_MS)
    ticks = (NORMAL_MINUTES + FAULTY_MINUTES) * 60_000 // PERIOD_MS
    events, _ = alerts_of(folder, fleet, ticks)
    fired = [event for event in events if event.transition is Transition.FIRED and event.kind != "stale"]
    early = sum(event.time < BEGINNING + start for event in fired)
    found = []
    for number, (kind, level) in enumerate(groups):
        group = faults[number * ENGINES_EACH : (number + 1) * ENGINES_EACH]
        found.append(_found(kind, level, group, fleet.assets, fired))
    return found, early


def _found(
    kind: str, level: str, group: Sequence[Fault], assets: Sequence[str], fired: Sequence[AlertEvent]
) -> Found:
    seconds, kinds, named = [], Counter[str](), 0
    for fault in group:
        begun = BEGINNING + fault.start_ms
        its = [e for e in fired if e.stream.rpartition("/")[2] == assets[fault.engine] and e.time >= begun]
        if its:
            first = min(its, key=lambda event: event.time)
            seconds.append((first.time - begun) / 1000)
            kinds[first.kind] += 1
            first_sensor = first.sensor or (first.top[0].sensor if first.top else "")
            named += bool(fault.sensor) and first_sensor == fault.sensor
    words = ", ".join(f"{name} {count}" for name, count in sorted(kinds.items()))
    return Found(kind, level, len(group), tuple(seconds), words, named)


def quiet_days(folder: Path, days: float, *, engines: int = 24) -> Quiet:
    """False alarms of engines of mixed duty that are switched off and on now and then."""
    fleet = Fleet(engines, seed=JUDGING_SEEDS[1], period_ms=PERIOD_MS, stops=1.0)
    ticks = int(days * DAY_S * 1000 / PERIOD_MS / engines)
    events, readings = alerts_of(folder, fleet, ticks)
    fired = [event for event in events if event.transition is Transition.FIRED and event.kind != "stale"]
    causes = Counter(
        f"{event.kind} {event.sensor or (event.top[0].sensor if event.top else '')}" for event in fired
    )
    seen = readings * PERIOD_MS / 1000 / DAY_S
    low, high = poisson_interval(len(fired))
    words = ", ".join(f"{name} {count}" for name, count in causes.most_common())
    return Quiet(seen, len(fired), (low / seen, high / seen), words)


def report(found: Sequence[Found], early: int, quiet: Quiet) -> str:
    """The judgement as a chapter of the model's card."""
    engines = sum(each.faults for each in found)
    lines = [
        "## What it finds",
        "",
        f"Judged by `monitor.pipeline.step` with the default settings on {engines} simulated engines",
        f"that it has not seen, of mixed duty: {NORMAL_MINUTES} minutes without a fault, then one that comes at once and",
        f"lasts {FAULTY_MINUTES} minutes. A fault is found when an incident fires while it lasts. Incidents before",
        f"any fault began: {early}.",
        "",
        "| fault | severity | found | median s to the alert | incidents | sensor named |",
        "|---|---|---|---|---|---|",
    ]
    for each in found:
        median = f"{np.median(each.seconds):.0f}" if each.seconds else ""
        named = f"{each.named} of {len(each.seconds)}" if each.kind in SENSOR_FAULTS and each.seconds else ""
        count = f"{len(each.seconds)} of {each.faults}"
        lines.append(f"| {each.kind} | {each.severity} | {count} | {median} | {each.incidents} | {named} |")
    low, high = quiet.interval
    rate = quiet.incidents / quiet.days
    lines += [
        "",
        "## False alarms",
        "",
        f"{quiet.incidents} incidents in {quiet.days:.1f} engine-days of operation without a fault, with starts",
        f"and stops: {rate:.2f} per engine-day, 95 % interval {low:.2f} to {high:.2f} (Poisson, Garwood). By kind and",
        f"leading sensor: {quiet.causes or 'none'}.",
    ]
    return "\n".join(lines) + "\n"
