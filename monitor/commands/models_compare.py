"""`enginewatch models compare`: two cards side by side, and two models on the same rows."""

from __future__ import annotations

import sys
from contextlib import closing, suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.progress import Progress

from config.classes import fitted, misfits, resolve_classes
from config.load import load
from config.mistakes import SettingsError
from config.options import load_from_options
from config.shipped import is_shipped, model_folder
from models.artifact import ASSET, ArtifactError, load_header
from models.runtime import load_model
from monitor import models_in_use
from monitor.assemble import line_spec
from monitor.cli import UserError
from monitor.commands.asking import json_argument, milliseconds
from monitor.commands.both_judged import Judge, on_recordings, on_store
from monitor.commands.common import open_store, show, state_arguments, state_folder
from monitor.commands.compared_cards import differences
from monitor.commands.compared_cards import side_by_side as cards
from monitor.commands.recordings import column_arguments, read
from monitor.commands.side_by_side_words import NOTHING, as_json, figures, incident_lines, number, watched
from monitor.printable import json_line
from monitor.records import Status
from monitor.shadow import ShadowError, line_of
from monitor.spec import LineSpec
from simulator.recording import data_hash

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from models.artifact import Header
    from monitor.commands.both_judged import Both

NAMES = ("first", "second")


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the action takes."""
    state_arguments(parser)
    add = parser.add_argument
    add("models", nargs=2, metavar="MODEL", help="a folder, pretrained:engine, or first digits of a listed hash")
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--data", dest="files", nargs="+", type=Path, metavar="FILE", help="CSV or Parquet to judge with both"
    )
    source.add_argument("--from-store", action="store_true", help="judge what the daemon has stored with both")
    add("--last", default="7d", metavar="TIME", help="of the store: 30m, 24h, 7d (default %(default)s)")
    add("--asset-class", default="", metavar="NAME", help="whose settings count; not needed where one class fits")
    column_arguments(parser, period="must be the models'")
    json_argument(parser, "one JSON object")


def run(options: argparse.Namespace) -> int:
    """Show it; 0 also where nothing is in common."""
    folders = [_folder(options, given) for given in options.models]
    try:
        first, second = (load_header(folder) for folder in folders)
    except ArtifactError as error:
        raise UserError(str(error)) from error
    apart = differences(first, second)
    judging = bool(options.files or options.from_store)
    if judging and apart:
        raise UserError(f"{first.name} and {second.name} cannot judge the same rows: {'; '.join(apart)}")
    rows = cards(first, second)
    found: dict[str, Any] = {"cards": {name: {"first": one, "second": other} for name, one, other in rows}}
    found["different"] = [name for name, one, other in rows if one != other]
    found["apart"] = apart
    both = _judged(options, (first, second), folders) if judging else None
    if both is not None:
        found |= as_json(both.found, NAMES) | {"rank_correlation": both.rank_correlation}
        for name, judge in zip(NAMES, both.judges, strict=True):
            found[name] |= judge.facts()
    if options.json:
        sys.stdout.write(json_line(found) + "\n")
        return 0
    show([dict(zip(("", *NAMES), row, strict=True)) for row in rows], ("", *NAMES), as_json=False)
    sys.stdout.write(f"they differ in {', '.join(found['different']) or 'nothing'}\n")
    for sentence in apart:
        sys.stdout.write(f"{sentence}\n")
    if both is not None:
        _tell(both)
    return 0


def _tell(both: Both) -> None:
    """What came of the rows, for people."""
    sys.stdout.write(f"\n{watched(both.found)}\n")
    facts = [judge.facts() for judge in both.judges]
    rows: list[tuple[str, ...]] = [
        ("windows scored", *(str(each["windows_scored"]) for each in facts)),
        ("coverage", *(_percent(each["coverage"]) for each in facts)),
        ("seconds per 1,000 windows", *(number(each["seconds_per_1000_windows"]) for each in facts)),
        *figures(both.found),
    ]
    show([dict(zip(("", *NAMES), row, strict=True)) for row in rows], ("", *NAMES), as_json=False)
    sys.stdout.write(f"rank correlation of the scores: {number(both.rank_correlation)}\n")
    sys.stdout.write("".join(f"{line}\n" for line in incident_lines(both.found, NAMES)))


def _percent(share: float | None) -> str:
    return NOTHING if share is None else f"{100 * share:.3g} %"


def _folder(options: argparse.Namespace, given: str) -> Path:
    """The folder of a model. Raises UserError."""
    folder = Path(given)
    if is_shipped(folder) or folder.exists():
        return model_folder(folder)
    with suppress(UserError, OSError, ValueError):
        state = state_folder(options)
        uses = [use for each in models_in_use.load(state).values() for use in (*each.uses, *each.left)]
        hashes = {use.hash for use in uses if use.hash.startswith(given)}
        if len(hashes) == 1:
            return state / "models" / hashes.pop()
    raise UserError(f"{given} is neither a folder nor the beginning of one hash in `enginewatch models list`")


def _judged(options: argparse.Namespace, headers: tuple[Header, Header], folders: Sequence[Path]) -> Both:
    """Both on the rows that the options name. Raises UserError."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("rows", total=None)

        def told(rows: int, total: int | None = None) -> None:
            progress.update(task, advance=rows, total=total)

        if options.from_store:
            with closing(open_store(options)) as store:
                text = store.facts().get("line", "")
                if not text:
                    raise UserError("the daemon has noted no line yet: start it once with this release")
                specs, settings = _of_line(options, LineSpec.decode(text.encode()), headers)
                both = on_store(
                    store, _judges(headers, folders, specs), milliseconds(options.last, "--last"), told
                )
        else:
            period = headers[0].period_ms
            if options.period_ms not in {None, period}:
                raise UserError(f"--period-ms {options.period_ms}, but the models take a tick each {period} ms")
            specs, settings = _of_settings(options, headers, folders)
            recordings = read(options, period_ms=period, columns=_columns(options, headers[0]))
            both = on_recordings(recordings, _judges(headers, folders, specs), told)
            trained_on = data_hash(recordings)
            both.found.notes.extend(
                f"{each.name} was trained on these very rows" for each in headers if each.data.sha256 == trained_on
            )
    if not both.found.rows:
        counts = np.sum([judge.statuses for judge in both.judges], axis=0)
        why = (f"{count} {Status(number_of).name.lower()}" for number_of, count in enumerate(counts) if count)
        raise UserError(
            f"no row was scored by both ({', '.join(why) or 'no tick closed'}): are there enough rows?"
        )
    both.found.notes.append(settings)
    if options.from_store:
        both.found.notes.extend(_seen(headers, both.found.since or 0))
    return both


