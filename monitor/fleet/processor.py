"""What Spark calls for each shard: it brings the state, the shard works, the state goes back.

The state of a shard is one value, in the form of the daemon's checkpoint, and beside it the models that it needs.
A process loads a model once. Where silence has lasted, a timer brings the time that has passed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pandas as pd
import pyarrow as pa
from pyspark.sql.streaming import StatefulProcessor

from monitor import checkpoint
from monitor.allocator import keep_memory
from monitor.fleet.control import Shelf
from monitor.fleet.packed import unpack
from monitor.fleet.shard import LINES, Row, Shard, rows
from monitor.spec import LineSpec
from monitor.state import LineState

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pyspark.sql.streaming.stateful_processor import StatefulProcessorHandle, TimerValues

    from monitor.records import StepResult

# The columns that leave; `packed.ROWS` are those that come.
OUTPUT = "shard int, kind string, about string, body binary, count long, size long"
COLUMNS = [each.split()[0] for each in OUTPUT.split(", ")]
# What is kept of a shard: its state; the models that it needs, by hash; and the time of the batch in which
# something came last, when the shard is looked at without that, and how many shards there were when it began.
STATE, STATE_COLUMNS = "line", "blob binary"
MODELS, MODELS_COLUMNS = "models", "packed binary"
CODEC = "lz4_raw"
TIMES, TIMES_COLUMNS = "times", "heard long, timer long, shards int"

_shelf = Shelf()
keep_memory()


class ShardProcessor(StatefulProcessor):  # type: ignore[misc]  # untyped where Spark is not installed
    """The line of one shard after the other. What it holds itself goes to the executors as it is made."""

    def __init__(self, *, shards: int, clock_ms: int, readings: bool, batch_size: int) -> None:
        """`clock_ms`: how long nothing may come before the time is looked at. `readings`: send values too."""
        self._shards = shards
        self._clock_ms = clock_ms
        self._readings = readings
        self._batch_size = batch_size

    def init(self, handle: StatefulProcessorHandle) -> None:
        """Name what is kept."""
        self._handle = handle
        self._state = handle.getValueState(STATE, STATE_COLUMNS)
        self._models = handle.getValueState(MODELS, MODELS_COLUMNS)
        self._times = handle.getValueState(TIMES, TIMES_COLUMNS)

    def handleInitialState(self, key: Any, initialState: pd.DataFrame, timerValues: TimerValues) -> None:
        """Begin with what was imported."""
        del key
        self._check(int(initialState["shards"].iloc[0]))
        now = timerValues.getCurrentProcessingTimeInMs()
        self._models.update((bytes(initialState["models"].iloc[0]),))
        self._state.update((shrunk(bytes(initialState["blob"].iloc[0])),))
        self._times.update((now, self._timer(0, now), self._shards))

    def handleInputRows(
        self,
        key: Any,
        rows: Iterator[pd.DataFrame],
        timerValues: TimerValues,
    ) -> Iterator[pd.DataFrame]:
        """Take what came for a shard."""
        now = timerValues.getCurrentProcessingTimeInMs()
        timer = self._known_times()[1]
        shard = self._load()
        orders, arrived = unpack(packed for table in rows for packed in table["packed"])
        found = [*shard.control(orders, now, _shelf)]
        if arrived is not None:
            found += shard.take(arrived, now, _shelf)
        self._save(shard)
        self._times.update((now, self._timer(timer, now), self._shards))
        yield self._told(key, shard, found)

    def handleExpiredTimer(
        self, key: Any, timerValues: TimerValues, expiredTimerInfo: Any
    ) -> Iterator[pd.DataFrame]:
        """Tell a shard of which nothing came how late it is."""
        del expiredTimerInfo
        now = timerValues.getCurrentProcessingTimeInMs()
        heard = self._known_times()[0]
        self._times.update((heard, self._timer(0, now), self._shards))
        if now - heard < self._clock_ms:
            return
        shard = self._load()
        if shard.position:
            # On from the latest record each time, so that the clock of Kafka's records is the only one.
            found = [shard.clock(shard.now + self._clock_ms, _shelf)]
            self._save(shard)
            yield self._told(key, shard, found)

    def _timer(self, timer: int, now: int) -> int:
        """When the shard is looked at next; a timer that stands stays."""
        if timer > now:
            return timer
        self._handle.registerTimer(now + self._clock_ms)
        return now + self._clock_ms

    def _known_times(self) -> tuple[int, int]:
        """When something came last, and when the timer is due. Raises ValueError for a state of other shards."""
        heard, timer, shards = self._times.get() or (0, 0, self._shards)
        self._check(shards)
        return heard, timer

    def _check(self, shards: int) -> None:
        if shards != self._shards:
            sentence = f"the checkpoint was begun with fleet.shards = {shards}, and now they are {self._shards}"
            raise ValueError(f"{sentence}: set it back, or export the state and import it into a new checkpoint")

    def _load(self) -> Shard:
        kept = self._state.get()
        if kept is None:
            return Shard(LineState.empty(LineSpec("", 1, ())))
        known = checkpoint.decode(grown(kept[0]))
        shard = Shard(known.state, known.position, known.state.swept_at)
        wanted = {each.model_hash for each in shard.line.spec.classes if each.model_hash}
        packed = None if all(map(_shelf.has, wanted)) else self._models.get()
        if packed is not None:
            for model_hash, files in unpack_models(packed[0]).items():
                _shelf.put(model_hash, files, batch_size=self._batch_size)
        return shard

    def _save(self, shard: Shard) -> None:
        if shard.artifacts:
            wanted = {each.model_hash for each in shard.line.spec.classes}
            kept = {name: files for name, files in shard.artifacts.items() if name in wanted}
            self._models.update((pack_models(kept),))
        self._state.update((shrunk(checkpoint.encode(shard.position, shard.line)),))

    def _told(self, key: Any, shard: Shard, found: Iterable[StepResult]) -> pd.DataFrame:
        made = [row for result in found for row in rows(result, readings=self._readings)]
        table = [
            (key[0], row.kind, row.about, _compressed(row), row.count, len(row.body))
            for row in [*made, shard.books()]
        ]
        return pd.DataFrame(table, columns=COLUMNS)


def shrunk(blob: bytes) -> bytes:
    """A state as it is kept: half as long, because what moves and keeps it costs more than that."""
    return len(blob).to_bytes(8) + bytes(pa.compress(blob, codec="zstd", asbytes=True))


def grown(kept: bytes) -> bytes:
    """The state again."""
    return bytes(pa.decompress(kept[8:], int.from_bytes(kept[:8]), "zstd", asbytes=True))


def pack_models(models: dict[str, dict[str, bytes]]) -> bytes:
    """Models as a shard keeps them."""
    return msgspec.msgpack.encode(models)


def unpack_models(packed: bytes) -> dict[str, dict[str, bytes]]:
    """The models again."""
    return msgspec.msgpack.decode(packed, type=dict[str, dict[str, bytes]])


def _compressed(row: Row) -> bytes:
    """Lines are most of what leaves, and alike; `size` of a row is how long they are."""
    return bytes(pa.compress(row.body, codec=CODEC, asbytes=True)) if row.kind == LINES else row.body


def lines_of(body: bytes, size: int) -> list[str]:
    """The lines of a row."""
    return bytes(pa.decompress(body, size, CODEC, asbytes=True)).decode().split("\n")
