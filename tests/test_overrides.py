"""Classes with sections of their own, and assets that are watched otherwise: from the settings to the line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from config.classes import resolve_classes
from config.load import Loaded, load
from config.mistakes import SettingsError
from config.schema import effective
from monitor.assemble import line_spec
from monitor.cli import main
from monitor.decode import Decoder
from monitor.records import Message

if TYPE_CHECKING:
    from pathlib import Path

    from monitor.spec import LineSpec

SETTINGS = """
[threshold]
floor = 2.0
cap = 20.0
[[classes]]
name = "pump"
file = "pump.toml"
topics = ["{site}/{asset}"]
assets = ["plant//*"]
[classes.threshold]
deviations = 9.0
[[classes.overrides]]
name = "worn"
assets = ["*//pump-7", "plant//old-*"]
file = "worn.toml"
[classes.overrides.threshold]
floor = 5.0
[[classes.overrides]]
name = "slow"
assets = ["plant//slow-*"]
[classes.overrides.alert]
stale_after_s = 600
[[classes]]
name = "fan"
file = "pump.toml"
topics = ["{site}/{asset}"]
assets = ["hall//*"]
"""
PUMP = 'period_ms = 1000\n[[sensors]]\nname = "pressure"\nunit = "bar"\nmax = 10\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pump.toml").write_text(PUMP)
    (tmp_path / "worn.toml").write_text(PUMP.replace("max = 10", "max = 16\nscale = 0.001"))
    return tmp_path


def loaded(folder: Path, text: str = SETTINGS) -> Loaded:
    (folder / "enginewatch.toml").write_text(text)
    return load(folder / "enginewatch.toml", environment={})


def line(folder: Path, text: str = SETTINGS) -> LineSpec:
    found = loaded(folder, text)
    return line_spec(found.settings, resolve_classes(found))


def test_what_a_class_or_an_override_does_not_give_comes_from_above(folder: Path) -> None:
    worn, slow, pump, fan = line(folder).classes
    assert [each.name for each in (worn, slow, pump, fan)] == ["pump/worn", "pump/slow", "pump", "fan"]
    assert [each.family for each in (worn, slow, pump, fan)] == ["pump", "pump", "pump", "fan"]
    assert [each.threshold.floor for each in (worn, slow, pump, fan)] == [5, 2, 2, 2]
    assert [each.threshold.deviations for each in (worn, slow, pump, fan)] == [9, 9, 9, 6]
    assert [each.threshold.cap for each in (worn, slow, pump, fan)] == [20] * 4
    assert [each.alert.stale_after_ms for each in (worn, slow, pump, fan)] == [60_000, 600_000, 60_000, 60_000]
    checks = [each.sensor_check for each in (worn, slow, pump, fan)]
    assert [check and check.highest for check in checks] == [(16,), (10,), (10,), (10,)]


def test_an_asset_goes_to_the_first_that_takes_it_within_its_class(folder: Path) -> None:
    """`hall//pump-7` fits a glob of an override, but not the class that the override is of."""
    names = [each.name for each in line(folder).classes]
    assets = ["plant/pump-7", "plant/old-1", "plant/slow-1", "plant/pump-8", "hall/pump-7"]
    decoder = Decoder([each.route for each in line(folder).classes], root="enginewatch")
    payload = b'{"ts": 1700000000000, "values": {"pressure": 4000}}'
    decoded = decoder.decode([Message(each.encode(), payload, 1_700_000_000_000, len(payload)) for each in assets])
    found = {name: rows.streams for name, rows in zip(names, decoded.readings, strict=True)}
    assert found == {
        "pump/worn": ["plant//pump-7", "plant//old-1"],
        "pump/slow": ["plant//slow-1"],
        "pump": ["plant//pump-8"],
        "fan": ["hall//pump-7"],
    }
    assert decoded.readings[0].values.tolist() == [[4.0], [4.0]], "the file of the override has the scale"
    assert decoded.readings[1].values.tolist() == [[4000.0]]


def test_so_does_an_asset_that_only_the_payload_names(folder: Path) -> None:
    text = SETTINGS.partition('[[classes]]\nname = "fan"')[0].replace('["{site}/{asset}"]', '["{site}/batch"]')
    text = text.replace('assets = ["plant//*"]', 'assets = ["plant//*"]\npayload = "paths"\npaths.asset = "name"')
    spec = line(folder, text)
    decoder = Decoder([each.route for each in spec.classes], root="enginewatch")
    payload = b'{"ts": 1700000000000, "name": "%s", "values": {"pressure": 1000}}'
    payloads = [payload % name for name in (b"pump-7", b"pump-8", b"old-2")]
    messages = [Message(b"plant/batch", each, 1, len(each)) for each in payloads]
    decoded = decoder.decode(messages)
    assert [rows.streams for rows in decoded.readings] == [
        ["plant//pump-7", "plant//old-2"],
        [],
        ["plant//pump-8"],
    ]
    assert np.concatenate([rows.values for rows in decoded.readings]).ravel().tolist() == [1.0, 1.0, 1000.0]


def test_the_settings_say_where_each_value_comes_from(folder: Path) -> None:
    sources = {key: source.removeprefix(f"{folder}/") for key, source in loaded(folder).sources.items()}
    assert sources["classes.0.threshold.deviations"] == "enginewatch.toml:11"
    assert sources["classes.0.threshold.floor"] == "enginewatch.toml:3"
    assert sources["classes.0.overrides.0.threshold.floor"] == "enginewatch.toml:17"
    assert sources["classes.0.overrides.0.threshold.deviations"] == "enginewatch.toml:11"
    assert sources["classes.0.overrides.0.threshold.margin"] == "default"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("floor = 5.0", "floor = 50.0", ":17: classes.0.overrides.0.threshold.floor: 50.0 is more than cap"),
        ("floor = 5.0", "flor = 5.0", ":17: classes.0.overrides.0.threshold.flor: unknown key; did you mean"),
        ('"*//pump-7"', '"hall//x"', ':14: classes.0.overrides.0.assets: "hall//x" can match no asset of the'),
        (
            '"*//pump-7"',
            '"pump-7"',
            ':14: classes.0.overrides.0.assets: "pump-7" is no site/area/asset; write plant//',
        ),
        (
            '"plant//*"',
            '"pumps"',
            ':9: classes.0.assets: "pumps" is no site/area/asset; write plant//pumps',
        ),
        ('name = "slow"', 'name = "worn"', ':19: classes.0.overrides.1.name: "worn" is the name of overrides.0'),
        ('name = "slow"', 'name = "a/b"', ":19: classes.0.overrides.1.name: must be text matching"),
        ("floor = 2.0", 'floor = "two"', ":3: threshold.floor: must be a number above 0, not"),
    ],
)
def test_a_mistake_is_told_once_where_it_was_made(folder: Path, old: str, new: str, told: str) -> None:
    assert old in SETTINGS
    with pytest.raises(SettingsError) as caught:
        loaded(folder, SETTINGS.replace(old, new))
    (sentence,) = caught.value.lines
    assert sentence.startswith(f"{folder}/enginewatch.toml{told}")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("bar", "kPa", "its sensors and units must be those of class pump, in their order"),
        ("1000\n", "500\n", "period_ms must be 1000, as in class pump, not 500"),
    ],
)
def test_an_override_cannot_have_other_sensors(folder: Path, old: str, new: str, told: str) -> None:
    (folder / "worn.toml").write_text(PUMP.replace(old, new))
    with pytest.raises(SettingsError) as caught:
        line(folder)
    assert caught.value.lines == [f"{folder}/enginewatch.toml:15: classes.0.overrides.0.file: {told}"]


def test_the_settings_in_force_can_be_read_again(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "enginewatch.toml"
    before = loaded(folder).settings
    assert main(["config", "--config", str(path)]) == 0
    again = folder / "again.toml"
    again.write_text(capsys.readouterr().out)
    assert dict(effective(load(again, environment={}).settings)) == dict(effective(before))
