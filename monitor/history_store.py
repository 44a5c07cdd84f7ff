"""The history of assets in the store: the tables `series`, `piece`, `history`. `monitor.store` has the connection.

A series is an asset under one class, model and sensors. Its rows come as pieces: what one look at the outbox found
of a span. A span that is over is sealed: its pieces become one entry of rows, and what they come to a minute and
an hour is made anew from these. So every entry is what its rows make it, however often it was begun.
"""

from __future__ import annotations

from contextlib import closing
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

from monitor import history, outbox_store, score_store
from monitor.damage import checked, checksum, holds
from monitor.history import DAY, HOUR, MINUTE, SCORES, SPAN
from monitor.schema import COLUMNS

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Sequence

    from monitor.history import Grid, Piece, Records, Trend
    from monitor.records import StoredScores

SINK = "history"  # its position in the outbox


class Part(IntEnum):
    """What an entry of the table `history` holds."""

    ROWS = 0  # of ten minutes
    MINUTES = 1  # scores of an hour, minute by minute
    SENSOR_MINUTES = 2
    HOURS = 3  # scores of a day, hour by hour
    SENSOR_HOURS = 4


LENGTH = {
    Part.ROWS: SPAN,
    Part.MINUTES: HOUR,
    Part.SENSOR_MINUTES: HOUR,
    Part.HOURS: DAY,
    Part.SENSOR_HOURS: DAY,
}  # ms
SERIES = (
    f"SELECT s.id, s.stream, l.sensors, {holds(COLUMNS['series'], 's')} AND {holds(COLUMNS['line'], 'l')}"  # noqa: S608
    " FROM series s JOIN line l ON l.id = s.line"
)
PIECES = f"SELECT data, {holds(COLUMNS['piece'])} FROM piece"  # noqa: S608 - our own words, as below
ENTRIES = f"SELECT data, {holds(COLUMNS['history'])} FROM history WHERE part = ? AND series = ?"  # noqa: S608
OLD = "DELETE FROM history WHERE id IN (SELECT id FROM history WHERE part = ? AND start <= ? LIMIT ?)"
EMPTY = (
    "DELETE FROM series WHERE id NOT IN (SELECT series FROM piece) AND NOT EXISTS"  # noqa: S608
    f" (SELECT 1 FROM history WHERE part IN ({Part.ROWS:d}, {Part.HOURS:d}) AND series = series.id)"
)
DUE = (
    "SELECT p.series, p.span FROM (SELECT DISTINCT series, span FROM piece) p"  # noqa: S608
    " WHERE p.span < (SELECT max(span) FROM piece WHERE series = p.series)"
    f" OR p.span < (SELECT max(span) FROM piece) - {HOUR} OR EXISTS"
    f" (SELECT 1 FROM history WHERE part = {Part.ROWS:d} AND series = p.series AND start = p.span)"
    " ORDER BY p.span, p.series LIMIT ?"
)


class Series(NamedTuple):
    """What a series is of."""

    id: int
    stream: str
    sensors: tuple[str, ...]


class Entry(NamedTuple):
    """A row of the table `history`."""

    part: Part
    series: int
    start: int  # ms
    data: bytes


class AssetHistory(NamedTuple):
    """An asset over the points of a chart."""

    position: int  # of the outbox: what comes after it is not in here
    chart: Grid
    trend: Trend  # (P,)
    sensors: tuple[str, ...]  # C
    readings: history.Readings  # (P, C)


class Trends(NamedTuple):
    """The scores of all assets over the points of a chart."""

    position: int  # as of an asset
    chart: Grid
    assets: tuple[str, ...]  # A, by name
    trend: Trend  # (A, P)


# -- written, a look at the outbox after the other ---------------------------------------------------------------


def add(connection: sqlite3.Connection, pieces: Iterable[Piece]) -> None:
    """Write what was found of the outbox."""
    series: dict[score_store.Line, _Numbers] = {}
    rows = []
    for each in pieces:
        if each.line not in series:
            series[each.line] = _Numbers(connection, each.line)
        rows.append((series[each.line].of(each.stream), each.span, each.rows.tobytes()))
    connection.executemany(
        "INSERT INTO piece (series, span, data, checksum) VALUES (?, ?, ?, ?)",
        [(*row, checksum(*row)) for row in rows],
    )


