"""The section `regimes` of an asset file: what it may say, and how mistakes in it are told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from config.classes import resolve_classes
from config.files import load_asset_file
from config.load import load
from config.mistakes import SettingsError
from config.settings import ClassSettings, Settings
from monitor.assemble import line_spec, regime_config
from tests.line_samples import shipped

if TYPE_CHECKING:
    from pathlib import Path

    from config.asset_file import AssetFile

SENSORS = 'period_ms = 500\n[[sensors]]\nname = "speed"\n[[sensors]]\nname = "oil temp"\n'  # five lines


def asset(folder: Path, regimes: str) -> AssetFile:
    """An asset file with these regimes, from the sixth line on."""
    path = folder / "asset.toml"
    path.write_text(SENSORS + regimes)
    return load_asset_file(path)


def refused(folder: Path, regimes: str) -> list[str]:
    """How it is refused, without the file's name."""
    with pytest.raises(SettingsError) as caught:
        asset(folder, regimes)
    return [line.removeprefix(f"{folder / 'asset.toml'}:") for line in caught.value.lines]


def test_a_rule_alone_and_a_table_in_the_order_of_the_file(tmp_path: Path) -> None:
    """`off` is not scored by its name, everything else only where that is said."""
    text = """[regimes]
start = { when = "'oil temp' < 40", scored = false, blank_s = 1.2 }
off = "speed < 50"
load = { when = "speed > 60 and not 'oil temp' > 100", min_rows = 300 }
"""
    config = regime_config(asset(tmp_path, text).rules(), 500)
    assert config.names == ("start", "off", "load", "running")
    assert [each.scored for each in config.regimes] == [False, False, True]
    assert [each.blank_ticks for each in config.regimes] == [3, 0, 0]  # 1.2 s are more than two ticks
    assert [each.min_rows for each in asset(tmp_path, text).rules()] == [None, None, 300]


def test_off_can_be_scored_and_a_table_can_stand_by_itself(tmp_path: Path) -> None:
    text = '[regimes.off]\nwhen = "speed < 50"\nscored = true\n[regimes.idle]\nwhen = "speed < 900"\n'
    assert [(each.name, each.scored) for each in asset(tmp_path, text).rules()] == [("off", True), ("idle", True)]


@pytest.mark.parametrize(
    ("regimes", "lines"),
    [
        (
            '[regimes]\n\noff = "sped < 50"\n',
            ['8: regimes.off.when: "sped" at character 1 is no sensor of this file'],
        ),
        (
            '[regimes]\nstart = { when = "speed <" }\n',
            ["7: regimes.start.when: ends where a sensor or a number is expected"],
        ),
        (
            '[regimes]\nstart = { when = "speed < 5", scord = true }\n',
            ["7: regimes.start.scord: unknown key; did you mean regimes.start.scored?"],
        ),
        ("[regimes]\nidle = { min_rows = 5 }\n", ["6: regimes.idle.when: must be given"]),
        (
            '[regimes]\nidle = { when = "speed < 5", blank_s = -1 }\n',
            ["7: regimes.idle.blank_s: must be a number not below 0, not -1"],
        ),
        (
            '[regimes]\noff = { when = "speed < 5", min_rows = 10 }\n',
            ["7: regimes.off.min_rows: has no meaning where nothing is scored"],
        ),
        (
            '[regimes]\nrunning = "speed < 5"\nall = "speed < 5"\n',
            [
                '7: regimes.running: "running" is the name where no rule holds; take another',
                '8: regimes.all: "all" is the name where there are no rules; take another',
            ],
        ),
        (
            '[regimes]\n"a b" = "speed < 5"\n',
            ['7: regimes."a b": a regime\'s name is made of letters, digits, _ and -, and begins with a letter'],
        ),
        ("[regimes]\noff = 5\n", ["7: regimes.off: must be text that is not empty, not 5"]),
        ("[regimes]\noff = {}\n", ["7: regimes.off: must be given"]),
    ],
)
def test_a_mistake_is_told_with_its_place(tmp_path: Path, regimes: str, lines: list[str]) -> None:
    assert refused(tmp_path, regimes) == lines


def test_the_rules_reach_the_line_and_change_nothing_where_there_are_none(tmp_path: Path) -> None:
    text = '[regimes]\noff = "speed < 50"\nload = { when = "speed > 900", min_rows = 30 }\n'
    asset(tmp_path, text)
    settings = tmp_path / "enginewatch.toml"
    settings.write_text('[[classes]]\nname = "a"\nfile = "asset.toml"\n')
    loaded = load(settings, environment={})
    (spec,) = line_spec(loaded.settings, resolve_classes(loaded)).classes
    assert spec.regime.names == spec.alert.regimes == ("off", "load", "running")
    assert spec.threshold.rows_to_learn == (600, 30, 600)
    assert shipped().regime.names == ("all",)
    assert shipped().threshold.rows_to_learn == (600,)


@pytest.mark.parametrize(("period_ms", "blind_after_ms"), [(1000, 600_000), (60_000, 2 * 20 * 60_000)])
def test_blindness_waits_for_two_windows_at_the_least(period_ms: int, blind_after_ms: int) -> None:
    assert shipped(period_ms=period_ms).alert.blind_after_ms == blind_after_ms
    assert Settings(classes=(ClassSettings(name="a"),)).alert.blind_after_s == 600
