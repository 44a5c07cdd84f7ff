"""The line with the shipped model: what the network carries on changes what is found in nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from config.classes import resolve_classes
from config.load import load
from models.pretrained import folder
from models.runtime import load_model
from monitor.assemble import line_spec
from monitor.commands.judged_line import Outcome, through
from monitor.decode import encode_telemetry
from monitor.pipeline import step
from monitor.records import Batch, Change, Message, Record, Status
from monitor.state import LineState
from simulator.faults import Fault
from simulator.fleet import Fleet
from simulator.recording import Recording
from simulator.records import SENSORS

if TYPE_CHECKING:
    from pathlib import Path

    from monitor.records import Float64
    from monitor.spec import LineSpec

BEGINNING = 1_700_000_040_000
ENGINES, MINUTES = 4, 8
FAULT = Fault(1, "misfire", "severe", start_ms=4 * 60_000)


def recordings() -> list[Recording]:
    """A mixed fleet at 2 Hz; the second engine misfires after half of the time, and a sensor of another pauses."""
    block = Fleet(ENGINES, seed=11, faults=[FAULT]).block(MINUTES * 120)
    values = block.values.astype(np.float32)  # (T, N, C)
    values[300:340, 3, 4] = np.nan
    return [
        Recording(f"engine-{number}", tuple(SENSORS), block.time, values[:, number]) for number in range(ENGINES)
    ]


def spec(tmp_path: Path) -> LineSpec:
    """At the settings that ship."""
    settings = tmp_path / "enginewatch.toml"
    settings.write_text('[[classes]]\nname = "engine"\nmodel = "pretrained:engine"\n', encoding="utf-8")
    loaded = load(settings, environment={})
    return line_spec(loaded.settings, resolve_classes(loaded))


def test_what_is_found_is_what_whole_windows_find(tmp_path: Path) -> None:
    """The same rows are scored, nearly the same, and the same incidents fire, within two seconds."""
    carrying = spec(tmp_path)
    (one,) = carrying.classes
    assert one.carry is not None
    whole = replace(carrying, classes=(replace(one, carry=None, window=replace(one.window, judged=0)),))
    models = {one.model_hash: load_model(folder("engine"))}
    ours, theirs = (through(recordings(), each, models) for each in (carrying, whole))
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(mine.rows.status, other.rows.status)
        scored = mine.rows.status == Status.SCORED
        apart = np.abs(mine.rows.score - other.rows.score)[scored] / np.maximum(other.rows.score[scored], 0.05)
        assert scored.sum() > MINUTES * 100
        assert np.median(apart) < 0.01
        assert np.quantile(apart, 0.99) < 0.1
        assert told(mine) == told(other)
    assert any(kind == "anomaly" for kind, _, _ in told(ours[1]))


def test_without_its_model_for_a_while_nothing_is_carried_over_that(tmp_path: Path) -> None:
    """A model that cannot be used for some ticks, and then can, sees the windows as wholes again."""
    given = spec(tmp_path)
    model = load_model(folder("engine"))
    (one,) = given.classes
    state = LineState.empty(given)
    block = Fleet(2, seed=5).block(90)
    step(state, Record(1, BEGINNING, Change(listening=True)), {})
    known = []
    for tick in range(90):
        sent = [reading(BEGINNING + 500 * tick, number, block.values[tick, number]) for number in range(2)]
        there = {} if 70 <= tick < 75 else {one.model_hash: model}
        step(state, Record(tick + 2, sent[0].arrival, Batch(sent)), there)
        known.append(state.classes[0].carry.known[:2].tolist())
    assert known[69] == known[89] == [True, True]
    assert known[74] == [False, False]


def reading(time: int, number: int, values: Float64) -> Message:
    topic = f"enginewatch/v1/plant/engine-{number}/telemetry".encode()
    payload = encode_telemetry(time=time, boot="b", seq=0, values=dict(zip(SENSORS, values.tolist(), strict=True)))
    return Message(topic, payload, time, len(payload))


def told(outcome: Outcome) -> list[tuple[str, str, int]]:
    """Kind, sensor and beginning of each incident, to two seconds."""
    return [(each.kind, each.sensor, round(each.fired / 4)) for each in outcome.incidents]
