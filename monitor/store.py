"""The embedded store: score rows, incidents, dead letters and outbox positions, in one SQLite file.

Scores, events and the journal position of a record are written in one transaction, so that after a crash the
store says exactly which records it holds. Everything here can be rebuilt from the journal, therefore
synchronous=NORMAL; `sync` brings it to the disk before the journal forgets.
"""

from __future__ import annotations

import math
import secrets
import time
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

from monitor import coverage_store, damage, event_store, history, history_store, outbox_store, score_store
from monitor.damage import checksum, holds
from monitor.records import DeadLetter
from monitor.schema import COLUMNS
from monitor.store_file import StoreFile

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Generator, Iterable, Mapping, Sequence
    from pathlib import Path

    from monitor.coverage import Stretch
    from monitor.records import AlertEvent, StepResult, StoredScores

PRUNED_AT_ONCE = 1_000  # batches, so that the line never waits long
GIVEN_UP_AT_ONCE = 100  # of those over the budget, so that hardly more go than have to
TOPIC_LENGTH = 512  # characters of a dead letter's topic that are kept
FACTS = f"SELECT name, value, {holds(COLUMNS['meta'])} FROM meta"  # noqa: S608 - our own words, as below
LETTERS = f"SELECT id, time, topic, payload, reason, held, {holds(COLUMNS['dead_letter'])} FROM dead_letter"  # noqa: S608
NOTE = (
    "INSERT INTO meta (name, value, checksum) VALUES (?, ?, ?)"
    " ON CONFLICT (name) DO UPDATE SET value = excluded.value, checksum = excluded.checksum"
)
FORGOTTEN_AT_ONCE = 500  # entries of the history
SEALED_AT_ONCE = 100  # spans of the history, of those that are due
FOLDED_AT_ONCE = 50_000  # score rows
TAIL_ROWS = 100_000  # of all assets that are not in the history yet, and that a look at one goes through


class Pruned(NamedTuple):
    """What a pruning did."""

    given_up: int  # score rows that were not delivered
    done: bool  # else there is more to delete


