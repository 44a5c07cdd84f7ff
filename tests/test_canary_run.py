"""The canary's thread beside a clock that is set back and a daemon that is started anew, without a broker."""

from __future__ import annotations

import json
import threading
import time
from contextlib import closing, contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from config.canary import CanarySettings
from config.settings import MqttSettings
from monitor.canary import run
from monitor.canary.plan import FAULTS
from monitor.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PERIOD_MS, HOUR_MS = 20, 3_600_000


class Wire:
    """What the canary publishes."""

    connected, problem = True, ""
    counters = SimpleNamespace(values=0)

    def __init__(self) -> None:
        self.sent: list[int] = []
        self.came = threading.Condition()

    def send(self, _asset: str, at: int, _values: dict[str, float]) -> None:
        with self.came:
            self.sent.append(at)
            self.came.notify()

    def wait_room(self, _timeout: float) -> bool:
        return True

    def start(self) -> None: ...

    def stop(self, _timeout: float) -> None: ...

    def announce(self, *_facts: object) -> None: ...

    def retire(self, _asset: str) -> None: ...

    def until(self, before: int) -> None:
        """Wait for a reading of before a time."""
        with self.came:
            assert self.came.wait_for(lambda: any(0 < at < before for at in self.sent), 10)


class Engine:
    """One that is not simulated: that takes its time at so many ticks a second."""

    sensors: dict[str, str] = {}  # noqa: RUF012 - it never changes

    def __init__(self, _period_ms: int) -> None: ...

    def begin(self, _fault: str) -> None: ...

    def end(self) -> None: ...

    def reading(self) -> dict[str, float]:
        return {}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """The time as the canary has it: `back` is by how much it was set back."""
    kept = {"back": 0}
    monkeypatch.setattr(run, "_now", lambda: time.time_ns() // 1_000_000 - kept["back"])
    monkeypatch.setattr(run, "NOTED_EVERY_MS", 0)
    monkeypatch.setattr(run, "CanaryEngine", Engine)
    return kept


@contextmanager
def canary(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    wire = Wire()
    monkeypatch.setattr(run, "Publisher", lambda *_args, **_more: wire)
    grid = run.Grid(PERIOD_MS, 3)
    given: dict[str, Any] = {"asset": "main", "grid": grid, "store": store, "away": lambda: ""}
    made = run.Canary(CanarySettings(), MqttSettings(), "c", **given)
    made.start()
    try:
        yield wire
    finally:
        made.stop()


def test_a_clock_that_is_set_back_stops_no_readings(
    tmp_path: Path, clock: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it runs, and for the next one, to which the latest reading is an hour ahead."""
    now = time.time_ns() // 1_000_000
    with closing(Store(tmp_path / "store.db")) as store:
        with canary(store, monkeypatch) as wire:
            wire.until(now + HOUR_MS)
            clock["back"] = HOUR_MS
            wire.until(now - HOUR_MS // 2)
        store.note({run.FACT: json.dumps({"newest": now})})
        with canary(store, monkeypatch) as wire:
            wire.until(now - HOUR_MS // 2)


def test_a_restart_goes_on_with_the_next_fault_and_what_could_not_be_tried(
    tmp_path: Path, clock: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three faults were tried and two rounds not: the fourth is next, and the trouble stays until it is seen."""
    assert clock["back"] == 0
    monkeypatch.setattr(run, "FIRST_MS", 0)
    with closing(Store(tmp_path / "store.db")) as store:
        store.note({run.FACT: json.dumps({"number": 3, "untried": 2, "hindrance": "it rained"})})
        with canary(store, monkeypatch) as wire:
            wire.until(2**62)
            known = json.loads(store.facts()[run.FACT])
            while not known.get("fault"):
                time.sleep(0.01)
                known = json.loads(store.facts()[run.FACT])
    assert (known["fault"], known["number"]) == (FAULTS[3], 3)
    assert known["trouble"] == "the canary could not be tried 2 times in a row: it rained"
