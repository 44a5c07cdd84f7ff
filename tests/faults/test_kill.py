"""The daemon killed with -9 at random moments under load: nothing missing, nothing doubled, same incidents."""

from __future__ import annotations

import json
import os
import random
import subprocess
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from monitor.incident import incident_id
from monitor.records import Status, Transition
from monitor.store import Store
from tests import recordings
from tests.rig import COMMAND, Daemon, settings, until
from tests.trained import WINDOW

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.brokers import Mosquitto
    from tests.servers.influxd import Influxd

pytestmark = pytest.mark.timeout(600)
KILLS = int(os.environ.get("ENGINEWATCH_KILLS", "4"))
SPEED = 1000 / (5 + 2.2 * KILLS)  # times real time: the load lasts longer than the kills
ROWS = 3 * 1000


def test_kill_under_load(tmp_path: Path, pump_model: Path, mosquitto: Mosquitto, database: Influxd) -> None:
    """After any number of kills the store, InfluxDB and the incidents are those of a run without any."""
    chance = random.Random(2)  # noqa: S311 - moments, not secrets
    extra = "[store]\ncheckpoint_s = 2"
    daemon = Daemon(tmp_path, settings(mosquitto, pump_model, influx=database.url, extra=extra))
    summary = tmp_path / "summary.json"
    replay = None
    try:
        daemon.start()
        replay = _replay(tmp_path, mosquitto, summary)
        for _ in range(KILLS):
            time.sleep(chance.uniform(0.1, 1.2))
            daemon.kill()
            daemon.start()
        assert replay.poll() is None, "the load must outlast the kills"
        assert replay.wait(300) == 0
        values = json.loads(summary.read_text())["acknowledged_values"]
        assert values == ROWS * len(recordings.SENSORS)
        until(lambda: daemon.books().get("outcomes", {}).get("in_row") == values, why="all values in rows")
        until(lambda: database.count("anomaly") == ROWS, why="all rows in InfluxDB")
        daemon.stop()
    finally:
        if replay is not None:
            replay.kill()
            replay.wait()
        daemon.close()
    _rows_are_whole(daemon)
    # Sent again after a kill, because its acknowledgement had not left: known as a repeat.
    books = daemon.books()
    outcomes = books["outcomes"]
    assert outcomes == {**dict.fromkeys(outcomes, 0), "in_row": values, "duplicate": outcomes["duplicate"]}
    assert books["rows"]["warming_up"] == 3 * (WINDOW - 1)
    _one_incident(daemon)


def _replay(folder: Path, broker: Mosquitto, summary: Path) -> subprocess.Popen[bytes]:
    """Publish the pumps, faster than they ran, while other things happen."""
    return subprocess.Popen(
        [
            *COMMAND, "replay", str(recordings.live(folder)), "--broker", f"mqtt://127.0.0.1:{broker.port}",
            "--site", "plant", "--asset-column", "asset", "--period-ms", "1000", "--speed", str(SPEED),
            "--summary", str(summary),
        ],
        stdout=subprocess.DEVNULL,
    )  # fmt: skip


def _rows_are_whole(daemon: Daemon) -> None:
    """Every tick of every pump has one row, and only the first window's worth is not scored."""
    store = Store(daemon.state / "store.db")
    batches = list(store.latest_scores())
    rows = Counter(
        (stream, int(time)) for batch in batches for stream, time in zip(batch.streams, batch.time, strict=True)
    )
    scored = sum(int((batch.rows.status == Status.SCORED).sum()) for batch in batches)
    store.close()
    assert len(rows) == ROWS
    assert set(rows.values()) == {1}
    assert scored == ROWS - 3 * (WINDOW - 1)


def _one_incident(daemon: Daemon) -> None:
    """One fired, one cleared; and its id is what its stream and start make it."""
    store = Store(daemon.state / "store.db")
    events = [event for _, event in store.events_after(0, 100)]
    store.close()
    assert [(event.stream, event.transition) for event in events] == [
        ("plant//pump-1", Transition.FIRED),
        ("plant//pump-1", Transition.CLEARED),
    ]
    expected = incident_id("plant//pump-1", "anomaly", "", events[0].started)
    assert {event.incident_id for event in events} == {expected}
