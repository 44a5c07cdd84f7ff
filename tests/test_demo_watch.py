"""What the demo makes of the daemon's store, seen from outside."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec
import pytest

from monitor.demo.watch import LASTING_S, Watch
from monitor.rate import Rate
from monitor.store import Store

if TYPE_CHECKING:
    from pathlib import Path

BOOKS = {
    "outcomes": {"in_row": 90, "late": 10},
    "waiting": 0,
    "rows": {"scored": 0, "warming_up": 12},
    "streams": 12,
    "warmest": [41, 60],
}


def watch(folder: Path, books: dict[str, object], **facts: str) -> Watch:
    """A watch on a store in which the daemon noted this."""
    store = Store(folder / "store.db")
    store.note({"broker": "connected", "books": msgspec.json.encode(books).decode()} | facts)
    store.close()
    return Watch(folder, influx=False, acknowledged=lambda: 0)


def test_a_rate_is_taken_from_changes() -> None:
    """24 more each second, looked at four times a second; noted once a second."""
    rate = Rate()
    assert rate.take(0.0, 0) is None
    for quarter in range(1, 60):
        found = rate.take(quarter / 4, 24 * (quarter // 4))
        if quarter >= 4:
            assert found == pytest.approx(24)


def test_a_rate_falls_to_nothing_where_nothing_comes() -> None:
    rate = Rate()
    rate.take(0.0, 0)
    rate.take(1.0, 24)
    assert rate.take(60.0, 24) == 0.0
    assert rate.take(61.0, 36) == pytest.approx(12 / 1)


def test_before_there_is_a_store_the_daemon_is_starting(tmp_path: Path) -> None:
    nothing = Watch(tmp_path, influx=False, acknowledged=lambda: 0)
    assert not nothing.listening()
    assert nothing.accounted() == 0
    assert nothing.state().trouble == "the daemon is starting"


def test_values_are_accounted_for_when_none_waits(tmp_path: Path) -> None:
    assert watch(tmp_path, BOOKS).accounted() == 100
    assert watch(tmp_path, BOOKS | {"waiting": 1}).accounted() == 0


def test_the_window_that_fills_is_shown_until_something_is_scored(tmp_path: Path) -> None:
    assert watch(tmp_path, BOOKS).state().warming_up == (41, 60)
    scored = watch(tmp_path, BOOKS | {"rows": {"scored": 1, "warming_up": 12}}).state()
    assert scored.warming_up is None
    assert (scored.streams, scored.open_incidents, scored.lags) == (12, 0, {"mqtt": 0})


def test_trouble_is_told_as_the_daemon_noted_it(tmp_path: Path) -> None:
    """Once it has lasted: what is over in a moment is no trouble."""
    for told, facts in (
        ("nobody listens on 127.0.0.1:1883", {"broker": "nobody listens on 127.0.0.1:1883"}),
        ("0 messages", {"not_scoring": "0 messages"}),
    ):
        seen = watch(tmp_path, BOOKS, **facts)
        assert seen.state().trouble == ""
        seen._troubled = time.monotonic() - LASTING_S - 1
        assert seen.state().trouble == told
