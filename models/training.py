"""Fit the network on normal windows, and calibrate its score on normal windows it has not seen."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from models.fitting import Epoch, Fit, TrainingConfig, TrainingError, read_saved
from models.lasting import Lasting, NormalRun, calibrate_lasting
from models.level import Level, assets_differ, fit_level, least_scale
from models.masking import HiddenPrediction, deal
from models.reference import Reference, learn_reference
from models.regime_learning import Found, learn_regimes, regimes_of, with_levels
from models.residual import (
    SCORE_QUANTILE,
    SMALLEST,
    Calibration,
    Energies,
    calibrate,
    energies,
    joined,
    judge,
    judged,
    stricter,
)
from models.roughness import Roughness, learn_roughness
from models.scaling import Scaler, fit_scaler, network_input
from models.split import Part, Run, split_in_time, split_runs
from models.stillness import Stillness, learn_stillness
from models.tails import tail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from models.autoencoder import LSTMAutoencoder

__all__ = ["Epoch", "Trained", "TrainingConfig", "TrainingError", "reconstruct", "train"]

Float32 = npt.NDArray[np.float32]
Int = npt.NDArray[np.int_]
Int64 = npt.NDArray[np.int64]

FIT_WINDOWS = 15_000  # the automatic stride keeps about this many: enough for 17 sensors, minutes on two cores
JUDGED_WINDOWS = 60_000  # of the held-out windows about so many are enough for their quantiles; neighbours overlap
MIN_WINDOWS = {Part.FIT: 200, Part.STOP: 20, Part.CALIBRATION: 100}
SCORE_BATCH = 512
CARD_QUANTILES = (0.5, 0.9, 0.99, 0.999)
MIN_ROWS = 3  # rows for each sensor: with fewer the sensors' relations are chance, and training is refused
FEW_ROWS = 10  # rows for each sensor: with fewer training says so
FEW_WINDOWS = 30  # that do not overlap, to calibrate by: with fewer training says so
MANY_ALARMS = 0.02  # share of held-out windows above 1.0, twenty times what is meant


@dataclass(frozen=True, slots=True)
class Levels:
    """Where assets are compared with themselves: what is known of their levels."""

    of: dict[str, Level]  # by asset
    least: Float32  # (C,) no scale is below
    rows: int  # of a new asset, that say what its level is


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained model and the account of its training."""

    network: HiddenPrediction
    group: tuple[int, ...]  # (C,) as `models.masking`
    scaler: Scaler
    calibration: Calibration
    levels: Levels | None
    levels_why: str  # in words, why there are levels or none
    lasting: Lasting | None  # what lasts for minutes
    lasting_why: str  # in words, by what, or why there is none
    stillness: Stillness
    roughness: Roughness | None  # None: rows without time
    regimes: Found
    reference: Reference
    split: str  # in words
    runs: dict[Part, list[str]]  # names of the runs in each part
    windows: dict[Part, int]
    stride: int
    epochs: list[Epoch]
    score_quantiles: dict[float, float]  # of the calibration windows
    false_alarm_share: float  # share of the stop part's windows, which do not calibrate, that score above 1.0
    doubts: list[str]  # sentences on what to expect little of, with the numbers

    @property
    def best(self) -> Epoch:
        """The epoch whose network was kept."""
        return max((epoch for epoch in self.epochs if epoch.best), key=lambda epoch: epoch.number)