class Store(StoreFile):
    """The store. Each thread that calls has a connection of its own; writers wait for each other."""

    def __init__(self, path: Path, *, dead_letters: int = 10_000) -> None:
        """Open the store, or begin one; of dead letters the last so many are kept. Raises StoreError."""
        super().__init__(path)
        self._kept = dead_letters
        self._lines: dict[score_store.Line, int] = {}  # their numbers in the store, of those that were written
        self.written = int(self.facts().get("position", 0))  # the position up to which it holds everything

    # -- written by the line ------------------------------------------------------------------------------------

    def write(self, position: int, result: StepResult, facts: Mapping[str, str] | None = None) -> None:
        """Write what one record brought about, with its position, in one transaction. Raises StoreError.

        Facts are noted in the same one. What a record up to `written` brought about is here already: nothing is
        done.
        """
        if position <= self.written:
            return
        lines = self._lines.copy()
        with self._transaction() as connection:
            for scores in result.scores:
                score_store.write(connection, scores, position, lines)
            for event in result.events:
                event_store.write(connection, event)
            for stretches in result.stretches:
                coverage_store.write(connection, stretches)
            self._write_letters(connection, result.dead_letters)
            _put(connection, [("position", str(position)), *(facts or {}).items()])
        self.written, self._lines = position, lines

    def _write_letters(self, connection: sqlite3.Connection, letters: Sequence[DeadLetter]) -> None:
        if not letters:
            return
        connection.executemany(
            "INSERT INTO dead_letter (time, topic, payload, reason, held, checksum)"
            " VALUES (?1, ?2, ?3, ?4, ?5, checksum(?1, ?2, ?3, ?4, ?5))",
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
            _put(connection, facts.items())

    def facts(self) -> dict[str, str]:
        """What was noted."""
        with self._reading() as connection:
            return {str(name): str(value) for name, value in damage.checked(connection.execute(FACTS), "a fact")}

    def sync(self) -> None:
        """Bring everything written so far to the disk, whoever reads meanwhile. Raises StoreError."""
        # A commit with synchronous=FULL syncs the write-ahead log, and with it all commits before. It must change
        # something: what is written as it was is no page to write, and then nothing is synced.
        with self._reading() as connection:
            connection.execute("PRAGMA synchronous=FULL")
            try:
                self.note({"synced": secrets.token_hex(4)})
            finally:
                connection.execute("PRAGMA synchronous=NORMAL")

    # -- read by the sinks --------------------------------------------------------------------------------------

    def position(self, sink: str) -> int:
        """The last position this sink has delivered, 0 at first."""
        with self._reading() as connection:
            return outbox_store.position(connection, sink)

    def advance(self, sink: str, position: int) -> None:
        """Remember that everything up to `position` was delivered."""
        with self._transaction() as connection:
            outbox_store.advance(connection, sink, position)

    def remembered(self, sink: str) -> str | None:
        """What a sink remembers beside its position; None where it is new."""
        return self.facts().get(sink)

    def remember(self, sink: str, position: int, memory: str) -> None:
        """Note how far a sink got, and what it remembers, in one transaction. Raises StoreError."""
        with self._transaction() as connection:
            outbox_store.advance(connection, sink, position)
            _put(connection, [(sink, memory)])

    def forget_channels(self, but: Collection[str]) -> None:
        """Forget how far channels got that are not among these, and what they remember. Raises StoreError."""
        gone = [(name,) for name in self.facts() if name.startswith("channel:") and name not in but]
        if gone:
            with self._transaction() as connection:
                connection.executemany("DELETE FROM meta WHERE name = ?", gone)
                connection.executemany("DELETE FROM outbox WHERE sink = ?", gone)

    def scores_after(self, position: int, limit: int) -> list[StoredScores]:
        """Batches after `position`, oldest first, of about `limit` rows together (one batch at the least)."""
        found: list[StoredScores] = []
        rows = 0
        query = f"{score_store.BATCHES} WHERE b.id > ? ORDER BY b.id"
        with self._reading() as connection, closing(connection.execute(query, (position,))) as cursor:
            for row in cursor:
                stored = score_store.read(row)
                if found and rows + len(stored.streams) > limit:
                    break
                found.append(stored)
                rows += len(stored.streams)
        return found

    def times_after(self, position: int) -> dict[str, int]:
        """Of every asset with rows that records after a journal position brought about, the newest event time."""
        query = f"{score_store.BATCHES} WHERE b.position > ? ORDER BY b.id"
        with self._reading() as connection, closing(connection.execute(query, (position,))) as cursor:
            batches = map(score_store.read, cursor)
            return {
                key: time for each in batches for key, time in zip(each.streams, each.time.tolist(), strict=True)
            }

    def events_after(self, position: int, limit: int) -> list[tuple[int, AlertEvent]]:
        """Up to `limit` transitions after `position`, oldest first, each with its position."""
        return self._events("WHERE id > ? ORDER BY id LIMIT ?", position, limit)

    def open_incidents(self, stream: str | None = None) -> list[AlertEvent]:
        """The open incidents of a stream, or of all, oldest first: what fired, in the state it has reached."""
        where = "WHERE open = 1 AND (?1 IS NULL OR stream = ?1) ORDER BY started, incident_id"
        with self._reading() as connection:
            rows = connection.execute(f"{event_store.INCIDENTS} {where}", (stream,))
            return [incident for incident, _, _ in event_store.incidents(rows)]

    def _events(self, where: str, *values: object) -> list[tuple[int, AlertEvent]]:
        with self._reading() as connection:
            return event_store.read(connection.execute(f"{event_store.EVENTS} {where}", values))

    def add_dead_letters(self, letters: Sequence[DeadLetter]) -> None:
        """Keep what a sink could not deliver at all, with the reason."""
        with self._transaction() as connection:
            self._write_letters(connection, letters)

    # -- read by people -----------------------------------------------------------------------------------------

    def latest_scores(self) -> Generator[StoredScores]:
        """All batches, newest first. Close it where it is not read to its end: it holds on to what it sees."""
        with (
            self._reading() as connection,
            closing(connection.execute(f"{score_store.BATCHES} ORDER BY b.id DESC")) as cursor,
        ):
            for row in cursor:
                yield score_store.read(row)

    def latest_events(self, limit: int, asset: str | None = None) -> tuple[int, list[AlertEvent]]:
        """The latest transitions, oldest first, and the position to go on from.

        Of one asset where it is named, else of all but those that are none (`monitor.synthetic`).
        """
        where = f"WHERE stream = ?1 OR ?1 IS NULL AND {event_store.OF_ASSETS} ORDER BY id DESC LIMIT ?2"
        found = self._events(where, asset, limit)
        _, newest = self.heads()
        return newest, [event for _, event in reversed(found)]

    def incident(self, incident_id: str) -> AlertEvent | None:
        """An incident as it stands, open or over; None where there is none of that name."""
        with self._reading() as connection:
            rows = connection.execute(f"{event_store.INCIDENTS} WHERE incident_id = ?", (incident_id,))
            return next((incident for incident, _, _ in event_store.incidents(rows)), None)

    def incident_times(self) -> list[tuple[str, int, int | None, str]]:
        """Of every incident: its stream, the event times at which it began and ended, and the verdict on it.

        The end is None while it is open.
        """
        with self._reading() as connection:
            return [
                (found.stream, found.started, None if is_open else found.time, verdict)
                for found, verdict, is_open in event_store.incidents(connection.execute(event_store.INCIDENTS))
            ]

    def incidents(self, *, only_open: bool = False) -> Generator[tuple[AlertEvent, str, bool]]:
        """All incidents as they stand, the newest first: each with its verdict, and whether it is open."""
        order = "WHERE open = 1 OR ? ORDER BY started DESC, incident_id"
        with (
            self._reading() as connection,
            closing(connection.execute(f"{event_store.INCIDENTS} {order}", (not only_open,))) as cursor,
        ):
            yield from event_store.incidents(cursor)

    def find_incidents(
        self,
        limit: int,
        *,
        asset: str | None = None,
        kind: str | None = None,
        is_open: bool | None = None,
        before: tuple[int, str] | None = None,
    ) -> list[tuple[AlertEvent, str, bool]]:
        """Some incidents as they stand, the newest first: each with its verdict, and whether it is open.

        Those of the canary come where it is named as the asset. `before` is where the last look ended: the start
        and the id of its last incident.
        """
        where = (
            f"WHERE (stream = ?1 OR ?1 IS NULL AND {event_store.OF_ASSETS})"
            " AND (?2 IS NULL OR kind = ?2) AND (?3 IS NULL OR open = ?3)"
            " AND (?4 IS NULL OR (started, incident_id) < (?4, ?5))"
            " ORDER BY started DESC, incident_id DESC LIMIT ?6"
        )
        values = (asset, kind, is_open, *(before or (None, None)), limit)
        with self._reading() as connection:
            return list(event_store.incidents(connection.execute(f"{event_store.INCIDENTS} {where}", values)))

    def history(self, incident_id: str) -> list[AlertEvent]:
        """Everything that happened to an incident, oldest first."""
        return [event for _, event in self._events("WHERE incident_id = ? ORDER BY id", incident_id)]

    def dead_letters(self, limit: int) -> list[DeadLetter]:
        """The latest dead letters, newest first."""
        return [letter for _, letter in self._letters("ORDER BY id DESC LIMIT ?", limit)]

    def stretches(self, since: int, asset: str | None = None) -> list[Stretch]:
        """The coverage ledger from an event time on, by asset and time; of one asset where it is named."""
        with self._reading() as connection:
            return coverage_store.read(connection, since, asset)

    def heads(self) -> tuple[int, int]:
        """The newest position of score batches and that of transitions: how far a sink could be."""
        newest = "SELECT coalesce((SELECT max(id) FROM score_batch), 0), coalesce((SELECT max(id) FROM event), 0)"
        with self._reading() as connection:
            scores, events = connection.execute(newest).fetchone()
            return int(scores), int(events)

    def counts(self) -> tuple[int, int, int]:
        """How many incidents of real assets are open, how many dead letters are kept, and the bytes in use."""
        counts = (
            f"SELECT (SELECT count(*) FROM incident WHERE open = 1 AND {event_store.OF_ASSETS}),"  # noqa: S608 - our own words
            " (SELECT count(*) FROM dead_letter)"
        )
        incidents, letters = self._connection.execute(counts).fetchone()
        return int(incidents), int(letters), self.bytes_used()

    def letters(self) -> list[tuple[int, DeadLetter]]:
        """All dead letters that are kept, oldest first, each with its number."""
        return self._letters("ORDER BY id")

    def _letters(self, where: str, *values: object) -> list[tuple[int, DeadLetter]]:
        with self._reading() as connection:
            rows = connection.execute(f"{LETTERS} {where}", values)
            return [(number, DeadLetter(*row)) for number, *row in damage.checked(rows, "a dead letter")]

    def drop_letters(self, numbers: Sequence[int]) -> None:
        """Delete dead letters that have gone through after all. Raises StoreError."""
        with self._transaction() as connection:
            connection.executemany("DELETE FROM dead_letter WHERE id = ?", [(number,) for number in numbers])

    # -- the history of assets ----------------------------------------------------------------------------------

    def fold(self, seconds: float = math.inf) -> bool:
        """Take new score rows into the history of their assets; False where time ran out before all were taken.

        What was taken, and up to where, is written in one transaction. One thread calls this.
        """
        until = time.monotonic() + seconds
        while True:
            with self._reading() as connection:
                due = history_store.due(connection, SEALED_AT_ONCE)
            for series, span in due:
                with self._reading() as connection:
                    entries = history_store.sealed(connection, series, span)
                with self._transaction() as connection:  # a short one: the line waits for it
                    history_store.seal(connection, series, span, entries)
                if time.monotonic() >= until:
                    return False
            if len(due) == SEALED_AT_ONCE:
                continue
            batches = self.scores_after(self.position(history_store.SINK), FOLDED_AT_ONCE)
            if not batches:
                return True
            pieces = list(history.pieces(batches))
            with self._transaction() as connection:
                history_store.add(connection, pieces)
                outbox_store.advance(connection, history_store.SINK, batches[-1].position)
            if time.monotonic() >= until:
                return False

    def asset_history(self, asset: str, start: int, end: int, points: int) -> history_store.AssetHistory:
        """Scores and sensors of an asset from one event time to another, in at most so many points.

        It says up to which position of the outbox it goes: what is newer, `scores_after` that has. What was not
        taken into the history yet is in it, unless that is very much.
        """
        with self._snapshot() as connection:
            return history_store.asset(connection, asset, start, end, points, TAIL_ROWS)

    def asset_begins(self, asset: str) -> int | None:
        """The event time at which the history of an asset begins; None where it has none."""
        with self._snapshot() as connection:
            return history_store.begins(connection, asset, TAIL_ROWS)

    def trends(self, start: int, end: int, points: int) -> history_store.Trends:
        """The scores of all assets from one event time to another, likewise; no point is below a minute."""
        with self._snapshot() as connection:
            return history_store.trends(connection, start, end, points)

    # -- kept within bounds -------------------------------------------------------------------------------------

    def prune(
        self,
        sinks: Sequence[str],
        *,
        before: int,
        max_bytes: int,
        minutes_before: int = -(2**62),
        seconds: float = math.inf,
    ) -> Pruned:
        """Delete score rows that are delivered and old, and, over the disk budget, the oldest undelivered ones.

        `sinks` are the positions that must have passed a row; `before` is an event time, `minutes_before` that of
        what rows come to a minute and an hour. Over the budget the history goes before rows that are not
        delivered. Transitions are never given up. After `seconds` the rest is left for another time.
        """
        until = time.monotonic() + seconds
        delivered = min((self.position(sink) for sink in sinks), default=2**62)
        while self._delete_old(delivered, before):
            if time.monotonic() >= until:
                return Pruned(0, done=False)
        with self._transaction() as connection:
            coverage_store.forget(connection, before)
        while self._forget_history(before, minutes_before):
            if time.monotonic() >= until:
                return Pruned(0, done=False)
        given_up = 0
        while self.bytes_used() > max_bytes:
            if time.monotonic() >= until:
                return Pruned(given_up, done=False)
            with self._reading() as connection:
                oldest = connection.execute(
                    "SELECT id, rows FROM score_batch ORDER BY id LIMIT ?", (GIVEN_UP_AT_ONCE,)
                ).fetchall()
                begins = history_store.oldest(connection)
            if begins is not None and (not oldest or oldest[-1][0] > delivered):
                self._forget_history(begins + history.DAY, begins + history.DAY)
                continue
            if not oldest:
                break
            with self._transaction() as connection:
                given_up += sum(rows for number, rows in oldest if number > delivered)
                connection.execute("DELETE FROM score_batch WHERE id <= ?", (oldest[-1][0],))
        return Pruned(given_up, done=True)

    def _forget_history(self, rows_before: int, before: int) -> int:
        """Delete some of what is old of the history; returns how many entries."""
        with self._transaction() as connection:
            return history_store.forget(
                connection, rows_before=rows_before, before=before, limit=FORGOTTEN_AT_ONCE
            )

    def _delete_old(self, delivered: int, before: int) -> int:
        """Delete some of the oldest batches where they are delivered and old; returns how many."""
        with self._transaction() as connection:
            return connection.execute(
                "DELETE FROM score_batch WHERE id <= ? AND last_time < ?"
                " AND id < (SELECT min(id) FROM score_batch) + ?",
                (delivered, before, PRUNED_AT_ONCE),
            ).rowcount


def _put(connection: sqlite3.Connection, facts: Iterable[tuple[str, str]]) -> None:
    for name, value in facts:
        connection.execute(NOTE, (name, value, checksum(name, value)))
