import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from config.files import load_asset_file
from models.artifact import CARD, ArtifactError, load_header, read_weights, save_artifact
from models.autoencoder import KINDS, Kind
from models.card import Origin, _asset_file, save_trained
from models.runtime import load_model
from models.split import Part
from models.torch_runtime import load_torch_model
from models.training import TrainingConfig, train
from tests.model_samples import CONFIG, SENSORS, UNITS, place, runs, save, signal, trained, windows

FILES = {"header.json", "model.onnx", "model.safetensors", "asset.toml", "card.md"}


def rewrite(folder: Path, change: dict[str, Any]) -> None:
    """Change top-level keys of the header."""
    path = folder / "header.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    """Header, hash and numbers come back as they were; nothing but the five files is left behind."""
    saved = save(tmp_path / "deep" / "model")
    loaded = load_header(tmp_path / "deep" / "model")
    assert loaded == saved
    assert {path.name for path in (tmp_path / "deep" / "model").iterdir()} == FILES
    assert tuple(sensor.name for sensor in loaded.sensors) == SENSORS
    assert loaded.scaling().scale.tolist() == trained().scaler.scale.tolist()
    assert loaded.usual().usual.spread.tolist() == trained().calibration.usual.spread.tolist()
    assert loaded.reached is not None
    assert loaded.reached.highest == tuple(trained().reference.highest.tolist())
    assert loaded.data.windows_calibration == trained().windows[Part.CALIBRATION]


def test_a_model_made_before_it_was_noted_what_its_data_reached_is_loaded(tmp_path: Path) -> None:
    place(tmp_path)
    path = tmp_path / "header.json"
    header = json.loads(path.read_text())
    del header["reached"]
    path.write_text(json.dumps(header))
    assert load_header(tmp_path).reached is None


def test_the_hash_is_of_the_file_that_names_the_weights(tmp_path: Path) -> None:
    saved = place(tmp_path)
    encoded = (tmp_path / "header.json").read_bytes()
    assert saved.hash == hashlib.sha256(encoded).hexdigest()
    named = json.loads(encoded)["sha256"]
    for name in ("model.onnx", "model.safetensors"):
        assert named[name] == hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()


def test_no_file_is_a_pickle(tmp_path: Path) -> None:
    """Neither pickle's own beginning nor the zip that torch.save makes around it."""
    place(tmp_path)
    for path in tmp_path.iterdir():
        assert not path.read_bytes().startswith((b"\x80", b"PK"))


@pytest.mark.parametrize("name", ["model.onnx", "model.safetensors"])
def test_changed_weights_are_refused_before_they_are_parsed(tmp_path: Path, name: str) -> None:
    """One bit is enough, and the sentence is about the hash, not about what a parser made of it."""
    place(tmp_path)
    content = bytearray((tmp_path / name).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / name).write_bytes(content)
    for read in (load_header, load_model):
        with pytest.raises(ArtifactError, match=rf"{name} is not the file that header.json was written for"):
            read(tmp_path)


@pytest.mark.parametrize("name", ["header.json", "model.onnx", "model.safetensors"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    place(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(ArtifactError, match=rf"{name} cannot be read: No such file"):
        load_header(tmp_path)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"format": 1}, "has format 1, this version of enginewatch reads 2"),
        ({"window": 0}, r"window"),
        ({"window": 10**9}, r"window"),
        ({"extra": 1}, "unknown field `extra`"),
        ({"sensors": [{"name": "a", "unit": ""}]}, "scaler.center has 5 numbers for 1 sensors"),
        ({"sensors": [{"name": "a", "unit": ""}] * 5}, "two sensors have the same name"),
        ({"scaler": {"center": [0] * 5, "scale": [1, 1, 1, 1, 0]}}, "scale"),
        ({"scaler": {"center": [0] * 5, "scale": [1, 1, 1, 1, 1e-60]}}, "`float` >= 1e-30.*scale"),
        ({"scaler": {"center": [1e300] * 5, "scale": [1] * 5}}, "`float` <= 3e.*center"),
        ({"calibration": {key: [1] * 5 for key in ("spread", "shift", "step", "level")} | {"score": 0}}, "score"),
        ({"sha256": {"model.onnx": "0" * 64}}, "sha256 lacks model.safetensors"),
        ({"sha256": {"../../etc/passwd": "0" * 64}}, "sha256"),
    ],
)
def test_a_header_that_makes_no_sense_is_refused(tmp_path: Path, change: dict[str, Any], sentence: str) -> None:
    place(tmp_path)
    rewrite(tmp_path, change)
    with pytest.raises(ArtifactError, match=sentence):
        load_header(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b'{"format": NaN}'])
