"""The line on Spark with executors and drivers killed with -9 under load: nothing missing, wrong or told twice."""

from __future__ import annotations

import random
import statistics
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.faults.fleet_house import FleetHouse
from tests.faults.report import Finding, tell
from tests.faults.size import only_full
from tests.servers.kafka import mock_kafka

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.servers.influxd import Influxd
    from tests.servers.spark import Spark

pytestmark = pytest.mark.timeout(3600)
ENGINES, RATE = 100, 2.0  # vehicles, and ticks a second: as fast as they drive
KILLS = 3
PAUSE_S = (0.1, 6.0)  # how long all goes well until the next kill

Way = tuple[int, str, "Callable[[FleetHouse], object]"]


def _executor(house: FleetHouse) -> None:
    assert house.spark.kill_executor() is not None


def _driver(house: FleetHouse) -> None:
    house.kill_driver()
    house.start()


def _both(house: FleetHouse) -> None:
    """The executor dies, and while another is started the driver, too."""
    _executor(house)
    time.sleep(1.0)
    _driver(house)


WAYS: tuple[Way, ...] = (
    (27, "executor of the fleet's job killed under load", _executor),
    (28, "driver of the fleet's job killed under load, and started again", _driver),
    (29, "both, one after the other", _both),
)


@pytest.mark.parametrize(("row", "name", "kill"), WAYS, ids=["executor", "driver", "both"])
def test_killed_at_random_moments(
    tmp_path: Path, spark_cluster: Spark, database: Influxd, row: int, name: str,
    kill: Callable[[FleetHouse], object],
) -> None:  # fmt: skip
    """After any number of kills the rows and transitions are those of a line that never died."""
    only_full()
    chance = random.Random(row)  # noqa: S311 - moments, not secrets
    stalls: list[float] = []
    with (
        mock_kafka() as kafka,
        FleetHouse(tmp_path, kafka, spark_cluster, database, engines=ENGINES, ticks=4000) as house,
    ):
        with house.load(RATE):
            house.fresh()
            for _ in range(KILLS):
                time.sleep(chance.uniform(*PAUSE_S))
                kill(house)
                stalls.append(house.fresh())
        verdict, remark = house.finish()
    remark = f"{remark}; {statistics.median(stalls):.0f} s at the median"
    tell(replace(Finding.of(row, name, KILLS, verdict, max(stalls), remark), incident=None))
    assert verdict.clean, verdict
