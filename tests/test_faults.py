"""Faults: they act where and when they say, by as much as they say, and on nothing else."""

from __future__ import annotations

import itertools
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.fault_kinds import ENGINE_FAULTS, FAULTS, LEVELS, SENSOR_FAULTS, WORKING_SPAN
from simulator.faults import Fault, SensorFaults, effects, mistake, profile, truth_record
from simulator.records import SENSORS, Effects

if TYPE_CHECKING:
    from monitor.records import Float64, Int64

MAP = list(SENSORS).index("map")
PERIOD = 500


def seconds(*times: float) -> Int64:
    return np.array([round(1000 * time) for time in times], np.int64)


def ticks(count: int, first: int = 0) -> Int64:
    return (first + np.arange(count, dtype=np.int64)) * PERIOD


def course(count: int, engines: int = 2) -> Float64:
    """A signal (T, N, C) in which every number is another."""
    return np.arange(count * engines * len(SENSORS), dtype=np.float64).reshape(count, engines, len(SENSORS))


def said(fault: Fault, count: int, seed: int = 1) -> tuple[Float64, Float64]:
    """The healthy and the reported course (T,) of the fault's sensor."""
    healthy = course(count)
    signal = healthy.copy()
    SensorFaults([fault], seed, PERIOD).apply(signal, ticks(count))
    others = np.ones_like(signal, bool)
    others[:, fault.engine, MAP] = False
    assert (signal[others] == healthy[others]).all()
    return healthy[:, fault.engine, MAP], signal[:, fault.engine, MAP]


def on_map(kind: str, **other: Any) -> Fault:
    return Fault(0, kind, sensor="map", **other)


def test_the_catalogue_is_whole() -> None:
    """The issue's kinds, each with three severities in order within its bounds, a unit, and a reason."""
    assert set(ENGINE_FAULTS) == {
        *("misfire", "rich_mixture", "lean_mixture", "low_ignition_voltage", "coolant_leak", "oil_pump_wear"),
        *("thermostat_stuck_open", "thermostat_stuck_shut", "bearing_wear", "clogged_air_filter"),
        *("injector_drift", "manifold_leak", "turbo_wear"),
    }
    assert set(SENSOR_FAULTS) == {
        *("stuck", "offset", "drift", "gain", "noise", "spikes", "dropout", "decoupled"),
    }
    assert set(WORKING_SPAN) == set(SENSORS)
    for kind in FAULTS.values():
        assert tuple(kind.severities) == LEVELS
        levels = list(kind.severities.values())
        assert levels in (sorted(set(levels)), sorted(set(levels), reverse=True))
        assert all(kind.lowest <= level <= kind.highest for level in levels)
        assert kind.unit
        assert kind.what
        assert kind.reason
    assert {kind.effect for kind in ENGINE_FAULTS.values()} == {each.name for each in fields(Effects)}


@pytest.mark.parametrize(
    ("fault", "field", "full"),
    [
        (Fault(1, "misfire", "severe"), "misfire_share", 0.6),
        (Fault(1, "rich_mixture", "moderate"), "lambda_bias", -0.1),
        (Fault(1, "lean_mixture", "moderate"), "lambda_bias", 0.1),
        (Fault(1, "injector_drift", "severe"), "injector_scale", 0.75),
        (Fault(1, "injector_drift", -0.1), "injector_scale", 1.1),
        (Fault(1, "bearing_wear", "moderate"), "bearing_clearance", 2.0),
        (Fault(1, "thermostat_stuck_shut", "severe"), "thermostat_opening", 0.0),
        (Fault(1, "turbo_wear", 0.4), "turbo_loss", 0.4),
    ],
)
def test_an_engine_fault_acts_in_its_time_on_its_engine_alone(fault: Fault, field: str, full: float) -> None:
    time = seconds(0, 59.5, 60, 119.5, 120)
    made = effects([replace(fault, start_ms=60_000, duration_ms=60_000)], time, 3, seed=0)
    healthy = Effects.healthy(5, 3)
    for each in fields(Effects):
        values, usual = getattr(made, each.name), getattr(healthy, each.name)
        if each.name == field:
            np.testing.assert_allclose(values[2:4, 1], full)
            values[2:4, 1] = usual[2:4, 1]
        np.testing.assert_array_equal(values, usual)


