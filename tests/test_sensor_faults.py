"""A sensor fault is not an engine fault: the whole line at the settings that ship, over an honest model."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from config.classes import ResolvedClass
from config.settings import ClassSettings, Settings
from monitor import alert
from monitor.assemble import line_spec
from monitor.incident import incident_id
from monitor.records import Change, Float32, Outcome, Status
from monitor.roll import roll
from monitor.roughness import RoughnessConfig
from tests.line_samples import HASH, START, Line, asked, spec_of, telemetry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from monitor.records import AlertEvent
    from monitor.spec import ClassSpec

KEY = "plant//a"
# Every sensor follows the load: gain, offset, unit, lowest, highest, seconds of stillness that make it stuck.
LAW = {
    "load": (1.0, 0.0, "%", 0.0, 100.0, 20.0),
    "speed": (30.0, 600.0, "rpm", 0.0, 9000.0, 20.0),
    "oil_pressure": (4.0, 100.0, "kPa", 0.0, 1000.0, 20.0),
    "heat": (0.5, 60.0, "°C", -40.0, 215.0, 20.0),
}
GAIN, OFFSET = (np.array([law[n] for law in LAW.values()], np.float32) for n in range(2))
TOLERANCE = 2.0  # of load, which all values are put down to


class Chorus:
    """A model that knows what load each sensor speaks of, and scores by how far it is from the median of all.

    It looks at the mean of the last five ticks and at what it is shown: a sensor that is missing in half of the
    window has no say.
    """

    window = 20
    level_rows = 0
    memory = 0
    lasting = None

    def score(
        self, values: Float32, level: tuple[Float32, Float32] | None = None
    ) -> tuple[Float32, Float32, Float32]:
        """As `monitor.records.Model` asks."""
        del level
        load = (values - OFFSET) / GAIN  # (B, T, C)
        load[np.broadcast_to(np.isnan(load).mean(axis=1, keepdims=True) > 0.5, load.shape)] = np.nan
        there = np.ma.masked_invalid(load)
        middle = np.ma.median(there, axis=2, keepdims=True)  # type: ignore[no-untyped-call]  # (B, T, 1)
        middle = middle.filled(np.nan)
        distance = np.where(np.isnan(load), 0, load - middle)[:, -5:].mean(axis=1)  # (B, C)
        contribution = np.where(np.isnan(load).all(axis=1), np.nan, np.abs(distance) / TOLERANCE)
        expected = middle[:, -1] * GAIN + OFFSET
        return (
            contribution.astype(np.float32),
            expected.astype(np.float32),
            np.nanmax(contribution, axis=1).astype(np.float32),
        )


def engine(*, stuck_s: float | None = 20.0, settings: Settings | None = None) -> ClassSpec:
    """A class with the sensors of `Chorus`; everything else stands at its default."""
    resolved = ResolvedClass(
        settings=ClassSettings(name="engines"),
        name="engines",
        sensors=tuple(LAW),
        units=tuple(law[2] for law in LAW.values()),
        lowest=tuple(law[3] for law in LAW.values()),
        highest=tuple(law[4] for law in LAW.values()),
        stuck_s=(stuck_s,) * len(LAW),
        period_ms=1000,
        lateness_ms=2000,
        one_reading_per_tick=True,
        model_name="chorus",
        model_hash=HASH,
        window=Chorus.window,
    )
    return line_spec(settings or Settings(), [resolved]).classes[0]


def line_of(spec: ClassSpec | None = None) -> Line:
    return Line(spec or engine(), models={HASH: Chorus()}).listen()


def healthy(second: int) -> dict[str, float]:
    """What a working engine reports: a load that goes up and down, and a little noise on each sensor of it."""
    load = 50 + 20 * math.sin(second / 10)
    noise = np.random.default_rng(second).normal(0, 0.2, len(LAW)).tolist()
    return {
        name: gain * (load + each) + offset
        for (name, (gain, offset, *_)), each in zip(LAW.items(), noise, strict=True)
    }


def run(
    line: Line, first: int, last: int, change: Callable[[int], Mapping[str, float | None]] = lambda _: {}
) -> None:
    """Seconds `first` to `last` of the engine, with what a fault makes of its values (None = not reported)."""
    for second in range(first, last):
        values = {**healthy(second), **change(second)}
        there = {name: value for name, value in values.items() if value is not None}
        line.send(1000 * second, telemetry("a", 1000 * second, there))


def told(line: Line) -> list[tuple[str, str, str]]:
    """What was said: (kind, sensor, transition)."""
    return [(event.kind, event.sensor, str(event.transition)) for event in line.events]


def seconds(event: AlertEvent) -> tuple[int, int]:
    """When an incident started, and when this happened to it, after START."""
    return (event.started - START) // 1000, (event.time - START) // 1000


def cells(line: Line, name: str) -> Float32:
    """A column of all score rows (B, C)."""
    return np.concatenate([getattr(batch.rows, name) for batch in line.batches])


def test_a_stuck_sensor_is_told_as_such_and_is_no_anomaly() -> None:
    """Its last value came in second 100: 4 more make it suspect, 20 stuck. It moves again from 200 on."""
    line = line_of()
    run(line, 0, 101)
    run(line, 101, 200, lambda _: {"heat": healthy(100)["heat"]})
    run(line, 200, 300)
    assert told(line) == [("sensor_stuck", "heat", "fired"), ("sensor_stuck", "heat", "cleared")]
    fired, cleared = line.events
    assert seconds(fired) == (101, 120)
    assert seconds(cleared) == (101, 209)
    assert fired.summary == f"heat stuck at {np.float32(healthy(100)['heat']):.6g} °C for 20 s"
    assert fired.incident_id == incident_id(KEY, "sensor_stuck", "heat", START + 101_000) == cleared.incident_id
    assert (fired.severity, fired.score, fired.threshold) == ("warning", None, None)


def test_a_noisy_sensor_is_found_out_and_the_anomaly_it_raised_settles() -> None:
    """A deviation of twelve degrees from second 100 to 160; the model takes it for the engine's at first."""
    spec = engine()
    assert spec.sensor_check is not None
    none = (None,) * len(LAW)
    limits = RoughnessConfig(none, none, (None, None, None, 1.0), none)
    line = line_of(replace(spec, sensor_check=replace(spec.sensor_check, rough=limits)))
    random = np.random.default_rng(1)
    rough = {second: healthy(second)["heat"] + random.normal(0, 12) for second in range(100, 160)}
    run(line, 0, 100)
    run(line, 100, 160, lambda second: {"heat": rough[second]})
    run(line, 160, 250)
    assert sorted(told(line)) == [
        ("anomaly", "", "cleared"),
        ("anomaly", "", "fired"),
        ("sensor_noise", "heat", "cleared"),
        ("sensor_noise", "heat", "fired"),
    ]
    fired, cleared = (event for event in line.events if event.sensor == "heat")
    assert fired.summary.startswith("heat is noisy: values stand out by ")
    contribution = cells(line, "contribution")[:, list(LAW).index("heat")]
    assert np.isnan(contribution[seconds(fired)[1] : seconds(cleared)[1]]).all()
    assert not np.isnan(contribution[seconds(cleared)[1] :]).any()


