"""The live stream on a real port: the state, then what changes; bounded for the slow and for the many."""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
import time
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any

import pytest
from anyio import create_task_group

from monitor.health import Vitals
from monitor.page import live
from monitor.page.live import Hub
from monitor.web import bounded
from tests.http_rig import ask, number
from tests.page_rig import Page, served
from tests.rig import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from http.client import HTTPResponse
    from pathlib import Path


def row(asset: str, **changes: Any) -> dict[str, Any]:
    plain = {
        "asset": asset, "class": "pump", "model": "m", "regime": "all", "status": "watched", "heard": 5,
        "newest": 4, "incidents": 0, "threshold": 1.23456, "creep": None, "maintenance": None, "drift": None,
    }  # fmt: skip
    return plain | changes


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Page]:
    """A page that looks ten times a second."""
    monkeypatch.setattr(live, "EVERY_S", 0.1)
    monkeypatch.setattr(live, "REST_S", 0.02)
    with served(tmp_path) as made:
        made.rows = [row("plant//p1"), row("plant//p2", status="off")]
        yield made


@contextmanager
def listening(page: Page) -> Iterator[HTTPResponse]:
    assert page.port is not None
    with closing(HTTPConnection("127.0.0.1", number(page.port), timeout=20)) as connection:
        connection.request("GET", "/api/v1/live")
        yield connection.getresponse()


def event(answer: HTTPResponse) -> tuple[str, Any]:
    """The next event, and what it says; comments are passed over."""
    lines: list[str] = []
    while (line := answer.readline().decode().rstrip("\n")) or not lines:
        assert answer.fp is not None
        if line and not line.startswith(":"):
            lines.append(line)
    return lines[0].removeprefix("event: "), json.loads(lines[1].removeprefix("data: "))


def test_first_comes_the_state_and_then_only_what_changed(page: Page) -> None:
    with listening(page) as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        assert page.port is not None
        assert ask(page.port, "/api/v1/live", "HEAD")[:2] == (200, "")  # of the stream there is no head alone
        name, said = event(answer)
        assert name == "state"
        assert said["summary"]["watched"] == "1 of 2 assets is watched; 1 not running; no incident is open"
        assert abs(said["summary"]["time"] - time.time() * 1000) < 10_000
        assert [(each["asset"], each["state"]) for each in said["assets"]] == [
            ("plant//p1", "watched"),
            ("plant//p2", "resting"),
        ]
        assert said["assets"][0]["threshold"] == 1.2346
        page.rows = [row("plant//p1", heard=9), row("plant//p3")]
        name, said = event(answer)
        assert (name, said["gone"]) == ("change", ["plant//p2"])
        assert set(said["summary"]) == {"watched", "time"}
        assert said["summary"]["watched"] == "every asset is watched; no incident is open"
        first, second = sorted(said["assets"], key=lambda each: each["asset"])
        assert first == {"asset": "plant//p1", "heard": 9}
        assert second["class"] == "pump"


def test_a_daemon_that_cannot_tell_says_why_and_keeps_what_there_was(page: Page) -> None:
    """The line is busy, then the daemon stops: the page's words, and the rows of before."""
    with listening(page) as answer:
        event(answer)
        page.busy = True
        said = event(answer)[1]
        assert said["summary"].pop("time")
        assert said == {
            "summary": {
                "trouble": "the line is busy: ask again later",
                "watched": "whether every asset is watched is not known: the line is busy: ask again later",
            },
            "assets": [],
            "gone": [],
        }
        page.busy, page.vitals = False, Vitals(phase="stopping")
        said = event(answer)[1]["summary"]
        assert (said["trouble"], said["watched"]) == (
            "the daemon is stopping", "no asset is watched: the daemon is stopping"
        )  # fmt: skip


def test_nobody_is_asked_while_nobody_listens(page: Page) -> None:
    """All who listen share one look a turn; the last one to leave ends it."""
    assert _rests(page)
    with listening(page) as one, listening(page) as other:
        assert event(one)[0] == event(other)[0] == "state"
        until(lambda: page.looks > 3)
    until(lambda: _rests(page))
    with listening(page) as again:
        assert event(again)[0] == "state"


