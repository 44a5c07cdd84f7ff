"""The fleet: the same bytes for the same seed, in blocks of any size, each engine for itself."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import simulator.fleet
from simulator.duty import DUTIES
from simulator.faults import Fault
from simulator.fleet import Fleet
from simulator.records import SENSORS, Block

FAULTS = (
    Fault(0, "misfire", "severe", 5_000, None, "intermittent"),
    Fault(1, "noise", "severe", 10_000, 20_000, "ramped", "map", 5_000),
    Fault(1, "stuck", "severe", 12_000, None, sensor="oil_pressure"),
)


def same(one: Block, other: Block) -> bool:
    return (
        one.time.tobytes() == other.time.tobytes()
        and one.values.tobytes() == other.values.tobytes()
        and one.running.tobytes() == other.running.tobytes()
    )


def joined(blocks: list[Block]) -> Block:
    return Block(*(np.concatenate([getattr(b, name) for b in blocks]) for name in ("time", "values", "running")))


def sensor(block: Block, name: str) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return block.values[:, :, list(SENSORS).index(name)]


def test_documented_examples() -> None:
    assert doctest.testmod(simulator.fleet).failed == 0


@given(st.lists(st.integers(1, 60), min_size=1, max_size=8), st.sampled_from(["warm", "cold"]), st.booleans())
@settings(max_examples=10)
def test_block_sizes_change_nothing(sizes: list[int], start: str, stops: bool) -> None:
    def fleet() -> Fleet:
        return Fleet(2, seed=3, faults=FAULTS, start=start, stops=stops, period_ms=2000)

    whole, pieces = fleet(), fleet()
    assert same(whole.block(sum(sizes)), joined([pieces.block(size) for size in sizes]))


def test_the_seed_makes_the_bytes() -> None:
    one, again, other = (Fleet(2, seed=seed, faults=FAULTS).block(50) for seed in (3, 3, 4))
    assert same(one, again)
    assert not same(one, other)
    assert one.values.dtype == np.float32
    assert one.time.tolist() == list(range(0, 25_000, 500))


def test_another_engine_changes_nothing_for_the_others() -> None:
    few, many = Fleet(2, seed=3).block(50), Fleet(5, seed=3).block(50)
    assert few.values.tobytes() == many.values[:, :2].tobytes()


def test_a_fault_changes_its_engine_from_its_start_and_no_other() -> None:
    healthy = Fleet(3, seed=3).block(60)
    failing = Fleet(3, seed=3, faults=FAULTS).block(60)
    assert healthy.values[:, 2].tobytes() == failing.values[:, 2].tobytes()
    assert healthy.values[:10, 0].tobytes() == failing.values[:10, 0].tobytes()
    assert (healthy.values[10:, 0] != failing.values[10:, 0]).any()
    changed = (healthy.values[:, 1] != failing.values[:, 1]).any(axis=0)  # (C,)
    assert {name for name, it in zip(SENSORS, changed, strict=True) if it} == {"map", "oil_pressure"}


@pytest.mark.parametrize("duty", DUTIES)
def test_a_warm_fleet_starts_settled(duty: str) -> None:
    """Coolant and oil of the first half minute lie where they lie in the half hour after it, give or take 4 K."""
    fleet = Fleet(6, seed=8, duty=duty)
    first, later = fleet.block(60), fleet.block(3600)
    for name in ("coolant_temperature", "oil_temperature"):
        low, high = sensor(later, name).min(axis=0), sensor(later, name).max(axis=0)
        assert (sensor(first, name) > low - 4).all()
        assert (sensor(first, name) < high + 4).all()
    assert (sensor(first, "engine_speed") > 500).all()


def test_a_cold_fleet_starts_at_ambient_temperature_and_warms_up() -> None:
    block = Fleet(4, seed=8, duty="urban", start="cold", ambient=10.0).block(2400)
    coolant = sensor(block, "coolant_temperature")
    assert (np.abs(coolant[0] - 10.0) < 6.0).all()  # the day's swing is 4 K, the sensors are off by up to 1 K
    assert (coolant[-1] > 70.0).all()


def test_the_engines_themselves_can_be_kept_while_the_rest_is_drawn_anew() -> None:
    """An alternator's voltage is the engine's own: another day shows the same, another engine does not."""
    days = [Fleet(6, seed=seed, parameters_seed=1, duty="motorway").block(1200) for seed in (1, 2)]
    others = Fleet(6, seed=2, parameters_seed=9, duty="motorway").block(1200)
    one, two, three = (np.median(sensor(block, "control_module_voltage"), axis=0) for block in (*days, others))
    assert np.abs(one - two).max() < 0.02
    assert np.abs(one - three).max() > 0.05


def test_an_engine_that_stops_does_not_run() -> None:
    block = Fleet(8, seed=2, duty="motorway", stops=True).block(7200)
    assert 0 < (~block.running).mean() < 0.5
    assert (sensor(block, "engine_speed")[~block.running] == 0).mean() > 0.9


def test_the_truth_is_in_the_order_of_time_and_shifted() -> None:
    records = Fleet(2, faults=(FAULTS[2], FAULTS[0]), seed=1).truth(1_000_000)
    assert [(record["asset"], record["kind"], record["start"]) for record in records] == [
        ("engine-01", "misfire", 1_005_000),
        ("engine-02", "stuck", 1_012_000),
    ]


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="takes 0 to 1"):
        Fleet(1, faults=[Fault(0, "misfire", 2.0)])
    with pytest.raises(ValueError, match="duty 'sea'"):
        Fleet(1, duty="sea")
