"""The mirror beside a real InfluxDB: what a fleet wrote is in its store as the line of a daemon puts it there."""

from __future__ import annotations

import random
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from monitor.fleet_page import mirror as mirror_room
from monitor.fleet_page import read_back
from monitor.fleet_page.influxql import InfluxReader
from monitor.fleet_page.mirroring import Mirroring
from monitor.influx_client import Unavailable
from monitor.lineprotocol import event_line
from monitor.records import Status, Transition
from monitor.schema import StoreError
from monitor.store import Store
from tests.mirror_samples import NOW, House, Row, batches, by_row, line, look, rows
from tests.servers import find, missing
from tests.servers.influxd import PROGRAMS, Influxd
from tests.store_samples import result, transition

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from monitor.records import AlertEvent

PUMP, OTHER, MILL = 'plant/hall, 1/pump "1"=%41', "plant//pump 2\\", "mills//m'1"
NAN = float("nan")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influxd]:
    """One for all of these."""
    for program in PROGRAMS:
        if find(program) is None:
            missing(program)
    with Influxd(tmp_path_factory.mktemp("influxd")) as influxd:
        yield influxd


@pytest.fixture
def house(server: Influxd, tmp_path: Path) -> House:
    """A database of the test's own."""
    return House(server, tmp_path, tmp_path.name, line(tmp_path))


def incident(what: Transition, seconds: int, **changes: object) -> AlertEvent:
    """A transition of the incident of a pump, NOW and so many seconds."""
    made = transition(what, seconds, stream=PUMP, started=NOW, time=NOW + 1000 * seconds, recorded=NOW + seconds)
    return replace(made, **changes)  # type: ignore[arg-type]  # as the test gives them


def test_rows_come_back_as_they_were(house: House) -> None:
    """Every number as the same float32, of two classes, under names that no line can carry as they are."""
    pumps = rows(
        "pump",
        (PUMP, 1, Status.WARMING_UP, NAN), (OTHER, 1, Status.SCORED, 0.1), (PUMP, 2, Status.SCORED, 1.7),
        (OTHER, 2, Status.RELEARNING, 3e-8), (PUMP, 3, Status.NO_MODEL, NAN),
    )  # fmt: skip
    mills = rows("mill", (MILL, 1, Status.REGIME, NAN), (MILL, 2, Status.SCORED, 123456.79), model="")
    house.write(pumps, mills)
    with house.mirror() as (mirror, store), closing(Store(house.folder / "daemon.db")) as daemon:
        assert look(mirror) == 7
        daemon.write(1, result([pumps, mills]))
        assert by_row(store) == by_row(daemon)
        stands = {row["asset"]: (row["class"], row["status"], row["newest"]) for row in mirror.assets()}
    assert stands == {
        PUMP: ("pump", "no model", NOW + 3000),
        OTHER: ("pump", "relearning", NOW + 2000),
        MILL: ("mill", "watched", NOW + 2000),
    }


def test_incidents_stand_as_in_the_daemons_store(house: House) -> None:
    """Whatever the order in which points lie in InfluxDB: that of orders is not that of their times."""
    told = [
        incident(Transition.FIRED, 5),
        incident(Transition.SHELVED, 4, recorded=NOW + 6, who="Ann", why='"later"', until=NOW + 9_000_000),
        incident(Transition.VERDICT, 7, summary="real", who="Bo"),
        incident(Transition.FIRED, 8, event_id="e8", incident_id="i2", kind="stale"),
        incident(Transition.CLEARED, 2, event_id="e9", incident_id="i2", kind="stale", recorded=NOW + 9),
    ]
    house.write(rows("pump", (PUMP, 1, Status.SCORED, 0.5)))
    house.events(*reversed(told))
    with house.mirror() as (mirror, store), closing(Store(house.folder / "daemon.db")) as daemon:
        look(mirror)
        daemon.write(1, result(events=told))
        assert list(store.incidents()) == list(daemon.incidents())
        assert store.history("i1") == daemon.history("i1")
        assert mirror.assets()[0]["incidents"] == 1
        look(mirror)
        assert store.heads()[1] == 5


def test_what_is_said_of_an_incident_waits_until_it_has_fired(house: House) -> None:
    house.write(rows("pump", (PUMP, 1, Status.SCORED, 0.5)))
    fired, cleared = incident(Transition.FIRED, 5), incident(Transition.CLEARED, 9)
    house.events(cleared)
    with house.mirror() as (mirror, store):
        look(mirror)
        assert store.heads()[1] == 0
        house.events(fired)
        look(mirror)
        assert [(each.incident_id, is_open) for each, _, is_open in store.incidents()] == [("i1", False)]


def test_transitions_of_an_earlier_release_have_what_the_columns_say(house: House) -> None:
    """And points that are no transitions are passed over."""
    told = incident(Transition.FIRED, 5, sensor="flow")
    short = event_line(told)
    begin, end = short.index(',event="'), short.index(",score=")
    house._client.write([short[:begin] + short[end:], 'alert_event,asset=x,site=y summary="other"'])
    with house.mirror() as (mirror, store):
        look(mirror)
        (found,) = store.history("i1")
    assert found == replace(told, event_id=found.event_id, recorded=told.time, top=())


