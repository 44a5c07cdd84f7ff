"""Hidden prediction: every sensor is rebuilt from the others, without the network seeing the sensor itself.

A network that sees a sensor can copy it, its fault included; one that does not can only say what the others make
of it. The sensors are dealt into a few groups, each of which is hidden once, so that one pass over GROUPS times as
many windows predicts them all. Sensors that go together are in different groups and speak for each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.autoencoder import LSTMAutoencoder

Float32 = npt.NDArray[np.float32]

GROUPS = 4  # a quarter of the sensors is hidden at a time: no more than training hides


class HiddenPrediction(nn.Module):
    """Scaled windows (B, T, C), missing cells 0, to what the other sensors say of every sensor (B, T, C).

    `group` (C,) numbers the sensors that are hidden together, from 0 on; empty: nothing is hidden.
    """

    hidden: Tensor

    def __init__(self, network: LSTMAutoencoder, group: Sequence[int]) -> None:
        super().__init__()
        self.network = network
        self.config = network.config
        numbers = torch.tensor([int(each) for each in group])
        hidden = numbers[None, :] == torch.arange(max(group, default=-1) + 1)[:, None]  # (G, C)
        self.register_buffer("hidden", hidden.float()[:, None, None, :], persistent=False)  # (G, 1, 1, C)

    @property
    def memory(self) -> int:
        """D, the numbers that go from tick to tick: those of every group's pass."""
        return max(len(self.hidden), 1) * self.config.carried * self.config.hidden

    def go_on(self, ticks: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Predict the next n ticks (B, n, C), scaled, missing cells 0, of windows that were begun before.

        `memory` (B, D) is what the passes carry from tick to tick, zeros where a window begins; returned with the
        prediction is what they carry on.
        """
        groups = max(len(self.hidden), 1)
        shown = ticks[None] * (1 - self.hidden) if len(self.hidden) else ticks[None]  # (G, B, n, C)
        states = memory.reshape(-1, groups, self.config.carried, self.config.hidden)  # (B, G, K, H)
        carried = states.permute(2, 1, 0, 3).flatten(1, 2)  # (K, G * B, H)
        predicted, carried = self.network.go_on(shown.flatten(0, 1), carried)
        predicted = predicted.reshape(groups, -1, ticks.shape[1], self.config.sensors)
        others = (predicted * self.hidden).sum(dim=0) if len(self.hidden) else predicted[0]
        states = carried.reshape(self.config.carried, groups, -1, self.config.hidden)  # (K, G, B, H)
        return others, states.permute(2, 1, 0, 3).reshape(-1, self.memory)

    def forward(self, windows: Tensor) -> Tensor:
        """Predict every sensor while its group is hidden."""
        return self.go_on(windows, windows.new_zeros(len(windows), self.memory))[0]


def deal(scaled: Float32) -> tuple[int, ...]:
    """The group (C,) of every sensor, by how sensors go together in normal rows (N, C), NaN = missing.

    The sensor with the strongest ties chooses first, and goes where its ties are weakest. A single sensor has
    nothing to be predicted from, so nothing is hidden.
    """
    sensors = scaled.shape[1]
    if sensors == 1:
        return ()
    rows = np.nan_to_num(np.clip(scaled, -10, 10))
    rows = rows - rows.mean(axis=0)
    size = np.maximum(np.sqrt((rows**2).sum(axis=0)), 1e-12)
    ties = np.abs(rows.T @ rows / np.outer(size, size))  # (C, C)
    np.fill_diagonal(ties, 0)
    count = min(GROUPS, sensors)
    most = -(-sensors // count)
    groups: list[list[int]] = [[] for _ in range(count)]
    for sensor in np.argsort(-ties.sum(axis=1), kind="stable").tolist():
        open_ = [each for each in groups if len(each) < most]
        min(open_, key=lambda each: (ties[sensor, each].sum(), len(each))).append(sensor)
    number = {sensor: index for index, each in enumerate(groups) for sensor in each}
    return tuple(number[sensor] for sensor in range(sensors))