class _Numbers:
    """The numbers of the series of a line, by asset."""

    def __init__(self, connection: sqlite3.Connection, line: score_store.Line) -> None:
        self._connection = connection
        self._line = score_store.line(connection, line)
        query = "SELECT stream, id FROM series WHERE line = ?"
        self._known: dict[str, int] = dict(connection.execute(query, (self._line,)).fetchall())

    def of(self, stream: str) -> int:
        """The number of an asset's series, which is a new one where there is none."""
        if stream not in self._known:
            (number,) = self._connection.execute("SELECT coalesce(max(id), 0) + 1 FROM series").fetchone()
            row = number, stream, self._line
            put = "INSERT INTO series (id, stream, line, checksum) VALUES (?, ?, ?, ?)"
            self._connection.execute(put, (*row, checksum(*row)))
            self._known[stream] = number
        return self._known[stream]


def due(connection: sqlite3.Connection, limit: int) -> list[tuple[int, int]]:
    """Spans that are over, each with its series; the oldest first. Rows that come late make theirs due again.

    One that does not go on (its asset is silent, or has another model) is over an hour behind the newest of all.
    """
    return connection.execute(DUE, (limit,)).fetchall()


def sealed(connection: sqlite3.Connection, series: int, span: int) -> list[Entry]:
    """What becomes of a span with all its pieces. Raises DamageError."""
    (found,) = all_series(connection, "WHERE s.id = ?", series)
    there = _entries(connection, found, Part.ROWS, span, span + 1)
    rows = history.together([*there, _pieces(connection, found, span, span + 1)])
    made = [Entry(Part.ROWS, series, span, packed(Part.ROWS, rows))]
    hour, day = span // HOUR * HOUR, span // DAY * DAY
    for minutes, hours, each in (
        (Part.MINUTES, Part.HOURS, history.scores_of(rows)),
        (Part.SENSOR_MINUTES, Part.SENSOR_HOURS, history.sensors_of(rows)),
    ):
        ten = history.fold(each, each["time"] // MINUTE * MINUTE)
        of_hour = _renewed(connection, found, minutes, hour, ten)
        whole = history.fold(of_hour, of_hour["time"] // HOUR * HOUR)
        of_day = _renewed(connection, found, hours, day, whole)
        made += [
            Entry(minutes, series, hour, packed(minutes, of_hour)),
            Entry(hours, series, day, packed(hours, of_day)),
        ]
    return made


def seal(connection: sqlite3.Connection, series: int, span: int, entries: Sequence[Entry]) -> None:
    """Write entries in the place of the pieces that they were made of."""
    connection.execute("DELETE FROM piece WHERE series = ? AND span = ?", (series, span))
    write(connection, entries)


def write(connection: sqlite3.Connection, entries: Iterable[Entry]) -> None:
    """Write entries, each in the place of the one before."""
    connection.executemany(
        "INSERT INTO history (part, series, start, data, checksum) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (part, series, start) DO UPDATE SET data = excluded.data, checksum = excluded.checksum",
        [(*entry, checksum(*entry)) for entry in entries],
    )


def _renewed(connection: sqlite3.Connection, series: Series, part: Part, start: int, by: Records) -> Records:
    """The records of an entry, with others in the place of those of the same times."""
    before = _entries(connection, series, part, start, start + 1)
    return history.renewed(before[0], by) if before else by


# -- kept within bounds ------------------------------------------------------------------------------------------


def forget(connection: sqlite3.Connection, *, rows_before: int, before: int, limit: int) -> int:
    """Delete what ended before an event time, at most so many entries: rows, and what they come to; how many."""
    gone = connection.execute("DELETE FROM piece WHERE span <= ?", (rows_before - SPAN,)).rowcount
    for part, length in LENGTH.items():
        start = (rows_before if part is Part.ROWS else before) - length
        gone += connection.execute(OLD, (part, start, limit - gone)).rowcount if gone < limit else 0
    if gone < limit:
        connection.execute(EMPTY)
    return gone


def oldest(connection: sqlite3.Connection) -> int | None:
    """Where the oldest entry or piece begins; None where there is none."""
    query = "SELECT min(start) FROM history WHERE part = ?"
    found = [connection.execute(query, (part,)).fetchone()[0] for part in Part]
    found += connection.execute("SELECT min(span) FROM piece").fetchone()
    return min((start for start in found if start is not None), default=None)


# -- read --------------------------------------------------------------------------------------------------------


def asset(
    connection: sqlite3.Connection, name: str, start: int, end: int, points: int, tail_rows: int
) -> AssetHistory:
    """An asset from one event time to another, in at most so many points. Raises DamageError.

    Rows that were not taken yet are in it, of some `tail_rows` that are looked through.
    """
    found = all_series(connection, "WHERE s.stream = ?", name)
    position, newest = _tail(connection, name, tail_rows)
    chart = history.grid(start, end, points)
    if chart.width < MINUTE and not all(_has_rows(connection, each, chart) for each in found):
        chart = history.grid(start, end, points, MINUTE)
    named = [each.line[2] for each in reversed(newest)] + [each.sensors for each in reversed(found)]
    sensors = tuple(dict.fromkeys(sensor for each in named for sensor in each))
    scores, values = [np.empty(0, SCORES)], [np.empty(0, history.sensors_type(len(sensors)))]
    span = chart.first, chart.end
    for each in found:
        rows = _pieces(connection, each, *span)
        of_sensors: list[Records] = []
        if chart.width < MINUTE:
            rows = history.together([*_entries(connection, each, Part.ROWS, *span), rows])
        else:
            part, sensor_part = _parts(chart)
            scores += _entries(connection, each, part, *span)
            of_sensors = _entries(connection, each, sensor_part, *span)
        scores.append(history.scores_of(rows))
        values += [history.placed(part, each.sensors, sensors) for part in (*of_sensors, history.sensors_of(rows))]
    for piece in newest:
        scores.append(history.scores_of(piece.rows))
        values.append(history.placed(history.sensors_of(piece.rows), piece.line[2], sensors))
    trend = history.trend(np.concatenate(scores), chart)
    return AssetHistory(position, chart, trend, sensors, history.readings(np.concatenate(values), chart))


def _tail(connection: sqlite3.Connection, name: str, limit: int) -> tuple[int, list[Piece]]:
    """The rows of an asset that are not in the history yet, of so many of all; and up to which position."""
    position, looked = outbox_store.position(connection, SINK), 0
    own: list[StoredScores] = []
    query = f"{score_store.BATCHES} WHERE b.id > ? ORDER BY b.id"
    with closing(connection.execute(query, (position,))) as batches:
        for row in batches:
            if looked >= limit:
                break
            each = score_store.read(row)
            position, looked = each.position, looked + len(each.streams)
            if name in each.streams:
                own.append(each.where(np.array([stream == name for stream in each.streams], np.bool_)))
    return position, list(history.pieces(own))


def begins(connection: sqlite3.Connection, name: str, tail_rows: int) -> int | None:
    """Where the history of an asset begins, or its rows that were not taken yet; None where there is nothing."""
    oldest_minutes = f"{ENTRIES} ORDER BY start LIMIT 1"
    oldest_pieces = f"{PIECES} WHERE series = ?1 AND span = (SELECT min(span) FROM piece WHERE series = ?1)"  # noqa: S608
    times: list[int] = []
    for series in all_series(connection, "WHERE s.stream = ?", name):
        entries = connection.execute(oldest_minutes, (Part.MINUTES, series.id))
        of_entries = [np.frombuffer(data, SCORES) for (data,) in checked(entries, "an entry of the history")]
        pieces, kind = connection.execute(oldest_pieces, (series.id,)), history.rows_type(len(series.sensors))
        of_pieces = [np.frombuffer(data, kind) for (data,) in checked(pieces, "a piece of the history")]
        times += [int(each["time"].min()) for each in (*of_entries, *of_pieces) if len(each)]
    if not times:
        times = [int(each.rows["time"][0]) for each in _tail(connection, name, tail_rows)[1]]
    return min(times, default=None)


def trends(connection: sqlite3.Connection, start: int, end: int, points: int) -> Trends:
    """The scores of all assets, in at most so many points, of a minute at the least. Raises DamageError."""
    chart = history.grid(start, end, points, MINUTE)
    part, _ = _parts(chart)
    found = all_series(connection)
    assets = {name: number for number, name in enumerate(sorted({each.stream for each in found}))}
    packed: list[bytes] = []  # of each series
    for each in found:
        rows = history.scores_of(_pieces(connection, each, chart.first, chart.end))
        packed.append(b"".join([*_packed_entries(connection, each, part, chart.first, chart.end), rows.tobytes()]))
    number = np.repeat(
        np.array([assets[each.stream] for each in found], np.int64),
        np.array([len(each) // SCORES.itemsize for each in packed], np.int64),
    )
    scores = np.frombuffer(b"".join(packed), SCORES)
    return Trends(
        outbox_store.position(connection, SINK),
        chart,
        tuple(assets),
        history.trends(scores, number, len(assets), chart),
    )


def _parts(chart: Grid) -> tuple[Part, Part]:
    """Of what a chart is made: scores and sensors."""
    return (Part.HOURS, Part.SENSOR_HOURS) if chart.width >= HOUR else (Part.MINUTES, Part.SENSOR_MINUTES)


def _has_rows(connection: sqlite3.Connection, series: Series, chart: Grid) -> bool:
    """Whether the rows that a chart is of are still there: where minutes begin before all rows, some are not."""
    query = "SELECT min(start) FROM history WHERE part = ? AND series = ? AND start > ? AND start < ?"
    first = chart.first - HOUR, chart.end
    (minutes,) = connection.execute(query, (Part.MINUTES, series.id, *first)).fetchone()
    (rows,) = connection.execute(query, (Part.ROWS, series.id, *first)).fetchone()
    return minutes is None or (
        rows is not None and rows // HOUR * HOUR <= max(minutes, chart.first // HOUR * HOUR)
    )


def all_series(connection: sqlite3.Connection, where: str = "", *values: object) -> list[Series]:
    """The series, in the order in which they came up: all, or those of a condition. Raises DamageError."""
    rows = checked(connection.execute(f"{SERIES} {where} ORDER BY s.id", values), "a series")
    return [Series(number, stream, tuple(msgspec.json.decode(sensors))) for number, stream, sensors in rows]


def _pieces(connection: sqlite3.Connection, series: Series, first: int, end: int) -> Records:
    """The rows of the pieces whose spans reach into a range of time."""
    query = f"{PIECES} WHERE series = ? AND span > ? AND span < ? ORDER BY id"
    rows = connection.execute(query, (series.id, first - SPAN, end)).fetchall()
    kind = history.rows_type(len(series.sensors))
    parts = [np.frombuffer(data, kind) for (data,) in checked(rows, "a piece of the history")]
    return history.together(parts) if parts else np.empty(0, kind)


def _packed_entries(
    connection: sqlite3.Connection, series: Series, part: Part, first: int, end: int
) -> Iterator[bytes]:
    """The data of the entries that reach into a range of time, in its order."""
    query = f"{ENTRIES} AND start > ? AND start < ? ORDER BY start"
    rows = connection.execute(query, (part, series.id, first - LENGTH[part], end)).fetchall()
    return (data for (data,) in checked(rows, "an entry of the history"))


def _entries(connection: sqlite3.Connection, series: Series, part: Part, first: int, end: int) -> list[Records]:
    return [
        unpacked(part, each, len(series.sensors)) for each in _packed_entries(connection, series, part, first, end)
    ]


# Scores lie as they are: a look at the fleet reads them of all assets. What has a sensor's values is crushed.
def packed(part: Part, records: Records) -> bytes:
    """The data of an entry."""
    return records.tobytes() if part in (Part.MINUTES, Part.HOURS) else history.crushed(records)


def unpacked(part: Part, data: bytes, sensors: int) -> Records:
    """The records of an entry."""
    if part in (Part.MINUTES, Part.HOURS):
        return np.frombuffer(data, SCORES)
    kind = history.rows_type if part is Part.ROWS else history.sensors_type
    return history.uncrushed(data, kind(sensors))
