"""Fit the network on normal windows, and calibrate its score on normal windows it has not seen."""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from models.autoencoder import AutoencoderConfig, LSTMAutoencoder
from models.residual import Calibration, Energies, calibrate, energies, judge
from models.scaling import Scaler, fit_scaler, network_input
from models.split import Part, Run, split_runs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Float32 = npt.NDArray[np.float32]

FIT_WINDOWS = 15_000  # the automatic stride keeps about this many: enough for 17 sensors, minutes on two cores
MIN_WINDOWS = {Part.FIT: 200, Part.STOP: 20, Part.CALIBRATION: 100}
BATCH = 128
MIN_BATCH = 16
BATCHES = 64  # little data is cut into smaller batches, so that an epoch has about this many steps
LEARNING_RATE = 2e-3
PLATEAU = 3  # epochs without improvement after which the learning rate is halved
CLIP = 1.0  # norm of the gradient
SCORE_BATCH = 512
CARD_QUANTILES = (0.5, 0.9, 0.99, 0.999)


class TrainingError(ValueError):
    """The windows cannot be trained on: one sentence with the numbers; more or other data is needed."""


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """How to train; the defaults are what the figures in docs/models.md were measured with."""

    hidden: int = 64
    latent: int | None = None  # None: a third of the sensors, rounded up
    layers: int = 1
    epochs: int = 40  # at the most
    patience: int = 8  # epochs without improvement after which training stops
    max_masked: float = 0.4  # up to this share of the sensors is hidden in each training window
    stride: int | None = None  # fit on every so many-th window; None: as FIT_WINDOWS says
    seed: int = 0
    threads: int = 1  # the network is small: threads that share their cores with others cost more than they bring


@dataclass(frozen=True, slots=True)
class Epoch:
    """Progress: mean squared errors in scaled units, with sensors hidden (fit) and as in service (stop)."""

    number: int  # from 1
    fit_loss: float
    stop_loss: float
    best: bool


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


