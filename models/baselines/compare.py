"""Baselines fitted on normal runs and calibrated as a model is: 1.0 is a high quantile of held-out normal windows.

Windows are views of the recorded rows; they are scaled and copied in parts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from models.baselines import BASELINES
from models.scaling import Scaler, fit_scaler
from models.split import Part, Run, split_runs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from models.baselines import Baseline

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

QUANTILE = 0.999  # of held-out normal scores: this one becomes 1.0, as for a model
FIT_WINDOWS = 20_000  # are fitted at the most, evenly over all: their means hardly differ from tick to tick
PART = 4_096  # windows scaled and copied at once
UNFITTED = frozenset({"random", "always-alarm"})  # learn nothing, and need no normal windows
HOLD_EACH = 4  # runs
FEWEST = 50  # held-out windows: fewer have no high quantile
SHARE_OF_USUAL = 0.01  # a run's own deviation is never taken to be less than this share of the usual one


@dataclass(frozen=True, slots=True)
class Level:
    """Which scaling each run has: its own, where it brought normal rows of its own, or that of all runs."""

    pooled: Scaler
    own: Mapping[str, Scaler]

    def of(self, run: str) -> Scaler:
        """The scaling of a run."""
        return self.own.get(run, self.pooled)


def level(normal: Sequence[Run], *, own: bool) -> Level:
    """The scaling by normal runs; `own` gives each run one by its own rows."""
    pooled = fit_scaler(np.concatenate([_rows(run) for run in normal]))
    if not own:
        return Level(pooled, {})
    found = {}
    for name in dict.fromkeys(run.name for run in normal):
        mine = fit_scaler(np.concatenate([_rows(run) for run in normal if run.name == name]))
        found[name] = Scaler(mine.center, np.maximum(mine.scale, SHARE_OF_USUAL * pooled.scale))
    return Level(pooled, found)


@dataclass(slots=True)
class Fitted:
    """A baseline that gives calibrated scores."""

    name: str
    label: str
    baseline: Baseline
    level: Level
    usual: float = 0.0  # the median of held-out normal scores becomes 0
    high: float = 1.0  # the high quantile becomes 1

    def score(self, run: Run) -> Float64:
        """Calibrated scores (B,) of a run's windows."""
        raw = [self.baseline.score(part) for part in _scaled(run, self.level)]
        return (np.concatenate(raw) - self.usual) / (self.high - self.usual)


def fit(name: str, normal: Sequence[Run], scales: Level) -> Fitted:
    """Fit and calibrate a baseline. Raises ValueError, with the numbers, where normal windows are too few."""
    label, make = BASELINES[name]
    fitted = Fitted(name, label, make(), scales)
    if name in UNFITTED:
        fitted.baseline.fit(np.zeros((0, 1, 1), np.float32))
        return fitted
    fitting, held_out = _parts(normal)
    count, held = (sum(len(run.tick) for run in runs) for runs in (fitting, held_out))
    if held < FEWEST or not count:
        raise ValueError(f"{count} normal windows to fit on and {held} to calibrate by, {FEWEST} are needed")
    stride = max(1, count // FIT_WINDOWS)
    fitted.baseline.fit(np.concatenate([part for run in fitting for part in _scaled(run, scales, stride)]))
    usual = np.concatenate([fitted.score(run) for run in held_out if len(run.tick)])
    fitted.usual, fitted.high = float(np.median(usual)), float(np.quantile(usual, QUANTILE))
    fitted.high = max(fitted.high, fitted.usual + 1e-9 * max(1.0, abs(fitted.usual)))
    return fitted


def _parts(normal: Sequence[Run]) -> tuple[list[Run], list[Run]]:
    """What a baseline is fitted on, and what calibrates it: dealt out as for a model.

    Where runs are so short that their blocks leave too little, each fourth run calibrates.
    """
    parts, _ = split_runs(list(normal), seed=0)
    held = [part == Part.CALIBRATION for part in parts]
    if sum(map(np.sum, held)) < FEWEST and len(normal) > 1:
        held = [np.full(len(run.tick), place % HOLD_EACH == 0) for place, run in enumerate(normal)]
        fit_on = [~each for each in held]
    else:
        fit_on = [(part == Part.FIT) | (part == Part.STOP) for part in parts]
    return (
        [_taken(run, which) for run, which in zip(normal, fit_on, strict=True)],
        [_taken(run, which) for run, which in zip(normal, held, strict=True)],
    )


def _rows(run: Run) -> Float32:
    """The rows of a run's windows (B, C): the last of each, and those before the first one's."""
    return np.concatenate([run.windows[:1, :-1].reshape(-1, run.windows.shape[2]), run.windows[:, -1]])


def _taken(run: Run, which: npt.NDArray[np.bool_]) -> Run:
    return run if which.all() else Run(run.name, run.windows[which], run.tick[which])


def _scaled(run: Run, scales: Level, stride: int = 1) -> Iterator[Float32]:
    """Parts (b, T, C) of every so many-th window, scaled."""
    scaler = scales.of(run.name)
    for start in range(0, len(run.tick), PART * stride):
        yield scaler.scaled(np.asarray(run.windows[start : start + PART * stride : stride]))
