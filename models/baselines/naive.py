"""What a detector must beat to be worth anything: chance, and an alarm that never ends [pure]."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

HIGH = 0.999  # the share of normal windows that scores below 1, by definition of the score


class Chance:
    """Independent random numbers: what figures a score has that knows nothing."""

    def fit(self, windows: Float32) -> None:
        """There is nothing to learn."""
        del windows
        self._random = np.random.default_rng(0)

    def score(self, windows: Float32) -> Float64:
        """Uniform, with one in a thousand above 1 (B,)."""
        return self._random.random(len(windows)) / HIGH


class AlwaysAlarm:
    """The same score for everything, above every threshold: its F1 is that of the share of anomalous rows."""

    ALARM = 2.0

    def fit(self, windows: Float32) -> None:
        """There is nothing to learn."""
        del windows

    def score(self, windows: Float32) -> Float64:
        """Always the same (B,)."""
        return np.full(len(windows), self.ALARM)
