"""From options to results: reads, runs the daemon's line and the baselines, and judges them alike."""

from __future__ import annotations

import datetime as dt
from argparse import Namespace
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from config.classes import resolve_classes
from config.load import load
from config.mistakes import SettingsError
from config.shipped import is_shipped, model_folder
from models.artifact import ASSET, ArtifactError, load_header
from models.baselines import BASELINES
from models.baselines.compare import UNFITTED
from models.evaluation import Setting, against, common_ticks, judge, looks_inverted
from models.results import SCHEMA, DataFacts, Results
from models.runtime import load_model
from monitor.assemble import line_spec
from monitor.cli import UserError
from monitor.commands.checked_for_model import check
from monitor.commands.compared import baseline_scores, said_of, through_the_threshold
from monitor.commands.evaluation_facts import curve, evidence, model_facts, regimes
from monitor.commands.judged_line import through
from monitor.commands.labelled import truth_of
from monitor.commands.selection import normal_rows, of_rows, read_marked, read_normal, selects
from monitor.records import Status
from simulator.recording import MissingColumnError, data_hash

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from models.artifact import Header
    from models.evaluation import Truth
    from models.evidence import Evidence
    from monitor.commands.judged_line import Outcome
    from monitor.commands.selection import Marked
    from monitor.records import Bool
    from monitor.spec import LineSpec
    from simulator.recording import Recording


@dataclass(frozen=True, slots=True)
class Evaluated:
    """Figures, and what pictures are drawn of."""

    results: Results
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class _Judged:
    """The runs that are judged, with their rows."""

    recordings: list[Recording]
    truths: list[Truth]


def evaluate(options: Namespace, console: Console) -> Evaluated:
    """Do it all. Raises UserError."""
    header, spec = _line(options)
    chosen = _baselines(options)
    marked = _read(options, header)
    normal = _normal(options, header, marked, needed=bool(set(chosen) - UNFITTED))
    warnings = list(check([each.recording for each in marked], header))
    taken = _taken(options, marked)
    judged = _judged(marked, truth_of(marked, taken, options, header.period_ms), options)
    warnings += _label_warnings(judged.truths)
    if header.tabular:
        warnings.append("the model takes rows without time: hours, delays and incidents count a row as a second")
    with _bar(console) as progress:
        outcomes = _daemon(options, judged, spec, header, progress)
        said = {
            "daemon": said_of(judged.truths, outcomes, everything=True),
            "model": said_of(judged.truths, outcomes, everything=False),
        }
        both = judged.recordings, judged.truths
        own_level = options.normal is None and bool(options.first_rows)
        scores, told = baseline_scores(chosen, normal, both, spec, progress, own_level=own_level)
        warnings += told
        alone, floors = through_the_threshold(scores, said["model"], judged.truths, spec, progress)
    said |= alone
    common = common_ticks(judged.truths, list(said.values()))
    setting = Setting(tuple(judged.truths), header.period_ms, header.window, common)
    judgements = {name: judge(name, *_label_of(name), each, setting) for name, each in said.items()}
    model = judgements["model"]
    warnings += [sentence for sentence in [looks_inverted(model.figures)] if sentence]
    same = data_hash([each.recording for each in marked]) == header.data.sha256
    if same and not selects(options):
        warnings.append(
            "the model was trained on these very rows: its figures say nothing of rows it has not seen"
        )
    runs = len(judged.truths)
    detectors = [judgements["daemon"].figures, model.figures]
    detectors += [against(model, judgements[name], runs) for name in scores]
    rows = sum(int(truth.judged.sum()) for truth in judged.truths)
    results = Results(
        schema=SCHEMA,
        enginewatch=version("enginewatch"),
        created=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        model=model_facts(header),
        data=DataFacts(
            files=tuple(path.name for path in options.files),
            sha256=data_hash([each.recording for each in marked]),
            label=options.label or options.events.name,
            runs=runs,
            judged_rows=rows,
            scored_rows=sum(
                int((truth.judged & ~np.isnan(each.score)).sum())
                for truth, each in zip(judged.truths, said["model"], strict=True)
            ),
            ranked_rows=sum(int(common.sum()) for common in setting.common),
            anomalous_rows=sum(int(truth.anomalous[truth.judged].sum()) for truth in judged.truths),
            hours=setting.hours,
            normal=_normal_words(options, normal),
            normal_rows=sum(len(each.time) for each in normal),
        ),
        settings=dict(text.split("=", 1) for text in options.overrides),
        warnings=tuple(warnings),
        detectors=tuple(detectors),
        floors=tuple(curve(floors, setting)),
        regimes=tuple(regimes(judged.truths, outcomes, judgements["daemon"].matched, spec.classes[0])),
    )
    timed = options.time_column is not None
    return Evaluated(results, evidence(both, outcomes, judgements, spec, header, timed=timed))