def test_without_the_check_the_same_fault_passes_for_the_engines() -> None:
    """So it is the check that tells them apart, not a model that is blind to it."""
    line = line_of(engine(settings=Settings.model_validate({"sensor_check": {"enabled": False}})))
    run(line, 0, 101)
    run(line, 101, 200, lambda _: {"heat": healthy(100)["heat"]})
    assert told(line) == [("anomaly", "", "fired")]
    assert line.events[0].top[0].sensor == "heat"


def test_what_a_faulty_sensor_reports_is_kept_and_it_contributes_nothing() -> None:
    """From the suspicion to the end, in every row; the others go on being scored, and every value is in a row."""
    line = line_of()
    run(line, 0, 101)
    run(line, 101, 200, lambda _: {"heat": healthy(100)["heat"]})
    heat = list(LAW).index("heat")
    line.wait(300_000)
    actual, contribution = cells(line, "actual"), cells(line, "contribution")
    assert actual[101:, heat].tolist() == [np.float32(healthy(100)["heat"])] * 99
    assert np.isnan(contribution[104:, heat]).all()
    assert not np.isnan(contribution[19:104, heat]).any()
    assert not np.isnan(np.delete(contribution, heat, axis=1)[19:]).any()
    assert set(cells(line, "status")[19:].tolist()) == {Status.SCORED}
    assert np.count_nonzero(~np.isnan(actual)) == line.state.outcomes[Outcome.IN_ROW] == 200 * len(LAW)


