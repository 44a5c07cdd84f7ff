"""What the page and `top` know of the fleet beside the line, and the hour of scores behind it."""

from __future__ import annotations

import io
import time
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from rich.console import Console

from monitor.commands.top import screen
from monitor.overview import COVERED_MS, Fleet
from monitor.page import fleet_api
from monitor.records import Stretches, Transition
from monitor.store import Store
from tests.page_rig import served
from tests.store_samples import PUMP, START, batch, result, transition
from tests.test_page_live import row

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from monitor.overview import View

MINUTE = 60_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(tmp_path / "store.db")) as made:
        yield made


def test_the_worst_come_first_and_say_what_is_wrong(store: Store) -> None:
    """Critical incidents before warnings, these before silence, and what is near its threshold before the rest."""
    fired = [
        transition(Transition.FIRED, incident="a", stream="w"),
        transition(Transition.FIRED, incident="b", stream="c", kind="limit", sensor="load"),
        transition(Transition.FIRED, incident="c", stream="c", severity="critical"),
        transition(Transition.FIRED, 1, incident="d", stream="over"),
        transition(Transition.CLEARED, 2, incident="d", stream="over"),
    ]
    scores = [batch(("near", 1), score=0.9), batch(("over", 1), ("w", 1), score=0.2)]
    store.write(1, result(scores, fired))
    status = {
        "near": "watched",
        "over": "watched",
        "w": "watched",
        "c": "watched",
        "s": "silent",
        "n": "warming up 3/60",
    }
    rows = [row(name, status=each, incidents=int(name in {"w", "c"})) for name, each in status.items()]
    view = Fleet(store).look(rows, 0.0)
    assert [(each["asset"], each["state"]) for each in view.assets] == [
        ("c", "critical"), ("w", "warning"), ("s", "silent"), ("n", "warming"),
        ("near", "watched"), ("over", "watched"),
    ]  # fmt: skip
    worst = view.assets[0]["incident"]
    assert (worst["id"], worst["kind"], worst["sensor"], worst["started"]) == ("c", "anomaly", "flow", START)
    assert view.assets[-1]["incident"] is None
    assert view.assets[-2]["score"] == pytest.approx(0.9)
    assert view.watched == (
        "1 critical incident, of c, 2 warnings; 4 of 6 assets are watched; 1 silent, 1 warming up"
    )
    assert (view.incidents, view.shelved) == (3, 0)


def told(store: Store, *rows: dict[str, Any]) -> tuple[View, dict[str, dict[str, Any]]]:
    """A look, and its rows by asset."""
    view = Fleet(store).look(list(rows), 0.0)
    return view, {each["asset"]: each for each in view.assets}


def test_of_several_incidents_the_machine_is_told_before_its_sensors_and_the_newest_first(store: Store) -> None:
    """The oldest is of a sensor, and hid the anomaly; a worse one goes before both."""
    spikes = transition(Transition.FIRED, incident="s", stream="a", kind="sensor_spikes", sensor="flow")
    limit = transition(Transition.FIRED, 1, incident="l", stream="a", kind="limit")
    early, late = (
        transition(Transition.FIRED, at, incident=f"n{at}", stream="a", started=START + at) for at in (2, 3)
    )
    for number, (event, told_first) in enumerate([(spikes, "s"), (limit, "l"), (early, "n2"), (late, "n3")], 1):
        store.write(number, result([], [event]))
        assert told(store, row("a", incidents=1))[1]["a"]["incident"]["id"] == told_first
    worse = transition(Transition.FIRED, 4, incident="w", stream="a", kind="sensor_stuck", severity="critical")
    store.write(9, result([], [worse]))
    assert told(store, row("a", incidents=5))[1]["a"]["incident"]["id"] == "w"