def _seen(headers: Sequence[Header], since: int) -> list[str]:
    """Which of the models may have been trained on the rows, because it was made after the first of them."""
    notes = []
    for each in headers:
        with suppress(ValueError):
            if datetime.fromisoformat(each.created).timestamp() * 1000 > since:
                notes.append(f"{each.name} was made {each.created}, after rows of these: perhaps of them")
    return list(dict.fromkeys(notes))


def _judges(headers: Sequence[Header], folders: Sequence[Path], specs: Sequence[LineSpec]) -> tuple[Judge, Judge]:
    try:
        one, other = (
            Judge(header, spec, load_model(folder))
            for header, folder, spec in zip(headers, folders, specs, strict=True)
        )
    except ArtifactError as error:
        raise UserError(str(error)) from error
    return one, other


def _columns(options: argparse.Namespace, header: Header) -> tuple[str, ...]:
    """The models' sensors, by the columns that hold them."""
    renamed = {entry.partition("=")[0]: entry for entry in options.columns}
    return tuple(renamed.get(sensor.name, sensor.name) for sensor in header.sensors)


def _of_line(options: argparse.Namespace, line: LineSpec, headers: Sequence[Header]) -> tuple[list[LineSpec], str]:
    """The daemon's line with each of the models, and whose settings these are. Raises UserError."""
    families = {each.family: each for each in line.classes}
    name = options.asset_class
    if not name:
        fits = [
            family
            for family, each in families.items()
            if not misfits(each.route.sensors, each.units, each.align.period_ms, headers[0])
        ]
        name = fits[0] if len(fits) == 1 else next(iter(families)) if len(families) == 1 else ""
    if not name:
        raise UserError(f"which class? --asset-class takes one of {', '.join(families)}")
    try:
        return [line_of(line, name, each) for each in headers], f"settings: those of class {name} in the daemon"
    except ShadowError as error:
        raise UserError(str(error)) from error


def _of_settings(
    options: argparse.Namespace, headers: Sequence[Header], folders: Sequence[Path]
) -> tuple[list[LineSpec], str]:
    """The line of the settings in force with each of the models, or of those that ship where no class fits."""
    try:
        loaded = load_from_options(options)
        given = resolve_classes(loaded) if loaded.settings.classes else []
        wanted = [each for each in given if each.name == each.family and options.asset_class in {"", each.name}]
        fits = [each for each in wanted if not misfits(each.sensors, each.units, each.period_ms, headers[0])]
        if options.asset_class and not wanted:
            names = ", ".join(each.name for each in given if each.name == each.family) or "(none)"
            raise UserError(f"there is no class {options.asset_class}; the settings have {names}")
        if options.asset_class and not fits:
            found = misfits(wanted[0].sensors, wanted[0].units, wanted[0].period_ms, headers[0])
            raise UserError("; ".join(f"class {options.asset_class} and {sentence}" for sentence in found))
        if len(fits) > 1:
            raise UserError(f"which class? --asset-class takes one of {', '.join(each.name for each in fits)}")
        if fits:
            specs = [
                line_spec(loaded.settings, [fitted(fits[0], folder, header)])
                for folder, header in zip(folders, headers, strict=True)
            ]
            return specs, f"settings: those of class {fits[0].name}"
        return [_shipped(options, folder) for folder in folders], "settings: those that ship; no class fits"
    except SettingsError as error:
        raise UserError("; ".join(error.lines)) from error


def _shipped(options: argparse.Namespace, folder: Path) -> LineSpec:
    """The line of the settings that ship."""
    given = [*(options.overrides or ()), "classes.0.name=compared", f"classes.0.model={folder.resolve()}"]
    if (folder / ASSET).is_file():
        given.append(f"classes.0.file={(folder / ASSET).resolve()}")
    loaded = load(None, overrides=given, environment={})
    spec = line_spec(loaded.settings, resolve_classes(loaded))
    return replace(spec, classes=spec.classes[-1:])
