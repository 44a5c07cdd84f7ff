"""What the doctor sees of models and of the state folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import config
from config.classes import resolve_classes
from config.load import load
from config.shipped import model_folder
from models.artifact import load_header
from monitor import damage, models_in_use
from monitor.doctor import place
from monitor.models_in_use import Use, at_start

ASSET_FILE = Path(config.__file__).parent / "assets" / "engine.toml"
MODEL = model_folder(Path("pretrained:engine"))


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """Settings of one class with the shipped engine's sensors and no model."""
    file = tmp_path / "enginewatch.toml"
    file.write_text(
        f'[daemon]\nstate_dir = "{tmp_path}/state"\n[[classes]]\nname = "engine"\nfile = "{ASSET_FILE}"\n'
    )
    return file


def test_what_was_promoted_is_looked_at_and_not_what_the_settings_name(settings: Path) -> None:
    """As the daemon does: a first model that was promoted, and one that was rolled back again."""
    loaded = load(settings, environment={})
    classes = resolve_classes(loaded)
    none = Use("", "", 0, 100, "settings")
    promoted = Use("first", load_header(MODEL).hash, 60, 200, "promote")
    state = loaded.settings.daemon.state_dir
    shutil.copytree(MODEL, state / "models" / promoted.hash)
    assert place.in_use(loaded.settings, classes) == classes

    models_in_use.save(state, {"engine": at_start(None, none).with_use(promoted)})
    (found,) = place.in_use(loaded.settings, classes)
    assert (found.model, found.model_hash) == (state / "models" / promoted.hash, promoted.hash)
    assert [(each.problem, each.finite) for each in place.models(loaded.settings, [found])] == [("", True)]

    back = at_start(None, none).with_use(promoted).rolled_back(300, "ann")
    assert back is not None
    models_in_use.save(state, {"engine": back})
    assert place.in_use(loaded.settings, classes) == classes


def test_a_damaged_list_of_models_leaves_those_of_the_settings(settings: Path) -> None:
    loaded = load(settings, environment={})
    classes = resolve_classes(loaded)
    loaded.settings.daemon.state_dir.mkdir()
    (loaded.settings.daemon.state_dir / models_in_use.NAME).write_text("{")
    assert place.in_use(loaded.settings, classes) == classes


@pytest.mark.parametrize(
    ("folder", "why"),
    [
        ("taken", "taken is a file, not a folder"),
        ("taken/state", "taken is a file, not a folder"),
        ("/proc/enginewatch", "cannot be made in /proc: "),
    ],
)
def test_a_folder_that_cannot_be_written_is_told(
    settings: Path, folder: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(settings.parent)
    Path("taken").touch()
    settings.write_text(settings.read_text().replace(f"{settings.parent}/state", folder))
    assert why in place.folder(load(settings, environment={}).settings).problem


def test_a_folder_that_is_yet_to_be_made_is_good_and_nothing_is_left(settings: Path) -> None:
    found = place.folder(load(settings, environment={}).settings)
    assert (found.problem, found.used) == ("", 0)
    assert found.free > 0
    assert [path.name for path in settings.parent.iterdir()] == ["enginewatch.toml"]


def test_a_store_in_which_damage_was_met_is_told(settings: Path) -> None:
    loaded = load(settings, environment={})
    state = loaded.settings.daemon.state_dir
    state.mkdir()
    damage.mark(state / "store.db")
    problem = place.folder(loaded.settings).problem
    assert problem == "store.db is damaged: start the daemon again: it keeps what is whole"
