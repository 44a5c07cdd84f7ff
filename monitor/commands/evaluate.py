"""`enginewatch evaluate`: what a model is worth on labelled recordings, beside the classical detectors."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from rich.console import Console

from monitor.cli import UserError
from monitor.commands.asking import json_argument
from monitor.commands.recordings import column_arguments, names
from monitor.commands.selection import selection_arguments
from monitor.printable import json_line

if TYPE_CHECKING:
    import argparse

    from monitor.commands.evaluated import Evaluated

NEEDED = ("sklearn", "plotly")
RESULTS, TEXT, REPORT = "results.json", "results.txt", "report.html"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add = parser.add_argument
    add("--model", type=Path, required=True, metavar="DIR", help="folder of the model, or pretrained:engine")
    add(
        "--data", dest="files", nargs="+", type=Path, required=True, metavar="FILE", help="labelled CSV or Parquet"
    )
    add("--label", metavar="COLUMN", help="0 = normal, any other number = anomalous, empty = not known")
    add("--events", type=Path, metavar="FILE", help="CSV of events: run, start, end, and kind and sensor if known")
    column_arguments(parser, period="must be the model's")
    add("--baselines", type=names, default=("all",), metavar="A,B", help="all, none, or some by name (all)")
    add("--normal", nargs="+", type=Path, metavar="FILE", help="files of normal running, for the baselines")
    selection_arguments(parser, use="fit the baselines on")
    add("--asset-file", type=Path, metavar="FILE", help="ranges and regimes; else the model's own")
    add(
        "--set", action="append", default=[], dest="overrides", metavar="KEY=VALUE", help="a setting of the daemon"
    )
    add("--out", type=Path, required=True, metavar="DIR", help=f"folder for {RESULTS}, {TEXT} and {REPORT}")
    add("--force", action="store_true", help="replace the results that are in the folder")
    json_argument(parser, f"{RESULTS} on one line, in place of {TEXT}")


def run(options: argparse.Namespace) -> int:
    """Evaluate and write; 0 when the results are there, whatever they say."""
    if missing := [name for name in NEEDED if not importlib.util.find_spec(name)]:
        raise UserError(f"evaluating needs {' and '.join(missing)}: install enginewatch[evaluate]")
    _check_folder(options.out, replace=options.force)
    from monitor.commands.evaluated import evaluate  # noqa: PLC0415 - needs the extra

    console = Console(stderr=True)
    found = evaluate(options, console)
    text = _write(options.out, found)
    for sentence in found.results.warnings:
        console.print(f"warning: {sentence}", highlight=False, markup=False, soft_wrap=True)
    if options.json:
        sys.stdout.write(json_line(found.results) + "\n")
    else:
        sys.stdout.write(f"{text}{options.out / REPORT}\n")
    return 0


def _check_folder(folder: Path, *, replace: bool) -> None:
    """Refuse to write where something else is, before anything is computed."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--out {folder} is a file")
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not (folder / RESULTS).is_file():
        raise UserError(f"--out {folder} holds something that is no evaluation: choose another folder")
    if not replace:
        raise UserError(f"--out {folder} holds results already: choose another folder, or add --force")


def _write(folder: Path, found: Evaluated) -> str:
    """Write all three; returns the text."""
    from models.report import page  # noqa: PLC0415 - needs the extra
    from models.summary import summary  # noqa: PLC0415 - as above

    text = summary(found.results)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / RESULTS).write_bytes(msgspec.json.format(msgspec.json.encode(found.results), indent=2) + b"\n")
        (folder / TEXT).write_text(text, encoding="utf-8")
        (folder / REPORT).write_text(page.html(found.results, found.evidence), encoding="utf-8")
    except OSError as error:
        raise UserError(f"--out {folder} cannot be written: {error.strerror}") from error
    return text
