"""`init --from-file`: recordings as tables of columns, or captured messages one a line."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from config.overlap import globs_overlap
from monitor.cli import UserError
from monitor.commands.births import decoder
from monitor.commands.listening import Found
from monitor.discovery.capture import Capture, from_line
from monitor.discovery.discover import discover
from monitor.discovery.findings import Question
from monitor.discovery.names import LABELS, plain
from monitor.discovery.recorded import asset_column, discover_recordings, time_column
from simulator.recording import RecordingError, read_recording
from simulator.tables import read_table

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from monitor.discovery.findings import Findings
    from simulator.tables import Table

CAPTURES = {".jsonl", ".ndjson"}
UNKNOWN_BROKER = ('#host = "127.0.0.1"  # name or address of the broker', "#port = 1883")


def from_files(options: argparse.Namespace) -> Found:
    """What the files hold. Raises UserError."""
    captures = [path.suffix.lower() in CAPTURES for path in options.from_file]
    if any(captures) and not all(captures):
        raise UserError("captures (.jsonl) and recordings cannot be mixed: give one kind")
    return _captures(options.from_file) if all(captures) else _recordings(options)


def _captures(paths: Sequence[Path]) -> Found:
    capture = Capture()
    for path in paths:
        try:
            with path.open(encoding="utf-8", errors="replace") as file:
                for line in file:
                    if line.strip():
                        _take(capture, line)
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror}") from error
    findings = discover(capture, globs_overlap, decoder())
    shown = ", ".join(map(str, paths))
    return Found(
        findings=findings,
        heading=f"{shown}: {findings.messages} messages on {findings.topics} topics, "
        f"{findings.span_ms / 1000:.0f} s.",
        origin=f"from {shown}",
        nothing="No machine was found in these messages, so nothing is written.",
        mqtt=UNKNOWN_BROKER,
    )


def _take(capture: Capture, line: str) -> None:
    try:
        capture.add(from_line(line))
    except (ValueError, RecursionError):
        capture.unreadable += 1


def _recordings(options: argparse.Namespace) -> Found:
    try:
        first = read_table(options.from_file[0])
        columns = _cells(first)
        time, time_why = (options.time_column, "as given") if options.time_column else time_column(columns)
        column, column_why = (
            (options.asset_column, f"{options.asset_column} holds the assets' names, as given")
            if options.asset_column
            else asset_column(columns, time)
        )
        labels = [name for name in columns if plain(name) in LABELS and first.is_numeric(name)]
        excluded = list(dict.fromkeys([*options.exclude, *labels]))
        period = None if time else options.period_ms or 1_000
        recordings = read_recording(
            options.from_file, asset_column=column, time_column=time, period_ms=period, exclude=excluded
        )
    except RecordingError as error:
        raise UserError(str(error)) from error
    arrays = [(each.asset, each.sensors, each.time, each.values) for each in recordings]
    findings = discover_recordings(arrays, globs_overlap, timed=time is not None or options.period_ms is not None)
    questions = list(findings.questions)
    if column and not options.asset_column:
        text = (
            f"{column} is taken as the asset: are these machines, or runs of one machine? Either can be trained on"
        )
        questions.insert(0, Question(text, "--asset-column"))
    findings = replace(findings, questions=tuple(questions))
    shown = ", ".join(map(str, options.from_file))
    left = f"  left out as labels, by their names: {', '.join(labels)}\n" if labels else ""
    return Found(
        findings=findings,
        heading=f"{shown}: {findings.messages} rows of {_assets(findings.topics)}.\n"
        f"  time     {time_why if time else 'no column is a time'}\n"
        f"  assets   {column_why or 'one a file; --asset-column names a column that holds them'}\n{left}".rstrip(),
        origin=f"from {shown}",
        nothing="No sensor was found in these files, so nothing is written.",
        mqtt=UNKNOWN_BROKER,
        commands=_commands(options.from_file, findings, column, time, excluded),
        aliases=False,
    )


def _assets(count: int) -> str:
    return f"{count} asset{'s' if count > 1 else ''}"


def _cells(table: Table) -> dict[str, Sequence[Any]]:
    """The cells of every column as text, numbers or ISO times."""
    found: dict[str, Sequence[Any]] = {}
    for name, cells in table.columns.items():
        if isinstance(cells, Sequence) and table.kind(name) == "numbers":
            found[name] = [_number(cell) for cell in cells]
        elif isinstance(cells, Sequence):
            found[name] = list(cells)
        elif cells.dtype.kind == "M":
            found[name] = [f"{cell}Z" for cell in cells.tolist()] if len(cells) else []
        else:
            found[name] = cells.tolist()
    return found


def _number(cell: str) -> Any:
    try:
        return float(cell)
    except ValueError:
        return None if not cell.strip() else cell


def _commands(
    paths: Sequence[Path], findings: Findings, column: str | None, time: str | None, excluded: Sequence[str]
) -> list[str]:
    """Training and replaying with the same columns and names."""
    commands = []
    for each in findings.classes:
        kept = [sensor for sensor in each.sensors if sensor.kept]
        words = [*map(str, paths)]
        words += ["--asset-column", column] if column else []
        words += ["--time-column", time] if time else ["--period-ms", str(each.period_ms)]
        renamed = [f"{sensor.name}={sensor.published}" for sensor in kept if sensor.name != sensor.published]
        if any("," in entry for entry in renamed):
            renamed = []
        train = [*words, "--asset-file", "DIR/" + each.file]
        train += ["--columns", ",".join(renamed)] if renamed else []
        commands.append("enginewatch train " + " ".join(map(_quote, train)) + f" --out DIR/models/{each.name}")
    del excluded
    return commands


def _quote(word: str) -> str:
    return word if word.startswith("DIR/") else shlex.quote(word)
