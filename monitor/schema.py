"""The tables of the store, and opening its file."""

from __future__ import annotations

import sqlite3
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

from monitor import damage
from monitor.records import OutboxError

if TYPE_CHECKING:
    from pathlib import Path

FORMAT = 3
WAL_BYTES = 16 << 20  # of the write-ahead log that stay for the next transactions; a large one gives its room back

# What the checksum of each table's rows is of, all but numbers that are given out.
COLUMNS = {
    "meta": ("name", "value"),
    "outbox": ("sink", "position"),
    "line": ("asset_class", "model", "sensors"),
    "score_batch": ("line", "rows", "first_time", "last_time", "streams", "columns"),
    "event": ("event_id", "incident_id", "stream", "transition", "recorded", "body"),
    "incident": (
        "incident_id", "stream", "kind", "sensor", "started", "state", "open", "verdict", "fired", "latest",
    ),
    "dead_letter": ("time", "topic", "payload", "reason", "held"),
    "stretch": ("stream", "start", '"end"', "status", "regime"),
    "series": ("id", "stream", "line"),
    "piece": ("series", "span", "data"),
    "history": ("part", "series", "start", "data"),
}  # fmt: skip

# From format 2 to 3: the history of assets (`monitor.history_store`).
HISTORY = """
CREATE TABLE IF NOT EXISTS series (
    id INTEGER PRIMARY KEY, stream TEXT NOT NULL, line INTEGER NOT NULL, checksum INTEGER, UNIQUE (stream, line));
CREATE TABLE IF NOT EXISTS piece (
    id INTEGER PRIMARY KEY, series INTEGER NOT NULL, span INTEGER NOT NULL, data BLOB NOT NULL, checksum INTEGER);
CREATE INDEX IF NOT EXISTS piece_series ON piece (series, span);
CREATE TABLE IF NOT EXISTS history (
    id INTEGER PRIMARY KEY, part INTEGER NOT NULL, series INTEGER NOT NULL, start INTEGER NOT NULL,
    data BLOB NOT NULL, checksum INTEGER, UNIQUE (part, series, start));
CREATE INDEX IF NOT EXISTS history_start ON history (part, start);
"""

# A score batch holds the rows of one record and class as packed arrays; `line` says what they are rows of,
# `position` what record (NULL: of a release that did not note it).
TABLES = (
    """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL, checksum INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS outbox (
    sink TEXT PRIMARY KEY, position INTEGER NOT NULL, checksum INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS line (
    id INTEGER PRIMARY KEY, asset_class TEXT NOT NULL, model TEXT NOT NULL, sensors TEXT NOT NULL,
    checksum INTEGER, UNIQUE (asset_class, model, sensors));
CREATE TABLE IF NOT EXISTS score_batch (
    id INTEGER PRIMARY KEY AUTOINCREMENT, line INTEGER NOT NULL, rows INTEGER NOT NULL,
    first_time INTEGER NOT NULL, last_time INTEGER NOT NULL, streams BLOB NOT NULL, columns BLOB NOT NULL,
    position INTEGER, checksum INTEGER);
CREATE TABLE IF NOT EXISTS event (
    id INTEGER PRIMARY KEY AUTOINCREMENT, event_id TEXT NOT NULL UNIQUE, incident_id TEXT NOT NULL,
    stream TEXT NOT NULL, transition TEXT NOT NULL, recorded INTEGER NOT NULL, body BLOB NOT NULL,
    checksum INTEGER);
CREATE INDEX IF NOT EXISTS event_incident ON event (incident_id, id);
CREATE TABLE IF NOT EXISTS incident (
    incident_id TEXT PRIMARY KEY, stream TEXT NOT NULL, kind TEXT NOT NULL, sensor TEXT NOT NULL,
    started INTEGER NOT NULL, state TEXT NOT NULL, open INTEGER NOT NULL, verdict TEXT NOT NULL DEFAULT '',
    fired BLOB NOT NULL, latest BLOB NOT NULL, checksum INTEGER) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS incident_open ON incident (stream) WHERE open = 1;
CREATE TABLE IF NOT EXISTS dead_letter (
    id INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL, topic TEXT NOT NULL, payload BLOB NOT NULL,
    reason TEXT NOT NULL, held INTEGER NOT NULL, checksum INTEGER);
CREATE TABLE IF NOT EXISTS stretch (
    stream TEXT NOT NULL, start INTEGER NOT NULL, "end" INTEGER NOT NULL, status TEXT NOT NULL,
    regime TEXT NOT NULL, checksum INTEGER, PRIMARY KEY (stream, start)) WITHOUT ROWID;
"""
    + HISTORY
)

# What stores of format 1 that were begun early have not.
EARLY = """
CREATE TABLE IF NOT EXISTS stretch (
    stream TEXT NOT NULL, start INTEGER NOT NULL, "end" INTEGER NOT NULL, status TEXT NOT NULL,
    regime TEXT NOT NULL, PRIMARY KEY (stream, start)) WITHOUT ROWID;
"""

# From format 1 to 2.
CHECKSUMS = EARLY + "".join(
    f"ALTER TABLE {table} ADD COLUMN {column} INTEGER;"
    for table, column in [
        *((table, "checksum") for table in COLUMNS if table not in {"series", "piece", "history"}),
        ("score_batch", "position"),
    ]
)
# What a store of each format lacks; of 0, which is a new one, everything.
LACKING = {0: TABLES, 1: CHECKSUMS + HISTORY, 2: HISTORY}


class StoreError(OutboxError):
    """The store cannot go on. `lasting`: trying again is of no use, its file is damaged or the disk fails."""

    def __init__(self, sentence: str, *, lasting: bool = False) -> None:
        super().__init__(sentence)
        self.lasting = lasting


def connect(path: Path) -> sqlite3.Connection:
    """Open the store's file, or begin one.

    Raises StoreError where it is not a store of this format, DamageError and sqlite3.Error.
    """
    with ExitStack() as opened:
        connection = opened.enter_context(
            closing(sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=30))
        )
        damage.teach(connection)
        _prepare(connection, path)
        opened.pop_all()
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    found = connection.execute("PRAGMA user_version").fetchone()[0]
    if not 0 <= found < damage.FORMATS:
        raise damage.DamageError(f"its format is {found}")
    if found > FORMAT:
        remedy = "use the release that made it; where none did, its header is damaged: move it aside"
        raise StoreError(f"{path} has format {found}, this release reads {FORMAT}: {remedy}")
    connection.executescript(
        f"PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA journal_size_limit={WAL_BYTES};"
        "PRAGMA secure_delete=OFF;"  # some are built to overwrite what is deleted
    )
    if found < FORMAT:
        connection.executescript(f"BEGIN IMMEDIATE; {LACKING[found]} PRAGMA user_version={FORMAT}; COMMIT;")
