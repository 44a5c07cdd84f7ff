"""Maintenance: while it lasts nothing fires, clears or is learned; what is wrong afterwards fires then."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from monitor import checkpoint
from monitor.limits import LimitsConfig
from monitor.records import Status
from tests.line_samples import START, Line, asked, pump, quick, shipped, telemetry

KEY = "plant//a"


def running(line: Line, first: int, count: int, *, breach: float = 0.0, load: float = 0.0) -> None:
    """So many seconds of one pump, a message each; the load moves unless it is given."""
    for second in range(first, first + count):
        values = pump(load or 50 + second % 7, breach=breach)
        line.send(1000 * second, telemetry("a", 1000 * second, values))


def maintain(line: Line, at: int, until: int, *, since: int | None = None, number: int = 1) -> str:
    """Order it, in seconds after START; returns the reply."""
    begins = None if since is None else START + 1000 * since
    order = asked("maintenance", number, asset=KEY, until=START + 1000 * until, since=begins)
    return line.take(1000 * at, order).reply


def test_an_anomaly_waits_for_its_end() -> None:
    """The breach begins and is scored while it lasts; it fires with the first row behind the end."""
    line = Line(quick(shipped())).listen()
    running(line, 0, 10)
    assert (
        maintain(line, 10, 30)
        == f"{KEY} is under maintenance from 2023-11-14 22:14:10 UTC until 2023-11-14 22:14:30 UTC"
    )
    running(line, 10, 20, breach=10.0)
    assert line.told() == []
    rows = line.rows(KEY)
    assert [time for time, *_ in rows] == list(range(len(rows)))
    assert {status for _, status, *_ in rows[4:]} == {Status.SCORED}
    assert max(score for *_, score, _ in rows[4:]) == 5.0
    running(line, 30, 3, breach=10.0)
    assert line.told() == [(KEY, "anomaly", "fired")]
    assert line.events[0].recorded >= START + 30_000
    assert line.state.plans == {}


def test_what_was_wrong_only_meanwhile_is_never_told() -> None:
    line = Line(quick(shipped())).listen()
    running(line, 0, 10)
    maintain(line, 10, 30)
    running(line, 10, 12, breach=10.0)
    running(line, 22, 20)
    assert line.told() == []


def test_an_open_incident_stays_as_it_is() -> None:
    """It neither clears while the machine is being mended nor is lost: it clears when the end has come."""
    line = Line(quick(shipped())).listen()
    running(line, 0, 10)
    running(line, 10, 5, breach=10.0)
    maintain(line, 15, 40)
    running(line, 15, 25)
    assert line.told() == [(KEY, "anomaly", "fired")]
    running(line, 40, 3)
    assert line.told() == [(KEY, "anomaly", "fired"), (KEY, "anomaly", "cleared")]
    assert line.events[1].recorded >= START + 40_000


def test_what_is_pending_begins_anew_behind_it() -> None:
    """A breach that was not told yet is no longer counted from before."""
    spec = shipped()
    spec = replace(quick(spec), alert=replace(quick(spec).alert, on_delay_ticks=8))
    line = Line(spec).listen()
    running(line, 0, 10)
    running(line, 10, 4, breach=10.0)
    maintain(line, 14, 20)
    running(line, 14, 12, breach=10.0)
    assert line.told() == []
    running(line, 26, 5, breach=10.0)
    assert line.told() == [(KEY, "anomaly", "fired")]


def test_the_threshold_does_not_learn() -> None:
    """Scores that would lift it leave it where it was."""
    spec = quick(shipped())

    def last_threshold(*, held: bool) -> float:
        line = Line(spec).listen()
        running(line, 0, 40, breach=0.4)
        if held:
            maintain(line, 40, 200)
        running(line, 40, 100, breach=1.6)
        return line.rows(KEY)[-1][3]

    before = Line(spec).listen()
    running(before, 0, 41, breach=0.4)
    assert last_threshold(held=True) == before.rows(KEY)[-1][3]
    assert last_threshold(held=False) > last_threshold(held=True)


def test_silence_waits_as_well() -> None:
    line = Line(quick(shipped())).listen()
    running(line, 0, 5)
    maintain(line, 5, 300)
    line.wait(299_000)
    assert line.told() == []
    line.wait(300_000)
    assert line.told() == [(KEY, "stale", "fired")]


@pytest.mark.parametrize("mended", [False, True])
def test_a_sensor_that_fails_meanwhile_fires_at_the_end_if_it_still_fails(mended: bool) -> None:
    """The sensor check says it once only, and may say it while nobody is to hear."""
    spec = quick(shipped())
    assert spec.sensor_check is not None
    check = replace(spec.sensor_check, highest=(100.0, None), range_ticks=2, clear_ticks=2)
    line = Line(replace(spec, sensor_check=check)).listen()
    running(line, 0, 5)
    maintain(line, 5, 30)
    running(line, 5, 10, load=200.0)
    running(line, 15, 15, load=0.0 if mended else 200.0)
    assert line.told() == []
    line.wait(31_000)
    fired = [(KEY, "sensor_range", "fired")]
    assert line.told() == ([] if mended else fired)
    assert [event.started for event in line.events] == ([] if mended else [START + 5000])
    running(line, 32, 5)
    assert line.told() == ([] if mended else [*fired, (KEY, "sensor_range", "cleared")])


def test_a_sensor_that_is_mended_meanwhile_clears_at_the_end() -> None:
    spec = quick(shipped())
    assert spec.sensor_check is not None
    check = replace(spec.sensor_check, highest=(100.0, None), range_ticks=2, clear_ticks=2)
    line = Line(replace(spec, sensor_check=check)).listen()
    running(line, 0, 5)
    running(line, 5, 5, load=200.0)
    maintain(line, 10, 30)
    running(line, 10, 20)
    assert line.told() == [(KEY, "sensor_range", "fired")]
    line.wait(30_000)
    assert line.told() == [(KEY, "sensor_range", "fired"), (KEY, "sensor_range", "cleared")]


def test_it_begins_when_it_is_planned_for_and_only_for_its_asset() -> None:
    line = Line(quick(shipped())).listen()
    for second in range(30):
        breach = 10.0 if second >= 8 else 0.0
        both = [telemetry(asset, 1000 * second, pump(50 + second % 7, breach=breach)) for asset in "ab"]
        line.send(1000 * second, *both)
        if second == 2:
            maintain(line, 2, 20, since=7)
            assert not line.state.plans[KEY].begun
    assert line.told()[0] == ("plant//b", "anomaly", "fired")
    fired = {event.stream: event.recorded for event in line.events}
    assert fired["plant//b"] < START + 12_000
    assert fired[KEY] >= START + 20_000


def test_others_may_come_while_it_lasts() -> None:
    """More than the first room holds; one that comes is watched, and the one under maintenance stays held back."""
    line = Line(quick(shipped())).listen()
    running(line, 0, 5)
    maintain(line, 5, 400)
    many = [f"n{number}" for number in range(40)]
    line.send(6000, *(telemetry(name, 6000, pump(50)) for name in many))
    line.wait(200_000)
    assert {stream for stream, *_ in line.told()} == {f"plant//{name}" for name in many}


def test_it_ends_when_it_is_ended_or_put_off() -> None:
    line = Line(quick(shipped())).listen()
    running(line, 0, 10)
    maintain(line, 10, 30)
    maintain(line, 11, 100, number=2)
    running(line, 11, 30, breach=10.0)
    assert line.told() == []
    assert line.take(41_000, asked("maintained", 3, asset=KEY)).reply == f"maintenance of {KEY} is over"
    running(line, 41, 2, breach=10.0)
    assert line.told() == [(KEY, "anomaly", "fired")]
    again = line.take(44_000, asked("maintained", 4, asset=KEY))
    assert (again.done, again.reply) == (False, f"nothing to end: no maintenance of {KEY} is planned")


def test_one_that_would_begin_later_is_refused_while_one_goes_on() -> None:
    """Else the asset would be held back until the end of the later one; the end alone can be moved."""
    line = Line(quick(shipped())).listen()
    running(line, 0, 10)
    maintain(line, 10, 30)
    running(line, 11, 2)
    later = asked("maintenance", 2, asset=KEY, since=START + 60_000, until=START + 90_000)
    result = line.take(13_000, later)
    assert not result.done
    assert result.reply.startswith(f"{KEY} is under maintenance until ")
    assert maintain(line, 14, 40, since=14, number=3) == maintain(line, 14, 40, number=4)
    plan = line.state.plans[KEY]
    assert (plan.since, plan.until) == (START + 10_000, START + 40_000)


def test_an_asset_that_nobody_heard_of() -> None:
    line = Line().listen()
    result = line.take(1000, asked("maintenance", asset="plant//x", until=START + 5000))
    assert (result.done, result.reply) == (False, "nothing to do: plant//x is not an asset that has been heard")


def test_it_survives_a_checkpoint_and_one_without_it_can_be_read() -> None:
    line = Line(quick(shipped())).listen()
    running(line, 0, 10)
    before = checkpoint.encode(1, line.state)
    assert checkpoint.decode(before).state.plans == {}
    maintain(line, 10, 30, since=10)
    running(line, 10, 2)
    again = checkpoint.decode(checkpoint.encode(2, line.state)).state
    assert again.plans == line.state.plans
    assert again.plans[KEY].begun


def stretches(line: Line) -> list[tuple[str, str, int, int]]:
    """What the ledger has told in the end: of whom, what, from when to when in seconds after START."""
    found: dict[tuple[str, int], tuple[str, str, int, int]] = {}
    for result in line.results:
        for each in result.stretches:
            columns = zip(each.streams, each.start.tolist(), each.end.tolist(), each.status, strict=True)
            for stream, start, end, name in columns:
                found[stream, start] = (stream, name, (start - START) // 1000, (end - START) // 1000)
    return list(found.values())


def test_the_ledger_has_it_with_a_reason_of_its_own_and_under_the_name_it_was_in() -> None:
    line = Line(quick(shipped())).listen()
    running(line, 0, 20)
    maintain(line, 20, 30)
    running(line, 20, 20)
    line.take(40_000, asked("rename", 2, asset=KEY, name="plant//b"))
    line.send(40_000, telemetry("b", 40_000, pump(50)))
    line.take(60_000, asked("forget", 3, asset="plant//b"))
    assert stretches(line) == [
        (KEY, "warming_up", 0, 4),
        (KEY, "scored", 4, 20),
        (KEY, "maintenance", 20, 30),
        (KEY, "scored", 30, 40),
        ("plant//b", "scored", 40, 41),
    ]


def test_it_is_no_blindness() -> None:
    """One sensor of two is too few for a score: ten seconds of that are blindness, but not while it lasts."""
    spec = quick(shipped())
    spec = replace(spec, window=replace(spec.window, min_coverage=0.8))
    spec = replace(spec, sensor_check=None, alert=replace(spec.alert, blind_after_ms=10_000))
    line = Line(spec).listen()
    running(line, 0, 10)
    maintain(line, 10, 40)
    for second in range(10, 60):
        line.send(1000 * second, telemetry("a", 1000 * second, {"load": 50.0}))
        line.wait(1000 * second + 900)
    assert line.told() == [(KEY, "blind", "fired")]
    assert START + 49_000 <= line.events[0].recorded <= START + 52_000
    assert line.events[0].started >= START + 39_000


def test_limits_neither_judge_nor_learn() -> None:
    """Where there is no model yet; nor does it count as normal running."""
    limits = LimitsConfig(block_ticks=100, min_ticks=10, margin=0.5, period_ms=1000)
    line = Line(quick(shipped(), model="", model_hash="", wanted_ms=3_600_000, limits=limits)).listen()
    running(line, 0, 30)
    before = line.state.classes[0].limits
    highest, normal = before.highest.copy(), int(before.normal[0])
    maintain(line, 30, 50)
    running(line, 30, 20, breach=40.0)
    after = line.state.classes[0].limits
    np.testing.assert_array_equal(after.highest, highest)
    assert int(after.normal[0]) - normal <= 1  # the tick that was open when it began
    running(line, 50, 3, breach=40.0)
    assert line.told() == [(KEY, "limit", "fired")]
