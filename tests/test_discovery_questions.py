"""Discovery: what makes a class, what is left aside, and what is asked. Captures made by hand."""

from __future__ import annotations

import random

import pytest

from tests.discovered import FAN, PUMP, START, about, aside, asked, found_in, nested, numbers, one_class, own


def test_two_classes_under_one_template_have_globs_that_do_not_meet() -> None:
    messages = numbers({"pump-1": PUMP, "pump-2": PUMP, "fan-1": FAN, "fan-2": FAN})
    findings = found_in(messages)
    globs = {each.name: each.globs for each in findings.classes}
    assert globs == {"pump": ("*/*/pump-*",), "fan": ("*/*/fan-*",)}
    assert {each.topics for each in findings.classes} == {("acme/{site}/{asset}/{sensor}",)}


def test_two_classes_whose_names_say_nothing_are_told_apart_by_area() -> None:
    messages = [
        *numbers({"m1": PUMP, "m2": PUMP}, "acme/berlin/pumps"),
        *numbers({"m3": FAN, "m4": FAN}, "acme/berlin/fans"),
    ]
    findings = found_in(messages)
    globs = {each.name: each.globs for each in findings.classes}
    assert set(globs.values()) == {("berlin/pumps/*",), ("berlin/fans/*",)}


def test_two_layouts_side_by_side_are_two_classes() -> None:
    findings = found_in([*numbers({"pump-1": PUMP, "pump-2": PUMP}), *nested(), *own()])
    assert {each.name: each.mapping.payload for each in findings.classes} == {
        "pump": "value",
        "mixer": "paths",
        "engine": "json",
    }
    assert all(each.globs == ("*",) for each in findings.classes), "their templates differ"


def test_an_asset_that_lacks_a_sensor_is_asked_about() -> None:
    wide = PUMP | {"flow": 30.0, "load": 50.0}
    less = {name: middle for name, middle in wide.items() if name != "load"}
    findings = found_in(numbers({"pump-1": wide, "pump-2": wide, "pump-3": less}))
    found = one_class(findings)
    assert {sensor.name: round(sensor.share, 2) for sensor in found.sensors}["load"] == 0.67
    assert "pump-3 lacks load" in asked(findings)


def test_counters_constants_and_what_warms_up() -> None:
    messages = [
        (f"acme/pump-{p}/{sensor}", str(value), 1000 * n)
        for n in range(25)
        for p in (1, 2)
        for sensor, value in (
            ("flow", about(30)),
            ("starts", 100 + n),
            ("setpoint", 42),
            ("temp", 20 + 0.37 * n),
        )
    ]
    findings = found_in(messages)
    notes = {sensor.name: (sensor.kept, sensor.note) for sensor in one_class(findings).sensors}
    assert notes["flow"] == (True, "")
    assert notes["starts"] == (False, "a counter: it only grew")
    assert notes["setpoint"] == (True, "never changed")
    assert notes["temp"] == (True, "grew all the time")
    assert "a counter, or does it warm up? -> [[sensors]] temp in pump.toml" in asked(findings)
    assert "42 all the time" in asked(findings)


def test_sensors_of_several_rates_need_a_hold() -> None:
    messages = [
        (f"acme/pump-{p}/{sensor}", str(about(30)), 1000 * n)
        for n in range(61)
        for p in (1, 2)
        for sensor, every in (("flow", 1), ("load", 1), ("oil_level", 10))
        if n % every == 0
    ]
    found = one_class(found_in(messages))
    assert found.period_ms == 1000
    assert {sensor.name: sensor.period_ms for sensor in found.sensors}["oil_level"] == 10_000
    assert found.hold_ms == 15_000


@pytest.mark.parametrize("jitter", [0, 300])
def test_the_period_is_that_which_was_set_whatever_the_jitter(jitter: int) -> None:
    chance = random.Random(3)  # noqa: S311 - as above
    messages = [
        (f"acme/pump-{p}/flow", str(about(30)), 1000 * n + chance.randint(0, jitter))
        for n in range(60)
        for p in (1, 2)
    ]
    assert one_class(found_in(messages)).period_ms == 1000


def test_junk_is_left_aside_with_its_reason_and_harms_nothing() -> None:
    junk = [
        ("junk/binary", bytes([255, 0, 3]), 0),
        ("junk/text", "hello", 0),
        ("junk/empty", "", 0),
        ("junk/huge", "9" * 100_000, 0),
        ("junk/broken", '{"a":', 0),
        ("junk/list", "[1, 2]", 0),
        ("junk/switch", "ON", 0),
        ("junk/{brace}/x", "1", 0),
        ("alone", "12", 0),
        ("clock/now", str(START // 1000), 0),
    ]
    findings = found_in([*junk, *numbers({"pump-1": PUMP, "pump-2": PUMP})])
    assert one_class(findings).assets == ("berlin//pump-1", "berlin//pump-2")
    reasons = aside(findings)
    assert reasons["junk/text, junk/broken"] == "text that is no number"
    assert "no number" in reasons["junk/list"] or "objects" in reasons["junk/list"]
    for topic in ("junk/binary", "junk/empty", "junk/huge", "junk/switch", "junk/{brace}/x", "alone", "clock/now"):
        assert topic in reasons


def test_a_sensor_that_changes_its_type_is_asked_about() -> None:
    messages = [
        (
            "acme/pump/data",
            {"ts": START + 1000 * n, "flow": about(30), "temp": "n/a" if n % 10 == 0 else 20},
            1000 * n,
        )
        for n in range(30)
    ]
    findings = found_in(messages)
    assert [sensor.name for sensor in one_class(findings).sensors] == ["flow", "temp"]
    assert "temp changes its type (27 number, 3 text)" in asked(findings)


def test_numbers_in_quotes_are_asked_about() -> None:
    messages = [
        ("acme/pump/data", {"ts": START + 1000 * n, "flow": about(30), "temp": "21.5"}, 1000 * n) for n in range(9)
    ]
    findings = found_in(messages)
    assert [sensor.name for sensor in one_class(findings).sensors] == ["flow"]
    assert "temp holds numbers in quotes" in asked(findings)


def test_units_that_contradict_are_asked_about() -> None:
    messages = [
        (f"acme/pump-{p}/pressure", {"value": about(4), "unit": unit}, 1000 * n)
        for n in range(9)
        for p, unit in ((1, "bar"), (2, "kPa"))
    ]
    assert "pressure comes in bar and kPa" in asked(found_in(messages))


def test_names_that_fall_together_stay_two_sensors_and_aliases_are_unique() -> None:
    messages = [
        ("acme/pump/data", {"ts": START + 1000 * n, "Oil Temp": about(60), "oil_temp": about(61)}, 1000 * n)
        for n in range(9)
    ]
    findings = found_in(messages)
    names = {sensor.published: sensor.name for sensor in one_class(findings).sensors}
    assert names == {"Oil Temp": "oil_temp_2", "oil_temp": "oil_temp"}
    assert "nearly the same name" in asked(findings)


def test_one_asset_alone_is_asked_about() -> None:
    findings = found_in(numbers({"pump": PUMP}, "acme"))
    assert one_class(findings).topics == ("acme/{asset}/{sensor}",)
    assert "only one asset was heard" in asked(findings)


def test_every_choice_has_a_reason() -> None:
    findings = found_in([*numbers({"pump-1": PUMP, "pump-2": PUMP}), *nested()])
    for each in findings.classes:
        told = " ".join(each.reasons)
        assert "is the asset" in told
        assert "time" in told