def train(
    runs: list[Run], config: TrainingConfig, on_epoch: Callable[[Epoch], None] = lambda _epoch: None
) -> Trained:
    """Train on normal runs, whose windows all have the same shape (T, C).

    The same runs and configuration give the same model, bit for bit, on one machine.
    Raises TrainingError where a part of the split has too few windows, or the loss is not finite.
    """
    parts, split = split_runs(runs, config.seed)
    chosen = {
        part: [(run.name, run.windows[where == part]) for run, where in zip(runs, parts, strict=True)]
        for part in Part
    }
    windows = {part: sum(len(values) for _, values in chosen[part]) for part in Part}
    _require_enough(windows)
    stride = config.stride or max(1, windows[Part.FIT] // FIT_WINDOWS)
    fit = np.concatenate([values[::stride] for _, values in chosen[Part.FIT]])  # (F, T, C)
    stop = np.concatenate([values[::stride] for _, values in chosen[Part.STOP]])  # (E, T, C)
    scaler = fit_scaler(fit)
    with _own_random_numbers_and_threads(config):
        network, epochs = _fit(scaler.scaled(fit), scaler.scaled(stop), config, on_epoch)
    network.eval()
    usual = _energies(network, scaler, [values for _, values in chosen[Part.CALIBRATION]])
    calibration = calibrate(usual)
    _, scores = judge(usual, calibration)
    _, unseen = judge(_energies(network, scaler, [values for _, values in chosen[Part.STOP]]), calibration)
    return Trained(
        network=network,
        scaler=scaler,
        calibration=calibration,
        split=split,
        runs={part: [name for name, values in chosen[part] if len(values)] for part in Part},
        windows=windows,
        stride=stride,
        epochs=epochs,
        score_quantiles={q: float(np.nanquantile(scores, q)) for q in CARD_QUANTILES},
        false_alarm_share=float(np.mean(unseen > 1.0)),
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


def _fit(
    fit: Float32, stop: Float32, config: TrainingConfig, on_epoch: Callable[[Epoch], None]
) -> tuple[LSTMAutoencoder, list[Epoch]]:
    """The network with the lowest loss on `stop` (E, T, C), fitted on `fit` (F, T, C), both scaled."""
    network = _network(fit, config)
    optimizer = torch.optim.Adam(network.parameters(), LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=PLATEAU)
    batch = min(max(len(fit) // BATCHES, MIN_BATCH), BATCH)
    inputs, present = torch.from_numpy(network_input(fit)), torch.from_numpy(~np.isnan(fit))
    lowest, best_weights, epochs = math.inf, network.state_dict(), list[Epoch]()
    since_best = 0
    while len(epochs) < config.epochs and since_best < config.patience:
        fit_loss = _one_epoch(network, optimizer, inputs, present, batch, config.max_masked)
        stop_loss = _loss_on(network, stop)
        if not math.isfinite(fit_loss + stop_loss):
            raise TrainingError("the loss is no longer finite: look for absurd values in the recordings")
        best = stop_loss < lowest
        since_best = 0 if best else since_best + 1
        if best:
            lowest = stop_loss
            best_weights = {name: weight.clone() for name, weight in network.state_dict().items()}
        schedule.step(stop_loss)
        epochs.append(Epoch(len(epochs) + 1, fit_loss, stop_loss, best))
        on_epoch(epochs[-1])
    network.load_state_dict(best_weights)
    return network, epochs


def _network(fit: Float32, config: TrainingConfig) -> LSTMAutoencoder:
    _, window, sensors = fit.shape
    latent = config.latent or -(-sensors // 3)
    return LSTMAutoencoder(AutoencoderConfig(sensors, window, config.hidden, latent, config.layers))


def _one_epoch(
    network: LSTMAutoencoder,
    optimizer: torch.optim.Optimizer,
    inputs: Tensor,
    present: Tensor,
    batch: int,
    max_masked: float,
) -> float:
    """One pass over all windows in random order; returns the mean loss."""
    network.train()
    total = 0.0
    for rows in torch.split(torch.randperm(len(inputs)), batch):
        windows = inputs[rows]  # (b, T, C)
        # Whole sensors are hidden, a different share of them in each window, and must be rebuilt all the same.
        share = max_masked * torch.rand(len(rows), 1, 1)  # (b, 1, 1)
        shown = torch.rand(len(rows), 1, windows.shape[2]) >= share  # (b, 1, C)
        loss = _mean_square(network(windows * shown) - windows, present[rows])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        nn.utils.clip_grad_norm_(network.parameters(), CLIP)
        optimizer.step()
        total += loss.item() * len(rows)
    return total / len(inputs)


def _loss_on(network: LSTMAutoencoder, windows: Float32) -> float:
    """The loss on scaled windows (E, T, C) with nothing hidden."""
    network.eval()
    total = 0.0
    with torch.inference_mode():
        for start in range(0, len(windows), SCORE_BATCH):
            part = windows[start : start + SCORE_BATCH]
            inputs = torch.from_numpy(network_input(part))
            loss = _mean_square(network(inputs) - inputs, torch.from_numpy(~np.isnan(part)))
            total += loss.item() * len(part)
    return total / len(windows)


def _mean_square(residual: Tensor, present: Tensor) -> Tensor:
    """Over the cells that were recorded; what was not recorded cannot be wrong."""
    return (residual**2 * present).sum() / present.sum().clamp(min=1)


def _energies(network: LSTMAutoencoder, scaler: Scaler, parts: list[Float32]) -> Energies:
    """The energies of all these windows, one after the other."""
    found = []
    for windows in parts:
        for start in range(0, len(windows), SCORE_BATCH):
            scaled = scaler.scaled(windows[start : start + SCORE_BATCH])  # (b, T, C)
            found.append(energies(scaled, reconstruct(network, network_input(scaled))))
    return Energies(
        np.concatenate([each.spread for each in found]), np.concatenate([each.shift for each in found])
    )
