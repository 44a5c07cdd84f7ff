"""Assets that another class takes: what waits has its row, incidents end with the reason, the rest goes on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest
from structlog.testing import capture_logs

from monitor.records import Batch, Change, Move, Outcome
from tests.line_house import House
from tests.line_samples import Line, pump, quick, shipped, spec_of, telemetry

if TYPE_CHECKING:
    from pathlib import Path

    from monitor.spec import ClassSpec

A, B = "plant//a", "plant//b"


def named(name: str, assets: str = "*") -> ClassSpec:
    return replace(quick(shipped(name, assets=assets)), limits=None)


def running(line: Line, first: int, count: int, *, breach: str = "") -> None:
    """So many seconds of both pumps, one of which may breach the law."""
    for second in range(first, first + count):
        messages = [
            telemetry(each, 1000 * second, pump(50 + second % 7, breach=10.0 * (each == breach))) for each in "ab"
        ]
        line.send(1000 * second, *messages)


def test_an_asset_that_another_class_takes_begins_anew_there() -> None:
    """Its incident ends with the reason; the other asset's rows are those of a line that was left as it was."""
    line, other = (Line(named("pumps")).listen() for _ in range(2))
    for each in (line, other):
        running(each, 0, 10, breach="a")
    assert line.told() == [(A, "anomaly", "fired")]
    change = Change(line=spec_of(named("worn", A), named("pumps")))
    result = line.take(9_500, change)
    assert result.moves == [Move(A, "pumps", "worn")]
    ended = line.events[-1]
    assert (ended.stream, ended.transition, ended.summary) == (
        A, "cleared", "no longer watched in class pumps: it belongs to worn",
    )  # fmt: skip
    assert [each.keys for each in line.state.classes] == [[], [B]]
    for each in (line, other):
        running(each, 10, 10)
    assert np.array_equal(line.rows(B), other.rows(B), equal_nan=True)
    scores = {time: score for time, _, score, _ in line.rows(A)}
    assert [np.isnan(scores[time]) for time in (9, 10, 13, 14, 19)] == [False, True, True, False, False]
    assert line.state.outcomes[Outcome.IN_ROW] + line.state.waiting_values() == 2 * 2 * 20
    assert line.take(20_000, change).moves == [], "nothing is left to move"


@pytest.mark.parametrize("hold_ms", [0, 500])
def test_an_override_of_a_class_lets_its_assets_go_on(hold_ms: int) -> None:
    """With another floor: the window and the open incident stay. With other ticks only the window fills anew."""
    line, other = (Line(named("pumps")).listen() for _ in range(2))
    for each in (line, other):
        running(each, 0, 10, breach="a")
    special = replace(named("pumps", A), name="pumps/special")
    special = replace(special, threshold=replace(special.threshold, floor=4.0))
    special = replace(special, align=replace(special.align, hold_ms=hold_ms))
    result = line.take(9_500, Change(line=spec_of(special, named("pumps"))))
    assert result.moves == [Move(A, "pumps", "pumps/special", kept=True)]
    assert [each.keys for each in line.state.classes] == [[A], [B]]
    for each in (line, other):
        running(each, 10, 10, breach="a")
    assert line.told() == other.told() == [(A, "anomaly", "fired")]
    assert np.array_equal(line.rows(B), other.rows(B), equal_nan=True)
    found, wanted = ([row[2] for row in each.rows(A)] for each in (line, other))
    fills = range(10, 14) if hold_ms else ()
    assert [np.isnan(score) for score in found] == [second < 4 or second in fills for second in range(20)]
    assert all(one == two for one, two in zip(found, wanted, strict=True) if not np.isnan(one))
    assert {row[3] for row in line.rows(A)[14:]} == {4.0}
    back = line.take(20_000, Change(line=spec_of(named("pumps"))))
    assert back.moves == [Move(A, "pumps/special", "pumps", kept=True)]
    assert sorted(line.state.classes[0].keys) == [A, B]


def test_an_asset_that_no_class_takes_any_more_does_not_stay_behind() -> None:
    """Else it would be silent for ever."""
    line = Line(named("pumps")).listen()
    running(line, 0, 10)
    assert line.take(9_500, Change(line=spec_of(named("pumps", B)))).moves == [Move(A, "pumps", "")]
    assert line.state.streams() == 1
    for second in range(10, 100):
        line.send(1000 * second, telemetry("b", 1000 * second, pump(50)))
    assert line.told() == []


def test_a_class_that_is_gone_says_where_its_assets_went() -> None:
    line = Line(named("pumps")).listen()
    running(line, 0, 10)
    moves = line.take(9_500, Change(line=spec_of(named("fresh", A)))).moves
    assert moves == [Move(A, "pumps", "fresh"), Move(B, "pumps", "")]


def test_an_asset_that_is_heard_in_two_classes_is_told_once() -> None:
    """One device, another topic: both go on, and the operator says which has gone."""
    beside = named("beside")
    beside = replace(beside, route=replace(beside.route, topics=("beside/{site}/{asset}",)))
    line = Line(named("pumps"), beside).listen()
    message = telemetry("a", 0, pump(50))
    assert line.send(0, message).moves == []
    moved = msgspec.structs.replace(message, topic=b"beside/plant/a")
    assert line.send(100, moved).moves == [Move(A, "pumps", "beside", both=True)]
    assert line.send(200, moved).moves == []


def test_the_log_has_one_line_for_all_that_moved(tmp_path: Path) -> None:
    house = House(tmp_path / "state")
    pumps = house.spec.classes[0]
    house.take([(0, Change(listening=True, line=house.spec.encode()))])
    with capture_logs() as logs:
        worn = replace(pumps, name="worn", route=replace(pumps.route, assets=("plant//p*",)))
        messages = [telemetry(name, 0, pump(50)) for name in ("p0", "p1", "q")]
        house.take([(1, Batch(messages)), (2, Change(line=replace(house.spec, classes=(worn, pumps)).encode()))])
    told = [entry for entry in logs if entry["event"] == "assets_moved"]
    assert [(each["count"], each["first"], each["left"], each["taken"]) for each in told] == [
        (2, "plant//p0", pumps.name, "worn"),
    ]
    house.crash()
