"""How far each sink has got: the table `outbox`. `monitor.store` gives connection and transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.damage import checked, checksum, holds
from monitor.schema import COLUMNS

if TYPE_CHECKING:
    import sqlite3

POSITION = f"SELECT position, {holds(COLUMNS['outbox'])} FROM outbox WHERE sink = ?"  # noqa: S608 - our own words
ADVANCE = (
    "INSERT INTO outbox (sink, position, checksum) VALUES (?, ?, ?)"
    " ON CONFLICT (sink) DO UPDATE SET position = excluded.position, checksum = excluded.checksum"
)


def position(connection: sqlite3.Connection, sink: str) -> int:
    """The last position this sink has delivered, 0 at first. Raises DamageError."""
    rows = checked(connection.execute(POSITION, (sink,)), "an outbox position")
    return next((int(found) for (found,) in rows), 0)


def advance(connection: sqlite3.Connection, sink: str, to: int) -> None:
    """Remember that everything up to a position was delivered."""
    connection.execute(ADVANCE, (sink, to, checksum(sink, to)))
