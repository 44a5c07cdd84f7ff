"""Everything the line remembers: a state a stage for every asset class, with the streams as first axis. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from monitor import alert, align, sensor_check, threshold, window
from monitor.decode import Decoder
from monitor.records import Outcome, Status

if TYPE_CHECKING:
    from monitor.payloads.sparkplug_memory import Memory
    from monitor.records import Int64
    from monitor.spec import ClassSpec, LineSpec

FIRST_ROOM = 16  # streams that a class has room for at first; it doubles when it is used up
STAGES = ("align", "sensor_check", "window", "threshold", "alert")  # the states of a class, in the line's order


@dataclass(slots=True)
class ClassState:
    """One asset class: its streams by number, and a state a stage with room for `capacity` streams."""

    spec: ClassSpec
    align: align.AlignState
    sensor_check: sensor_check.SensorCheckState
    window: window.WindowState
    threshold: threshold.ThresholdState
    alert: alert.AlertState
    keys: list[str] = field(default_factory=list)
    number: dict[str, int] = field(default_factory=dict)

    @classmethod
    def empty(cls, spec: ClassSpec, capacity: int = FIRST_ROOM) -> ClassState:
        """A class of which no stream has been heard."""
        return cls(
            spec,
            align.AlignState.empty(spec.align, capacity),
            sensor_check.SensorCheckState.empty(spec.align.sensors, capacity),
            window.WindowState.empty(spec.window, capacity),
            threshold.ThresholdState.empty(spec.threshold, capacity),
            alert.AlertState.empty(spec.alert, capacity),
        )

    def register(self, key: str) -> int:
        """The number of a new stream."""
        if len(self.keys) == len(self.align.next_tick):
            more = ClassState.empty(self.spec, len(self.keys))
            for stage in STAGES:
                room = getattr(self, stage)
                setattr(self, stage, joined(type(room), [room, getattr(more, stage)]))
        self.number[key] = len(self.keys)
        self.keys.append(key)
        return self.number[key]

    def latest(self) -> Int64:
        """The newest event time (S,) of each stream; where all its readings were in the future, when they came."""
        return np.where(self.align.newest == align.NONE, self.align.last_arrival, self.align.newest)

    def under(self, spec: ClassSpec) -> ClassState:
        """The state under a new description of the class; not to be used again under the old one."""
        fresh = ClassState.empty(spec, len(self.align.next_tick))
        fresh.keys, fresh.number = self.keys, self.number
        fresh.threshold = self.threshold
        if spec.keeps_sensor_faults_of(self.spec):
            fresh.sensor_check, fresh.alert = self.sensor_check, self.alert
        else:
            fresh.alert = alert.with_sensors(self.alert, fresh.alert)
        if spec.keeps_windows_of(self.spec):
            fresh.align, fresh.window = self.align, self.window
            return fresh
        # When they were last heard still says whether they are silent, and a closed tick never reopens.
        for name in ("last_arrival", "newest", "ahead"):
            setattr(fresh.align, name, getattr(self.align, name))
        old, new = self.spec.align.period_ms, spec.align.period_ms
        fresh.align.next_tick = align.regrid(self.align.next_tick, old, new)
        fresh.threshold.last_tick = align.regrid(fresh.threshold.last_tick, old, new)
        fresh.alert.pending_tick = align.regrid(fresh.alert.pending_tick, old, new)
        fresh.alert.below_tick = align.regrid(fresh.alert.below_tick, old, new)
        return fresh


@dataclass(slots=True)
class LineState:
    """Everything the line remembers."""

    spec: LineSpec
    decoder: Decoder
    classes: list[ClassState]
    outcomes: Int64  # (6,) values by `Outcome`, since the beginning
    rows: Int64  # (6,) score rows by `Status`, since the beginning
    listening_since: int | None = None  # None = the broker cannot be heard
    swept_at: int = 0
    obeyed: list[str] = field(default_factory=list)  # the ids of the latest commands
    edge_nodes: Memory = field(default_factory=dict)  # what Sparkplug's later messages are read by

    @classmethod
    def empty(cls, spec: LineSpec) -> LineState:
        """A line that has heard nothing."""
        counts = np.zeros(len(Outcome), np.int64), np.zeros(len(Status), np.int64)
        return cls(spec, decoder(spec), [ClassState.empty(each) for each in spec.classes], *counts)

    def waiting_values(self) -> int:
        """Acknowledged values whose outcome is still open: in open ticks, or in ticks that no row covers yet."""
        return sum(align.open_values(c.align) + int(c.window.uncovered.sum()) for c in self.classes)

    def streams(self) -> int:
        """How many streams are known."""
        return sum(len(each.keys) for each in self.classes)


def decoder(spec: LineSpec) -> Decoder:
    """The decoder of a line's classes."""
    return Decoder([each.route for each in spec.classes], root=spec.root)


Columns = TypeVar("Columns")


def joined(kind: type[Columns], parts: list[Columns]) -> Columns:
    """One batch or state of all rows of several."""
    if len(parts) == 1:
        return parts[0]
    return kind(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(kind)))  # type: ignore[arg-type]  # every kind is a dataclass of arrays
