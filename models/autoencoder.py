"""The networks: LSTM autoencoders with a bottleneck at every tick.

A window is squeezed, tick by tick, through fewer numbers than there are sensors and built up again. The network
learns how the sensors of a healthy engine go together; what does not go together cannot pass the bottleneck
and stands out as the difference between a sensor and its reconstruction.

All three kinds are run in the same way, `network(windows)`, and have the same weights to load but for the
variational one's second bottleneck. They differ in what `training_output` makes of a window in training:

    plain         the window itself
    denoising     the window with noise on it, which has to come out without
    variational   its latent numbers are drawn from a normal distribution each, which is kept near the standard one
                  (Kingma and Welling 2014, "Auto-Encoding Variational Bayes"); in service the means are taken
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Literal["plain", "variational", "denoising"]
KINDS: tuple[Kind, ...] = get_args(Kind)

NOISE = 0.3  # standard deviation of the denoising kind's noise where nothing is said, scaled units
DIVERGENCE = 1e-3  # weight of the variational kind's divergence against the mean error of a cell
LOG_VARIANCE = 8.0  # bound on the logarithm of a variance, so that its exponential stays finite


@dataclass(frozen=True, slots=True)
class AutoencoderConfig:
    """Everything that is needed to build the network again."""

    sensors: int  # C
    window: int  # T, ticks
    hidden: int  # H, units of each LSTM layer
    latent: int  # L, numbers that are left of a tick
    layers: int = 1
    kind: Kind = "plain"
    noise: float = NOISE  # of the denoising kind, in training alone

    @property
    def carried(self) -> int:
        """K, how many states of H numbers go from tick to tick: output and cell of every layer of both LSTMs."""
        return 4 * self.layers


class LSTMAutoencoder(nn.Module):
    """Scaled windows (B, T, C), missing cells 0, to their reconstruction (B, T, C). The plain kind."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = nn.LSTM(config.sensors, config.hidden, config.layers, batch_first=True)
        self.squeeze = nn.Linear(config.hidden, config.latent)
        self.decoder = nn.LSTM(config.latent, config.hidden, config.layers, batch_first=True)
        self.output = nn.Linear(config.hidden, config.sensors)

    def forward(self, windows: Tensor) -> Tensor:
        """Reconstruct the windows; every tick is rebuilt from itself and the ticks before it."""
        return self.rebuilt(self.squeeze(self.encoded(windows)))

    def go_on(self, ticks: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Reconstruct the next n ticks (B, n, C) of windows that were begun before, and what is carried on.

        `memory` (K, B, H) is what the LSTMs carry from tick to tick, zeros where a window begins.
        """
        squeezing, building = memory.chunk(2)  # (K / 2, B, H) each
        states, encoder = self.encoder(ticks, squeezing.chunk(2))
        decoded, decoder = self.decoder(self.squeeze(states), building.chunk(2))
        return self.output(decoded), torch.cat([*encoder, *decoder])

    def training_output(self, windows: Tensor) -> tuple[Tensor, Tensor]:
        """The reconstruction (B, T, C) in training, and what is added to its error, a number."""
        return self(windows), windows.new_zeros(())

    def encoded(self, windows: Tensor) -> Tensor:
        """The encoder's states (B, T, H)."""
        states: Tensor = self.encoder(windows)[0]  # (B, T, H)
        return states

    def rebuilt(self, latent: Tensor) -> Tensor:
        """The windows (B, T, C) out of what is left of them (B, T, L)."""
        decoded, _ = self.decoder(latent)  # (B, T, H)
        reconstruction: Tensor = self.output(decoded)  # (B, T, C)
        return reconstruction


class DenoisingLSTMAutoencoder(LSTMAutoencoder):
    """Trained on noisy windows to give the clean ones (Vincent et al. 2008)."""

    def training_output(self, windows: Tensor) -> tuple[Tensor, Tensor]:
        """As the plain kind, from the windows with noise on them."""
        return self(windows + self.config.noise * torch.randn_like(windows)), windows.new_zeros(())


class VariationalLSTMAutoencoder(LSTMAutoencoder):
    """Its latent numbers are distributions while it is trained, and their means afterwards."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__(config)
        self.spread = nn.Linear(config.hidden, config.latent)  # to the logarithms of the variances

    def training_output(self, windows: Tensor) -> tuple[Tensor, Tensor]:
        """The reconstruction out of drawn latent numbers, and their divergence from standard normal ones."""
        states = self.encoded(windows)  # (B, T, H)
        mean = self.squeeze(states)  # (B, T, L)
        log_variance = self.spread(states).clamp(-LOG_VARIANCE, LOG_VARIANCE)  # (B, T, L)
        drawn = mean + torch.exp(log_variance / 2) * torch.randn_like(mean)  # (B, T, L)
        divergence = (mean**2 + log_variance.exp() - 1 - log_variance).sum(dim=2).mean() / 2
        return self.rebuilt(drawn), DIVERGENCE * divergence


NETWORKS: Mapping[Kind, type[LSTMAutoencoder]] = {
    "plain": LSTMAutoencoder,
    "variational": VariationalLSTMAutoencoder,
    "denoising": DenoisingLSTMAutoencoder,
}


def build(config: AutoencoderConfig) -> LSTMAutoencoder:
    """A new network of the kind that the configuration names, with random weights."""
    return NETWORKS[config.kind](config)
