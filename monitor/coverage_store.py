"""The coverage ledger in the store: the table `stretch`. `monitor.store` gives connection and transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.coverage import Stretch

if TYPE_CHECKING:
    import sqlite3

    from monitor.records import Stretches


def write(connection: sqlite3.Connection, stretches: Stretches) -> None:
    """Write stretches. One that began when another did takes its place: it has gone on, or is known better."""
    connection.executemany(
        'INSERT INTO stretch (stream, start, "end", status, regime) VALUES (?, ?, ?, ?, ?)'
        " ON CONFLICT (stream, start) DO UPDATE"
        ' SET "end" = excluded."end", status = excluded.status, regime = excluded.regime',
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
        'SELECT stream, start, "end", status, regime FROM stretch WHERE "end" > ?1 AND (?2 IS NULL OR stream = ?2)'
        " ORDER BY stream, start",
        (since, asset),
    )
    return [Stretch(*row) for row in rows.fetchall()]


def forget(connection: sqlite3.Connection, before: int) -> None:
    """Delete what ended before an event time."""
    connection.execute('DELETE FROM stretch WHERE "end" < ?', (before,))
