"""Past incidents that are like one: the same sensors, by the same shares, in the same direction."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.page.similar import likeness, similar
from monitor.records import AlertEvent, SensorFinding, Transition
from tests.store_samples import START, transition


def anomaly(name: str = "i", at: int = 0, **off: float) -> AlertEvent:
    """One whose sensors contribute so much, below 0 where they are lower than expected."""
    top = tuple(
        SensorFinding(sensor, "", 10 + (1 if value > 0 else -1), 10, abs(value)) for sensor, value in off.items()
    )
    return transition(Transition.FIRED, incident=name, started=START + at, top=top)


def faulty(kind: str, sensor: str, name: str = "i") -> AlertEvent:
    return transition(Transition.FIRED, incident=name, kind=kind, sensor=sensor, top=())


def test_likeness_is_the_cosine_of_what_sensors_contribute() -> None:
    """By hand: (3, 4) and (3, -4) over 25 is -7/25, below 0; (3, 4) and (3, 0) over 15 is 0.6."""
    one = anomaly(oil=3, coolant=4)
    assert likeness(one, anomaly(oil=6, coolant=8)) == pytest.approx(1)
    assert likeness(one, anomaly(oil=3)) == pytest.approx(0.6)
    assert likeness(one, anomaly(oil=3, coolant=-4)) == 0
    assert likeness(one, anomaly(voltage=1)) == 0
    assert likeness(one, anomaly(oil=float("nan"))) == 0
    assert likeness(one, anomaly()) == 0


def test_a_sensor_s_own_fault_is_like_one_of_the_same_sensor() -> None:
    stuck = faulty("sensor_stuck", "oil")
    assert likeness(stuck, faulty("sensor_stuck", "oil")) == 1
    assert likeness(stuck, faulty("sensor_noise", "oil")) == 0.5
    assert likeness(stuck, faulty("sensor_stuck", "coolant")) == 0
    assert likeness(stuck, anomaly(oil=3)) == 0
    assert likeness(faulty("stale", ""), faulty("stale", "")) == 1
    assert likeness(faulty("stale", ""), faulty("blind", "")) == 0


def test_the_most_like_come_first_then_the_newest_and_never_itself() -> None:
    """With the verdict that each was given; what is less like than one half is left out."""
    one = anomaly("one", 99, oil=3, coolant=4)
    past = [
        (one, ""),
        (anomaly("like, old", 1, oil=3, coolant=4), "real"),
        (anomaly("like, new", 2, oil=3, coolant=4), "false"),
        (anomaly("less", 3, oil=3), ""),
        (anomaly("other", 4, voltage=1), ""),
    ]
    found = similar(one, past, 10)
    told = [(each.incident.incident_id, each.verdict) for each in found]
    assert told == [("like, new", "false"), ("like, old", "real"), ("less", "")]
    assert similar(one, past, 1) == found[:1]


OFF = st.dictionaries(st.sampled_from("abcd"), st.floats(-1e6, 1e6).filter(lambda value: abs(value) > 1e-3))


@given(OFF, OFF)
def test_likeness_is_mutual_and_a_share(one: dict[str, float], other: dict[str, float]) -> None:
    """Whatever the sensors; and everything that has a sensor is like itself."""
    a, b = anomaly("a", 0, **one), anomaly("b", 0, **other)
    assert likeness(a, b) == pytest.approx(likeness(b, a))
    assert 0 <= likeness(a, b) <= 1
    assert likeness(a, a) == pytest.approx(1 if one else 0)