def test_a_wrong_suspicion_loses_nothing() -> None:
    """Still for 8 seconds, of which it is withheld for five; then all of its window is there again."""
    line = line_of()
    run(line, 0, 101)
    run(line, 101, 109, lambda _: {"heat": healthy(100)["heat"]})
    run(line, 109, 130)
    assert told(line) == []
    heat = list(LAW).index("heat")
    missing = np.isnan(cells(line, "contribution")[19:, heat])
    assert (np.flatnonzero(missing) + 19).tolist() == list(range(104, 109))
    assert not np.isnan(line.state.classes[0].window.ring[0]).any()


def test_an_engine_fault_beside_a_sensor_fault_is_still_found() -> None:
    line = line_of()
    run(line, 0, 101)
    run(line, 101, 150, lambda _: {"heat": 85.0})
    run(line, 150, 200, lambda second: {"heat": 85.0, "oil_pressure": healthy(second)["oil_pressure"] - 60})
    assert told(line) == [("sensor_stuck", "heat", "fired"), ("anomaly", "", "fired")]
    assert line.events[1].top[0].sensor == "oil_pressure"


def test_an_anomaly_that_a_sensor_raised_settles_when_the_sensor_is_found_out() -> None:
    """It tells a wrong value before it stands still; the anomaly clears, and the threshold learns again."""
    line = line_of()
    run(line, 0, 101)
    run(line, 101, 120, lambda second: {"heat": healthy(second)["heat"] + 20})
    run(line, 120, 200, lambda _: {"heat": 150.0})
    assert told(line) == [
        ("anomaly", "", "fired"),
        ("sensor_stuck", "heat", "fired"),
        ("anomaly", "", "cleared"),
    ]
    state = line.state.classes[0]
    assert alert.frozen(state.alert, np.array([0], np.int32)).tolist() == [False]


def test_a_value_out_of_range_is_no_incident_of_any_kind_and_is_kept() -> None:
    line = line_of()
    run(line, 0, 100)
    run(line, 100, 102, lambda _: {"oil_pressure": 60_000.0})
    run(line, 102, 150)
    assert told(line) == []
    assert max(score for _, _, score, _ in line.rows(KEY)[19:]) < 1
    assert cells(line, "actual")[100:102, list(LAW).index("oil_pressure")].tolist() == [60_000.0] * 2


def test_out_of_range_for_longer_is_an_incident_of_the_sensor() -> None:
    """Three seconds fire it, ten good ones clear it."""
    line = line_of()
    run(line, 0, 100)
    run(line, 100, 130, lambda second: {"oil_pressure": 1203.0 + second})
    run(line, 130, 160)
    assert told(line) == [("sensor_range", "oil_pressure", "fired"), ("sensor_range", "oil_pressure", "cleared")]
    assert [seconds(event) for event in line.events] == [(100, 102), (100, 139)]
    assert line.events[0].summary == "oil pressure 1305 kPa, outside 0 to 1000 kPa"


def test_a_sensor_that_drops_out_is_an_incident_of_the_sensor() -> None:
    line = line_of()
    run(line, 0, 100)
    run(line, 100, 130, lambda _: {"speed": None})
    run(line, 130, 160)
    line.wait(200_000)
    assert told(line)[:2] == [("sensor_dropout", "speed", "fired"), ("sensor_dropout", "speed", "cleared")]
    assert [seconds(event) for event in line.events[:2]] == [(100, 109), (100, 139)]
    assert line.events[0].summary == "speed has not been reported for 10 s"


def test_a_sensor_that_never_reported_is_named_until_it_does() -> None:
    """It may not be there at all, so it is no fault; who asks each second is not told."""
    line = line_of()
    run(line, 0, 25, lambda _: {"heat": None})
    [found] = roll(line.state, START)
    assert found["never"] == ["heat"]
    run(line, 25, 40)
    [found] = roll(line.state, START)
    assert (found["never"], told(line)) == ([], [])
    assert "never" not in roll(line.state, START, fits=False)[0]


def test_an_engine_that_stands_has_no_faults() -> None:
    """All its sensors stand still for ten times as long as would make one of them stuck."""
    line = line_of()
    run(line, 0, 100)
    run(line, 100, 300, lambda _: healthy(100))
    run(line, 300, 330)
    assert told(line) == []


