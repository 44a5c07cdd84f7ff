"""monitor.rescored: what the store holds, through the line once more, is what the daemon made of the readings."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor import rescored
from monitor.records import Batch, Clock, Status
from monitor.spec import LineSpec
from tests.line_samples import HASH, MODELS, ROOT, Balance, Line, journals, pump, quick, shipped, telemetry

if TYPE_CHECKING:
    from monitor.records import AlertEvent, Payload, StoredScores
    from monitor.spec import ClassSpec

ANOMALY = "anomaly"


def header(name: str = "balance", model_hash: str = HASH, window: int = 5) -> Any:
    """As much of a model's header as is asked for."""
    return SimpleNamespace(
        name=name, hash=model_hash, window=window, still=SimpleNamespace(stuck=(None, None), moved_within=1)
    )


def again(spec: ClassSpec, batches: list[StoredScores], at_once: int) -> Line:
    """A second line that gets the rows of the first, so many batches at once."""
    line = Line(spec)
    line.state = rescored.beginning(rescored.described(LineSpec(ROOT, 100, (spec,)), spec.name, header()))
    for start in range(0, len(batches), at_once):
        line.results.append(rescored.take(line.state, batches[start : start + at_once], MODELS))
    return line


def rows(batches: list[StoredScores]) -> dict[tuple[str, int], tuple[float, ...]]:
    """What is scored, by stream and time: score, threshold, and the expectations."""
    return {
        (name, int(batch.time[row])): (
            float(batch.rows.score[row]), float(batch.rows.threshold[row]), *batch.rows.expected[row].tolist()
        )
        for batch in batches
        for row, name in enumerate(batch.streams)
        if batch.rows.status[row] == Status.SCORED
    }  # fmt: skip


def told(events: list[AlertEvent]) -> list[tuple[str, str, str, int, int]]:
    """What was said of the machines, by event time."""
    return sorted(
        (event.stream, event.incident_id, str(event.transition), event.started, event.time)
        for event in events
        if event.kind == ANOMALY
    )


@settings(max_examples=25)
@given(journals(), st.sampled_from([1, 3, 1000]))
def test_the_same_model_scores_the_stored_rows_as_it_scored_the_readings(
    journal: list[tuple[int, Payload]], at_once: int
) -> None:
    """Late, repeated and missing readings and silences included; however many at once."""
    spec = quick(shipped(), threshold=replace(quick(shipped()).threshold, min_rows=4))
    first = Line(spec).listen()
    for time, payload in journal:
        if isinstance(payload, Batch | Clock):
            first.take(time, payload)
    second = again(spec, first.batches, at_once)
    np.testing.assert_equal(rows(second.batches), rows(first.batches))
    assert told(second.events) == told(first.events)


def test_it_goes_by_the_other_model_where_there_is_one() -> None:
    """A model that lets pass twice as much scores half as high, by a window of its own length."""
    spec = quick(shipped())
    first = Line(spec).listen()
    for second in range(40):
        first.send(second * 1000, telemetry("p0", second * 1000, pump(50 + second % 5, breach=3.0)))
    given_spec = rescored.described(LineSpec(ROOT, 100, (spec,)), "pumps", header("lax", "lax", 8))
    state = rescored.beginning(given_spec)
    found = rescored.take(state, first.batches, {"lax": Balance(4.0)}).scores
    before, after = rows(first.batches), rows(found)
    assert len(before) - len(after) == 3
    assert [score for score, *_ in after.values()] == pytest.approx([before[key][0] / 2 for key in after])
    assert {batch.model for batch in found} == {"lax"}


def test_another_class_and_ticks_that_were_not_stored() -> None:
    spec = shipped()
    other = Line(replace(spec, name="fans")).listen()
    for second in range(5):
        other.send(second * 1000, telemetry("f0", second * 1000, pump(50)))
    state = rescored.beginning(rescored.described(LineSpec(ROOT, 100, (spec,)), "pumps", header()))
    assert other.batches
    assert rescored.take(state, other.batches, MODELS).scores == []
    sparse = replace(spec, window=replace(spec.window, stride=5))
    with pytest.raises(
        ValueError, match=r"class pumps has window\.stride 5: the store has only one tick of so many"
    ):
        rescored.described(LineSpec(ROOT, 100, (sparse,)), "pumps", header())


def test_other_settings_leave_windows_and_incidents_as_they_are() -> None:
    """A stricter floor from now on: the window that is full scores on."""
    spec = quick(shipped())
    first = Line(spec).listen()
    for second in range(20):
        first.send(second * 1000, telemetry("p0", second * 1000, pump(50, breach=3.0)))
    line = LineSpec(ROOT, 100, (spec,))
    state = rescored.beginning(rescored.described(line, "pumps", header()))
    half = len(first.batches) // 2
    rescored.take(state, first.batches[:half], MODELS)
    strict = replace(spec, threshold=replace(spec.threshold, floor=5.0))
    now = rescored.described(LineSpec(ROOT, 100, (strict,)), "pumps", header())
    assert rescored.redescribed(state, now, MODELS).scores == []
    found = rescored.take(state, first.batches[half:], MODELS).scores
    assert {float(by) for batch in found for by in batch.rows.threshold} == {5.0}
    assert {int(status) for batch in found for status in batch.rows.status} == {Status.SCORED}
