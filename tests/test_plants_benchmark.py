"""benchmarks.plants: what is wrong in its data is where it says, and what its bar asks."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest

from benchmarks.plants import misses
from benchmarks.plants_made import KINDS, PLANTS, QUIET_TICKS, WARM_UP, Plant, faulty
from benchmarks.recorded_car import Fault as CarFault
from benchmarks.recorded_car import incidents, judge
from models.evaluation import Figure

if TYPE_CHECKING:
    from models.evaluation import Detector
    from models.results import Results

TICKS = 1600


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.name)
def test_faults_are_where_they_are_said_to_be(plant: Plant) -> None:
    """In the run, in their order, none over another, with quiet before each."""
    kinds = [kind for kind in KINDS if kind != "process"][:4]
    values, faults = faulty(plant, np.random.default_rng(3), TICKS, kinds)
    assert [fault.kind for fault in faults] == kinds
    assert np.isfinite(values).all()
    assert all(fault.start >= QUIET_TICKS and fault.end < TICKS for fault in faults)
    assert all(a.end < b.start for a, b in itertools.pairwise(faults))


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.name)
def test_wear_shows_in_a_sensor(plant: Plant) -> None:
    """The same random numbers without and with wear: what was before it is the same, what is after it is not."""
    wear = np.zeros(WARM_UP + 400)
    wear[WARM_UP + 200 :] = 1
    new, worn = (plant.make(np.random.default_rng(5), each) for each in (np.zeros_like(wear), wear))
    np.testing.assert_array_equal(new[: WARM_UP + 200], worn[: WARM_UP + 200])
    assert np.abs(worn - new).max() > 0


def results(behind: Figure) -> Results:
    """Results of which nothing is looked at but how far T² is ahead of the model."""

    class Only:
        def named(self, name: str) -> Detector:
            assert name == "t2"
            return cast("Detector", SimpleNamespace(ahead=behind))

    return cast("Results", Only())


@pytest.mark.parametrize(
    ("ahead_of_us", "missed"),
    [
        (Figure(-0.1, -0.2, 0.05), False),
        (Figure(0.03, -0.02, 0.08), False),  # perhaps chance
        (Figure(0.03, 0.02, 0.04), True),
        (Figure(0.008, 0.007, 0.009), False),  # within what is allowed
        (Figure(0.03), True),  # without an interval the value decides
        (Figure(None), True),
    ],
)
def test_the_bar_is_missed_where_t2_is_ahead_by_more_than_chance(ahead_of_us: Figure, *, missed: bool) -> None:
    assert bool(list(misses("X", results(ahead_of_us)))) == missed


def test_an_incident_that_was_open_before_does_not_find_a_fault_of_the_car() -> None:
    """Fired at row 10 and never cleared, it tells nobody of the fault at 50; that at row 210 finds the other."""
    alerts = [
        {"kind": "anomaly", "transition": "fired", "stream": "a//1", "time": 10_000, "incident_id": "x"},
        {"kind": "anomaly", "transition": "fired", "stream": "a//1", "time": 210_000, "incident_id": "y"},
        {"kind": "anomaly", "transition": "cleared", "stream": "a//1", "time": 230_000, "incident_id": "y"},
        {"kind": "stuck", "transition": "fired", "stream": "a//1", "time": 60_000, "incident_id": "z"},
    ]
    faults = [CarFault("1", 50, 60, "gain"), CarFault("1", 200, 220, "gain"), CarFault("2", 5, 9, "drift")]
    assert judge(incidents(alerts, {"1": 0}), faults, window=20) == {
        "incidents": 2,
        "found": 1,
        "of": 3,
        "hidden": 1,
        "by_kind": {"drift": "0 of 1", "gain": "1 of 2"},
        "false": 1,
    }
