"""What the pretrained model finds, with the settings that ship: every fault of the catalogue, and false alarms.

Simulated fleets that neither the training nor the demo has seen go message by message through
`monitor.pipeline.step` under the default settings, each message arriving at its own time: what is judged is what
ships.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.pretrained_data import PERIOD_MS
from config.classes import resolve_classes
from config.load import load
from models.runtime import load_model
from monitor.assemble import line_spec
from monitor.commands.as_published import Published, messages
from monitor.pipeline import step
from monitor.records import Batch, Change, Record, Transition
from monitor.state import LineState
from simulator.fault_kinds import LEVELS
from simulator.faults import ENGINE_FAULTS, FAULTS, SENSOR_FAULTS, Fault
from simulator.fleet import Fleet
from simulator.records import SENSORS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from monitor.records import AlertEvent, Bool, Model
    from monitor.spec import LineSpec
    from simulator.records import Block

BEGINNING = 1_790_000_000_000  # epoch ms at which the fleets begin; any time will do
SIMULATED = 40  # ticks simulated at once
ARRIVING = 2  # ticks in one record of the journal: alerts are timed to a second
ENGINES_EACH = {"mild": 8, "moderate": 20, "severe": 8}  # of each kind
NORMAL_MINUTES, FAULTY_MINUTES = 30, 10  # an engine has a usual of its own after ten
PROCESSES = 2
QUIET_DUTIES = ("urban", "motorway", "plant", "idle")
QUIET_ENGINES = 24  # of each duty
STARTING_MINUTES = 10  # after a start: a false alarm by then is put down to it
DAY_MS = 86_400_000
ROOT, SITE = "enginewatch", "fleet"
# In turn, so that every kind fails on each; those left out rest in many states, where nothing could tell.
FAULTY_SENSORS = (
    "map", "oil_pressure", "coolant_temperature", "engine_speed", "exhaust_gas_temperature", "maf",
    "vibration_rms", "control_module_voltage",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Watched:
    """What the line said of a fleet."""

    fired: list[AlertEvent]  # every incident, when it fired
    engines: list[int]  # the engine of each, by number
    starts: list[list[int]]  # of each engine: when it was switched on
    days: float  # engine-days in operation


@dataclass(frozen=True, slots=True)
class Found:
    """What became of the faults of one kind and severity."""

    kind: str
    severity: str
    faults: int  # of engines that had no incident before
    seconds: tuple[float, ...]  # from the onset to the incident, of those that were found
    incidents: Counter[str]  # the first one's kind
    sensors: Counter[str]  # the first sensor of the first one; of a sensor fault "the faulty one" where it is


@dataclass(frozen=True, slots=True)
class Quiet:
    """False alarms of engines of one duty."""

    duty: str
    days: float  # engine-days in operation
    starting: int  # incidents soon after a start
    running: int  # all others
    causes: Counter[str]  # by kind and first sensor


def watch(folder: Path, fleet: Fleet, ticks: int) -> Watched:
    """Put a fleet through the line."""
    spec = _shipped_line(folder)
    return through(spec, {spec.classes[0].model_hash: load_model(folder)}, fleet, ticks)


def through(spec: LineSpec, models: Mapping[str, Model], fleet: Fleet, ticks: int) -> Watched:
    """Put a fleet through a line."""
    state = LineState.empty(spec)
    step(state, Record(1, BEGINNING, Change(listening=True)), models)
    fired: list[AlertEvent] = []
    starts: list[list[int]] = [[] for _ in fleet.assets]
    running = np.zeros(len(fleet.assets), np.bool_)
    readings = 0
    for begun in range(0, ticks, SIMULATED):
        block = fleet.block(min(SIMULATED, ticks - begun))
        before = np.concatenate([running[None], block.running[:-1]])  # (T, N)
        for tick, engine in np.argwhere(block.running & ~before).tolist():
            starts[engine].append(BEGINNING + int(block.time[tick]))
        running = block.running[-1]
        readings += int(np.count_nonzero(block.running))
        arriving = messages(
            _published(fleet.assets, block, before[0]),
            root=ROOT,
            site=SITE,
            slice_ms=ARRIVING * PERIOD_MS,
            first=BEGINNING + int(block.time[0]),
        )
        for position, together in enumerate(arriving, start=begun + 2):
            record = Record(position, together[-1].arrival, Batch(together))
            fired += [event for event in step(state, record, models).events if _is_alarm(event)]
    number = {asset: index for index, asset in enumerate(fleet.assets)}
    engines = [number[event.stream.rpartition("/")[2]] for event in fired]
    return Watched(fired, engines, starts, readings * PERIOD_MS / DAY_MS)


def _shipped_line(folder: Path) -> LineSpec:
    """The line that the default settings and the asset file of the package make, with the model in a folder."""
    asset_file = Path(__file__).parent.parent / "config" / "assets" / "engine.toml"
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "enginewatch.toml"
        path.write_text(
            f'[[classes]]\nname = "engine"\nmodel = "{folder.resolve()}"\nfile = "{asset_file.resolve()}"\n',
            encoding="utf-8",
        )
        loaded = load(path, environment={})
    return line_spec(loaded.settings, resolve_classes(loaded))


def _is_alarm(event: AlertEvent) -> bool:
    return event.transition is Transition.FIRED


def _published(assets: Sequence[str], block: Block, before: Bool) -> Published:
    """What a fleet publishes: its readings, and a goodbye from an engine that is switched off.

    `before` (N,) says which engines ran before this block.
    """
    was = np.concatenate([before[None], block.running[:-1]])  # (T, N)
    tick, engine = np.nonzero(block.running)
    end, gone = np.nonzero(was & ~block.running)
    none = np.zeros((len(end), len(SENSORS)), np.float32)
    return Published(
        assets=assets,
        sensors=tuple(SENSORS),
        time=block.time[np.concatenate([tick, end])] + BEGINNING,
        asset=np.concatenate([engine, gone]),
        values=np.concatenate([block.values[tick, engine], none]),
        goodbye=np.repeat([False, True], [len(tick), len(end)]),
    )


@dataclass(frozen=True, slots=True)
class Early:
    """Incidents in the first minutes of many engines, before any fault began."""

    incidents: int
    days: float  # engine-days


def every_fault(
    each: int, start_ms: int, levels: Sequence[str] = LEVELS
) -> tuple[list[tuple[str, str]], list[Fault]]:
    """Every kind at these severities, and so many faults of each, one an engine, that begin at `start_ms`."""
    groups = [(kind, level) for kind in (*ENGINE_FAULTS, *SENSOR_FAULTS) for level in levels]
    faults = [
        Fault(
            engine=number,
            kind=kind,
            severity=level,
            start_ms=start_ms,
            sensor=FAULTY_SENSORS[number % len(FAULTY_SENSORS)] if kind in SENSOR_FAULTS else "",
        )
        for number, (kind, level) in enumerate(group for group in groups for _ in range(each))
    ]
    return groups, faults


def faults_found(folder: Path, seed: int, level: str, *, each: int | None = None) -> tuple[list[Found], Early]:
    """Every fault at one severity on engines of mixed duty; and the incidents before any fault began.

    An engine that had one by then is left out: its incident may still be open, and would not fire again.
    """
    start = NORMAL_MINUTES * 60_000
    each = ENGINES_EACH[level] if each is None else each
    groups, faults = every_fault(each, start, (level,))
    fleet = Fleet(len(faults), seed=seed, faults=faults, period_ms=PERIOD_MS)
    watched = watch(folder, fleet, (NORMAL_MINUTES + FAULTY_MINUTES) * 60_000 // PERIOD_MS)
    first: dict[int, AlertEvent] = {}  # the first incident of each engine since its fault began
    for event, engine in zip(watched.fired, watched.engines, strict=True):
        if event.recorded >= BEGINNING + start:
            first.setdefault(engine, event)
    spoilt = {
        engine
        for event, engine in zip(watched.fired, watched.engines, strict=True)
        if event.recorded < BEGINNING + start
    }
    early = Early(sum(event.recorded < BEGINNING + start for event in watched.fired), len(faults) * start / DAY_MS)
    found = []
    for number, (kind, _) in enumerate(groups):
        told = [
            (fault, first[fault.engine])
            for fault in faults[number * each : (number + 1) * each]
            if fault.engine in first and fault.engine not in spoilt
        ]
        judged = sum(fault.engine not in spoilt for fault in faults[number * each : (number + 1) * each])
        seconds = tuple((event.recorded - BEGINNING - start) / 1000 for _, event in told)
        incidents = Counter(event.kind for _, event in told)
        sensors = Counter(
            "the faulty one" if _first_sensor(event) == fault.sensor else _first_sensor(event)
            for fault, event in told
        )
        found.append(Found(kind, level, judged, seconds, incidents, sensors))
    return found, early


def _first_sensor(event: AlertEvent) -> str:
    """The sensor that an incident is of, or the one that contributes most to it."""
    return event.sensor or (event.top[0].sensor if event.top else "none")


def quiet(folder: Path, duty: str, seed: int, days: float, *, engines: int = QUIET_ENGINES) -> Quiet:
    """False alarms at one duty, of engines that start cold and are switched off and on again now and then."""
    ticks = int(days * DAY_MS / PERIOD_MS / engines)
    fleet = Fleet(engines, seed=seed, duty=duty, period_ms=PERIOD_MS, start="cold", stops=1.0)
    watched = watch(folder, fleet, ticks)
    starting = sum(
        any(0 <= event.time - start < STARTING_MINUTES * 60_000 for start in watched.starts[engine])
        for event, engine in zip(watched.fired, watched.engines, strict=True)
    )
    causes = Counter(f"{event.kind} {_first_sensor(event)}" for event in watched.fired)
    return Quiet(duty, watched.days, starting, len(watched.fired) - starting, causes)


def judged(folder: Path, seeds: Sequence[int], days: float) -> tuple[list[Found], Early, list[Quiet]]:
    """All faults by kind and severity, and false alarms by duty in so many engine-days, in PROCESSES at a time."""
    with ProcessPoolExecutor(PROCESSES) as pool:
        of_level = [
            pool.submit(faults_found, folder, seed, level)
            for seed, level in sorted(zip(seeds, LEVELS, strict=False), key=lambda each: -ENGINES_EACH[each[1]])
        ]
        of_duty = [
            pool.submit(quiet, folder, duty, seed, days / len(QUIET_DUTIES))
            for duty, seed in zip(QUIET_DUTIES, seeds[len(LEVELS) :], strict=False)
        ]
        found = [each.result() for each in of_level]
        early = Early(sum(each.incidents for _, each in found), sum(each.days for _, each in found))
        order = {(kind, level): number for number, (kind, level) in enumerate(every_fault(1, 600_000)[0])}
        every = sorted((one for each, _ in found for one in each), key=lambda one: order[one.kind, one.severity])
        return every, early, [each.result() for each in of_duty]


def severity(found: Found) -> str:
    """A severity by its name and in the kind's own unit."""
    return f"{found.severity} ({FAULTS[found.kind].severities[found.severity]:g})"
