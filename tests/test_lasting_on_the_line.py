"""Deviations that last, through the line: found, cleared, accepted, and only of what the model saw."""

from __future__ import annotations

import math
from dataclasses import fields, replace

import numpy as np
import pytest

from models.lasting import RECENT, Lasting, LastingState, Recent
from tests.line_samples import HASH, START, Balance, Line, asked, pump, shipped, telemetry

SHORT = RECENT[0]


class Watchful(Balance):
    """A pump's model for which a flow that lacks 0.25 for minutes is worth a score of 1; a window takes 2."""

    lasting = Lasting(
        Balance.window,
        np.array([1, 0.25], np.float32),
        np.ones(2, np.float32),
        (Recent(SHORT, np.diag(np.array([1e-6, 1], np.float32)), 1.0),),
    )


WELL = 2400  # seconds


def watched(*, seconds: int, breach: float) -> Line:
    """A pump that is well for forty minutes, and then lacks some flow."""
    line = Line(models={HASH: Watchful()}).listen()
    for second in range(seconds):
        lacks = breach if second >= WELL else 0.0
        line.send(second * 1000, telemetry("p", second * 1000, pump(50 + second % 7, breach=lacks)))
    return line


def test_the_line_finds_what_no_window_shows_and_clears_it_soon() -> None:
    """It lacks 0.4 of the 2 that a window needs; it is back to normal after 300 s, and off-delay is 30 s."""
    line = watched(seconds=WELL + 300, breach=0.4)
    fired = [event for event in line.events if str(event.transition) == "fired"]
    assert [event.kind for event in fired] == ["anomaly"]
    assert fired[0].top[0].sensor == "flow"
    after = (fired[0].time - START) / 1000 - WELL
    rises = SHORT * Balance.window * math.log(1 / (1 - 1 / 1.6))  # until the recent mean passes 1 of 1.6
    assert rises <= after < 1.5 * rises  # meanwhile the usual follows a little; on-delay is 5 s
    for second in range(WELL + 300, WELL + 450):
        line.send(second * 1000, telemetry("p", second * 1000, pump(50 + second % 7)))
    cleared = [event for event in line.events if str(event.transition) == "cleared"]
    assert (cleared[0].time - START) / 1000 - WELL - 300 < 4 * Balance.window + 30
    assert all(score < 1.01 for _, _, score, _ in line.rows("plant//p")[30:WELL] if not math.isnan(score))


def test_what_the_model_must_not_see_does_not_come_in_by_what_lasts() -> None:
    """Values out of range, now and then, leave the same means as readings that lack the flow there."""

    def ran(*, absurd: bool) -> LastingState:
        spec = shipped()
        assert spec.sensor_check is not None
        bounds = replace(spec.sensor_check, highest=(None, 500.0))
        line = Line(replace(spec, sensor_check=bounds), models={HASH: Watchful()}).listen()
        for second in range(300):
            values = pump(50 + second % 7)
            if second % 10 == 0:
                values["flow"] = 1000.0
                if not absurd:
                    del values["flow"]
            line.send(second * 1000, telemetry("p", second * 1000, values))
        line.wait(400_000)
        return line.state.classes[0].lasting

    absurd, missing = ran(absurd=True), ran(absurd=False)
    assert missing.learned[0].min() > 200
    for each in fields(LastingState):
        np.testing.assert_array_equal(getattr(absurd, each.name), getattr(missing, each.name))


@pytest.mark.parametrize("level", [0.5, 1.0, 2.0])
def test_the_floor_of_a_regime_makes_no_more_and_no_less_of_what_lasts(level: float) -> None:
    """A breach of 0.15 comes to 0.6 in the end, one of 0.4 to 1.6, of what is a fault in every regime."""
    fired = []
    for breach in (0.15, 0.4):
        spec = shipped()
        leveled = replace(spec, threshold=replace(spec.threshold, regime_levels=(level,)))
        line = Line(leveled, models={HASH: Watchful()}).listen()
        for second in range(WELL + 300):
            lacks = breach if second >= WELL else 0.0
            line.send(second * 1000, telemetry("p", second * 1000, pump(50 + second % 7, breach=lacks)))
        fired.append([str(event.transition) for event in line.events])
    assert fired == [[], ["fired"]]


def test_a_model_that_judges_windows_alone_says_nothing_of_it() -> None:
    line = Line().listen()
    for second in range(WELL + 300):
        line.send(second * 1000, telemetry("p", second * 1000, pump(50, breach=0.4 * (second >= WELL))))
    assert not [event for event in line.events if event.kind == "anomaly"]


def test_accepting_makes_it_the_usual_of_that_asset() -> None:
    line = watched(seconds=WELL + 300, breach=0.4)
    line.take(1000 * (WELL + 300), asked("accept", asset="plant//p"))
    for second in range(WELL + 300, WELL + 1300):
        line.send(second * 1000, telemetry("p", second * 1000, pump(50 + second % 7, breach=0.4)))
    assert [str(event.transition) for event in line.events if event.time > START + 1000 * (WELL + 300)] == []
    assert line.rows("plant//p")[-1][2] == pytest.approx(
        0.6, abs=0.01
    )  # beyond the bound; the threshold learns it
