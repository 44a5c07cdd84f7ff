"""Detection on recorded machines, at the settings that ship: trains, evaluates, and prints the table of bars.

    python -m benchmarks.detection --data FOLDER [--models FOLDER] [--out FOLDER] [--record]

FOLDER holds the recordings, which are not ours to give away: skab.csv (waico/SKAB, columns `file`, `datetime`,
sensors, `anomaly`, `changepoint`), and carobd.parquet with carobd_events.csv (eron93br/carOBD, faults injected).
What is missing is left out. Each is done by two commands that anyone could type. It ends
with 1 where a figure is worse than the recorded one by more than the interval that this had.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from models.evaluation import Figure
from models.results import Results
from models.summary import figure, table
from monitor.cli import main as enginewatch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.evaluation import Detector

RESULTS = "results.json"
RECORDED = Path(__file__).with_suffix(".json")
SENSOR_FAULTS = ("stuck", "dropout", "spikes", "noise")
CONTRADICTIONS = ("decouple", "gain")


@dataclass(frozen=True, slots=True)
class Plant:
    """A data set, and the words by which `train` and `evaluate` take it."""

    name: str
    needs: tuple[str, ...]
    columns: tuple[str, ...]  # for both
    train: tuple[str, ...]
    evaluate: tuple[str, ...]


PLANTS = (
    Plant(
        "SKAB",
        ("skab.csv",),
        ("--group", "file", "--time-column", "datetime", "--period-ms", "1000", "--first-rows", "400"),
        ("--exclude", "anomaly,changepoint"),
        ("--label", "anomaly"),
    ),
    Plant(
        "carOBD",
        ("carobd.parquet", "carobd_events.csv"),
        ("--group", "drive", "--period-ms", "1000", "--runs-without", "anomaly"),
        ("--exclude", "row,anomaly"),
        ("--label", "anomaly", "--events", "carobd_events.csv"),
    ),
)


def call(words: Sequence[str]) -> None:
    """Print a command and run it. Ends the process where it fails."""
    say(f"$ enginewatch {shlex.join(words)}")
    if code := enginewatch(list(words)):
        sys.exit(code)


def evaluated(plant: Plant, data: Path, models: Path, out: Path) -> Results:
    """Train where there is no model yet, and evaluate."""
    model, results = models / plant.name.lower(), out / plant.name.lower()
    source = str(data / plant.needs[0])
    if not (model / "header.json").is_file():
        call(["train", source, *plant.columns, *plant.train, "--out", str(model)])
    labels = [str(data / word) if word in plant.needs else word for word in plant.evaluate]
    given = ["--model", str(model), "--data", source, *plant.columns, *labels]
    call(["evaluate", *given, "--out", str(results), "--force"])
    return msgspec.json.decode((results / RESULTS).read_bytes(), type=Results)


def bars(name: str, found: Results) -> list[list[str]]:
    """What is asked of a data set, and what was found: rows of a table."""
    daemon, t2 = found.named("daemon"), found.named("t2")
    if name == "SKAB":
        return [
            [name, "row F1 at the label-free threshold", ">= 0.82", figure(daemon.points.f1)],
            [name, "row FAR", "<= 0.22", figure(daemon.points.far)],
            [name, "AP, less that of T²", ">= 0", f"{_ahead(t2)}; AP {figure(daemon.average_precision)}"],
        ]
    events = daemon.events
    return [
        [name, "event F1", ">= 0.64", figure(events.f1)],
        [name, "false alerts an hour", "<= 0.6", figure(events.false_per_hour)],
        [name, f"{', '.join(SENSOR_FAULTS)} found", ">= 20", _of_kinds(daemon, SENSOR_FAULTS)],
        [name, f"{', '.join(CONTRADICTIONS)} found", ">= 6", _of_kinds(daemon, CONTRADICTIONS)],
        [name, "AP, less that of T²", ">= -0.01", f"{_ahead(t2)}; AP {figure(daemon.average_precision)}"],
    ]


def _ahead(other: Detector) -> str:
    """How far the model is ahead: the other's difference with its sign turned."""
    away = other.ahead
    if away is None or away.value is None:
        return "-"
    between = "" if away.low is None or away.high is None else f" [{-away.high:.3f}, {-away.low:.3f}]"
    return f"{-away.value:.3f}{between}"


def _of_kinds(found: Detector, kinds: Sequence[str]) -> str:
    chosen = [found.events.by_kind[kind] for kind in kinds if kind in found.events.by_kind]
    return f"{sum(each.found for each in chosen)} of {sum(each.events for each in chosen)}"


def figures(found: Results) -> dict[str, Figure]:
    """What is recorded of an evaluation, and compared with it."""
    daemon = found.named("daemon")
    return {
        "AP": daemon.average_precision,
        "row F1": daemon.points.f1,
        "event F1": daemon.events.f1,
        "false alerts an hour": daemon.events.false_per_hour,
    }


LESS_IS_BETTER = frozenset({"false alerts an hour"})


def worse(name: str, now: dict[str, Figure], before: dict[str, Figure]) -> list[str]:
    """Figures that are worse than they were by more than the interval that they had."""
    return [
        f"{name}: {what} is {figure(now[what])}, was {figure(was)}"
        for what, was in before.items()
        if what in now and _is_worse(now[what].value, was, less_is_better=what in LESS_IS_BETTER)
    ]


def _is_worse(now: float | None, was: Figure, *, less_is_better: bool) -> bool:
    bound = was.high if less_is_better else was.low
    if now is None or bound is None:
        return False
    return now > bound if less_is_better else now < bound


def say(text: str) -> None:
    """Print a line at once: a training may follow it."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> None:
    """Do all data sets that are there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--models", type=Path, help="trained models, kept and used again")
    parser.add_argument("--out", type=Path, help="where the evaluations stay")
    parser.add_argument("--record", action="store_true", help=f"write the figures to {RECORDED.name}")
    options = parser.parse_args()
    rows, found = [["data", "figure", "bar", "found"]], dict[str, dict[str, Figure]]()
    with tempfile.TemporaryDirectory(prefix="enginewatch-") as name:
        models, out = options.models or Path(name) / "models", options.out or Path(name) / "out"
        for plant in PLANTS:
            missing = [file for file in plant.needs if not (options.data / file).is_file()]
            if missing:
                say(f"{plant.name} is left out: {options.data} has no {', '.join(missing)}")
                continue
            results = evaluated(plant, options.data, models, out)
            rows += bars(plant.name, results)
            found[plant.name] = figures(results)
    say("\n" + "\n".join(table(rows)))
    if options.record:
        RECORDED.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")
    before = msgspec.json.decode(RECORDED.read_bytes(), type=dict[str, dict[str, Figure]])
    regressions = [sentence for name, now in found.items() for sentence in worse(name, now, before.get(name, {}))]
    for sentence in regressions:
        say(f"worse: {sentence}")
    sys.exit(1 if regressions else 0)


if __name__ == "__main__":
    main()
