"""The shelf: a model stays as long as something names it, and appears whole or not at all."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from config.shipped import model_folder
from models.artifact import CARD, ArtifactError, load_header
from models.landscape_file import LANDSCAPE
from monitor.shelf import FILES, Shelf
from monitor.spec import LineSpec
from tests.line_samples import ROOT, shipped


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "models", threads=1, batch_size=16)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The model that comes with the package."""
    return shutil.copytree(model_folder(Path("pretrained:engine")), tmp_path / "model")


@pytest.fixture
def other_model(tmp_path: Path, model: Path) -> Path:
    """The same network under another name, and so with another hash."""
    folder = shutil.copytree(model, tmp_path / "other")
    header = folder / "header.json"
    header.write_text(header.read_text().replace(load_header(model).name, "renamed", 1))
    return folder


def spec(*hashes: str) -> LineSpec:
    classes = tuple(replace(shipped(f"class-{number}"), model_hash=name) for number, name in enumerate(hashes))
    return LineSpec(ROOT, 10, classes)


def test_a_model_outlives_the_folder_it_came_from(shelf: Shelf, other_model: Path) -> None:
    """Also over a restart; a description without a model needs none."""
    header = load_header(other_model)
    shelf.put(other_model, header.hash)
    shutil.rmtree(other_model)
    again = Shelf(shelf._folder, threads=1, batch_size=16)
    models = again.models(spec(header.hash, ""))
    assert list(models) == [header.hash]
    assert models[header.hash].window == header.window
    assert again.models(spec("")) == {}


def test_what_is_there_is_not_copied_again(shelf: Shelf, model: Path) -> None:
    """Nor loaded again."""
    name = load_header(model).hash
    shelf.put(model, name)
    first = shelf.models(spec(name))[name]
    shelf.put(model / "no such folder", name)
    assert shelf.models(spec(name, name))[name] is first


def test_only_what_something_names_stays(shelf: Shelf, model: Path, other_model: Path) -> None:
    old, new = load_header(model).hash, load_header(other_model).hash
    assert old != new
    shelf.put(model, old)
    shelf.put(other_model, new)
    assert set(shelf.models(spec(old, new))) == {old, new}
    shelf.clear_but({new, ""})
    assert [place.name for place in shelf._folder.iterdir()] == [new]
    assert set(shelf.models(spec(new))) == {new}
    with pytest.raises(ArtifactError):
        shelf.models(spec(old))


def test_a_copy_that_was_cut_short_is_made_anew(shelf: Shelf, model: Path, tmp_path: Path) -> None:
    """A file is missing, or the process ended in the middle: nothing is there under the model's name."""
    name = load_header(model).hash
    part = tmp_path / "part"
    part.mkdir()
    shutil.copy(model / FILES[0], part)
    with pytest.raises(ArtifactError, match="cannot be read"):
        shelf.put(part, name)
    assert not (shelf._folder / name).exists()
    shelf.put(model, name)
    assert sorted(place.name for place in (shelf._folder / name).iterdir()) == sorted([*FILES, CARD, LANDSCAPE])
    assert [place.name for place in shelf._folder.iterdir()] == [name]
    shelf.models(spec(name))


@pytest.mark.parametrize("name", FILES)
def test_a_copy_that_was_damaged_is_made_anew(shelf: Shelf, model: Path, name: str) -> None:
    """As long as the model itself is there: else the daemon could not start any more."""
    wanted = load_header(model).hash
    shelf.put(model, wanted)
    damaged = shelf.place(wanted) / name
    damaged.write_bytes(damaged.read_bytes()[:100])
    with capture_logs() as logs:
        shelf.put(model, wanted)
        shelf.put(model, wanted)
    assert [each["event"] for each in logs] == ["model_copy_damaged"]
    assert list(shelf.models(spec(wanted))) == [wanted]


def test_a_model_that_nobody_put_there_is_missed_in_words(shelf: Shelf) -> None:
    with pytest.raises(ArtifactError, match=r"header\.json"):
        shelf.models(spec("0" * 64))
