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

BATCHES = (
    "SELECT b.id, l.asset_class, l.model, l.sensors, b.streams, b.columns,"  # noqa: S608 - our own words
    f" {holds(COLUMNS['score_batch'], 'b')} AND {holds(COLUMNS['line'], 'l')}"
    " FROM score_batch b JOIN line l ON l.id = b.line"
)


def write(connection: sqlite3.Connection, scores: StoredScores, position: int) -> None:
    """Write the rows that the record at a position brought about."""
    columns = {f.name: getattr(scores.rows, f.name) for f in fields(Scores)} | {"time": scores.time}
    columns["regimes"] = texts(scores.regimes)
    row = (
        _line(connection, scores),
        len(scores.streams),
        int(scores.time.min()),
        int(scores.time.max()),
        msgspec.msgpack.encode(scores.streams),
        pack(columns),
    )
    connection.execute(
        "INSERT INTO score_batch (line, rows, first_time, last_time, streams, columns, position, checksum)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (*row, position, checksum(*row)),
    )


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


def _line(connection: sqlite3.Connection, scores: StoredScores) -> int:
    """The id of what these are rows of: class, model and sensors."""
    key = (scores.asset_class, scores.model, msgspec.json.encode(scores.sensors).decode())
    find = "SELECT id FROM line WHERE asset_class = ? AND model = ? AND sensors = ?"
    row = connection.execute(find, key).fetchone()
    if row is None:
        add = "INSERT INTO line (asset_class, model, sensors, checksum) VALUES (?, ?, ?, ?) RETURNING id"
        row = connection.execute(add, (*key, checksum(*key))).fetchone()
    return int(row[0])
