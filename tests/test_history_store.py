"""The history in the store: by asset and time, what the rows come to, whenever it was interrupted."""

from __future__ import annotations

import itertools
import shutil
import sqlite3
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor import history
from monitor.history import DAY, HOUR, MINUTE, SPAN
from monitor.history_store import SINK, Part
from monitor.mend import mend
from monitor.schema import StoreError
from monitor.store import Store
from tests.history_samples import same
from tests.store_samples import PUMP, START, batch, result

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from monitor.records import StoredScores

EVERYTHING = 1 << 40  # bytes
ASSETS = ("plant//a", "plant//b", "plant//c")
CONTENTS = "SELECT part, s.stream, start, data FROM history h JOIN series s ON s.id = h.series ORDER BY 1, 2, 3"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "store.db")
    yield made
    made.close()


def some(seed: int, seconds: Sequence[int], assets: Sequence[str] = ASSETS) -> StoredScores:
    """A batch with a row of every asset at each of these seconds after START, all values by chance."""
    made = batch(*((asset, second) for second in seconds for asset in assets))
    random = np.random.default_rng(seed)
    for name in ("score", "threshold", "actual", "expected"):
        values = getattr(made.rows, name)
        values[...] = np.where(random.random(values.shape) < 0.1, np.nan, random.normal(50, 9, values.shape))
    return made


def hours(seed: int = 0, count: int = 60, step: int = 97) -> list[StoredScores]:
    """Records over some hours."""
    return [some(seed + number, [number * step, number * step + 40]) for number in range(count)]


def write(store: Store, batches: Sequence[StoredScores]) -> None:
    for each in batches:
        store.write(store.written + 1, result([each]))


def of(asset: str, batches: Sequence[StoredScores]) -> history.Records:
    """The rows of an asset, by hand."""
    found: list[Any] = []
    for each in batches:
        for row, stream in enumerate(each.streams):
            if stream == asset:
                values = (getattr(each.rows, name)[row] for name in ("status", "score", "threshold"))
                sensors = (tuple(getattr(each.rows, name)[row]) for name in ("actual", "expected"))
                found.append((each.time[row], *values, *sensors))
    return np.array(sorted(found, key=lambda row: row[0]), history.rows_type(2))


def check(store: Store, batches: Sequence[StoredScores], start: int, end: int, points: int) -> None:
    """Whether all assets are told as their rows are, on a chart of this range."""
    trends = store.trends(start, end, points)
    assert trends.assets == ASSETS
    for number, asset in enumerate(ASSETS):
        own = of(asset, batches)
        found = store.asset_history(asset, start, end, points)
        assert found.chart.points <= points
        assert found.sensors == ("load", "flow")
        for said, meant in (
            (found.trend, history.trend(history.scores_of(own), found.chart)),
            (found.readings, history.readings(history.sensors_of(own), found.chart)),
            (
                [each[number] for each in trends.trend],
                history.trend(history.scores_of(own), trends.chart),
            ),
        ):
            for one, other in zip(said, meant, strict=True):
                same(one, other)


RANGES = [
    (START, START + 60_000, 600),  # row by row
    (START + 500_000, START + 2_500_000, 100),
    (START - HOUR, START + 2 * HOUR, 100),  # minutes
    (START - 30 * DAY, START + 3 * HOUR, 120),  # hours
    (START + 10 * DAY, START + 11 * DAY, 50),  # nothing
]


@pytest.mark.parametrize(("start", "end", "points"), RANGES)
def test_a_chart_is_what_the_rows_come_to(store: Store, start: int, end: int, points: int) -> None:
    """As they stand in the batches: of spans that are over, and of the ones that go on."""
    batches = hours()
    write(store, batches[:25])
    assert store.fold()
    write(store, batches[25:])
    assert store.fold()
    assert store.position(SINK) == store.heads()[0] == len(batches)
    check(store, batches, start, end, points)