def test_a_header_that_is_no_header_is_refused(tmp_path: Path, content: bytes) -> None:
    place(tmp_path)
    (tmp_path / "header.json").write_bytes(content)
    with pytest.raises(ArtifactError, match=r"header\.json: "):
        load_header(tmp_path)


def test_an_endless_file_is_not_read(tmp_path: Path) -> None:
    """A header of a gigabyte costs no gigabyte."""
    place(tmp_path)
    os.truncate(tmp_path / "header.json", 1 << 30)
    with pytest.raises(ArtifactError, match="larger than"):
        load_header(tmp_path)


def test_a_write_that_breaks_off_leaves_the_old_model_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk refuses while the first file is written: the model from before still loads."""
    before = place(tmp_path)
    monkeypatch.setattr(os, "fsync", _no_space)
    with pytest.raises(OSError, match="No space left"):
        save_artifact(tmp_path, before, {"model.onnx": b"new", "model.safetensors": b"new"})
    assert load_header(tmp_path) == before


def test_only_the_weights_are_read_as_named(tmp_path: Path) -> None:
    header = place(tmp_path)
    assert read_weights(tmp_path, header, "model.onnx") == (tmp_path / "model.onnx").read_bytes()


def test_the_asset_file_is_a_class_file(tmp_path: Path) -> None:
    """It loads as what a class names, with sensors, units and period; bounds are left to the plant."""
    place(tmp_path)
    asset = load_asset_file(tmp_path / "asset.toml")
    assert tuple(sensor.name for sensor in asset.sensors) == SENSORS
    assert tuple(sensor.unit for sensor in asset.sensors) == UNITS
    assert asset.period_ms == 1000
    assert {(sensor.min, sensor.max) for sensor in asset.sensors} == {(None, None)}


def test_odd_names_survive_the_asset_file(tmp_path: Path) -> None:
    names = ('quote"d', "back\\slash", "grüße", "tab\tbed")
    origin = Origin("m", "", names, ("°C", "", "", ""), 500, "", 1, 1)
    (tmp_path / "asset.toml").write_text(_asset_file(origin))
    assert tuple(sensor.name for sensor in load_asset_file(tmp_path / "asset.toml").sensors) == names


def test_the_card_tells_what_the_training_found(tmp_path: Path) -> None:
    place(tmp_path)
    card = (tmp_path / "card.md").read_text()
    model = trained()
    best = min(model.epochs, key=lambda epoch: epoch.stop_loss)
    assert f"the best was number {best.number}." in card
    assert f"{best.stop_loss:.5f}" in card
    assert f"{100 * model.false_alarm_share:.3f} %" in card
    assert f"seed {CONFIG.seed}" in card
    for part in Part:
        assert f" {len(model.runs[part])} | {model.windows[part]} |" in card
    assert all(f"| {name} | {unit} |" in card for name, unit in zip(SENSORS, UNITS, strict=True))


def _no_space(_descriptor: int) -> None:
    raise OSError(28, "No space left on device")


def test_how_it_was_trained_is_in_the_header_and_the_card(tmp_path: Path) -> None:
    """Every epoch's errors, the one that was kept, and what training was asked for."""
    training = save(tmp_path).training
    assert training is not None
    epochs = trained().epochs
    assert training.fit == tuple(epoch.fit_loss for epoch in epochs)
    assert training.stop == tuple(epoch.stop_loss for epoch in epochs)
    assert training.stop[training.best - 1] == min(training.stop)
    assert (training.loss, training.seed, training.max_masked, training.noise) == ("mse", 0, 0.4, 0.0)
    card = (tmp_path / CARD).read_text()
    assert f"| {training.best} | {training.fit[training.best - 1]:.5f} | {min(training.stop):.5f} | kept |" in card


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_run_by_onnxruntime_as_by_torch(tmp_path: Path, kind: Kind) -> None:
    """The daemon need not know the kind; the header says it, and torch builds the same network by it."""
    config = TrainingConfig(kind=kind, hidden=3, layers=2, epochs=1)
    origin = Origin("m", "2026-01-01T00:00:00+00:00", SENSORS, UNITS, 1000, "0" * 64, 12, 960)
    header = save_trained(tmp_path, train(runs(12, 80, length=8), config), config, origin)
    assert (header.network.kind, header.network.layers) == (kind, 2)
    values = windows(signal(40, seed=3), 8)
    ours, by_torch = load_model(tmp_path), load_torch_model(tmp_path)
    for one, other in zip(ours.score(values), by_torch.score(values), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)
