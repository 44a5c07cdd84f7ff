"""The whole line with real parts: train, replay, mosquitto, daemon, influxd, and a subscriber to the alerts."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

from tests import recordings
from tests.rig import Daemon, json_lines, run, settings, until
from tests.trained import WINDOW

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.brokers import Mosquitto
    from tests.servers.influxd import Influxd

FAULTY = "plant//pump-1"


def test_from_recording_to_influxdb_and_alert(
    tmp_path: Path, pump_model: Path, mosquitto: Mosquitto, database: Influxd
) -> None:
    """Every value has its outcome, every row is read back from InfluxDB, the fault alone is an incident."""
    daemon = Daemon(tmp_path, settings(mosquitto, pump_model, influx=database.url))
    try:
        daemon.start()
        replay = _replay(tmp_path, mosquitto)
        values = replay["acknowledged_values"]
        assert values == 3 * 1000 * 4
        until(lambda: daemon.accounted() == values and daemon.books()["waiting"] == 0, why="all values in rows")
        books = daemon.books()
        assert books["outcomes"] == {**dict.fromkeys(books["outcomes"], 0), "in_row": values}
        # One row a tick and pump; a window warms up for all but its last tick.
        assert books["rows"]["warming_up"] == 3 * (WINDOW - 1)
        assert books["rows"]["scored"] == 3 * (1000 - WINDOW + 1)
        until(lambda: database.count("anomaly") == 3000, why="rows in InfluxDB")
        scored = database.query("SELECT count(score) FROM anomaly", "engines")
        assert scored[0]["count"] == books["rows"]["scored"]

        _incident_stands_where_the_fault_is(tmp_path, replay["start_time"])
        # What a subscriber sees who comes later: the retained list, empty since it cleared.
        topic = "enginewatch/v1/plant/pump-1/alert"
        seen = subprocess.run(
            ["mosquitto_sub", "-p", str(mosquitto.port), "-t", topic, "-C", "1", "-W", "20"],
            capture_output=True, check=True,
        )  # fmt: skip
        assert json.loads(seen.stdout) == []
        fired = database.query("SELECT * FROM alert_event WHERE transition = 'fired'", "engines")
        assert [(row["asset"], row["kind"]) for row in fired] == [("pump-1", "anomaly")]
        daemon.stop()
    finally:
        daemon.close()


def _replay(folder: Path, broker: Mosquitto) -> dict[str, Any]:
    """Send the pumps as fast as they are acknowledged; returns the summary."""
    summary = folder / "summary.json"
    run(
        "replay", recordings.live(folder), "--broker", f"mqtt://127.0.0.1:{broker.port}", "--site", "plant",
        "--asset-column", "asset", "--period-ms", "1000", "--speed", "max", "--summary", summary,
    )  # fmt: skip
    counts: dict[str, Any] = json.loads(summary.read_text())
    return counts


def _incident_stands_where_the_fault_is(folder: Path, start_time: dict[str, int]) -> None:
    events = json_lines(run("alerts", "--json", folder=folder).stdout)
    assert [(event["stream"], event["kind"], event["transition"]) for event in events] == [
        (FAULTY, "anomaly", "fired"),
        (FAULTY, "anomaly", "cleared"),
    ]
    began = start_time["pump-1"] + recordings.FAULT[0] * 1000
    ended = start_time["pump-1"] + recordings.FAULT[1] * 1000
    assert began <= events[0]["time"] < began + 60_000
    assert ended <= events[1]["time"] < ended + 180_000
    assert events[0]["top"][0]["sensor"] == "pressure"
    # It fell by 40, of which a part shows in what the other sensors make expected; the noise is 0.8.
    assert events[0]["top"][0]["actual"] < events[0]["top"][0]["expected"] - 10


def test_the_daemon_starts_without_any_server(tmp_path: Path, pump_model: Path, mosquitto: Mosquitto) -> None:
    """Started in any order: what was published while neither broker nor daemon could know each other arrives."""
    mosquitto.stop()
    daemon = Daemon(tmp_path, settings(mosquitto, pump_model))
    try:
        daemon.start(listening=False)
        until(lambda: "mqtt.host" in daemon.facts().get("broker", ""), why="the refusal, in words")
        mosquitto.start()
        until(lambda: daemon.facts().get("broker") == "connected")
        values = _replay(tmp_path, mosquitto)["acknowledged_values"]
        until(lambda: daemon.accounted() == values)
        daemon.stop()
    finally:
        daemon.close()
