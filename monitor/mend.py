"""Mends a damaged journal or store at the start: keeps what is whole, and says what was lost.

A file is looked through when somebody came upon damage in it (`damage.mark`), when it is small, and when it cannot
be opened. Rows that are not as they were written are deleted. Where the structure of the file is broken, what can
be read goes into a new file, and the damaged one stays beside it.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from monitor import damage, event_store, history_store, journal, schema
from monitor.durable import sync

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

log = structlog.get_logger()

LOOKED_THROUGH = (
    256 << 20
)  # bytes up to which a file is looked through at every start: 0.3 s were measured for these
PIECE = 256  # rows that are read at once from a broken file
ENDS = ("-wal", "-shm", "")  # what belongs to a file: its log never stands beside another one
FAILURES = 20_000  # after so many pieces that cannot be read, only whole ones are tried


@dataclass(frozen=True, slots=True)
class Kind:
    """What is to be known of a file."""

    name: str
    columns: Mapping[str, Sequence[str]]  # a table: what the checksum of its rows is of
    numbered: Sequence[str]  # tables whose rows are numbered, never twice with the same
    more: Mapping[str, Sequence[str]]  # a table: columns without a checksum
    connect: Callable[[Path], sqlite3.Connection]
    completed: Callable[[sqlite3.Connection, Counter[str]], None]  # makes again what can be made of the rest


def mend(folder: Path) -> None:
    """Look through the files of a state folder, and mend what is damaged.

    Raises JournalError, StoreError and OSError where it cannot be: another format, no room, a disk that fails.
    """
    for kind in (JOURNAL, STORE):
        path = folder / f"{kind.name}.db"
        try:
            _mend(path, kind)
        except sqlite3.Error as error:
            why = f"{error} ({damage.FAILING})" if damage.is_lasting(error) else str(error)
            raise schema.StoreError(f"{path} cannot be looked through: {why}", lasting=True) from error


def _mend(path: Path, kind: Kind) -> None:
    new = path.with_name(f"{path.name}.new")
    if new.exists():  # ended while it was put in its place
        _put_in_place(path, new)
    size = path.stat().st_size if path.exists() else 0
    if not size:
        return
    marked = damage.marker(path).exists()
    lost: Counter[str] = Counter()
    try:
        with closing(_open(path)) as connection:
            lost["commits"] = damage.unread_commits(path, connection)
        with closing(kind.connect(path)) as connection:
            if marked or lost["commits"] or size <= LOOKED_THROUGH:
                _check(connection)
                _clean(connection, kind, lost)
    except (sqlite3.Error, damage.DamageError) as error:
        if not damage.is_damage(error):
            raise
        remedy = (
            f"what can be read of it goes into a new file; {path.name}.damaged is as it was, for you to delete"
        )
        log.error("damaged", file=path.name, reason=str(error), remedy=remedy)
        _make_anew(path, new, kind, lost)
    damage.marker(path).unlink(missing_ok=True)
    if +lost:
        log.error("mended", file=path.name, lost=dict(+lost), remedy="what is listed is missing; all else goes on")


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, timeout=30)
    damage.teach(connection)
    return connection


def _check(connection: sqlite3.Connection) -> None:
    """Raises DamageError where the structure of the file is broken."""
    if found := damage.broken(connection):
        raise damage.DamageError(found)


def _clean(connection: sqlite3.Connection, kind: Kind, lost: Counter[str]) -> None:
    """Delete the rows that are not as they were written."""
    connection.execute("BEGIN IMMEDIATE")
    for table, columns in kind.columns.items():
        broken = f"DELETE FROM {table} WHERE NOT {damage.holds(columns)}"  # noqa: S608 - our own words
        lost[table] += connection.execute(broken).rowcount
    kind.completed(connection, lost)
    connection.execute("COMMIT")


def _make_anew(path: Path, new: Path, kind: Kind, lost: Counter[str]) -> None:
    """Put what can be read of a file into a new one, and that in its place."""
    growing = path.with_name(f"{path.name}.growing")
    for end in ENDS:  # of a time before, that was ended
        Path(f"{growing}{end}").unlink(missing_ok=True)
    with closing(kind.connect(growing)) as fresh, closing(_open(path)) as old:
        fresh.execute("BEGIN IMMEDIATE")
        for table, columns in kind.columns.items():
            numbered = table in kind.numbered
            names = [*(("rowid",) if numbered else ()), *columns, *kind.more.get(table, ()), "checksum"]
            add = f"INSERT OR IGNORE INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"  # noqa: S608
            broken: list[range] = []  # numbers of rows that cannot be read
            rows = _numbered(old, table, names, broken) if numbered else _from_both_ends(old, table, names, lost)
            for row in rows:
                with suppress(sqlite3.IntegrityError):  # what was written broke no rule
                    fresh.execute(add, row)
            if numbered:
                _go_on_counting(fresh, old, table, broken, lost)
        fresh.execute("COMMIT")
        _clean(fresh, kind, lost)
        fresh.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    sync(growing)
    growing.rename(new)
    _put_in_place(path, new)


def _put_in_place(path: Path, new: Path) -> None:
    """A new file that is whole takes the place of the one before, which goes aside with its log."""
    for end in ENDS:
        part = Path(f"{path}{end}")
        if part.exists():
            part.rename(Path(f"{path}.damaged{end}"))
    new.rename(path)
    sync(path.parent)


def _numbered(
    connection: sqlite3.Connection, table: str, names: Sequence[str], broken: list[range]
) -> Iterator[tuple[Any, ...]]:
    """The rows that can be read of a table whose rows are numbered, in order, and the numbers of the others."""
    query = f"SELECT {', '.join(names)} FROM {table} WHERE rowid BETWEEN ? AND ? ORDER BY rowid"  # noqa: S608
    low, high = (_end(connection, table, order) for order in ("ASC", "DESC"))
    high = max(high or 0, _sequence(connection, table))
    pieces = [range(first, min(first + PIECE, high + 1)) for first in range(low or 1, high + 1, PIECE)][::-1]
    failures = 0
    while pieces:
        piece = pieces.pop()
        try:
            rows = connection.execute(query, (piece[0], piece[-1])).fetchall()
        except sqlite3.DatabaseError:
            failures += 1
            half = len(piece) // 2
            if half and failures < FAILURES:
                pieces += [piece[half:], piece[:half]]
            else:
                broken.append(piece)
        else:
            yield from rows


def _end(connection: sqlite3.Connection, table: str, order: str) -> int | None:
    """The first or the last number of a table's rows, if it can be read."""
    query = f"SELECT rowid FROM {table} ORDER BY rowid {order} LIMIT 1"  # noqa: S608 - our own words
    return next((number for (number,) in _quietly(connection, query)), None)