def test_what_is_newer_is_behind_its_position(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a page which goes on from there misses nothing and has nothing twice.

    An asset is told of up to its newest row, taken into the history or not, as far as that is bounded.
    """
    batches = hours()
    write(store, batches[:30])
    store.fold()
    write(store, batches[30:])
    assert store.trends(START, START + DAY, 50).position == 30
    check_asset(store, batches, 60)
    monkeypatch.setattr("monitor.store.TAIL_ROWS", 12)
    check_asset(store, batches, 32)  # of six rows each: what goes beyond the bound begins no further one


def check_asset(store: Store, batches: Sequence[StoredScores], position: int) -> None:
    """Whether an asset is told as its rows up to a position are."""
    found = store.asset_history(ASSETS[0], START, START + DAY, 50)
    assert found.position == position
    own = of(ASSETS[0], batches[:position])
    meant = (
        history.trend(history.scores_of(own), found.chart),
        history.readings(history.sensors_of(own), found.chart),
    )
    for one, other in zip((*found.trend, *found.readings), itertools.chain(*meant), strict=True):
        same(one, other)
    newer = sum(len(of(ASSETS[0], [each])) for each in store.scores_after(found.position, 10_000))
    assert found.trend.rows.sum() + newer == len(of(ASSETS[0], batches))


def test_of_an_asset_that_nobody_knows_there_is_nothing(store: Store) -> None:
    found = store.asset_history("plant//nobody", START, START + DAY, 100)
    assert (found.sensors, found.readings.mean.shape) == ((), (found.chart.points, 0))
    assert found.trend.rows.sum() == 0
    assert store.trends(START, START + DAY, 100).assets == ()


def contents(store: Store) -> list[tuple[object, ...]]:
    """What the history holds, to the bit."""
    assert store.fold()
    return store._connection.execute(CONTENTS).fetchall()


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(commit=st.integers(0, 300), rows_at_once=st.integers(1, 60), folds=st.sets(st.integers(0, 59), max_size=6))
def test_killed_at_any_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, commit: int, rows_at_once: int, folds: set[int]
) -> None:
    """Whatever was written when it died, and however much was taken at once: the history comes out the same."""
    folder = tmp_path / str(len(list(tmp_path.iterdir())))
    folder.mkdir()
    batches = hours()
    whole = Store(folder / "whole.db")
    write(whole, batches)
    expected = contents(whole)
    whole.close()
    monkeypatch.setattr("monitor.store.FOLDED_AT_ONCE", rows_at_once)
    store = Store(folder / "store.db")
    copied = _copied_after_a_commit(store, folder, commit, monkeypatch)
    for number, each in enumerate(batches):
        write(store, [each])
        if number in folds:
            store.fold()
    store.fold()
    store.close()
    monkeypatch.undo()
    killed = Store(copied if copied.exists() else folder / "store.db")
    write(killed, batches[killed.written :])
    assert contents(killed) == expected
    check(killed, batches, START, START + HOUR, 30)
    killed.close()


def _copied_after_a_commit(store: Store, folder: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the store is to be found as it was after a commit, as a kill would leave it; if it gets so far."""
    copy, commits, transaction = folder / "killed.db", itertools.count(), store._transaction

    @contextmanager
    def counted() -> Iterator[sqlite3.Connection]:
        with transaction() as connection:
            yield connection
        if next(commits) == number:
            for end in ("", "-wal"):
                shutil.copy(folder / f"store.db{end}", f"{copy}{end}")

    monkeypatch.setattr(store, "_transaction", counted)
    return copy


def test_a_little_at_a_time_comes_to_the_same(store: Store, tmp_path: Path) -> None:
    batches = hours()
    write(store, batches)
    turns = 0
    while not store.fold(0.0):
        turns += 1
    assert turns > 1
    other = Store(tmp_path / "other.db")
    write(other, batches)
    assert contents(store) == contents(other)
    other.close()


def test_rows_that_come_late_are_taken_in(store: Store) -> None:
    """A span that was over gets them all the same, and so do its minutes and hours."""
    batches = hours()
    held_back = batches[3:9]
    write(store, batches[:3] + batches[9:])
    store.fold()
    write(store, held_back)
    store.fold()
    check(store, batches, START, START + 2 * HOUR, 60)
    check(store, batches, START, START + 600_000, 600)


def test_rows_that_are_stored_again_are_no_more(store: Store) -> None:
    """As after damage, when records are taken once more: those of spans that are over, and of ones that go on."""
    batches = hours()
    write(store, batches)
    before = contents(store)
    write(store, batches[2:5] + batches[-3:])
    assert contents(store) == before
    check(store, batches, START, START + 2 * HOUR, 60)


def test_an_asset_under_another_model_and_with_other_sensors(store: Store) -> None:
    """One history: in the minute of the change as well; a sensor that came later is missing before."""
    before = some(1, [0, 10, 20], [PUMP])
    after = replace(some(2, [30, 40], [PUMP]), model="newer", sensors=("flow", "speed"))
    write(store, [before, after])
    store.fold()
    minute = START // MINUTE * MINUTE
    found = store.asset_history(PUMP, minute, minute + 4 * MINUTE, 5)
    assert found.chart.width == MINUTE
    assert found.sensors == ("flow", "speed", "load")
    assert found.trend.rows.sum() == 5
    measured = found.readings.measured.sum(axis=0)
    flow = np.concatenate([before.rows.actual[:, 1], after.rows.actual[:, 0]])
    there = [flow, after.rows.actual[:, 1], before.rows.actual[:, 0]]
    assert measured.tolist() == [int((~np.isnan(each)).sum()) for each in there]
    assert store.trends(START, START + 4 * MINUTE, 5).assets == (PUMP,)


# -- kept within bounds -----------------------------------------------------------------------------------------


def test_rows_go_and_minutes_stay(store: Store) -> None:
    """A chart of rows that are gone is one of minutes; after the days of the history these go as well."""
    batches = hours()
    write(store, batches)
    store.fold()
    end = START // SPAN * SPAN + 6 * SPAN
    store.prune([SINK], before=end, max_bytes=EVERYTHING)
    fine = store.asset_history(ASSETS[0], end, end + MINUTE, 100)
    assert fine.chart.width < MINUTE
    check(store, batches, START, START + 30 * MINUTE, 600)
    assert store.asset_history(ASSETS[0], START, START + 30 * MINUTE, 600).chart.width == MINUTE
    store.prune([SINK], before=START + 10 * DAY, minutes_before=START + 10 * DAY, max_bytes=EVERYTHING)
    assert contents(store) == []
    assert store.trends(START, START + DAY, 10).assets == ()  # nor are there names


def test_rows_that_come_when_others_of_their_span_are_gone(store: Store) -> None:
    """The minutes of those stay as they were."""
    first, held_back, last = some(1, [0, 10, 20, 30]), some(2, [300, 310]), some(3, [5000])
    write(store, [first, last])
    store.fold()
    store.prune([], before=START + 2000 * 1000, max_bytes=EVERYTHING)
    write(store, [held_back])
    store.fold()
    check(store, [first, held_back, last], START, START + 2 * HOUR, 121)


def test_rows_stay_until_the_history_has_them(store: Store) -> None:
    write(store, hours())
    store.prune([SINK], before=START + DAY, max_bytes=EVERYTHING)
    assert len(store.scores_after(0, 10_000)) == 60
    store.fold()
    store.prune([SINK], before=START + DAY, minutes_before=START - DAY, max_bytes=EVERYTHING)
    assert store.scores_after(0, 10_000) == []


def test_over_the_budget_the_history_goes_before_rows_that_were_not_sent(store: Store) -> None:
    """Rows that were sent first, then the oldest of the history, and then what is counted."""
    write(store, [some(day, [day * 86_400 + second for second in range(200)]) for day in range(250)])
    store.fold()
    store.advance("influx", 100)
    sent = store.bytes_used()
    pruned = store.prune([SINK, "influx"], before=START - DAY, max_bytes=sent - 1)
    assert pruned.given_up == 0
    assert store.scores_after(0, 1)[0].position == 101
    oldest = START // SPAN * SPAN
    first = "SELECT min(start) FROM history WHERE part = ?"
    assert store._connection.execute(first, (Part.ROWS,)).fetchone() == (oldest,)
    less = store.bytes_used() - 1
    pruned = store.prune([SINK, "influx"], before=START - DAY, max_bytes=less)
    assert pruned.given_up == 0
    assert store.scores_after(0, 1)[0].position == 101
    assert store._connection.execute(first, (Part.ROWS,)).fetchone() > (oldest,)
    pruned = store.prune([SINK, "influx"], before=START - DAY, max_bytes=1)
    assert contents(store) == []
    assert pruned.given_up == 150 * 600


def test_little_is_forgotten_at_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    write(store, hours())
    store.fold()
    monkeypatch.setattr("monitor.store.FORGOTTEN_AT_ONCE", 3)
    turns = 1
    while not store.prune(
        [], before=START + DAY, minutes_before=START + 9 * DAY, max_bytes=EVERYTHING, seconds=0.0
    ).done:
        turns += 1
    assert turns > 10
    assert contents(store) == []


# -- damage -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE history SET data = zeroblob(length(data)) WHERE part = 1 AND series = 2",
        "UPDATE history SET start = start + 1 WHERE id = 1",
        "UPDATE piece SET data = zeroblob(length(data)) WHERE id = (SELECT min(id) FROM piece)",
        "UPDATE series SET stream = 'plant//x' WHERE stream = 'plant//a'",
        "UPDATE line SET sensors = '[]'",
    ],
)
def test_damage_costs_what_it_hit(tmp_path: Path, change: str) -> None:
    """It is never told as history: who reads says so, the next start leaves it out, and the rest goes on."""

    def look() -> int:
        """Everything is looked at; how many rows there are."""
        with closing(Store(tmp_path / "store.db")) as store:
            for asset in (*ASSETS, "plant//x"):
                store.asset_history(asset, START, START + 2 * HOUR, 500)
            return int(store.trends(START, START + 2 * HOUR, 121).trend.rows.sum())

    with closing(Store(tmp_path / "store.db")) as store:
        write(store, hours())
        store.fold()
    assert look() == 360
    with closing(sqlite3.connect(tmp_path / "store.db")) as connection:
        connection.execute(change)
        connection.commit()
    with pytest.raises(StoreError, match="not what was written"):
        look()
    mend(tmp_path)
    assert look() < 360 or "start + 1" in change  # what was lost there are the rows themselves
    with closing(Store(tmp_path / "store.db")) as store:
        write(store, hours(7, 10, 4000))
        assert store.fold()
        for table in ("piece", "history"):
            query = f"SELECT count(*) FROM {table} WHERE series NOT IN (SELECT id FROM series)"  # noqa: S608
            assert store._connection.execute(query).fetchone() == (0,)
    look()


