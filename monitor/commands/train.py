"""`enginewatch train`: normal running, out of recordings or the daemon's store -> a model artifact."""

from __future__ import annotations

import argparse
import datetime as dt
import importlib.util
import re
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from config.asset_file import AssetFile, AssetSensor
from config.files import load_asset_file
from config.mistakes import SettingsError
from models.artifact import HEADER
from monitor.cli import UserError
from monitor.commands import training_progress, unfinished
from monitor.commands.asking import json_argument
from monitor.commands.checked_recordings import check, check_rows, constant_sensors, refuse_empty_sensors
from monitor.commands.common import open_store, show, state_arguments
from monitor.commands.numbers import number, whole_number
from monitor.commands.recordings import positive, recording_arguments
from monitor.commands.selection import read_normal, selection_arguments
from monitor.spec import LineSpec
from monitor.wording import duration
from simulator.recording import data_hash

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from models.artifact import Header
    from models.split import Run
    from models.training import Trained, TrainingConfig
    from monitor.spec import ClassSpec
    from monitor.store import Store
    from simulator.recording import Recording

WINDOW = 60  # ticks, where nothing is said
ROW_MS = 1000  # what rows without time are counted by
# As in models.autoencoder and models.fitting, which need torch.
KINDS = ("plain", "variational", "denoising")
LOSSES = ("mse", "mae", "huber")
NEEDED = ("torch", "onnx", "safetensors")


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add = parser.add_argument
    files = "CSV or Parquet, of normal running"
    recording_arguments(parser, files=files, period="length of a tick", some="*")
    selection_arguments(parser, use="train on")
    add("--from-store", action="store_true", help="instead of files: what the daemon recorded, without incidents")
    add("--asset-class", metavar="NAME", help="from the store: the class; not needed for only one")
    add("--since", type=since, default="7d", metavar="TIME", help="from the store: so far back (%(default)s)")
    state_arguments(parser)
    add("--out", type=Path, metavar="DIR", help="folder of the model")
    add("--force", action="store_true", help="replace the model that is in the folder, or an unfinished training")
    add("--resume", type=Path, metavar="DIR", help="go on with a training that was broken off; alone")
    add("--name", metavar="NAME", help="name of the model; else the folder's")
    add("--asset-file", type=Path, metavar="FILE", help="sensors in order, their units and the period (TOML)")
    add("--hold-ms", type=_natural, default=0, metavar="MS", help="as align.hold_ms of the daemon (%(default)s)")
    add("--window", type=positive, metavar="TICKS", help=f"ticks in a window ({WINDOW})")
    add("--tabular", action="store_true", help="rows without time: windows of one row, no period")
    add("--network", choices=KINDS, default="plain", help="kind of the network (%(default)s)")
    add("--noise", type=number(0, 10), default=0.3, metavar="SD", help="of denoising, scaled units (%(default)s)")
    add("--hidden", type=positive, default=64, metavar="N", help="units of each LSTM layer (%(default)s)")
    add("--latent", type=positive, metavar="N", help="numbers left of a tick; else a third of the sensors")
    add("--layers", type=whole_number(1, 8), default=1, metavar="N", help="LSTM layers on each side (%(default)s)")
    add("--loss", choices=LOSSES, default="mse", help="error that fitting makes small (%(default)s)")
    add("--epochs", type=positive, default=60, metavar="N", help="at the most (%(default)s)")
    add("--patience", type=positive, default=8, metavar="N", help="stop after N without progress (%(default)s)")
    add("--stride", type=positive, metavar="N", help="fit on every Nth window; else about 15000 are taken")
    add("--seed", type=_natural, default=0, metavar="N", help="of everything random (%(default)s)")
    add("--threads", type=positive, default=1, metavar="N", help="threads of torch (%(default)s)")
    json_argument(parser, "what was made, as one JSON object")


