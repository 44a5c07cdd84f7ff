"""A new plant's first day, fast: recorded without a model, watched by limits, a model made of it and promoted.

With a real daemon and broker, killed in between; what the readings are is in `tests.recordings`.
"""

from __future__ import annotations

import io
import time
from collections import Counter
from contextlib import redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING, Any

import pytest

from models.artifact import load_header
from monitor.cli import main
from monitor.decode import encode_telemetry
from monitor.records import Status
from monitor.store import Store
from tests import recordings
from tests.rig import Daemon, json_lines, plain_settings, run, until
from tests.servers.peers import Peer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.brokers import Mosquitto

ROWS, WINDOW = 600, 30
FAULT = slice(400, 500)  # rows of pump 1 in which its pressure is 150 kPa too low
LEARNING = "[learning]\nwanted_hours = 0.4\nlimits_after_hours = 0.08\n[store]\ncheckpoint_s = 1\n"


class Plant:
    """Three pumps that go on where they stopped, and the daemon that listens."""

    def __init__(self, folder: Path, broker: Mosquitto) -> None:
        text = plain_settings(broker, folder, extra=LEARNING)
        sensors = "".join(f'[[sensors]]\nname = "{name}"\n' for name in recordings.SENSORS)
        (folder / "asset.toml").write_text(f"period_ms = 1000\none_reading_per_tick = true\n{sensors}")
        self.daemon = Daemon(folder, text)
        self.broker = broker
        self.began = int(time.time()) * 1000 - 3 * 3_600_000
        self.values = [recordings.pump(2 * ROWS, 50 + number) for number in range(3)]
        self.values[1][FAULT, recordings.SENSORS.index("pressure")] -= 150
        self.row = 0

    def run(self, rows: int) -> None:
        """Publish the next rows of all pumps, and wait until the store has them."""
        with Peer(self.broker) as peer:
            for number, values in enumerate(self.values):
                part = values[self.row : self.row + rows]
                payloads = [
                    encode_telemetry(
                        time=self.began + (self.row + index) * 1000,
                        boot="b",
                        seq=self.row + index,
                        values=dict(zip(recordings.SENSORS, row.tolist(), strict=True)),
                    )
                    for index, row in enumerate(part)
                ]
                peer.publish_all(f"enginewatch/v1/plant/pump-{number}/telemetry", payloads)
        self.row += rows
        until(lambda: len(self.rows()) == 3 * self.row, why="a row for every tick")

    def rows(self) -> dict[tuple[str, int], Status]:
        """The status of every row, by asset and tick since the beginning; each is there once."""
        store = Store(self.daemon.state / "store.db")
        try:
            found = [
                ((stream, (int(at) - self.began) // 1000), Status(status))
                for batch in store.latest_scores()
                for stream, at, status in zip(batch.streams, batch.time, batch.rows.status, strict=True)
            ]
        finally:
            store.close()
        assert len(dict(found)) == len(found)
        return dict(found)

    def statuses(self, first: int, last: int) -> Counter[Status]:
        """How many rows of these ticks have which status."""
        return Counter(status for (_, tick), status in self.rows().items() if first <= tick < last)

    def restart(self) -> None:
        self.daemon.kill()
        self.daemon.start()

    def ask(self, *arguments: str, code: int = 0) -> tuple[str, str]:
        """What a command that looks or asks says, on standard output and error; in this process."""
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            assert main([*arguments, "--state", str(self.daemon.state)]) == code
        return out.getvalue(), err.getvalue()

    def models(self) -> list[dict[str, Any]]:
        return list(json_lines(self.ask("models", "list", "--json")[0]))

    def alerts(self) -> list[dict[str, Any]]:
        return list(json_lines(self.ask("alerts", "--json")[0]))


@pytest.fixture
def plant(tmp_path: Path, mosquitto: Mosquitto) -> Iterator[Plant]:
    made = Plant(tmp_path, mosquitto)
    try:
        made.daemon.start()
        yield made
    finally:
        made.daemon.close()


def test_from_no_model_to_the_first_and_back(plant: Plant, tmp_path: Path) -> None:
    """No tick is without its row, none is scored twice, and a kill changes nothing of all this."""
    plant.run(ROWS // 2)
    plant.restart()
    plant.run(ROWS // 2)
    assert plant.statuses(0, ROWS) == {Status.LEARNING: 3 * ROWS}

    alerts = plant.alerts()
    told = [(event["stream"], event["kind"], event["transition"]) for event in alerts]
    assert told == [("plant//pump-1", "limit", "fired"), ("plant//pump-1", "limit", "cleared")]
    assert alerts[0]["summary"].startswith("limits, no model yet: pressure ")
    assert alerts[0]["score"] is None
    assert 400 <= (alerts[0]["started"] - plant.began) // 1000 <= 404

    # Normal running is what is in no incident: of pump 1 the fault's rows are not, nor those until it cleared.
    least = 1000 * (3 * ROWS - 150)
    until(lambda: plant.models()[0]["learning"]["normal_ms"] >= least, why="the books as they are noted now")
    (row,) = plant.models()
    assert (row["class"], row["state"], row["by"]) == ("machine", "no model", "settings")
    assert row["learning"]["assets"] == 3
    assert row["learning"]["normal_ms"] <= 1000 * (3 * ROWS - 100)
    assert row["learning"]["wanted_ms"] == 1_440_000
    assert "of normal running of at least 24 min, enough for a first model" in plant.ask("scores")[1]

    out = tmp_path / "first"
    trained = run(
        "train", "--from-store", "--out", out, "--window", WINDOW, "--epochs", 1, "--hidden", 8, folder=tmp_path
    )
    header = load_header(out)
    assert f"{3 * ROWS} rows of 3 assets in the store" in trained.stderr
    assert 3 * ROWS - 250 < header.data.rows < 3 * ROWS - 100
    assert [sensor.name for sensor in header.sensors] == list(recordings.SENSORS)

    done, _ = plant.ask("models", "promote", str(out), "--who", "ann")
    assert done.startswith(f"class machine: the model first ({header.hash[:12]}) is in use; windows of 30 ")
    plant.run(20)
    assert plant.statuses(ROWS, ROWS + 20) == {Status.SCORED: 60}
    plant.restart()
    plant.run(20)
    assert plant.statuses(ROWS + 20, ROWS + 40) == {Status.SCORED: 60}
    now, before = plant.models()
    assert (now["state"], now["hash"], now["by"], now["who"]) == ("in use", header.hash, "promote", "ann")
    assert before["state"] == "earlier, no model"
    assert plant.ask("models", "show")[0] == (out / "card.md").read_text()

    back, _ = plant.ask("models", "rollback")
    assert back == "class machine: without a model again, after first: it learns, and simple limits watch\n"
    plant.run(20)
    assert plant.statuses(ROWS + 40, ROWS + 60) == {Status.LEARNING: 60}
    assert [row["state"] for row in plant.models()] == ["no model", "rolled back"]
    assert "has no model before the one in use" in plant.ask("models", "rollback", code=1)[1]
    assert plant.alerts()[:2] == alerts
    plant.daemon.stop()


def test_too_little_is_refused_with_the_numbers(plant: Plant, tmp_path: Path) -> None:
    plant.run(20)
    _, said = plant.ask("train", "--from-store", "--out", str(tmp_path / "m"), code=2)
    assert "nothing to train on: 60 rows of 3 assets in the store, 0 of them in or before an incident" in said
    assert "header.json cannot be read" in plant.ask("models", "promote", str(tmp_path / "m"), code=1)[1]
    plant.daemon.stop()
