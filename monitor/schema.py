"""The tables of the store, and opening its file."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from monitor.records import OutboxError

if TYPE_CHECKING:
    from pathlib import Path

FORMAT = 1
WAL_BYTES = 16 << 20  # of the write-ahead log that stay for the next transactions; a large one gives its room back

# A score batch holds the rows of one record and class as packed arrays; `line` says what they are rows of.
TABLES = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS outbox (sink TEXT PRIMARY KEY, position INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS line (
    id INTEGER PRIMARY KEY, asset_class TEXT NOT NULL, model TEXT NOT NULL, sensors TEXT NOT NULL,
    UNIQUE (asset_class, model, sensors));
CREATE TABLE IF NOT EXISTS score_batch (
    id INTEGER PRIMARY KEY AUTOINCREMENT, line INTEGER NOT NULL, rows INTEGER NOT NULL,
    first_time INTEGER NOT NULL, last_time INTEGER NOT NULL, streams BLOB NOT NULL, columns BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS event (
    id INTEGER PRIMARY KEY AUTOINCREMENT, event_id TEXT NOT NULL UNIQUE, incident_id TEXT NOT NULL,
    stream TEXT NOT NULL, transition TEXT NOT NULL, recorded INTEGER NOT NULL, body BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS event_incident ON event (incident_id, id);
CREATE TABLE IF NOT EXISTS incident (
    incident_id TEXT PRIMARY KEY, stream TEXT NOT NULL, kind TEXT NOT NULL, sensor TEXT NOT NULL,
    started INTEGER NOT NULL, state TEXT NOT NULL, open INTEGER NOT NULL, verdict TEXT NOT NULL DEFAULT '',
    fired BLOB NOT NULL, latest BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS incident_open ON incident (stream) WHERE open = 1;
CREATE TABLE IF NOT EXISTS dead_letter (
    id INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL, topic TEXT NOT NULL, payload BLOB NOT NULL,
    reason TEXT NOT NULL, held INTEGER NOT NULL);
"""

# What stores that were begun earlier have not: it is added when they are opened.
LATER_TABLES = """
CREATE TABLE IF NOT EXISTS stretch (
    stream TEXT NOT NULL, start INTEGER NOT NULL, "end" INTEGER NOT NULL, status TEXT NOT NULL,
    regime TEXT NOT NULL, PRIMARY KEY (stream, start)) WITHOUT ROWID;
"""


# What was not brought to the disk once may pass for brought there at the next try.
UNSYNCED = {sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC}


class StoreError(OutboxError):
    """The store cannot go on. `unsynced` says that the disk failed to keep something: no use in trying again."""

    def __init__(self, sentence: str, cause: Exception | None = None) -> None:
        super().__init__(sentence)
        self.unsynced = getattr(cause, "sqlite_errorcode", None) in UNSYNCED


def connect(path: Path) -> sqlite3.Connection:
    """Open the store's file, or begin one. Raises StoreError where it is not a store of this format."""
    try:
        connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=30)
    except sqlite3.Error as error:
        raise StoreError(f"{path} cannot be opened: {error}") from error
    try:
        _prepare(connection, path)
    except sqlite3.Error as error:
        connection.close()
        raise StoreError(f"{path} cannot be opened: {error}") from error
    except StoreError:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    found = connection.execute("PRAGMA user_version").fetchone()[0]
    if found not in {0, FORMAT}:
        raise StoreError(f"{path} has format {found}, this release reads {FORMAT}: use the release that made it")
    connection.executescript(
        f"PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA journal_size_limit={WAL_BYTES};"
    )
    if found == 0:
        connection.executescript(f"BEGIN IMMEDIATE; {TABLES} PRAGMA user_version={FORMAT}; COMMIT;")
    connection.executescript(LATER_TABLES)
