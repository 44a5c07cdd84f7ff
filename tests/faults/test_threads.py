"""A thread that dies ends the daemon, one that blocks ends the watchdog's pings; and nothing is lost by either."""

from __future__ import annotations

import signal
import sys
import time
from typing import TYPE_CHECKING

from monitor.decode import encode_telemetry
from tests.faults.house import House
from tests.faults.report import Finding, tell
from tests.faults.size import FULL
from tests.rig import Daemon, plain_settings, until
from tests.servers.managers import service_manager
from tests.servers.peers import Peer

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.brokers import Mosquitto
    from tests.servers.influxd import Influxd

THREADS = {
    "line": "line",
    "intake": "intake",
    "door": "door",
    "influx": "influx",
    "receiver": "enginewatch-main",
    "notifier": "enginewatch-main-notify",
    "http": "http",
}
# `make faults` takes them all. The sink may wait for others for a minute, so that it is stuck later.
DYING = THREADS if FULL else {name: THREADS[name] for name in ("door", "influx")}
BLOCKING = THREADS if FULL else {name: THREADS[name] for name in THREADS if name != "influx"}
HUNG = [sys.executable, "-m", "tests.faults.hung"]


def publish(broker: Mosquitto, number: int) -> None:
    """One reading of two values, at a second of event time of its own."""
    with Peer(broker) as peer:
        began = (time.time_ns() // 1_000_000 // 1000 - 100) * 1000
        values = {"load": 50.0 + number, "flow": 110.0}
        payload = encode_telemetry(time=began + number * 1000, boot="b", seq=number, values=values)
        peer.publish("enginewatch/v1/plant/pump/telemetry", payload)


def made(folder: Path, broker: Mosquitto, database: Influxd, names: str, **environment: str) -> Daemon:
    """A daemon whose threads of these names can be made to go wrong."""
    text = plain_settings(broker, folder, extra="[daemon]\nstuck_after_s = 1")
    text += f'[influx]\nurl = "{database.url}"\nbucket = "engines"\ntimeout_s = 1\n'
    return Daemon(folder, text, command=HUNG, **environment, ENGINEWATCH_TEST_THREADS=names)


def test_a_thread_that_dies_ends_the_daemon(
    tmp_path: Path, pump_model: Path, mosquitto: Mosquitto, database: Influxd
) -> None:
    """Row 22: with exit code 1 and its name in the log; started again by whoever watches it, nothing is lost."""
    took: list[float] = []
    with House(tmp_path, pump_model, mosquitto, database, ticks=300 + 200 * len(DYING), command=HUNG) as house:
        house.begin()
        with house.plant.load(20.0):
            for thread in DYING.values():
                house.daemon.kill()
                house.daemon.vary(ENGINEWATCH_TEST_THREADS=thread)
                house.restart()
                time.sleep(0.5)
                assert house.daemon.process is not None
                house.daemon.tell(signal.SIGUSR1)
                began = time.monotonic()
                assert house.daemon.process.wait(30) == 1
                took.append(time.monotonic() - began)
                house.restart()
        recovery = house.fresh()
        verdict = house.finish()
        assert [each["thread"] for each in house.daemon.logged("thread_failed")] == list(DYING)
    remark = f"{', '.join(DYING)}: exit code 1 within {max(took):.1f} s"
    tell(Finding.of(22, "a thread dies under load", len(DYING), verdict, recovery, remark))
    assert verdict.clean, verdict


def test_a_thread_that_blocks_ends_the_pings(
    tmp_path: Path, pump_model: Path, mosquitto: Mosquitto, database: Influxd
) -> None:
    """Row 22: any of them; then the service manager kills the daemon, and the next one goes on under load."""
    with service_manager(f"@enginewatch-{tmp_path.name}-{time.time_ns()}") as manager:
        names = ",".join(BLOCKING.values())
        variables = {
            "NOTIFY_SOCKET": manager.address,
            "WATCHDOG_USEC": "400000",
            "ENGINEWATCH_TEST_THREADS": names,
        }
        with House(
            tmp_path, pump_model, mosquitto, database, ticks=2000, command=HUNG, variables=variables,
            influx="timeout_s = 1", extra="[daemon]\nstuck_after_s = 1",
        ) as house:  # fmt: skip
            house.begin()
            until(lambda: manager.said[:1] == ["READY=1"])
            until(lambda: manager.pings() > 2)
            with house.plant.load(20.0):
                house.daemon.tell(signal.SIGUSR2)
                until(lambda: len(house.daemon.logged("stage_stuck")) == len(BLOCKING), seconds=120)
                assert {each["stage"] for each in house.daemon.logged("stage_stuck")} == set(BLOCKING)
                before = manager.pings()
                time.sleep(1.0)  # five pings' worth
                assert manager.pings() == before
                house.daemon.kill()
                house.daemon.vary(ENGINEWATCH_TEST_THREADS="")
                before = len(manager.said)
                house.restart()
            recovery = house.fresh()
            verdict = house.finish()
            house.daemon.stop()
        until(lambda: manager.said[-1] == "STOPPING=1")
        said = manager.said[before:]
        assert said.index("EXTEND_TIMEOUT_USEC=60000000") < said.index("READY=1")  # the replay asks for time
    remark = f"{', '.join(BLOCKING)}: told, and no ping of the watchdog any more"
    tell(Finding.of(22, "a thread blocks under load", len(BLOCKING), verdict, recovery, remark))
    assert verdict.clean, verdict


def test_a_process_that_was_stopped_is_not_stuck(tmp_path: Path, mosquitto: Mosquitto, database: Influxd) -> None:
    """All its threads stood still for longer than one may be stuck, and the pings go on."""
    with service_manager(str(tmp_path / "notify")) as manager:
        environment = {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "400000"}
        daemon = made(tmp_path, mosquitto, database, "", **environment)
        try:
            daemon.start()
            daemon.tell(signal.SIGSTOP)
            time.sleep(2)
            daemon.tell(signal.SIGCONT)
            before = manager.pings()
            until(lambda: manager.pings() > before + 2)
            daemon.stop()
        finally:
            daemon.close()
        assert daemon.logged("stage_stuck") == []
        assert manager.said.count("READY=1") == 1
        until(lambda: manager.said[-1] == "STOPPING=1")
