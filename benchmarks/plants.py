"""Detection on plants unlike engine and pumps, by the plain commands with nothing set, beside T² and others.

    python -m benchmarks.plants [--only NAMES] [--folder FOLDER] [--record]

Eight made-up plants (`benchmarks.plants_made`), from a linear process to fans that differ from each other, with
faults of eight kinds. What is asked: nowhere an average precision that is worse than that of Hotelling's T² by
more than 0.01. The random numbers, and so the data, are always the same. FOLDER keeps data, models and
evaluations; what is there is not made again. It ends with 1 where that bar is missed by more than chance, or a
figure is worse than the recorded one by more than the interval that this had.
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
import time
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from benchmarks.detection import call, figures, say, worse
from benchmarks.plants_made import KINDS, PLANTS, faulty, healthy
from models.evaluation import Figure
from models.results import Results
from models.summary import figure, table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from benchmarks.plants_made import Fault, Float64, Plant

RECORDED = Path(__file__).with_suffix(".json")
JUDGED_RUNS, JUDGED_TICKS, FAULTS_EACH = 12, 1600, 4
BEHIND = 0.01  # average precision that may be less than that of T²


def write(plant: Plant, folder: Path) -> None:
    """Data of a plant: what trains, what is judged, and what was wrong in it."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(zlib.crc32(plant.name.encode()))
    known: list[tuple[str, list[Fault]]] = []
    runs: dict[str, Float64] = {}
    after = plant.first or 0
    count = plant.runs if plant.first else JUDGED_RUNS
    for run in range(count):
        kinds = [KINDS[(run * FAULTS_EACH + place) % len(KINDS)] for place in range(FAULTS_EACH)]
        ticks = JUDGED_TICKS + after
        runs[f"judged-{run}"], faults = faulty(plant, random, ticks, kinds, after)
        known.append((f"judged-{run}", faults))
    _write_rows(folder / "judged.csv", runs)
    if not plant.first:
        made = {f"normal-{run}": healthy(plant, random, plant.ticks) for run in range(plant.runs)}
        _write_rows(folder / "normal.csv", made)
    with (folder / "events.csv").open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["run", "start", "end", "kind", "sensor"])
        for name, faults in known:
            for each in faults:
                sensor = "" if each.sensor is None else f"s{each.sensor}"
                out.writerow([name, each.start, each.end, each.kind, sensor])


def _write_rows(path: Path, runs: dict[str, Float64]) -> None:
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["run", *(f"s{number}" for number in range(next(iter(runs.values())).shape[1]))])
        for name, values in runs.items():
            out.writerows([name, *(f"{value:.5g}" for value in row)] for row in values)


def evaluated(plant: Plant, folder: Path) -> Results:
    """Make the data, train and evaluate; what is there already stays."""
    if not (folder / "events.csv").is_file():
        write(plant, folder)
    words = ["--group", "run", "--period-ms", str(plant.period_ms)]
    if plant.first:
        words += ["--first-rows", str(plant.first)]
    judged, events, model, out = (str(folder / name) for name in ("judged.csv", "events.csv", "model", "report"))
    normal = judged if plant.first else str(folder / "normal.csv")
    if not (folder / "model" / "header.json").is_file():
        call(["train", normal, *words, "--out", model])
    if not (folder / "report" / "results.json").is_file():
        against = [] if plant.first else ["--normal", normal]
        call(["evaluate", "--model", model, "--data", judged, "--events", events, *words, *against, "--out", out])
    return msgspec.json.decode((folder / "report" / "results.json").read_bytes(), type=Results)


def row(name: str, found: Results, seconds: float) -> list[str]:
    """A plant's row of the table."""
    daemon, t2 = found.named("daemon"), found.named("t2")
    best = max(
        (each for each in found.detectors if each.role == "baseline"),
        key=lambda each: each.average_precision.value or 0,
    )
    ahead = lead(found)
    events = daemon.events
    return [
        name,
        figure(daemon.average_precision),
        figure(t2.average_precision),
        figure(ahead),
        f"{best.average_precision.value:.3f} {best.name}",
        f"{events.found} of {events.events}",
        f"{events.f1.value:.3f}, {t2.events.f1.value:.3f}",
        f"{events.false_per_hour.value:.2f}, {t2.events.false_per_hour.value:.2f}",
        f"{seconds:.0f}",
    ]


HEADS = [
    "plant", "AP", "T²'s AP", "ahead", "best baseline", "found", "event F1, T²'s", "false/h, T²'s", "seconds",
]  # fmt: skip


def lead(found: Results) -> Figure:
    """How far the average precision is ahead of that of T², on the same draws."""
    behind = found.named("t2").ahead
    if behind is None or behind.value is None:
        return Figure(None)
    low, high = behind.high, behind.low
    return Figure(-behind.value, None if low is None else -low, None if high is None else -high)


def misses(name: str, found: Results) -> Iterable[str]:
    """What the bar says of a plant, where it is missed by more than chance."""
    ahead = lead(found)
    most = ahead.value if ahead.high is None else ahead.high
    if most is None or most < -BEHIND:
        yield f"{name}: the average precision is ahead of that of T² by {figure(ahead)}, where -{BEHIND} is asked"


def main() -> None:
    """Do all plants, or some."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=lambda text: text.split(","), default=[plant.name for plant in PLANTS])
    parser.add_argument("--folder", type=Path, help="where data, models and evaluations stay")
    parser.add_argument("--record", action="store_true", help=f"write the figures to {RECORDED.name}")
    options = parser.parse_args()
    rows, found, complaints = [HEADS], dict[str, dict[str, Figure]](), list[str]()
    before = (
        msgspec.json.decode(RECORDED.read_bytes(), type=dict[str, dict[str, Figure]]) if RECORDED.is_file() else {}
    )
    with tempfile.TemporaryDirectory(prefix="enginewatch-") as name:
        for plant in (plant for plant in PLANTS if plant.name in options.only):
            began = time.process_time()
            results = evaluated(plant, (options.folder or Path(name)) / plant.name)
            rows.append(row(plant.name, results, time.process_time() - began))
            found[plant.name] = figures(results)
            complaints += [
                *misses(plant.name, results),
                *worse(plant.name, found[plant.name], before.get(plant.name, {})),
            ]
    say("\n" + "\n".join(table(rows)))
    for sentence in complaints:
        say(f"worse: {sentence}")
    if options.record:
        RECORDED.write_bytes(msgspec.json.format(msgspec.json.encode(before | found), indent=2) + b"\n")
    sys.exit(1 if complaints else 0)


if __name__ == "__main__":
    main()
