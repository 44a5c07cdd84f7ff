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
from tests.faults.size import FULL
from tests.servers.kafka import mock_kafka

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.servers.influxd import Influxd
    from tests.servers.spark import Spark

pytestmark = [
    pytest.mark.timeout(3600),
    pytest.mark.skipif(not FULL, reason="only in `make faults`"),  # before a cluster is started for it
]
ENGINES, RATE = 100, 2.0  # vehicles, and ticks a second: as fast as they drive
KILLS = 5
PAUSE_S = (0.1, 6.0)  # how long all goes well until the next kill


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


def test_executor_killed(tmp_path: Path, spark_cluster: Spark, database: Influxd) -> None:
    """Row 27: what an executor held is made again by the next, and nothing is there twice."""
    _killed(tmp_path, spark_cluster, database, 27, "executor of the line on Spark killed under load", _executor)


def test_driver_killed(tmp_path: Path, spark_cluster: Spark, database: Influxd) -> None:
    """Row 28: started again, the job goes on from its checkpoint."""
    _killed(tmp_path, spark_cluster, database, 28, "its driver killed under load, and started again", _driver)


def test_both_killed(tmp_path: Path, spark_cluster: Spark, database: Influxd) -> None:
    """Row 29: the driver dies while an executor is made anew."""
    _killed(tmp_path, spark_cluster, database, 29, "its executor killed, and a second later its driver", _both)


def _killed(
    folder: Path, cluster: Spark, database: Influxd, row: int, name: str, kill: Callable[[FleetHouse], object]
) -> None:
    """Kill at random moments; the rows and transitions must be those of a line that never died."""
    chance = random.Random(row)  # noqa: S311 - moments, not secrets
    stalls: list[float] = []
    with (
        mock_kafka() as kafka,
        FleetHouse(folder, kafka, cluster, database, engines=ENGINES, ticks=4000) as house,
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
