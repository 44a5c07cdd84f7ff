"""Records on their way to a shard: many in one row, because Spark hands rows to Python one by one.

Each task that has read records sorts them by shard, and makes one row of what it has for each. Row by row, moving
them cost several times what the line does with them (docs/scale.md).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from monitor.fleet.place import place_of, topic_of
from monitor.fleet.shard import Arrived

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from monitor.fleet.place import Place
    from monitor.records import Int32

# The rows that come out: records of one shard, as a stream of Arrow.
ROWS = "shard int, packed binary"
REMEMBERED = 100_000  # shards of topics
_FAST = pa.ipc.IpcWriteOptions(compression="lz4")


def shard_of(place: str, ids: Sequence[int]) -> int:
    """The shard of a place: the same wherever it is asked, and whenever."""
    return ids[int.from_bytes(hashlib.blake2b(place.encode(errors="replace"), digest_size=8).digest()) % len(ids)]


class Packer:
    """Records of Kafka to rows; goes to the executors as it is made."""

    def __init__(self, mqtt_topic: str, control_topic: str, known: Sequence[Place], ids: Sequence[int]) -> None:
        """`mqtt_topic` is the setting; `known` and `ids`: how topics name assets, and the shards there are."""
        self._parts = topic_of(mqtt_topic)
        self._control = control_topic
        self._known = list(known)
        self._ids = list(ids)
        self._shards: dict[bytes, int] = {}

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Batches with the columns of Spark's source for Kafka to batches of `ROWS`."""
        for batch in batches:
            if batch.num_rows:
                yield self._pack(batch)

    def _pack(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        mqtt = self._mqtt(batch)
        told = pc.equal(batch["topic"], self._control).to_numpy(zero_copy_only=False)
        shard = np.where(told, -1, self._shard(mqtt, batch["offset"].to_numpy()))
        source = pc.binary_join_element_wise(batch["topic"], pc.cast(batch["partition"], pa.string()), "/")
        source = source.dictionary_encode()
        records = pa.RecordBatch.from_pydict(
            {
                "control": pa.array(told),
                "mqtt": mqtt,
                "value": batch["value"],
                "source": pa.array(self._sources(source.dictionary.to_pylist())).take(source.indices),
                "offset": batch["offset"],
                "time": pc.fill_null(_milliseconds(batch["timestamp"]), 0),
            }
        )
        order = np.argsort(shard, kind="stable")
        begins = np.flatnonzero(np.diff(shard[order], prepend=-2)).tolist()
        rows: list[tuple[int, bytes]] = []
        sorted_ = records.take(pa.array(order))
        for begin, end in zip(begins, [*begins[1:], len(order)], strict=True):
            number, packed = int(shard[order[begin]]), _packed(sorted_.slice(begin, end - begin))
            rows += [(each, packed) for each in (self._ids if number < 0 else [number])]
        ids, packs = zip(*rows, strict=True)
        columns = [pa.array(ids, pa.int32()), pa.array(packs, pa.binary())]
        return pa.RecordBatch.from_arrays(columns, names=["shard", "packed"])

    def _mqtt(self, batch: pa.RecordBatch) -> Any:
        """The MQTT topics; null where a record has not what they are made of."""
        parts: list[Any] = []
        for kind, name in self._parts:
            if kind == "text":
                parts.append(pa.scalar(name.encode(), pa.binary()))
            elif kind == "header":
                headers = batch["headers"].to_pylist()
                found = [{pair["key"]: pair["value"] for pair in each or ()}.get(name) for each in headers]
                parts.append(pa.array(found, pa.binary()))
            else:
                parts.append(pc.cast(batch[kind], pa.binary()))
        return pc.binary_join_element_wise(*parts, b"") if len(parts) > 1 else parts[0]

    def _shard(self, mqtt: Any, offset: Any) -> Int32:
        """The shard of each record; those without a topic are spread."""
        topics = mqtt.dictionary_encode()
        of_topics = np.array([self._of(topic) for topic in topics.dictionary.to_pylist()] or [0], np.int32)
        none = topics.is_null().to_numpy(zero_copy_only=False)
        index = pc.fill_null(topics.indices, 0).to_numpy(zero_copy_only=False)
        spread = np.array(self._ids, np.int32)[offset % len(self._ids)]
        shard: Int32 = np.where(none, spread, of_topics[index])
        return shard

    def _of(self, topic: bytes) -> int:
        shard = self._shards.get(topic)
        if shard is None:
            if len(self._shards) >= REMEMBERED:
                self._shards.clear()
            place = place_of(topic.decode(errors="replace"), self._known)
            shard = self._shards[topic] = shard_of(place, self._ids)
        return shard

    @staticmethod
    def _sources(names: Sequence[str]) -> Any:
        """Numbers of partitions, the same for each that packs."""
        digests = [hashlib.blake2b(name.encode(), digest_size=8).digest() for name in names]
        return np.frombuffer(b"".join(digests), "<i8")


def _milliseconds(stamps: Any) -> Any:
    return pc.cast(pc.cast(stamps, pa.timestamp("ms", tz="UTC"), safe=False), pa.int64())


def _packed(records: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, records.schema, options=_FAST) as stream:
        stream.write_batch(records)
    return bytes(sink.getvalue())


def unpack(rows: Iterable[bytes]) -> tuple[list[bytes], Arrived | None]:
    """The control messages, in their order, and all other records of some rows; None where there are none."""
    table = pa.concat_tables(pa.ipc.open_stream(row).read_all() for row in rows)
    told = table["control"].to_numpy()
    orders: list[bytes] = []
    if told.any():
        orders = [value or b"" for value in table.filter(table["control"]).sort_by("offset")["value"].to_pylist()]
        table = table.filter(pa.array(~told))
    if not table.num_rows:
        return orders, None
    topics, values = table["mqtt"].to_pylist(), table["value"].to_pylist()
    columns = (table[name].to_numpy() for name in ("source", "offset", "time"))
    return orders, Arrived([each or b"" for each in topics], [each or b"" for each in values], *columns)
