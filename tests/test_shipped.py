"""A class may name the model that comes with the package, and needs nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.classes import resolve_classes
from config.files import load_asset_file
from config.load import load
from config.mistakes import SettingsError
from config.shipped import asset_file
from models.artifact import load_header
from models.pretrained import folder

ASSET_FILE = asset_file(Path("pretrained:engine"))
PRETRAINED = '[[classes]]\nname = "engine"\nmodel = "pretrained:engine"\n'


def settings_file(place: Path, text: str) -> Path:
    """A settings file in a folder."""
    path = place / "enginewatch.toml"
    path.write_text(text)
    return path


def test_its_name_is_enough_for_a_class(tmp_path: Path) -> None:
    """Sensors and window are the model's; ranges and the time grid stand in the asset file of the package."""
    loaded = load(settings_file(tmp_path, PRETRAINED), environment={})
    (resolved,) = resolve_classes(loaded)
    header = load_header(folder("engine"))
    assert resolved.model == folder("engine")
    assert (resolved.model_hash, resolved.window) == (header.hash, header.window)
    described = load_asset_file(ASSET_FILE).sensors
    assert resolved.sensors == tuple(sensor.name for sensor in described)
    assert resolved.lowest == tuple(sensor.min for sensor in described)
    assert resolved.one_reading_per_tick
    assert None not in resolved.highest


@pytest.mark.parametrize("source", ["environment", "command line"])
def test_every_source_may_name_it(source: str) -> None:
    """It is no path, so that the folder from which it is named does not count."""
    given = {"classes.0.name": "engine", "classes.0.model": "pretrained:engine"}
    if source == "environment":
        variables = {f"ENGINEWATCH_{key.replace('.', '__').upper()}": value for key, value in given.items()}
        loaded = load(None, environment=variables)
    else:
        loaded = load(None, overrides=[f"{key}={value}" for key, value in given.items()], environment={})
    assert resolve_classes(loaded)[0].model == folder("engine")


def test_an_asset_file_of_ones_own_goes_before_that_of_the_package(tmp_path: Path) -> None:
    text = ASSET_FILE.read_text().replace("allowed_lateness_ms = 2000", "allowed_lateness_ms = 7000")
    (tmp_path / "own.toml").write_text(text)
    loaded = load(settings_file(tmp_path, PRETRAINED + 'file = "own.toml"\n'), environment={})
    assert resolve_classes(loaded)[0].lateness_ms == 7000


def test_an_unknown_one_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    path = settings_file(tmp_path, PRETRAINED.replace("pretrained:engine", "pretrained:motor"))
    with pytest.raises(SettingsError) as caught:
        load(path, environment={})
    sentence = 'there is no pretrained model "motor"; there is engine'
    assert caught.value.lines == [f"{path}:3: classes.0.model: {sentence}"]
