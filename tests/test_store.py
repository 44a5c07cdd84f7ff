"""The store: a record's rows, transitions, letters and position are there together, or not at all."""

from __future__ import annotations

import sqlite3
import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest

from monitor.records import Transition
from monitor.schema import StoreError
from monitor.store import GIVEN_UP_AT_ONCE, PRUNED_AT_ONCE, Store
from tests.rig import open_files
from tests.store_samples import PUMP, START, batch, letter, result, same_scores, transition

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EVERYTHING = 1 << 40  # bytes
FIRED, CLEARED = Transition.FIRED, Transition.CLEARED


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "store.db", dead_letters=5)
    yield made
    made.close()


def contents(store: Store) -> tuple[int, int, int, int]:
    """How many rows, transitions and dead letters there are, and the position."""
    rows = sum(len(stored.streams) for stored in store.latest_scores())
    return rows, len(store.events_after(0, 1000)), len(store.dead_letters(1000)), store.written


# -- one record, one transaction --------------------------------------------------------------------------------


def test_what_a_record_brought_about_comes_back(tmp_path: Path, store: Store) -> None:
    """Over a new opening: scores to the bit, transitions, letters, position."""
    rows = batch(("plant//a", 0), ("plant//b", 1), score=0.123456789)
    empty = batch(("plant//a", 2), score=np.nan)
    fired = transition(FIRED)
    store.write(7, result([rows, empty], [fired], [letter(1)]))
    store.close()
    again = Store(tmp_path / "store.db")
    assert again.written == 7
    found = again.scores_after(0, 1000)
    assert [stored.position for stored in found] == [1, 2]
    assert same_scores(found[0], rows)
    assert same_scores(found[1], empty)
    assert again.events_after(0, 10) == [(1, fired)]
    assert again.dead_letters(10) == [letter(1)]
    again.close()


@pytest.mark.parametrize("table", ["line", "score_batch", "event", "incident", "dead_letter", "meta"])
def test_a_write_that_fails_leaves_nothing(store: Store, table: str) -> None:
    """Wherever it fails; and when it is tried again everything is there once, also for those who read by name."""
    store.write(1, result())
    refuse = f"CREATE TRIGGER refuse BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'no room'); END"
    store._connection.execute(refuse)
    record = result([batch((PUMP, 0), asset_class="new")], [transition(FIRED)], [letter(1)])
    with pytest.raises(StoreError, match="no room"):
        store.write(2, record)
    assert contents(store) == (0, 0, 0, 1)
    store._connection.execute("DROP TRIGGER refuse")
    store.write(2, record)
    assert contents(store) == (1, 1, 1, 2)


def test_the_same_record_twice_doubles_nothing(store: Store) -> None:
    record = result([batch((PUMP, 0))], [transition(FIRED)], [letter(1)])
    store.write(3, record)
    store.write(3, record)
    store.write(2, record)
    assert contents(store) == (1, 1, 1, 3)


def test_a_transition_is_kept_once(store: Store) -> None:
    """Its event id is unique, whichever record it comes with: an incident that cleared does not fire again."""
    store.write(1, result(events=[transition(FIRED), transition(CLEARED, 60)]))
    store.write(2, result(events=[transition(FIRED)]))
    assert [event.transition for _, event in store.events_after(0, 10)] == [FIRED, CLEARED]
    assert store.open_incidents(PUMP) == []


# -- incidents --------------------------------------------------------------------------------------------------


def test_an_incident_over_its_life(store: Store) -> None:
    """It is shown as it fired, with the words of its latest transition; comments change nothing but themselves."""

    def state() -> tuple[str, int, str]:
        return store._connection.execute("SELECT state, open, verdict FROM incident").fetchone()  # type: ignore[no-any-return]  # sqlite3 knows no types

    fired = transition(FIRED)
    life = [
        (fired, ("firing", 1, ""), FIRED),
        (transition(Transition.ACKNOWLEDGED, 1, who="me"), ("acknowledged", 1, ""), Transition.ACKNOWLEDGED),
        (transition(Transition.COMMENTED, 2, why="looks bad"), ("acknowledged", 1, ""), Transition.ACKNOWLEDGED),
        (transition(Transition.SHELVED, 3, until=START + 9000), ("shelved", 1, ""), Transition.SHELVED),
        (transition(Transition.UNSHELVED, 9), ("firing", 1, ""), Transition.UNSHELVED),
        (transition(Transition.VERDICT, 10, summary="real"), ("firing", 1, "real"), Transition.UNSHELVED),
        (transition(CLEARED, 11), ("cleared", 0, "real"), CLEARED),
    ]
    for position, (event, expected, shown) in enumerate(life, 1):
        store.write(position, result(events=[event]))
        assert state() == expected
        found = store.incident("i1")
        assert found is not None
        assert (found.transition, found.started, found.score, found.top) == (shown, START, 2.5, fired.top)
        assert store.open_incidents(PUMP) == ([found] if expected[1] else [])
    assert len(store.events_after(0, 100)) == len(life)


