"""Isolation forest, one-class SVM and local outlier factor on the causal means, by scikit-learn.

Their cost grows with the rows they are fitted on, so that at most so many are taken, evenly over all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import LocalOutlierFactor
from sklearn.svm import OneClassSVM

from models.baselines.features import causal_means

if TYPE_CHECKING:
    from models.baselines.features import Float64

Float32 = npt.NDArray[np.float32]

TREES = 100
NU = 0.01  # share of normal rows that may lie outside of the SVM's border
NEIGHBOURS = 35  # more than the rows of one mean's length, which are hardly different from each other
FOREST_ROWS, SVM_ROWS, LOF_ROWS = 50_000, 5_000, 5_000


class _Rows:
    """A detector of scikit-learn on the causal means."""

    def __init__(self, detector: Any, most: int) -> None:
        self._detector = detector
        self._most = most

    def fit(self, windows: Float32) -> None:
        """Fit on rows spread evenly over the normal windows."""
        rows = causal_means(windows)  # (B, C)
        if len(rows) < 2:  # noqa: PLR2004 - of one there are no neighbours
            raise ValueError(f"{len(rows)} normal windows")
        self._detector.fit(rows[:: max(1, -(-len(rows) // self._most))])

    def score(self, windows: Float32) -> Float64:
        """scikit-learn's own score with its sign turned (B,)."""
        score: Float64 = -self._detector.score_samples(causal_means(windows))
        return score


class IsolationForestRows(_Rows):
    """How few random cuts isolate a row (Liu, Ting and Zhou 2008)."""

    def __init__(self) -> None:
        super().__init__(IsolationForest(n_estimators=TREES, random_state=0), FOREST_ROWS)


class OneClassSvmRows(_Rows):
    """The border around normal rows (Schölkopf et al. 2001), with radial basis functions."""

    def __init__(self) -> None:
        super().__init__(OneClassSVM(nu=NU, gamma="scale"), SVM_ROWS)


class LocalOutlierFactorRows(_Rows):
    """How much thinner a row's surroundings are than its neighbours' (Breunig et al. 2000)."""

    def __init__(self) -> None:
        super().__init__(LocalOutlierFactor(n_neighbors=NEIGHBOURS, novelty=True), LOF_ROWS)
