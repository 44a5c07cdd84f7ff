"""The store: what a score row costs, and what a look at the page reads.

Rows: records are written as the line does it, and by plain sqlite3 as table rows with executemany, a transaction a
record. Both begin with the arrays of a record; the plain rows have no index, and their sensors are one BLOB, which
is cheaper than a column each. Time is the process's own.

Page: the store holds a hundred assets with thirty days of minutes and a day at 1 Hz, the table beside it as many
minutes with (stream, time) as their key. The page shows the trends of all assets over thirty days, and one asset
with its sensors over the last day; of the table the minutes of the same thirty days are counted, and the rows of
that day.
"""

from __future__ import annotations

import gc
import shutil
import sqlite3
import tempfile
import time
from contextlib import closing, contextmanager
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.speed.figures import Figure
from monitor import history, history_store, schema
from monitor.history import DAY, HOUR, MINUTE, SPAN
from monitor.history_store import Entry, Part, packed
from monitor.records import Scores, Status, StepResult, StoredScores
from monitor.store import Store
from simulator.records import SENSORS as ENGINE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from monitor.history import Records
    from monitor.records import Float32

SENSORS = tuple(ENGINE)
NOW = 1_760_000_400_000 // DAY * DAY  # ms
RECORDS = {2_000: 40, 100: 340, 3: 3_000}  # rows of one: how many of them
ASSETS, DAYS = 100, 30
SPARKS, POINTS = 120, 600  # points of a trend, and of the chart of an asset
PLAIN = "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
UNSAFE = "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;"  # what is made for a look, and thrown away
ROWS = "CREATE TABLE row (stream, time, status, score, threshold, regime, sensors);"
ADD = "INSERT INTO row VALUES (?, ?, ?, ?, ?, ?, ?)"

STREAMS = [f"plant/hall/engine-{number:03d}" for number in range(ASSETS)]
ONE = 7  # the asset that is looked at
TABLE = (
    "CREATE TABLE {} (stream INTEGER, time INTEGER, low REAL, mean REAL, high REAL, PRIMARY KEY (stream, time))"
    " WITHOUT ROWID;"
)
FILL = (
    "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
    " INSERT INTO {} SELECT ?, ? + i * ?, 0.1, 0.2, 0.3 FROM n"
)
COUNT_ALL = "SELECT count(*) FROM minute WHERE time >= ? AND time < ?"
COUNT_ONE = "SELECT count(*) FROM second WHERE stream = ? AND time >= ? AND time < ?"


@contextmanager
def _folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="enginewatch-store-"))
    try:
        yield made
    finally:
        shutil.rmtree(made)


def _seconds(what: Callable[[], object], clock: Callable[[], float] = time.process_time) -> float:
    gc.collect()
    begun = clock()
    what()
    return clock() - begun


# -- rows ----------------------------------------------------------------------------------------------------


def batch(rows: int, second: int) -> StoredScores:
    """A score row each of so many assets."""
    random = np.random.default_rng(second)
    moment = np.full(rows, NOW + 2_000 * second)  # (B,)

    def sensors() -> Float32:
        return random.normal(size=(rows, len(SENSORS))).astype(np.float32)

    scores = Scores(
        stream=np.arange(rows, dtype=np.int32),
        tick=moment // 2_000,
        status=np.zeros(rows, np.uint8),
        score=random.random(rows, np.float32),
        threshold=np.ones(rows, np.float32),
        contribution=sensors(),
        expected=sensors(),
        actual=sensors(),
        regime=np.zeros(rows, np.uint8),
    )
    streams = [f"plant/hall/engine-{number:04d}" for number in range(rows)]
    return StoredScores(0, "engine", "engine", SENSORS, streams, moment, scores)


def _write(path: Path, results: list[StepResult], *, folded: bool) -> float:
    with closing(Store(path)) as store:

        def work() -> None:
            for position, result in enumerate(results, 1):
                store.write(position, result)
            if folded:
                store.fold()

        return _seconds(work)


def _insert(path: Path, results: list[StepResult], *, keyed: bool) -> float:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(f"{PLAIN} {ROWS}")
        if keyed:
            connection.execute("CREATE UNIQUE INDEX by_asset ON row (stream, time)")

        def work() -> None:
            for result in results:
                connection.execute("BEGIN")
                for each in result.scores:
                    connection.executemany(ADD, _table_rows(each))
                connection.execute("COMMIT")

        return _seconds(work)


def _table_rows(each: StoredScores) -> Iterator[tuple[object, ...]]:
    rows = each.rows
    sensors = np.hstack([rows.actual, rows.expected, rows.contribution]).tobytes()
    size = len(sensors) // len(each.streams)
    return zip(
        each.streams,
        each.time.tolist(),
        rows.status.tolist(),
        rows.score.tolist(),
        rows.threshold.tolist(),
        rows.regime.tolist(),
        [sensors[at : at + size] for at in range(0, len(sensors), size)],
        strict=True,
    )


def _row_pairs(rows: int, *, folded: bool = False) -> Callable[[int], Iterator[tuple[float, float]]]:
    def pairs(repeats: int) -> Iterator[tuple[float, float]]:
        results = [StepResult([batch(rows, second)], [], []) for second in range(RECORDS[rows])]
        for _ in range(repeats):
            with _folder() as folder:
                ours = _write(folder / "store.db", results, folded=folded)
                plain = _insert(folder / "plain.db", results, keyed=folded)
            yield rows * len(results) / ours, rows * len(results) / plain

    return pairs


