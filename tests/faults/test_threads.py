"""A thread that dies ends the daemon, one that blocks ends the watchdog's pings; and nothing is lost by either."""

from __future__ import annotations

import signal
import sys
import time
from typing import TYPE_CHECKING

from monitor.decode import encode_telemetry
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


def kept(daemon: Daemon) -> int:
    """How many values are in a row, or wait for one: each once, however often it came."""
    books = daemon.books()
    return int(books["outcomes"]["in_row"]) + int(books["waiting"]) if books else 0


def test_a_thread_that_dies_ends_the_daemon(tmp_path: Path, mosquitto: Mosquitto, database: Influxd) -> None:
    """With exit code 1 and its name in the log; what came before and meanwhile is there afterwards."""
    for number, (name, thread) in enumerate(DYING.items()):
        daemon = made(tmp_path, mosquitto, database, thread)
        try:
            daemon.start()
            publish(mosquitto, number)
            daemon.tell(signal.SIGUSR1)
            assert daemon.process is not None
            assert daemon.process.wait(30) == 1
            assert [each["thread"] for each in daemon.logged("thread_failed")][number:] == [name]
        finally:
            daemon.close()
    publish(mosquitto, len(DYING))
    after = made(tmp_path, mosquitto, database, "")
    try:
        after.start()
        until(lambda: kept(after) >= 2 * (len(DYING) + 1))
        after.stop()
    finally:
        after.close()
    assert kept(after) == 2 * (len(DYING) + 1)
    # What was not acknowledged when a thread died came again, and was known.
    outcomes = after.books()["outcomes"]
    assert after.accounted() == kept(after) + outcomes["duplicate"] + outcomes["late"]


def test_a_thread_that_blocks_ends_the_pings(tmp_path: Path, mosquitto: Mosquitto, database: Influxd) -> None:
    """Any of them; then the service manager kills the daemon, and the next one knows everything that was sent."""
    with service_manager(f"@enginewatch-{tmp_path.name}-{time.time_ns()}") as manager:
        environment = {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "400000"}
        daemon = made(tmp_path, mosquitto, database, ",".join(BLOCKING.values()), **environment)
        try:
            daemon.start()
            until(lambda: manager.said[:1] == ["READY=1"])
            until(lambda: manager.pings() > 2)
            daemon.tell(signal.SIGUSR2)
            publish(mosquitto, 0)
            until(lambda: len(daemon.logged("stage_stuck")) == len(BLOCKING), seconds=120)
            assert {each["stage"] for each in daemon.logged("stage_stuck")} == set(BLOCKING)
            before = manager.pings()
            time.sleep(1.0)  # five pings' worth
            assert manager.pings() == before
            daemon.kill()
        finally:
            daemon.close()
        before = len(manager.said)
        after = made(tmp_path, mosquitto, database, "", **environment)
        try:
            after.start()
            until(lambda: kept(after) == 2)
            after.stop()
        finally:
            after.close()
        until(lambda: manager.said[-1] == "STOPPING=1")
        said = manager.said[before:]
        assert said.index("EXTEND_TIMEOUT_USEC=60000000") < said.index("READY=1")  # the replay asks for time


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
