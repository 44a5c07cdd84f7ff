"""models.events: which events were told, and what was false, worked by hand."""

from __future__ import annotations

import pytest

from models.events import Event, Incident, event_f1, match, summed

FAULT = Event(100, 200, "stuck", "map")


def test_an_incident_belongs_to_the_event_in_which_it_fired() -> None:
    """Also within the reach behind it, where windows still hold the event; the tick after that is false."""
    found = match([FAULT], [Incident(130, 210), Incident(260), Incident(261)], reach=60)
    assert found.delay == (30,)
    assert found.own == 2
    assert [each.fired for each in found.false] == [261]


def test_what_fired_before_is_false_and_hides_the_event() -> None:
    """It is open when the event begins: nobody is told."""
    found = match([FAULT], [Incident(99, 300)], reach=60)
    assert found.delay == (None,)
    assert found.hidden == (True,)
    assert len(found.false) == 1


def test_an_incident_that_cleared_in_time_hides_nothing() -> None:
    assert match([FAULT], [Incident(50, 90)], reach=60).hidden == (False,)


def test_an_alarm_that_never_ends_finds_nothing() -> None:
    total = summed([match([FAULT, Event(400, 500)], [Incident(0)], reach=60)])
    assert (total.found, total.hidden, total.false) == (0, 2, 1)
    assert total.f1 == 0.0


def test_events_are_counted_by_kind_and_the_sensor_that_was_named() -> None:
    right = match([FAULT], [Incident(120, named=("map", "maf"))], reach=0)
    wrong = match([FAULT], [Incident(140, named=("maf", "map"))], reach=0)
    checked = match([Event(0, 9, "gain", "maf")], [Incident(5, kind="sensor_range", sensor="maf")], reach=0)
    total = summed([right, wrong, checked, match([Event(0, 9, "gain")], [], reach=0)])
    assert (total.events, total.found, total.nameable, total.named) == (4, 3, 3, 2)
    assert dict(total.of_kind) == {"stuck": 2, "gain": 2}
    assert dict(total.found_of_kind) == {"stuck": 2, "gain": 1}
    assert total.delays == [20, 40, 5]


@pytest.mark.parametrize(
    ("events", "found", "false", "f1"),
    [(10, 6, 2, 2 * 0.75 * 0.6 / 1.35), (3, 0, 5, 0.0), (3, 3, 0, 1.0), (0, 0, 4, None)],
)
def test_event_f1_is_the_harmonic_mean(events: int, found: int, false: int, f1: float | None) -> None:
    """Precision found / (found + false), recall found / events; 6 of 10 with 2 false: 0.75 and 0.6."""
    assert event_f1(events, found, false) == (None if f1 is None else pytest.approx(f1))