def test_what_is_shelved_is_counted_apart_until_it_is_over(store: Store) -> None:
    """Also where it was acknowledged after that; another incident of the asset is told before it."""
    until = START + MINUTE
    fired = transition(Transition.FIRED, incident="s", stream="a", severity="critical")
    shelved = transition(Transition.SHELVED, 1, incident="s", stream="a", severity="critical", until=until)
    taken = replace(shelved, event_id="t", transition=Transition.ACKNOWLEDGED)
    over = replace(shelved, event_id="o", transition=Transition.UNSHELVED)
    store.write(1, result([], [fired, transition(Transition.FIRED, 1, incident="o", stream="b")]))
    for number, (event, incidents) in enumerate([(shelved, 1), (taken, 1), (over, 2)], 2):
        store.write(number, result([], [event]))
        view, rows = told(store, row("a", incidents=1), row("b", incidents=1))
        assert (view.incidents, view.shelved) == (2, 2 - incidents)
        assert rows["a"]["shelved"] == 2 - incidents
        assert rows["a"]["incident"]["shelved"] == (None if incidents == 2 else until)
        assert rows["a"]["incident"]["transition"] == event.transition
        critical = "1 critical incident, of a, 1 warning" if incidents == 2 else "1 warning, 1 shelved incident"
        assert view.watched == f"{critical}; every asset is watched"
    store.write(9, result([], [replace(shelved, event_id="again")]))
    store.write(10, result([], [transition(Transition.FIRED, 9, incident="second", stream="a")]))
    assert told(store, row("a", incidents=2))[1]["a"]["incident"]["id"] == "second"


def test_an_asset_that_is_worked_on_says_so_also_while_an_incident_is_open(store: Store) -> None:
    """Its severity is still told, beside."""
    store.write(1, result([], [transition(Transition.FIRED, incident="i", stream="a", severity="critical")]))
    _, rows = told(store, row("a", incidents=1, status="maintenance"), row("b", status="silent"))
    assert (rows["a"]["state"], rows["a"]["severity"], rows["b"]["state"]) == ("maintenance", "critical", "silent")


def test_one_sentence_says_what_is_wrong_and_whether_everything_is_watched(store: Store) -> None:
    """First incidents, then what is lost; without the broker nothing is watched, whatever the line knew last."""
    pair = row("a"), row("b")
    assert told(store)[0].watched == "no asset was heard yet"
    assert told(store, *pair)[0].watched == "every asset is watched; no incident is open"
    assert told(store, pair[0])[0].watched == "the one asset is watched; no incident is open"
    fired = [
        transition(Transition.FIRED, incident=name, stream=name, severity="critical") for name in ("a", "b", "c")
    ]
    store.write(1, result([], fired))
    assert told(store, *pair)[0].watched == "2 critical incidents; every asset is watched"
    store.note({"broker": "refused"})
    lost = "no asset is watched: not connected to the broker: refused"
    assert told(store, pair[0])[0].watched == f"1 critical incident, of a; {lost}"
    store.note({"broker": "connected"})
    assert told(store, row("d", status="off"))[0].watched == (
        "0 of 1 assets are watched; 1 not running; no incident is open"
    )


def test_coverage_is_of_the_last_day_with_the_main_reason_for_the_rest(store: Store) -> None:
    """Of its last 20 hours it was scored for 15, at rest for 4, warming up for 1; older time does not count."""
    now = time.time_ns() // 1_000_000
    hour = 3_600_000
    start = np.array([now - 40 * hour, now - 20 * hour, now - 16 * hour, now - 15 * hour], np.int64)
    end = np.array([now - COVERED_MS - hour, now - 16 * hour, now - 15 * hour, now], np.int64)
    status = ["gap", "regime", "warming_up", "scored"]
    store.write(1, replace(result(), stretches=[Stretches([PUMP] * 4, start, end, status, ["", "off", "", ""])]))
    [found] = Fleet(store).look([row(PUMP)], 0.0).assets
    assert found["coverage"] == {"share": 0.75, "running": round(15 / 16, 3), "reason": "off"}
    [unknown] = Fleet(store).look([row("another")], 0.0).assets
    assert unknown["coverage"] is None


def test_who_shows_what_others_found_says_itself_how_fast_rows_come(tmp_path: Path) -> None:
    """And nothing of values, nor of what waits: it takes none, and sends none."""
    with served(tmp_path) as page:
        page.rows, page.standing = [row(PUMP)], {"alone": True, "rates": {"scored rows": 3.14}}
        _, told = page.get("fleet")
    assert told["summary"]["rows_per_s"] == 3.1
    assert told["summary"]["lags"] == {}
    assert "values_per_s" not in told["summary"]