def run(options: argparse.Namespace) -> int:
    """Train and save; 0 when the model is there."""
    if not all(importlib.util.find_spec(name) for name in NEEDED):
        raise UserError("training needs torch: install enginewatch[train]")
    before = None if options.resume is None else _to_go_on(options)
    if before is not None:
        options = argparse.Namespace(**before.options)
    elif options.out is None:
        raise UserError("where to? Give --out DIR")
    else:
        _check_folder(options.out, replace=options.force)
    _settle_window(options)
    console = Console(stderr=True)
    if options.from_store:
        plan, recordings, runs = _from_store(options, console)
    else:
        plan = _plan(options)
        recordings = _recordings(options, plan)
        for sentence in _look_over(recordings, plan, options):
            _say(console, f"warning: {sentence}")
        runs = _windows(recordings, plan, options)
    sha256 = data_hash(recordings)
    if before is not None and before.data_sha256 != sha256:
        raise UserError(f"--resume {options.out}: the recordings are not those that the training began with")
    trained, config = _train(runs, options, console, sha256, before, recordings[0].sensors)
    header = _save(options, plan, recordings, trained, config)
    _lay_landscape(options.out, runs)
    unfinished.clear(options.out)
    for sentence in trained.doubts:
        _say(console, f"warning: {sentence}")
    made = _made(options.out, header, trained, sum(len(each.time) for each in recordings))
    if options.json:
        show([made], (), as_json=True)
    else:
        Console().print(_summary(made), end="", highlight=False, markup=False, soft_wrap=True)
    return 0


def _to_go_on(options: argparse.Namespace) -> unfinished.Unfinished:
    """The training to go on with, which has its own options. Raises UserError."""
    parser = argparse.ArgumentParser()
    arguments(parser)
    usual = vars(parser.parse_args([]))
    others = [
        name for name, value in vars(options).items() if name not in {"resume", "command"} and value != usual[name]
    ]
    if others:
        raise UserError(
            f"--resume goes on with what the training began with: leave out {', '.join(others).replace('_', '-')}"
        )
    return unfinished.load(options.resume)


def _settle_window(options: argparse.Namespace) -> None:
    """The window's length, where it was not given. Raises UserError where rows without time are to have one."""
    if options.tabular:
        for name in ("time_column", "period_ms", "hold_ms", "from_store"):
            if getattr(options, name):
                raise UserError(f"--tabular is for rows without time: leave out --{name.replace('_', '-')}")
        if options.window not in {None, 1}:
            raise UserError(f"--tabular makes windows of one row, --window {options.window} of more")
    options.window = options.window or (1 if options.tabular else WINDOW)


def _say(console: Console, sentence: str) -> None:
    console.print(sentence, highlight=False, markup=False, soft_wrap=True)


@dataclass(frozen=True, slots=True)
class _Plan:
    """What the options and the asset file say together."""

    period_ms: int
    columns: tuple[str, ...]
    asset: AssetFile | None


def _from_store(options: argparse.Namespace, console: Console) -> tuple[_Plan, list[Recording], list[Run]]:
    """What the store holds of a class. Raises UserError where that is too little, with the numbers."""
    from monitor.commands.stored_windows import stored_windows  # noqa: PLC0415 - after all options are checked

    file_options = ("files", "asset_column", "time_column", "period_ms", "columns", "exclude", "assets")
    for name in (*file_options, "first_rows", "where_not", "runs_without", "asset_file"):
        if getattr(options, name):
            raise UserError(
                f"--from-store and {name.replace('_', '-')}: the daemon's own settings say what that is"
            )
    with closing(open_store(options)) as store:
        family = _family_of(store, options.asset_class)
        stored = stored_windows(store, family, window=options.window, since_ms=options.since)
    spec = family[-1]
    windows = sum(len(run.tick) for run in stored.runs)
    console.print(f"class {spec.name}: {stored.words()}", highlight=False, markup=False, soft_wrap=True)
    if not windows:
        raise UserError(
            f"nothing to train on: {stored.words()}; let the daemon record for longer, or take --since"
        )
    refuse_empty_sensors(stored.recordings, "the asset file of the class has a sensor that is never reported")
    for sentence in constant_sensors(stored.recordings):
        _say(console, f"warning: {sentence}")
    ran_ms = sum(len(each.time) for each in stored.recordings) * spec.align.period_ms
    if ran_ms < spec.wanted_ms:
        sentence = f"warning: {duration(ran_ms)} of normal running, where {duration(spec.wanted_ms)} are wanted"
        console.print(sentence, highlight=False, markup=False, soft_wrap=True)
    sensors = tuple(
        AssetSensor(name=name, unit=unit) for name, unit in zip(spec.route.sensors, spec.units, strict=True)
    )
    asset = AssetFile(period_ms=spec.align.period_ms, sensors=sensors)
    return _Plan(asset.period_ms, (), asset), stored.recordings, stored.runs


