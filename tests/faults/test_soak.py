"""Hours of faults drawn at random, one after the other: nothing is lost, and the daemon does not grow."""

from __future__ import annotations

import os
import random
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.faults.house import House
from tests.faults.proxy import Proxy
from tests.faults.report import Finding, tell
from tests.faults.size import FULL, only_full
from tests.servers.peers import Peer

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.servers.brokers import Mosquitto
    from tests.servers.influxd import Influxd

pytestmark = pytest.mark.timeout(0)
SOAK_S = float(os.environ.get("ENGINEWATCH_SOAK_S", "3600"))
RATE = 10.0  # ticks a second
SPOOL_S = 3.0  # mosquitto saves once a second what it has acknowledged
DYING_S = SOAK_S / 4  # so long the daemon is killed too; after that it lives, and is measured
WARM_S = SOAK_S / 3  # what it has grown by until then is not counted
GROWTH_LIMIT = 1.0  # MB an hour
JUNK = (
    b"",
    b"\xff\x00",
    b'{"v":1}',
    b'{"v":1,"ts":1e99,"values":{}}',
    b"[" * 5000,
    b'{"v":1,"ts":1,"values":{"load":"x"}}',
)


@dataclass(slots=True)
class Sizes:
    """What the daemon takes, over its life."""

    seconds: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)  # MB
    files: list[int] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)

    def look(self, process: int, at: float) -> None:
        """Read them off the process."""
        status = dict(line.split(":", 1) for line in Path(f"/proc/{process}/status").read_text().splitlines())
        self.seconds.append(at)
        self.memory.append(int(status["VmRSS"].split()[0]) / 1024)
        self.threads.append(int(status["Threads"]))
        self.files.append(sum(1 for _ in Path(f"/proc/{process}/fd").iterdir()))

    @property
    def growth(self) -> float:
        """MB an hour, by a straight line through what was read."""
        return float(np.polyfit(np.array(self.seconds) / 3600, self.memory, 1)[0])


class Faults:
    """What can happen to a plant; each method does it and mends it."""

    def __init__(self, house: House, chance: random.Random, to_broker: Proxy, to_database: Proxy) -> None:
        self._house, self._chance = house, chance
        self._to_broker, self._to_database = to_broker, to_database

    def _pause(self) -> None:
        time.sleep(self._chance.uniform(0.2, 3.0))

    def broker_killed(self) -> None:
        self._house.broker.kill()
        self._pause()
        self._house.broker.start()

    def connection_cut(self) -> None:
        self._to_broker.cut()

    def broker_hangs(self) -> None:
        self._to_broker.hanging = True
        self._pause()
        self._to_broker.hanging = False

    def database_away(self) -> None:
        self._to_database.refuse()
        self._pause()
        self._to_database.mend()

    def database_hangs(self) -> None:
        self._to_database.hanging = True
        self._pause()
        self._to_database.hanging = False

    def reply_lost(self) -> None:
        self._to_database.to_client = lambda _: None
        self._pause()
        self._to_database.mend()

    def daemon_stopped(self) -> None:
        assert self._house.daemon.process is not None
        os.kill(self._house.daemon.process.pid, signal.SIGSTOP)
        self._pause()
        os.kill(self._house.daemon.process.pid, signal.SIGCONT)

    def junk_sent(self) -> None:
        with Peer(self._house.broker) as peer:
            peer.publish_all(
                "enginewatch/v1/plant/junk/telemetry", [self._chance.choice(JUNK) for _ in range(200)]
            )

    def daemon_killed(self) -> None:
        self._house.daemon.kill()
        self._pause()
        self._house.restart()

    def daemon_restarted(self) -> None:
        self._house.daemon.stop()
        self._pause()
        self._house.restart()

    def all(self, *, deadly: bool) -> list[Callable[[], None]]:
        """The faults to draw from."""
        alive = [
            self.broker_killed, self.connection_cut, self.broker_hangs, self.database_away, self.database_hangs,
            self.reply_lost, self.daemon_stopped, self.junk_sent,
        ]  # fmt: skip
        return [*alive, self.daemon_killed, self.daemon_restarted] if deadly else alive


def test_soak(tmp_path: Path, pump_model: Path, mosquitto: Mosquitto, database: Influxd) -> None:
    """Row 25: C0 after all of it; memory grows by less than 1 MB an hour, descriptors and threads not at all."""
    only_full()
    chance, sizes, recoveries, done = random.Random(25), Sizes(), [0.0], 0  # noqa: S311 - moments, not secrets
    host, port = database.url.removeprefix("http://").split(":")
    ticks = 600 + round(SOAK_S * RATE)
    with (
        Proxy(mosquitto.host, mosquitto.port) as to_broker,
        Proxy(host, int(port)) as to_database,
        House(
            tmp_path,
            pump_model,
            mosquitto,
            database,
            ticks=ticks,
            every=500,
            spool_s=SPOOL_S,
            broker_proxy=to_broker,
            influx_url=f"http://{to_database.host}:{to_database.port}",
            influx="timeout_s = 3",
        ) as house,
    ):
        faults = Faults(house, chance, to_broker, to_database)
        house.begin()
        began = time.monotonic()
        while (passed := time.monotonic() - began) < SOAK_S:
            fault = chance.choice(faults.all(deadly=passed < DYING_S))
            with house.plant.load(RATE):
                fault()
            recoveries.append(house.fresh())
            done += 1
            if passed > WARM_S and house.daemon.process is not None:
                sizes.look(house.daemon.process.pid, passed)
        verdict = house.finish()
    growth = sizes.growth if len(sizes.seconds) > 1 else 0.0
    remark = f"{SOAK_S / 3600:.2f} h, {3 * house.plant.sent:,} rows, {len(house.plant.faults_begun())} incidents; "
    remark += f"RSS {sizes.memory[-1]:.0f} MB, {growth:+.2f} MB/h, " if sizes.memory else ""
    remark += f"{min(sizes.files)} to {max(sizes.files)} descriptors, " if sizes.files else ""
    remark += f"{min(sizes.threads)} to {max(sizes.threads)} threads" if sizes.threads else ""
    tell(
        Finding.of(25, "soak: faults drawn at random, one after the other", done, verdict, max(recoveries), remark)
    )
    assert verdict.clean, verdict
    if FULL:
        assert growth < GROWTH_LIMIT, sizes
        assert max(sizes.threads[-20:]) <= max(sizes.threads[:20]), sizes.threads
        assert max(sizes.files[-20:]) <= max(sizes.files[:20]) + 2, sizes.files
