"""The network: an LSTM autoencoder with a bottleneck at every tick.

A window is squeezed, tick by tick, through fewer numbers than there are sensors and built up again. The network
learns how the sensors of a healthy engine go together; what does not go together cannot pass the bottleneck
and stands out as the difference between a sensor and its reconstruction.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class AutoencoderConfig:
    """Everything that is needed to build the network again."""

    sensors: int  # C
    window: int  # T, ticks
    hidden: int  # H, units of each LSTM layer
    latent: int  # L, numbers that are left of a tick
    layers: int = 1


class LSTMAutoencoder(nn.Module):
    """Scaled windows (B, T, C), missing cells 0, to their reconstruction (B, T, C)."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = nn.LSTM(config.sensors, config.hidden, config.layers, batch_first=True)
        self.squeeze = nn.Linear(config.hidden, config.latent)
        self.decoder = nn.LSTM(config.latent, config.hidden, config.layers, batch_first=True)
        self.output = nn.Linear(config.hidden, config.sensors)

    def forward(self, windows: Tensor) -> Tensor:
        """Reconstruct the windows; every tick is rebuilt from itself and the ticks before it."""
        encoded, _ = self.encoder(windows)  # (B, T, H)
        latent = self.squeeze(encoded)  # (B, T, L)
        decoded, _ = self.decoder(latent)  # (B, T, H)
        reconstruction: Tensor = self.output(decoded)  # (B, T, C)
        return reconstruction
