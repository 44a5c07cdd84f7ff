"""The daemon killed with -9 at random moments under load: nothing missing, nothing doubled, the same incident."""

from __future__ import annotations

import random
import statistics
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.faults.house import House
from tests.faults.oracle import Oracle
from tests.faults.report import Finding, tell
from tests.faults.size import FULL, tries

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.brokers import Mosquitto
    from tests.servers.influxd import Influxd

pytestmark = pytest.mark.timeout(3600)
KILLS = tries(4, 200)
RATE = 40.0  # ticks a second
STREAMS, RESTARTS = tries(100, 1000), tries(1, 5)
READY_LIMIT_S = 5.0
LIVES_S = (0.05, 0.9)  # how long a daemon lives until it is killed


def test_killed_at_random_moments(
    tmp_path: Path, pump_model: Path, mosquitto: Mosquitto, database: Influxd
) -> None:
    """Row 1: after any number of kills everything is as if there had been none."""
    chance = random.Random(2)  # noqa: S311 - moments, not secrets
    ticks = 300 + KILLS * 120
    with House(tmp_path, pump_model, mosquitto, database, ticks=ticks) as house:
        house.begin()
        with house.plant.load(RATE):
            for _ in range(KILLS):
                time.sleep(chance.uniform(*LIVES_S))
                house.daemon.kill()
                house.restart()
        recovery = house.fresh()
        verdict = house.finish()
    tell(Finding.of(1, "daemon killed under load (mosquitto)", KILLS, verdict, recovery))
    assert verdict.clean, verdict


def test_ready_soon_with_many_streams(tmp_path: Path, pump_model: Path, mosquitto: Mosquitto) -> None:
    """Row 1: killed under load with a thousand streams, whose windows are full, it listens again within 5 s."""
    ready: list[float] = []
    with House(tmp_path, pump_model, mosquitto, None, pumps=STREAMS, ticks=10 * (3 + RESTARTS)) as house:
        house.plant.publish(20)
        house.settle()
        for _ in range(RESTARTS):
            with house.plant.load(2.0):
                time.sleep(2.5)  # so that there is a checkpoint, and something behind it
                house.daemon.kill()
                ready.append(house.restart())
        house.settle()
        verdict = Oracle(house.plant, house.daemon.state, None, house.heard).ask()
    remark = f"ready after {statistics.median(ready):.1f} s at the median, {max(ready):.1f} s at the longest"
    name = f"daemon killed under load with {STREAMS:,} streams"
    tell(replace(Finding.of(1, name, RESTARTS, verdict, None, remark), incident=None))  # here is none
    assert verdict.clean, verdict
    if FULL:
        assert max(ready) <= READY_LIMIT_S