def test_an_asset_that_falls_silent_is_stale_and_none_of_its_sensors_is_at_fault() -> None:
    """Nor when it comes back with one reading that lacks a sensor; a fault that was open stays open meanwhile."""
    line = line_of()
    run(line, 0, 100)
    run(line, 100, 115, lambda _: {"speed": None})
    line.wait(500_000)
    run(line, 500, 501, lambda _: {"speed": None, "heat": None})
    run(line, 501, 503)
    assert told(line) == [
        ("sensor_dropout", "speed", "fired"),
        ("stale", "", "fired"),
        ("stale", "", "cleared"),
    ]


def test_operators_have_a_word_on_sensor_incidents() -> None:
    """They are acknowledged and shelved by id or by asset, and clear by themselves; accept is for anomalies."""
    line = line_of()
    run(line, 0, 100)
    run(line, 100, 110, lambda second: {"oil_pressure": 1203.0 + second})
    (fired,) = line.events
    (shelved,) = line.take(110_000, asked("shelve", 1, asset=KEY, until=START + 10**6)).events
    (acknowledged,) = line.take(110_001, asked("acknowledge", 2, incident=fired.incident_id, asset=KEY)).events
    for event in (shelved, acknowledged):
        assert (event.incident_id, event.kind, event.sensor) == (fired.incident_id, fired.kind, "oil_pressure")
    assert shelved.until == START + 10**6
    assert line.take(110_002, asked("accept", 3, asset=KEY)).events == []
    said = asked("comment", 4, incident=fired.incident_id, asset=KEY, why="ordered", kind=fired.kind, sensor="x")
    assert line.take(110_003, said).events[0].sensor == "x"
    run(line, 111, 130)
    assert told(line)[-1] == ("sensor_range", "oil_pressure", "cleared")


@pytest.mark.parametrize("changed", ["limits", "switched off", "sensors"])
def test_under_other_limits_open_incidents_of_sensors_end(changed: str) -> None:
    """With a clear, and the anomaly that was open with them stays; what is still wrong is found anew."""
    spec = engine()
    line = line_of(spec)
    run(line, 0, 100)
    run(line, 100, 130, lambda second: {"oil_pressure": 1203.0 + second, "heat": None, "speed": 0.0})
    fired = {event[:2] for event in told(line)}
    assert fired == {("sensor_range", "oil_pressure"), ("sensor_dropout", "heat"), ("sensor_stuck", "speed")}
    before = len(line.events)
    other = {
        "limits": engine(stuck_s=30.0),
        "switched off": replace(spec, sensor_check=None),
        "sensors": replace(spec, route=replace(spec.route, sensors=("load", "speed", "oil_pressure", "cold"))),
    }[changed]
    line.take(130_000, Change(line=spec_of(other)))
    assert {event[2] for event in told(line)[before:]} == {"cleared"}
    assert {event[:2] for event in told(line)[before:]} == fired
    assert {event.summary for event in line.events[before:]} == {"no longer watched, or under other limits"}
    before = len(line.events)
    if changed == "limits":
        run(line, 130, 135, lambda second: {"oil_pressure": 1203.0 + second})
        assert told(line)[before:] == [("sensor_range", "oil_pressure", "fired")]


def test_other_settings_leave_sensor_incidents_open() -> None:
    spec = engine()
    line = line_of(spec)
    run(line, 0, 100)
    run(line, 100, 110, lambda second: {"oil_pressure": 1203.0 + second})
    longer = replace(spec, window=replace(spec.window, length=25), align=replace(spec.align, gap_ticks=25))
    line.take(110_000, Change(line=spec_of(longer)))
    run(line, 110, 130)
    assert told(line) == [("sensor_range", "oil_pressure", "fired"), ("sensor_range", "oil_pressure", "cleared")]


def test_a_class_that_is_taken_away_clears_its_sensors_too() -> None:
    line = line_of()
    run(line, 0, 100)
    run(line, 100, 110, lambda second: {"oil_pressure": 1203.0 + second})
    line.take(110_000, Change(line=spec_of()))
    assert told(line)[-1] == ("sensor_range", "oil_pressure", "cleared")
    assert line.events[-1].summary == "no longer watched"
