from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from models.artifact import ArtifactError, load_header, save_artifact
from models.pretrained import folder as shipped_folder
from models.runtime import RuntimeModel, load_model
from models.scaling import network_input
from models.torch_runtime import load_torch_model
from tests.model_samples import WINDOW, place, signal, windows

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitor.records import Float32, Model

BEFORE_MEMORY = Path(__file__).parent / "data" / "model-before-memory"
SPEED, LOAD, PRESSURE, TEMPERATURE, VOLTAGE = range(5)
DEVIATION = signal(2000, seed=5).std(axis=0)  # (C,)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model")
    place(path)
    return path


@pytest.fixture(scope="module")
def model(folder: Path) -> RuntimeModel:
    return load_model(folder, batch_size=16)


def unseen(seed: int = 77, rows: int = 200) -> Float32:
    """Normal windows (B, T, C) of a run that training did not see."""
    return windows(signal(rows, seed)).copy()


def test_it_is_what_the_score_room_asks_for(model: RuntimeModel, folder: Path) -> None:
    """Structurally the records' protocol (checked by mypy), and it knows its header."""
    asked: Model = model
    assert asked.window == WINDOW
    assert model.header == load_header(folder)


def test_onnxruntime_and_torch_agree(model: RuntimeModel, folder: Path) -> None:
    """1e-5 in the reconstruction, in scaled units; 1e-4 relative or 1e-5 absolute in score and contribution."""
    by_torch = load_torch_model(folder)
    values = unseen()
    values[::3, :, LOAD] = np.nan
    values[1::3, 10:30] = np.nan
    values[2::3, 40, SPEED] *= 3
    inputs = network_input(model.header.scaling().scaled(values))
    np.testing.assert_allclose(model.reconstruct(inputs), by_torch.reconstruct(inputs), atol=1e-5, rtol=0)
    ours, theirs = model.score(values), by_torch.score(values)
    for index in (0, 2):
        np.testing.assert_allclose(ours[index], theirs[index], rtol=1e-4, atol=1e-5)


