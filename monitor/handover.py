"""What becomes of incidents when their class goes on under another description, or by another judge. Pure."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

import numpy as np

from monitor.alert import ANOMALY, NEVER, SENSORS, AlertState, Phase, turn

if TYPE_CHECKING:
    import numpy.typing as npt

    from monitor.alert import AlertConfig
    from monitor.incident import Moment
    from monitor.records import AlertEvent, Int64


def drop(
    state: AlertState, config: AlertConfig, newest: Int64, moment: Moment, *, sensors_only: bool = False
) -> list[AlertEvent]:
    """Clear every open incident, or those of sensors, because it is no longer watched; changes `state`."""
    first = SENSORS if sensors_only else 0
    text = "no longer watched, or under other limits" if sensors_only else "no longer watched"
    events = [
        turn(state, config, stream, first + point, None, text, int(newest[stream]), moment)
        for stream, point in np.argwhere(state.phase[:, first:] >= Phase.FIRING).tolist()
    ]
    state.phase[:, first:] = Phase.NORMAL
    return events


def rejudge(
    state: AlertState, config: AlertConfig, newest: Int64, moment: Moment, over: str = ""
) -> list[AlertEvent]:
    """Another judge begins: what was pending is for it to say; changes `state`. Open anomalies stay open.

    Where the model takes the place of the limits, or they its place, what the one opened is not for the other to
    close: `over` says why it ends.
    """
    state.above[:] = 0
    state.below_tick[:] = NEVER
    state.phase[state.phase[:, ANOMALY] == Phase.PENDING, ANOMALY] = Phase.NORMAL
    if not over:
        return []
    opened = np.flatnonzero(state.phase[:, ANOMALY] != Phase.NORMAL).tolist()
    return [turn(state, config, stream, ANOMALY, None, over, int(newest[stream]), moment) for stream in opened]


def with_sensors(state: AlertState, fresh: AlertState) -> AlertState:
    """The state with the points of other sensors, taken from a fresh one of as many streams."""

    def column(name: str) -> npt.NDArray[np.generic]:
        old: npt.NDArray[np.generic] = getattr(state, name)
        new: npt.NDArray[np.generic] = getattr(fresh, name)
        return old if old.ndim == 1 else np.concatenate([old[:, :SENSORS], new[:, SENSORS:]], axis=1)

    return AlertState(*(column(each.name) for each in fields(AlertState)))  # type: ignore[arg-type]  # its own fields
