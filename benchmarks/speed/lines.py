"""A line that has run for long, with as many streams as are wanted, and what comes to it next.

The shipped class at the settings that ship. A few engines run until nothing of the line is new to them: their
windows are full, their thresholds and what lasts have been learned. Every further stream is one of them under
another name, because a state can be cut by stream.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from config.classes import resolve_classes
from config.load import load
from models.runtime import load_model
from monitor.assemble import line_spec
from monitor.decode import encode_telemetry
from monitor.pipeline import step
from monitor.records import Batch, Change, Message, Record
from monitor.state import STAGES, LineState, of_rows
from simulator.fleet import Fleet
from simulator.records import SENSORS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from config.load import Loaded
    from models.lasting import Lasting
    from models.runtime import RuntimeModel
    from monitor.records import Float32, Int64, Model

ENGINES = 10  # that run in truth
SETTLED = 1_300  # ticks: a threshold counts after 600, what lasts after 20 windows of 60
MESSAGES = 2_000  # in a record of the journal
START = 1_700_000_040_000
FOLDER = Path("models/pretrained/engine")
CLASS = '[[classes]]\nname = "engine"\nmodel = "pretrained:engine"\n'


class Free:
    """A model that costs nothing, in the place of one that carries something: the line's own cost is left."""

    level_rows = 0

    def __init__(self, real: RuntimeModel) -> None:
        self.window = real.window
        self.memory = real.memory
        self.lasting: Lasting | None = real.lasting

    def predict(
        self,
        values: Float32,
        level: tuple[Float32, Float32] | None = None,
        memory: Float32 | None = None,
    ) -> tuple[Float32, Float32]:
        """Nothing of what was seen."""
        del level
        return np.zeros_like(values), np.zeros(
            (len(values), self.memory), np.float32
        ) if memory is None else memory

    def judge(
        self, values: Float32, predicted: Float32, level: tuple[Float32, Float32] | None = None
    ) -> tuple[Float32, Float32, Float32]:
        """The same for every window, which is as expected."""
        del predicted, level
        last = values[:, -1]
        return np.full(last.shape, 0.1, np.float32), last.copy(), np.full(len(last), 0.3, np.float32)

    def score(
        self, values: Float32, level: tuple[Float32, Float32] | None = None
    ) -> tuple[Float32, Float32, Float32]:
        """The same."""
        return self.judge(values, values, level)


class BusyLine:
    """A line with its streams settled, and the records that come next."""

    def __init__(self, streams: int, *, ticks: int, free: bool = True) -> None:
        """`ticks` bounds what can come next; `free` puts a model that costs nothing in its place."""
        loaded = _settings()
        spec = replace(line_spec(loaded.settings, resolve_classes(loaded)), max_streams=max(streams, ENGINES))
        real = load_model(FOLDER)
        model: Model = Free(real) if free else real
        self.models = {spec.classes[0].model_hash: model}
        self._values = Fleet(ENGINES).block(SETTLED + ticks).values  # (T, ENGINES, C)
        self._period_ms = spec.classes[0].align.period_ms
        self._tick = self._position = 0
        self.state = LineState.empty(spec)
        self._listen()
        names = [f"engine-{number:05d}" for number in range(streams)]
        self._topics = _topics(names[:ENGINES])
        for record in self.records(SETTLED * len(self._topics)):
            self.take(record)
        self._repeat(names)
        self._topics = _topics(names)

    def take(self, record: Record) -> int:
        """Take one record through the line; how many of its rows were scored."""
        result = step(self.state, record, self.models)
        return sum(int(np.count_nonzero(~np.isnan(batch.rows.score))) for batch in result.scores)

    def records(self, readings: int) -> Iterator[Record]:
        """The next so many readings, one a message, in records of MESSAGES."""
        pending: list[Message] = []
        for _ in range(readings // len(self._topics)):
            pending += self._round()
            while len(pending) >= MESSAGES:
                yield self._record(pending[:MESSAGES])
                pending = pending[MESSAGES:]
        if pending:
            yield self._record(pending)

    def bytes_a_stream(self) -> tuple[float, float]:
        """What the state of one stream takes beyond its raw window, and what that takes, in bytes."""
        (each,) = self.state.classes
        stages = [getattr(each, stage) for stage in STAGES]
        arrays = [getattr(stage, name) for stage in stages for name in stage.__slots__]
        total, raw = sum(cast("Int64", array).nbytes for array in arrays), each.window.ring.nbytes
        streams = len(each.align.next_tick)
        return (total - raw) / streams, raw / streams

    def _round(self) -> list[Message]:
        """One reading of every stream."""
        time = START + self._tick * self._period_ms
        row = np.round(self._values[self._tick].astype(np.float64), 3).tolist()
        sent = [
            encode_telemetry(time=time, boot="b", seq=self._tick, values=dict(zip(SENSORS, values, strict=True)))
            for values in row
        ]
        self._tick += 1
        payloads = (sent[number % ENGINES] for number in range(len(self._topics)))
        return [
            Message(topic, payload, time, len(payload))
            for topic, payload in zip(self._topics, payloads, strict=True)
        ]

    def _record(self, messages: list[Message]) -> Record:
        self._position += 1
        return Record(self._position, messages[-1].arrival, Batch(messages))

    def _listen(self) -> None:
        self._position += 1
        step(self.state, Record(self._position, START, Change(listening=True)), self.models)

    def _repeat(self, names: list[str]) -> None:
        """Make every name a stream of its own, settled as one of the engines is."""
        (each,) = self.state.classes
        rows = np.arange(len(names)) % len(each.keys)
        for stage in STAGES:
            setattr(each, stage, of_rows(getattr(each, stage), cast("slice", rows)))
        each.keys = [f"plant//{name}" for name in names]
        each.number = {key: number for number, key in enumerate(each.keys)}


def _topics(names: list[str]) -> list[bytes]:
    return [f"enginewatch/v1/plant/{name}/telemetry".encode() for name in names]


def _settings() -> Loaded:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "enginewatch.toml"
        path.write_text(CLASS)
        return load(path, environment={})
