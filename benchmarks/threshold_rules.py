"""Which threshold rule does better on recorded data: every rule over the same scores, judged against the labels.

    python -m benchmarks.threshold_rules --data FOLDER [--car MODEL] [--rig MODEL]

FOLDER holds carobd.parquet and carobd_events.csv (see `benchmarks.recorded_car`) and skab.csv (columns file,
datetime, the sensors, anomaly, changepoint; the first 400 rows of each file are normal). Models are trained with
the command's defaults where none are given: the car's on drives without a fault, the rig's on those 400 rows.

The recordings go once through `monitor.pipeline.step`, with the description of the line that the default settings
make. The score rows it gives are then judged again for every setting by `threshold.current`, `alert.judge` and
`threshold.learn` in the pipeline's order; that this gives the pipeline's own incidents is checked first.

Three views. "drives": every drive with a fault is an asset of its own and learns for itself. "one car": the same
drives one after the other, ten minutes apart, as one asset that goes on learning. "rig": all of skab.csv in the
order of its times as one asset; a row counts as alarmed while an incident is open, and F1, the share of normal
rows alarmed (FAR) and of anomalous rows missed (MAR) are over the rows that were not trained on.

Prints a table in Markdown. With the models given it takes about a quarter of an hour.
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import numpy as np

from benchmarks import recorded_car
from benchmarks.recorded_car import Fault
from config.classes import resolve_classes
from config.load import load
from models.runtime import load_model
from monitor import alert, threshold
from monitor.alert import AlertConfig, AlertState
from monitor.assemble import line_spec
from monitor.commands.as_published import of_recordings, records
from monitor.incident import Moment
from monitor.pipeline import step
from monitor.records import Scores, Transition
from monitor.state import LineState, joined
from monitor.threshold import ThresholdConfig, ThresholdState
from simulator.recording import read_recording
from tests.rig import run

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from monitor.records import AlertEvent, Bool, Int64
    from monitor.spec import ClassSpec
    from simulator.recording import Recording

PERIOD_MS = recorded_car.PERIOD_MS
BEGINNING = 1_577_836_800_000  # 2020-01-01: rows without a time count from here
ROWS_AT_ONCE = 50  # of every asset in one batch
TRAINING_ROWS = 400  # of each file of skab.csv
RIG_EXCLUDED = ("file", "anomaly", "changepoint")
PARKED_ROWS = 600  # between two drives of one car
SITE = "recorded"
Config = TypeVar("Config", ThresholdConfig, AlertConfig)

HEADER = """\
| setting | drives: found | false (per hour) | one car: found | false (per hour) | rig: F1 | FAR | MAR | fired |
|---|---|---|---|---|---|---|---|---|
"""
MAD = {"rule": "mad", "deviations": 6.0}
SETTINGS: list[tuple[str, dict[str, Any]]] = [
    ("floor alone", {"min_rows": 1 << 30}),
    *(
        (f"quantile {share} x {margin}", {"rule": "quantile", "quantile": share, "margin": margin})
        for share, margin in (
            (0.999, 1.0), (0.999, 1.2), (0.99, 1.2), (0.99, 1.5), (0.95, 1.5), (0.95, 2.0), (0.9, 1.2), (0.9, 1.5),
            (0.9, 2.0),
        )
    ),
    *((f"mad {count}", {"rule": "mad", "deviations": float(count)}) for count in (3, 4, 5, 6, 8, 10)),
    *(
        (f"mad 6, {name} {value}", MAD | {name: value})
        for name, values in {
            "on_delay_ticks": (0, 10, 20), "off_delay_ticks": (15, 60), "floor": (0.9, 1.1, 1.25),
            "min_rows": (300, 1200), "horizon_ticks": (3600.0, 86400.0), "deadband": (0.0,),
        }.items()
        for value in values
    ),
    *((f"mad 6, {k} of {n}", MAD | {"k": k, "n": n}) for k, n in ((5, 5), (6, 10))),
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the line makes of recordings: their score rows."""

    spec: ClassSpec
    keys: list[str]  # stream keys by stream number
    rounds: list[Scores]  # at most one row per stream each, in the order of ticks


