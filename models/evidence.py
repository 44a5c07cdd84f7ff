"""What pictures are drawn of: what the model said of each run, tick by tick, beside what was the case."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Mapping

    from models import ranking
    from models.evaluation import Truth
    from models.events import Incident, Matched

Float32 = npt.NDArray[np.float32]
Int64 = npt.NDArray[np.int64]
UInt8 = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class RunEvidence:
    """One run: N ticks of C sensors, as in its truth."""

    truth: Truth
    began_ms: int  # the time of tick 0 as it was recorded
    score: Float32  # (N,) NaN = not scored
    threshold: Float32  # (N,)
    regime: UInt8  # (N,)
    contribution: Float32  # (N, C)
    expected: Float32  # (N, C)
    actual: Float32  # (N, C)
    incidents: tuple[Incident, ...]  # all that the daemon told
    matched: Matched


@dataclass(frozen=True, slots=True)
class Training:
    """The learning curve, where the model has one: an error for each epoch."""

    fit: tuple[float, ...]
    stop: tuple[float, ...]
    best: int  # from 1


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that the report draws and results.json does not hold."""

    runs: tuple[RunEvidence, ...]
    sensors: tuple[str, ...]
    units: tuple[str, ...]
    scale: Float32  # (C,) what one scaled unit of each sensor is
    center: Float32  # (C,)
    regimes: tuple[str, ...]
    period_ms: int
    timed: bool  # the recordings had times of their own
    ranked: Mapping[str, ranking.Counts]  # by detector
    training: Training | None
