"""Everything the line remembers: a state a stage for every asset class, with the streams as first axis. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from models.lasting import LastingState
from monitor import (
    alert,
    align,
    carry,
    drift,
    handover,
    ledger,
    level,
    limits,
    regime,
    roughness,
    sensor_check,
    threshold,
    unscored,
    window,
)
from monitor.decode import Decoder
from monitor.ledger import Names
from monitor.records import Outcome, Status

if TYPE_CHECKING:
    from monitor.maintenance import Plan
    from monitor.payloads.sparkplug_memory import Memory
    from monitor.records import Bool, Int32, Int64
    from monitor.spec import ClassSpec, LineSpec

FIRST_ROOM = 16  # streams that a class has room for at first, and gets more room for at the least
MORE_ROOM = 0.25  # of what it has, when that is used up: what is not used takes memory all the same
# The states of a class, in the line's order.
STAGES = (
    "align",
    "sensor_check",
    "roughness",
    "regime",
    "limits",
    "window",
    "level",
    "carry",
    "lasting",
    "threshold",
    "drift",
    "ledger",
    "unscored",
    "alert",
)


@dataclass(slots=True)
class ClassState:
    """One asset class: its streams by number, and a state a stage with room for `capacity` streams."""

    spec: ClassSpec
    align: align.AlignState
    sensor_check: sensor_check.SensorCheckState
    roughness: roughness.RoughnessState
    regime: regime.RegimeState
    limits: limits.LimitsState
    window: window.WindowState
    level: level.LevelState
    carry: carry.CarryState
    lasting: LastingState
    threshold: threshold.ThresholdState
    drift: drift.DriftState
    ledger: ledger.LedgerState
    unscored: unscored.UnscoredState
    alert: alert.AlertState
    keys: list[str] = field(default_factory=list)
    number: dict[str, int] = field(default_factory=dict)
    held: Bool | None = None  # (S,) under maintenance; follows from the plans, so no checkpoint holds it

    @classmethod
    def empty(cls, spec: ClassSpec, capacity: int = FIRST_ROOM) -> ClassState:
        """A class of which no stream has been heard."""
        return cls(
            spec,
            align.AlignState.empty(spec.align, capacity),
            sensor_check.SensorCheckState.empty(spec.align.sensors, capacity),
            roughness.RoughnessState.empty(spec.align.sensors, capacity),
            regime.RegimeState.empty(spec.regime, capacity),
            limits.LimitsState.empty(spec.limits, spec.align.sensors, capacity),
            window.WindowState.empty(spec.window, capacity),
            level.LevelState.empty(spec.sensors_with_level, capacity),
            carry.CarryState.empty(spec.carry, spec.align.sensors, capacity),
            LastingState.empty(spec.align.sensors, capacity),
            threshold.ThresholdState.empty(spec.threshold, capacity),
            drift.DriftState.empty(spec.align.sensors, capacity),
            ledger.LedgerState.empty(capacity),
            unscored.UnscoredState.empty(capacity),
            alert.AlertState.empty(spec.alert, capacity),
        )

    def register(self, key: str) -> int:
        """The number of a new stream."""
        if len(self.keys) == len(self.align.next_tick):
            room = max(FIRST_ROOM, int(MORE_ROOM * len(self.keys)))
            more = ClassState.empty(self.spec, room)
            for stage in STAGES:
                known = getattr(self, stage)
                setattr(self, stage, joined(type(known), [known, getattr(more, stage)]))
            if self.held is not None:
                self.held = np.concatenate([self.held, np.zeros(room, np.bool_)])
        self.number[key] = len(self.keys)
        self.keys.append(key)
        return self.number[key]

    def latest(self) -> Int64:
        """The newest event time (S,) of each stream; where all its readings were in the future, when they came."""
        return np.where(self.align.newest == align.NONE, self.align.last_arrival, self.align.newest)

    def names(self) -> Names:
        """What the numbers of streams and regimes mean."""
        return Names(self.keys, self.spec.regime.names)

    def of_held(self, stream: Int32) -> Bool:
        """Which of these streams (M,) are under maintenance."""
        return np.zeros(len(stream), np.bool_) if self.held is None else self.held[stream]

    def under(self, spec: ClassSpec) -> ClassState:
        """The state under a new description of the class; not to be used again under the old one."""
        fresh = ClassState.empty(spec, len(self.align.next_tick))
        fresh.keys, fresh.number = self.keys, self.number
        names = self.spec.thresholds, spec.thresholds
        if spec.model_hash == self.spec.model_hash:
            fresh.threshold = threshold.under(self.threshold, names[0], fresh.threshold, names[1])
            if spec.align.sensors == self.spec.align.sensors:  # a class without a model may have others now
                fresh.lasting, fresh.drift = self.lasting, self.drift
                if spec.levels == self.spec.levels:
                    fresh.level = self.level
        fresh.regime = regime.under(self.regime, self.spec.regime, spec.regime)
        fresh.ledger, fresh.unscored = self.ledger, self.unscored
        if spec.keeps_limits_of(self.spec):
            fresh.limits = self.limits
        ran_ms = self.limits.normal * self.spec.align.period_ms
        fresh.limits.normal = ran_ms // spec.align.period_ms  # it stays recorded
        if spec.keeps_sensor_faults_of(self.spec):
            fresh.sensor_check, fresh.alert = self.sensor_check, self.alert
            if self.spec.checks_roughness:  # else what it holds is of a time that is long over
                fresh.roughness = self.roughness
        else:
            fresh.alert = handover.with_sensors(self.alert, fresh.alert)
        if spec.keeps_windows_of(self.spec):
            fresh.align, fresh.window = self.align, self.window
            if spec.model_hash == self.spec.model_hash and spec.carry == self.spec.carry:
                fresh.carry = self.carry
            return fresh
        if spec.carries_windows_of(self.spec):
            fresh.align, fresh.window = self.align, window.resized(self.window, spec.window.length)
            return fresh
        # When they were last heard still says whether they are silent, and a closed tick never reopens.
        for name in ("last_arrival", "newest", "ahead"):
            setattr(fresh.align, name, getattr(self.align, name))
        old, new = self.spec.align.period_ms, spec.align.period_ms
        fresh.align.next_tick = align.regrid(self.align.next_tick, old, new)
        fresh.threshold.last_tick = align.regrid(fresh.threshold.last_tick, old, new)
        fresh.lasting.last_tick = align.regrid(fresh.lasting.last_tick, old, new)
        fresh.drift.looked = align.regrid(fresh.drift.looked, old, new)
        fresh.regime.first_tick = align.regrid(fresh.regime.first_tick, old, new)
        fresh.alert.pending_tick = align.regrid(fresh.alert.pending_tick, old, new)
        fresh.alert.below_tick = align.regrid(fresh.alert.below_tick, old, new)
        return fresh


@dataclass(slots=True)
class LineState:
    """Everything the line remembers."""

    spec: LineSpec
    decoder: Decoder
    classes: list[ClassState]
    outcomes: Int64  # (outcomes,) values by `Outcome`, since the beginning
    rows: Int64  # (statuses,) score rows by `Status`, since the beginning
    listening_since: int | None = None  # None = the broker cannot be heard
    swept_at: int = 0
    obeyed: list[str] = field(default_factory=list)  # the ids of the latest commands
    plans: dict[str, Plan] = field(default_factory=dict)  # asset -> its maintenance
    turn_at: int = 0  # when the plans are to be looked at again; 0 = at once, as after a start
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


def together(parts: list[ClassState]) -> ClassState:
    """One state of several of the same description, of which no two know the same stream."""
    if len(parts) == 1:
        return parts[0]
    stages = {}
    for stage in STAGES:
        used = [of_rows(getattr(part, stage), slice(len(part.keys))) for part in parts]
        room = getattr(ClassState.empty(parts[0].spec), stage)  # as no class is without any
        stages[stage] = joined(type(room), [*used, room])
    keys = [key for part in parts for key in part.keys]
    return ClassState(parts[0].spec, **stages, keys=keys, number={key: row for row, key in enumerate(keys)})


def decoder(spec: LineSpec) -> Decoder:
    """The decoder of a line's classes."""
    return Decoder([each.route for each in spec.classes], root=spec.root)


Columns = TypeVar("Columns")


def of_rows(columns: Columns, rows: Bool | slice) -> Columns:
    """These rows of a batch."""
    parts = (getattr(columns, f.name)[rows] for f in fields(columns))  # type: ignore[arg-type]  # as below
    return type(columns)(*parts)


def joined(kind: type[Columns], parts: list[Columns]) -> Columns:
    """One batch or state of all rows of several."""
    if len(parts) == 1:
        return parts[0]
    return kind(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(kind)))  # type: ignore[arg-type]  # every kind is a dataclass of arrays
