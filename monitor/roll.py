"""The assets that the line knows, one by one: for those who look at a fleet. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from monitor import alert, align, regime, threshold

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitor.state import ClassState, LineState


def roll(state: LineState, now: int) -> list[dict[str, Any]]:
    """A row for every asset, by name: class, when it was last heard, how it stands, its open incidents."""
    rows = [row for each in state.classes for row in _rows(state, each, now)]
    return sorted(rows, key=lambda row: (row["asset"], row["class"]))


def _rows(state: LineState, each: ClassState, now: int) -> Iterator[dict[str, Any]]:
    count = len(each.keys)
    is_open = each.alert.phase[:count] >= alert.Phase.FIRING  # (S, P)
    stream = np.arange(count, dtype=np.int32)
    current = threshold.current(each.threshold, each.spec.threshold, stream, each.regime.current[:count])  # (S,)
    for number, asset in enumerate(each.keys):
        heard, newest = int(each.align.last_arrival[number]), int(each.align.newest[number])
        plan = state.plans.get(asset)
        yield {
            "asset": asset,
            "class": each.spec.name,
            "model": each.spec.model,
            "status": _status(state, each, number, now),
            "heard": None if heard == align.NONE else heard,
            "newest": None if newest == align.NONE else newest,
            "incidents": int(is_open[number].sum()),
            "threshold": None if np.isnan(current[number]) or not each.spec.model_hash else float(current[number]),
            "maintenance": None
            if plan is None
            else {"since": plan.since, "until": plan.until, "begun": plan.begun, "who": plan.who, "why": plan.why},
        }


def _status(state: LineState, each: ClassState, number: int, now: int) -> str:
    """How an asset stands, in a word or two: the first that applies."""
    plan = state.plans.get(each.keys[number])
    filled, length = int(each.window.filled[number]), each.spec.window.length
    if plan is not None and plan.lasts(now):
        return "maintenance"
    if each.alert.offline[number]:
        return "offline"
    if each.alert.phase[number, alert.STALE] != alert.Phase.NORMAL:
        return "silent"
    if regime.resting(each.regime, each.spec.regime, np.array([number], np.int32))[0]:
        return each.spec.regime.names[int(each.regime.current[number])]
    if not each.spec.model_hash:
        return "learning" if each.spec.wanted_ms else "no model"
    if filled < length:
        return f"warming up {filled}/{length}"
    if each.threshold.relearning[number, each.regime.current[number]]:
        return "relearning"
    return "watched"
