"""The incidents' view by real requests over a real store: open and past, page by page, and one with its life."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from monitor.page import incident_facts
from monitor.records import SensorFinding, StepResult, Transition
from monitor.synthetic import SITE
from tests.page_rig import Page, served
from tests.store_samples import START, transition

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from monitor.records import AlertEvent

FAN = "bürö//fan 50 %/b"


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    with served(tmp_path) as made:
        yield made


def write(page: Page, *events: AlertEvent) -> None:
    page.store.write(page.store.written + 1, StepResult([], list(events), []))


def life(name: str, at: int, until: int | None = None, **more: Any) -> list[AlertEvent]:
    """An incident that begins so many seconds after START, and ends."""
    more = {"incident": name, "started": START + 1000 * at, **more}
    fired = transition(Transition.FIRED, at, **more)
    return [fired] if until is None else [fired, transition(Transition.CLEARED, until, **{**more, "top": ()})]


def ids(said: dict[str, Any]) -> list[str]:
    return [each["id"] for each in said["incidents"]]


def test_they_come_newest_first_and_by_what_is_asked_for(page: Page) -> None:
    write(page, *life("a", 1, 9), *life("b", 2), *life("c", 3, 9, stream=FAN, kind="stale"))
    assert ids(page.get("incidents")[1]) == ["c", "b", "a"]
    assert ids(page.get("incidents", open=1)[1]) == ["b"]
    assert ids(page.get("incidents", open=0)[1]) == ["c", "a"]
    assert ids(page.get("incidents", asset=FAN)[1]) == ["c"]
    assert ids(page.get("incidents", kind="anomaly", open=0)[1]) == ["a"]
    assert page.get("incidents", asset="nobody")[1] == {"incidents": [], "next": None}
    (c, b, a) = page.get("incidents")[1]["incidents"]
    assert (b["to"], b["state"], b["open"], b["title"]) == (None, "firing", True, "anomaly: flow")
    assert (c["from"], c["to"], c["state"], c["title"]) == (START + 3000, START + 9000, "cleared", "silent")
    assert (c["asset"], a["title"]) == (FAN, "anomaly: flow")


def test_the_canary_s_are_told_where_it_is_asked_for(page: Page) -> None:
    """They are no trouble of the plant."""
    write(page, *life("a", 1), *life("known", 2, stream=f"{SITE}//enginewatch"))
    assert ids(page.get("incidents")[1]) == ids(page.get("incidents", open=1)[1]) == ["a"]
    assert ids(page.get("incidents", asset=f"{SITE}//enginewatch")[1]) == ["known"]


def test_page_by_page_each_comes_once(page: Page) -> None:
    """Also where several began at the same time; the last page says that it is."""
    write(page, *(event for number in range(7) for event in life(f"i{number}", number // 3, 9)))
    found: list[str] = []
    before: dict[str, str] = {}
    for _ in range(4):
        _, said = page.get("incidents", limit=2, **before)
        found += ids(said)
        before = {"before": said["next"]}
    assert found == ["i6", "i5", "i4", "i3", "i2", "i1", "i0"]
    assert said["next"] is None
    assert page.get("incidents", limit=7)[1]["next"] is None


def test_what_cannot_be_asked_for_is_refused_in_words(page: Page) -> None:
    for query in ({"limit": 0}, {"limit": 10**6}, {"open": "yes"}, {"before": "x"}, {"before": "1,"}):
        status, said = page.get("incidents", **query)
        assert status == 400
        assert said["error"]
    status, said = page.get("incidents", "nobody <b>")
    assert (status, said) == (404, {"error": "there is no incident 'nobody <b>'"})


def test_one_comes_with_its_life_its_sensors_and_past_ones_like_it(page: Page) -> None:
    """Those before it of the same asset, with their verdicts; of another asset, or later, none."""
    write(
        page,
        *life("like", 1, 2),
        transition(Transition.VERDICT, 3, incident="like", summary="real", started=START + 1000),
    )
    write(page, *life("stuck", 4, 5, kind="sensor_stuck", sensor="flow", top=()))
    write(page, *life("elsewhere", 5, 6, stream=FAN))
    top = (SensorFinding("flow", "l/min", 100.0, 110.0, 2.5), SensorFinding("oil_load", "%", 40.0, 50.0, 0.1))
    write(page, *life("one", 10, top=top), *life("later", 11, 12))
    about: dict[str, Any] = {"incident": "one", "started": START + 10_000, "who": "ann"}
    write(page, transition(Transition.ACKNOWLEDGED, 20, **about))
    write(
        page, transition(Transition.COMMENTED, 21, **about, why="valve <i>open</i>", summary="valve <i>open</i>")
    )
    status, said = page.get("incidents", "one")
    assert status == 200
    assert (said["state"], said["open"], said["who"], said["verdict"]) == ("acknowledged", True, "ann", "")
    told = [(each["transition"], each["who"], each["why"]) for each in said["life"]]
    assert told == [("fired", "", ""), ("acknowledged", "ann", ""), ("commented", "ann", "valve <i>open</i>")]
    assert said["top"][0] == {
        "sensor": "flow", "words": "flow", "unit": "l/min", "actual": 100, "expected": 110, "contribution": 2.5,
    }  # fmt: skip
    assert said["top"][1]["words"] == "oil load"
    assert [(each["id"], each["verdict"], each["likeness"]) for each in said["similar"]] == [
        ("like", "real", 0.999)
    ]  # 2.5 / √(2.5² + 0.1²)
    assert said["to_do"] == incident_facts.to_do("anomaly")
    write(page, transition(Transition.CLEARED, 30, **about))
    _, said = page.get("incidents", "one")
    assert (said["open"], said["to"], said["to_do"], said["state"]) == (False, START + 30_000, "", "cleared")


def test_every_kind_says_what_to_do(page: Page) -> None:
    assert page.get("incidents")[0] == 200
    words = {kind: incident_facts.to_do(kind) for kind in ("anomaly", "stale", "blind", "limit", "sensor_rate")}
    assert len(set(words.values())) == 5
    assert all(words.values())