def test_what_was_accepted_is_over(store: Store) -> None:
    store.write(1, result(events=[transition(FIRED), transition(Transition.ACCEPTED, 5)]))
    assert store.open_incidents() == []


def test_open_incidents_oldest_first_of_one_asset_or_of_all(store: Store) -> None:
    events = [
        transition(FIRED, 3, incident="late", started=START + 3000),
        transition(FIRED, 0, incident="early", started=START),
        transition(FIRED, 1, incident="other", started=START + 1000, stream="plant//pump-2"),
    ]
    store.write(1, result(events=events))
    assert [event.incident_id for event in store.open_incidents(PUMP)] == ["early", "late"]
    assert [event.incident_id for event in store.open_incidents()] == ["early", "other", "late"]
    assert store.incident("unheard of") is None


def test_latest_transitions(store: Store) -> None:
    """Oldest first, of one asset where it is named, and the position behind everything."""
    events = [transition(FIRED, n, incident=f"i{n}", stream=f"plant//pump-{n % 2}") for n in range(6)]
    store.write(1, result(events=events))
    position, found = store.latest_events(2)
    assert (position, found) == (6, events[4:])
    position, found = store.latest_events(2, "plant//pump-0")
    assert (position, found) == (6, [events[2], events[4]])


# -- dead letters and facts -------------------------------------------------------------------------------------


def test_dead_letters_are_bounded(store: Store) -> None:
    """The latest stay, however they come: many at once or one by one, from the line or from a sink."""
    store.write(1, result(letters=[letter(n) for n in range(20)]))
    assert store.dead_letters(100) == [letter(n) for n in (19, 18, 17, 16, 15)]
    store.add_dead_letters([letter(20), letter(21)])
    store.write(2, result(letters=[letter(22)]))
    assert store.dead_letters(100) == [letter(n) for n in (22, 21, 20, 19, 18)]
    assert store.dead_letters(2) == [letter(22), letter(21)]


def test_an_endless_topic_is_cut(store: Store) -> None:
    long = letter(1)
    store.add_dead_letters([type(long)(long.time, "t" * 60_000, b"", "x", 3)])
    assert [(len(found.topic), found.values) for found in store.dead_letters(1)] == [(512, 3)]


def test_facts_are_kept_by_name(store: Store) -> None:
    store.note({"broker": "gone", "session": "me"})
    store.note({"broker": "connected"})
    store.write(4, result())
    assert store.facts() == {"broker": "connected", "session": "me", "position": "4"}


# -- the outbox -------------------------------------------------------------------------------------------------


def test_outbox_is_read_in_order_from_any_position(store: Store) -> None:
    """About `limit` rows, one batch at the least; a position is what the sink said last, over new openings."""
    for n in range(5):
        rows = tuple((f"plant//{row}", n) for row in range(3))
        store.write(n + 1, result([batch(*rows)], [transition(FIRED, n, incident=f"i{n}")]))
    assert [stored.position for stored in store.scores_after(0, 7)] == [1, 2]
    assert [stored.position for stored in store.scores_after(2, 1)] == [3]
    assert [stored.position for stored in store.scores_after(3, 1000)] == [4, 5]
    assert store.scores_after(5, 1000) == []
    assert [position for position, _ in store.events_after(1, 2)] == [2, 3]
    assert store.position("influx") == 0
    store.advance("influx", 3)
    store.advance("notify", 5)
    assert (store.position("influx"), store.position("notify")) == (3, 5)


def test_sinks_read_while_the_line_writes(store: Store) -> None:
    """From another thread, step by step: every batch once, in order, none by halves."""
    batches, rows = 150, 20
    seen: list[int] = []
    failures: list[BaseException] = []

    def sink() -> None:
        try:
            while len(seen) < batches:
                for stored in store.scores_after(store.position("influx"), 100):
                    assert len(stored.streams) == len(stored.time) == rows
                    seen.append(int(stored.time[0]))
                    store.advance("influx", stored.position)
            store.leave()
        except BaseException as error:  # noqa: BLE001 - told to the test below
            failures.append(error)

    thread = threading.Thread(target=sink)
    thread.start()
    for n in range(batches):
        store.write(n + 1, result([batch(*((f"plant//{row}", n) for row in range(rows)))]))
    thread.join(30)
    assert failures == []
    assert seen == [START + n * 1000 for n in range(batches)]


def test_a_thread_that_leaves_takes_its_connection_along(store: Store) -> None:
    """A thread for every command must not use up the daemon's file descriptors."""
    store.write(1, result())

    def look() -> None:
        store.incident("x")
        store.leave()
        store.leave()  # nothing is left to close

    before = open_files()
    for _ in range(20):
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
    assert open_files() < before + 10  # SQLite itself may keep one for the next to come


