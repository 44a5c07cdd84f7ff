"""`enginewatch init`: find out what a broker or a recording holds, and write settings for it."""

from __future__ import annotations

import argparse
import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from monitor.cli import COMMANDS, UserError
from monitor.commands.recordings import names, positive
from monitor.discovery import words
from monitor.discovery.written import SETTINGS, files, root_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.discovery.findings import Findings

NOTHING = 1


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add = parser.add_argument
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--from-broker", metavar="URL", help="listen on mqtt://user@host:port, or mqtts:// for TLS"
    )
    source.add_argument(
        "--from-file", nargs="+", type=Path, metavar="FILE", help="recordings (CSV, Parquet), or captures (.jsonl)"
    )
    add("--out", type=Path, default=Path(), metavar="DIR", help="folder of the files (here)")
    add("--json", action="store_true", help="the findings as JSON")
    broker = parser.add_argument_group("from a broker")
    broker.add_argument(
        "--listen", type=seconds, metavar="TIME", help="for how long, such as 5m (30s, or until nothing new comes)"
    )
    broker.add_argument(
        "--topic", action="append", metavar="FILTER", help="only these topics (#); can be repeated"
    )
    broker.add_argument(
        "--rebirth",
        action="store_true",
        help="ask Sparkplug B nodes for their births, which name the sensors (all that init ever publishes)",
    )
    broker.add_argument("--capture", type=Path, metavar="FILE", help="also write what was heard, for --from-file")
    broker.add_argument("--password-file", type=Path, metavar="FILE", help="password of the user")
    broker.add_argument(
        "--ca-file", type=Path, metavar="FILE", help="authority that signed the broker's certificate"
    )
    recording = parser.add_argument_group("from recordings")
    recording.add_argument("--asset-column", metavar="NAME", help="column of the asset's name")
    recording.add_argument("--time-column", metavar="NAME", help="column of the time")
    recording.add_argument(
        "--period-ms", type=positive, metavar="MS", help="distance of the rows without a time (1000)"
    )
    recording.add_argument("--exclude", type=names, default=(), metavar="A,B", help="columns that are no sensors")


def run(options: argparse.Namespace) -> int:
    """Find out and write; 0 where something was found, 1 where nothing was."""
    _check_free([options.out / SETTINGS, *([options.capture] if options.capture else [])])
    if options.from_broker:
        from monitor.commands.listening import from_broker  # noqa: PLC0415 - files need no network

        found = from_broker(options)
    else:
        from monitor.commands.found_in_files import from_files  # noqa: PLC0415 - a broker needs no tables

        found = from_files(options)
    findings = found.findings
    made = files(findings, found.mqtt, found.origin, aliases=found.aliases) if findings.classes else {}
    _check_free([options.out / name for name in made])
    _write(options.out, made)
    if options.json:
        sys.stdout.buffer.write(msgspec.json.encode({"findings": findings, "files": sorted(made)}) + b"\n")
        return 0 if made else NOTHING
    screen = [found.heading, *words.told(findings), ""]
    screen += _next(options.out, findings, found.commands, made) if made else [found.nothing]
    sys.stdout.write("\n".join(screen) + "\n")
    return 0 if made else NOTHING


def _next(out: Path, findings: Findings, commands: Sequence[str], made: dict[str, str]) -> list[str]:
    settings = shlex.quote(str(out / SETTINGS))
    root = root_of(findings)
    lines = [f"Written to {out.resolve()}: {', '.join(made)}"]
    if root not in {None, "enginewatch"}:
        lines.append(f"The root of Enginewatch's topics is {root}, as was heard (mqtt.root).")
    return [
        *lines,
        "",
        "Next:",
        f"  enginewatch check --config {settings}",
        *([f"  enginewatch doctor --config {settings}"] if "doctor" in COMMANDS else []),
        *(f"  {command.replace('DIR/', shlex.quote(str(out)) + '/')}" for command in commands),
        f"  enginewatch monitor --config {settings}",
    ]


def _check_free(paths: Sequence[Path]) -> None:
    """Raises UserError where a file is there already, or its folder cannot be."""
    for path in paths:
        if path.exists():
            raise UserError(
                f"{path} is there already and is not overwritten: move it away, or choose another folder"
            )
    for folder in {path.parent for path in paths}:
        if folder.exists() and not folder.is_dir():
            raise UserError(f"{folder} is a file, not a folder")


def _write(out: Path, made: dict[str, str]) -> None:
    try:
        if made:
            out.mkdir(parents=True, exist_ok=True)
        for name, text in made.items():
            with (out / name).open("x", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        raise UserError(f"{error.filename or out} cannot be written: {error.strerror}") from error


def seconds(text: str) -> float:
    """Seconds, as a number or with s, m or h.

    >>> seconds("30"), seconds("5m"), seconds("1.5h")
    (30.0, 300.0, 5400.0)
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|m|h|)", text.strip())
    if match is None or float(match[1]) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no time: write 30s, 5m or 1h")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]
