"""Gaussian mixtures by expectation and maximisation, and how many components rows ask for [pure].

The number is the one with the lowest integrated completed likelihood (Biernacki, Celeux and Govaert 2000): the
Bayesian information criterion and twice the entropy of the assignment. What only bends one cloud into a better
shape overlaps, and is paid for; components that stand apart are not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.regimes import distances

Float64 = npt.NDArray[np.float64]

RESTARTS = 4
MOST_STEPS = 100
ENOUGH = 1e-4  # nats a row that a step must gain
LEAST_DEVIATION = 0.1  # scaled units; a narrower component counts as this wide
LEAST_WEIGHT = 1e-3  # a component with less is about to vanish


@dataclass(frozen=True, slots=True)
class Mixture:
    """K components of D dimensions."""

    weight: Float64  # (K,)
    center: Float64  # (K, D)
    covariance: Float64  # (K, D, D)
    criterion: float  # integrated completed likelihood; the lower, the better


def fit_mixture(rows: Float64, components: int) -> Mixture:
    """The likeliest mixture of so many components for rows (N, D) in scaled units, that stand for themselves.

    The same rows give the same mixture.
    """
    random = np.random.default_rng(0)
    tries = [_fit(rows, _seeds(rows, components, random)) for _ in range(RESTARTS if components > 1 else 1)]
    return min(tries, key=lambda each: each.criterion)


def _seeds(rows: Float64, components: int, random: np.random.Generator) -> Float64:
    """Rows far from each other (Arthur and Vassilvitskii 2007) as responsibilities (N, K) to begin with."""
    chosen = [rows[random.integers(len(rows))]]
    for _ in range(components - 1):
        square = np.min([((rows - each) ** 2).sum(axis=1) for each in chosen], axis=0)
        total = square.sum()
        chosen.append(rows[random.choice(len(rows), p=square / total if total > 0 else None)])
    nearest = np.argmin([((rows - each) ** 2).sum(axis=1) for each in chosen], axis=0)
    share: Float64 = np.eye(components)[nearest]
    return share


def _fit(rows: Float64, share: Float64) -> Mixture:
    count, dimensions = rows.shape
    before = -np.inf
    for _ in range(MOST_STEPS):
        weight, center, covariance = _maximise(rows, share)
        log = np.log(weight) + _log_density(rows, center, covariance)  # (N, K)
        highest = log.max(axis=1, keepdims=True)
        total = highest[:, 0] + np.log(np.exp(log - highest).sum(axis=1))  # (N,)
        share = np.exp(log - total[:, None])
        likelihood = float(total.mean())
        if likelihood - before < ENOUGH:
            break
        before = likelihood
    parts = len(weight)
    free = parts - 1 + parts * dimensions + parts * dimensions * (dimensions + 1) / 2
    entropy = -float((share * np.log(np.maximum(share, 1e-300))).sum())
    criterion = -2 * count * likelihood + free * np.log(count) + 2 * entropy
    return Mixture(weight, center, covariance, criterion)


def _maximise(rows: Float64, share: Float64) -> tuple[Float64, Float64, Float64]:
    """Weights, centers and covariances by responsibilities (N, K)."""
    count = np.maximum(share.sum(axis=0), LEAST_WEIGHT * len(rows))  # (K,)
    center = share.T @ rows / count[:, None]  # (K, D)
    away = [rows - each for each in center]  # K of (N, D)
    product: list[Float64] = [(each * part[:, None]).T @ each for each, part in zip(away, share.T, strict=True)]
    covariance = np.stack(product) / count[:, None, None]
    return count / count.sum(), center, covariance + LEAST_DEVIATION**2 * np.eye(rows.shape[1])


def _log_density(rows: Float64, center: Float64, covariance: Float64) -> Float64:
    """The logarithm of each component's density (N, K)."""
    square = distances(rows, center, np.linalg.inv(covariance).astype(np.float64))
    density: Float64 = -(square + np.linalg.slogdet(covariance)[1] + rows.shape[1] * np.log(2 * np.pi)) / 2
    return density