def train(
    runs: list[Run],
    config: TrainingConfig,
    on_epoch: Callable[[Epoch], None] = lambda _epoch: None,
    *,
    keep: Callable[[bytes], None] = lambda _state: None,
    resume: bytes | None = None,
    sensors: Sequence[str] = (),
) -> Trained:
    """Train on normal runs, whose windows all have the same shape (T, C).

    Regimes are called by the names of `sensors` (C,); without them by their numbers, from 1.

    The same runs and configuration give the same model, bit for bit, on one machine: also where training was
    broken off and goes on, on the same runs, from what `keep` was last given after an epoch.
    Raises TrainingError where a part of the split has too few windows, or the loss is not finite.
    """
    if not any(len(run.tick) for run in runs):
        _require_enough(dict.fromkeys(Part, 0))
    assets = _rows_of_assets(runs)
    differ, why = assets_differ(list(assets.values()))
    last = judged(runs[0].windows.shape[1])
    parts, split = split_in_time(runs, last) if differ else split_runs(runs, config.seed)
    chosen = {part: _parts_of(runs, parts, part) for part in Part}
    windows = {part: sum(len(run.tick) for run in chosen[part]) for part in Part}
    _require_enough(windows)
    # The held-out parts are judged by levels that are known from the fitted part alone.
    known = _levels(_rows_of_assets(chosen[Part.FIT])) if differ else None
    stride = config.stride or max(1, windows[Part.FIT] // FIT_WINDOWS)
    fit = np.concatenate([_about_level(run, slice(None, None, stride), known) for run in chosen[Part.FIT]])
    stop = np.concatenate([_about_level(run, slice(None, None, stride), known) for run in chosen[Part.STOP]])
    rows = _rows(chosen[Part.FIT])
    _require_rows(rows, fit.shape[2])
    scaler = fit_scaler(fit)
    with _own_random_numbers_and_threads(config):
        network, epochs = _fit(scaler.scaled(fit), scaler.scaled(stop), config, on_epoch, keep, resume)
    group = deal(scaler.scaled(fit[:, -1]))
    predicting = HiddenPrediction(network, group).eval()
    held_out = {part: _held_out(predicting, scaler, chosen[part], known) for part in (Part.STOP, Part.CALIBRATION)}
    normal, asset = held_out[Part.CALIBRATION].energies, held_out[Part.CALIBRATION].asset
    independent = _independent_levels(chosen[Part.FIT], scaler, known)
    apart = -(-fit.shape[1] // _every(chosen[Part.CALIBRATION]))
    calibration = calibrate(normal, independent, asset if differ else None, apart=apart)
    calibration = stricter(calibration, config.stricter)
    _, scores = judge(normal, calibration)
    _, unseen = judge(held_out[Part.STOP].energies, calibration)
    followed = _followed(list(held_out.values()))
    lasting, lasting_why = calibrate_lasting(followed, fit.shape[1])
    regimes = _regimes(chosen, scaler, scores, sensors, differ=differ)
    false_alarm_share = float(np.mean(unseen > 1.0))
    return Trained(
        network=predicting,
        group=group,
        scaler=scaler,
        calibration=calibration,
        levels=_levels(assets) if differ else None,
        levels_why=why,
        lasting=lasting,
        lasting_why=lasting_why,
        stillness=learn_stillness([run.rows() for run in runs if len(run.tick)]),
        roughness=roughness_of(runs),
        regimes=regimes,
        reference=learn_reference(_later_rows(runs, chosen, known), scores),
        split=split,
        runs={part: [run.name for run in chosen[part] if len(run.tick)] for part in Part},
        windows=windows,
        stride=stride,
        epochs=epochs,
        score_quantiles={q: float(np.nanquantile(scores, q)) for q in CARD_QUANTILES},
        false_alarm_share=false_alarm_share,
        doubts=[
            *_few(rows, fit.shape, windows[Part.CALIBRATION]),
            *_many(false_alarm_share, windows[Part.STOP]),
        ],
    )


def roughness_of(runs: list[Run]) -> Roughness | None:
    """What normal runs say of leaps, spikes, noise and missing readings; None of rows without time."""
    if runs[0].windows.shape[1] == 1:
        return None
    return learn_roughness([stretch for run in runs for stretch in run.stretches()])


def _parts_of(runs: list[Run], parts: list[Int], part: Part) -> list[Run]:
    """What of the runs is in a part of the split."""
    inside = [np.flatnonzero(where == part) for where in parts]
    return [run if len(rows) == len(run.tick) else run.of(rows) for run, rows in zip(runs, inside, strict=True)]


def _rows_of_assets(runs: list[Run]) -> dict[str, Float32]:
    """The rows (N, C) of each asset, in the order of its runs."""
    rows: dict[str, list[Float32]] = {}
    for run in runs:
        rows.setdefault(run.name, []).append(run.rows())
    return {name: np.concatenate(each) for name, each in rows.items()}


def _levels(assets: dict[str, Float32]) -> Levels:
    """The level of each asset by its rows (N, C)."""
    least = least_scale(list(assets.values()))
    of = {name: fit_level(rows, least) for name, rows in assets.items() if len(rows)}
    return Levels(of, least, int(np.median([len(rows) for rows in assets.values()])))


def _later_rows(runs: list[Run], chosen: dict[Part, list[Run]], levels: Levels | None) -> list[Float32]:
    """The normal rows (N, C) of each asset; where it has a level, those behind what this is known from."""
    if levels is None:
        return list(_rows_of_assets(runs).values())
    later = _rows_of_assets(chosen[Part.STOP] + chosen[Part.CALIBRATION])
    return [levels.of[name].scaled(rows) for name, rows in later.items() if name in levels.of]


def _about_level(run: Run, rows: slice, levels: Levels | None) -> Float32:
    """Some windows (b, T, C) of a run, as deviations from the level of its asset where there are levels."""
    windows: Float32 = run.windows[rows]
    if levels is None or not len(windows):
        return windows
    return levels.of[run.name].scaled(windows) if run.name in levels.of else np.full_like(windows, np.nan)


def _independent_levels(runs: list[Run], scaler: Scaler, levels: Levels | None) -> Float32:
    """The levels (F, C) of fitted windows whose judged ticks do not overlap."""
    step = judged(runs[0].windows.shape[1])
    found = []
    for run in runs:
        scaled = scaler.scaled(_about_level(run, slice(None, None, step), levels))
        found.append(energies(scaled, np.zeros_like(scaled)).level)
    return np.concatenate(found)


def reconstruct(network: nn.Module, windows: Float32) -> Float32:
    """Run the network on its input (B, T, C)."""
    with torch.inference_mode():
        output: Float32 = network(torch.from_numpy(windows)).numpy()
    return output


@contextmanager
def _own_random_numbers_and_threads(config: TrainingConfig) -> Iterator[None]:
    """Torch as the configuration says, and afterwards as it was."""
    threads = torch.get_num_threads()
    torch.set_num_threads(config.threads)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            yield
    finally:
        torch.set_num_threads(threads)


def _require_enough(windows: dict[Part, int]) -> None:
    if any(windows[part] < needed for part, needed in MIN_WINDOWS.items()):
        raise TrainingError(
            f"too few windows: {windows[Part.FIT]} to fit, {windows[Part.STOP]} to stop and "
            f"{windows[Part.CALIBRATION]} to calibrate, where at least {MIN_WINDOWS[Part.FIT]}, "
            f"{MIN_WINDOWS[Part.STOP]} and {MIN_WINDOWS[Part.CALIBRATION]} are needed: "
            "record more, or choose a shorter window"
        )


def _rows(runs: list[Run]) -> int:
    """The ticks that are in these windows, each counted once."""
    rows = 0
    for run in runs:
        length = run.windows.shape[1]
        step = np.diff(run.tick, prepend=run.tick[:1] - length)  # (B,)
        rows += int(np.minimum(step, length).sum())
    return rows


def _require_rows(rows: int, sensors: int) -> None:
    if rows < MIN_ROWS * sensors:
        raise TrainingError(
            f"too few rows: {rows} to fit {sensors} sensors, where at least {MIN_ROWS * sensors} are needed and "
            f"{FEW_ROWS * sensors} are wanted: record more, or leave sensors out"
        )


def _few(rows: int, shape: tuple[int, ...], calibration: int) -> Iterator[str]:
    """What the amount of data leaves in doubt."""
    _, window, sensors = shape
    if rows < FEW_ROWS * sensors:
        yield (
            f"only {rows} rows fit {sensors} sensors, where {FEW_ROWS * sensors} are wanted: what goes together in"
            " so few may be chance"
        )
    apart = calibration // window
    if apart < FEW_WINDOWS:
        yield (
            f"only {calibration} windows calibrate the score, of which {apart} do not overlap, where {FEW_WINDOWS}"
            " are wanted: a score of 1.0 may be far from the 99.9 % quantile of normal"
        )


def _many(false_alarm_share: float, windows: int) -> Iterator[str]:
    """What the held-out windows leave in doubt."""
    if false_alarm_share > MANY_ALARMS:
        yield (
            f"{100 * false_alarm_share:.1f} % of {windows} normal windows that were held out score above 1.0,"
            " where 0.1 % are meant: expect false alarms, and record more of what is normal"
        )


def _fit(
    fit: Float32,
    stop: Float32,
    config: TrainingConfig,
    on_epoch: Callable[[Epoch], None],
    keep: Callable[[bytes], None],
    resume: bytes | None,
) -> tuple[LSTMAutoencoder, list[Epoch]]:
    """The network with the lowest loss on `stop` (E, T, C), fitted on `fit` (F, T, C), both scaled."""
    fitting = Fit(config, sensors=fit.shape[2], window=fit.shape[1])
    if resume is not None:
        fitting.restore(*read_saved(resume))
    while not fitting.done:
        epoch = fitting.epoch(fit, stop)
        keep(fitting.saved())
        on_epoch(epoch)
    return fitting.finished(), fitting.epochs


def _regimes(
    chosen: dict[Part, list[Run]], scaler: Scaler, scores: Float32, sensors: Sequence[str], *, differ: bool
) -> Found:
    """The regimes of the fitted part, with levels by the scores (B,) of the windows that calibrate."""
    if differ:
        return Found(None, "assets are compared with themselves")
    fit, held_out = chosen[Part.FIT], chosen[Part.CALIBRATION]
    count = fit[0].windows.shape[2]
    found = learn_regimes(fit, scaler, sensors or [f"sensor {number}" for number in range(1, count + 1)])
    if found.regimes is None:
        return found
    every = _every(held_out)
    regime = [each[::every] for each in regimes_of(found.regimes, held_out)]
    # Held against all windows' quantile, which is 1.0 only where nothing made the scores stricter.
    relative = scores / max(tail(scores[~np.isnan(scores)], SCORE_QUANTILE), SMALLEST)
    own = np.split(relative, np.cumsum([len(each) for each in regime])[:-1])
    apart = max(fit[0].windows.shape[1] // every, 1)
    return Found(with_levels(found.regimes, own, regime, apart), found.why)


def _every(runs: list[Run]) -> int:
    """One of so many held-out windows is judged."""
    return max(1, sum(len(run.tick) for run in runs) // JUDGED_WINDOWS)


@dataclass(frozen=True, slots=True)
class _HeldOut:
    """What the network makes of B windows of several runs."""

    energies: Energies
    asset: Int  # (B,) its number
    run: Int  # (B,) its number
    tick: Int64  # (B,) last tick of the window
    residual: Float32  # (B, C) at the last tick, scaled units; NaN where the sensor is not judged


def _held_out(network: HiddenPrediction, scaler: Scaler, runs: list[Run], levels: Levels | None) -> _HeldOut:
    """The windows of these runs judged, or every so many-th where they are very many."""
    number = {name: index for index, name in enumerate(dict.fromkeys(run.name for run in runs))}
    every = _every(runs)
    found: list[tuple[Energies, Int, Int, Int64, Float32]] = []
    for index, run in enumerate(runs):
        for start in range(0, max(len(run.tick), 1), SCORE_BATCH * every):
            part = slice(start, start + SCORE_BATCH * every, every)
            scaled = scaler.scaled(_about_level(run, part, levels))
            predicted = reconstruct(network, network_input(scaled))
            made, count = energies(scaled, predicted), len(scaled)
            residual = np.where(np.isnan(made.spread), np.float32(np.nan), scaled[:, -1] - predicted[:, -1])
            whose = np.full(count, number[run.name]), np.full(count, index)
            found.append((made, *whose, run.tick[part], residual))
    made_of, *columns = zip(*found, strict=True)
    return _HeldOut(joined(list(made_of)), *(np.concatenate(each) for each in columns))


def _followed(parts: list[_HeldOut]) -> list[NormalRun]:
    """The held-out rows of every asset in the order of time."""
    return [
        NormalRun(part.tick[rows], part.residual[rows])
        for part in parts
        for number in np.unique(part.run)
        for rows in [np.flatnonzero(part.run == number)]
    ]
