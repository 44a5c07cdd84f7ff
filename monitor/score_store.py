"""Score rows in the store: packed batches, the table `score_batch`. `monitor.store` gives the connection."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from monitor.columns import as_texts, pack, texts, unpack
from monitor.damage import DamageError, checksum, holds
from monitor.records import Scores, StoredScores
from monitor.schema import COLUMNS

if TYPE_CHECKING:
    import sqlite3

Line = tuple[str, str, tuple[str, ...]]  # what rows are of: class, model and sensors
COLUMNS_OF_ROWS = tuple(each.name for each in fields(Scores))
ADD = (
    "INSERT INTO score_batch (line, rows, first_time, last_time, streams, columns, position, checksum)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
BATCHES = (
    "SELECT b.id, l.asset_class, l.model, l.sensors, b.streams, b.columns,"  # noqa: S608 - our own words
    f" {holds(COLUMNS['score_batch'], 'b')} AND {holds(COLUMNS['line'], 'l')}"
    " FROM score_batch b JOIN line l ON l.id = b.line"
)


def write(connection: sqlite3.Connection, scores: StoredScores, position: int, lines: dict[Line, int]) -> None:
    """Write the rows that the record at a position brought about.

    `lines` are numbers of lines that are known already; those that are found are added.
    """
    rows, key = scores.rows, (scores.asset_class, scores.model, scores.sensors)
    columns = {name: getattr(rows, name) for name in COLUMNS_OF_ROWS}
    columns["time"], columns["regimes"] = scores.time, texts(scores.regimes)
    if key not in lines:
        lines[key] = line(connection, key)
    times = scores.time.tolist()
    row = (
        lines[key],
        len(scores.streams),
        min(times),
        max(times),
        msgspec.msgpack.encode(scores.streams),
        pack(columns),
    )
    connection.execute(ADD, (*row, position, checksum(*row)))


def read(row: tuple[int, str, str, str, bytes, bytes, int]) -> StoredScores:
    """A score batch as the query `BATCHES` gives it. Raises DamageError where it is not what was written."""
    number, asset_class, model, sensors, streams, packed, whole = row
    if not whole:
        raise DamageError(f"score batch {number} is not what was written")
    columns = unpack(packed)
    time = columns.pop("time")
    regimes = as_texts(columns.pop("regimes")) if "regimes" in columns else ("all",)
    columns.setdefault("regime", np.zeros(len(time), np.uint8))  # before there were regimes
    named = tuple(msgspec.json.decode(sensors))
    return StoredScores(
        number, asset_class, model, named, msgspec.msgpack.decode(streams), time, Scores(**columns), regimes
    )


def line(connection: sqlite3.Connection, of: Line) -> int:
    """The number of what rows are of."""
    asset_class, model, sensors = of
    key = asset_class, model, msgspec.json.encode(sensors).decode()
    find = "SELECT id FROM line WHERE asset_class = ? AND model = ? AND sensors = ?"
    row = connection.execute(find, key).fetchone()
    if row is None:
        add = "INSERT INTO line (asset_class, model, sensors, checksum) VALUES (?, ?, ?, ?) RETURNING id"
        row = connection.execute(add, (*key, checksum(*key))).fetchone()
    return int(row[0])
