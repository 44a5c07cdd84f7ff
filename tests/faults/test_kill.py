"""The daemon killed with -9 at random moments under load: nothing missing, nothing doubled, the same incident."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

import pytest

from tests.faults.house import House
from tests.faults.report import Finding, tell
from tests.faults.size import tries

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.brokers import Mosquitto
    from tests.servers.influxd import Influxd

pytestmark = pytest.mark.timeout(3600)
KILLS = tries(4, 200)
RATE = 40.0  # ticks a second
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
