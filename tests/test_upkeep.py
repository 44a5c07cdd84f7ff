"""The store is pruned in small pieces, and what is nearly full is told before it bites."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from config.settings import Settings
from monitor import upkeep as room
from monitor.schema import StoreError
from monitor.store import Store
from monitor.upkeep import Upkeep
from tests.store_samples import batch, result

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "store.db")
    yield made
    made.close()


def upkeep(store: Store, folder: Path, *, backlog: int = 0, url: str = "", **values: Any) -> Upkeep:
    """One whose budgets are these; the disk always has room, and with a URL rows wait for InfluxDB."""
    settings = Settings.model_validate({"store": {"min_free_bytes": 0, **values}, "influx": {"url": url}})
    return Upkeep(settings, store, folder, backlog=lambda: backlog)


def fill(store: Store, first: int, last: int, *, apart: int = 1000) -> None:
    """Batches that nobody has delivered, of journal positions from `first` on, so many seconds apart."""
    for position in range(first, last):
        store.write(position, result([batch(*((f"plant//{position}-{n}", position * apart) for n in range(20)))]))


def test_a_store_that_fills_is_told_before_rows_are_given_up(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First the warning, once; rows go only beyond the limit; and what is known is noted for those outside."""
    monkeypatch.setattr("monitor.store.PRUNED_AT_ONCE", 10)
    keeper = upkeep(store, tmp_path, url="http://127.0.0.1:9", max_bytes=1 << 20)
    events: list[str] = []
    for step in range(40):
        fill(store, 1 + 25 * step, 1 + 25 * (step + 1))
        with capture_logs() as logs:
            keeper.turn(100.0 * step)
        events += [each["event"] for each in logs if each["event"] != "disk_budget_well"]
        warning = next((each for each in logs if each["event"] == "disk_budget_near"), None)
        if warning is not None and events.count("disk_budget_near") == 1:
            assert warning["what"] == "store"
            assert 0.8 * (1 << 20) <= warning["used_bytes"] < 1 << 20
            assert warning["limit_bytes"] == 1 << 20
            assert "store.max_bytes" in warning["remedy"]
            assert warning["full_in"].endswith("min")
            assert json.loads(store.facts()["disk"])["store"]["near"] is True
    assert events.index("disk_budget_near") < events.index("score_rows_given_up")
    assert events.count("disk_budget_near") == 1
    assert events.count("score_rows_given_up") == 1  # within an hour, however often rows go
    assert store.bytes_used() <= 1 << 20


def test_pruning_in_pieces_comes_to_the_same(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A turn that has no time left goes on at the next: nobody waits for long, and nothing else is deleted."""
    monkeypatch.setattr(room, "PRUNING_S", 0.0)
    monkeypatch.setattr("monitor.store.PRUNED_AT_ONCE", 10)
    fill(store, 1, 101)
    keeper = upkeep(store, tmp_path, retention_days=1)
    keeper.turn(0.0)
    left = []
    for turn in range(12):
        keeper.turn(61.0 + turn)
        left.append(len(store.scores_after(0, 10_000)))
    assert left == [90, 80, 70, 60, 50, 40, 30, 20, 10, 0, 0, 0]


def test_rows_are_taken_into_the_history_once_a_minute(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In small pieces, one a turn, until all are taken; and a store that cannot be written is told once."""
    monkeypatch.setattr(room, "FOLDING_S", 0.0)
    monkeypatch.setattr("monitor.store.FOLDED_AT_ONCE", 60)
    fill(store, 1, 10, apart=10)  # within one span: nothing is over, to be put together
    keeper = upkeep(store, tmp_path)
    taken = []
    for now in (0.0, 59.0, 60.0, 61.0, 62.0, 63.0, 64.0, 123.0, 124.0):
        keeper.turn(now)
        taken.append(store.position("history"))
        if now == 64.0:
            fill(store, 10, 11, apart=10)
    assert taken == [0, 0, 3, 6, 9, 9, 9, 10, 10]

    def full(_: float) -> bool:
        raise StoreError("no room")

    monkeypatch.setattr(store, "fold", full)
    with capture_logs() as logs:
        keeper.turn(300.0)
        keeper.turn(400.0)
    assert [each["event"] for each in logs] == ["history_failed"]


def test_a_backlog_and_a_disk_that_fills_are_told(store: Store, tmp_path: Path) -> None:
    keeper = upkeep(store, tmp_path, backlog=900 << 10, journal_max_bytes=1 << 20, min_free_bytes=1 << 60)
    with capture_logs() as logs:
        keeper.turn(0.0)
        keeper.turn(20.0)
    assert [(each["event"], each["what"]) for each in logs] == [
        ("disk_budget_near", "journal"), ("disk_budget_near", "disk")
    ]  # fmt: skip
    assert logs[0]["full_in"] == "not known yet"  # after a moment there is no rate
    assert [room.words(math.inf), room.words(120.0)] == ["not at the present rate", "2 min"]