def _label_of(name: str) -> tuple[str, str]:
    """What people call a detector, and its role."""
    own = {"daemon": ("Enginewatch", "daemon"), "model": ("its model alone", "model")}
    return own.get(name) or (BASELINES[name][0], "baseline")


def _line(options: Namespace) -> tuple[Header, LineSpec]:
    """The model's header, and the daemon's line for it at the settings that ship. Raises UserError."""
    folder = options.model
    given = [*options.overrides, "classes.0.name=evaluated", f"classes.0.model={folder}"]
    file = options.asset_file
    if file is None and not is_shipped(folder):
        own = model_folder(folder) / ASSET
        file = own if own.is_file() else None
    if file is not None:
        given.append(f"classes.0.file={file}")
    try:
        header = load_header(model_folder(folder))
        loaded = load(None, overrides=given, environment={})
        return header, line_spec(loaded.settings, resolve_classes(loaded))
    except SettingsError as error:
        raise UserError("; ".join(error.lines)) from error
    except ArtifactError as error:
        raise UserError(str(error)) from error


def _baselines(options: Namespace) -> tuple[str, ...]:
    """The chosen baselines, in their usual order."""
    wanted = set(options.baselines)
    if strange := sorted(wanted - set(BASELINES) - {"all", "none"}):
        raise UserError(f"--baselines: {', '.join(strange)} is none of all, none, {', '.join(BASELINES)}")
    return tuple(name for name in BASELINES if "all" in wanted or name in wanted)


def _columns(options: Namespace, header: Header) -> tuple[str, ...]:
    """The model's sensors, by the columns that hold them."""
    sensors = [sensor.name for sensor in header.sensors]
    renamed = {entry.partition("=")[0]: entry for entry in options.columns}
    if strange := sorted(set(renamed) - set(sensors)):
        raise UserError(f"--columns: the model {header.name} has no sensor {', '.join(strange)}")
    return tuple(renamed.get(name, name) for name in sensors)


def _read(options: Namespace, header: Header) -> list[Marked]:
    """The labelled recordings."""
    if not options.label and not options.events:
        raise UserError("what is anomalous? Give --label COLUMN or --events FILE")
    if options.period_ms not in {None, header.period_ms}:
        raise UserError(f"--period-ms {options.period_ms}, but the model takes a tick each {header.period_ms} ms")
    marks = [options.label]
    if options.normal is None:
        marks += [options.where_not, options.runs_without]
    with _told_of_the_model(header):
        found = read_marked(options, period_ms=header.period_ms, columns=_columns(options, header), marks=marks)
    return [each for each in found if len(each.recording.time)]


@contextmanager
def _told_of_the_model(header: Header) -> Iterator[None]:
    """A sensor that is missing is told with what the model takes."""
    try:
        yield
    except UserError as error:
        if not isinstance(error.__cause__, MissingColumnError):
            raise
        takes = ", ".join(sensor.name for sensor in header.sensors)
        raise UserError(
            f"{error}; the model takes {takes}: --columns SENSOR=COLUMN says what stands for one"
        ) from error


def _taken(options: Namespace, marked: Sequence[Marked]) -> list[Bool]:
    """Of each run the rows (N,) that the baselines are fitted on, and that are therefore not judged."""
    if options.normal is None and selects(options):
        return [normal_rows(options, each) for each in marked]
    return [np.zeros(len(each.recording.time), np.bool_) for each in marked]