# -- to the disk, and within bounds -----------------------------------------------------------------------------


def test_syncing_writes_something(tmp_path: Path, store: Store) -> None:
    """SQLite syncs its log with a commit that has pages to write, and with no other."""
    log = tmp_path / "store.db-wal"
    for position in (1, 2):
        store.write(position, result())
        for _ in range(2):
            before = log.stat().st_size
            store.sync()
            assert log.stat().st_size > before


def test_syncing_waits_for_no_reader(tmp_path: Path, store: Store) -> None:
    """Somebody who looks at an old state of the store does not hold up the line."""
    store.write(1, result([batch((PUMP, 0))]))
    reader = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM score_batch").fetchone()
    store.write(2, result([batch((PUMP, 1))]))
    store._connection.execute("PRAGMA busy_timeout = 0")
    store.sync()
    assert store._connection.execute("PRAGMA synchronous").fetchone() == (1,)  # NORMAL again
    reader.close()
    assert contents(store)[0] == 2


def many(store: Store, count: int) -> None:
    for n in range(count):
        store.write(n + 1, result([batch((PUMP, n))]))


def kept(store: Store) -> list[int]:
    """Seconds after START of the rows that are there, oldest first."""
    return [(int(stored.time[0]) - START) // 1000 for stored in store.scores_after(0, 1_000_000)]


def test_old_rows_go_once_they_are_delivered(store: Store) -> None:
    """Delivered but young stays; old but undelivered stays; with several sinks the slowest counts."""
    many(store, 10)
    store.advance("influx", 6)
    store.advance("other", 4)
    before = START + 8000
    assert store.prune(["influx", "other"], before=before, max_bytes=EVERYTHING).given_up == 0
    assert kept(store) == [4, 5, 6, 7, 8, 9]
    assert store.prune(["influx"], before=before, max_bytes=EVERYTHING).given_up == 0
    assert kept(store) == [6, 7, 8, 9]
    store.prune(["influx", "never heard"], before=before, max_bytes=EVERYTHING)
    assert kept(store) == [6, 7, 8, 9]


def test_without_sinks_only_age_counts(store: Store) -> None:
    many(store, 10)
    assert store.prune([], before=START + 8000, max_bytes=EVERYTHING).given_up == 0
    assert kept(store) == [8, 9]


def test_pruning_keeps_up_with_any_rate(store: Store) -> None:
    """More old batches than one transaction deletes are gone after one call."""
    rows = [batch((PUMP, n)) for n in range(2 * PRUNED_AT_ONCE + 10)]
    store.write(1, result(rows))
    store.prune([], before=START + 2_005_000, max_bytes=EVERYTHING)
    assert kept(store) == list(range(2005, 2010))


def test_over_the_budget_the_oldest_scores_are_given_up_and_no_transition(store: Store) -> None:
    """Those that no sink has taken are counted; what happened to incidents stays for ever."""
    store.write(1, result([batch((PUMP, n)) for n in range(2 * PRUNED_AT_ONCE)], [transition(FIRED)]))
    store.advance("influx", 100)
    half = store.bytes_used() * 6 // 10
    given_up = store.prune(["influx"], before=START, max_bytes=half).given_up
    gone = given_up + 100
    assert gone % GIVEN_UP_AT_ONCE == 0
    assert 0.3 * 2 * PRUNED_AT_ONCE < gone < 0.6 * 2 * PRUNED_AT_ONCE  # about four tenths
    assert kept(store) == list(range(gone, 2 * PRUNED_AT_ONCE))
    assert store.prune(["influx"], before=START, max_bytes=half).given_up == 0
    assert store.prune(["influx"], before=START, max_bytes=1).given_up == 2 * PRUNED_AT_ONCE - gone
    assert kept(store) == []
    assert len(store.events_after(0, 10)) == 1


def test_positions_go_on_where_everything_was_pruned(tmp_path: Path, store: Store) -> None:
    """A sink asks for what comes after its position: a number that came twice would be passed over."""
    many(store, 3)
    store.prune([], before=START + 100_000, max_bytes=EVERYTHING)
    store.close()
    again = Store(tmp_path / "store.db")
    again.write(4, result([batch((PUMP, 4))]))
    assert [stored.position for stored in again.scores_after(3, 10)] == [4]
    again.close()


# -- opening ----------------------------------------------------------------------------------------------------


def test_another_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 9")
    connection.close()
    with pytest.raises(StoreError, match=r"other\.db has format 9, this release reads 3: use the release"):
        Store(path)


def test_what_is_no_store_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.write_bytes(b"these are not the pages of a database" * 100)
    with pytest.raises(StoreError, match="file is not a database"):
        Store(path)
    with pytest.raises(StoreError, match="cannot be opened"):
        Store(tmp_path / "no such folder" / "store.db")
