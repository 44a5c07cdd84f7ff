"""Discovery: each layout is known for what it is, and what cannot be known is asked. Captures made by hand."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from monitor.discovery.findings import Mapping
from monitor.discovery.written import files
from tests.discovered import (
    PUMP,
    START,
    about,
    aside,
    asked,
    found_in,
    nested,
    numbers,
    one_class,
    own,
    settings_of,
)


def test_our_own_layout() -> None:
    found = one_class(found_in(own()))
    assert found.topics == ("enginewatch/v1/{site}/{asset}/telemetry",)
    assert found.assets == ("plant//engine-1", "plant//engine-2")
    assert (found.name, found.mapping.payload, found.mapping.time) == ("engine", "json", "event")
    assert found.period_ms == 500
    assert found.one_reading_per_tick
    assert [sensor.name for sensor in found.sensors] == ["engine_speed", "map"]


def test_our_own_root_is_a_placeholder_in_the_settings() -> None:
    settings = settings_of(found_in(own(root="works")))
    assert settings["mqtt"]["root"] == "works"
    assert settings["classes"][0]["topics"] == ["{root}/v1/{site}/{asset}/telemetry"]


def test_units_are_taken_from_our_own_descriptions() -> None:
    meta = {"v": 1, "period_ms": 500, "sensors": {"engine_speed": {"unit": "rpm"}, "map": {"unit": "kPa"}}}
    status = {"online": True, "timestamp": START}
    more = [("enginewatch/v1/plant/engine-1/meta", meta, 0), ("enginewatch/v1/plant/engine-1/status", status, 0)]
    findings = found_in([*own(), *more])
    sensors = one_class(findings).sensors
    assert [(sensor.unit, sensor.unit_guessed) for sensor in sensors] == [("rpm", False), ("kPa", False)]
    assert "unit" not in asked(findings)


def test_what_enginewatch_says_itself_is_no_reading() -> None:
    alerts = [
        ("enginewatch/v1/plant/engine-1/alert", [{"score": 3.5}], 0),
        ("enginewatch/v1/plant/engine-1/alert/event", {"score": 3.5}, 0),
        ("enginewatch/_monitor/main/status", {"online": True, "rows": 5}, 0),
        ("$SYS/broker/uptime", "17", 0),
    ]
    findings = found_in([*own(), *alerts])
    assert one_class(findings).name == "engine"
    assert findings.topics == 2


def test_a_unified_namespace_with_one_number_a_topic() -> None:
    messages = [
        *numbers({"pump-1": PUMP, "pump-2": PUMP}, "acme/berlin/hall-a"),
        *numbers({"pump-1": PUMP, "pump-2": PUMP}, "acme/berlin/hall-b"),
    ]
    findings = found_in(messages)
    found = one_class(findings)
    assert found.topics == ("acme/{site}/{area}/{asset}/{sensor}",)
    assert found.assets == (
        "berlin/hall-a/pump-1",
        "berlin/hall-a/pump-2",
        "berlin/hall-b/pump-1",
        "berlin/hall-b/pump-2",
    )
    assert (found.mapping, found.period_ms) == (Mapping("value"), 1000)
    assert {sensor.name: sensor.unit for sensor in found.sensors} == {
        "temp_c": "°C",
        "pressure_bar": "bar",
        "rpm": "rpm",
    }
    assert not found.one_reading_per_tick, "each sensor arrives at a moment of its own"
    assert found.hold_ms == 1000, "else a value that comes a moment late leaves its tick without one"
    assert "temp_c in °C" in asked(findings), "a unit from a name is a guess"
    assert settings_of(findings)["classes"][0]["time"] == "arrival"


def test_where_listening_begins_does_not_order_the_sensors() -> None:
    """Three pumps publish load, flow, temp; the first message heard is the flow of the first pump."""
    names = ("load", "flow", "temp")
    messages = [
        (f"acme/berlin/pump-{pump}/{name}", f"{50 + pump + second % 7}.5", 1000 * second)
        for second in range(40)
        for pump in range(3)
        for name in names
    ]
    found = one_class(found_in(messages[1:]))
    assert [sensor.name for sensor in found.sensors] == list(names)


@pytest.mark.parametrize("swapped", [False, True])
def test_the_sensor_is_known_wherever_its_level_stands(swapped: bool) -> None:
    """`line/temp/pump-1` as well as `line/pump-1/temp`."""
    messages = numbers({f"pump-{n}": PUMP for n in (1, 2, 3)}, "acme")
    if swapped:
        messages = [
            (f"{root}/{sensor}/{asset}", payload, after)
            for topic, payload, after in messages
            for root, asset, sensor in [topic.split("/")]
        ]
    found = one_class(found_in(messages))
    assert found.topics == (("acme/{sensor}/{asset}",) if swapped else ("acme/{asset}/{sensor}",))
    assert len(found.assets) == 3


def test_names_without_a_meaning_are_told_apart_by_their_values_and_asked_about() -> None:
    """Nothing says which of two levels is which but that values of one name are of one size."""
    messages = numbers({"aa": {"x": 1.0, "y": 5000.0}, "bb": {"x": 1.1, "y": 5100.0}}, "acme")
    found = one_class(found_in(messages))
    assert found.topics == ("acme/{asset}/{sensor}",)
    assert any("of one size" in reason for reason in found.reasons)


def test_value_and_time_as_json_with_the_unit_beside_it() -> None:
    units = {"temp": (62.0, "degC"), "current": (4.2, "A")}
    messages = [
        (
            f"site/{asset}/{sensor}/state",
            {"value": about(middle), "ts": START + 1000 * n, "unit": unit},
            1000 * n + 20,
        )
        for n in range(25)
        for asset in ("mixer", "press")
        for sensor, (middle, unit) in units.items()
    ]
    found = one_class(found_in(messages))
    assert found.topics == ("site/{asset}/{sensor}/state",)
    assert found.mapping == Mapping("paths", "event", "ms", "ts", value="value")
    assert [(sensor.unit, sensor.unit_guessed) for sensor in found.sensors] == [("°C", False), ("A", False)]


def test_nested_json_with_epoch_seconds() -> None:
    findings = found_in(nested())
    found = one_class(findings)
    assert found.topics == ("factory/{site}/{asset}/data",)
    assert found.assets[0] == "line2//mixer-01"
    assert found.mapping == Mapping("paths", "event", "s", "head.epoch", values="body")
    assert [(sensor.name, sensor.published) for sensor in found.sensors] == [
        ("motor_temp", "motor.temp"),
        ("motor_speed", "motor.speed"),
        ("load", "load"),
    ]
    assert found.one_reading_per_tick
    assert aside(findings) == {
        "head.seq": "bookkeeping, by its name",
        "body.running": "true and false are no measurements",
    }
    paths = settings_of(findings)["classes"][0]["paths"]
    assert paths == {"items": "", "time": "head.epoch", "time_format": "s", "values": "body"}


@pytest.mark.parametrize(
    ("time", "time_format"),
    [
        (lambda n: START + 1000 * n, "ms"),
        (lambda n: (START + 1000 * n) * 1000, "us"),
        (lambda n: (START + 1000 * n) * 1_000_000, "ns"),
        (lambda n: START / 1000 + n + 0.25, "s"),
        (lambda n: f"2026-09-21T14:13:{20 + n}Z", "rfc3339"),
        (lambda n: f"2026-09-21T16:13:{20 + n}.5+02:00", "rfc3339"),
        (lambda n: str(START + 1000 * n), "ms"),
    ],
)
def test_forms_of_time(time: Any, time_format: str) -> None:
    """1790000000 s is 2026-09-21 14:13:20 UTC."""
    found = one_class(found_in(nested(time=time)))
    assert (found.mapping.time, found.mapping.time_format) == ("event", time_format)
    assert found.period_ms == 1000


def test_a_time_without_a_zone_is_asked_about_and_not_used() -> None:
    findings = found_in(nested(time=lambda n: f"2026-09-21 16:13:{20 + n}"))
    assert one_class(findings).mapping.time == "arrival"
    assert "names no zone" in asked(findings)


def test_a_clock_in_another_zone_is_asked_about() -> None:
    findings = found_in(nested(time=lambda n: START // 1000 + n + 7200))
    assert "+2 h off the arrival" in asked(findings)


def test_a_clock_that_runs_ahead_is_asked_about() -> None:
    findings = found_in(nested(time=lambda n: START // 1000 + n + 9))
    assert "9.0 s ahead" in asked(findings)
    assert "align.max_ahead_ms" in asked(findings)


def test_a_gateways_list_that_names_its_sensors() -> None:
    messages = [
        (
            f"gw/{asset}",
            {
                "gateway": "g1",
                "readings": [
                    {"sensor": sensor, "value": about(middle), "time": START + 5000 * n + 1000 * k}
                    for k in range(5)
                    for sensor, middle in (("temp", 60.0), ("vib", 4.0))
                ],
            },
            5000 * n + 4100,
        )
        for n in range(8)
        for asset in ("boiler-1", "boiler-2")
    ]
    found = one_class(found_in(messages))
    assert found.topics == ("gw/{asset}",)
    assert found.mapping == Mapping(
        "paths", "event", "ms", "time", items="readings", value="value", sensor="sensor"
    )
    assert (found.period_ms, found.lateness_ms) == (1000, 2000)
    assert [sensor.name for sensor in found.sensors] == ["temp", "vib"]


def test_a_gateway_that_names_its_assets() -> None:
    messages = [
        (
            "gateway/7/out",
            [
                {"device": name, "rpm": about(900), "amps": about(9), "ts": START + 1000 * n}
                for name in ("f1", "f2")
            ],
            1000 * n + 5,
        )
        for n in range(25)
    ]
    found = one_class(found_in(messages))
    assert found.topics == ("gateway/{site}/out",)
    assert found.assets == ("7//f1", "7//f2")
    assert found.mapping.asset == "device"
    assert settings_of(found_in(messages))["classes"][0]["paths"]["asset"] == "device"


def test_the_time_of_a_list_may_stand_beside_it() -> None:
    messages = [
        (
            "gw/boiler",
            {"ts": START + 1000 * n, "items": [{"tag": "temp", "v": 1.5}, {"tag": "flow", "v": n % 3}]},
            1000 * n,
        )
        for n in range(25)
    ]
    found = one_class(found_in(messages))
    assert found.mapping == Mapping("paths", "event", "ms", "ts", items="items", value="v", sensor="tag")
    assert found.period_ms == 1000


def test_line_protocol_as_telegraf_publishes_it() -> None:
    """Two measurements an asset on topics of their own: one class, two templates."""
    messages = [
        (
            f"telegraf/{host}/{measurement}",
            f"{measurement},host={host} {one}={about(50)},{two}={about(3)} {(START + 10_000 * n) * 1_000_000}\n",
            10_000 * n + 9,
        )
        for n in range(25)
        for host in ("alpha", "beta")
        for measurement, one, two in (("hydraulics", "pressure", "oil_temp"), ("drive", "rpm", "torque_nm"))
    ]
    found = one_class(found_in(messages))
    assert found.topics == ("telegraf/{asset}/drive", "telegraf/{asset}/hydraulics")
    assert found.mapping == Mapping("line", "event", "ns")
    assert [sensor.name for sensor in found.sensors] == ["pressure", "oil_temp", "rpm", "torque_nm"]
    assert found.period_ms == 10_000
    assert settings_of(found_in(messages))["classes"][0]["paths"] == {"time_format": "ns"}


def test_line_protocol_whose_tag_names_the_asset() -> None:
    lines = "".join(f'm,host={host} temp=2{n % 3},flow=3i,mode="a b,c" {{time}}\n' for host in "ab" for n in (1,))
    messages = [("telegraf", lines.format(time=(START + 1000 * n) * 1_000_000), 1000 * n) for n in range(25)]
    findings = found_in(messages)
    found = one_class(findings)
    assert (found.mapping.asset, found.assets) == ("host", ("//a", "//b"))
    assert [sensor.name for sensor in found.sensors] == ["temp", "flow"]
    assert aside(findings)["mode"] == "a field that is no number"


# What gateways and devices that are sold publish, as their manuals have it.


def test_neuron_keeps_its_values_in_an_object_beside_errors() -> None:
    messages = [
        (
            f"/neuron/{node}/upload",
            {"node": node, "timestamp": START + 1000 * n, "values": {"tag1": about(5)}, "errors": {"tag3": 3002}},
            1000 * n,
        )
        for n in range(9)
        for node in ("modbus-1", "modbus-2")
    ]
    findings = found_in(messages)
    found = one_class(findings)
    assert found.topics == ("/neuron/{asset}/upload",)
    assert found.mapping == Mapping("paths", "event", "ms", "timestamp", values="values")
    assert [sensor.name for sensor in found.sensors] == ["tag1"]
    assert aside(findings)["errors.tag3"] == "it stands beside values"


def test_kepware_holds_assets_in_the_names_of_its_tags_which_is_asked_about() -> None:
    messages = [
        (
            "iotgateway",
            {
                "timestamp": START + 1000 * n,
                "values": [
                    {"id": f"Ch1.{asset}.{tag}", "v": about(50), "q": True, "t": START + 1000 * n}
                    for asset in ("Pump1", "Pump2")
                    for tag in ("Temp", "Flow")
                ],
            },
            1000 * n,
        )
        for n in range(9)
    ]
    findings = found_in(messages)
    found = one_class(findings)
    assert found.mapping == Mapping("paths", "event", "ms", "t", items="values", value="v", sensor="id")
    assert found.sensors[0].published == "Ch1.Pump1.Temp"
    assert "the same sensors stand under Ch1.Pump1, Ch1.Pump2" in asked(findings)


def test_senml_names_its_sensors() -> None:
    messages = [
        (
            f"plant/{asset}",
            [
                {"bn": f"urn:{asset}:", "bt": START / 1000 + n, "n": "temp", "u": "Cel", "v": about(23)},
                {"n": "humidity", "u": "%RH", "v": about(40)},
            ],
            1000 * n,
        )
        for n in range(9)
        for asset in ("x1", "x2")
    ]
    found = one_class(found_in(messages))
    assert (found.mapping.sensor, found.mapping.value, found.mapping.time) == ("n", "v", "arrival")
    assert [(sensor.name, sensor.unit) for sensor in found.sensors] == [("temp", "°C"), ("humidity", "%RH")]


def test_tasmotas_local_time_is_not_used() -> None:
    messages = [
        (
            f"tele/{plug}/SENSOR",
            {"Time": f"2026-09-21T14:13:{20 + n}", "ENERGY": {"Total": 3.1 + n / 100, "Power": about(100)}},
            1000 * n,
        )
        for n in range(25)
        for plug in ("plug_1", "plug_2")
    ]
    findings = found_in(messages)
    found = one_class(findings)
    assert (found.name, found.mapping.time, found.mapping.values) == ("plug", "arrival", "ENERGY")
    assert {sensor.published: sensor.kept for sensor in found.sensors} == {"Total": False, "Power": True}
    (asset,) = [text for name, text in files(findings, [], "from a test").items() if name == found.file]
    assert tomllib.loads(asset)["ignore"] == ["Total"]


def test_an_asset_whose_values_all_lie_deeper_is_read_as_the_others_are() -> None:
    """Two mixers without a load: all their numbers stand in body.motor."""
    less = [
        (topic.replace("mixer-0", "mixer-1"), {**payload, "body": {"motor": payload["body"]["motor"]}}, after)
        for topic, payload, after in nested()
    ]
    found = found_in([*nested(), *less]).classes
    assert {each.mapping.values for each in found} == {"body"}
    assert {sensor.published for each in found for sensor in each.sensors} == {"motor.temp", "motor.speed", "load"}
