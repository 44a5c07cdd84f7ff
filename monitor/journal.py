"""The durable log that the acknowledgement depends on: messages, clock, commands and changes in one order.

An SQLite database (WAL, synchronous=FULL): a record is on the disk when `append` returns, and only then may its
messages be acknowledged. The core takes its input from here, once it is committed, so that it can be replayed.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import deque
from contextlib import ExitStack, closing, contextmanager, suppress
from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from monitor import damage
from monitor.records import Batch, Change, Clock, Command, Message, Record

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from monitor.records import Payload

FORMAT = 2
TABLE = """
CREATE TABLE IF NOT EXISTS record (
    position INTEGER PRIMARY KEY AUTOINCREMENT, kind INTEGER NOT NULL, time INTEGER NOT NULL, body BLOB NOT NULL,
    checksum INTEGER);
"""
COLUMNS = ("kind", "time", "body")  # what the checksum is of
KINDS: tuple[type[Payload], ...] = (Batch, Clock, Command, Change)  # stored as their index
FORGOTTEN_AT_ONCE = 64  # records deleted with an append: more than are added, and never a long pause
AT_HAND = 32 << 20  # bytes of records, as they are stored, that need not be read from the file again

_MESSAGES = msgspec.msgpack.Decoder(list[Message])  # four-element arrays: topic, payload, arrival, size


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
        self._latest = _Latest()
        self.damaged = ""  # what was found wrong with the file: it has to be mended before it can be gone on with
        with ExitStack() as opened:
            try:
                self._writer = opened.enter_context(closing(connect(path)))
                self._reader = opened.enter_context(closing(_connect(path)))
                self.last()
            except (sqlite3.Error, damage.DamageError) as error:
                raise self._failed("opened", error) from error
            opened.pop_all()  # nothing failed: they stay open

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Everything inside is on the disk, or nothing is. Raises JournalError."""
        with self._lock:
            try:
                self._writer.execute("BEGIN IMMEDIATE")
                yield self._writer
                self._writer.execute("COMMIT")
            except sqlite3.Error as error:
                with suppress(sqlite3.Error):  # SQLite may have rolled back by itself
                    self._writer.execute("ROLLBACK")
                raise self._failed("written", error) from error

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """Raises JournalError where what is read is not what was written."""
        try:
            yield self._reader
        except (sqlite3.Error, damage.DamageError, msgspec.DecodeError) as error:
            raise self._failed("read", error) from error

    def _failed(self, what: str, error: Exception) -> JournalError:
        if damage.is_damage(error):
            self.damaged = str(error)
            damage.mark(self._path)
            return JournalError(f"the journal {self._path} is damaged ({error}): {damage.REMEDY}")
        more = f" ({damage.FAILING})" if damage.is_lasting(error) else ""
        return JournalError(
            f"the journal {self._path} cannot be {what}: {error}{more}", full=damage.is_full(error)
        )

    def append(self, payloads: Sequence[Payload], time: int) -> int:
        """Write one or more records in their order with one sync of the disk; returns the last position.

        Raises JournalError; nothing was written then, and nothing may be acknowledged.
        """
        rows = [(KINDS.index(type(payload)), time, _encode(payload)) for payload in payloads]
        summed = [(*row, damage.checksum(*row)) for row in rows]
        last = 0
        with self._transaction() as writer:
            for row in summed:
                added = writer.execute("INSERT INTO record (kind, time, body, checksum) VALUES (?, ?, ?, ?)", row)
                last = added.lastrowid or 0
            writer.execute(
                "DELETE FROM record WHERE position <= ? AND position < (SELECT min(position) FROM record) + ?",
                (self._forgettable, FORGOTTEN_AT_ONCE),
            )
        first = last - len(rows) + 1
        records = [Record(first + place, time, payload) for place, payload in enumerate(payloads)]
        self._latest.add(records, [len(body) for _, _, body in rows])
        return last

    def read(self, after: int, limit: int) -> list[Record]:
        """Up to `limit` records after a position, in their order.

        Those of the latest appends are at hand for the one who reads on behind them: what is on the disk, and not
        sooner than it is.
        """
        return self._latest.after(after, limit) or self._stored(after, limit)

    def _stored(self, after: int, limit: int) -> list[Record]:
        with self._reading() as reader:
            rows = reader.execute(
                "SELECT position, time, kind, body, checksum FROM record"
                " WHERE position > ? ORDER BY position LIMIT ?",
                (after, limit),
            ).fetchall()
            # Not by SQL: threads share this connection, see `damage.teach`.
            for position, time, kind, body, found in rows:
                if found not in {None, damage.checksum(kind, time, body)}:
                    raise damage.DamageError(f"record {position} is not what was written")
            return [Record(position, time, _decode(kind, body)) for position, time, kind, body, _ in rows]

    def first(self) -> int | None:
        """The oldest position that is still there."""
        with self._reading() as reader:
            found: int | None = reader.execute("SELECT min(position) FROM record").fetchone()[0]
            return found

    def last(self) -> int:
        """The newest position that was given out, also where its record was forgotten; 0 before the first."""
        with self._reading() as reader:
            row = reader.execute("SELECT seq FROM sqlite_sequence WHERE name = 'record'").fetchone()
            return int(row[0]) if row else 0

    def go_on_after(self, position: int) -> None:
        """Give out no position up to this one again: a journal that was begun anew. Raises JournalError."""
        with self._transaction() as writer:
            writer.execute("DELETE FROM sqlite_sequence WHERE name = 'record'")
            writer.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('record', ?)", (position,))

    def holds_changes(self) -> bool:
        """Whether a record names a description of the pipeline, and with it models."""
        with self._reading() as reader:
            rows = reader.execute("SELECT body FROM record WHERE kind = ?", (KINDS.index(Change),))
            return any(msgspec.msgpack.decode(body, type=Change).line is not None for (body,) in rows)

    def bytes_after(self, position: int) -> int:
        """The size of the records after a position."""
        with self._reading() as reader:
            row = reader.execute("SELECT sum(length(body)) FROM record WHERE position > ?", (position,))
            return int(row.fetchone()[0] or 0)

    def forget(self, position: int) -> None:
        """Records up to this position are no longer needed; later appends delete them a few at a time."""
        self._forgettable = max(self._forgettable, position)

    def close(self) -> None:
        """Close the files."""
        self._reader.close()
        self._writer.close()


