"""The types that travel between the rooms, and nothing else.

Columns, not objects: N readings, frames or scores are a handful of arrays with a leading axis N, so that
the rooms after `decode` handle a batch in a few array operations. Times are UTC epoch milliseconds (int64).
A missing value is NaN, a missing score is NaN beside the `Status` that says why; there is no made-up 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.lasting import Lasting

Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]
UInt8 = npt.NDArray[np.uint8]
Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]


class Outcome(IntEnum):
    """What became of one acknowledged value. Every value has exactly one."""

    IN_ROW = 0  # in a closed tick that a score row covers
    SUPERSEDED = 1  # a later reading of the same tick took its cell
    DUPLICATE = 2  # the same (asset, sensor, time) was there already
    LATE = 3  # its tick had closed
    QUARANTINED = 4  # its time lies in the future
    DEAD_LETTER = 5  # refused, with a reason
    IGNORED = 6  # of a sensor that its class leaves out


class Status(IntEnum):
    """Why a score row holds a score, or why it holds none."""

    SCORED = 0
    WARMING_UP = 1  # fewer closed ticks than a window
    GAP = 2  # warming up again after a silence longer than a window
    TOO_FEW_SENSORS = 3  # too much of the window is missing
    NO_MODEL = 4
    RELEARNING = 5  # re-learning its threshold after `accept`: scored, but not judged
    REGIME = 6  # in an operating regime that is not scored, such as "off"
    BLANKED = 7  # such a regime, or one with blanking, has just ended
    LEARNING = 8  # no model yet: recorded to make one of, and watched by simple limits meanwhile
    COMMISSIONING = 9  # the model compares assets with themselves, and the level of this one is being learned


class Kind(StrEnum):
    """What an incident is about."""

    ANOMALY = "anomaly"  # the model's
    STALE = "stale"  # nothing arrives of the whole asset
    SENSOR_RANGE = "sensor_range"  # a sensor reports what it cannot have measured
    SENSOR_STUCK = "sensor_stuck"  # a sensor stands still while the others move
    SENSOR_DROPOUT = "sensor_dropout"  # a sensor is missing while others report
    BLIND = "blind"  # readings arrive, and nothing of the asset is scored
    LIMIT = "limit"  # sensors are beyond what was seen of them, where there is no model yet to judge it
    SENSOR_NOISE = "sensor_noise"  # a sensor is rougher from tick to tick than it ever is
    SENSOR_RATE = "sensor_rate"  # a sensor changes faster than it can
    SENSOR_SPIKES = "sensor_spikes"  # single values of a sensor stand out, more often than they do
    # Checkpoints number the kinds: a further one goes behind these.


class Transition(StrEnum):
    """What happened to an incident (words of OPC UA Part 9 and ISA-18.2)."""

    FIRED = "fired"
    ACKNOWLEDGED = "acknowledged"
    CLEARED = "cleared"
    SHELVED = "shelved"
    UNSHELVED = "unshelved"
    COMMENTED = "commented"
    ACCEPTED = "accepted"
    VERDICT = "verdict"


class Message(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One MQTT message as it arrived. `size` is the payload's full length: an over-long payload is cut.

    There are many of them: made by msgspec, one costs a tenth of what a dataclass does, also out of the journal.
    """

    topic: bytes
    payload: bytes
    arrival: int
    size: int


@dataclass(frozen=True, slots=True)
class Command:
    """An operator's word. `incident` or `asset` (the stream key site/area/asset) says what it is about.

    `kind`, `sensor`, `started` and `severity` are what the store knew of that incident when the command came, so
    that words about one that is long over need no memory in the core.
    """

    id: str
    action: str
    ts: int
    incident: str = ""
    asset: str = ""
    who: str = ""
    until: int | None = None
    why: str = ""
    verdict: str = ""  # "real" or "false"
    kind: str = ""
    sensor: str = ""
    started: int = 0
    severity: str = ""  # empty in journals of before
    since: int | None = None  # maintenance: when it begins
    name: str = ""  # rename: what the asset is called from now on
    asset_class: str = ""  # promote, rollback: the class whose model changes
    model: str = ""  # promote: the folder of the model


@dataclass(frozen=True, slots=True)
class Batch:
    """Journal record: messages that were committed together."""

    messages: list[Message]


@dataclass(frozen=True, slots=True)
class Clock:
    """Journal record: time went on and nothing arrived."""


@dataclass(frozen=True, slots=True)
class Change:
    """Journal record: what the daemon works with or listens to has changed.

    `listening` is False while the broker cannot be heard: silence is then nobody's fault. `line` is the whole
    description of the pipeline as JSON where that changed, else None.
    """

    listening: bool | None = None
    line: bytes | None = None


Payload = Batch | Clock | Command | Change


