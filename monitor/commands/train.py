"""`enginewatch train`: normal running, out of recordings or the daemon's store -> a model artifact."""

from __future__ import annotations

import argparse
import datetime as dt
import importlib.util
import re
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from config.asset_file import AssetFile, AssetSensor
from config.files import load_asset_file
from config.mistakes import SettingsError
from models.artifact import HEADER
from monitor.cli import UserError
from monitor.commands.asking import json_argument
from monitor.commands.common import open_store, show, state_arguments
from monitor.commands.recordings import positive, read, recording_arguments
from monitor.limits import duration
from monitor.spec import LineSpec
from simulator.recording import data_hash

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.artifact import Header
    from models.split import Run
    from models.training import Epoch, Trained, TrainingConfig
    from monitor.spec import ClassSpec
    from monitor.store import Store
    from simulator.recording import Recording

NEEDED = ("torch", "onnx", "safetensors")


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add = parser.add_argument
    files = "CSV or Parquet, of normal running only"
    recording_arguments(parser, files=files, period="length of a tick", some="*")
    add("--from-store", action="store_true", help="instead of files: what the daemon recorded, without incidents")
    add("--asset-class", metavar="NAME", help="from the store: the class; not needed for only one")
    add("--since", type=since, default="7d", metavar="TIME", help="from the store: so far back (%(default)s)")
    state_arguments(parser)
    add("--out", type=Path, required=True, metavar="DIR", help="folder of the model")
    add("--force", action="store_true", help="replace the model that is in the folder")
    add("--name", metavar="NAME", help="name of the model; else the folder's")
    add("--asset-file", type=Path, metavar="FILE", help="sensors in order, their units and the period (TOML)")
    add("--hold-ms", type=_natural, default=0, metavar="MS", help="as align.hold_ms of the daemon (%(default)s)")
    add("--window", type=positive, default=60, metavar="TICKS", help="ticks in a window (%(default)s)")
    add("--hidden", type=positive, default=64, metavar="N", help="units of each LSTM layer (%(default)s)")
    add("--latent", type=positive, metavar="N", help="numbers left of a tick; else a third of the sensors")
    add("--epochs", type=positive, default=40, metavar="N", help="at the most (%(default)s)")
    add("--stride", type=positive, metavar="N", help="fit on every Nth window; else about 15000 are taken")
    add("--seed", type=_natural, default=0, metavar="N", help="of everything random (%(default)s)")
    add("--threads", type=positive, default=1, metavar="N", help="threads of torch (%(default)s)")
    json_argument(parser, "what was made, as one JSON object")


def run(options: argparse.Namespace) -> int:
    """Train and save; 0 when the model is there."""
    _check_folder(options.out, replace=options.force)
    if not all(importlib.util.find_spec(name) for name in NEEDED):
        raise UserError("training needs torch: install enginewatch[train]")
    console = Console(stderr=True)
    if options.from_store:
        plan, recordings, runs = _from_store(options, console)
    else:
        plan = _plan(options)
        recordings = _recordings(options, plan)
        runs = _windows(recordings, plan, options)
    for sentence in _constant_columns(recordings):
        console.print(f"warning: {sentence}", highlight=False, markup=False, soft_wrap=True)
    trained, config = _train(runs, options, console)
    header = _save(options, plan, recordings, trained, config)
    made = _made(options.out, header, trained, sum(len(each.time) for each in recordings))
    if options.json:
        show([made], (), as_json=True)
    else:
        Console().print(_summary(made), end="", highlight=False, markup=False, soft_wrap=True)
    return 0


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
    for name in (*file_options, "asset_file"):
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
    _refuse_empty_sensors(stored.recordings, "the asset file of the class has a sensor that is never reported")
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
    if not (folder / HEADER).is_file():
        raise UserError(f"--out {folder} holds something that is no model: choose another folder")
    if not replace:
        raise UserError(f"--out {folder} holds a model already: choose another folder, or add --force")


