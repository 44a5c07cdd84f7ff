"""The loop that fits a network: epoch by epoch, each ending in a state that can be saved and gone on from."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import numpy.typing as npt
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from models.autoencoder import NOISE, AutoencoderConfig, Kind, LSTMAutoencoder, build
from models.residual import judged
from models.scaling import network_input

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Float32 = npt.NDArray[np.float32]
Loss = Literal["mse", "mae", "huber"]
LOSSES: tuple[Loss, ...] = get_args(Loss)

BATCH = 128
MIN_BATCH = 16
BATCHES = 64  # little data is cut into smaller batches, so that an epoch has about this many steps
LEARNING_RATE = 2e-3
PLATEAU = 3  # epochs without improvement after which the learning rate is halved
CLIP = 1.0  # norm of the gradient
EVALUATION_BATCH = 512


class TrainingError(ValueError):
    """The windows cannot be trained on: one sentence with the numbers; more or other data is needed."""


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """How to train; the defaults are what the figures in docs/models.md were measured with."""

    kind: Kind = "plain"
    hidden: int = 64
    latent: int | None = None  # None: a third of the sensors, rounded up
    layers: int = 1
    loss: Loss = "mse"
    epochs: int = 60  # at the most
    patience: int = 8  # epochs without improvement after which training stops
    max_masked: float = 0.4  # up to this share of the sensors is hidden in each training window
    noise: float = NOISE  # of the denoising kind, scaled units
    stride: int | None = None  # fit on every so many-th window; None: as FIT_WINDOWS says
    stricter: float = 1.0  # every score is so many times smaller than where 1.0 is the 99.9 % quantile of normal
    seed: int = 0
    threads: int = 1  # the network is small: threads that share their cores with others cost more than they bring


@dataclass(frozen=True, slots=True)
class Epoch:
    """Progress: mean errors in scaled units, with sensors hidden (fit) and as in service (stop)."""

    number: int  # from 1
    fit_loss: float
    stop_loss: float
    best: bool


class Fit:
    """A network on its way. All that the next epoch depends on is in `saved`, and comes back by `restore`.

    Its random numbers are torch's own: who calls it has seeded them.
    """

    def __init__(self, config: TrainingConfig, sensors: int, window: int) -> None:
        latent = config.latent or -(-sensors // 3)
        size = AutoencoderConfig(sensors, window, config.hidden, latent, config.layers, config.kind, config.noise)
        self.network = build(size)
        self.epochs: list[Epoch] = []
        self._config = config
        self._best = self._weights()
        self._optimizer = torch.optim.Adam(self.network.parameters(), LEARNING_RATE)
        self._schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(self._optimizer, factor=0.5, patience=PLATEAU)

    @property
    def done(self) -> bool:
        """Whether the epochs or the patience are used up."""
        since_best = next((n for n, epoch in enumerate(reversed(self.epochs)) if epoch.best), len(self.epochs))
        return len(self.epochs) >= self._config.epochs or since_best >= self._config.patience

    def epoch(self, fit: Float32, stop: Float32) -> Epoch:
        """One pass over the scaled windows `fit` (F, T, C), judged by `stop` (E, T, C). Raises TrainingError."""
        fit_loss = self._pass(fit)
        stop_loss = self._loss_on(stop)
        if not math.isfinite(fit_loss + stop_loss):
            raise TrainingError("the loss is no longer finite: look for absurd values in the recordings")
        best = stop_loss < min((each.stop_loss for each in self.epochs), default=math.inf)
        if best:
            self._best = self._weights()
        self._schedule.step(stop_loss)
        self.epochs.append(Epoch(len(self.epochs) + 1, fit_loss, stop_loss, best))
        return self.epochs[-1]

    def finished(self) -> LSTMAutoencoder:
        """The network as it was when it was best."""
        self.network.load_state_dict(self._best)
        return self.network.eval()

    def saved(self) -> bytes:
        """Weights, best weights, the optimizer's moments, random numbers and epochs, as safetensors."""
        tensors = {"random": torch.get_rng_state()}
        tensors |= {f"now.{name}": weight for name, weight in self._weights().items()}
        tensors |= {f"best.{name}": weight for name, weight in self._best.items()}
        for number, moments in self._optimizer.state_dict()["state"].items():
            tensors |= {f"adam.{number}.{name}": value.clone() for name, value in moments.items()}
        epochs = json.dumps([asdict(epoch) for epoch in self.epochs])
        content: bytes = safetensors.torch.save(tensors, {"epochs": epochs})
        return content

    def restore(self, tensors: Mapping[str, Tensor], epochs: list[Epoch]) -> None:
        """Go on from what `saved` gave, read by `read_saved`. Raises TrainingError where it does not fit."""
        try:
            self.network.load_state_dict(_under("now.", tensors))
            self._best = _under("best.", tensors)
            moments: dict[int, dict[str, Tensor]] = {}
            for name, value in _under("adam.", tensors).items():
                number, _, moment = name.partition(".")
                moments.setdefault(int(number), {})[moment] = value
            state = self._optimizer.state_dict()
            self._optimizer.load_state_dict({"state": moments, "param_groups": state["param_groups"]})
            torch.set_rng_state(tensors["random"])
        except (KeyError, RuntimeError, ValueError) as error:
            raise TrainingError("what was kept of the unfinished training is of another network") from error
        # The learning rate follows from the losses alone.
        for epoch in epochs:
            self._schedule.step(epoch.stop_loss)
        self.epochs = list(epochs)

    def _weights(self) -> dict[str, Tensor]:
        return {name: weight.clone() for name, weight in self.network.state_dict().items()}

    def _pass(self, fit: Float32) -> float:
        """One pass over all windows in random order; returns the mean loss."""
        self.network.train()
        inputs, present = torch.from_numpy(network_input(fit)), torch.from_numpy(~np.isnan(fit))
        batch = min(max(len(fit) // BATCHES, MIN_BATCH), BATCH)
        total = 0.0
        for rows in torch.split(torch.randperm(len(inputs)), batch):
            windows = inputs[rows]  # (b, T, C)
            # Whole sensors are hidden, a different share of them in each window, and must be rebuilt all the same.
            share = self._config.max_masked * torch.rand(len(rows), 1, 1)  # (b, 1, 1)
            shown = torch.rand(len(rows), 1, windows.shape[2]) >= share  # (b, 1, C)
            reconstruction, added = self.network.training_output(windows * shown)  # (b, T, C)
            loss = self._error(reconstruction - windows, present[rows])
            self._optimizer.zero_grad()
            (loss + added).backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            nn.utils.clip_grad_norm_(self.network.parameters(), CLIP)
            self._optimizer.step()
            total += loss.item() * len(rows)
        return total / len(inputs)

    def _loss_on(self, windows: Float32) -> float:
        """The loss on the judged ticks of scaled windows (E, T, C), with nothing hidden and no noise."""
        self.network.eval()
        total, last = 0.0, judged(windows.shape[1])
        with torch.inference_mode():
            for start in range(0, len(windows), EVALUATION_BATCH):
                part = windows[start : start + EVALUATION_BATCH]
                inputs = torch.from_numpy(network_input(part))
                residual = (self.network(inputs) - inputs)[:, -last:]
                loss = self._error(residual, torch.from_numpy(~np.isnan(part[:, -last:])))
                total += loss.item() * len(part)
        return total / len(windows)

    def _error(self, residual: Tensor, present: Tensor) -> Tensor:
        """The mean over the cells that were recorded; what was not recorded cannot be wrong."""
        error = _ERRORS[self._config.loss](residual)
        return (error * present).sum() / present.sum().clamp(min=1)


def read_saved(content: bytes) -> tuple[dict[str, Tensor], list[Epoch]]:
    """What `Fit.saved` gave: tensors and epochs. Raises TrainingError where it is something else."""
    try:
        tensors = safetensors.torch.load(content)
        epochs = json.loads(_metadata(content)["epochs"])
        return tensors, [Epoch(**each) for each in epochs]
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise TrainingError("what was kept of the unfinished training cannot be read") from error


def _metadata(content: bytes) -> dict[str, str]:
    """The texts in the header of safetensors: eight bytes of length, then JSON."""
    length = int.from_bytes(content[:8], "little")
    header: dict[str, str] = json.loads(content[8 : 8 + length])["__metadata__"]
    return header


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _huber(residual: Tensor) -> Tensor:
    """Squares up to one scaled unit, straight beyond it."""
    return nn.functional.huber_loss(residual, torch.zeros_like(residual), reduction="none")


_ERRORS: Mapping[Loss, Callable[[Tensor], Tensor]] = {"mse": torch.square, "mae": torch.abs, "huber": _huber}
