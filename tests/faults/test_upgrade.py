"""A state folder that another release has written: an older one's is gone on with, a newer one's is left alone."""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from monitor import checkpoint, journal, schema
from monitor.decode import encode_telemetry
from tests.line_house import SCRIPT, SPEC, House
from tests.rig import Daemon, plain_settings, run, until
from tests.servers.peers import Peer

if TYPE_CHECKING:
    from tests.servers.brokers import Mosquitto
    from tests.servers.influxd import Influxd

# By the daemon of commit 9e693b6, killed with -9: two assets, 110 rows that InfluxDB never got, two incidents that
# fired and were delivered over MQTT, and a journal with eight records behind the checkpoint.
OLDER = Path(__file__).parent.parent / "data" / "state-before-hidden-prediction.zip"
OPEN = {"d9f01d797fa14374": "sensor_range", "b00b3939dcdec449": "stale"}


def test_an_older_state_is_gone_on_with(tmp_path: Path, mosquitto: Mosquitto, database: Influxd) -> None:
    """Nothing is told again, what was not sent is, and the incidents that were open end under their names."""
    shutil.unpack_archive(OLDER, tmp_path / "state")
    text = plain_settings(mosquitto, tmp_path) + f'[influx]\nurl = "{database.url}"\nbucket = "engines"\n'
    asset = tmp_path / "asset.toml"
    asset.write_text(asset.read_text().replace('"load"', '"load"\nmin = 0.0\nmax = 100.0'))
    daemon = Daemon(tmp_path, text)
    with Peer(mosquitto, "enginewatch/v1/plant/+/alert/event") as subscriber:
        try:
            daemon.start()
            assert daemon.logged("recovered")[0]["replayed"] == 8
            assert daemon.books()["outcomes"]["in_row"] == 220
            until(lambda: database.count("anomaly") >= 110, why="the rows of before")
            until(lambda: database.count("alert_event") == 2, why="the transitions of before")
            began = time.time_ns() // 1_000_000 // 1000 * 1000 - 40_000
            with Peer(mosquitto) as peer:
                for number in range(30):
                    for name in "ab":
                        values = {"load": 50.0 + number % 5, "flow": 10.0 + number % 7}
                        made = encode_telemetry(time=began + 1000 * number, boot="c", seq=number, values=values)
                        peer.publish(f"enginewatch/v1/plant/{name}/telemetry", made)
            until(lambda: len(subscriber.messages) == 2, why="both have ended")
            until(lambda: daemon.books()["outcomes"]["in_row"] == 220 + 2 * 2 * 30)
            daemon.stop()
        finally:
            daemon.close()
    told = [json.loads(payload) for _, payload, _ in subscriber.messages]
    assert {each["incident_id"]: (each["kind"], each["transition"]) for each in told} == {
        name: (kind, "cleared") for name, kind in OPEN.items()
    }
    assert [each["event"] for each in daemon.logged("state_lost")] == []


@pytest.mark.parametrize("which", ["journal.db", "store.db", "checkpoint"])
def test_a_newer_state_is_refused_and_untouched(tmp_path: Path, which: str) -> None:
    """One line says which file, and how to go on; every byte is as it was."""
    state = tmp_path / "state"
    house = House(state)
    house.line.recover(SPEC)
    house.take(SCRIPT[:20])
    house.line.checkpoint()
    house.crash()
    if which == "checkpoint":
        path = checkpoint.saved(state)[0]
        newer = b"enginewatch checkpoint %d\n" % (checkpoint.FORMAT + 1)
        path.write_bytes(newer + path.read_bytes()[len(checkpoint.MAGIC) :])
    else:
        with closing(sqlite3.connect(state / which)) as connection:
            newest = {"journal.db": journal.FORMAT, "store.db": schema.FORMAT}[which]
            connection.execute(f"PRAGMA user_version = {newest + 1}")
    before = {path.name: path.read_bytes() for path in state.iterdir()}
    (tmp_path / "asset.toml").write_text('period_ms = 1000\n[[sensors]]\nname = "load"\n')
    (tmp_path / "enginewatch.toml").write_text('[[classes]]\nname = "pump"\nfile = "asset.toml"\n')
    said = run("monitor", folder=tmp_path, code=2).stderr.splitlines()
    assert len(said) == 1
    assert which in said[0]
    assert "this release reads up to" in said[0]
    after = {path.name: path.read_bytes() for path in state.iterdir()}
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) <= {"lock", "journal.db-shm", "store.db-shm", "journal.db-wal", "store.db-wal"}