class _Latest:
    """The records that were committed last, without a gap: as many as there is room for, until they are read."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._records: deque[tuple[Record, int]] = deque()  # each with its size in bytes
        self._size = 0

    def add(self, records: Sequence[Record], sizes: Sequence[int]) -> None:
        """What was just committed; begins anew where that is not what follows, because threads were faster."""
        with self._lock:
            if self._records and records[0].position != self._records[-1][0].position + 1:
                self._records.clear()
                self._size = 0
            self._records.extend(zip(records, sizes, strict=True))
            self._size += sum(sizes)
            while self._size > AT_HAND:
                self._drop_first()

    def after(self, position: int, limit: int) -> list[Record]:
        """What follows a position, where that is at hand; whatever comes before it is let go."""
        with self._lock:
            while self._records and self._records[0][0].position <= position:
                self._drop_first()
            if not self._records or self._records[0][0].position != position + 1:
                return []
            return [record for record, _ in islice(self._records, limit)]

    def _drop_first(self) -> None:
        _, size = self._records.popleft()
        self._size -= size


def connect(path: Path) -> sqlite3.Connection:
    """Open the journal's file, or begin one. Raises JournalError for another format, and sqlite3.Error."""
    with ExitStack() as opened:
        connection = opened.enter_context(closing(_connect(path)))
        damage.teach(connection)
        _prepare(connection, path)
        opened.pop_all()
    return connection


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=30)


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    found = connection.execute("PRAGMA user_version").fetchone()[0]
    if not 0 <= found < damage.FORMATS:
        raise damage.DamageError(f"its format is {found}")
    if found > FORMAT:
        remedy = "use the release that made it; where none did, its header is damaged: move it aside"
        raise JournalError(f"{path} has format {found}, this release reads {FORMAT}: {remedy}")
    # Some builds of SQLite overwrite what is deleted: forgetting would cost more than writing.
    connection.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA secure_delete=OFF;")
    if found < FORMAT:
        later = "ALTER TABLE record ADD COLUMN checksum INTEGER;" if found else TABLE
        connection.executescript(f"BEGIN IMMEDIATE; {later} PRAGMA user_version={FORMAT}; COMMIT;")


def _encode(payload: Payload) -> bytes:
    if isinstance(payload, Batch):
        return msgspec.msgpack.encode(payload.messages)
    return msgspec.msgpack.encode(payload)


def _decode(kind: int, body: bytes) -> Payload:
    if KINDS[kind] is Batch:
        return Batch(_MESSAGES.decode(body))
    payload: Payload = msgspec.msgpack.decode(body, type=KINDS[kind])
    return payload
