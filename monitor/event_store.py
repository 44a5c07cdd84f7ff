"""Transitions and incidents in the store: the tables `event` and `incident`. `monitor.store` gives the connection.

An incident's row is what its transitions come to, so that it can be made again from them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec

from monitor.damage import checked, checksum, holds
from monitor.records import AlertEvent, Transition
from monitor.schema import COLUMNS
from monitor.synthetic import SITE

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator

OVER = {Transition.CLEARED, Transition.ACCEPTED}
WORDS = {Transition.COMMENTED, Transition.VERDICT}  # they change no state
STATES = {Transition.FIRED: "firing", Transition.UNSHELVED: "firing"}  # the others are named as the transition
EVENTS = f"SELECT id, body, {holds(COLUMNS['event'])} FROM event"  # noqa: S608 - our own words, as below
INCIDENTS = f"SELECT fired, latest, verdict, open, {holds(COLUMNS['incident'])} FROM incident"  # noqa: S608
OF_ASSETS = f"substr(stream, 1, {len(SITE) + 1}) != '{SITE}/'"  # incidents of assets that are none are told apart
SUM = f"UPDATE incident SET checksum = checksum({', '.join(COLUMNS['incident'])}) WHERE incident_id = ?"  # noqa: S608


def write(connection: sqlite3.Connection, event: AlertEvent) -> None:
    """Write a transition, and what the incident comes to by it."""
    body = msgspec.json.encode(event)
    row = (event.event_id, event.incident_id, event.stream, event.transition.value, event.recorded, body)
    connection.execute(
        "INSERT OR IGNORE INTO event (event_id, incident_id, stream, transition, recorded, body, checksum)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (*row, checksum(*row)),
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
    connection.execute(SUM, (event.incident_id,))


def make_again(connection: sqlite3.Connection) -> int:
    """Bring back the incidents that have transitions and no row; returns how many."""
    count = "SELECT count(*) FROM incident"
    (before,) = connection.execute(count).fetchone()
    rows = connection.execute(
        f"{EVENTS} WHERE incident_id NOT IN (SELECT incident_id FROM incident) ORDER BY id"  # noqa: S608
    ).fetchall()
    for _, event in read(rows):
        write(connection, event)
    (after,) = connection.execute(count).fetchone()
    return int(after - before)


def read(rows: Iterable[tuple[int, bytes, int]]) -> list[tuple[int, AlertEvent]]:
    """Transitions as the query `EVENTS` gives them, each with its position. Raises DamageError."""
    return [(number, decode(body)) for number, body in checked(rows, "a transition")]


def incidents(rows: Iterable[tuple[bytes, bytes, str, int, int]]) -> Iterator[tuple[AlertEvent, str, bool]]:
    """Incidents as the query `INCIDENTS` gives them: as it stands, verdict, whether open. Raises DamageError."""
    for fired, latest, verdict, is_open in checked(rows, "an incident"):
        yield _as_it_stands(decode(fired), decode(latest)), verdict, bool(is_open)


def decode(body: bytes) -> AlertEvent:
    """A transition as its JSON."""
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
