"""Records on their way to a shard: many in one row, because Spark hands rows to Python one by one.

A row has the records that a task has read for a shard, as a stream of Arrow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from monitor.fleet.shard import Arrived

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# Of the records that are packed, and of the rows that come of it.
INPUT = "shard int, control boolean, mqtt binary, value binary, source long, offset long, time long"
ROWS = "shard int, packed binary"


def pack(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Records, columns as `INPUT`, to rows of one shard each."""
    for batch in batches:
        shard = batch["shard"].to_numpy()
        order = np.argsort(shard, kind="stable")
        records = batch.select(range(1, batch.num_columns)).take(pa.array(order))
        begins = np.flatnonzero(np.diff(shard[order], prepend=-1))
        ends = [*begins[1:].tolist(), len(order)]
        packed = [
            _packed(records.slice(begin, end - begin)) for begin, end in zip(begins.tolist(), ends, strict=True)
        ]
        ids = pa.array(shard[order][begins], pa.int32())
        yield pa.RecordBatch.from_arrays([ids, pa.array(packed, pa.binary())], names=["shard", "packed"])


def _packed(records: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, records.schema) as stream:
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
