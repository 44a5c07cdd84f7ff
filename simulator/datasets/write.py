"""What a recipe made of the files, as files: train.csv, evaluate.csv, asset.toml, events.csv and README.md."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

import numpy as np

from simulator.datasets.recipe import NOT_JUDGED
from simulator.output import whole_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from monitor.records import Bool
    from simulator.datasets.recipe import Part, Prepared, Recipe

TRAIN, EVALUATE, ASSET, EVENTS, README = "train.csv", "evaluate.csv", "asset.toml", "events.csv", "README.md"
ROW_MS = 1000  # what rows without time are counted by


def still_sensors(prepared: Prepared) -> list[str]:
    """The sensors that have one value, or none, in all rows: no model can learn from them."""
    lowest = np.nanmin([_extreme(np.fmin, each) for each in prepared.parts], axis=0)  # (C,)
    highest = np.nanmax([_extreme(np.fmax, each) for each in prepared.parts], axis=0)  # (C,)
    return [name for (name, _), moves in zip(prepared.sensors, lowest < highest, strict=True) if not moves]


def write(folder: Path, recipe: Recipe, prepared: Prepared) -> dict[str, int]:
    """Write the files, without the sensors that are still; returns the rows of each table.

    Raises OutputError where the disk refuses.
    """
    still = still_sensors(prepared)
    kept = [index for index, (name, _) in enumerate(prepared.sensors) if name not in still]
    sensors = [prepared.sensors[index] for index in kept]
    names = [name for name, _ in sensors]
    timed = prepared.parts[0].time is not None
    head = ["asset", *(["time"] if timed else []), *names]
    rows = {
        TRAIN: _table(folder / TRAIN, head, (_rows(each, each.train, kept) for each in prepared.parts)),
        EVALUATE: _table(
            folder / EVALUATE,
            [*head, "anomaly", "kind"],
            (_labelled(each, kept) for each in prepared.parts),
        ),
    }
    if prepared.events:
        events = ([e.asset, e.start, e.end, e.kind, e.sensor] for e in prepared.events)
        rows[EVENTS] = _table(folder / EVENTS, ["asset", "start", "end", "kind", "sensor"], [events])
    with whole_file(folder / ASSET) as path:
        path.write_text(_asset_file(recipe, sensors, prepared.period_ms), encoding="utf-8")
    with whole_file(folder / README) as path:
        path.write_text(_readme(folder, recipe, prepared, rows), encoding="utf-8")
    return rows


def train_command(folder: Path, recipe: Recipe, prepared: Prepared) -> str:
    """The call that trains on what was written."""
    return " ".join(["enginewatch train", str(folder / TRAIN), *_options(folder, prepared), *_window(recipe)])


def evaluate_command(folder: Path, prepared: Prepared) -> str:
    """The call that judges a model on what was written."""
    call = f"enginewatch evaluate --model {folder / 'model'} --data {folder / EVALUATE} --label anomaly"
    columns = " --asset-column asset" + (" --time-column time" if prepared.parts[0].time is not None else "")
    events = f" --events {folder / EVENTS}" if prepared.events else ""
    return f"{call}{columns}{events} --normal {folder / TRAIN} --out {folder / 'report'}"


def _options(folder: Path, prepared: Prepared) -> list[str]:
    time = ["--time-column", "time"] if prepared.parts[0].time is not None else []
    return ["--asset-column", "asset", *time, "--asset-file", str(folder / ASSET), "--out", str(folder / "model")]


def _window(recipe: Recipe) -> list[str]:
    return ["--tabular"] if recipe.window == 1 else ["--window", str(recipe.window)]


def _rows(part: Part, which: Bool, kept: Sequence[int]) -> Iterable[list[str]]:
    """Asset, time where there is one, and values of these rows, as text; nothing where a value is missing."""
    values = part.values[which][:, kept]
    cells = np.where(np.isnan(values), "", values.astype(np.str_))  # numpy writes the shortest that reads back
    columns = [np.full((len(cells), 1), part.asset), cells]
    if part.time is not None:
        columns.insert(1, part.time[which].astype(np.str_)[:, None])
    rows: list[list[str]] = np.concatenate(columns, axis=1).tolist()
    return rows


def _labelled(part: Part, kept: Sequence[int]) -> Iterable[list[str]]:
    """As `_rows`, of what is to be judged, with its label and kind."""
    label = np.where(part.label == NOT_JUDGED, "", part.label.astype(np.str_))[part.evaluate]
    rows = _rows(part, part.evaluate, kept)
    return (
        [*row, *more] for row, more in zip(rows, zip(label, part.kind[part.evaluate], strict=True), strict=True)
    )


def _table(path: Path, head: Sequence[str], blocks: Iterable[Iterable[Iterable[object]]]) -> int:
    """Write a CSV file whole, or not at all; returns its rows."""
    count = 0
    with whole_file(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(head)
        for block in blocks:
            for row in block:
                out.writerow(row)
                count += 1
    return count


def _asset_file(recipe: Recipe, sensors: Sequence[tuple[str, str]], period_ms: int | None) -> str:
    period = "rows without time, counted as if they were seconds" if period_ms is None else recipe.period
    lines = [f"# {recipe.title}.", f"# {period}", f"period_ms = {period_ms or ROW_MS}"]
    for name, unit in sensors:
        lines += ["", "[[sensors]]"]
        lines += [
            f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in (("name", name), ("unit", unit))
        ]
    return "\n".join(lines) + "\n"


def _readme(folder: Path, recipe: Recipe, prepared: Prepared, rows: dict[str, int]) -> str:
    counts = "\n".join(f"* {name}: {count} rows" for name, count in rows.items())
    notes = "".join(f"\n* {note}" for note in prepared.notes)
    return f"""# {recipe.title}

{recipe.about}. Source: {recipe.source}. Licence: {recipe.licence}.

{counts}

Labels: {recipe.labels}. In {EVALUATE} a row without a label is not judged, it is only what comes before others.
Split: {recipe.split}.
Not sure: {recipe.uncertain}.
{notes}
```sh
{train_command(folder, recipe, prepared)}
{evaluate_command(folder, prepared)}
```
"""


def _extreme(which: np.ufunc, part: Part) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    extreme: np.ndarray[tuple[int], np.dtype[np.float32]] = which.reduce(part.values, axis=0)
    return extreme