def test_of_a_store_without_a_page_the_rest_of_the_history_stays(tmp_path: Path) -> None:
    """What is in front of the damage and behind it."""
    store = Store(tmp_path / "store.db")
    write(store, hours(count=200))
    before = len(contents(store))
    store.close()
    path = tmp_path / "store.db"
    data = path.read_bytes()
    with closing(sqlite3.connect(path)) as connection:
        (packed,) = connection.execute(
            "SELECT data FROM history WHERE part = 0 ORDER BY id LIMIT 1 OFFSET 20"
        ).fetchone()
    where = data.index(packed[:200])
    where -= where % 4096
    path.write_bytes(data[:where] + bytes(4096) + data[where + 4096 :])
    mend(tmp_path)
    store = Store(path)
    assert 0.5 * before < len(contents(store)) < before
    store.close()


def test_what_an_asset_came_to_before_it_fell_silent_outlives_its_rows(store: Store) -> None:
    """Its last span is over when others are an hour further; then its minutes are there, when the rows are not."""
    silent = [some(1, [10, 20, 30])]
    others = [some(2, [second], ASSETS[1:]) for second in (40, 5_000)]
    write(store, [*silent, *others])
    assert store.fold(10.0)
    before = store.asset_history(ASSETS[0], START, START + HOUR, 60).trend
    store.prune(["history"], before=START + 2 * HOUR, minutes_before=START - DAY, max_bytes=EVERYTHING)
    after = store.asset_history(ASSETS[0], START, START + HOUR, 60).trend
    assert int(before.rows.sum()) == 3
    np.testing.assert_array_equal(after.rows, before.rows)
