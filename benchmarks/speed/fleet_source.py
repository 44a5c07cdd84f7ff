"""Batches of records from files, as a source of Spark's: what is left of the job where Kafka costs nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyspark.sql.datasource import DataSource, DataSourceStreamReader, InputPartition

from monitor.fleet.packed import ROWS, Packer
from monitor.fleet.place import Place

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pyspark.sql.streaming.datasource import ReadLimit

NAME = "enginewatch-files"
AT_ONCE = 10_000  # records, as the source for Kafka hands them on


class Part(InputPartition):  # type: ignore[misc]  # untyped where Spark is not installed
    """One file."""

    def __init__(self, file: str) -> None:
        self.file = file


class Reader(DataSourceStreamReader):  # type: ignore[misc]  # as above
    """A batch is all files BATCH.PART.arrow of one number."""

    def __init__(self, options: Mapping[str, str]) -> None:
        self._folder = options["folder"]
        self._batches = int(options["batches"])
        self._packing = json.loads(options["packing"])

    def initialOffset(self) -> dict[str, int]:  # noqa: N802 - Spark's name
        """The first batch."""
        return {"batch": 0}

    def latestOffset(self, start: dict[str, int], limit: ReadLimit) -> dict[str, int]:  # noqa: N802 - as above
        """The next batch."""
        del limit
        return {"batch": min(start["batch"] + 1, self._batches)}

    def partitions(self, start: dict[str, int], end: dict[str, int]) -> Sequence[InputPartition]:
        """A task a file."""
        numbers = range(start["batch"], end["batch"])
        return [Part(str(file)) for number in numbers for file in sorted(Path(self._folder).glob(f"{number}.*"))]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """The records of a file, packed."""
        mqtt_topic, control_topic, known, ids = self._packing
        with pa.memory_map(partition.file) as file:
            table = pa.ipc.open_file(file).read_all()
        packer = Packer(mqtt_topic, control_topic, [Place(*each) for each in known], ids)
        yield from packer(table.to_batches(max_chunksize=AT_ONCE))


class Source(DataSource):  # type: ignore[misc]  # as above
    """The source, as Spark finds it by its name."""

    @classmethod
    def name(cls) -> str:
        """What `format` is given."""
        return NAME

    def schema(self) -> str:
        """Rows of a shard each."""
        return ROWS

    def streamReader(self, schema: Any) -> Reader:  # noqa: N802 - Spark's name
        """The reader."""
        del schema
        return Reader(self.options)
