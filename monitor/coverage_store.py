"""The coverage ledger in the store: the table `stretch`. `monitor.store` gives connection and transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.coverage import Stretch
from monitor.damage import checked, holds
from monitor.schema import COLUMNS

if TYPE_CHECKING:
    import sqlite3

    from monitor.records import Stretches

WHOLE = holds(COLUMNS["stretch"])


def write(connection: sqlite3.Connection, stretches: Stretches) -> None:
    """Write stretches. One that began when another did takes its place: it has gone on, or is known better."""
    connection.executemany(
        'INSERT INTO stretch (stream, start, "end", status, regime, checksum)'
        " VALUES (?1, ?2, ?3, ?4, ?5, checksum(?1, ?2, ?3, ?4, ?5)) ON CONFLICT (stream, start) DO UPDATE"
        ' SET "end" = excluded."end", status = excluded.status, regime = excluded.regime,'
        " checksum = excluded.checksum",
        zip(
            stretches.streams,
            stretches.start.tolist(),
            stretches.end.tolist(),
            stretches.status,
            stretches.regime,
            strict=True,
        ),
    )


def read(connection: sqlite3.Connection, since: int, asset: str | None) -> list[Stretch]:
    """What goes beyond an event time, by asset and time; of one asset where it is named."""
    rows = connection.execute(
        f'SELECT stream, start, "end", status, regime, {WHOLE} FROM stretch'  # noqa: S608 - our own words
        ' WHERE "end" > ?1 AND (?2 IS NULL OR stream = ?2)'
        " ORDER BY stream, start",
        (since, asset),
    )
    return [Stretch(*row) for row in checked(rows, "a stretch of the coverage ledger")]


def forget(connection: sqlite3.Connection, before: int) -> None:
    """Delete what ended before an event time."""
    connection.execute('DELETE FROM stretch WHERE "end" < ?', (before,))
