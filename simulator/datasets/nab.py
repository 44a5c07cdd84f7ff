"""NAB: single metrics of servers, traffic and machines, with labelled windows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from simulator.datasets.recipe import NOT_JUDGED, Event, Prepared, Recipe, files_in, part
from simulator.recording import safe_name
from simulator.tables import RecordingError, iso_time, read_table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PROBATION = 0.15  # share of a file that detectors may learn from, as in the benchmark, of 750 rows at the most
SENSORS = (("value", ""),)


def _read(paths: Sequence[Path]) -> Prepared:
    labels = [path for path in paths if path.suffix == ".json"]
    labels += [found for path in paths if path.is_dir() for found in path.rglob("combined_windows.json")]
    windows = {key: spans for path in labels for key, spans in _windows(path).items()}
    if not windows:
        raise RecordingError("no labels: give labels/combined_windows.json too")
    parts, events, notes, steps = [], [], [], {}
    for path in files_in([each for each in paths if each.suffix != ".json"], "*.csv", "metric"):
        key = f"{path.parent.name}/{path.name}"
        if key not in windows:
            notes.append(f"{path} has no labels: left out")
            continue
        table = read_table(path)
        if "timestamp" not in table.columns or "value" not in table.columns:
            notes.append(f"{path} has no columns timestamp and value: left out")
            continue
        values = table.numbers("value")[:, None].astype(np.float32)
        time = table.iso_times("timestamp")  # (N,)
        anomalous = np.zeros(len(time), np.bool_)
        for start, end in windows[key]:
            anomalous |= (time >= start) & (time <= end)
            events.append(Event(safe_name(key.removesuffix(".csv")), start, end, "anomaly"))
        probation = np.arange(len(time)) < PROBATION * len(time)
        asset = safe_name(key.removesuffix(".csv"))
        label = np.where(probation, NOT_JUDGED, anomalous)
        everything = np.ones(len(time), np.bool_)
        parts.append(
            part(
                asset,
                values,
                train=probation & ~anomalous,
                evaluate=everything,
                label=label,
                kind="anomaly",
                time=time,
            )
        )
        steps[asset] = int(np.median(np.diff(time)))
    if not parts:
        raise RecordingError("none of the files has labels; keep their folders' names, as realKnownCause/…csv")
    if len(set(steps.values())) > 1:
        odd = ", ".join(f"{name} {step} ms" for name, step in list(steps.items())[:4])
        raise RecordingError(f"the files have different periods ({odd}): prepare those of one period at a time")
    return Prepared(SENSORS, next(iter(steps.values())), parts, events, notes)


def _windows(path: Path) -> dict[str, list[tuple[int, int]]]:
    """Of each file, as folder/name.csv, the labelled windows (epoch ms)."""
    try:
        content: dict[str, list[list[Any]]] = json.loads(path.read_bytes())
        return {key: [(iso_time(start), iso_time(end)) for start, end in spans] for key, spans in content.items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise RecordingError(f"{path} is not combined_windows.json of NAB: {error}") from error


RECIPE = Recipe(
    name="nab",
    title="NAB, the Numenta Anomaly Benchmark",
    about="58 single metrics, some of machines (realKnownCause/machine_temperature_system_failure.csv)",
    files="a CSV of data/…, in its folder, or the folder, and labels/combined_windows.json",
    source="github.com/numenta/NAB",
    licence="AGPL-3.0 (of the repository)",
    period="each file its own, mostly 5 min; with times",
    labels="windows of time around each anomaly, in combined_windows.json",
    split=f"train on the first {100 * PROBATION:g} % of a file without labelled windows, judge the rest",
    window=60,
    sensors=SENSORS,
    uncertain="one sensor alone: an autoencoder has nothing to compare it with, so expect little",
    read=_read,
)
