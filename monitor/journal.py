"""The durable log that the acknowledgement depends on: messages, clock, commands and changes in one order.

An SQLite database (WAL, synchronous=FULL): a record is on the disk when `append` returns, and only then may its
messages be acknowledged. The core reads its input from here, so that it can be replayed.
"""

from __future__ import annotations

import sqlite3
import threading
from typing import TYPE_CHECKING

import msgspec

from monitor.records import Batch, Change, Clock, Command, Message, Record

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from monitor.records import Payload

FORMAT = 1
KINDS: tuple[type[Payload], ...] = (Batch, Clock, Command, Change)  # stored as their index
FORGOTTEN_AT_ONCE = 64  # records deleted with an append: more than are added, and never a long pause

_MESSAGES = msgspec.msgpack.Decoder(list[tuple[bytes, bytes, int, int]])


class JournalError(Exception):
    """The journal cannot go on. `full` says that the disk is full: it can once there is room."""

    def __init__(self, sentence: str, *, full: bool = False) -> None:
        super().__init__(sentence)
        self.full = full


class Journal:
    """The log in one file. `append` may be called from any thread; reading has a connection of its own."""

    def __init__(self, path: Path) -> None:
        """Open the journal, or begin one. Raises JournalError where the file is not a journal of this format."""
        self._lock = threading.Lock()
        self._path = path
        self._forgettable = 0
        try:
            self._writer = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=30)
            self._writer.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;")
            found = self._writer.execute("PRAGMA user_version").fetchone()[0]
            if found not in {0, FORMAT}:
                raise JournalError(
                    f"{path} has format {found}, this release reads {FORMAT}: use the release that made it"
                )
            self._writer.executescript(
                "CREATE TABLE IF NOT EXISTS record (position INTEGER PRIMARY KEY AUTOINCREMENT,"
                " kind INTEGER NOT NULL, time INTEGER NOT NULL, body BLOB NOT NULL);"
                f" PRAGMA user_version={FORMAT};"
            )
            self._reader = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=30)
        except sqlite3.Error as error:
            raise JournalError(f"{path} cannot be opened: {error}") from error

    def append(self, payloads: Sequence[Payload], time: int) -> int:
        """Write records in their order with one sync of the disk; returns the last position.

        Raises JournalError; nothing was written then, and nothing may be acknowledged.
        """
        rows = [(KINDS.index(type(payload)), time, _encode(payload)) for payload in payloads]
        with self._lock:
            try:
                self._writer.execute("BEGIN IMMEDIATE")
                for row in rows:
                    last = self._writer.execute(
                        "INSERT INTO record (kind, time, body) VALUES (?, ?, ?)", row
                    ).lastrowid
                self._writer.execute(
                    "DELETE FROM record WHERE position <= ? AND position < (SELECT min(position) FROM record) + ?",
                    (self._forgettable, FORGOTTEN_AT_ONCE),
                )
                self._writer.execute("COMMIT")
            except sqlite3.Error as error:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                full = error.sqlite_errorcode == sqlite3.SQLITE_FULL
                raise JournalError(f"the journal {self._path} cannot be written: {error}", full=full) from error
        return int(last or 0)

    def read(self, after: int, limit: int) -> list[Record]:
        """Up to `limit` records after a position, in their order."""
        rows = self._reader.execute(
            "SELECT position, time, kind, body FROM record WHERE position > ? ORDER BY position LIMIT ?",
            (after, limit),
        )
        return [Record(position, time, _decode(kind, body)) for position, time, kind, body in rows]

    def first(self) -> int | None:
        """The oldest position that is still there."""
        found: int | None = self._reader.execute("SELECT min(position) FROM record").fetchone()[0]
        return found

    def holds_changes(self) -> bool:
        """Whether a record names a description of the pipeline, and with it models."""
        rows = self._reader.execute("SELECT body FROM record WHERE kind = ?", (KINDS.index(Change),))
        return any(msgspec.msgpack.decode(body, type=Change).line is not None for (body,) in rows)

    def bytes_after(self, position: int) -> int:
        """The size of the records after a position."""
        row = self._reader.execute("SELECT sum(length(body)) FROM record WHERE position > ?", (position,))
        return int(row.fetchone()[0] or 0)

    def forget(self, position: int) -> None:
        """Records up to this position are no longer needed; later appends delete them a few at a time."""
        self._forgettable = max(self._forgettable, position)

    def close(self) -> None:
        """Close the files."""
        self._reader.close()
        self._writer.close()


def _encode(payload: Payload) -> bytes:
    if isinstance(payload, Batch):
        return msgspec.msgpack.encode([(m.topic, m.payload, m.arrival, m.size) for m in payload.messages])
    return msgspec.msgpack.encode(payload)


def _decode(kind: int, body: bytes) -> Payload:
    if KINDS[kind] is Batch:
        return Batch([Message(*fields) for fields in _MESSAGES.decode(body)])
    payload: Payload = msgspec.msgpack.decode(body, type=KINDS[kind])
    return payload
