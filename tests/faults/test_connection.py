"""The way to the broker hangs, is slow to begin, or breaks with a thousand messages unacknowledged."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

import pytest

from tests import recordings
from tests.faults.house import FRESH_LIMIT_S, House
from tests.faults.oracle import INCIDENT
from tests.faults.proxy import Proxy
from tests.faults.report import Finding, tell
from tests.faults.size import FULL, only_full, tries
from tests.rig import until
from tests.servers import missing
from tests.servers.brokers import Mosquitto, Nats

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.faults.oracle import Verdict
    from tests.servers.brokers import Broker
    from tests.servers.influxd import Influxd

pytestmark = pytest.mark.timeout(3600)
KEEPALIVE_S = 5
RECONNECTED_WITHIN = 1.5  # times the keep-alive
RATE = 40.0  # ticks a second
CONNECT = 0x10  # the first byte of MQTT's first packet
ANSWER_DELAY_S = 0.4
UNACKNOWLEDGED = 340  # ticks of three rows
LATE = "; what is missing came behind newer rows, and is counted as late"
ACK_WAIT = "15s"  # longer than it takes until they are in rows


def finish(house: House) -> Verdict:
    """Ask the oracle. Mosquitto sends what was not acknowledged again at once, before all that is newer.

    nats-server does so only after its ack_wait, behind what is newer: then it is late, which is an outcome, too,
    but no row.
    """
    if isinstance(house.broker, Mosquitto):
        return house.finish()
    house.plant.publish(150)  # the incident is over after rows that were scored, and many are missing
    verdict = house.finish(whole=False)
    values = len(recordings.SENSORS) * missing_rows(verdict)
    until(lambda: house.daemon.books()["outcomes"]["late"] >= values, why="all that is missing is late")
    return verdict


def missing_rows(verdict: Verdict) -> int:
    """Those that are not there, and those of short gaps, which are there and empty."""
    return verdict.missing["rows"] + verdict.missing["readings"]


def clean(verdict: Verdict, house: House) -> bool:
    """Nothing is wrong, but that with nats-server rows are missing, of which `finish` knows that they are late.

    Where they are, the model can see a leap, and that is an incident.
    """
    if not isinstance(house.broker, Mosquitto):
        for kind, what in ((verdict.missing, "rows"), (verdict.missing, "readings"), (verdict.doubled, INCIDENT)):
            kind.pop(what, None)
    return verdict.clean


def test_a_connection_that_hangs(tmp_path: Path, pump_model: Path, each_broker: Broker, database: Influxd) -> None:
    """Row 14: nothing passes any more and nobody ends it; under load, with acknowledgements on their way."""
    if isinstance(each_broker, Nats):
        only_full()
    hangs = tries(1, 10)
    took = []
    ticks = 600 + int(hangs * 2 * KEEPALIVE_S * RATE)
    with (
        Proxy(each_broker.host, each_broker.port) as proxy,
        House(
            *(tmp_path, pump_model, each_broker, database),
            ticks=ticks,
            broker_proxy=proxy,
            mqtt=f"keepalive_s = {KEEPALIVE_S}",
        ) as house,
    ):
        house.begin()
        with house.plant.load(RATE):
            for _ in range(hangs):
                time.sleep(0.5)
                listened = house.logged("listening")
                proxy.hang_open()
                began = time.monotonic()
                until(lambda: house.logged("listening") > listened, why="connected anew")  # noqa: B023
                took.append(time.monotonic() - began)
        recovery = house.fresh()
        verdict = finish(house)
    remark = f"connected anew after {max(took) / KEEPALIVE_S:.2f} times the keep-alive of {KEEPALIVE_S} s"
    if missing_rows(verdict):
        remark += LATE
    tell(Finding.of(14, f"half-open connection ({each_broker.program})", hangs, verdict, recovery, remark))
    assert clean(verdict, house), verdict
    if FULL:
        assert max(took) <= RECONNECTED_WITHIN * KEEPALIVE_S
        assert recovery <= FRESH_LIMIT_S


def test_acknowledgements_wait_for_the_broker_s_answer(
    tmp_path: Path, pump_model: Path, each_broker: Broker, database: Influxd
) -> None:
    """Row 15: cut under load, and the CONNACK comes late: what is acknowledged meanwhile must not be the first."""
    if isinstance(each_broker, Nats):
        only_full()
    cuts = tries(3, 60)
    chance = random.Random(15)  # noqa: S311 - moments, not secrets
    ticks = 600 + int(cuts * 3 * RATE)
    with (
        Proxy(each_broker.host, each_broker.port) as proxy,
        House(tmp_path, pump_model, each_broker, database, ticks=ticks, broker_proxy=proxy) as house,
    ):
        house.begin()
        proxy.answer_delay = ANSWER_DELAY_S
        with house.plant.load(RATE):
            for _ in range(cuts):
                time.sleep(chance.uniform(0.0, 3 * ANSWER_DELAY_S))  # also while the answer is still out
                proxy.cut()
        proxy.mend()
        recovery = house.fresh()
        verdict = finish(house)
        outcomes = house.daemon.books()["outcomes"]
        first_bytes = list(proxy.first_bytes)
    repeats = (outcomes["duplicate"] + outcomes["late"]) // len(recordings.SENSORS)
    wrong = len([byte for byte in first_bytes if byte != CONNECT])
    remark = (
        f"CONNECT first on {len(first_bytes) - wrong} of {len(first_bytes)} connections; {repeats} rows came again"
    )
    if missing_rows(verdict):
        remark += LATE
    tell(Finding.of(15, f"CONNACK late under load ({each_broker.program})", cuts, verdict, recovery, remark))
    assert len(first_bytes) > cuts
    assert not wrong
    assert clean(verdict, house), verdict
    if FULL:
        assert recovery <= FRESH_LIMIT_S


@pytest.fixture(params=[Mosquitto, Nats], ids=["mosquitto", "nats"])
def generous(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Broker]:
    """A broker that has a thousand messages on their way, and does not soon send one of them again by itself."""
    kind: type[Mosquitto | Nats] = request.param
    if not kind.installed():
        missing(kind.program)
    if kind is Nats:
        only_full()  # it waits for its ack_wait
    folder = tmp_path / kind.program
    unlimited = ["max_inflight_messages 0"]
    with Mosquitto(folder, lines=unlimited) if kind is Mosquitto else Nats(folder, ack_wait=ACK_WAIT) as server:
        yield server


def test_a_thousand_messages_come_again(
    tmp_path: Path, pump_model: Path, generous: Broker, database: Influxd
) -> None:
    """Row 16: the way back is deaf, so that all are in rows and none is acknowledged; then it breaks."""
    only_full()  # tests/test_receive.py has the same without a plant
    cuts = tries(1, 10)
    values = len(recordings.SENSORS) * 3 * UNACKNOWLEDGED
    with (
        Proxy(generous.host, generous.port) as proxy,
        House(
            *(tmp_path, pump_model, generous, database),
            ticks=400 + cuts * (UNACKNOWLEDGED + 10),
            broker_proxy=proxy,
            extra=f"[align]\nrepeat_ticks = {2 * UNACKNOWLEDGED}",
        ) as house,
    ):
        house.begin()
        for _ in range(cuts):
            house.settle()
            before = house.daemon.books()["outcomes"]
            assert before["duplicate"] % values == 0
            proxy.to_server = lambda _: b""
            house.plant.publish(UNACKNOWLEDGED)
            wanted = before["in_row"] + values - 4 * 60
            until(lambda: house.daemon.books()["outcomes"]["in_row"] >= wanted, why="all in rows")  # noqa: B023
            proxy.mend()
            proxy.cut()
            repeated = before["duplicate"] + values
            until(
                lambda: house.daemon.books()["outcomes"]["duplicate"] >= repeated,  # noqa: B023
                why="all come again",
            )
        recovery = house.fresh()
        verdict = house.finish()
        outcomes = house.daemon.books()["outcomes"]
    remark = f"{outcomes['duplicate']:,} values came again and are counted as that"
    tell(Finding.of(16, f"cut with 1,020 unacknowledged ({generous.program})", cuts, verdict, recovery, remark))
    assert (outcomes["duplicate"], outcomes["late"]) == (cuts * values, 0)
    assert verdict.clean, verdict
    if FULL:
        assert recovery <= FRESH_LIMIT_S
