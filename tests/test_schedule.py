"""Schedules: what is written is what is read, mistakes are one line with a remedy, chance is reproducible."""

from __future__ import annotations

import doctest
import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import simulator.schedule
from simulator.fault_kinds import FAULTS, LEVELS
from simulator.faults import Fault, mistake
from simulator.records import SENSORS
from simulator.schedule import ScheduleError, as_line, checked, draw_faults, from_line, from_toml

ASSETS = ("engine-01", "engine-02", "engine-03")
HOUR = 3_600_000


@st.composite
def faults(draw: st.DrawFn) -> Fault:
    """Any fault that can be."""
    kind = FAULTS[draw(st.sampled_from(list(FAULTS)))]
    severity = draw(st.sampled_from(LEVELS) | st.floats(kind.lowest, kind.highest))
    onset = draw(st.sampled_from(kind.onsets))
    made = Fault(
        engine=draw(st.integers(0, len(ASSETS) - 1)),
        kind=kind.name,
        severity=severity,
        start_ms=draw(st.integers(0, HOUR)),
        duration_ms=draw(st.none() | st.integers(1, HOUR)),
        onset=onset,
        sensor=draw(st.sampled_from(list(SENSORS))) if kind.on_sensor else "",
        ramp_ms=draw(st.integers(1, HOUR)) if onset == "ramped" else 0,
    )
    late = math.ceil(1000 * made.amount) if kind.name == "decoupled" else 0
    return replace(made, start_ms=made.start_ms + late)


def test_documented_examples() -> None:
    assert doctest.testmod(simulator.schedule).failed == 0


@given(faults())
@settings(max_examples=200)
def test_what_is_written_is_read(fault: Fault) -> None:
    """The line of a fault, and its keys in TOML, are read as the same fault."""
    assert from_line(as_line(fault, ASSETS), "here", ASSETS).fault == fault
    severity = f'"{fault.severity}"' if isinstance(fault.severity, str) else repr(float(fault.severity))
    lines = [
        "[[faults]]",
        f'engine = "{ASSETS[fault.engine]}"',
        f'kind = "{fault.kind}"',
        f"severity = {severity}",
    ]
    lines += [f'at = "{fault.start_ms}ms"', f'onset = "{fault.onset}"']
    lines += [f'for = "{fault.duration_ms}ms"'] if fault.duration_ms is not None else []
    lines += [f'ramp = "{fault.ramp_ms}ms"'] if fault.ramp_ms else []
    lines += [f'sensor = "{fault.sensor}"'] if fault.sensor else []
    assert [entry.fault for entry in from_toml("\n".join(lines), "f.toml", ASSETS)] == [fault]