def test_channels_and_what_is_degraded_stand_beside_the_assets(tmp_path: Path) -> None:
    """On the page as in the terminal, where a narrow one keeps names, status and score whole, and says it once."""
    standing = {
        "status": "degraded",
        "reasons": ["kept until it gets through: channel mail: refused", "not connected to the broker: gone"],
        "lags": {"channel mail": 3},
    }
    name = "plant//engine-with-a-long-name"
    with served(tmp_path) as page:
        page.rows, page.standing = [row(name, status="warming up 3/60")], standing
        page.store.note({"broker": "gone"})
        page.store.write(1, result([batch((name, 1), score=3066.22)]))
        _, told = page.get("fleet")
        assert told["summary"]["lags"] == {"mqtt": 0, "channel mail": 3}
        view = Fleet(page.store).look(page.rows, 0.0, standing)
    for width, columns in (
        (200, "asset status score threshold sensor incidents scored heard class"),
        (80, "asset status score threshold incidents"),
        (60, "asset status score"),
    ):
        console = Console(width=width, file=io.StringIO())
        console.print(screen(view, console))
        lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]  # it is a StringIO
        assert "lag channel mail 3" in " ".join(lines)
        assert lines.count("kept until it gets through: channel mail: refused") == 1
        assert sum("gone" in line for line in lines) == 1
        assert lines[-2].split() == columns.split()
        assert lines[-1].split()[:5] == [name, "warming", "up", "3/60", "3066.22"]
    alone = screen(view, console, height=3)  # room for what is wrong comes before room for assets
    assert [str(each) for each in alone.renderables][-1] == "and 1 more"


@pytest.mark.parametrize("behind", [0, 200])
def test_the_latest_score_is_the_same_for_who_follows_and_who_looks_back(
    store: Store, behind: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each asset's newest row counts, in the batch and among batches; one without a new row keeps what it had."""
    monkeypatch.setattr("monitor.overview.BEHIND", behind)
    rows = [row(name) for name in ("a", "b", "c", "never")]
    fleet = Fleet(store)
    store.write(1, result([batch(("a", 1), ("b", 1), score=0.1), batch(("c", 1), score=0.2)]))
    fleet.look(rows, 0.0)
    last = batch(("a", 4), ("b", 4), ("a", 5), score=0.4)
    last.rows.score[2] = 0.5
    store.write(2, result([batch(("a", 2), score=0.3), last, batch(("b", 6), score=float("nan"))]))
    seen = {each["asset"]: each["score"] for each in fleet.look(rows, 1.0).assets}
    assert seen == {"a": 0.5, "b": None, "c": pytest.approx(0.2), "never": None}


@pytest.mark.parametrize("folded", [False, True])
def test_the_hour_behind_is_there_also_before_the_history_has_it(store: Store, folded: bool) -> None:
    """Lowest and highest of each minute, by hand; the same whether the rows were folded or not."""
    quarter = START // MINUTE * MINUTE - START  # ms from START back to its minute
    store.write(1, result([batch(("a", 1), ("b", 1), score=0.5), batch(("a", 2), score=2.0)]))
    store.write(2, result([batch(("a", 3), ("a", 120), score=1.0), batch(("b", 121), score=float("nan"))]))
    store.write(3, result([batch(("old", -7200))]))
    if folded:
        store.fold()
    said = fleet_api.trends_until(store, START + 200_000)
    assert said["width"] == MINUTE
    assert (said["first"] - START - quarter) % MINUTE == 0
    first = (START - said["first"]) // MINUTE
    second = (START + 120_000 - said["first"]) // MINUTE

    def known(asset: str) -> dict[int, tuple[float, float]]:
        low, high = said["assets"][asset]
        assert len(low) == len(high) == said["points"] <= fleet_api.POINTS + 1
        return {at: pair for at, pair in enumerate(zip(low, high, strict=True)) if not np.isnan(pair).any()}

    assert known("a") == {first: (0.5, 2.0), second: (1.0, 1.0)}
    assert known("b") == {first: (0.5, 0.5)}
    assert known("old") == {}


def test_the_fleet_can_be_asked_for_once(tmp_path: Path) -> None:
    """Nobody listens: it is looked at for whoever asks. What is no number is null."""
    with served(tmp_path) as page:
        page.rows = [row("plant//p1", threshold=None)]
        status, said = page.get("fleet")
        assert status == 200
        [found] = said["assets"]
        assert (found["asset"], found["score"], found["threshold"]) == ("plant//p1", None, None)
        now = time.time_ns() // 1_000_000
        ago = (now - START) // 1000
        page.store.write(1, result([batch(("p", ago - 60)), batch(("p", ago - 3000), score=float("nan"))]))
        status, said = page.get("fleet", "trends")
        low, high = said["assets"]["p"]
        assert status == 200
        assert [each for each in low if each is not None] == [0.5] == [each for each in high if each is not None]
