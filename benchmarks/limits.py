"""What the limits of a class without a model find, and how often they are wrong, with the settings that ship.

    python -m benchmarks.limits quiet [--hours H] [--engines N]
    python -m benchmarks.limits faults [--each N]
    python -m benchmarks.limits car --data carobd.parquet --events carobd_events.csv

Message by message through `monitor.pipeline.step`. `quiet` are healthy simulated fleets that start cold and stop
now and then; `faults` has every fault of the catalogue after more than an hour of normal running; `car` is the
recorded car, its drives one after the other as one asset, an hour apart. Figures as JSON, in docs/learning.md.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.pretrained_data import PERIOD_MS
from benchmarks.pretrained_judge import BEGINNING, QUIET_DUTIES, ROOT, SITE, every_fault, through
from config.classes import resolve_classes
from config.load import load
from config.settings import LearningSettings
from monitor.assemble import line_spec
from monitor.decode import TELEMETRY_TOPIC, encode_telemetry, fill
from monitor.pipeline import step
from monitor.records import Batch, Change, Kind, Message, Record, Transition
from monitor.state import LineState
from simulator.fleet import Fleet
from simulator.recording import read_recording

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from monitor.records import AlertEvent
    from monitor.spec import LineSpec

HOUR_MS = 3_600_000
NORMAL_MINUTES, FAULTY_MINUTES = 75, 5
SEED = 4_000


def engines_without_a_model(margin: float) -> LineSpec:
    """The line that the default settings and the asset file of the package make."""
    asset_file = Path(__file__).parent.parent / "config" / "assets" / "engine.toml"
    return _line(asset_file, margin)


def _line(asset_file: Path, margin: float) -> LineSpec:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "enginewatch.toml"
        path.write_text(f'[[classes]]\nname = "engine"\nfile = "{asset_file.resolve()}"\n', encoding="utf-8")
        loaded = load(path, overrides=[f"learning.limits_margin={margin}"], environment={})
    return line_spec(loaded.settings, resolve_classes(loaded))


def quiet(hours: float, engines: int, margin: float) -> dict[str, Any]:
    """False limit incidents by duty; what the sensor checks tell is counted beside them."""
    found: dict[str, Any] = {}
    for number, duty in enumerate(QUIET_DUTIES):
        fleet = Fleet(engines, seed=SEED + number, duty=duty, period_ms=PERIOD_MS, start="cold", stops=1.0)
        watched = through(engines_without_a_model(margin), {}, fleet, int(hours * HOUR_MS / PERIOD_MS))
        told = [event for event in watched.fired if event.kind == Kind.LIMIT]
        found[duty] = {
            "engine_days": round(watched.days, 2),
            "limit_incidents": len(told),
            "engines_with_one": len({event.stream for event in told}),
            "sensors": Counter(finding.sensor for event in told for finding in event.top),
            "others": Counter(event.kind for event in watched.fired if event.kind != Kind.LIMIT),
            "examples": [event.summary for event in told[:3]],
        }
    return found


def faults(each: int, margin: float) -> dict[str, Any]:
    """How many of the faults of each kind and severity the limits find, or the sensor checks."""
    start = NORMAL_MINUTES * 60_000
    groups, given = every_fault(each, start)
    fleet = Fleet(len(given), seed=SEED, faults=given, period_ms=PERIOD_MS)
    ticks = (NORMAL_MINUTES + FAULTY_MINUTES) * 60_000 // PERIOD_MS
    watched = through(engines_without_a_model(margin), {}, fleet, ticks)
    late = [
        (engine, event)
        for engine, event in zip(watched.engines, watched.fired, strict=True)
        if event.recorded >= BEGINNING + start
    ]
    by_limit = {engine for engine, event in late if event.kind == Kind.LIMIT}
    by_check = {engine for engine, event in late if event.kind.startswith("sensor")}
    table = {
        f"{kind} {level}": {
            "limit": sum(
                fault.engine in by_limit for fault in given if (fault.kind, fault.severity) == (kind, level)
            ),
            "sensor": sum(
                fault.engine in by_check for fault in given if (fault.kind, fault.severity) == (kind, level)
            ),
            "of": each,
        }
        for kind, level in groups
    }
    early = sum(event.kind == Kind.LIMIT for event in watched.fired) - sum(
        event.kind == Kind.LIMIT for _, event in late
    )
    return {"found": table, "before_any_fault": early, "examples": [event.summary for _, event in late[:5]]}


def car(data: Path, events: Path, margin: float) -> dict[str, Any]:
    """The recorded car, drive after drive: incidents in faults, and others."""
    drives = read_recording([data], asset_column="drive", period_ms=1000, exclude=["row", "anomaly"])
    with events.open(newline="") as file:
        known = [(row["drive"], int(row["start"]), int(row["end"]), row["kind"]) for row in csv.DictReader(file)]
    with tempfile.TemporaryDirectory() as name:
        asset_file = Path(name) / "car.toml"
        sensors = "".join(f'[[sensors]]\nname = "{sensor}"\n' for sensor in drives[0].sensors)
        asset_file.write_text(f"period_ms = 1000\none_reading_per_tick = true\n{sensors}", encoding="utf-8")
        spec = _line(asset_file, margin)
    state = LineState.empty(spec)
    step(state, Record(1, BEGINNING, Change(listening=True)), {})
    fired: list[tuple[str, int, AlertEvent]] = []
    topic = fill(TELEMETRY_TOPIC, root=ROOT, site=SITE, area="", asset="car").encode()
    began, rows = BEGINNING, 0
    # The drives without a fault come first, as a new plant's first days should; nothing is tuned to them.
    with_faults = {drive for drive, *_ in known}
    for drive in sorted(drives, key=lambda each: each.asset in with_faults):
        for first in range(0, len(drive.time), 20):
            part = range(first, min(first + 20, len(drive.time)))
            messages = [_message(topic, began + row * 1000, drive.sensors, drive.values[row]) for row in part]
            record = Record(2, messages[-1].arrival, Batch(messages))
            fired += [
                (drive.asset, (event.started - began) // 1000, event)
                for event in step(state, record, {}).events
                if event.transition is Transition.FIRED
            ]
        rows += len(drive.time)
        began += len(drive.time) * 1000 + HOUR_MS
    told = [each for each in fired if each[2].kind == Kind.LIMIT]
    hit = [fault for fault in known if any(d == fault[0] and fault[1] <= at <= fault[2] + 10 for d, at, _ in told)]
    false = [
        each
        for each in told
        if not any(d == each[0] and start <= each[1] <= end + 10 for d, start, end, _ in known)
    ]
    return {
        "hours": round(rows / 3600, 1),
        "faults": len(known),
        "found": len(hit),
        "kinds": {
            kind: f"{sum(f[3] == kind for f in hit)} of {sum(f[3] == kind for f in known)}"
            for kind in sorted({fault[3] for fault in known})
        },
        "false": len(false),
        "false_a_day_of_running": round(len(false) / (rows / 86_400), 2),
        "false_examples": [(drive, row, event.summary) for drive, row, event in false[:12]],
    }


def _message(topic: bytes, time: int, sensors: Sequence[str], values: np.ndarray[Any, Any]) -> Message:
    named = dict(zip(sensors, values.tolist(), strict=True))
    payload = encode_telemetry(time=time, boot="", seq=0, values=named)
    return Message(topic, payload, time, len(payload))


def main(arguments: Sequence[str]) -> None:
    """Run one of the three and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("quiet", "faults", "car"))
    parser.add_argument("--hours", type=float, default=6.0)
    parser.add_argument("--engines", type=int, default=12)
    parser.add_argument("--each", type=int, default=4)
    parser.add_argument("--margin", type=float, default=LearningSettings().limits_margin)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--events", type=Path)
    given = parser.parse_args(arguments)
    if given.what == "quiet":
        found = quiet(given.hours, given.engines, given.margin)
    elif given.what == "faults":
        found = faults(given.each, given.margin)
    else:
        found = car(given.data, given.events, given.margin)
    sys.stdout.write(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