def test_a_batch_equals_one_by_one(model: RuntimeModel) -> None:
    """Companions in a batch, and where it is cut into chunks of 16, make no difference."""
    values = unseen()[:37]
    values[5, :, PRESSURE] = np.nan
    together = model.score(values)
    for index, row in enumerate(values):
        alone = model.score(row[None])
        for ours, theirs in zip(together, alone, strict=True):
            np.testing.assert_allclose(ours[index], theirs[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("load", [load_model, load_torch_model])
def test_it_goes_on_where_it_was(load: Callable[[Path], RuntimeModel], folder: Path) -> None:
    """In pieces, each behind what the one before has left, windows are predicted as in one go, and so judged."""
    model, values = load(folder), unseen()[:20]
    values[3, 10:15, LOAD] = np.nan
    whole, after = model.predict(values)
    found, memory = [], np.zeros((20, model.memory), np.float32)
    for start, end in ((0, 5), (5, 6), (6, WINDOW)):
        predicted, memory = model.predict(values[:, start:end], None, memory)
        found.append(predicted)
    pieces = np.concatenate(found, axis=1)
    np.testing.assert_allclose(pieces, whole, atol=1e-5)
    np.testing.assert_allclose(memory, after, atol=1e-5)
    last = slice(WINDOW - model.judged, WINDOW)
    for ours, theirs in zip(model.judge(values[:, last], pieces[:, last]), model.score(values), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_a_model_of_before_scores_whole_windows_as_it_did(tmp_path: Path) -> None:
    """Of the release whose networks carried nothing: the shipped model as it was then has the same weights."""
    shipped = shipped_folder("engine")
    for name in ("header.json", "model.onnx"):
        shutil.copy(BEFORE_MEMORY / name, tmp_path)
    shutil.copy(shipped / "model.safetensors", tmp_path)
    now = load_model(shipped)
    shape = 20, now.window, len(now.header.sensors)
    values = now.header.scaling().unscaled(np.random.default_rng(2).normal(size=shape).astype(np.float32))
    for load in (load_model, load_torch_model):
        before = load(tmp_path)
        assert before.memory == 0
        for ours, theirs in zip(before.score(values), now.score(values), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_no_windows_are_no_scores(model: RuntimeModel) -> None:
    contribution, expected, score = model.score(np.empty((0, WINDOW, 5), np.float32))
    assert (contribution.shape, expected.shape, score.shape) == ((0, 5), (0, 5), (0,))


def test_the_score_is_the_largest_contribution_or_that_of_all_sensors_together(model: RuntimeModel) -> None:
    contribution, _, score = model.score(unseen())
    largest = contribution.max(axis=1)
    assert (score >= largest).all()
    assert (score == largest).any()
    assert (score >= 0).all()


def test_windows_are_not_changed(model: RuntimeModel) -> None:
    values = unseen()
    before = values.copy()
    model.score(values)
    np.testing.assert_array_equal(values, before)


def test_a_missing_sensor_contributes_nothing_and_the_others_go_on(model: RuntimeModel) -> None:
    """Normal running with one sensor gone stays normal: no score is made of the hole."""
    values = unseen()
    values[:, :, TEMPERATURE] = np.nan
    contribution, expected, score = model.score(values)
    assert np.isnan(contribution[:, TEMPERATURE]).all()
    others = np.delete(contribution, TEMPERATURE, axis=1)
    assert (score >= others.max(axis=1)).all(), "T² of the others may be more"
    assert np.median(score) < 1.5
    assert np.isfinite(expected).all()  # also what the missing one would be


def test_nothing_there_is_no_score(model: RuntimeModel) -> None:
    """NaN, never 0: an empty window is not a normal one."""
    values = unseen()[:3]
    values[1] = np.nan
    contribution, _, score = model.score(values)
    assert np.isnan(score).tolist() == [False, True, False]
    assert np.isnan(contribution[1]).all()


@pytest.mark.parametrize("absurd", [3e38, -3e38, np.inf, -np.inf])
def test_absurd_values_score_high_and_finite(model: RuntimeModel, absurd: float) -> None:
    values = unseen()[:2]
    values[1, 50, SPEED] = absurd
    contribution, expected, score = model.score(values)
    assert np.isfinite(score).all()
    assert np.isfinite(expected).all()
    assert score[1] > 100
    assert contribution[1].argmax() == SPEED


def test_expected_is_near_the_last_tick_in_the_sensors_units(model: RuntimeModel) -> None:
    values = unseen()
    _, expected, _ = model.score(values)
    difference = np.abs(expected - values[:, -1]).mean(axis=0)
    assert (difference < 3 * model.header.scaling().scale).all()
    assert 500 < expected[:, SPEED].mean() < 4000


def test_another_shape_is_refused(model: RuntimeModel) -> None:
    with pytest.raises(ValueError, match=r"\(60, 4\), the model takes \(60, 5\)"):
        model.score(np.zeros((1, 60, 4), np.float32))


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_make_no_difference(folder: Path, model: RuntimeModel, threads: int) -> None:
    values = unseen()
    np.testing.assert_allclose(
        load_model(folder, threads=threads).score(values)[2], model.score(values)[2], rtol=1e-4
    )


@pytest.mark.parametrize("sensor", [SPEED, LOAD, PRESSURE, TEMPERATURE, VOLTAGE])
@pytest.mark.parametrize("fault", ["offset", "swapped"])
def test_faulty_windows_score_higher_than_normal_ones(model: RuntimeModel, sensor: int, fault: str) -> None:
    """Settings and score as shipped: not backwards, and nearly all faulty windows are above 1.0."""
    normal = unseen(rows=400)
    faulty = normal.copy()
    if fault == "offset":
        faulty[:, 20:, sensor] += 3 * DEVIATION[sensor]
    else:  # the sensor tells of another run, at a higher level
        faulty[:, :, sensor] = unseen(seed=123, rows=400)[:, :, sensor] + 2 * DEVIATION[sensor]
    (_, _, low), (contribution, _, high) = model.score(normal), model.score(faulty)
    assert np.mean(low > 1.0) < 0.1
    assert np.mean(high > 1.0) > 0.9
    assert np.mean(high[:, None] > low[None, :]) > 0.98  # the area under the ROC curve
    others = np.delete(contribution, sensor, axis=1)
    assert np.median(contribution[:, sensor]) > np.median(others)


def test_a_frozen_sensor_scores_higher_than_a_living_one(model: RuntimeModel) -> None:
    """A value that stands still, within its usual range, while its companions move."""
    normal = unseen(rows=400)
    faulty = normal.copy()
    faulty[:, :, PRESSURE] = faulty[:, :1, PRESSURE]
    low, high = model.score(normal)[2], model.score(faulty)[2]
    assert np.mean(high[:, None] > low[None, :]) > 0.95


def test_weights_that_do_not_fit_the_header_are_refused(folder: Path, tmp_path: Path) -> None:
    """Hashes agree, but the network carries more from tick to tick than the header says."""
    given = load_header(folder)
    header = msgspec.structs.replace(given, network=msgspec.structs.replace(given.network, memory=8))
    files = {name: (folder / name).read_bytes() for name in ("model.onnx", "model.safetensors")}
    save_artifact(tmp_path, header, files)
    with pytest.raises(ArtifactError, match=r"not what header\.json says"):
        load_model(tmp_path)
    other = msgspec.structs.replace(header, network=msgspec.structs.replace(header.network, hidden=3))
    save_artifact(tmp_path, other, files)
    with pytest.raises(ArtifactError, match=r"does not fit header\.json"):
        load_torch_model(tmp_path)


def test_garbage_with_a_right_hash_is_refused(folder: Path, tmp_path: Path) -> None:
    save_artifact(tmp_path, load_header(folder), {"model.onnx": b"garbage", "model.safetensors": b"garbage"})
    for load in (load_model, load_torch_model):
        with pytest.raises(ArtifactError, match="is no ONNX"):
            load(tmp_path)


def test_the_runtime_reports_to_nobody(folder: Path, tmp_path: Path) -> None:
    """Loading a model leaves nothing in the user's home, where onnxruntime would gather its reports."""
    home = tmp_path / "home"
    home.mkdir()
    code = f"from pathlib import Path; from models.runtime import load_model; load_model(Path({str(folder)!r}))"
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ORT_", "XDG_"))}
    subprocess.run([sys.executable, "-c", code], env=kept | {"HOME": str(home)}, check=True)
    assert list(home.iterdir()) == []


def test_the_runtime_needs_neither_torch_nor_safetensors() -> None:
    code = "import sys, models.runtime; sys.exit(bool({'torch', 'safetensors', 'onnx'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
