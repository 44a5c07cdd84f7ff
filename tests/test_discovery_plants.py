"""Discovery: what real plants publish beside good readings: lists, tags, counters, units in names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from config.overlap import globs_overlap
from monitor.discovery.capture import Captured
from monitor.discovery.discover import discover
from tests.discovered import START, aside, asked, captured, found_in, one_class

if TYPE_CHECKING:
    from collections.abc import Callable


def every_second(topic: str, payload: Callable[[int], Any], count: int = 25) -> list[tuple[str, Any, int]]:
    """A payload each second."""
    return [(topic, payload(n), 1000 * n) for n in range(count)]


def test_units_in_names_are_taken_as_they_stand_there() -> None:
    findings = found_in(
        every_second(
            "hall/oven-1/data", lambda n: {"Temp [°C]": 20 + n % 3, "level %": 50 + n % 3, "Torque (Nm)": n % 4}
        )
    )
    sensors = {
        sensor.name: (sensor.published, sensor.unit, sensor.unit_guessed) for sensor in one_class(findings).sensors
    }
    assert sensors == {
        "temp_c": ("Temp [°C]", "°C", False),
        "level": ("level %", "%", False),
        "torque_nm": ("Torque (Nm)", "Nm", False),
    }
    assert "unit" not in asked(findings)


def test_what_is_measured_is_the_last_quantity_in_a_name() -> None:
    """A press has a temperature; its name is no pressure."""
    findings = found_in(
        every_second("hall/a-1/data", lambda n: {"press_1_temp": 20 + n % 3, "press_1_force": n % 4})
    )
    assert "press_1_temp (20 to 22): °C, °F or K?" in asked(findings)
    assert "unit of press_1_force" in asked(findings)
    assert "psi" not in asked(findings)


def test_a_value_that_was_only_retained_is_left_out_beside_those_that_live() -> None:
    """It would be missing for ever. Where nothing else is there, it is kept: it may come."""
    old = captured([("hall/tank-1/setpoint", "21.5", 0), ("hall/tank-2/setpoint", "21.5", 0)], retained=True)
    kept = one_class(discover(old, globs_overlap)).sensors
    assert [(sensor.name, sensor.kept) for sensor in kept] == [("setpoint", True)]
    for topic, payload, after in [
        each for tank in (1, 2) for each in every_second(f"hall/tank-{tank}/temp", lambda n: str(20 + n % 3))
    ]:
        old.add(Captured(topic, payload.encode(), START + after))
    sensors = {sensor.name: sensor for sensor in one_class(discover(old, globs_overlap)).sensors}
    assert {name: sensor.kept for name, sensor in sensors.items()} == {"setpoint": False, "temp": True}
    assert "retained" in sensors["setpoint"].note


def test_a_sensor_that_comes_rarely_is_held_from_one_to_the_next_and_asked_about() -> None:
    """Twice in half a minute, 12 s apart: held for half as long again."""
    messages = [
        each
        for tank in (1, 2)
        for each in [
            *every_second(f"hall/tank-{tank}/temp", lambda n: str(20 + n % 3)),
            (f"hall/tank-{tank}/level", "70", 3000),
            (f"hall/tank-{tank}/level", "71", 15_000),
        ]
    ]
    findings = found_in(messages)
    assert (one_class(findings).period_ms, findings.hold_ms) == (1000, 18_000)
    assert "level came too rarely" in asked(findings)


def test_lists_in_a_reading_are_told() -> None:
    findings = found_in(
        every_second("a/p-1/d", lambda n: {"U": [230, n], "tags": [{"n": "t", "v": n}], "temp": n % 5})
    )
    assert aside(findings)["U, temp"] == "it stands beside the list of readings, tags"
    findings = found_in(
        every_second("a/p-1/d", lambda n: {"devices": [{"device": "p", "tags": [{"n": "t", "v": n}]}]})
    )
    assert findings.classes == ()


def test_a_name_that_cannot_be_an_assets_does_not_make_one_of_all() -> None:
    messages = every_second(
        "gw/list",
        lambda n: {
            "data": [{"device": name, "temp": 20 + n % 3, "ts": START + 1000 * n} for name in ("p1", "p2", "p/3")]
        },
    )
    findings = found_in(messages)
    assert [key.rpartition("/")[2] for key in one_class(findings).assets] == ["p1", "p2"]
    assert aside(findings)["device p/3"] == "it cannot be the name of an asset"


def test_the_tag_that_tells_most_apart_names_the_assets() -> None:
    line = "m,host=gw,machine=m{0} temp={1} {2}"
    messages = every_second(
        "tele/graf",
        lambda n: "\n".join(line.format(m, 20 + n % 3, (START + 1000 * n) * 1_000_000) for m in (1, 2)),
    )
    found = one_class(found_in(messages))
    assert (found.mapping.asset, [key.rpartition("/")[2] for key in found.assets]) == ("machine", ["m1", "m2"])


def test_fields_that_a_tag_tells_apart_are_no_sensors() -> None:
    """Two processors at one time under one name; the temperature beside them has one value a time."""
    stamp = "{0} {1}"
    messages = every_second(
        "tele/srv-1",
        lambda n: "\n".join(
            stamp.format(each, (START + 1000 * n) * 1_000_000)
            for each in (f"cpu,cpu=c0 use={n % 7}", f"cpu,cpu=c1 use={n % 5}", f"env temp={20 + n % 3}")
        ),
    )
    findings = found_in(messages)
    assert [sensor.name for sensor in one_class(findings).sensors] == ["temp"]
    assert "the tag cpu has several values (c0, c1)" in asked(findings)


def test_null_is_a_value_that_is_missing() -> None:
    findings = found_in(
        [
            each
            for name in ("p-1", "p-2")
            for each in every_second(f"a/{name}/temp", lambda n: "null" if n % 2 else str(20 + n % 3))
        ]
    )
    assert [sensor.name for sensor in one_class(findings).sensors] == ["temp"]


def test_counters_that_count_slowly() -> None:
    """By name where it has one; else it is asked about."""
    findings = found_in(
        every_second("a/p-1/d", lambda n: {"parts": 1002 + n // 10, "x": 7 + n // 10, "temp": n % 5})
    )
    sensors = {sensor.name: sensor for sensor in one_class(findings).sensors}
    assert {name: sensor.kept for name, sensor in sensors.items()} == {"parts": False, "x": True, "temp": True}
    assert "x grew all the time (7 to 9)" in asked(findings)


def test_a_flow_called_q_is_no_quality_code() -> None:
    findings = found_in(every_second("a/p-1/d", lambda n: {"q": 3.1 + n % 3, "p": 4.2 + n % 4}))
    assert [sensor.name for sensor in one_class(findings).sensors] == ["q", "p"]
    findings = found_in(every_second("a/p-1/d", lambda n: {"q": 192, "p": 4.2 + n % 4}))
    assert [sensor.name for sensor in one_class(findings).sensors] == ["p"]


def test_assets_that_all_differ_are_a_few_questions() -> None:
    """Forty assets, each with four of the five sensors."""
    names = "abcde"
    messages = [
        (f"hall/p{number}/data", {f"s_{name}": n % 5 for name in names if name != names[number % 5]}, 1000 * n)
        for number in range(40)
        for n in range(10)
    ]
    findings = found_in(messages)
    assert sum("lack" in question.text for question in findings.questions) <= 6


def test_numbers_that_are_no_sensors_are_ignored_by_the_daemon_too() -> None:
    """Where the whole payload is the object of values, a sequence number in it would be an unknown sensor."""
    flat = one_class(
        found_in(every_second("a/p-1/d", lambda n: {"ts": START + 1000 * n, "seq": n, "temp": n % 5}))
    )
    assert flat.ignored == ("seq",)
    held = every_second(
        "a/p-1/d", lambda n: {"ts": START + 1000 * n, "seq": n, "values": {"temp": n % 5, "w": 1.0}}
    )
    assert one_class(found_in([(topic, payload | {"k": 1}, at) for topic, payload, at in held])).ignored == ()