def test_a_ramped_fault_grows_evenly_and_is_mended_at_once() -> None:
    """Healthy + profile x (severity - healthy): half of a doubled clearance after half of the ramp is 1.5."""
    fault = Fault(0, "bearing_wear", 2.0, 10_000, 60_000, "ramped", ramp_ms=20_000)
    made = effects([fault], seconds(5, 10, 15, 20, 30, 69, 70), 1, seed=0)
    assert made.bearing_clearance[:, 0].tolist() == [1.0, 1.0, 1.25, 1.5, 2.0, 2.0, 1.0]


def test_a_thermostat_sticks_where_it_regulates_and_goes_on_from_there() -> None:
    fault = Fault(0, "thermostat_stuck_open", 1.0, 10_000, None, "ramped", ramp_ms=20_000)
    opening = effects([fault], seconds(0, 11, 30, 500), 1, seed=0).thermostat_opening[:, 0]
    assert np.isnan(opening[0])
    assert 0.3 < opening[1] < 0.4
    assert opening[2:].tolist() == [1.0, 1.0]


def test_an_intermittent_fault_comes_once_a_minute_for_a_quarter_to_three_quarters_of_it() -> None:
    fault = Fault(0, "misfire", start_ms=30_000, duration_ms=3_600_000, onset="intermittent")
    grown = profile(fault, ticks(7300), seed=5)
    assert set(grown) == {0.0, 1.0}
    assert grown[:60].sum() == 0
    assert grown[60] == 1
    share = grown[60:7260].reshape(60, 120).mean(axis=1)  # of each minute after its start
    assert (share >= 0.25 - 1 / 120).all()
    assert (share <= 0.75 + 1 / 120).all()
    assert (np.diff(grown[60:7260].reshape(60, 120), axis=1) == 1).sum(axis=1).max() <= 1
    assert (grown[7260:] == 0).all()
    assert (profile(fault, ticks(7300), seed=6) != grown).any()


def test_offset_and_gain_and_drift_by_hand() -> None:
    healthy, reported = said(on_map("offset", severity=-0.2, start_ms=2_000, duration_ms=1_000), 10)
    assert (reported - healthy).tolist() == [0.0] * 4 + [-30.0] * 2 + [0.0] * 4
    healthy, reported = said(on_map("gain", severity=0.5, start_ms=2_000), 6)
    np.testing.assert_allclose(reported, healthy * [1, 1, 1, 1, 1.5, 1.5])
    healthy, reported = said(on_map("drift", severity=2.0), 7300)
    np.testing.assert_allclose((reported - healthy)[[0, 1800, 3600, 7200]], [0.0, 75.0, 150.0, 150.0])


def test_a_ramped_offset_grows() -> None:
    healthy, reported = said(on_map("offset", severity=1.0, onset="ramped", ramp_ms=2_000), 6)
    np.testing.assert_allclose(reported - healthy, [0.0, 37.5, 75.0, 112.5, 150.0, 150.0])


def test_stuck_repeats_the_value_of_its_start_and_refreshes() -> None:
    healthy, reported = said(on_map("stuck", severity=1e9, start_ms=1_000), 8)
    assert reported.tolist() == [*healthy[:2], *[healthy[2]] * 6]
    healthy, reported = said(on_map("stuck", severity=1.5, start_ms=1_000), 8)
    assert reported.tolist() == healthy[[0, 1, 2, 2, 2, 5, 5, 5]].tolist()


def test_intermittently_stuck_holds_a_new_value_in_each_episode() -> None:
    fault = on_map("stuck", severity=1e9, onset="intermittent")
    healthy, reported = said(fault, 480)
    on = profile(fault, ticks(480), seed=1) > 0
    assert (reported[~on] == healthy[~on]).all()
    first = np.flatnonzero(on & ~np.concatenate([[False], on[:-1]]))
    assert len(first) == 4
    assert sorted(set(reported[on])) == healthy[first].tolist()


def test_decoupled_says_what_was_a_while_before() -> None:
    healthy, reported = said(on_map("decoupled", severity=3.0, start_ms=4_000, duration_ms=5_000), 30)
    assert (reported[8:18] == healthy[2:12]).all()
    assert (np.delete(reported, range(8, 18)) == np.delete(healthy, range(8, 18))).all()


