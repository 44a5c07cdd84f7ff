"""Telling a damaged SQLite file: checksums of rows, SQLite's own words, and what a write-ahead log has lost.

SQLite looks after the structure of its pages, not after what stands in them: a flipped bit in a value would be
read as another value. So every row of the journal and the store has a checksum, by the SQL function `checksum`.
"""

from __future__ import annotations

import sqlite3
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

# What has no code of its own: a text that is none any more, a schema in which something is missing.
WORDS = ("Could not decode to UTF-8", "no such table", "no such column")
SIGNS = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
FULL = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE}  # the second: the file of shared memory found no room
FORMATS = 1_000  # formats are small numbers: what is beyond is a damaged header
HEADER, FRAME = (
    32,
    24,
)  # bytes of a write-ahead log's header, and of each frame's (https://sqlite.org/fileformat.html)
PAGE = 4096
FAILING = "the disk fails: see the system's log"
REMEDY = "start the daemon again: it keeps what is whole"


class DamageError(Exception):
    """A file does not hold what was written."""


def teach(connection: sqlite3.Connection) -> None:
    """Give a connection the function `checksum`.

    Threads that share a connection must not use it: one in a statement, which waits for the interpreter's lock to
    call the function, and one with the lock, which waits for the connection, would never go on.
    """
    connection.create_function("checksum", -1, checksum, deterministic=True)


def checksum(*values: bytes | str | float | None) -> int:
    """CRC-32 of values, in their order."""
    parts = [value if isinstance(value, bytes) else str(value).encode() for value in values]
    return zlib.crc32(b"\0".join([*parts, b""]))  # each ends with a zero byte


def holds(columns: Sequence[str], table: str = "") -> str:
    """SQL that says whether a row is as it was written. Rows of earlier releases have no checksum, and pass."""
    of = f"{table}." if table else ""
    # As bytes: what is no text any more could not be given to the function.
    values = ", ".join(f"CAST({of}{name} AS BLOB)" for name in columns)
    return f"coalesce({of}checksum = checksum({values}), 1)"


def checked(rows: Iterable[Sequence[Any]], what: str) -> Iterator[Sequence[Any]]:
    """Rows without their last column, which says whether each is as it was written. Raises DamageError."""
    for *row, whole in rows:
        if not whole:
            raise DamageError(f"{what} is not what was written")
        yield row


def broken(connection: sqlite3.Connection) -> str:
    """What is wrong with the structure of a file, in SQLite's words; empty where nothing is."""
    found: str = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    return "" if found == "ok" else found.splitlines()[-1]


def is_damage(error: Exception) -> bool:
    """Whether an error says that a file does not hold what was written."""
    code = getattr(error, "sqlite_errorcode", None)
    signs = code is not None and code & 0xFF in SIGNS
    words = isinstance(error, sqlite3.Error) and any(each in str(error) for each in WORDS)
    return signs or words or isinstance(error, DamageError | msgspec.DecodeError)


def is_full(error: Exception) -> bool:
    """Whether an error says that the disk is full."""
    return getattr(error, "sqlite_errorcode", None) in FULL


def is_lasting(error: Exception) -> bool:
    """Whether it is of no use to try again: the file is damaged, or the disk fails."""
    code = getattr(error, "sqlite_errorcode", None)
    failing = code is not None and code & 0xFF == sqlite3.SQLITE_IOERR and not is_full(error)
    return failing or is_damage(error)


def marker(path: Path) -> Path:
    """The file that stands beside a database that has to be looked through at the next start."""
    return path.with_name(f"{path.name}.suspect")


def mark(path: Path) -> None:
    """Have a database looked through at the next start, where its folder can be written."""
    try:
        marker(path).touch()
    except OSError:
        return  # another user's, who only reads; or no room. Whoever comes upon the damage next tries again


def unread_commits(path: Path, connection: sqlite3.Connection) -> int:
    """The commits at the end of a database's write-ahead log that SQLite could not read, and goes on without.

    A commit that was cut off by a crash is none: it was never confirmed. To be called before anything is written.
    """
    log = Path(f"{path}-wal")
    if not log.exists():
        return 0
    with log.open("rb") as file:
        head = file.read(HEADER)
        size = int.from_bytes(head[8:12]) if _is_whole(head) else PAGE
        salt = head[16:24] if _is_whole(head) else None
        commits = []
        for number in range((log.stat().st_size - HEADER) // (FRAME + size)):
            file.seek(HEADER + number * (FRAME + size))
            frame = file.read(FRAME)
            salt = salt or frame[8:16]
            if frame[8:16] == salt and frame[4:8] != bytes(4):
                commits.append(number)
    _, read, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    return sum(1 for number in commits if number >= read)


def _is_whole(head: bytes) -> bool:
    """Whether the header of a write-ahead log is what SQLite wrote: by its own checksum."""
    order: Literal["big", "little"] = "big" if head[3:4] == b"\x83" else "little"
    first = second = 0
    for place in range(0, 24, 8):
        first = (first + int.from_bytes(head[place : place + 4], order) + second) % 2**32
        second = (second + int.from_bytes(head[place + 4 : place + 8], order) + first) % 2**32
    return len(head) == HEADER and head[24:32] == first.to_bytes(4) + second.to_bytes(4)