def scored(recordings: Sequence[Recording], model: Path) -> Recorded:
    """Put recordings through the line, each as an asset. Raises RuntimeError where judging again differs."""
    loaded = load(None, overrides=["classes.0.name=recorded", f"classes.0.model={model}"], environment={})
    spec = line_spec(loaded.settings, resolve_classes(loaded))
    models = {spec.classes[0].model_hash: load_model(model)}
    state = LineState.empty(spec)
    beginning = min(int(each.time[0]) for each in recordings)
    slice_ms = ROWS_AT_ONCE * PERIOD_MS
    journal = records(
        of_recordings(recordings, goodbye=False), root=spec.root, site=SITE, slice_ms=slice_ms, first=beginning
    )
    results = [step(state, record, models) for record in journal]
    rows = joined(Scores, [stored.rows for result in results for stored in result.scores])
    events = [event for result in results for event in result.events if event.kind == "anomaly"]
    recorded = Recorded(spec.classes[0], state.classes[0].keys, list(_rounds(rows)))
    if _told(judged(recorded, {})) != _told(events):
        raise RuntimeError("the stored scores, judged again, do not give the incidents of the pipeline")
    return recorded


def _rounds(rows: Scores) -> Iterator[Scores]:
    """The rows with the first of every stream, then with the second of every stream, and so on."""
    order = np.argsort(rows.stream, kind="stable")
    lengths = np.bincount(rows.stream)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.concatenate([np.arange(length) for length in lengths])
    order = np.argsort(rank, kind="stable")
    for part in np.split(order, np.cumsum(np.bincount(rank))[:-1]):
        yield Scores(*(getattr(rows, column.name)[part] for column in fields(Scores)))


def _told(events: Iterable[AlertEvent]) -> set[tuple[str, str, int]]:
    return {(event.incident_id, event.transition, event.time) for event in events}


def judged(recorded: Recorded, changed: dict[str, Any]) -> list[AlertEvent]:
    """The incidents under the default settings with some fields of either configuration changed."""
    limits, life = _changed(recorded.spec.threshold, changed), _changed(recorded.spec.alert, changed)
    streams = len(recorded.keys)
    levels, incidents = ThresholdState.empty(limits, streams), AlertState.empty(life, streams)
    moment, events = Moment(recorded.keys, 0), []
    for row in recorded.rounds:
        there = np.flatnonzero(~np.isnan(row.score))
        stream = row.stream[there]
        by = np.full(len(row.stream), np.nan, np.float32)
        by[there] = threshold.current(levels, limits, stream)
        events += alert.judge(incidents, life, replace(row, threshold=by), moment)
        frozen = alert.frozen(incidents, stream)
        threshold.learn(levels, limits, stream, row.tick[there], row.score[there], frozen=frozen)
    return events


def _changed(config: Config, changed: dict[str, Any]) -> Config:
    own = {field.name for field in fields(config)}
    return replace(config, **{name: value for name, value in changed.items() if name in own})


@dataclass(frozen=True, slots=True)
class Car:
    """A view of the car: its score rows, and the faults in rows of its assets."""

    recorded: Recorded
    faults: list[Fault]
    window: int
    hours: float

    def cells(self, changed: dict[str, Any]) -> list[str]:
        """Faults found, and by kind in alphabetical order; incidents without a fault, and per hour."""
        told = [msgspec.to_builtins(event) for event in judged(self.recorded, changed)]
        start_time = {fault.drive: BEGINNING for fault in self.faults}
        result = recorded_car.judge(recorded_car.incidents(told, start_time), self.faults, self.window)
        kinds = " ".join(text.split()[0] for text in result["by_kind"].values())
        false = result["false"]
        return [f"{result['found']} ({kinds})", f"{false} ({false / self.hours:.2f})"]


