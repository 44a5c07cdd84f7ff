"""Time that jumps: the daemon stopped for a minute, and its clock set forwards and back by an hour, under load."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import recordings
from tests.faults.house import House
from tests.faults.plant import PERIOD_MS
from tests.faults.report import Finding, tell
from tests.faults.size import only_full, tries
from tests.rig import json_lines, run

if TYPE_CHECKING:
    from tests.servers.brokers import Mosquitto
    from tests.servers.influxd import Influxd

pytestmark = pytest.mark.timeout(600)
STOPPED_S = tries(8, 60)
JUMP_S = tries(4, 30)  # how long a wrong clock stays wrong
HOUR_S = 3600
PAST = 400  # ticks that lie before now when the plant begins: more than are sent, so that none lies in the future
# So much silence is an alert of its own: less than the daemon is stopped, and than the clock jumps.
ALERT = "[alert]\nstale_after_s = 6"
LIBRARIES = [*Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), Path("/usr/lib/faketime/libfaketime.so.1")]


def test_stopped_for_a_minute(tmp_path: Path, pump_model: Path, mosquitto: Mosquitto, database: Influxd) -> None:
    """Row 23: SIGSTOP, and SIGCONT after longer than any time-out; the broker has hung up meanwhile."""
    with House(
        tmp_path, pump_model, mosquitto, database, ticks=400 + 10 * STOPPED_S, mqtt="keepalive_s = 10", alert=ALERT
    ) as house:
        house.begin()
        assert house.daemon.process is not None
        with house.plant.load(5.0):
            time.sleep(0.5)
            before = _silences(tmp_path)
            os.kill(house.daemon.process.pid, signal.SIGSTOP)
            time.sleep(STOPPED_S)
            os.kill(house.daemon.process.pid, signal.SIGCONT)
            time.sleep(3)
            after = _silences(tmp_path)
        recovery = house.fresh()
        verdict = house.finish()
    tell(Finding.of(23, f"daemon stopped for {STOPPED_S} s", 1, verdict, recovery))
    assert verdict.clean, verdict
    assert after == before


@pytest.mark.parametrize("offset", [HOUR_S, -HOUR_S], ids=["forwards", "back"])
def test_the_clock_jumps(
    offset: int, tmp_path: Path, pump_model: Path, mosquitto: Mosquitto, database: Influxd
) -> None:
    """Row 23: the host's clock goes wrong by an hour, and is set right again; the pumps' clocks are right.

    Where many pumps seem to be ahead it is the host's clock that is blamed. The first values until then are
    quarantined: that is an outcome, and no loss.
    """
    if offset > 0:
        only_full()  # the other way comes back forwards
    library = next((each for each in LIBRARIES if each.exists()), None)
    if library is None:
        pytest.skip("libfaketime is not installed")
    clock = tmp_path / "clock"
    clock.write_text("+0")
    variables = {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_CACHE_DURATION": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }
    began = (time.time_ns() // 1_000_000 // PERIOD_MS - PAST) * PERIOD_MS
    with House(
        tmp_path, pump_model, mosquitto, database, ticks=PAST + 600, began=began, alert=ALERT, variables=variables
    ) as house:
        house.begin()
        with house.plant.load(2.0):
            time.sleep(1)
            before = _silences(tmp_path)
            for shift in (offset, 0):
                (tmp_path / "clock.new").write_text(f"{shift:+d}")
                (tmp_path / "clock.new").replace(clock)
                time.sleep(JUMP_S)
            after = _silences(tmp_path)
        recovery = house.fresh()
        verdict = house.finish(whole=False)
        outcomes = house.daemon.books()["outcomes"]
        told = [each["event"] for each in json_lines(house.daemon.log.read_text()) if "clock" in each["event"]]
    quarantined = outcomes["quarantined"] // len(recordings.SENSORS)
    verdict.missing["readings"] = abs(verdict.missing["readings"] - quarantined)
    way = "forwards" if offset > 0 else "back"
    remark = f"{outcomes['quarantined']} values quarantined, told: {', '.join(told) or 'nothing'}"
    tell(Finding.of(23, f"clock an hour {way} and right again", 1, verdict, recovery, remark))
    assert verdict.clean, (verdict, outcomes, told)
    assert after == before


def _silences(folder: Path) -> int:
    """How often an asset was told to be silent."""
    alerts = json_lines(run("alerts", "--json", folder=folder).stdout)
    return sum(each["kind"] == "stale" for each in alerts)
