"""What the demo says on the screen: everything that somebody who watches needs to know of an alert."""

from __future__ import annotations

import io
from dataclasses import replace

from rich.console import Console, RenderableType

from monitor.demo import words
from monitor.demo.words import State
from monitor.records import AlertEvent, SensorFinding, Transition
from simulator.faults import Fault

FIRED = AlertEvent(
    event_id="e",
    incident_id="i",
    stream="demo//engine-07",
    kind="anomaly",
    sensor="",
    transition=Transition.FIRED,
    severity="critical",
    started=0,
    time=0,
    recorded=0,
    score=4.0,
    threshold=1.25,
    summary="score 4 against 1.25",
    top=(
        SensorFinding("exhaust_gas_temperature", "°C", 612.0, 745.0, 4.0),
        SensorFinding("map", "kPa", 61.0, 44.0, 2.0),
    ),
)


def shown(what: RenderableType, width: int = 200) -> str:
    """As it stands on a screen."""
    console = Console(file=io.StringIO(), width=width)
    with console.capture() as written:
        console.print(what)
    return written.get()


def test_an_alert_tells_its_sensors_expected_against_actual() -> None:
    lines = shown(words.told(FIRED, "engine-07", 0, 9.4)).splitlines()
    assert "ALERT" in lines[0]
    assert "engine-07" in lines[0]
    assert "critical, 9 s after its onset: score 4, 3.2 times its threshold" in lines[0]
    assert lines[1].strip() == "exhaust_gas_temperature 612 °C (expected 745)"
    assert lines[2].strip() == "map 61 kPa (expected 44)"


def test_an_alert_without_a_fault_says_so() -> None:
    assert "no fault is known" in shown(words.told(FIRED, "engine-07", 0, None))


def test_a_faulty_sensor_is_told_apart_from_a_faulty_engine() -> None:
    stuck = replace(FIRED, kind="sensor_stuck", sensor="map", summary="map stuck at 61 kPa for 20 s", top=())
    text = shown(words.told(stuck, "engine-07", 0, 20.0))
    assert "ALERT" not in text
    assert "map stuck at 61 kPa for 20 s, 20 s after its onset" in text
    assert "a fault of the sensor" in text


def test_a_narrow_screen_loses_nothing() -> None:
    """Long lines are folded inside their column."""
    wide, narrow = (shown(words.told(FIRED, "engine-07", 0, 9.4), width) for width in (200, 60))
    assert narrow.split() == wide.split()


def test_the_truth_is_told_in_physical_units() -> None:
    misfire = Fault(6, "misfire", "severe", start_ms=0)  # the catalogue: 0.60 of one cylinder's cycles
    text = shown(words.begins(misfire, "engine-07", 0))
    assert "severe misfire: some of one cylinder's cycles do not burn (60 %)" in text
    dropout = Fault(6, "dropout", "severe", start_ms=0, sensor="map")
    assert "severe dropout of map: " in shown(words.begins(dropout, "engine-07", 0))
    assert shown(words.begins(misfire, "engine-07", 0, by_hand=True)).rstrip().endswith("by hand")


def test_the_status_line_tells_every_figure() -> None:
    state = State(360.2, 23.7, 12, None, 1, {"mqtt": 0, "influx": 3})
    line = str(words.status(state))
    assert line == "360 values/s · 24 scored/s · 12 streams · 1 open incident · lag mqtt 0, influx 3"
    warming = str(words.status(replace(state, warming_up=(41, 60), scored_s=None)))
    assert "- scored/s" in warming
    assert "warming up 41/60" in warming


def test_where_nothing_is_scored_the_line_says_why() -> None:
    state = State(0.0, trouble="not connected to the broker: the broker closed the connection")
    assert str(words.status(state)) == f"0 values/s · {state.trouble}"
