"""Another model while the daemon runs: checked, noted, taken, and nothing changed where one of these fails."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
import structlog
from structlog.testing import capture_logs

from config.classes import resolve_classes
from config.load import load
from models import pretrained
from models.artifact import load_header
from monitor import models_in_use
from monitor.promotion import Promotion
from monitor.records import Command
from monitor.shelf import Shelf

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from monitor.spec import LineSpec

SHIPPED = "pretrained:engine"
PUMP = 'period_ms = 1000\n[[sensors]]\nname = "load"\nunit = "%"\n'


class House:
    """A state folder with the settings beside it, and what the line was given."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.state.mkdir()
        self.given: list[LineSpec] = []
        self.fails = False
        (folder / "pump.toml").write_text(PUMP)
        self.settings()

    def settings(self, *, engine: str = "", more: str = "") -> None:
        """Two classes, of which the engines may have a model."""
        (self.folder / "enginewatch.toml").write_text(
            f'[daemon]\nstate_dir = "{self.state}"\n'
            f'[[classes]]\nname = "engine"\nmodel = "{engine}"\nassets = ["engines/*"]\n{more}'
            '[[classes]]\nname = "pump"\nfile = "pump.toml"\nassets = ["pumps/*"]\n'
        )

    def start(self) -> Promotion:
        """As the daemon does."""
        loaded = load(self.folder / "enginewatch.toml", environment={})
        shelf = Shelf(self.state / "models", threads=1, batch_size=16)
        promotion = Promotion(loaded.settings, resolve_classes(loaded), shelf, self.take)
        promotion.start()
        return promotion

    def take(self, spec: LineSpec) -> bool:
        if self.fails:
            raise ValueError("not carried out: the disk is full")
        self.given.append(spec)
        return True

    def in_use(self) -> dict[str, str]:
        """The model of each class, as noted."""
        return {name: each.now.model for name, each in models_in_use.load(self.state).items()}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    structlog.reset_defaults()
    made = House(tmp_path)
    asset_file = pretrained.folder("engine") / "asset.toml"
    shutil.copy(asset_file, tmp_path / "engine.toml")
    made.settings(more='file = "engine.toml"\n')
    yield made
    structlog.reset_defaults()


def test_an_override_goes_on_with_the_model_of_its_class(house: House) -> None:
    """It is promoted and rolled back with it, and none is noted of it alone."""
    header = load_header(pretrained.folder("engine"))
    worn = '[[classes.overrides]]\nname = "worn"\nassets = ["engines//7"]\n'
    house.settings(more=f'file = "engine.toml"\n{worn}')
    promotion = house.start()
    assert promotion.answer(promote(SHIPPED))[0]
    assert hashes(house.given[-1]) == {"engine/worn": header.hash, "engine": header.hash, "pump": ""}
    assert hashes(house.start().spec()) == hashes(house.given[-1])
    assert set(house.in_use()) == {"engine", "pump"}
    assert promotion.answer(promote(SHIPPED, "engine/worn"))[0] is False
    assert promotion.answer(Command("c2", "rollback", 0, asset_class="engine"))[0]
    assert set(hashes(house.given[-1]).values()) == {""}


def promote(model: str, asset_class: str = "engine") -> Command:
    return Command("c1", "promote", 0, who="ann", asset_class=asset_class, model=model)


def hashes(spec: LineSpec) -> dict[str, str]:
    return {each.name: each.model_hash for each in spec.classes}


def test_a_model_is_taken_and_stays_over_a_restart(house: House) -> None:
    """The line is given the class with its model and without limits; the other class is as it was."""
    header = load_header(pretrained.folder("engine"))
    promotion = house.start()
    assert hashes(promotion.spec()) == {"engine": "", "pump": ""}
    done, told = promotion.answer(promote(SHIPPED))
    assert (done, told.split(";")[0]) == (
        True,
        f"class engine: the model {header.name} ({header.hash[:12]}) is in use",
    )
    (given,) = house.given
    assert hashes(given) == {"engine": header.hash, "pump": ""}
    engine, pump = given.classes
    assert (engine.limits, engine.wanted_ms, engine.window.length) == (None, 0, header.window)
    assert pump.limits is not None
    again = house.start()
    assert hashes(again.spec()) == hashes(given)
    assert again.needed() == {"", header.hash}
    assert again.answer(promote(SHIPPED)) == (True, f"class engine: the model {header.name} is in use already")
    done, told = again.answer(Command("c2", "rollback", 0, asset_class="engine"))
    assert (done, hashes(house.given[-1])["engine"]) == (True, "")
    assert hashes(house.start().spec())["engine"] == ""


def test_a_model_of_other_sensors_is_refused_and_nothing_changes(house: House) -> None:
    promotion = house.start()
    before = (house.state / models_in_use.NAME).read_bytes()
    done, told = promotion.answer(promote(SHIPPED, "pump"))
    assert not done
    assert told.startswith('class pump and the model "engine" differ: only the model has control_module_voltage, ')
    assert 'the model "engine" differ in the period: 1000 ms and 500 ms' in told
    done, told = promotion.answer(promote(str(house.folder / "nowhere")))
    assert (done, "header.json cannot be read" in told) == (False, True)
    assert promotion.answer(promote(SHIPPED, "")) == (
        False,
        "which class? --asset-class takes one of engine, pump",
    )
    assert house.given == []
    assert (house.state / models_in_use.NAME).read_bytes() == before
    assert list((house.state / "models").iterdir()) == []


def test_where_the_line_cannot_take_it_everything_is_as_before(house: House) -> None:
    promotion = house.start()
    house.fails = True
    assert promotion.answer(promote(SHIPPED)) == (False, "not carried out: the disk is full")
    assert house.in_use() == {"engine": "", "pump": ""}
    assert hashes(promotion.spec()) == {"engine": "", "pump": ""}
    house.fails = False
    assert promotion.answer(promote(SHIPPED))[0]


def test_settings_that_were_changed_since_win_and_say_so_once(house: House) -> None:
    promotion = house.start()
    promotion.answer(promote(SHIPPED))
    other = shutil.copytree(pretrained.folder("engine"), house.folder / "other")
    header = other / "header.json"
    header.write_text(header.read_text().replace('"name": "engine"', '"name": "theirs"', 1))
    house.settings(engine=str(other), more='file = "engine.toml"\n')
    with capture_logs() as logs:
        house.start()
        house.start()
    told = [(entry["event"], entry["asset_class"], entry["model"], entry["before"]) for entry in logs]
    assert told == [("model_of_the_settings", "engine", "theirs", "engine")]
    assert house.in_use()["engine"] == "theirs"


def test_a_promoted_model_that_is_damaged_gives_way_to_the_settings(house: House) -> None:
    """The daemon starts, and says what to do."""
    promotion = house.start()
    promotion.answer(promote(SHIPPED))
    (copy,) = (house.state / "models").iterdir()
    (copy / "model.onnx").write_bytes(b"")
    with capture_logs() as logs:
        again = house.start()
    assert hashes(again.spec())["engine"] == ""
    (told,) = [entry for entry in logs if entry["event"] == "promoted_model_unusable"]
    assert told["log_level"] == "error"
    assert "model.onnx is not the file that header.json was written for" in told["reason"]
    assert house.in_use()["engine"] == ""
