"""The assets that the line knows, one by one: for those who look at a fleet. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from monitor import alert, align, drift, regime, threshold
from monitor.records import Status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitor.records import Bool, Int32
    from monitor.state import ClassState, LineState


def roll(state: LineState, now: int, *, fits: bool = True) -> list[dict[str, Any]]:
    """A row for every asset, by name: class, when it was last heard, how it stands, its open incidents.

    Whether its model still fits takes most of the time: who asks each second can do without (no `drift` then, nor
    `never`, the sensors that it has not reported yet).
    """
    rows = [row for each in state.classes for row in _rows(state, each, now, fits=fits)]
    return sorted(rows, key=lambda row: (row["asset"], row["class"]))


def _rows(state: LineState, each: ClassState, now: int, *, fits: bool) -> Iterator[dict[str, Any]]:
    count = len(each.keys)
    stream = np.arange(count, dtype=np.int32)
    current = threshold.current(each.threshold, each.spec.threshold, stream, each.regime.current[:count])  # (S,)
    current[:] = current if each.spec.model_hash else np.nan
    crept = threshold.creep(each.threshold, each.spec.threshold, stream, each.regime.current[:count])  # (S,)
    crept[:] = crept if each.spec.model_hash else np.nan
    columns = zip(
        each.keys,
        _statuses(each, stream),
        each.align.last_arrival[:count].tolist(),
        each.align.newest[:count].tolist(),
        (each.alert.phase[:count] >= alert.Phase.FIRING).sum(axis=1).tolist(),
        current.tolist(),
        crept.tolist(),
        each.regime.current[:count].tolist(),
        strict=True,
    )
    for number, (asset, status, heard, newest, incidents, by, creep, at) in enumerate(columns):
        plan = state.plans.get(asset)
        row = {
            "asset": asset,
            "class": each.spec.name,
            "model": each.spec.model,
            "regime": each.spec.regime.names[at],
            "status": "maintenance" if plan is not None and plan.lasts(now) else status,
            "heard": None if heard == align.NONE else heard,
            "newest": None if newest == align.NONE else newest,
            "incidents": incidents,
            "threshold": None if math.isnan(by) else by,
            "creep": None if math.isnan(creep) else creep,
            "maintenance": None
            if plan is None
            else {"since": plan.since, "until": plan.until, "begun": plan.begun, "who": plan.who, "why": plan.why},
        }
        if fits:
            row["drift"] = (
                drift.verdict(each.drift, each.spec.drift, number).report() if each.spec.model_hash else None
            )
            row["never"] = _never(each, number)
        yield row


def _never(each: ClassState, number: int) -> list[str]:
    """The sensors that an asset has never reported, though others: such a one is never missed (`sensor_check`)."""
    if each.spec.sensor_check is None:
        return []
    missing = np.isnan(each.sensor_check.value[number])  # (C,)
    if missing.all():  # nothing was heard of it that could tell
        return []
    return [each.spec.sensor_check.sensors[sensor] for sensor in np.flatnonzero(missing)]


def _statuses(each: ClassState, stream: Int32) -> list[str]:
    """How the assets of a class stand (S,), in a word or two: the first that applies."""
    spec, current = each.spec, each.regime.current[: len(stream)]
    filled = each.window.filled[: len(stream)]
    says: list[tuple[Bool, Any]] = [
        (each.alert.offline[: len(stream)], "offline"),
        (each.alert.phase[: len(stream), alert.STALE] != alert.Phase.NORMAL, "silent"),
        (regime.resting(each.regime, spec.regime, stream), np.array(spec.regime.names, object)[current]),
    ]
    if spec.model_hash:
        warming = np.array(
            [f"warming up {ticks}/{spec.window.length}" for ticks in range(spec.window.length)], object
        )
        says += [
            (filled < spec.window.length, warming[np.minimum(filled, spec.window.length - 1)]),
            (each.unscored.status[: len(stream)] == Status.COMMISSIONING, "commissioning"),
            (each.threshold.relearning[stream, threshold.slots(spec.threshold, current)], "relearning"),
        ]
        otherwise = "watched"
    else:
        otherwise = "learning" if spec.wanted_ms else "no model"
    applies, words = zip(*says, strict=True)
    found: list[str] = np.select(applies, [np.asarray(word, object) for word in words], otherwise).tolist()
    return found
