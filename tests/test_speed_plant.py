"""benchmarks.speed: the messages that the whole daemon is measured with are what their figures say."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.speed import many
from benchmarks.speed.latency import EVERY, SENSOR, TICKS, WRONG, with_faults
from benchmarks.speed.plant import Plant
from monitor import checkpoint
from monitor.state import STAGES
from tests.line_samples import Line, pump, shipped, telemetry

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_list_holds_the_readings_that_would_be_messages() -> None:
    """Of one engine, tick after tick; and the plant goes on where it was."""
    single, lists = Plant(2), Plant(2)
    for _ in range(2):
        one_by_one = single.messages(6)[::2]  # of the first engine
        three = lists.messages(6, in_one=3)[::2]
        assert {each.topic for each in one_by_one} == {each.topic for each in three}
        readings = [json.loads(each.payload) for each in one_by_one]
        assert [json.loads(each.payload) for each in three] == [readings[:3], readings[3:]]


def test_each_wrong_reading_and_the_good_one_behind_it_complete_a_transition() -> None:
    """And all of them within the ticks of a pair; one reading in twenty is wrong."""
    engines = 20
    readings, awaited = with_faults(Plant(engines))
    payloads = [json.loads(each.payload) for each in readings.values()]
    wrong = np.array([each["values"][SENSOR] == WRONG for each in payloads]).reshape(TICKS, engines)
    behind = np.roll(wrong, 1, axis=0)
    assert not wrong[[0, -1]].any()
    assert not (wrong & behind).any()
    assert wrong.sum() * EVERY == (TICKS - 2) * engines
    keys = np.array([key in awaited for key in readings]).reshape(TICKS, engines)
    assert (keys == (wrong | behind)).all()


def test_twins_have_all_that_a_stream_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line(shipped()).listen()
    for second in range(70):
        line.send(second * 1000, *(telemetry(f"p{n}", second * 1000, pump(50 + n)) for n in range(2)))
    checkpoint.save(tmp_path, line.position, line.state)
    monkeypatch.setattr(many, "ENGINES", 2)
    monkeypatch.setattr(many, "STREAMS", 6)
    many.multiply(tmp_path)
    (path,) = checkpoint.saved(tmp_path)
    (each,) = checkpoint.load(path).state.classes
    assert each.keys == [f"plant//twin-0000{n}" for n in range(6)]
    for stage in STAGES:
        part = getattr(each, stage)
        for f in fields(part):
            values = getattr(part, f.name)[:6]
            assert values.tobytes() == np.concatenate([values[:2]] * 3).tobytes()
    assert each.align.next_tick[0] == line.state.classes[0].align.next_tick[0]
