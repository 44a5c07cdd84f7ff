"""The books: what became of every value and row so far, and how far the streams are. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from monitor.pipeline import clock_suspect
from monitor.records import Outcome, Status
from monitor.synthetic import is_synthetic

if TYPE_CHECKING:
    from monitor.state import LineState


def books(state: LineState) -> dict[str, object]:
    """What became of all values so far, and of all score rows; and how far the streams heard lately are."""
    heard, warmest = _heard_lately(state)
    return {
        "outcomes": {outcome.name.lower(): int(state.outcomes[outcome]) for outcome in Outcome},
        "waiting": state.waiting_values(),
        "rows": {status.name.lower(): int(state.rows[status]) for status in Status},
        "streams": sum(len(each.keys) for each in state.classes if not is_synthetic(each.spec.name)),
        "heard": heard,
        "warmest": warmest,
        "clock_suspect": clock_suspect(state),
        "learning": _learning(state),
    }


def _learning(state: LineState) -> dict[str, dict[str, int]]:
    """How far the classes without a model are: normal running of all assets together, and how many these are."""
    found: dict[str, dict[str, int]] = {}
    for each in state.classes:
        if each.spec.wanted_ms:
            normal = each.limits.normal[: len(each.keys)]
            none = {"normal_ms": 0, "wanted_ms": each.spec.wanted_ms, "assets": 0}
            far = found.setdefault(each.spec.family, none)
            far["normal_ms"] += int(normal.sum()) * each.spec.align.period_ms
            far["assets"] += int(np.count_nonzero(normal))
    return found


def _heard_lately(state: LineState) -> tuple[int, tuple[int, int] | None]:
    """How many streams are heard lately, and of those with a model how far the fullest window is (ticks, of T).

    Lately is not a window's length behind the stream that was heard last. None where no such stream has a model.
    """
    classes = [each for each in state.classes if not is_synthetic(each.spec.name)]
    arrivals = [each.align.last_arrival[: len(each.keys)] for each in classes]  # (S,) each
    last = max((int(arrival.max()) for arrival in arrivals if len(arrival)), default=0)
    heard, windows = 0, []
    for each, arrival in zip(classes, arrivals, strict=True):
        grid, length = each.spec.align, each.spec.window.length
        lately = np.flatnonzero(arrival >= last - grid.gap_ticks * grid.period_ms)
        heard += len(lately)
        if len(lately) and each.spec.model_hash:
            windows.append((int(each.window.filled[lately].max()), length))
    return heard, max(windows, key=lambda window: window[0] / window[1], default=None)
