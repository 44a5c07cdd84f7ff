"""The line at the settings that ship, over an honest model: a fault scores high and is told once, no more.

A detector can score backwards under tests that all pass, where tests run with other settings than production.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import pytest

from monitor.records import Status
from tests.line_samples import START, Line, shipped, telemetry

if TYPE_CHECKING:
    from monitor.records import Float64

FAULT = (700, 800)  # seconds


def breaches(count: int, seed: int) -> Float64:
    """How far noise alone takes the flow from its law (count,), in flow units."""
    return np.random.default_rng(seed).normal(0, 1.0, count)


def send(line: Line, asset: str, tick: int, period_ms: int, breach: float) -> None:
    """One reading of a pump whose load goes up and down."""
    load = 50 + 20 * math.sin(tick / 15)
    values = {"load": load, "flow": 2 * load + 10 - breach}
    line.send(tick * period_ms, telemetry(asset, tick * period_ms, values))


def test_a_fault_scores_higher_than_normal_and_fires_and_clears_once() -> None:
    line = Line(shipped()).listen()
    noise = {asset: breaches(1000, seed) for seed, asset in enumerate("abc")}
    noise["b"][FAULT[0] : FAULT[1]] += 8.0
    for second in range(1000):
        for asset, breach in noise.items():
            send(line, asset, second, 1000, float(breach[second]))
    line.wait(1_010_000)

    inside, outside = [], []
    for asset in "abc":
        for second, status, score, _ in line.rows(f"plant//{asset}"):
            if status != Status.SCORED:
                continue
            # The model looks at five ticks: the first and the last of the stretch mix with what is normal.
            if asset == "b" and FAULT[0] + 4 <= second < FAULT[1]:
                inside.append(score)
            elif asset != "b" or not FAULT[0] <= second < FAULT[1] + 4:
                outside.append(score)
    assert len(inside) == FAULT[1] - FAULT[0] - 4
    assert min(inside) > max(outside)

    assert line.told() == [("plant//b", "anomaly", "fired"), ("plant//b", "anomaly", "cleared")]
    fired, cleared = line.events
    began, ended = (START + 1000 * second for second in FAULT)
    assert began <= fired.time < began + 20_000
    assert ended + 30_000 <= cleared.time < ended + 50_000
    assert fired.top[0].sensor == "flow"
    assert fired.top[0].actual < fired.top[0].expected - 4


@pytest.mark.parametrize("rule", ["quantile", "mad"])
def test_a_fault_that_grows_slower_than_the_horizon_still_fires(rule: Literal["quantile", "mad"]) -> None:
    """Over 48 hours at a tick a minute, where the threshold forgets in six: the cap stops it from following.

    It fires once, at the cap at the latest, and stays open for as long as the fault does.
    """
    minute, healthy, growing = 60_000, 900, 48 * 60
    spec = shipped(period_ms=minute)
    spec = replace(spec, threshold=replace(spec.threshold, rule=rule))
    line = Line(spec).listen()
    fault = np.concatenate([np.zeros(healthy), np.linspace(0, 30, growing), np.full(120, 30)])  # to a score of 15
    for tick, breach in enumerate(breaches(len(fault), 5) + fault):
        send(line, "a", tick, minute, float(breach))
    rows = [row for row in line.rows("plant//a") if row[1] == Status.SCORED]
    thresholds = [threshold for *_, threshold in rows]
    assert min(thresholds) == spec.threshold.floor
    assert max(thresholds) <= spec.threshold.cap
    assert line.told() == [("plant//a", "anomaly", "fired")]
    assert line.events[0].time >= START + healthy * minute
    score = line.events[0].score
    assert score is not None
    assert score < 1.2 * spec.threshold.cap