@dataclass(frozen=True, slots=True)
class Record:
    """One entry of the journal: its position (1, 2, …), its arrival time, and what it says."""

    position: int
    time: int
    payload: Payload


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Something refused: the topic and the payload's beginning as they came, and the reason in words.

    `values` is how many values it stands for in the books (a message that cannot be decoded counts as one).
    """

    time: int
    topic: str
    payload: bytes
    reason: str
    values: int = 1


@dataclass(frozen=True, slots=True)
class Readings:
    """Decoded readings in the order of arrival: N rows of one asset class with C sensors."""

    stream: Int32  # (N,)
    time: Int64  # (N,) event time
    arrival: Int64  # (N,)
    values: Float32  # (N, C), NaN = not reported


@dataclass(frozen=True, slots=True)
class Frames:
    """Closed ticks, at most one per stream: N rows."""

    stream: Int32  # (N,)
    tick: Int64  # (N,) event time // period
    values: Float32  # (N, C) reported or held, NaN where neither
    count: Int32  # (N,) values that were reported in this tick
    gap: Bool  # (N,) the first tick after a silence longer than a window


@dataclass(frozen=True, slots=True)
class Masks:
    """What of a round of N frames the model must not see."""

    value: Bool  # (N, C) this value is no measurement
    sensor: Bool  # (N, C) the sensor is faulty or suspect: nothing of it, for as long as this holds
    history: Bool  # (N, C) what came of the sensor before was none either, as was just found
    before: Bool  # (N, C) the value of the tick before was none, as was just found


@dataclass(frozen=True, slots=True)
class SensorChange:
    """A sensor was found faulty, or is good again."""

    stream: int
    sensor: int
    kind: Kind | None  # None = good again
    since: int  # the tick in which the fault began
    tick: int  # in which this was found
    summary: str


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows cut at a score row, copied out of the rings: B rows of T ticks, or of the last ones of them."""

    stream: Int32  # (B,)
    tick: Int64  # (B,) the last tick
    values: Float32  # (B, T or J, C), NaN = missing, or not to be seen by the model
    actual: Float32  # (B, C) reported or held at the last tick, also what `values` leaves out
    status: UInt8  # (B,) SCORED where the window is full, else why not; the values of those mean nothing
    count: Int32  # (B,) values reported in the ticks that the row covers
    ticks: Int32  # (B,) how many ticks the row covers
    regime: UInt8  # (B,) the number of the operating regime at the last tick
    rewritten: Bool  # (B,) what the row before had of the window is not what this row has of it


@dataclass(frozen=True, slots=True)
class Scores:
    """Score rows: one per stream and stride, scored or not."""

    stream: Int32  # (B,)
    tick: Int64  # (B,) the window's last tick
    status: UInt8  # (B,) a `Status`
    score: Float32  # (B,) dimensionless, >= 0, 1.0 = the 99.9 % quantile of normal; NaN = not scored
    threshold: Float32  # (B,) what the score was judged by; NaN = not judged
    contribution: Float32  # (B, C) every sensor's own score; their maximum is the score, or a part of it
    expected: Float32  # (B, C) the model's expectation at the last tick, in the sensors' units
    actual: Float32  # (B, C) the values at the last tick, also those that the model did not see
    regime: UInt8  # (B,) the number of the operating regime at the last tick


@dataclass(frozen=True, slots=True)
class Stretches:
    """N stretches of time in which one status held without a break. A later one with its start replaces it."""

    streams: list[str]  # (N,) stream keys
    start: Int64  # (N,) event time
    end: Int64  # (N,) event time, where the stretch has got to
    status: list[str]  # (N,) a `Status` by name, or that nothing came
    regime: list[str]  # (N,) the regime that was not scored, where that is the status


@dataclass(frozen=True, slots=True)
class SensorFinding:
    """What one sensor says of an incident."""

    sensor: str
    unit: str
    actual: float
    expected: float
    contribution: float


@dataclass(frozen=True, slots=True)
class AlertEvent:
    """One transition of an incident, told to the outside at least once; `event_id` is its idempotency key."""

    event_id: str
    incident_id: str
    stream: str  # the stream key site/area/asset
    kind: str  # a `Kind`
    sensor: str  # empty where the incident is of the whole asset
    transition: Transition
    severity: str  # "warning" or "critical"
    started: int  # event time at which the incident began
    time: int  # event time of this transition
    recorded: int  # arrival time of the record that brought it about
    score: float | None
    threshold: float | None
    summary: str
    top: tuple[SensorFinding, ...] = ()
    who: str = ""
    why: str = ""
    until: int | None = None


