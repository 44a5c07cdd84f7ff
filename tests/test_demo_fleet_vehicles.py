"""The vehicles of the demo's fleet: what they report, and when."""

from __future__ import annotations

import json
from collections import defaultdict

import numpy as np
import pytest

from monitor.demo.fleet_vehicles import Vehicles
from simulator.faults import Fault
from simulator.fleet import Fleet
from simulator.records import SENSORS

BEGINNING = 1_790_000_000_000
PERIOD_MS = 500
TICKS = 4
TURNS = 16
FAILING = {f"vehicle-{number:04d}" for number in (2, 3, 4, 5)}  # one in every group
FAILS_MS = 3_000
Told = dict[str, list[dict[str, float]]]


@pytest.fixture(scope="module")
def fleet() -> Vehicles:
    faults = [Fault(engine, "dropout", "severe", start_ms=FAILS_MS, sensor="map") for engine in range(1, 5)]
    return Vehicles(10, seed=3, faults=faults, period_ms=PERIOD_MS, ticks=TICKS, beginning=BEGINNING)


@pytest.fixture(scope="module")
def told(fleet: Vehicles) -> Told:
    """All readings by asset, each with its time under `ts`."""
    found: Told = defaultdict(list)
    for _ in range(TURNS):
        due = fleet.due
        for report in fleet.turn():
            root, _, site, asset, last = report.topic.split("/")
            assert (root, site, last) == ("enginewatch", "fleet", "telemetry")
            inside = json.loads(report.payload)
            assert len(inside) == report.readings == TICKS
            assert sum(len(each["values"]) for each in inside) == report.values
            assert inside[-1]["ts"] + PERIOD_MS == due  # nothing is held back, and nothing told before it is over
            found[asset] += [{"ts": each["ts"], "seq": each["seq"], **each["values"]} for each in inside]
    return found


def test_each_vehicle_reports_once_in_so_many_turns_all_that_it_measured(fleet: Vehicles, told: Told) -> None:
    """Ten vehicles in four groups: after sixteen turns each has told four reports without a gap."""
    assert set(told) == set(fleet.names) == {f"vehicle-{number:04d}" for number in range(1, 11)}
    for rows in told.values():
        first = int(rows[0]["ts"])
        assert [row["ts"] for row in rows] == list(range(first, first + TURNS * PERIOD_MS, PERIOD_MS))
        assert [row["seq"] for row in rows] == list(range(1, TURNS + 1))
    assert fleet.sent == (TURNS,) * 10
    last = {(rows[-1]["ts"] - BEGINNING) // PERIOD_MS for rows in told.values()}
    assert last == {12, 13, 14, 15}


def test_the_readings_are_those_of_the_simulated_engines(told: Told) -> None:
    """Vehicle 6 of ten is the second engine of the second of four groups, whose seed is one further."""
    values = Fleet(3, seed=4, period_ms=PERIOD_MS).block(TURNS).values[:, 1]  # (T, C)
    rows = [[row[name] for name in SENSORS] for row in told["vehicle-0006"]]
    assert np.array_equal(np.array(rows, np.float32), values)


def test_a_fault_acts_on_its_vehicle_alone_and_from_its_time_on(told: Told) -> None:
    """In every group, though their first readings are of different times."""
    for asset, rows in told.items():
        silent = [row["ts"] for row in rows if "map" not in row]
        late = [row["ts"] for row in rows if row["ts"] >= BEGINNING + FAILS_MS]
        assert late
        assert silent == (late if asset in FAILING else [])