def test_nothing_is_twice_and_nothing_is_missing_in_whatever_order_assets_come(house: House) -> None:
    """Rows of 60 assets, each in the order of its times and far apart from the others, looked at in between.

    Answers have so few rows that more belong to one moment than fit.
    """
    chance = random.Random(3)  # noqa: S311 - the same at every run
    assets = [f"plant//p{number}" for number in range(60)]
    left = {asset: [(asset, 10 * second, Status.SCORED, 0.5) for second in range(12)] for asset in assets}
    slow = set(assets[:7])  # they begin when the others are through
    given: list[Row] = []
    with house.mirror() as (mirror, store):
        mirror.most = 13
        while left:
            ready = [asset for asset in left if asset not in slow] or sorted(left)
            some: list[Row] = []
            for asset in chance.sample(ready, min(len(ready), 20)):
                count = chance.randint(1, 8)
                some += left[asset][:count]
                left[asset] = left[asset][count:]
                if not left[asset]:
                    del left[asset]
            given += some
            house.write(*batches(some))
            for _ in range(chance.randint(0, 2)):
                mirror.look()
        look(mirror)
        found = by_row(store)
        assert mirror.behind == 0
    assert found.keys() == {(asset, NOW + 1000 * second) for asset, second, *_ in given}
    assert len(given) == 720


def test_the_next_one_goes_on_where_the_last_one_stood(house: House) -> None:
    first, second = (PUMP, 1, Status.SCORED, 0.5), (PUMP, 2, Status.SCORED, 0.7)
    house.write(rows("pump", first, (OTHER, 1, Status.SCORED, 0.5)))
    house.events(incident(Transition.FIRED, 5, kind="stale"))
    with house.mirror() as (mirror, _):
        look(mirror)
        before = [row | {"heard": None} for row in mirror.assets()]
        mirror.close()
    house.write(rows("pump", second))
    with house.mirror() as (mirror, store):
        assert [row | {"heard": None} for row in mirror.assets()] == before
        assert look(mirror) == 1
        assert len(by_row(store)) == 3
        spans = [(each.start, each.end) for each in store.stretches(0, PUMP)]
        assert spans[0][1] == spans[1][0]  # without a hole


def test_a_row_waits_for_its_reading_but_not_for_ever(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two, three = batches([(PUMP, second, Status.SCORED, 0.5) for second in (1, 2, 3)])
    house.scores(one)
    with house.mirror() as (mirror, store):
        assert look(mirror) == 0
        house.readings(one)
        house.scores(two)
        assert look(mirror) == 1
        house.write(three)  # that of the second does not come any more
        assert look(mirror) == 2
        house.scores(*batches([(PUMP, 4, Status.SCORED, 0.5)]))
        assert look(mirror) == 0
        monkeypatch.setattr(mirror_room, "READING_S", 0.0)
        assert look(mirror) == 1
        actual = [row[-1] for row in by_row(store).values()]
    assert actual[0] == one.rows.actual[0].tobytes()
    assert actual[2] == three.rows.actual[0].tobytes()
    assert actual[1] == actual[3] == rows("pump", (PUMP, 2, Status.SCORED, 0.5)).rows.expected[0].tobytes()


def test_what_cannot_be_written_is_kept_until_it_can(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.write(rows("pump", (PUMP, 1, Status.SCORED, 0.5)))
    with house.mirror() as (mirror, store):

        def full(*_: object) -> None:
            raise StoreError("no room")

        with monkeypatch.context() as patch:
            patch.setattr(store, "write", full)
            with pytest.raises(StoreError):
                mirror.look()
        house.write(rows("pump", (PUMP, 2, Status.SCORED, 0.5)))
        look(mirror)
        assert len(by_row(store)) == 2


def test_assets_without_a_class_are_counted_and_hold_up_nothing(house: House) -> None:
    house.write(rows("pump", ("other//x", 1, Status.SCORED, 0.5), (PUMP, 1, Status.SCORED, 0.5)))
    with house.mirror() as (mirror, _):
        assert look(mirror) == 1
        assert list(mirror.foreign) == ["other//x"]
        assert mirror.behind == 0


def test_influxdb_away_is_told_and_comes_back(house: House) -> None:
    house.write(rows("pump", (PUMP, 1, Status.SCORED, 0.5)))
    with house.mirror() as (mirror, store):
        mirroring = Mirroring(mirror, store, house.spec, lambda: None)
        mirroring.turn()
        assert (mirroring.trouble, mirror.rows) == ("", 1)
        house.influxd.stop()
        mirroring.turn()
        assert mirroring.trouble.startswith(f"nothing answers at {house.influxd.url}")
        assert store.facts()["not_scoring"] == mirroring.trouble
        house.influxd.start()
        house.write(rows("pump", (PUMP, 2, Status.SCORED, 0.5)))
        mirroring.turn()
        assert (mirroring.trouble, mirror.rows, store.facts()["not_scoring"]) == ("", 2, "")
    with house.mirror(reader=InfluxReader(house.settings.model_copy(update={"bucket": "none"}), None)) as (
        mirror,
        store,
    ):
        mirroring = Mirroring(mirror, store, house.spec, lambda: None)
        mirroring.turn()
        assert "database not found: none" in mirroring.trouble
        assert "influx.bucket" in mirroring.trouble


def test_a_token_is_sent_and_one_that_is_unknown_is_told(house: House) -> None:
    house.write(rows("pump", (PUMP, 1, Status.SCORED, 0.5)))
    house.influxd.configure(token="right")  # noqa: S106 - it guards a test
    try:
        with house.mirror(reader=InfluxReader(house.settings, "right")) as (mirror, _):
            assert look(mirror) == 1
        with (
            house.mirror(reader=InfluxReader(house.settings, "wrong")) as (mirror, _),
            pytest.raises(Unavailable, match=r"does not know the token \(401.*influx.token"),
        ):
            mirror.look()
    finally:
        house.influxd.configure()


def test_doctests_of_read_back() -> None:
    import doctest  # noqa: PLC0415

    assert doctest.testmod(read_back).failed == 0
