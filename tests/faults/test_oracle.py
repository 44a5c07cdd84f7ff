"""The oracle finds what is wrong: a plant that nothing happened to, and copies of it spoilt in one place each."""

from __future__ import annotations

import shutil
import sqlite3
from typing import TYPE_CHECKING

import pytest

from monitor import damage, score_store
from tests.faults.house import House
from tests.faults.oracle import Oracle
from tests.servers.influxd import DATABASE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from monitor.records import StoredScores
    from tests.faults.oracle import Verdict
    from tests.servers.brokers import Mosquitto
    from tests.servers.influxd import Influxd

LAST = "(SELECT max(id) FROM score_batch)"


@pytest.fixture
def house(tmp_path: Path, pump_model: Path, mosquitto: Mosquitto, database: Influxd) -> Iterator[House]:
    """One that nothing has happened to, after its end."""
    with House(tmp_path, pump_model, mosquitto, database) as house:
        house.begin()
        assert house.finish().clean
        house.daemon.stop()
        yield house


def test_each_loss_is_found(house: House, tmp_path: Path, database: Influxd) -> None:
    """What was taken away is missing, what is there twice is doubled, what is other than it was is corrupted."""

    def ask(
        name: str, spoil: Callable[[sqlite3.Connection], object] = lambda _: None, *, heard: bool = True
    ) -> Verdict:
        copy = tmp_path / name
        shutil.copytree(house.daemon.state, copy)
        with sqlite3.connect(copy / "store.db") as store:
            damage.teach(store)
            spoil(store)
        store.close()
        return Oracle(house.plant, copy, database, house.heard if heard else {}).ask()

    assert ask("untouched").clean
    less = ask("less", lambda store: store.execute(f"DELETE FROM score_batch WHERE id = {LAST}"))  # noqa: S608
    rows = less.missing["rows"]
    assert (less.missing, less.doubled, less.corrupted) == ({"rows": rows}, {}, {"points of no row": rows})
    assert rows >= 1
    assert ask("twice", _double).doubled == {"rows": rows}
    assert ask("other", _change).corrupted == {"scores": rows, "scores in InfluxDB": rows}
    assert ask("deaf", heard=False).missing == {"transitions told": 2}
    unfired = ask("unfired", lambda store: store.execute("DELETE FROM event WHERE transition = 'fired'"))
    assert unfired.missing == {"fired": 1}
    assert unfired.doubled == {"transitions in InfluxDB": 1}
    for measurement, tick in (("anomaly", 100), ("engine", 101)):
        database.query(f"DELETE FROM {measurement} WHERE time = {house.plant.at(tick)}ms", DATABASE)  # noqa: S608
    assert ask("fewer-points").missing == {"points": 3, "readings": 3}


def _latest(store: sqlite3.Connection) -> StoredScores:
    return score_store.read(store.execute(f"{score_store.BATCHES} WHERE b.id = {LAST}").fetchone())


def _double(store: sqlite3.Connection) -> None:
    """The latest rows once more."""
    score_store.write(store, _latest(store), 0, {})


def _change(store: sqlite3.Connection) -> None:
    """The latest rows with other scores."""
    latest = _latest(store)
    latest.rows.score[:] += 1
    score_store.write(store, latest, 0, {})
    store.execute(f"DELETE FROM score_batch WHERE id = {LAST} - 1")  # noqa: S608 - the test's own words
