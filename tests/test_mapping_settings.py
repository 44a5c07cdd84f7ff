"""How messages are read: what does not go together is one line before anything connects; units become factors."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from config.classes import resolve_classes
from config.load import load
from config.mistakes import SettingsError
from config.units import conversion
from monitor.assemble import line_spec

if TYPE_CHECKING:
    from pathlib import Path

ASSET = 'period_ms = 1000\n[[sensors]]\nname = "speed"\nunit = "rpm"\n'
CLASS = '[[classes]]\nname = "engine"\nfile = "asset.toml"\n'


def refused(folder: Path, settings: str = "", asset: str = ASSET) -> str:
    """The one line by which the settings are refused, without the folder."""
    (folder / "asset.toml").write_text(asset)
    path = folder / "enginewatch.toml"
    path.write_text(CLASS + settings)
    with pytest.raises(SettingsError) as caught:
        load(path, environment={})
    assert len(caught.value.lines) == 1, caught.value.lines
    return caught.value.lines[0].replace(f"{folder}/", "")


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        (
            'topics = ["a/{asset}/{sensor}"]\n',
            '4: classes.0.topics: {sensor} does not go with payload "json", which names its sensors',
        ),
        (
            'topics = ["a/{asset}/{sensor}"]\npayload = "line"\n',
            '4: classes.0.topics: {sensor} does not go with payload "line", which names its sensors',
        ),
        (
            'topics = ["a/{asset}"]\npayload = "value"\ntime = "arrival"\n',
            "4: classes.0.topics: a/{asset}: the sensor must be named by {sensor} in the topic",
        ),
        (
            'payload = "value"\ntopics = ["a/{asset}/{sensor}"]\n',
            '4: classes.0.payload: time: a bare number carries no time: set time = "arrival"',
        ),
        (
            'topics = ["a/{asset}/{sensor}"]\npayload = "paths"\n',
            "4: classes.0.topics: {sensor} in the topic needs paths.value, which says where its one value is",
        ),
        (
            'topics = ["a/{asset}"]\npayload = "paths"\n[classes.paths]\nvalue = "v"\n',
            "4: classes.0.topics: a/{asset}: the sensor must be named by {sensor} in the topic, or by a path in",
        ),
        (
            'topics = ["a/{asset}/{sensor}"]\npayload = "paths"\n[classes.paths]\nvalue = "v"\nsensor = "n"\n',
            "8: classes.0.paths.sensor: the topic a/{asset}/{sensor} names the sensor already",
        ),
        (
            'topics = ["a/{asset}"]\npayload = "paths"\n[classes.paths]\nsensor = "n"\n',
            "7: classes.0.paths.sensor: names the sensor of one value, so value must say where that is",
        ),
        (
            'topics = ["a/{asset}"]\npayload = "paths"\n[classes.paths]\nvalue = "v"\nvalues = "w"\n',
            "7: classes.0.paths.value: values is given as well; a reading has one value or an object of them",
        ),
        (
            'topics = ["a/{asset}"]\npayload = "paths"\n[classes.paths]\nitems = "a..b"\n',
            '7: classes.0.paths.items: "a..b" has an empty part; write keys and numbers with a dot between them',
        ),
        (
            'topics = ["a/{asset}"]\npayload = "paths"\n[classes.paths]\nasset = "id"\n',
            "7: classes.0.paths.asset: the topic a/{asset} names the asset already",
        ),
        ('topics = ["a/{site}"]\n', "4: classes.0.topics: {asset} is missing, so assets could not be told apart"),
        (
            'topics = ["a/{asset}"]\npayload = "paths"\n[classes.paths]\ntime = ""\n',
            '7: classes.0.paths.time: must say where the time is, or set time = "arrival"',
        ),
        (
            '[classes.paths]\nvalues = "data"\n',
            '5: classes.0.paths.values: has no meaning for payload "json"; set payload = "paths"',
        ),
        (
            'payload = "line"\n[classes.paths]\ntime_format = "rfc3339"\n',
            "6: classes.0.paths.time_format: line protocol has its time as a number: s, ms, us or ns",
        ),
        (
            'topics = ["spBv1.0/{site}/DDATA/{area}/{asset}"]\n',
            '4: classes.0.topics: topics of Sparkplug B need payload = "sparkplug"',
        ),
        (
            'payload = "xml"\n',
            '4: classes.0.payload: must be "json" or "value" or "paths" or "line" or "sparkplug", not "xml"',
        ),
    ],
)
def test_a_mapping_that_contradicts_itself_is_one_line(tmp_path: Path, settings: str, line: str) -> None:
    assert refused(tmp_path, settings).startswith(f"enginewatch.toml:{line}")


def test_two_classes_cannot_share_a_topic_whose_payload_names_the_asset(tmp_path: Path) -> None:
    """Only one of them would ever be asked; even where the assets do not overlap."""
    shared = 'topics = ["t/{site}"]\npayload = "line"\npaths.asset = "host"\n'
    line = refused(
        tmp_path,
        f'{shared}assets = ["*/a*"]\n[[classes]]\nname = "b"\nfile = "asset.toml"\n{shared}assets = ["*/b*"]\n',
    )
    assert line.startswith("enginewatch.toml:11: classes.1.topics: t/{site} is a topic of classes.0 already")


@pytest.mark.parametrize(
    ("more", "line"),
    [
        (
            'alias = "n"\n[[sensors]]\nname = "load"\nalias = "n"\n',
            '8: sensors.1.alias: "n" is a name of sensors.0',
        ),
        ('[[sensors]]\nname = "load"\nalias = "speed"\n', '7: sensors.1.alias: "speed" is a name of sensors.0'),
        (
            'alias = "load"\n[[sensors]]\nname = "load"\n',
            '5: sensors.0.alias: "load" is a name of sensors.1 already',
        ),
        ("scale = 0\n", "5: sensors.0.scale: 0 would make every value the same"),
        ('published_unit = "degF"\n', '5: sensors.0.published_unit: "degF" cannot be converted to "rpm"'),
        ('published_unit = "smoot-ish"\n', '5: sensors.0.published_unit: "smoot-ish" is no unit'),
        ('published_unit = "smoots"\n', '5: sensors.0.published_unit: "smoots" is no unit that pint knows'),
        ('published_unit = "Hz"\n', '5: sensors.0.published_unit: "Hz" and "rpm": only one of them counts turns'),
        ('published_unit = "rad/s"\nscale = 2\n', "5: sensors.0.published_unit: scale is given as well; keep one"),
        (
            'published_unit = "rad/s"\noffset = 2\n',
            "5: sensors.0.published_unit: offset is given as well; keep one",
        ),
        (
            '[[sensors]]\nname = "load"\npublished_unit = "%"\n',
            "7: sensors.1.published_unit: unit is empty, so there is nothing to convert to",
        ),
    ],
)
def test_a_sensor_that_contradicts_itself_is_one_line(tmp_path: Path, more: str, line: str) -> None:
    assert refused(tmp_path, asset=ASSET + more).startswith(f"asset.toml:{line}")


@pytest.mark.parametrize(
    ("published", "unit", "value", "converted"),
    [
        ("degF", "°C", 212, 100),  # by definition, as all of these
        ("°F", "degC", 32, 0),
        ("K", "°C", 273.15, 0),
        ("bar", "kPa", 3.5, 350),
        ("psi", "kPa", 100, 689.4757293168361),
        ("m3/h", "l/min", 6, 100),
        ("mph", "km/h", 1, 1.609344),
        ("gal/h", "l/h", 1, 3.785411784),
        ("%", "1", 50, 0.5),
        ("lbf*ft", "Nm", 1, 1.3558179483314004),
    ],
)
def test_a_unit_is_converted_as_it_is_defined(published: str, unit: str, value: float, converted: float) -> None:
    scale, offset = conversion(published, unit)
    assert value * scale + offset == pytest.approx(converted, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize(
    "text", ["10**10**10", "9" * 99, "m^2^3", "a" * 99, "__import__('os')", "m**2", "2 m", "((", ""]
)
def test_what_would_have_to_be_reckoned_is_no_unit(text: str) -> None:
    with pytest.raises(ValueError, match="is no unit"):
        conversion(text, "m")


def test_what_is_watched_cannot_be_left_out_by_its_name(tmp_path: Path) -> None:
    """By a glob it can: `*` leaves out all the others."""
    left_out = 'ignore = ["speed", "n", "*"]\n' + ASSET + 'alias = "n"\n'
    line = refused(tmp_path, asset=left_out)
    assert line == 'asset.toml:1: ignore.1: "n" is watched, as sensors.0; keep one of the two'


def test_names_scales_and_units_reach_the_description_of_the_line(tmp_path: Path) -> None:
    more = 'alias = "n"\nscale = 0.25\n[[sensors]]\nname = "oil"\nunit = "°C"\npublished_unit = "K"\n'
    (tmp_path / "asset.toml").write_text('ignore = ["debug.*"]\n' + ASSET + more)
    (tmp_path / "enginewatch.toml").write_text(CLASS)
    loaded = load(tmp_path / "enginewatch.toml", environment={})
    route = line_spec(loaded.settings, resolve_classes(loaded)).classes[0].route
    assert (route.sensors, route.published) == (("speed", "oil"), ("n", "oil"))
    assert (route.scale, route.offset) == ((0.25, 1.0), (0.0, -273.15))
    assert route.ignore == ("debug.*",)


def test_line_protocol_has_nanoseconds_unless_told_otherwise(tmp_path: Path) -> None:
    (tmp_path / "asset.toml").write_text(ASSET)
    for payload, given, expected in (
        ("line", "", "ns"),
        ("line", "s", "s"),
        ("paths", "", "ms"),
        ("paths", "us", "us"),
    ):
        text = f'payload = "{payload}"\n[classes.paths]\ntime_format = "{given}"\n'
        (tmp_path / "enginewatch.toml").write_text(CLASS + text)
        loaded = load(tmp_path / "enginewatch.toml", environment={})
        route = line_spec(loaded.settings, resolve_classes(loaded)).classes[0].route
        assert route.paths.time_format == expected, (payload, given)


def test_units_are_imported_only_where_settings_name_one() -> None:
    code = "import sys, monitor.daemon, config.load; assert not {'pint', 'google.protobuf'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
