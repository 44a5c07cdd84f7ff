"""Windows to scores, skipping what must not be scored, with the reason.

Pure: the model is an argument.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from monitor.records import Scores, Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitor.records import Bool, CarryingModel, Float32, Model, Windows

    # Of the windows that are ready (B,), with center and scale (B, C) of all: what is predicted (b, J, C).
    Predict = Callable[[CarryingModel, Windows, Bool, tuple[Float32, Float32] | None], Float32]


def score(
    windows: Windows,
    model: Model | None,
    without: Status = Status.NO_MODEL,
    level: tuple[Float32, Float32] | None = None,
    predict: Predict | None = None,
) -> Scores:
    """Score B windows in one call of the model. Rows that are not scored hold NaN, and a status that says why.

    `without` is the status of rows for which there is no model; `level` is center and scale (B, C) of the rows'
    assets, where the model compares them with themselves; `predict` says what a model that carries something from
    tick to tick predicts of them, None = it sees every window as a whole.
    """
    rows, _, sensors = windows.values.shape
    status = windows.status.copy()
    values = np.full(rows, np.nan, np.float32)
    contribution = np.full((rows, sensors), np.nan, np.float32)
    expected = np.full((rows, sensors), np.nan, np.float32)
    scored = status == Status.SCORED
    if model is None:
        status[~np.isin(status, (Status.REGIME, Status.BLANKED))] = without
    elif predict is not None or scored.any():
        ready = slice(None) if scored.all() else np.flatnonzero(scored)
        own = None if level is None else (level[0][ready], level[1][ready])
        seen = windows.values[ready]
        if predict is None:
            found = model.score(seen, own)
        else:
            carrying = cast("CarryingModel", model)
            found = carrying.judge(seen, predict(carrying, windows, scored, level), own)
        contribution[ready], expected[ready], values[ready] = found
        status[scored & np.isnan(values)] = Status.TOO_FEW_SENSORS
    return Scores(
        stream=windows.stream,
        tick=windows.tick,
        status=status,
        score=values,
        threshold=np.full(rows, np.nan, np.float32),
        contribution=contribution,
        expected=expected,
        actual=windows.actual.copy(),
        regime=windows.regime,
    )