def _normal(options: Namespace, header: Header, marked: Sequence[Marked], *, needed: bool) -> list[Recording]:
    """What the baselines are fitted on; nothing where none needs it."""
    if options.normal is not None:
        wanted = Namespace(**{**vars(options), "files": options.normal, "assets": ()})
        with _told_of_the_model(header):
            return read_normal(wanted, period_ms=header.period_ms, columns=_columns(options, header))
    if selects(options):
        if not options.first_rows and not options.runs_without:
            raise UserError("--where-not would leave no normal row to judge: give --first-rows, or --normal FILE")
        chosen = [
            of_rows(each.recording, rows) for each, rows in zip(marked, _taken(options, marked), strict=True)
        ]
        kept = [each for each in chosen if len(each.time)]
        if not kept and needed:
            raise UserError("none of the rows is left to fit the baselines on: look at the selection")
        return kept
    if needed:
        raise UserError(
            "the baselines need normal rows: --normal FILE, --first-rows N or --runs-without COLUMN; "
            "or --baselines none"
        )
    return []


def _normal_words(options: Namespace, normal: Sequence[Recording]) -> str:
    """What the baselines were fitted on."""
    if not normal:
        return "none was fitted"
    rows = sum(len(each.time) for each in normal)
    if options.normal is not None:
        where = ", ".join(path.name for path in options.normal)
    elif options.first_rows:
        where = f"the first {options.first_rows} rows of each run, each run scaled by its own"
    else:
        where = f"runs without {options.runs_without}"
    return f"fitted on {rows} rows of {len(normal)} runs ({where})"


def _judged(marked: Sequence[Marked], truths: Sequence[Truth], options: Namespace) -> _Judged:
    """The runs with judged rows. Raises UserError where there is none."""
    pairs = [(each.recording, truth) for each, truth in zip(marked, truths, strict=True) if truth.judged.any()]
    if not pairs:
        rows = sum(len(each.recording.time) for each in marked)
        raise UserError(
            f"none of {rows} rows is left to judge: look at {options.label or '--events'} and the selection"
        )
    return _Judged([recording for recording, _ in pairs], [truth for _, truth in pairs])


def _label_warnings(truths: Sequence[Truth]) -> list[str]:
    """What labels lack. Raises UserError where nothing is normal."""
    anomalous = sum(int(truth.anomalous[truth.judged].sum()) for truth in truths)
    rows = sum(int(truth.judged.sum()) for truth in truths)
    if anomalous == rows:
        raise UserError(
            f"all of {rows} judged rows are labelled as anomalous: detection needs normal rows beside them"
        )
    if not anomalous:
        return [f"none of {rows} judged rows is labelled as anomalous: only false alarms are measured"]
    return []


@contextmanager
def _bar(console: Console) -> Iterator[Progress]:
    columns = TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield progress


def _daemon(
    options: Namespace, judged: _Judged, spec: LineSpec, header: Header, progress: Progress
) -> list[Outcome]:
    """What the daemon's line says of the runs. Raises UserError where it scores nothing."""
    task = progress.add_task("model", total=sum(len(each.time) for each in judged.recordings))
    model = load_model(model_folder(options.model))
    outcomes = through(judged.recordings, spec, {header.hash: model}, lambda rows: progress.advance(task, rows))
    scored = sum(int((each.rows.status == Status.SCORED).sum()) for each in outcomes)
    if not scored:
        counts = np.sum([np.bincount(each.rows.status, minlength=len(Status)) for each in outcomes], axis=0)
        why = ", ".join(
            f"{count} {Status(number).name.lower().replace('_', ' ')}"
            for number, count in enumerate(counts)
            if count
        )
        rows = sum(len(each.time) for each in judged.recordings)
        raise UserError(
            f"none of {rows} rows could be scored ({why or 'no tick closed'}): the model takes windows of "
            f"{header.window} ticks of {header.period_ms} ms"
        )
    return outcomes
