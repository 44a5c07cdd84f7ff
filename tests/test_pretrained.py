"""The model that comes with the package is what its header says, and tells a sick engine from a healthy one."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from benchmarks.pretrained_data import (
    CHOOSING_SEEDS,
    JUDGING_SEEDS,
    PERIOD_MS,
    TRAINING,
    TRAINING_SEEDS,
    soon_after_start,
    training_data,
)
from models.artifact import load_header
from models.pretrained import folder, names
from models.runtime import load_model
from simulator.faults import Fault
from simulator.fleet import Fleet
from simulator.recording import data_hash
from simulator.records import SENSORS

if TYPE_CHECKING:
    from monitor.records import Float32

SEED = 12_345  # neither of the training nor of the judgement
WINDOW = load_header(folder("engine")).window


def last_windows(*faults: Fault) -> Float32:
    """The window (N, T, C) that each of eight warm engines of mixed duty ends a minute with."""
    fleet = Fleet(8, seed=SEED, faults=faults, period_ms=PERIOD_MS)
    return fleet.block(2 * WINDOW).values[-WINDOW:].transpose(1, 0, 2)


def test_it_is_small_and_whole() -> None:
    """Less than 2 MB, with a card for people, and the weights that its header names."""
    assert names() == ["engine"]
    files = {path.name: path.stat().st_size for path in folder("engine").iterdir()}
    assert {"header.json", "model.onnx", "model.safetensors", "asset.toml", "card.md", "landscape.json"} == set(
        files
    )
    assert sum(files.values()) < 2_000_000
    card = (folder("engine") / "card.md").read_text(encoding="utf-8")
    assert "## What it finds" in card
    assert "| all |" in card


def test_an_unknown_name_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(LookupError, match="engine"):
        folder("engin")


def test_simulator_asset_file_and_model_know_the_same_sensors() -> None:
    """The same names and units in the same order, and the same period."""
    asset = tomllib.loads((Path(__file__).parent.parent / "config/assets/engine.toml").read_text(encoding="utf-8"))
    header = load_header(folder("engine"))
    described = [(sensor["name"], sensor["unit"]) for sensor in asset["sensors"]]
    assert described == list(SENSORS.items())
    assert described == [(sensor.name, sensor.unit) for sensor in header.sensors]
    assert asset["period_ms"] == header.period_ms == PERIOD_MS


def test_training_and_judgement_use_seeds_of_their_own() -> None:
    """The fleets that judge the model, and the demo's small seeds, were neither trained on nor chosen by."""
    ranges = [TRAINING_SEEDS, CHOOSING_SEEDS, JUDGING_SEEDS]
    assert len(set().union(*ranges)) == sum(map(len, ranges))
    assert len(TRAINING) <= len(TRAINING_SEEDS)
    assert min(map(min, ranges)) > 1_000_000


def test_what_is_kept_of_a_start_begins_with_it() -> None:
    """Two ticks after each switching on; an engine that runs from the beginning has not been switched on."""
    running = np.array([[1, 0], [1, 1], [0, 1], [1, 1], [1, 1], [1, 0], [0, 1]], bool)
    kept = running & soon_after_start(running, 2)
    assert kept.astype(int).T.tolist() == [[0, 0, 0, 1, 1, 0, 0], [0, 1, 1, 0, 0, 0, 1]]


def test_the_training_data_can_be_made_again() -> None:
    """The simulator still gives the very data that the shipped model was trained on.

    Where this fails the simulator has changed, and the model describes engines that no longer exist:
    `python -m benchmarks.pretrained build` makes another.
    """
    assert data_hash(training_data()) == load_header(folder("engine")).data.sha256


@pytest.mark.parametrize("kind", ["misfire", "low_ignition_voltage", "oil_pump_wear", "lean_mixture"])
def test_a_sick_engine_scores_higher_than_the_same_one_healthy(kind: str) -> None:
    """Of eight engines that were not trained on, seven at least; the healthy ones stay below 1.5."""
    model = load_model(folder("engine"))
    _, _, healthy = model.score(last_windows())
    faults = [Fault(engine=index, kind=kind, severity="severe") for index in range(8)]
    _, _, sick = model.score(last_windows(*faults))
    assert healthy.max() < 1.5
    assert np.count_nonzero(sick > 1.2 * healthy) >= 7


def test_low_supply_voltage_is_seen_at_the_voltage() -> None:
    """Of eight engines, seven at least name the sensor that gives it away; an alternator's voltage is expected."""
    model = load_model(folder("engine"))
    faults = [Fault(engine=index, kind="low_ignition_voltage", severity="severe") for index in range(8)]
    contribution, expected, _ = model.score(last_windows(*faults))
    voltage = list(SENSORS).index("control_module_voltage")
    assert np.count_nonzero(np.argmax(contribution, axis=1) == voltage) >= 7
    assert np.all((expected[:, voltage] > 12.5) & (expected[:, voltage] < 15))
