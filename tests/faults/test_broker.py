"""The broker killed, away for long, or without its memory: what it acknowledged is in rows."""

from __future__ import annotations

import random
import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.faults.house import FRESH_LIMIT_S, House
from tests.faults.report import Finding, tell
from tests.faults.size import FULL, only_full, tries
from tests.rig import until
from tests.servers import missing
from tests.servers.brokers import Mosquitto, Nats

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.brokers import Broker
    from tests.servers.influxd import Influxd

pytestmark = pytest.mark.timeout(3600)
KILLS = tries(2, 50)
RATE = 40.0  # ticks a second
LIVES_S = (0.2, 1.5)  # how long a broker lives until it is killed
SPOOL_S = 3.0  # longer than mosquitto takes from an acknowledgement to its disk
AWAY = tries(400, 3600)  # ticks of a second, three rows each
DRAIN_FACTOR = 5.0  # of the rate at which rows come
ALARM_S = 5.0
LOST = ("rows", "readings")  # what is missing where a tick is: a gap has rows without a reading


@dataclass(frozen=True)
class Killed:
    """A broker, what its publisher repeats after it, and whether everything must be there then."""

    kind: type[Mosquitto | Nats]
    spool_s: float
    whole: bool


CASES = {
    "nats": Killed(Nats, 0.0, whole=True),
    "mosquitto": Killed(Mosquitto, 0.0, whole=False),
    "mosquitto, --spool": Killed(Mosquitto, SPOOL_S, whole=True),
}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> str:
    """The name of one of the cases."""
    name: str = request.param
    return name


@pytest.fixture
def killed(case: str, tmp_path: Path) -> Iterator[Broker]:
    """The broker of the case."""
    kind = CASES[case].kind
    if not kind.installed():
        missing(kind.program)
    with kind(tmp_path / kind.program) as server:
        yield server


def test_a_broker_that_is_killed(
    tmp_path: Path, pump_model: Path, case: str, killed: Broker, database: Influxd
) -> None:
    """Row 3: of nats-server nothing is missing. Mosquitto acknowledges before it saves, once a second.

    What it had acknowledged and not saved is gone with it, and the publisher's spool brings it back.
    """
    if case == "mosquitto":
        only_full()
    chance = random.Random(3)  # noqa: S311 - moments, not secrets
    ticks = 300 + int(KILLS * LIVES_S[1] * RATE) + 200
    whole, spool_s = CASES[case].whole, CASES[case].spool_s
    with House(tmp_path, pump_model, killed, database, ticks=ticks, spool_s=spool_s) as house:
        house.begin()
        if case != "nats":
            time.sleep(2.0)  # what came before is saved
        with house.plant.load(RATE):
            for _ in range(KILLS):
                time.sleep(chance.uniform(*LIVES_S))
                killed.kill()
                killed.start()
        recovery = house.fresh()
        verdict = house.finish(whole=whole)
        acknowledged = len(house.plant.acknowledged())
    lost = sum(verdict.missing[each] for each in LOST)
    remark = f"{acknowledged:,} rows acknowledged"
    if not whole:
        remark += f", of which {lost:,} went with the broker"
    tell(Finding.of(3, f"broker killed under load ({case})", KILLS, verdict, recovery, remark))
    if not whole:
        # What it acknowledges within the two seconds before it dies can be gone, and nothing else.
        assert lost <= KILLS * 2 * RATE * len(house.plant.pumps), verdict
        for each in LOST:
            verdict.missing.pop(each, None)
    assert verdict.clean, verdict
    if FULL:
        assert recovery <= FRESH_LIMIT_S


@pytest.mark.parametrize("who", ["broker", "daemon"])
def test_a_backlog_of_an_hour(
    tmp_path: Path, pump_model: Path, each_broker: Broker, database: Influxd, who: str
) -> None:
    """Row 4: it waits with the publisher while the broker is away, and with the broker while the daemon is."""
    if isinstance(each_broker, Nats) or who == "broker":
        only_full()
    rows = 3 * AWAY
    with House(tmp_path, pump_model, each_broker, database, ticks=AWAY + 400, in_flight=2 * rows) as house:
        house.begin()
        house.settle()
        if who == "broker":
            each_broker.stop()
            house.plant.publish(AWAY)
            began = time.monotonic()
            each_broker.start()
        else:
            house.daemon.stop()
            house.plant.publish(AWAY)
            assert house.plant.publisher.wait_delivered(300.0)
            began = time.monotonic()
            house.daemon.start()
        values = house.daemon.books()["outcomes"]["in_row"]
        wanted = values + 4 * (rows - 60)  # the last ticks close when others come, or in time
        until(lambda: house.daemon.books()["outcomes"]["in_row"] >= wanted, seconds=300, why="the backlog in rows")
        rate = rows / (time.monotonic() - began)
        recovery = house.fresh()
        verdict = house.finish()
    name = f"{who} gone for {AWAY / 60:.0f} minutes' data ({each_broker.program})"
    remark = f"drained {rows:,} rows at {rate:,.0f} a second, {rate / 3:,.0f} times the live rate"
    tell(Finding.of(4, name, 1, verdict, recovery, remark))
    assert verdict.clean, verdict
    if FULL:
        assert rate / 3 >= DRAIN_FACTOR


def test_a_broker_that_lost_the_session_is_told(
    tmp_path: Path, pump_model: Path, each_broker: Broker, database: Influxd
) -> None:
    """Row 17: its database is deleted while it is down. What was on its disk is gone, and an error says so."""
    only_full()  # tests/test_receive.py has the same without a plant
    took = []
    with House(tmp_path, pump_model, each_broker, database, ticks=600) as house:
        house.begin()
        house.settle()
        for number in range(tries(1, 5)):
            heard = house.listener.subscribed
            each_broker.stop()
            (each_broker.folder / "mosquitto.db").unlink(missing_ok=True)
            shutil.rmtree(each_broker.folder / "jetstream", ignore_errors=True)
            began = time.monotonic()
            each_broker.start()
            until(lambda: house.logged("session_lost") == number + 1, why="the alarm")  # noqa: B023
            took.append(time.monotonic() - began)
            until(lambda: house.listener.subscribed > heard, why="the listener is back")  # noqa: B023
        recovery = house.fresh()
        verdict = house.finish()
    remark = f"told after {max(took):.1f} s"
    tell(Finding.of(17, f"session lost ({each_broker.program})", len(took), verdict, recovery, remark))
    assert verdict.clean, verdict
    if FULL:
        assert max(took) <= ALARM_S