def _family_of(store: Store, name: str | None) -> list[ClassSpec]:
    """The descriptions of a class, last, and of its overrides as the daemon noted them. Raises UserError."""
    line = store.facts().get("line")
    if line is None:
        raise UserError("the store does not say what its classes are: start `enginewatch monitor` on it once")
    families: dict[str, list[ClassSpec]] = {}
    for each in LineSpec.decode(line.encode()).classes:
        families.setdefault(each.family, []).append(each)
    if name is None and len(families) == 1:
        return next(iter(families.values()))
    if name is None or name not in families:
        raise UserError(f"which class? --asset-class takes one of {', '.join(families)}")
    return families[name]


def _check_folder(folder: Path, *, replace: bool) -> None:
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--out {folder} is a file")
    if not folder.exists() or not any(folder.iterdir()):
        return
    if unfinished.is_there(folder) and not replace:
        raise UserError(
            f"--out {folder} holds an unfinished training: --resume {folder} goes on with it, --force begins anew"
        )
    if not (folder / HEADER).is_file() and not unfinished.is_there(folder):
        raise UserError(f"--out {folder} holds something that is no model: choose another folder")
    if (folder / HEADER).is_file() and not replace:
        raise UserError(f"--out {folder} holds a model already: choose another folder, or add --force")


def _plan(options: argparse.Namespace) -> _Plan:
    if options.asset_file is None:
        if options.period_ms is None and not options.tabular:
            raise UserError("the length of a tick is missing: give --period-ms or --asset-file, or --tabular")
        return _Plan(options.period_ms or ROW_MS, options.columns, None)
    try:
        asset = load_asset_file(options.asset_file)
    except SettingsError as error:
        raise UserError("; ".join(error.lines)) from error
    if options.period_ms not in {None, asset.period_ms}:
        raise UserError(f"--period-ms {options.period_ms}, but {options.asset_file} says {asset.period_ms}")
    names = tuple(sensor.name for sensor in asset.sensors)
    renamed = {entry.partition("=")[0]: entry for entry in options.columns}
    if strange := sorted(set(renamed) - set(names)):
        raise UserError(f"--columns: {options.asset_file} has no sensor {', '.join(strange)}")
    return _Plan(asset.period_ms, tuple(renamed.get(name, name) for name in names), asset)


def _recordings(options: argparse.Namespace, plan: _Plan) -> list[Recording]:
    """What was recorded. Raises UserError."""
    if not options.files:
        raise UserError("train on what? Give recorded files, or --from-store")
    return read_normal(options, period_ms=plan.period_ms, columns=plan.columns)


def _look_over(recordings: Sequence[Recording], plan: _Plan, options: argparse.Namespace) -> Iterator[str]:
    """What to warn of. Raises UserError for what cannot be trained on."""
    remedy = "leave it out with --exclude or --columns"
    if options.tabular:
        return check_rows(recordings, remedy=remedy)
    return check(recordings, period_ms=plan.period_ms, hold_ms=options.hold_ms, remedy=remedy)


def _windows(recordings: Sequence[Recording], plan: _Plan, options: argparse.Namespace) -> list[Run]:
    from monitor.assemble import regime_config  # noqa: PLC0415 - after all options are checked
    from monitor.commands.recorded_windows import windows_of  # noqa: PLC0415 - as above

    rules = plan.asset.rules() if plan.asset else ()
    regimes = regime_config(rules, plan.period_ms)
    runs = windows_of(
        recordings, period_ms=plan.period_ms, window=options.window, hold_ms=options.hold_ms, regimes=regimes
    )
    if not runs and rules:
        left_out = ", ".join(rule.name for rule in rules if not rule.scored)
        raise UserError(f"{options.asset_file}: no window is left outside of the regimes {left_out}")
    return runs


