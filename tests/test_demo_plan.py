"""The demo's programme: what it promises to whoever watches, for every number of engines and every seed."""

from __future__ import annotations

from collections import defaultdict
from importlib.resources import files
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from config.files import load_asset_file
from monitor.demo.plan import PROGRAMME, RECOVERY_MS, faults
from simulator.faults import ENGINE_FAULTS, Fault, mistake
from simulator.fleet import Fleet

FROM = 330_000
HOUR = 3_600_000
FLEETS = st.integers(1, 30)
SEEDS = st.integers(0, 1000)


def planned(engines: int, seed: int, span: int = HOUR) -> list[Fault]:
    return faults(engines, seed, from_ms=FROM, until_ms=FROM + span)


@given(FLEETS, SEEDS)
def test_every_fault_is_possible_and_an_engine_has_one_at_a_time(engines: int, seed: int) -> None:
    """And between two of them it has time to become as it was."""
    free: dict[int, float] = defaultdict(lambda: FROM)
    plan = planned(engines, seed)
    assert plan
    for fault in plan:
        assert mistake(fault) == ""
        assert 0 <= fault.engine < engines
        assert free[fault.engine] <= fault.start_ms < FROM + HOUR
        free[fault.engine] = fault.end_ms + RECOVERY_MS
    assert [fault.start_ms for fault in plan] == sorted(fault.start_ms for fault in plan)


@given(st.integers(3, 30), SEEDS)
def test_75_seconds_show_two_engine_faults_and_a_sensor_fault(engines: int, seed: int) -> None:
    """The first is an engine's, within 30 s; the last has half a minute left in which to be found."""
    plan = planned(engines, seed, 75_000)
    engine_faults = [fault for fault in plan if fault.kind in ENGINE_FAULTS]
    assert plan[0] is engine_faults[0]
    assert plan[0].start_ms < FROM + 30_000
    assert len(engine_faults) >= 2
    assert any(fault.sensor for fault in plan)
    assert plan[-1].start_ms <= FROM + 75_000 - 30_000


@given(FLEETS, SEEDS)
def test_it_goes_on_and_shows_every_kind(engines: int, seed: int) -> None:
    """A longer run begins as a shorter one, and has had the whole programme after an hour."""
    plan = planned(engines, seed)
    assert {fault.kind for fault in plan} == {act.kind for act in PROGRAMME}
    assert plan[: len(planned(engines, seed, HOUR // 2))] == planned(engines, seed, HOUR // 2)


def test_the_seed_chooses_the_engines() -> None:
    assert planned(12, 1) == planned(12, 1)
    assert [fault.engine for fault in planned(12, 1)] != [fault.engine for fault in planned(12, 2)]


def test_no_engine_fault_leaves_a_sensors_range() -> None:
    """So it is the model that finds them, and not a limit. Ten minutes of the programme."""
    plan = [fault for fault in planned(12, 0, 600_000) if not fault.sensor]
    assert {fault.kind for fault in plan} == {act.kind for act in PROGRAMME if not act.sensor}
    values = Fleet(12, faults=plan).block((FROM + 600_000) // 500).values  # (T, N, C)
    asset = load_asset_file(Path(str(files("config"))) / "assets" / "engine.toml")
    for number, sensor in enumerate(asset.sensors):
        assert sensor.min is not None
        assert sensor.max is not None
        assert sensor.min <= np.nanmin(values[:, :, number])
        assert np.nanmax(values[:, :, number]) <= sensor.max