def test_noise_spikes_and_dropout_have_their_sizes() -> None:
    """Over 40,000 readings, within five standard deviations of each figure."""
    count = 40_000
    healthy, reported = said(on_map("noise", severity=0.1), count)
    assert (reported - healthy).std() == pytest.approx(15.0, abs=5 * 15 / (2 * count) ** 0.5)
    healthy, reported = said(on_map("spikes", severity=6.0), count)
    spikes = reported - healthy
    assert set(np.round(spikes, 6)) == {-75.0, 0.0, 75.0}
    assert (spikes != 0).sum() == pytest.approx(2000, abs=5 * 2000**0.5)  # six a minute
    healthy, reported = said(on_map("dropout", severity=0.3), count)
    assert np.isnan(reported).mean() == pytest.approx(0.3, abs=5 * (0.21 / count) ** 0.5)
    assert (reported == healthy)[~np.isnan(reported)].all()


@st.composite
def sensor_faults(draw: st.DrawFn) -> Fault:
    kind = SENSOR_FAULTS[draw(st.sampled_from(list(SENSOR_FAULTS)))]
    onset = draw(st.sampled_from(kind.onsets))
    return Fault(
        engine=draw(st.integers(0, 1)),
        kind=kind.name,
        severity=20.0 if kind.name == "decoupled" else draw(st.sampled_from(LEVELS)),
        start_ms=20_000 + draw(st.integers(0, 60_000)),
        duration_ms=draw(st.none() | st.integers(1, 200_000)),
        onset=onset,
        sensor=draw(st.sampled_from(("map", "maf"))),
        ramp_ms=draw(st.integers(1, 60_000)) if onset == "ramped" else 0,
    )


@given(st.lists(sensor_faults(), max_size=4), st.lists(st.integers(1, 300), max_size=6), st.integers(0, 9))
@settings(max_examples=60)
def test_block_sizes_change_nothing(faults: list[Fault], cuts: list[int], seed: int) -> None:
    whole, pieces = course(400), course(400)
    SensorFaults(faults, seed, PERIOD).apply(whole, ticks(400))
    acting = SensorFaults(faults, seed, PERIOD)
    edges = sorted({0, 400, *(min(cut, 400) for cut in np.cumsum(cuts).tolist())})
    for first, after in itertools.pairwise(edges):
        acting.apply(pieces[first:after], ticks(after - first, first))
    np.testing.assert_array_equal(whole, pieces)
    profiles = [
        np.concatenate([profile(fault, ticks(b - a, a), seed) for a, b in itertools.pairwise(edges)])
        for fault in faults
    ]
    for fault, joined in zip(faults, profiles, strict=True):
        np.testing.assert_array_equal(profile(fault, ticks(400), seed), joined)


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (Fault(0, "misfire", 1.1), "takes 0 to 1"),
        (Fault(0, "misfire", float("nan")), "cannot be"),
        (Fault(0, "misfire", start_ms=-1), "earliest start is 0s"),
        (Fault(0, "misfire", duration_ms=0), "positive duration"),
        (Fault(0, "misfire", onset="ramped"), "positive time to grow"),
        (Fault(0, "misfire", ramp_ms=5), "no other does"),
        (Fault(0, "misfire", sensor="map"), "leave out the sensor map"),
        (Fault(0, "stuck"), "say which one"),
        (on_map("stuck", onset="ramped", ramp_ms=5), "only sudden or intermittent"),
        (on_map("decoupled", severity=60.0, start_ms=59_000), "begin at 60s or later"),
        (Fault(0, "misfire"), ""),
        (on_map("stuck"), ""),
    ],
)
def test_mistakes_in_words(fault: Fault, told: str) -> None:
    assert told in mistake(fault)
    assert bool(told) == bool(mistake(fault))


def test_the_truth_names_everything() -> None:
    fault = on_map("offset", severity="severe", start_ms=1_000, duration_ms=2_000)
    assert truth_record(fault, "engine-01", 10_000) == {
        "asset": "engine-01",
        "kind": "offset",
        "sensor": "map",
        "severity": {"name": "severe", "value": 0.3, "unit": "share of the working span"},
        "start": 11_000,
        "end": 13_000,
        "onset": "sudden",
    }
    open_end = truth_record(Fault(0, "misfire", 0.5), "engine-01", 0)
    assert (open_end["sensor"], open_end["end"], open_end["severity"]["name"]) == (None, None, None)
