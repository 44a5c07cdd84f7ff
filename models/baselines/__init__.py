"""The classical detectors that a model has to beat, all behind two verbs: `fit` on normal windows, `score` any.

They see what the model sees: scaled windows (B, T, C), NaN where a cell is missing. A score is the larger the less
normal the end of the window is; only `calibrated` makes scores of several detectors comparable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from models.baselines.ewma import Ewma
from models.baselines.linear import Conditional, PcaResidual, TSquared
from models.baselines.naive import AlwaysAlarm, Chance

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import numpy.typing as npt

    Float32 = npt.NDArray[np.float32]
    Float64 = npt.NDArray[np.float64]


class Baseline(Protocol):
    """A detector that learns from normal windows alone."""

    def fit(self, windows: Float32) -> None:
        """Learn from scaled normal windows (B, T, C). Raises ValueError where they are too few."""

    def score(self, windows: Float32) -> Float64:
        """How far from normal each window (B,) of (B, T, C) is; larger is further."""


def _isolation_forest() -> Baseline:
    from models.baselines.neighbours import IsolationForestRows  # noqa: PLC0415 - scikit-learn is an extra

    return IsolationForestRows()


def _one_class_svm() -> Baseline:
    from models.baselines.neighbours import OneClassSvmRows  # noqa: PLC0415 - as above

    return OneClassSvmRows()


def _local_outlier_factor() -> Baseline:
    from models.baselines.neighbours import LocalOutlierFactorRows  # noqa: PLC0415 - as above

    return LocalOutlierFactorRows()


# name -> (how people call it, how to make one); in the order of the reports.
BASELINES: dict[str, tuple[str, Callable[[], Baseline]]] = {
    "t2": ("Hotelling's T²", TSquared),
    "pca": ("PCA residual (Q)", PcaResidual),
    "conditional": ("Each sensor from the others", Conditional),
    "ewma": ("EWMA control chart", Ewma),
    "isolation-forest": ("Isolation forest", _isolation_forest),
    "one-class-svm": ("One-class SVM", _one_class_svm),
    "lof": ("Local outlier factor", _local_outlier_factor),
    "random": ("Random", Chance),
    "always-alarm": ("Always alarm", AlwaysAlarm),
}
