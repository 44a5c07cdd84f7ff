"""Score rows in the store: packed batches, the table `score_batch`. `monitor.store` gives the connection."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from monitor.columns import as_texts, pack, texts, unpack
from monitor.records import Scores, StoredScores

if TYPE_CHECKING:
    import sqlite3

BATCHES = (
    "SELECT b.id, l.asset_class, l.model, l.sensors, b.streams, b.columns"
    " FROM score_batch b JOIN line l ON l.id = b.line"
)


def write(connection: sqlite3.Connection, scores: StoredScores) -> None:
    """Write the rows of one record."""
    columns = {f.name: getattr(scores.rows, f.name) for f in fields(Scores)} | {"time": scores.time}
    columns["regimes"] = texts(scores.regimes)
    connection.execute(
        "INSERT INTO score_batch (line, rows, first_time, last_time, streams, columns) VALUES (?, ?, ?, ?, ?, ?)",
        (
            _line(connection, scores),
            len(scores.streams),
            int(scores.time.min()),
            int(scores.time.max()),
            msgspec.msgpack.encode(scores.streams),
            pack(columns),
        ),
    )


def read(row: tuple[int, str, str, str, bytes, bytes]) -> StoredScores:
    """A score batch as the query `BATCHES` gives it."""
    number, asset_class, model, sensors, streams, packed = row
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
        add = "INSERT INTO line (asset_class, model, sensors) VALUES (?, ?, ?) RETURNING id"
        row = connection.execute(add, key).fetchone()
    return int(row[0])