def _rests(page: Page) -> bool:
    """Whether nothing is asked for several turns."""
    before = page.looks
    threading.Event().wait(0.4)
    return before == page.looks


def test_so_many_can_listen_at_once(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "LISTENERS", 2)
    with listening(page) as one, listening(page) as other:
        assert (event(one)[0], event(other)[0]) == ("state", "state")
        assert page.get("live") == (503, {"error": "2 pages listen already"})
    with_room = until(lambda: _heard(page))
    assert with_room == "state"


def _heard(page: Page) -> str:
    with listening(page) as answer:
        return event(answer)[0] if answer.status == 200 else ""


def test_a_stream_goes_on_for_longer_than_any_other_answer(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says every now and then that there is nothing new, and each time its reader has as long again."""
    monkeypatch.setattr(bounded, "ANSWER_S", 0.4)
    monkeypatch.setattr(live, "STILL_S", 0.1)
    with listening(page) as answer:
        event(answer)
        for _ in range(8):
            assert answer.readline() == b": nothing new\n"
            assert answer.readline() == b"\n"


def test_who_takes_nothing_is_hung_up_on(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing piles up meanwhile, and at last nobody is looked for."""
    monkeypatch.setattr(bounded, "ANSWER_S", 0.4)
    page.rows = [row(f"plant//{at:0200}") for at in range(20_000)]  # 8 MB, more than the system takes by itself
    with listening(page):  # and nothing is read
        until(lambda: page.looks)
        until(lambda: _rests(page))


def test_who_was_slow_gets_what_he_missed_or_the_whole_state_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing piles up for anybody: of the latest changes so many are kept, for all together."""
    monkeypatch.setattr("monitor.page.live.time.time_ns", lambda: 7_000_000_000)

    async def tried() -> None:
        hub = Hub(lambda: ({}, {}))
        for number_ in range(1, live.KEPT + 3):
            hub._take({"incidents": number_}, {"p": {"asset": "p", "score": number_ / 2}})
        newest = live.KEPT + 2
        two = (await hub._after(newest - 2)).decode()
        assert [json.loads(line[6:])["summary"] for line in two.splitlines() if line.startswith("data: ")] == [
            {"incidents": newest - 1, "time": 7_000},
            {"incidents": newest, "time": 7_000},
        ]
        assert (await hub._after(2)).startswith(b"event: change")
        for slow in (0, 1):
            whole = (await hub._after(slow)).decode()
            assert whole.startswith("event: state\n")
            assert json.loads(whole.splitlines()[1][6:])["assets"] == [{"asset": "p", "score": newest / 2}]

    asyncio.run(tried())


def test_who_leaves_at_the_wrong_moment_stops_nobody_else() -> None:
    """Groups leave together at every step of a change that is told; who comes then is told as ever."""
    turns = itertools.count(1)

    async def listen(hub: Hub) -> None:
        while True:
            await hub._after(hub._number)

    async def tried() -> None:
        for steps in range(12):
            hub = Hub(lambda: ({}, {}))
            async with create_task_group() as group:
                for _ in range(6):
                    group.start_soon(listen, hub)
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                hub._take({"turn": next(turns)}, {})
                for _ in range(steps):
                    await asyncio.sleep(0)
                group.cancel_scope.cancel()  # as a server does: again and again until they have left
            async with asyncio.timeout(5):
                one = asyncio.create_task(hub._after(hub._number))
                await asyncio.sleep(0)
                hub._take({"turn": next(turns)}, {})
                assert (await one).startswith(b"event: change")

    asyncio.run(tried())


def test_a_look_that_comes_to_no_end_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """While somebody listens: health tells it."""
    monkeypatch.setattr(live, "STUCK_S", 0.0)
    monkeypatch.setattr(live, "EVERY_S", 0.01)
    done = threading.Event()
    hub = Hub(lambda: ({"done": done.wait(20)}, {}))

    async def tried() -> None:
        assert hub.stuck_s == 0
        with hub._listening():
            turning = asyncio.create_task(hub._turn())
            await asyncio.sleep(0.05)
            stuck = hub.stuck_s
            assert stuck > 0
            done.set()
            async with asyncio.timeout(20):
                await hub._after(0)
            assert hub.stuck_s < stuck
        await turning
        assert hub.stuck_s == 0

    asyncio.run(tried())