def _plan(options: argparse.Namespace) -> _Plan:
    if options.asset_file is None:
        if options.period_ms is None:
            raise UserError("the length of a tick is missing: give --period-ms or --asset-file")
        return _Plan(options.period_ms, options.columns, None)
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
    """The recordings, in which every sensor has some value."""
    if not options.files:
        raise UserError("train on what? Give recorded files, or --from-store")
    recordings = read(options, period_ms=plan.period_ms, columns=plan.columns)
    _refuse_empty_sensors(recordings, "leave it out with --exclude or --columns")
    return recordings


def _refuse_empty_sensors(recordings: Sequence[Recording], remedy: str) -> None:
    """Raises UserError where a sensor has no value at all."""
    present = np.sum([np.count_nonzero(~np.isnan(each.values), axis=0) for each in recordings], axis=0)  # (C,)
    empty = [name for name, count in zip(recordings[0].sensors, present, strict=True) if count == 0]
    if empty:
        rows = sum(len(each.time) for each in recordings)
        raise UserError(f"no value in {rows} rows of {', '.join(empty)}: {remedy}")


def _constant_columns(recordings: Sequence[Recording]) -> list[str]:
    """A sentence for each sensor that never moves."""
    values = np.concatenate([each.values for each in recordings])  # (N, C)
    lowest, highest = np.nanmin(values, axis=0), np.nanmax(values, axis=0)  # (C,)
    return [
        f"{name} is {lowest[index]:g} in all of its {np.count_nonzero(~np.isnan(values[:, index]))} values: "
        "any other value will count as far from normal"
        for index, name in enumerate(recordings[0].sensors)
        if lowest[index] == highest[index]
    ]


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


def _train(runs: list[Run], options: argparse.Namespace, console: Console) -> tuple[Trained, TrainingConfig]:
    from models import training  # noqa: PLC0415 - needs torch, an extra that is slow to import

    config = training.TrainingConfig(
        hidden=options.hidden,
        latent=options.latent,
        epochs=options.epochs,
        stride=options.stride,
        seed=options.seed,
        threads=options.threads,
    )
    bar = Progress(
        TextColumn("epoch"),
        MofNCompleteColumn(),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[loss]}"),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with bar:
        task = bar.add_task("training", total=config.epochs, loss="")

        def show(epoch: Epoch) -> None:
            loss = f"error {epoch.fit_loss:.4f} fitting, {epoch.stop_loss:.4f} held out"
            bar.update(task, completed=epoch.number, loss=loss)

        try:
            return training.train(runs, config, show), config
        except training.TrainingError as error:
            raise UserError(str(error)) from error


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
    )
    try:
        return save_trained(options.out, trained, config, origin)
    except OSError as error:
        raise UserError(f"--out {options.out} cannot be written: {error.strerror}") from error


def _made(folder: Path, header: Header, trained: Trained, rows: int) -> dict[str, Any]:
    """What was made, and of what."""
    data = header.data
    best = min(trained.epochs, key=lambda epoch: epoch.stop_loss)
    return {
        "folder": str(folder),
        "model": header.name,
        "hash": header.hash,
        "sensors": [sensor.name for sensor in header.sensors],
        "window": header.window,
        "period_ms": header.period_ms,
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
    }


def _summary(made: dict[str, Any]) -> str:
    """The same for people."""
    return """\
{folder}: model {model}, {count} sensors, window {window} x {period_ms} ms
hash {hash}
{rows} rows of {assets} assets; {split}
windows: {windows_fit} fit (one in {stride} taken), {windows_stop} stop the training, \
{windows_calibration} calibrate
best of {epochs} epochs: {best_epoch}, error {error_held_out:.4f} held out
{percent:.2f} % of held-out windows score above 1.0
""".format(**made, count=len(made["sensors"]), percent=100 * made["share_above_one"])


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