@dataclass(frozen=True, slots=True)
class Rig:
    """The view of the rig: its score rows, and the labels of the rows it was not trained on."""

    recorded: Recorded
    time: Int64  # (N,)
    anomaly: Bool  # (N,)

    def cells(self, changed: dict[str, Any]) -> list[str]:
        """F1, FAR, MAR, and how many incidents fired."""
        alarmed, fired = np.zeros(len(self.time), np.bool_), 0  # (N,)
        for event in judged(self.recorded, changed):  # one asset, so that they follow each other
            alarmed[self.time >= event.time] = event.transition == Transition.FIRED
            fired += event.transition == Transition.FIRED
        right = np.count_nonzero(alarmed & self.anomaly)
        f1 = 2 * right / (np.count_nonzero(alarmed) + np.count_nonzero(self.anomaly))
        far, mar = alarmed[~self.anomaly].mean(), 1 - alarmed[self.anomaly].mean()
        return [f"{f1:.2f}", f"{far:.2f}", f"{mar:.2f}", str(fired)]


def car_views(data: Path, model: Path) -> list[Car]:
    """The car's drives as assets of their own, and as one asset."""
    known = recorded_car.faults(data / "carobd_events.csv")
    names = sorted({fault.drive for fault in known})
    read = read_recording(
        [data / "carobd.parquet"], asset_column="drive", period_ms=PERIOD_MS,
        exclude=recorded_car.EXCLUDED.split(","), assets=names,
    )  # fmt: skip
    drives = [replace(each, time=each.time + BEGINNING) for each in read]
    starts = np.cumsum([0, *(len(each.time) + PARKED_ROWS for each in drives[:-1])])
    first_row = {each.asset: int(start) for each, start in zip(drives, starts, strict=True)}
    time = np.concatenate([each.time + first_row[each.asset] * PERIOD_MS for each in drives])
    one = replace(drives[0], asset="car", time=time, values=np.concatenate([each.values for each in drives]))
    moved = [
        Fault("car", fault.start + first_row[fault.drive], fault.end + first_row[fault.drive], fault.kind)
        for fault in known
    ]
    hours, window = len(time) * PERIOD_MS / 3_600_000, load_model(model).window
    return [Car(scored(drives, model), known, window, hours), Car(scored([one], model), moved, window, hours)]


def rig_view(data: Path, model: Path) -> Rig:
    """The rig as one asset."""
    (recording,) = read_recording([data / "skab.csv"], time_column="datetime", exclude=RIG_EXCLUDED)
    rows = list(_rig_rows(data))
    kept = [row for rank, row in rows if rank >= TRAINING_ROWS]
    moments = np.array([row["datetime"] for row in kept], "datetime64[ms]")  # (N,), UTC as in the recording
    return Rig(scored([recording], model), moments.astype(np.int64), np.array([r["anomaly"] == "1" for r in kept]))


def train_rig(data: Path, out: Path) -> None:
    """Train on the first rows of each file, with the command's own defaults."""
    normal = out.with_suffix(".csv")
    rows = [row for rank, row in _rig_rows(data) if rank < TRAINING_ROWS]
    with normal.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    run(
        "train", normal, "--asset-column", "file", "--time-column", "datetime", "--period-ms", PERIOD_MS,
        "--exclude", "anomaly,changepoint", "--out", out, seconds=3600,
    )  # fmt: skip


def _rig_rows(data: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Every row with its number in its file."""
    seen: Counter[str] = Counter()
    with (data / "skab.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            yield seen[row["file"]], row
            seen[row["file"]] += 1


def main() -> None:
    """Run it and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--car", type=Path, help="a trained artifact; else one is trained")
    parser.add_argument("--rig", type=Path, help="a trained artifact; else one is trained")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="enginewatch-") as name:
        car, rig = options.car or Path(name) / "car", options.rig or Path(name) / "rig"
        if options.car is None:
            drives = {fault.drive for fault in recorded_car.faults(options.data / "carobd_events.csv")}
            recorded_car.train(options.data / "carobd.parquet", drives, car)
        if options.rig is None:
            train_rig(options.data, rig)
        views: list[Car | Rig] = [*car_views(options.data, car), rig_view(options.data, rig)]
    sys.stdout.write(HEADER)
    for label, changed in SETTINGS:
        cells = [cell for view in views for cell in view.cells(changed)]
        sys.stdout.write(f"| {' | '.join([label, *cells])} |\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
