"""The embedded store: score rows, incidents, dead letters and outbox positions, in one SQLite file.

Scores, events and the journal position of a record are written in one transaction, so that after a crash the
store says exactly which records it holds. Everything here can be rebuilt from the journal, therefore
synchronous=NORMAL; `sync` brings it to the disk before the journal forgets.
"""

from __future__ import annotations

import math
import sqlite3
import threading
import time
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from monitor import coverage_store, score_store
from monitor.records import AlertEvent, DeadLetter, Transition
from monitor.schema import StoreError, connect

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence
    from pathlib import Path

    from monitor.coverage import Stretch
    from monitor.records import StepResult, StoredScores

OVER = {Transition.CLEARED, Transition.ACCEPTED}
WORDS = {Transition.COMMENTED, Transition.VERDICT}  # they change no state
STATES = {Transition.FIRED: "firing", Transition.UNSHELVED: "firing"}  # the others are named as the transition
PRUNED_AT_ONCE = 1_000  # batches, so that the line never waits long
GIVEN_UP_AT_ONCE = 100  # of those over the budget, so that hardly more go than have to
TOPIC_LENGTH = 512  # characters of a dead letter's topic that are kept


class Pruned(NamedTuple):
    """What a pruning did."""

    given_up: int  # score rows that were not delivered
    done: bool  # else there is more to delete


