"""What is wrong, in words: the sentences that people get."""

from __future__ import annotations

import doctest

import pytest

from monitor import wording
from monitor.records import SensorFinding

HOT = SensorFinding("coolant_temperature", "°C", 104.2, 90.3, 4.2)
OIL = SensorFinding("oil_pressure", "kPa", 321.0, 320.0, 0.3)
CHARGE = SensorFinding("map", "kPa", 60.0, 72.5, 1.8)


def test_the_examples_hold() -> None:
    assert doctest.testmod(wording).failed == 0


def test_an_anomaly_says_what_for_how_long_what_is_normal_and_how_sure() -> None:
    told = wording.anomaly([HOT, OIL], 4.2, 1.5, lasted_ms=40_000, regime="load")
    assert told == (
        "coolant temperature 14 °C above what the other sensors explain (104 °C, expected 90), for 40 s, in load; "
        "oil pressure normal; well above the threshold: score 4.2 against 1.5"
    )


def test_every_sensor_that_is_beyond_the_threshold_is_off() -> None:
    told = wording.anomaly([HOT, CHARGE, OIL], 4.2, 1.5, lasted_ms=0, regime="")
    assert ", map 12 kPa below (60 kPa, expected 72); oil pressure normal" in told


def test_where_no_sensor_is_beyond_the_threshold_by_itself_the_first_is_off() -> None:
    """A score can be above its threshold by what lasts, or by sensors together."""
    told = wording.anomaly([CHARGE, OIL], 4.2, 2.0, lasted_ms=0, regime="")
    assert told.startswith("map 12 kPa below")
    assert "; oil pressure normal; " in told


def test_without_a_sensor_to_blame_that_is_what_is_said() -> None:
    told = wording.anomaly([], 2.0, 1.0, lasted_ms=5_000, regime="")
    assert told == "the sensors do not go together, for 5 s; well above the threshold: score 2 against 1"


@pytest.mark.parametrize(
    ("actual", "expected", "words"),
    [
        (5012.0, 3420.0, "fuel rate 1592 l/h above what the other sensors explain (5012 l/h, expected 3420)"),
        (3.199, 4.365, "fuel rate 1.2 l/h below what the other sensors explain (3.2 l/h, expected 4.4)"),
        (60.0, 60.0, "fuel rate 60 l/h"),
        (float("nan"), 60.0, "fuel rate nan l/h"),
    ],
)
def test_figures_have_the_decimals_that_the_difference_needs(actual: float, expected: float, words: str) -> None:
    assert wording.deviation(SensorFinding("fuel_rate", "l/h", actual, expected, 2.0), wording.OTHERS) == words
