"""Discovery of Sparkplug B: devices are assets, births name what data has as aliases."""

from __future__ import annotations

import json

import pytest

from config.overlap import globs_overlap
from monitor.commands.births import decoder
from monitor.discovery.discover import discover
from monitor.discovery.sparkplug import Metric
from monitor.payloads import sparkplug_schema as schema
from tests.discovered import START, asked, captured, one_class


def plain_decode(payload: bytes) -> list[Metric] | None:
    """Metrics as JSON lists, in place of protobuf."""
    try:
        return [Metric(*each) for each in json.loads(payload)]
    except ValueError:
        return None


def messages() -> list[tuple[str, object, int]]:
    """A birth of each of two devices, then data by alias; an edge node of its own, and a host."""
    found: list[tuple[str, object, int]] = [
        ("spBv1.0/STATE/host", "{}", 0),
        ("spBv1.0/plant/NBIRTH/edge", "[]", 0),
    ]
    for number, device in enumerate(("pump-1", "pump-2")):
        birth = [
            ["Temp_C", 2 * number, START, 60.5],
            ["Flow", 2 * number + 1, START, 30],
            ["Running", 9, START, True],
            ["Device Control/Reboot", None, START, False],
        ]
        found.append((f"spBv1.0/plant/DBIRTH/edge/{device}", birth, 0))
        for n in range(1, 20):
            data = [
                ["", 2 * number, START + 1000 * n, 60 + n % 3],
                ["", 2 * number + 1, START + 1000 * n, 30 + n % 4],
            ]
            found.append((f"spBv1.0/plant/DDATA/edge/{device}", data, 1000 * n))
    return found


def test_births_name_what_data_has_as_aliases() -> None:
    findings = discover(captured(messages()), globs_overlap, plain_decode)
    found = one_class(findings)
    assert found.topics == ("spBv1.0/{site}/DDATA/{area}/{asset}",)
    assert found.assets == ("plant/edge/pump-1", "plant/edge/pump-2")
    assert (found.name, found.mapping.payload, found.period_ms) == ("pump", "sparkplug", 1000)
    assert [(sensor.name, sensor.published, sensor.unit) for sensor in found.sensors] == [
        ("temp_c", "Temp_C", "°C"),
        ("flow", "Flow", ""),
    ]
    assert all(sensor.lowest >= 30 for sensor in found.sensors)


@pytest.mark.parametrize("births", [True, False])
def test_without_a_birth_or_a_decoder_a_rebirth_is_asked_for(births: bool) -> None:
    heard = [each for each in messages() if births or "BIRTH" not in each[0]]
    findings = discover(captured(heard), globs_overlap, None if births else plain_decode)
    assert findings.classes == ()
    assert "rebirth" in asked(findings)


def test_junk_under_its_namespace_harms_nothing() -> None:
    junk: list[tuple[str, object, int]] = [("spBv1.0/x", b"1", 0), ("spBv1.0/plant/DDATA/edge/p", b"\xff", 0)]
    assert discover(captured(junk), globs_overlap, plain_decode).classes == ()


def test_the_real_decoder_reads_a_birth() -> None:
    """A payload that the daemon's own encoder made."""
    metric = schema.Metric("Temp", 3, START, schema.INT32, -5, null=False)
    decode = decoder()
    assert decode is not None
    assert decode(schema.encode_payload(START, 0, [metric])) == [Metric("Temp", 3, START, -5)]
    assert decode(b"\xff\xff") is None
