"""What the store holds of a class, through the line once more with another model. Pure.

Every score row has the values of its tick, which is what alignment made of the readings, scored or not: the same
ticks come out here, and `pipeline.step` does the rest as in the daemon. A tick without any value is left out,
because alignment makes it again from the ticks beside it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from monitor.assemble import BLIND_WINDOWS
from monitor.decode import ClassReadings, Decoded, Decoder
from monitor.pipeline import step
from monitor.records import Batch, Change, Record, StepResult
from monitor.state import LineState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from models.artifact import Header
    from monitor.payloads.sparkplug_memory import Memory
    from monitor.records import Message, Model, StoredScores
    from monitor.spec import ClassSpec, LineSpec


def described(line: LineSpec, asset_class: str, header: Header) -> LineSpec:
    """A line of a class and its overrides alone, at their settings, with another model.

    Their sensors, units and period are the model's. Raises ValueError where the store lacks ticks, because rows
    are further apart than one.
    """
    family = [each for each in line.classes if each.family == asset_class]
    strides = {each.window.stride for each in family}
    if strides != {1}:
        raise ValueError(
            f"class {asset_class} has window.stride {max(strides)}: the store has only one tick of so many, and"
            " a window needs them all"
        )
    return replace(line, classes=tuple(_with_model(each, header) for each in family))


def _with_model(spec: ClassSpec, header: Header) -> ClassSpec:
    check = spec.sensor_check
    if check is not None:
        still = header.still
        check = replace(check, learned_ticks=still.stuck, moved_within=still.moved_within)
    blind_ms = max(spec.alert.blind_after_ms, BLIND_WINDOWS * header.window * spec.align.period_ms)
    return replace(
        spec,
        model=header.name,
        model_hash=header.hash,
        # Values were held, and ticks waited for, before they were stored.
        align=replace(spec.align, lateness_ms=0, hold_ms=0, gap_ticks=header.window),
        window=replace(spec.window, length=header.window),
        alert=replace(spec.alert, blind_after_ms=blind_ms),
        sensor_check=check,
        wanted_ms=0,
        limits=None,
        drift=None,
    )


def beginning(spec: LineSpec) -> LineState:
    """A line that listens, and has heard nothing."""
    state = LineState.empty(spec)
    step(state, Record(0, 0, Change(listening=True)), {})
    return state


def redescribed(state: LineState, spec: LineSpec, models: Mapping[str, Model]) -> StepResult:
    """Go on by another description; changes `state`. What means the same is kept, as in the daemon."""
    if spec.encode() == state.spec.encode():
        return StepResult([], [], [])
    return step(state, Record(0, state.swept_at, Change(line=spec.encode())), models)


def take(state: LineState, batches: Sequence[StoredScores], models: Mapping[str, Model]) -> StepResult:
    """Take stored rows through the line, in their order; changes `state`. Other classes are passed over."""
    readings = [_readings(each.spec, batches) for each in state.classes]
    if not any(each.streams for each in readings):
        return StepResult([], [], [])
    last = max(int(each.time.max()) for each in readings if each.streams)
    state.decoder = _Decoded(readings)
    return step(state, Record(0, max(last, state.swept_at), Batch([])), models)


def _readings(spec: ClassSpec, batches: Sequence[StoredScores]) -> ClassReadings:
    """The stored rows of a class as readings, each arriving at its own time."""
    sensors = spec.route.sensors
    own = [each for each in batches if each.asset_class == spec.name and each.sensors == sensors]
    empty = np.zeros(0, np.int64), np.zeros((0, len(sensors)), np.float32)
    time = np.concatenate([empty[0], *(each.time for each in own)])  # (N,)
    values = np.concatenate([empty[1], *(each.rows.actual for each in own)])  # (N, C)
    streams = [name for each in own for name in each.streams]
    there = np.flatnonzero(~np.isnan(values).all(axis=1))
    return ClassReadings([streams[row] for row in there], time[there], time[there], values[there])


class _Decoded(Decoder):
    """Stands where messages are decoded: what it gives was decoded long ago."""

    def __init__(self, readings: list[ClassReadings]) -> None:
        """One a class, in the order of the classes."""
        self._given = readings

    def decode(self, messages: Sequence[Message], edge_nodes: Memory | None = None) -> Decoded:
        """The rows that were given, whatever the messages."""
        del messages, edge_nodes
        return Decoded(self._given, [], [])