def test_a_line_reads_as_it_says() -> None:
    read = from_line("engine-03 misfire severe at 60s for 5m ramped 30s", "here", ASSETS).fault
    assert read == Fault(2, "misfire", "severe", 60_000, 300_000, "ramped", "", 30_000)
    read = from_line("engine-01 offset -0.2 intermittent on map at 1.5m", "here", ASSETS).fault
    assert read == Fault(0, "offset", -0.2, 90_000, None, "intermittent", "map")
    assert from_line("engine-01 misfire at 0", "here", ASSETS).fault == Fault(0, "misfire", "moderate")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("engine-01", "a fault is written ENGINE KIND"),
        ("engine-01 missfire at 1m", "did you mean misfire?"),
        ("engin-02 misfire at 1m", "did you mean engine-02?"),
        ("pump misfire at 1m", "there are engine-01, engine-02, engine-03"),
        ("engine-01 stuck on oil_presure at 1m", "did you mean oil_pressure?"),
        ("engine-01 stuck at 1m", "say which one"),
        ("engine-01 misfire on map at 1m", "leave out the sensor map"),
        ("engine-01 misfire", "'at' must be given"),
        ("engine-01 misfire at", "nothing follows 'at'"),
        ("engine-01 misfire at -5s", "earliest start is 0s"),
        ("engine-01 misfire at soon", "'soon' is not a time"),
        ("engine-01 misfire at 1m for 0s", "positive duration"),
        ("engine-01 misfire at 1m ramped 0s", "positive time to grow"),
        ("engine-01 misfire at 1m at 2m", "said already"),
        ("engine-01 misfire at 1m sudden intermittent", "said already"),
        ("engine-01 misfire sever at 1m", "did you mean severe?"),
        ("engine-01 misfire 1.5 at 1m", "takes 0 to 1"),
        ("engine-01 misfire nan at 1m", "is no severity"),
        ("engine-01 misfire mild badly at 1m", "'badly' is not understood"),
        ("engine-01 stuck on map at 1m ramped 5s", "only sudden or intermittent"),
        ("engine-01 decoupled 120 on map at 1m", "begin at 120s or later"),
    ],
)
def test_mistakes_are_one_line_with_the_remedy(line: str, told: str) -> None:
    with pytest.raises(ScheduleError) as raised:
        checked([from_line(line, "--fault 1", ASSETS)], math.inf)
    assert told in str(raised.value)
    assert str(raised.value).startswith("--fault 1: ")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[[faults", "f.toml: "),
        ("[other]\na = 1", "'other' cannot stand here"),
        ("faults = 3", "'faults' cannot stand here"),
        ('[[faults]]\nengine = "engine-01"', "f.toml, fault 1: 'kind' must be given"),
        (
            '[[faults]]\nengine = "engine-01"\nkind = "misfire"\nat = "1s"\nonst = "sudden"',
            "did you mean onset?",
        ),
        ('[[faults]]\nengine = 1\nkind = "misfire"\nat = "1s"', "there is no engine 1"),
        ('[[faults]]\nengine = "engine-01"\nkind = "misfire"\nat = true', "must be a time"),
        ('[[faults]]\nengine = "engine-01"\nkind = "misfire"\nat = "1s"\nonset = "slow"', "there is no onset"),
        ('[[faults]]\nengine = "engine-01"\nkind = "misfire"\nat = "1s"\nonset = "ramped"', "time to grow"),
    ],
)
def test_mistakes_in_toml_name_the_fault(text: str, told: str) -> None:
    with pytest.raises(ScheduleError) as raised:
        from_toml(text, "f.toml", ASSETS)
    assert told in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["engine-01 misfire at 10s for 1m", "engine-01 misfire mild at 69s"], "overlaps misfire (line 0)"),
        (["engine-01 rich_mixture at 10s", "engine-01 lean_mixture at 1m"], "overlaps rich_mixture"),
        (["engine-01 stuck on map at 10s", "engine-01 stuck on map at 1m"], "overlaps stuck"),
        (["engine-01 misfire at 2h"], "it begins at 2h, after the end at 1h"),
    ],
)
def test_faults_that_do_not_go_together(lines: list[str], told: str) -> None:
    entries = [from_line(line, f"line {number}", ASSETS) for number, line in enumerate(lines)]
    with pytest.raises(ScheduleError, match=told.replace("(", r"\(").replace(")", r"\)")):
        checked(entries, HOUR)


def test_faults_that_do_go_together() -> None:
    """One after the other, on other engines, on other sensors, of other kinds on one sensor."""
    lines = [
        "engine-01 misfire at 10s for 1m",
        "engine-01 misfire at 70s",
        "engine-02 misfire at 10s",
        "engine-01 stuck on map at 10s",
        "engine-01 stuck on maf at 10s",
        "engine-01 offset on map at 10s",
    ]
    assert len(checked([from_line(line, "here", ASSETS) for line in lines], HOUR)) == len(lines)


def test_random_faults_have_the_rate_and_are_possible() -> None:
    """A Poisson process of 3 an hour on 40 engines for 20 hours: 2400 within five standard deviations (49)."""
    drawn = draw_faults(3.0, 40, 20 * HOUR, seed=4)
    assert abs(len(drawn) - 2400) < 5 * 49
    assert not any(mistake(fault) for fault in drawn)
    for engine in range(40):
        own = [fault for fault in drawn if fault.engine == engine]
        assert not any(one.overlaps(other) for i, one in enumerate(own) for other in own[:i])
    assert {fault.kind for fault in drawn} == set(FAULTS)


def test_random_faults_follow_the_seed_and_the_engine_alone() -> None:
    drawn = draw_faults(5.0, 4, HOUR, seed=1)
    assert drawn == draw_faults(5.0, 4, HOUR, seed=1)
    assert drawn != draw_faults(5.0, 4, HOUR, seed=2)
    assert drawn == [fault for fault in draw_faults(5.0, 9, HOUR, seed=1) if fault.engine < 4]
    assert draw_faults(0.0, 4, HOUR, seed=1) == []


def test_random_faults_do_not_overlap_those_by_hand() -> None:
    by_hand = [Fault(0, kind) for kind in FAULTS if not FAULTS[kind].on_sensor]
    parts = {fault.part for fault in by_hand}
    drawn = draw_faults(20.0, 1, 10 * HOUR, seed=1, beside=by_hand)
    assert drawn
    assert not parts & {fault.part for fault in drawn}


@pytest.mark.parametrize("rate", [-1.0, math.nan, math.inf, 61.0])
def test_rates_that_cannot_be(rate: float) -> None:
    with pytest.raises(ScheduleError, match="cannot be: give 0 to 60"):
        draw_faults(rate, 1, HOUR, seed=0)
