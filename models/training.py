"""Fit the network on normal windows, and calibrate its score on normal windows it has not seen."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from models.fitting import Epoch, Fit, TrainingConfig, TrainingError, read_saved
from models.residual import Calibration, Energies, calibrate, energies, judge
from models.scaling import Scaler, fit_scaler, network_input
from models.split import Part, Run, split_runs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from models.autoencoder import LSTMAutoencoder

__all__ = ["Epoch", "Trained", "TrainingConfig", "TrainingError", "reconstruct", "train"]

Float32 = npt.NDArray[np.float32]
Int = npt.NDArray[np.int_]

FIT_WINDOWS = 15_000  # the automatic stride keeps about this many: enough for 17 sensors, minutes on two cores
MIN_WINDOWS = {Part.FIT: 200, Part.STOP: 20, Part.CALIBRATION: 100}
SCORE_BATCH = 512
CARD_QUANTILES = (0.5, 0.9, 0.99, 0.999)
MIN_ROWS = 3  # rows for each sensor: with fewer the sensors' relations are chance, and training is refused
FEW_ROWS = 10  # rows for each sensor: with fewer training says so
FEW_WINDOWS = 30  # that do not overlap, to calibrate by: with fewer training says so
MANY_ALARMS = 0.02  # share of held-out windows above 1.0, twenty times what is meant


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained model and the account of its training."""

    network: LSTMAutoencoder
    scaler: Scaler
    calibration: Calibration
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
) -> Trained:
    """Train on normal runs, whose windows all have the same shape (T, C).

    The same runs and configuration give the same model, bit for bit, on one machine: also where training was
    broken off and goes on, on the same runs, from what `keep` was last given after an epoch.
    Raises TrainingError where a part of the split has too few windows, or the loss is not finite.
    """
    parts, split = split_runs(runs, config.seed)
    chosen = {
        part: [(run, np.flatnonzero(where == part)) for run, where in zip(runs, parts, strict=True)]
        for part in Part
    }
    windows = {part: sum(len(index) for _, index in chosen[part]) for part in Part}
    _require_enough(windows)
    stride = config.stride or max(1, windows[Part.FIT] // FIT_WINDOWS)
    fit = np.concatenate([run.windows[index[::stride]] for run, index in chosen[Part.FIT]])  # (F, T, C)
    stop = np.concatenate([run.windows[index[::stride]] for run, index in chosen[Part.STOP]])  # (E, T, C)
    rows = _rows(chosen[Part.FIT])
    _require_rows(rows, fit.shape[2])
    scaler = fit_scaler(fit)
    with _own_random_numbers_and_threads(config):
        network, epochs = _fit(scaler.scaled(fit), scaler.scaled(stop), config, on_epoch, keep, resume)
    usual = _energies(network, scaler, chosen[Part.CALIBRATION])
    calibration = calibrate(usual)
    _, scores = judge(usual, calibration)
    _, unseen = judge(_energies(network, scaler, chosen[Part.STOP]), calibration)
    false_alarm_share = float(np.mean(unseen > 1.0))
    return Trained(
        network=network,
        scaler=scaler,
        calibration=calibration,
        split=split,
        runs={part: [run.name for run, index in chosen[part] if len(index)] for part in Part},
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


def reconstruct(network: LSTMAutoencoder, windows: Float32) -> Float32:
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


def _rows(chosen: list[tuple[Run, Int]]) -> int:
    """The ticks that are in these windows, each counted once."""
    rows = 0
    for run, index in chosen:
        length = run.windows.shape[1]
        step = np.diff(run.tick[index], prepend=run.tick[index[:1]] - length)  # (B,)
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


def _energies(network: LSTMAutoencoder, scaler: Scaler, chosen: list[tuple[Run, Int]]) -> Energies:
    """The energies of all these windows, one after the other."""
    found = []
    for run, index in chosen:
        for start in range(0, len(index), SCORE_BATCH):
            scaled = scaler.scaled(run.windows[index[start : start + SCORE_BATCH]])  # (b, T, C)
            found.append(energies(scaled, reconstruct(network, network_input(scaled))))
    return Energies(
        np.concatenate([each.spread for each in found]), np.concatenate([each.shift for each in found])
    )
