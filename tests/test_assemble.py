"""From settings to the description of the line: every setting arrives in its place and unit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from config.classes import resolve_classes
from config.load import load
from monitor.assemble import LENGTH_WITHOUT_MODEL, line_spec
from monitor.limits import LimitsConfig
from monitor.spec import ClassSpec, LineSpec

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = """
[daemon]
max_streams = 7
[mqtt]
root = "plant"
[align]
hold_ms = 1
max_ahead_ms = 2
repeat_ticks = 3
[sensor_check]
range_s = 0.3
dropout_s = 2
clear_s = 4
[window]
stride = 4
min_coverage = 0.25
[threshold]
rule = "mad"
quantile = 0.75
margin = 1.5
deviations = 8
horizon_s = 100
min_rows = 9
floor = 2
cap = 11
[alert]
k = 2
n = 12
on_delay_ticks = 13
off_delay_ticks = 14
deadband = 0.5
critical_ratio = 15
stale_after_s = 1.5

[[classes]]
name = "engine"
file = "engine.toml"
topics = ["{root}/{asset}"]
assets = ["a/*", "b/*"]
time = "arrival"

[[classes]]
name = "other"
file = "other.toml"
"""
ENGINE = """
period_ms = 200
one_reading_per_tick = true
allowed_lateness_ms = 500
[[sensors]]
name = "speed"
unit = "rpm"
min = 0
max = 9000
stuck_s = 3
[[sensors]]
name = "load"
"""
OTHER = 'period_ms = 1000\n[[sensors]]\nname = "level"\nunit = "m"\n'


@pytest.fixture
def spec(tmp_path: Path) -> LineSpec:
    for name, text in {"enginewatch.toml": SETTINGS, "engine.toml": ENGINE, "other.toml": OTHER}.items():
        (tmp_path / name).write_text(text)
    loaded = load(tmp_path / "enginewatch.toml", environment={})
    return line_spec(loaded.settings, resolve_classes(loaded))


def test_every_setting_arrives(spec: LineSpec) -> None:
    engine = spec.classes[0]
    assert (spec.root, spec.max_streams, [each.name for each in spec.classes]) == ("plant", 7, ["engine", "other"])
    route = engine.route
    assert (route.sensors, engine.units) == (("speed", "load"), ("rpm", ""))
    assert (route.topics, route.assets, route.arrival_time) == (("{root}/{asset}",), ("a/*", "b/*"), True)
    align = engine.align
    assert (align.sensors, align.period_ms, align.lateness_ms, align.one_reading_per_tick) == (2, 200, 500, True)
    assert (align.hold_ms, align.max_ahead_ms, align.repeat_ticks) == (1, 2, 3)
    assert (engine.window.sensors, engine.window.stride, engine.window.min_coverage) == (2, 1, 0.25)  # it learns
    check = engine.sensor_check
    assert check is not None
    assert (check.sensors, check.units, check.period_ms) == (("speed", "load"), ("rpm", ""), 200)
    assert (check.lowest, check.highest, check.stuck_ticks) == ((0, None), (9000, None), (15, None))
    assert (check.range_ticks, check.dropout_ticks, check.clear_ticks) == (2, 10, 20)  # 0.3 s are not one tick
    rule = engine.threshold
    assert (rule.rule, rule.quantile, rule.margin, rule.deviations) == ("mad", 0.75, 1.5, 8)
    assert (rule.min_rows, rule.floor, rule.cap) == (9, 2, 11)
    assert rule.horizon_ticks == 500  # 100 s of ticks of 200 ms
    alert = engine.alert
    assert (alert.sensors, alert.units, alert.period_ms) == (("speed", "load"), ("rpm", ""), 200)
    assert (alert.k, alert.n, alert.on_delay_ticks, alert.off_delay_ticks) == (2, 12, 13, 14)
    assert (alert.deadband, alert.critical_ratio, alert.stale_after_ms) == (0.5, 15, 1500)


def test_switched_off_sensors_are_not_checked(tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text(OTHER)
    overrides = ["classes.0.name=a", f"classes.0.file={tmp_path / 'other.toml'}", "sensor_check.enabled=false"]
    loaded = load(None, overrides=overrides, environment={})
    assert line_spec(loaded.settings, resolve_classes(loaded)).classes[0].sensor_check is None


def test_without_a_model_there_is_still_a_length(spec: LineSpec) -> None:
    """Nothing is scored, and a silence longer than it is a gap all the same."""
    for each in spec.classes:
        assert (each.model, each.model_hash) == ("", "")
        assert each.window.length == each.align.gap_ticks == LENGTH_WITHOUT_MODEL
    other = spec.classes[1]
    assert (other.align.period_ms, other.align.lateness_ms, other.align.one_reading_per_tick) == (
        1000,
        2000,
        False,
    )
    assert other.threshold.horizon_ticks == 100


def test_the_description_comes_back_from_its_bytes(spec: LineSpec) -> None:
    """As journal and checkpoint keep it; the same settings give the same bytes, so nothing is changed for them."""
    assert LineSpec.decode(spec.encode()) == spec
    assert LineSpec.decode(spec.encode()).encode() == spec.encode()


def test_a_class_without_a_model_learns_unless_that_is_off(tmp_path: Path) -> None:
    """Every tick has its row, and limits watch: 1.5 hours in twelve blocks, half an hour before they count."""
    (tmp_path / "other.toml").write_text(OTHER)
    given = [
        "classes.0.name=a", f"classes.0.file={tmp_path / 'other.toml'}", "window.stride=4",
        "learning.wanted_hours=2", "learning.limits_horizon_hours=1.5", "learning.limits_after_hours=0.5",
        "learning.limits_margin=0.75",
    ]  # fmt: skip

    def made(*more: str) -> ClassSpec:
        loaded = load(None, overrides=[*given, *more], environment={})
        return line_spec(loaded.settings, resolve_classes(loaded)).classes[0]

    learns = made()
    assert (learns.window.stride, learns.wanted_ms) == (1, 7_200_000)
    assert learns.limits == LimitsConfig(block_ticks=450, min_ticks=1800, margin=0.75, period_ms=1000)
    bare = made("learning.limits=false")
    assert (bare.window.stride, bare.wanted_ms, bare.limits) == (1, 7_200_000, None)
    off = made("learning.enabled=false")
    assert (off.window.stride, off.wanted_ms, off.limits) == (4, 0, None)


def test_where_a_model_scores_nothing_learns_and_no_limits_watch() -> None:
    model = "pretrained:engine"
    loaded = load(None, overrides=["classes.0.name=a", f"classes.0.model={model}"], environment={})
    (spec,) = line_spec(loaded.settings, resolve_classes(loaded)).classes
    assert spec.model_hash
    assert (spec.wanted_ms, spec.limits) == (0, None)
