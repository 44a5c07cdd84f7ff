"""What both demos are asked: for how long, where, which InfluxDB, and where the result goes."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from config.settings import InfluxSettings
from monitor.cli import UserError
from monitor.commands.numbers import LARGEST_SEED, number, whole_number

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

LONGEST_S = 1_000_000


def run_arguments(parser: argparse.ArgumentParser) -> None:
    """What is simulated, and where it is kept."""
    add = parser.add_argument
    add(
        "--seed",
        type=whole_number(0, LARGEST_SEED),
        default=1,
        metavar="N",
        help="same seed, same engines and faults (%(default)s)",
    )
    add(
        "--duration",
        type=number(1, LONGEST_S),
        default=math.inf,
        metavar="SECONDS",
        help="of live readings (until Ctrl-C)",
    )
    add("--summary", type=Path, metavar="FILE", help="write what came of it here, as JSON")
    add("--folder", type=Path, metavar="DIR", help="work in this empty folder and keep it (a temporary one)")


def influx_arguments(parser: argparse.ArgumentParser) -> None:
    """An InfluxDB of the user's own."""
    add = parser.add_argument_group("an InfluxDB of yours").add_argument
    add("--influx", default="", metavar="URL", help="http://host:port")
    add("--influx-token-file", type=Path, metavar="FILE", help="its token")
    add("--influx-org", default="", metavar="NAME", help="its organisation (InfluxDB 2)")
    add("--influx-bucket", default="enginewatch", metavar="NAME", help="bucket or database (%(default)s)")


def influx_settings(options: argparse.Namespace) -> InfluxSettings | None:
    """Where scores shall go; None where nothing was said. Raises UserError."""
    if not options.influx:
        return None
    try:
        return InfluxSettings(
            url=options.influx,
            org=options.influx_org,
            bucket=options.influx_bucket,
            token_file=options.influx_token_file,
        )
    except ValidationError as error:
        raise UserError(f"--influx: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from error


def in_influx_options(error: Exception) -> str:
    """An error's sentence, with the options here in place of the settings that it names.

    >>> in_influx_options(ValueError("nothing answers at http://h:1: is InfluxDB running, is influx.url right?"))
    'nothing answers at http://h:1: is InfluxDB running, is --influx right?'
    """
    sentence = str(error)
    for setting in ("bucket", "org", "token"):
        sentence = sentence.replace(f"influx.{setting}", f"--influx-{setting}")
    return sentence.replace("--influx-token", "--influx-token-file").replace("influx.url", "--influx")


def check_summary(summary: Path | None) -> None:
    """Raises UserError where the result could not be written at the end."""
    if summary is None:
        return
    if summary.is_dir() or not summary.absolute().parent.is_dir():
        raise UserError(f"--summary {summary}: it must name a file in a folder that is there")
    was_there = summary.exists()
    try:
        summary.open("a").close()
    except OSError as error:
        raise UserError(f"--summary {summary} cannot be written: {error.strerror}") from error
    if not was_there:
        summary.unlink()


def write_summary(command: str, summary: Path | None, result: Mapping[str, object]) -> bool:
    """Write the result where it was wished; False, and why, where that failed."""
    if summary is None:
        return True
    try:
        summary.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        sys.stderr.write(f"enginewatch {command}: --summary {summary}: {error.strerror}\n")
        return False
    return True


def ending(duration: float) -> str:
    """How the demo ends, in words."""
    return "Ctrl-C ends it." if math.isinf(duration) else f"It ends after {duration:g} s, or by Ctrl-C."