# -- the page ------------------------------------------------------------------------------------------------


def _a_day(now: int) -> Records:
    """The day before of one asset at 1 Hz: slow cycles with noise, to the digits that sensors have."""
    random, count = np.random.default_rng(7), DAY // 1000
    rows = np.empty(count, history.rows_type(len(SENSORS)))
    rows["time"], rows["status"] = now - DAY + 1000 * np.arange(count), Status.SCORED
    rows["score"], rows["threshold"] = random.gamma(2, 0.2, count), 1.5
    cycle = np.sin(np.arange(count)[:, None] / random.integers(200, 4000, len(SENSORS)))
    rows["expected"] = 50 + 20 * cycle
    rows["actual"] = (50 + 20 * cycle + random.normal(0, 0.5, cycle.shape)).round(2)
    return rows


def _entries(rows: Records, now: int) -> Iterator[tuple[Part, int, bytes]]:
    """What the history of an asset holds after thirty such days, of the last one the rows: part, start, data."""
    start = rows["time"] // SPAN * SPAN
    for span in range(now - DAY, now, SPAN):
        yield Part.ROWS, span, packed(Part.ROWS, rows[start == span])
    for parts, each in (
        ((Part.MINUTES, Part.HOURS), history.scores_of(rows)),
        ((Part.SENSOR_MINUTES, Part.SENSOR_HOURS), history.sensors_of(rows)),
    ):
        minutes = history.fold(each, each["time"] // MINUTE * MINUTE)
        hours = history.fold(minutes, minutes["time"] // HOUR * HOUR)
        for back in range(DAYS):
            for part, of_day, length in ((parts[0], minutes, HOUR), (parts[1], hours, DAY)):
                shifted = of_day.copy()
                shifted["time"] -= back * DAY
                for first in range(now - (back + 1) * DAY, now - back * DAY, length):
                    inside = (shifted["time"] >= first) & (shifted["time"] < first + length)
                    yield part, first, packed(part, shifted[inside])


def fill(path: Path, now: int = NOW) -> None:
    """A store with the same history for each of the assets, thirty days up to an hour."""
    with closing(schema.connect(path)) as connection:
        connection.executescript(f"{UNSAFE} BEGIN;")
        line, empty = ("engine", "engine", SENSORS), np.empty(0, history.rows_type(len(SENSORS)))
        history_store.add(connection, [history.Piece(line, name, now, empty) for name in STREAMS])
        connection.execute("DELETE FROM piece")
        numbers = [each.id for each in history_store.all_series(connection)]
        for part, start, data in sorted(
            _entries(_a_day(now), now), key=itemgetter(1)
        ):  # as they come: all assets at a time
            history_store.write(connection, [Entry(part, number, start, data) for number in numbers])
        connection.execute("COMMIT")


def _fill_plain(path: Path) -> None:
    """The minutes of all assets, and the rows of one, as plain rows."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(f"{UNSAFE} {TABLE.format('minute')} {TABLE.format('second')} BEGIN;")
        for asset in range(ASSETS):
            connection.execute(FILL.format("minute"), (DAYS * 1440 - 1, asset, NOW - DAYS * DAY, MINUTE))
        connection.execute(FILL.format("second"), (86_399, ONE, NOW - DAY, 1000))
        connection.execute("COMMIT")


def _page_pairs(repeats: int) -> Iterator[tuple[float, float]]:
    with _folder() as folder:
        fill(folder / "store.db")
        _fill_plain(folder / "plain.db")
        with (
            closing(Store(folder / "store.db")) as store,
            closing(sqlite3.connect(folder / "plain.db")) as connection,
        ):

            def look() -> None:
                store.trends(NOW - DAYS * DAY, NOW, SPARKS)
                store.asset_history(STREAMS[ONE], NOW - DAY, NOW, POINTS)

            def count() -> None:
                connection.execute(COUNT_ALL, (NOW - DAYS * DAY, NOW)).fetchone()
                connection.execute(COUNT_ONE, (ONE, NOW - DAY, NOW)).fetchone()

            look()
            count()
            for _ in range(repeats):
                yield 1000 * _seconds(look), 1000 * _seconds(count)


FIGURES: tuple[Figure, ...] = (
    Figure(
        "store rows",
        "score rows written by the line, 2,000 in a record",
        "the same as plain rows, sqlite3 executemany, a transaction a record",
        "rows/s of a core",
        _row_pairs(2_000),
        bar=0.5,
        aim=0.8,
    ),
    Figure(
        "store rows, 3 a record",
        "score rows written by the line, 3 in a record",
        "the same as plain rows, sqlite3 executemany, a transaction a record",
        "rows/s of a core",
        _row_pairs(3),
        bar=0.5,
        aim=0.8,
    ),
    Figure(
        "store rows with history",
        "score rows written, 100 in a record, and then taken into the history of their assets",
        "the same as plain rows with an index by asset and time",
        "rows/s of a core",
        _row_pairs(100, folded=True),
    ),
    Figure(
        "page query",
        "trends of 100 assets over 30 days and one asset with its sensors over a day",
        "SELECT count(*) of their minutes in 30 days and of its rows in a day",
        "ms",
        _page_pairs,
        more_is_better=False,
        bar=5.0,
        aim=2.0,
    ),
)
