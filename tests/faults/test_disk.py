"""The daemon on a disk without room: it acknowledges nothing, stays, and goes on by itself when there is room."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from monitor.decode import encode_telemetry
from tests.faults.house import FRESH_LIMIT_S, House
from tests.faults.proxy import Proxy
from tests.faults.report import Finding, tell
from tests.faults.size import FULL, only_full, tries
from tests.rig import Daemon, answer, json_lines, plain_settings, run, small_disk, until
from tests.servers.peers import Peer

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.brokers import Mosquitto
    from tests.servers.influxd import Influxd

pytestmark = pytest.mark.timeout(3600)
TOLD = '"event":"disk_full"'
PUBACK = 4  # its type of packet
LONG = 0x80  # from here on a packet's length takes more than one byte
MESSAGES = 40
STALE_MS = 2000
EXTRA = f"[daemon]\nstuck_after_s = 3\n[alert]\nstale_after_s = {STALE_MS // 1000}\n[store]\ncheckpoint_s = 0.5"


def test_a_disk_that_fills_up_loses_nothing(tmp_path: Path, mosquitto: Mosquitto) -> None:
    """Even when the broker restarts meanwhile; and silence that the disk brought about is nobody's alert."""
    daemon = Daemon(tmp_path, plain_settings(mosquitto, tmp_path, extra=EXTRA))
    with small_disk(tmp_path / "state", "3m") as fill:
        try:
            daemon.start()
            began = time.time_ns() // 1_000_000 - MESSAGES * 1000
            _publish(mosquitto, began, range(MESSAGES // 2))
            until(lambda: daemon.accounted() == MESSAGES)
            filler = fill()
            until(lambda: '"event":"disk_full"' in daemon.log.read_text())
            _publish(mosquitto, began, range(MESSAGES // 2, MESSAGES))
            refused = run("incidents", "accept", "plant//pump", folder=tmp_path, code=1)
            assert "not carried out: the journal" in refused.stderr
            mosquitto.stop()
            mosquitto.start()
            until(lambda: daemon.log.read_text().count('"event":"listening"') == 2)
            time.sleep(STALE_MS / 1000 + 0.5)  # longer than a silence that is an alert
            assert daemon.process is not None
            assert daemon.process.poll() is None, daemon.log.read_text()
            room_again = time.time_ns() // 1_000_000
            filler.unlink()
            until(lambda: daemon.accounted() >= 2 * MESSAGES)
            until(lambda: daemon.books()["outcomes"]["in_row"] == 2 * MESSAGES, why="every value in a row")
            alerts = json_lines(run("alerts", "--json", folder=tmp_path).stdout)
            assert not [each for each in alerts if 0 <= each["recorded"] - room_again < STALE_MS]
            daemon.stop()
        finally:
            daemon.close()
    assert '"event":"disk_has_room"' in daemon.log.read_text()
    assert daemon.logged("stage_stuck") == []  # waiting for room is no standing still


def test_nothing_is_acknowledged_while_the_disk_is_full(
    tmp_path: Path, pump_model: Path, mosquitto: Mosquitto, database: Influxd
) -> None:
    """Row 11: no PUBACK leaves while there is no room, nor is it ready; with room all goes on by itself."""
    only_full()  # as the test before, with a plant and its oracle
    times = tries(1, 10)
    leaving: list[int] = []  # the type of each packet that the daemon sends

    def note(piece: bytes) -> bytes:
        rest = piece
        while rest:  # all but CONNECT and alerts, which are no PUBACKs either, are short
            leaving.append(rest[0] >> 4)
            rest = rest[2 + rest[1] :] if len(rest) > 1 and rest[1] < LONG else b""
        return piece

    acknowledged, recovery = 0, 0.0
    with (
        small_disk(tmp_path / "state", "32m") as fill,
        Proxy(mosquitto.host, mosquitto.port) as cable,
        House(tmp_path, pump_model, mosquitto, database, ticks=2_000, broker_proxy=cable) as house,
    ):
        cable.to_server = note
        house.begin()
        address = house.daemon.facts()["http"]
        for number in range(times):
            filler = fill()
            with house.plant.load(20.0):
                until(lambda number=number: house.daemon.log.read_text().count(TOLD) > number, why="a full disk")  # type: ignore[misc]  # bound at once
                time.sleep(0.5)  # what was acknowledged before has left
                before = leaving.count(PUBACK)
                time.sleep(2.0)
                acknowledged += leaving.count(PUBACK) - before
                status, said = answer(address, "/readyz")
                assert (status, said["status"]) == (503, "not ready")
                assert any("disk is full" in reason for reason in said["reasons"])
            assert leaving.count(PUBACK) > 0
            assert house.daemon.process is not None
            assert house.daemon.process.poll() is None, house.daemon.log.read_text()
            filler.unlink()
            recovery = max(recovery, house.fresh())
            until(lambda: answer(address, "/readyz")[0] == 200, why="ready again")
        verdict = house.finish()
    remark = f"{acknowledged} acknowledged while full, which readyz says"
    tell(Finding.of(11, "disk full", times, verdict, recovery, remark))
    assert verdict.clean, verdict
    assert acknowledged == 0
    if FULL:
        assert recovery <= FRESH_LIMIT_S


def _publish(broker: Mosquitto, began: int, numbers: range) -> None:
    """A reading of two values a second of event time; returns when the broker has them."""
    with Peer(broker) as peer:
        for number in numbers:
            values = {"load": 50.0 + number, "flow": 110.0}
            payload = encode_telemetry(time=began + number * 1000, boot="b", seq=number, values=values)
            peer.publish("enginewatch/v1/plant/pump/telemetry", payload)