def _train(
    runs: list[Run],
    options: argparse.Namespace,
    console: Console,
    sha256: str,
    before: unfinished.Unfinished | None,
    sensors: Sequence[str],
) -> tuple[Trained, TrainingConfig]:
    from models import training  # noqa: PLC0415 - needs torch, an extra that is slow to import

    config = training.TrainingConfig(
        kind=options.network,
        hidden=options.hidden,
        latent=options.latent,
        layers=options.layers,
        loss=options.loss,
        epochs=options.epochs,
        patience=options.patience,
        noise=options.noise,
        stride=options.stride,
        seed=options.seed,
        threads=options.threads,
    )
    if before is None:
        unfinished.begin(options.out, options, sha256)
    keep = partial(unfinished.keep, options.out)
    try:
        with training_progress.shown(console, config.epochs) as show:
            state = None if before is None else before.state
            return training.train(runs, config, show, keep=keep, resume=state, sensors=sensors), config
    except training.TrainingError as error:
        if before is None:
            unfinished.abandon(options.out)  # it would end like this again
        raise UserError(str(error)) from error
    except KeyboardInterrupt:
        _say(console, f"stopped: `enginewatch train --resume {options.out}` goes on after the last whole epoch")
        raise


def _save(
    options: argparse.Namespace,
    plan: _Plan,
    recordings: Sequence[Recording],
    trained: Trained,
    config: TrainingConfig,
) -> Header:
    from models.card import Origin, save_trained  # noqa: PLC0415 - needs torch

    sensors = recordings[0].sensors
    units = tuple(sensor.unit for sensor in plan.asset.sensors) if plan.asset else ("",) * len(sensors)
    origin = Origin(
        name=options.name or options.out.resolve().name,
        created=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        sensors=sensors,
        units=units,
        period_ms=plan.period_ms,
        data_sha256=data_hash(recordings),
        assets=len(recordings),
        rows=sum(len(each.time) for each in recordings),
        tabular=options.tabular,
    )
    try:
        return save_trained(options.out, trained, config, origin)
    except OSError as error:
        raise UserError(f"--out {options.out} cannot be written: {error.strerror}") from error


def _lay_landscape(folder: Path, runs: Sequence[Run]) -> None:
    """Note where the training windows lie, to show others beside them. Raises UserError."""
    from models.landscape_file import lay_landscape  # noqa: PLC0415 - loads onnxruntime

    try:
        lay_landscape(folder, runs)
    except OSError as error:
        raise UserError(f"--out {folder} cannot be written: {error.strerror}") from error


def _made(folder: Path, header: Header, trained: Trained, rows: int) -> dict[str, Any]:
    """What was made, and of what."""
    data = header.data
    best = trained.best
    return {
        "folder": str(folder),
        "model": header.name,
        "hash": header.hash,
        "sensors": [sensor.name for sensor in header.sensors],
        "window": header.window,
        "period_ms": header.period_ms,
        "tabular": header.tabular,
        "network": header.network.kind,
        "rows": rows,
        "assets": data.assets,
        "split": data.split,
        "windows_fit": data.windows_fit,
        "stride": trained.stride,
        "windows_stop": data.windows_stop,
        "windows_calibration": data.windows_calibration,
        "epochs": len(trained.epochs),
        "best_epoch": best.number,
        "error_held_out": best.stop_loss,
        "share_above_one": trained.false_alarm_share,
        "regimes": [] if header.regimes is None else [each.name for each in header.regimes.of],
        "doubts": trained.doubts,
    }


def _summary(made: dict[str, Any]) -> str:
    """The same for people."""
    regimes = f"\nregimes: {'; '.join(made['regimes'])}" if made["regimes"] else ""
    ticks = "rows without time" if made["tabular"] else f"window {made['window']} x {made['period_ms']} ms"
    return """\
{folder}: model {model}, {count} sensors, {ticks}
hash {hash}
{rows} rows of {assets} assets; {split}
windows: {windows_fit} fit (one in {stride} taken), {windows_stop} stop the training, \
{windows_calibration} calibrate
best of {epochs} epochs: {best_epoch}, error {error_held_out:.4f} held out
{percent:.2f} % of held-out windows score above 1.0{regimes_in_words}
""".format(
        **made,
        ticks=ticks,
        regimes_in_words=regimes,
        count=len(made["sensors"]),
        percent=100 * made["share_above_one"],
    )


def since(text: str) -> int:
    """A length of time in milliseconds, given as 12h or 7d. Raises ValueError."""
    match = re.fullmatch(r"(\d+)([hd])", text)
    if match is None:
        raise ValueError(text)
    return int(match[1]) * {"h": 3_600_000, "d": 86_400_000}[match[2]]


since.__name__ = "time (a number and h or d, for example 12h)"  # argparse tells it to the user


def _natural(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text} is negative")
    return number
