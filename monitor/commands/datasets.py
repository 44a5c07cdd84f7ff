"""`enginewatch datasets`: recipes for public data sets -> training and evaluation input."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from monitor.cli import UserError
from monitor.commands import common
from monitor.commands.asking import json_argument
from simulator.datasets import carobd, cmapss, enginefaultdb, nab, skab, tennessee_eastman, write
from simulator.output import OutputError
from simulator.tables import RecordingError

if TYPE_CHECKING:
    import argparse

    from simulator.datasets.recipe import Prepared, Recipe

RECIPES: dict[str, Recipe] = {
    room.RECIPE.name: room.RECIPE for room in (skab, carobd, enginefaultdb, cmapss, nab, tennessee_eastman)
}
WIDTH = 100


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    every = actions.add_parser("list", help="list the data sets that there are recipes for")
    show = actions.add_parser("show", help="show columns, units, labels, split, licence and where to get it")
    show.add_argument("name", choices=tuple(RECIPES), metavar="NAME", help="one of the list")
    prepare = actions.add_parser(
        "prepare", help="make train.csv, evaluate.csv and asset.toml of the downloaded files"
    )
    prepare.add_argument("name", choices=tuple(RECIPES), metavar="NAME", help="one of the list")
    prepare.add_argument("files", nargs="+", type=Path, metavar="FILE", help="what `show` asks for; folders too")
    prepare.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for what is made")
    for each in (every, show, prepare):
        json_argument(each)
    prepare.add_argument("--force", action="store_true", help="replace what was made there before")


def run(options: argparse.Namespace) -> int:
    """List, show or prepare; 0 when done."""
    match options.action:
        case "list":
            _list(as_json=options.json)
        case "show":
            _show(RECIPES[options.name], as_json=options.json)
        case _:
            _prepare(RECIPES[options.name], options)
    return 0


def _list(*, as_json: bool) -> None:
    if as_json:
        common.show([{"name": name, "title": each.title} for name, each in RECIPES.items()], (), as_json=True)
        return
    table = Table(box=None, pad_edge=False, header_style="")
    for name in ("name", "sensors", "data set"):
        table.add_column(name)
    for recipe in RECIPES.values():
        table.add_row(recipe.name, str(len(recipe.sensors)), recipe.title)
    Console().print(table)


def _show(recipe: Recipe, *, as_json: bool) -> None:
    facts = {
        "about": recipe.about,
        "get it": recipe.source,
        "licence": recipe.licence,
        "period": recipe.period,
        "labels": recipe.labels,
        "split": recipe.split,
        "window": "rows without time" if recipe.window == 1 else f"{recipe.window} ticks",
        "not sure": recipe.uncertain,
        "sensors": ", ".join(f"{name} ({unit})" if unit else name for name, unit in recipe.sensors),
        "prepare": f"enginewatch datasets prepare {recipe.name} FILES --out DIR, where FILES are: {recipe.files}",
    }
    if as_json:
        sensors = [{"name": name, "unit": unit} for name, unit in recipe.sensors]
        common.show([{"name": recipe.name, "title": recipe.title, **facts, "sensors": sensors}], (), as_json=True)
        return
    lines = [recipe.title]
    for name, text in facts.items():
        wrapped = textwrap.wrap(text, WIDTH - 10, break_long_words=False, break_on_hyphens=False)
        lines += [f"{name if number == 0 else '':<10}{line}" for number, line in enumerate(wrapped)]
    _say(Console(), "\n".join(lines))


def _prepare(recipe: Recipe, options: argparse.Namespace) -> None:
    folder: Path = options.out
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--out {folder} is a file")
    if (folder / write.TRAIN).exists() and not options.force:
        raise UserError(f"--out {folder} holds a prepared data set already: choose another folder, or add --force")
    try:
        prepared = recipe.read(options.files)
        still = write.still_sensors(prepared)
        folder.mkdir(parents=True, exist_ok=True)
        rows = write.write(folder, recipe, prepared)
    except RecordingError as error:
        raise UserError(str(error)) from error
    except (OutputError, OSError) as error:
        raise UserError(f"--out {folder} cannot be written: {error}") from error
    errors = Console(stderr=True)
    for note in prepared.notes:
        _say(errors, f"note: {note}")
    if still:
        _say(errors, f"note: left out, as they never move: {', '.join(still)}")
    if not rows[write.TRAIN]:
        _say(errors, "warning: no row is left to train on")
    if options.json:
        common.show([_made(folder, recipe, prepared, rows)], (), as_json=True)
        return
    _say(
        Console(),
        f"{folder}: {rows[write.TRAIN]} rows to train on, {rows[write.EVALUATE]} to evaluate"
        f" with {len(prepared.events)} events\n"
        f"{write.train_command(folder, recipe, prepared)}\n{write.evaluate_command(folder, prepared)}",
    )


def _made(folder: Path, recipe: Recipe, prepared: Prepared, rows: dict[str, int]) -> dict[str, Any]:
    """What was made, for programs."""
    return {
        "folder": str(folder),
        "rows": rows,
        "notes": prepared.notes,
        "train": write.train_command(folder, recipe, prepared),
        "evaluate": write.evaluate_command(folder, prepared),
    }


def _say(console: Console, text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)
