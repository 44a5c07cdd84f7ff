"""What a demo's summary says of faults and alarms, each case worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest

from monitor.demo import books
from monitor.records import AlertEvent, Transition
from simulator.faults import Fault

BEGINNING = 1_790_000_000_000
AFTER_MS = 45_000
ASSETS = ("engine-01", "engine-02")
MISFIRE = Fault(0, "misfire", "severe", start_ms=10_000, duration_ms=60_000)
DROPOUT = Fault(1, "dropout", "severe", start_ms=20_000, duration_ms=40_000, sensor="map")


def alert(
    second: float, asset: str = "engine-01", kind: str = "anomaly", transition: str = "fired", sensor: str = ""
) -> books.Alert:
    """A transition of that second of the fleet, which came 200 ms later."""
    time = BEGINNING + int(second * 1000)
    event = AlertEvent(
        event_id="e",
        incident_id="i",
        stream=f"demo//{asset}",
        kind=kind,
        sensor=sensor,
        transition=Transition(transition),
        severity="warning",
        started=time,
        time=time,
        recorded=time,
        score=None,
        threshold=None,
        summary="",
    )
    return time + 200, event


def summed(*alerts: books.Alert) -> dict[str, Any]:
    return books.summary(
        published=100,
        outcomes={"in_row": 97, "duplicate": 3},
        stored=97,
        faults=[MISFIRE, DROPOUT],
        assets=ASSETS,
        beginning=BEGINNING,
        alerts=alerts,
        after_ms=AFTER_MS,
    )


def seconds(*alerts: books.Alert) -> list[float | None]:
    return [fault["seconds_to_alert"] for fault in summed(*alerts)["faults"]]


def test_the_first_alert_of_a_fault_counts() -> None:
    """From the fault's beginning until its subscriber had it."""
    dropout = alert(31, "engine-02", "sensor_dropout", sensor="map")
    told = [alert(18), alert(50), dropout]
    assert seconds(*told) == [8.2, 11.2]
    assert summed(*told)["false_alarms"] == 0


@pytest.mark.parametrize(
    "other",
    [
        alert(9),  # before it began
        alert(116),  # when no window holds it any more
        alert(30, "engine-02"),  # of an engine of which only a sensor fails
        alert(30, kind="sensor_stuck", sensor="map"),  # of a sensor where the engine fails
        alert(30, "engine-02", "sensor_dropout", sensor="maf"),  # of another sensor
    ],
)
def test_what_no_fault_explains_is_a_false_alarm(other: books.Alert) -> None:
    assert seconds(other) == [None, None]
    assert summed(other)["false_alarms"] == 1


def test_neither_silence_nor_a_clearing_is_an_alarm() -> None:
    quiet = [alert(5, kind="stale"), alert(5, transition="cleared")]
    assert seconds(*quiet) == [None, None]
    assert summed(*quiet)["false_alarms"] == 0


def test_a_fault_that_stays_is_found_at_any_time() -> None:
    stays = Fault(0, "misfire", "severe", start_ms=10_000)
    assert books.seconds_to_alert(stays, "engine-01", BEGINNING, [alert(9000)], AFTER_MS) == 8990.2


def test_balanced_means_that_every_value_is_somewhere() -> None:
    """Published are 100: 97 in rows that were read back, 3 repeats."""
    assert books.balanced(summed())
    assert not books.balanced(summed() | {"published": 101})
    assert not books.balanced(summed() | {"stored": 96})


def test_the_sentence_holds_the_figures() -> None:
    text = books.sentence(summed(alert(18), alert(5)))
    assert "100 values published, 97 in_row, 3 duplicate; 97 read back" in text
    assert "1 of 2 faults found, 1 false alarm" in text