@dataclass(frozen=True, slots=True)
class StoredScores:
    """A batch of score rows, all by name: the pipeline makes it, the store keeps it, a sink sends it."""

    position: int  # of the outbox: ask for what comes after it; 0 before it is stored
    asset_class: str
    model: str  # the model's name, empty where there was none
    sensors: tuple[str, ...]  # C
    streams: list[str]  # (B,) stream keys
    time: Int64  # (B,) event time of the row: its last tick's start
    rows: Scores  # (B, …)
    regimes: tuple[str, ...] = ("all",)  # (R,) what the numbers in `rows.regime` mean

    def where(self, mask: Bool) -> StoredScores:
        """Some of the rows, by a mask (B,)."""
        rows = Scores(*(getattr(self.rows, f.name)[mask] for f in fields(Scores)))
        streams = [stream for stream, kept in zip(self.streams, mask.tolist(), strict=True) if kept]
        return replace(self, streams=streams, time=self.time[mask], rows=rows)


class Move(NamedTuple):
    """An asset of one class came to belong to another."""

    asset: str
    left: str  # the class that it was of
    taken: str  # the class that it is of; empty where none takes it any more
    both: bool = False  # it was heard in the other, and has not left the one
    kept: bool = False  # between a class and its overrides: windows, thresholds and incidents go on


class Drift(NamedTuple):
    """An asset has left what its model was trained on, or is back in it."""

    asset: str
    stale: bool
    why: tuple[str, ...]  # the worst first


@dataclass(frozen=True, slots=True)
class StepResult:
    """What one record brought about: all that leaves the core."""

    scores: list[StoredScores]
    events: list[AlertEvent]
    dead_letters: list[DeadLetter]
    done: bool = False  # of a command: it changed something, now or when it came before
    reply: str = ""  # to a command: what happened, in words
    stretches: list[Stretches] = field(default_factory=list)
    requests: list[tuple[str, bytes]] = field(default_factory=list)  # to publish, at best: topic and payload
    moves: list[Move] = field(default_factory=list)
    drifts: list[Drift] = field(default_factory=list)


class Model(Protocol):
    """What `score` asks of a model; `models.runtime` has the real one."""

    @property
    def window(self) -> int:
        """T, the ticks in a window."""

    @property
    def level_rows(self) -> int:
        """Rows of a new asset that say what its level is; 0 = assets are not compared with themselves."""

    @property
    def lasting(self) -> Lasting | None:
        """What is usual of deviations that last for minutes; None = windows are judged alone."""

    def score(
        self, values: Float32, level: tuple[Float32, Float32] | None = None
    ) -> tuple[Float32, Float32, Float32]:
        """Score B windows (B, T, C) in the sensors' units, NaN = missing; `level` is as of a `LevelModel`.

        Returns contribution (B, C), the calibrated score of every sensor, NaN where it is missing; expected
        (B, C), what the model expects of the last tick in the sensors' units; and score (B,), NaN where no sensor
        contributes.
        """

    @property
    def memory(self) -> int:
        """D, the numbers that a `CarryingModel` carries from tick to tick; 0 = it is none."""


class CarryingModel(Model, Protocol):
    """A model with `memory` above 0: what it has seen of a window it need not see again."""

    def predict(
        self,
        values: Float32,
        level: tuple[Float32, Float32] | None = None,
        memory: Float32 | None = None,
    ) -> tuple[Float32, Float32]:
        """What is predicted of n ticks (B, n, C), and the memory (B, D) they leave.

        `memory` (B, D) is what the ticks before have left; None = the window begins here.
        """

    def judge(
        self, values: Float32, predicted: Float32, level: tuple[Float32, Float32] | None = None
    ) -> tuple[Float32, Float32, Float32]:
        """As `score` does, by the judged ticks (B, J, C) and what was predicted of them."""


class LevelModel(Model, Protocol):
    """A model with `level_rows` above 0. A level is center and scale, of one asset (C,) or of each row (B, C)."""

    def level(self, asset: str) -> tuple[Float32, Float32] | None:
        """That of an asset of the training data; None = it is not one."""

    def level_from(self, mean: Float64, variance: Float64) -> tuple[Float32, Float32]:
        """By the mean and variance of its rows."""


class OutboxError(Exception):
    """The outbox cannot be written just now; trying again later is of use."""


class Outbox(Protocol):
    """How the sinks read the store: everything after a position of their own, at least once, in order."""

    def position(self, sink: str) -> int:
        """The last position this sink has delivered, 0 at first."""

    def advance(self, sink: str, position: int) -> None:
        """Remember that everything up to `position` was delivered. Raises OutboxError."""

    def scores_after(self, position: int, limit: int) -> list[StoredScores]:
        """Batches after `position`, oldest first, of about `limit` rows together (one batch at the least)."""

    def events_after(self, position: int, limit: int) -> list[tuple[int, AlertEvent]]:
        """Up to `limit` transitions after `position`, oldest first, each with its position."""

    def open_incidents(self, stream: str | None = None) -> list[AlertEvent]:
        """What is the latest of every incident, of the stream or of all, that is not over; the oldest first."""

    def add_dead_letters(self, letters: Sequence[DeadLetter]) -> None:
        """Keep what a sink could not deliver at all, with the reason."""
