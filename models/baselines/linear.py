"""Detectors by mean and covariance of the causal means, in numpy alone [pure]."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.baselines.features import causal_means, covariance

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

EXPLAINED = 0.9  # share of the variance that PCA keeps


class TSquared:
    """The root of Hotelling's T² (1947): how far a row is from the mean, in deviations of its own direction."""

    def fit(self, windows: Float32) -> None:
        """Mean and precision of the normal rows. Raises ValueError where they are too few."""
        self._mean, spread = covariance(causal_means(windows))
        self._precision = np.linalg.inv(spread)  # (C, C)

    def score(self, windows: Float32) -> Float64:
        """sqrt(d' P d) for each window (B,)."""
        away = causal_means(windows) - self._mean  # (B, C)
        squared: Float64 = np.einsum("bc,cd,bd->b", away, self._precision, away)
        return np.sqrt(np.maximum(squared, 0))


class PcaResidual:
    """The root of Q (Jackson and Mudholkar 1979): what the principal components of normal rows do not explain."""

    def fit(self, windows: Float32) -> None:
        """As many components as explain 90 % of the variance, but not all of them."""
        self._mean, spread = covariance(causal_means(windows))
        variance, axes = np.linalg.eigh(spread)  # rising
        share = np.cumsum(variance[::-1]) / variance.sum()
        kept = min(int(np.searchsorted(share, EXPLAINED)) + 1, len(variance) - 1)
        self._axes = axes[:, ::-1][:, : max(kept, 0)]  # (C, K)

    def score(self, windows: Float32) -> Float64:
        """The length of what is left of each window (B,)."""
        away = causal_means(windows) - self._mean  # (B, C)
        left: Float64 = np.linalg.norm(away - away @ self._axes @ self._axes.T, axis=1)
        return left


class Conditional:
    """Each sensor predicted by all others, linearly; the largest error, in deviations of that prediction.

    With the precision matrix P of normal rows, (P d)_j / sqrt(P_jj) is the standardised error of the best linear
    prediction of sensor j from the rest: a sensor that contradicts the others stands out, however usual its value.
    """

    def fit(self, windows: Float32) -> None:
        """Mean and precision of the normal rows. Raises ValueError where they are too few."""
        self._mean, spread = covariance(causal_means(windows))
        precision = np.linalg.inv(spread)  # (C, C)
        self._predicts = precision / np.sqrt(np.diag(precision))  # (C, C)

    def score(self, windows: Float32) -> Float64:
        """The largest standardised error of each window (B,)."""
        away = causal_means(windows) - self._mean  # (B, C)
        largest: Float64 = np.abs(away @ self._predicts).max(axis=1)
        return largest