def _from_both_ends(
    connection: sqlite3.Connection, table: str, names: Sequence[str], lost: Counter[str]
) -> Iterator[tuple[Any, ...]]:
    """The rows of a table before and behind what cannot be read of it."""
    query = f"SELECT {', '.join(names)} FROM {table}"  # noqa: S608 - our own words
    try:
        yield from connection.execute(query)
    except sqlite3.DatabaseError:
        lost[f"{table}, at least"] += 1
        keys = [row[1] for row in _quietly(connection, f"PRAGMA table_info({table})") if row[5]]
        if keys:
            yield from _quietly(connection, f"{query} ORDER BY {', '.join(f'{key} DESC' for key in keys)}")


def _quietly(connection: sqlite3.Connection, query: str) -> Iterator[tuple[Any, ...]]:
    """The rows of a query until it fails."""
    with suppress(sqlite3.DatabaseError):
        yield from connection.execute(query)


def _sequence(connection: sqlite3.Connection, table: str) -> int:
    """The last number that was given to a row of a table, as far as it can be told."""
    rows = list(_quietly(connection, f"SELECT seq FROM sqlite_sequence WHERE name = '{table}'"))  # noqa: S608
    return rows[0][0] if rows and isinstance(rows[0][0], int) else 0


def _go_on_counting(
    fresh: sqlite3.Connection, old: sqlite3.Connection, table: str, broken: list[range], lost: Counter[str]
) -> None:
    """No number is given twice; and those that are missing are what was lost."""
    first, last, kept = fresh.execute(f"SELECT min(rowid), max(rowid), count(*) FROM {table}").fetchone()  # noqa: S608
    given = max(last or 0, _sequence(old, table), *(piece[-1] for piece in broken), 0)
    # Of the first rows it is not known whether they were there still.
    lost[f"{table}, at most"] += sum(len(piece) for piece in broken if first is None or piece[0] < first)
    if kept:
        lost[table] += given - first + 1 - kept
    _count_from(fresh, table, given)


def _count_from(connection: sqlite3.Connection, table: str, number: int) -> None:
    """Give no row of a table a number up to this one; tables that count so alone."""
    query = "SELECT 1 FROM sqlite_master WHERE name = ? AND sql LIKE '%AUTOINCREMENT%'"
    if not connection.execute(query, (table,)).fetchone():
        return
    (known,) = connection.execute("SELECT max(seq) FROM sqlite_sequence WHERE name = ?", (table,)).fetchone()
    if (known or 0) < number:
        connection.execute("DELETE FROM sqlite_sequence WHERE name = ?", (table,))
        connection.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table, number))


def _complete_store(connection: sqlite3.Connection, lost: Counter[str]) -> None:
    """Incidents come back from their transitions, and what the journal may still hold is to be written again."""
    orphans = "DELETE FROM score_batch WHERE line NOT IN (SELECT id FROM line)"
    lost["score_batch"] += connection.execute(orphans).rowcount
    lost["series"] += connection.execute("DELETE FROM series WHERE line NOT IN (SELECT id FROM line)").rowcount
    for table in ("piece", "history"):
        of_nothing = f"DELETE FROM {table} WHERE series NOT IN (SELECT id FROM series)"  # noqa: S608 - our own words
        lost[table] += connection.execute(of_nothing).rowcount
    lost["incident"] = max(0, lost["incident"] - event_store.make_again(connection))
    found = dict(connection.execute("SELECT name, value FROM meta WHERE name = 'position'").fetchall())
    (last,) = connection.execute("SELECT max(position) FROM score_batch").fetchone()
    if last is not None and (lost["score_batch"] or not found):
        values = "position", str(min(last, int(found.get("position", last))))
        note = "INSERT OR REPLACE INTO meta (name, value, checksum) VALUES (?1, ?2, checksum(?1, ?2))"
        connection.execute(note, values)
    # What was delivered had a number: new rows get later ones, else a sink would pass them by.
    for table, sinks in {
        "score_batch": ("influx", history_store.SINK),
        "event": ("influx-events", "notify"),
    }.items():
        for sink in sinks:
            row = connection.execute("SELECT position FROM outbox WHERE sink = ?", (sink,)).fetchone()
            if row:
                _count_from(connection, table, row[0])


JOURNAL = Kind("journal", {"record": journal.COLUMNS}, ("record",), {}, journal.connect, lambda *_: None)
STORE = Kind(
    "store",
    schema.COLUMNS,
    ("line", "score_batch", "event", "dead_letter"),
    {"score_batch": ("position",)},
    schema.connect,
    _complete_store,
)