class Store:
    """The store. Each thread that calls has a connection of its own; writers wait for each other."""

    def __init__(self, path: Path, *, dead_letters: int = 10_000) -> None:
        """Open the store, or begin one; of dead letters the last so many are kept. Raises StoreError."""
        self._path = path
        self._kept = dead_letters
        self._threads = threading.local()
        self._all: list[sqlite3.Connection] = []
        row = self._connection.execute("SELECT value FROM meta WHERE name = 'position'").fetchone()
        self.written = int(row[0]) if row else 0  # the journal position up to which the store holds everything

    @property
    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._threads, "connection", None)
        if connection is None:
            connection = self._threads.connection = connect(self._path)
            self._all.append(connection)
        return connection

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Everything inside is written, or nothing is. Raises StoreError."""
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise StoreError(f"the store {self._path} cannot be written: {error}", error) from error
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")

    # -- written by the line ------------------------------------------------------------------------------------

    def write(self, position: int, result: StepResult, facts: Mapping[str, str] | None = None) -> None:
        """Write what one record brought about, with its position, in one transaction. Raises StoreError.

        Facts are noted in the same one. What a record up to `written` brought about is here already: nothing is
        done.
        """
        if position <= self.written:
            return
        with self._transaction() as connection:
            for scores in result.scores:
                score_store.write(connection, scores)
            for event in result.events:
                _write_event(connection, event)
            for stretches in result.stretches:
                coverage_store.write(connection, stretches)
            self._write_letters(connection, result.dead_letters)
            _put(connection, {**(facts or {}), "position": str(position)})
        self.written = position

    def _write_letters(self, connection: sqlite3.Connection, letters: Sequence[DeadLetter]) -> None:
        if not letters:
            return
        connection.executemany(
            "INSERT INTO dead_letter (time, topic, payload, reason, held) VALUES (?, ?, ?, ?, ?)",
            [
                (le.time, le.topic[:TOPIC_LENGTH], le.payload, le.reason, le.values)
                for le in letters[-self._kept :]
            ],
        )
        connection.execute(
            "DELETE FROM dead_letter WHERE id <= (SELECT max(id) FROM dead_letter) - ?", (self._kept,)
        )

    def note(self, facts: Mapping[str, str]) -> None:
        """Keep facts about the daemon, by name, for those who look at the store from outside."""
        with self._transaction() as connection:
            _put(connection, facts)

    def facts(self) -> dict[str, str]:
        """What was noted."""
        return dict(self._connection.execute("SELECT name, value FROM meta").fetchall())

    def sync(self) -> None:
        """Bring everything written so far to the disk, whoever reads meanwhile. Raises StoreError."""
        # A commit with synchronous=FULL syncs the write-ahead log, and with it all commits before.
        self._connection.execute("PRAGMA synchronous=FULL")
        try:
            self.note({"position": str(self.written)})
        finally:
            self._connection.execute("PRAGMA synchronous=NORMAL")

    # -- read by the sinks --------------------------------------------------------------------------------------

    def position(self, sink: str) -> int:
        """The last position this sink has delivered, 0 at first."""
        row = self._connection.execute("SELECT position FROM outbox WHERE sink = ?", (sink,)).fetchone()
        return int(row[0]) if row else 0

    def advance(self, sink: str, position: int) -> None:
        """Remember that everything up to `position` was delivered."""
        with self._transaction() as connection:
            connection.execute(
                "INSERT INTO outbox (sink, position) VALUES (?, ?)"
                " ON CONFLICT (sink) DO UPDATE SET position = excluded.position",
                (sink, position),
            )

    def scores_after(self, position: int, limit: int) -> list[StoredScores]:
        """Batches after `position`, oldest first, of about `limit` rows together (one batch at the least)."""
        found: list[StoredScores] = []
        rows = 0
        with closing(
            self._connection.execute(f"{score_store.BATCHES} WHERE b.id > ? ORDER BY b.id", (position,))
        ) as cursor:
            for row in cursor:
                stored = score_store.read(row)
                if found and rows + len(stored.streams) > limit:
                    break
                found.append(stored)
                rows += len(stored.streams)
        return found

    def events_after(self, position: int, limit: int) -> list[tuple[int, AlertEvent]]:
        """Up to `limit` transitions after `position`, oldest first, each with its position."""
        rows = self._connection.execute(
            "SELECT id, body FROM event WHERE id > ? ORDER BY id LIMIT ?", (position, limit)
        )
        return [(number, _event(body)) for number, body in rows.fetchall()]

    def open_incidents(self, stream: str | None = None) -> list[AlertEvent]:
        """The open incidents of a stream, or of all, oldest first: what fired, in the state it has reached."""
        rows = self._connection.execute(
            "SELECT fired, latest FROM incident WHERE open = 1 AND (?1 IS NULL OR stream = ?1)"
            " ORDER BY started, incident_id",
            (stream,),
        )
        return [_as_it_stands(_event(fired), _event(latest)) for fired, latest in rows.fetchall()]

    def add_dead_letters(self, letters: Sequence[DeadLetter]) -> None:
        """Keep what a sink could not deliver at all, with the reason."""
        with self._transaction() as connection:
            self._write_letters(connection, letters)

    # -- read by people -----------------------------------------------------------------------------------------

    def latest_scores(self) -> Generator[StoredScores]:
        """All batches, newest first. Close it where it is not read to its end: it holds on to what it sees."""
        with closing(self._connection.execute(f"{score_store.BATCHES} ORDER BY b.id DESC")) as cursor:
            for row in cursor:
                yield score_store.read(row)

    def latest_events(self, limit: int, asset: str | None = None) -> tuple[int, list[AlertEvent]]:
        """The latest transitions, oldest first, and the position to go on from; of one asset where it is named."""
        where = "" if asset is None else "WHERE stream = ?"
        rows = self._connection.execute(
            f"SELECT id, body FROM event {where} ORDER BY id DESC LIMIT ?",  # noqa: S608 - both forms stand above
            (limit,) if asset is None else (asset, limit),
        ).fetchall()
        newest = self._connection.execute("SELECT max(id) FROM event").fetchone()[0]
        return newest or 0, [_event(body) for _, body in reversed(rows)]

    def incident(self, incident_id: str) -> AlertEvent | None:
        """An incident as it stands, open or over; None where there is none of that name."""
        row = self._connection.execute(
            "SELECT fired, latest FROM incident WHERE incident_id = ?", (incident_id,)
        ).fetchone()
        return _as_it_stands(_event(row[0]), _event(row[1])) if row else None

    def incident_times(self) -> list[tuple[str, int, int | None, str]]:
        """Of every incident: its stream, the event times at which it began and ended, and the verdict on it.

        The end is None while it is open.
        """
        rows = self._connection.execute("SELECT stream, started, open, latest, verdict FROM incident")
        return [
            (stream, started, None if is_open else _event(latest).time, verdict)
            for stream, started, is_open, latest, verdict in rows.fetchall()
        ]

    def incidents(self, *, only_open: bool = False) -> Generator[tuple[AlertEvent, str, bool]]:
        """All incidents as they stand, the newest first: each with its verdict, and whether it is open."""
        rows = self._connection.execute(
            "SELECT fired, latest, verdict, open FROM incident WHERE open = 1 OR ?"
            " ORDER BY started DESC, incident_id",
            (not only_open,),
        )
        with closing(rows) as cursor:
            for fired, latest, verdict, is_open in cursor:
                yield _as_it_stands(_event(fired), _event(latest)), verdict, bool(is_open)

    def history(self, incident_id: str) -> list[AlertEvent]:
        """Everything that happened to an incident, oldest first."""
        rows = self._connection.execute("SELECT body FROM event WHERE incident_id = ? ORDER BY id", (incident_id,))
        return [_event(body) for (body,) in rows.fetchall()]

    def dead_letters(self, limit: int) -> list[DeadLetter]:
        """The latest dead letters, newest first."""
        rows = self._connection.execute(
            "SELECT time, topic, payload, reason, held FROM dead_letter ORDER BY id DESC LIMIT ?", (limit,)
        )
        return [DeadLetter(*row) for row in rows.fetchall()]

    def stretches(self, since: int, asset: str | None = None) -> list[Stretch]:
        """The coverage ledger from an event time on, by asset and time; of one asset where it is named."""
        return coverage_store.read(self._connection, since, asset)

    def heads(self) -> tuple[int, int]:
        """The newest position of score batches and that of transitions: how far a sink could be."""
        newest = "SELECT coalesce((SELECT max(id) FROM score_batch), 0), coalesce((SELECT max(id) FROM event), 0)"
        scores, events = self._connection.execute(newest).fetchone()
        return int(scores), int(events)

    def letters(self) -> list[tuple[int, DeadLetter]]:
        """All dead letters that are kept, oldest first, each with its number."""
        rows = self._connection.execute(
            "SELECT id, time, topic, payload, reason, held FROM dead_letter ORDER BY id"
        )
        return [(number, DeadLetter(*row)) for number, *row in rows.fetchall()]

    def drop_letters(self, numbers: Sequence[int]) -> None:
        """Delete dead letters that have gone through after all. Raises StoreError."""
        with self._transaction() as connection:
            connection.executemany("DELETE FROM dead_letter WHERE id = ?", [(number,) for number in numbers])

    # -- kept within bounds -------------------------------------------------------------------------------------

    def prune(self, sinks: Sequence[str], *, before: int, max_bytes: int, seconds: float = math.inf) -> Pruned:
        """Delete score rows that are delivered and old, and, over the disk budget, the oldest undelivered ones.

        `sinks` are the positions that must have passed a row; `before` is an event time. Transitions are never
        given up. After `seconds` the rest is left for another time.
        """
        until = time.monotonic() + seconds
        delivered = min((self.position(sink) for sink in sinks), default=2**62)
        while self._delete_old(delivered, before):
            if time.monotonic() >= until:
                return Pruned(0, done=False)
        with self._transaction() as connection:
            coverage_store.forget(connection, before)
        given_up = 0
        while self.bytes_used() > max_bytes:
            if time.monotonic() >= until:
                return Pruned(given_up, done=False)
            with self._transaction() as connection:
                oldest = connection.execute(
                    "SELECT id, rows FROM score_batch ORDER BY id LIMIT ?", (GIVEN_UP_AT_ONCE,)
                ).fetchall()
                if not oldest:
                    break
                given_up += sum(rows for number, rows in oldest if number > delivered)
                connection.execute("DELETE FROM score_batch WHERE id <= ?", (oldest[-1][0],))
        return Pruned(given_up, done=True)

    def _delete_old(self, delivered: int, before: int) -> int:
        """Delete some of the oldest batches where they are delivered and old; returns how many."""
        with self._transaction() as connection:
            return connection.execute(
                "DELETE FROM score_batch WHERE id <= ? AND last_time < ?"
                " AND id < (SELECT min(id) FROM score_batch) + ?",
                (delivered, before, PRUNED_AT_ONCE),
            ).rowcount

    def bytes_used(self) -> int:
        """The size of what is in use of the file; deleted pages are used again, the file does not shrink."""
        pages, free, size = (
            self._connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    def leave(self) -> None:
        """Close the connection of the calling thread, which comes to its end."""
        connection = getattr(self._threads, "connection", None)
        if connection is not None:
            del self._threads.connection
            self._all.remove(connection)
            connection.close()

    def close(self) -> None:
        """Close the connections of all threads."""
        for connection in self._all:
            connection.close()
        self._all.clear()


def _put(connection: sqlite3.Connection, facts: Mapping[str, str]) -> None:
    connection.executemany(
        "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        list(facts.items()),
    )


def _write_event(connection: sqlite3.Connection, event: AlertEvent) -> None:
    body = msgspec.json.encode(event)
    connection.execute(
        "INSERT OR IGNORE INTO event (event_id, incident_id, stream, transition, recorded, body)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (event.event_id, event.incident_id, event.stream, event.transition, event.recorded, body),
    )
    if event.transition is Transition.FIRED:
        connection.execute(
            "INSERT OR IGNORE INTO incident"
            " (incident_id, stream, kind, sensor, started, state, open, fired, latest)"
            " VALUES (?, ?, ?, ?, ?, 'firing', 1, ?, ?)",
            (event.incident_id, event.stream, event.kind, event.sensor, event.started, body, body),
        )
    elif event.transition is Transition.VERDICT:
        connection.execute(
            "UPDATE incident SET verdict = ? WHERE incident_id = ?", (event.summary, event.incident_id)
        )
    elif event.transition not in WORDS:
        state = STATES.get(event.transition, event.transition.value)
        connection.execute(
            "UPDATE incident SET state = ?, open = ?, latest = ? WHERE incident_id = ?",
            (state, event.transition not in OVER, body, event.incident_id),
        )


def _event(body: bytes) -> AlertEvent:
    return msgspec.json.decode(body, type=AlertEvent)


def _as_it_stands(fired: AlertEvent, latest: AlertEvent) -> AlertEvent:
    """What fired, with the words of its latest transition."""
    return replace(
        fired,
        transition=latest.transition,
        time=latest.time,
        recorded=latest.recorded,
        who=latest.who,
        why=latest.why,
        until=latest.until,
    )
