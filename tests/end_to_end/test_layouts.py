"""The same engines as different plants would publish them: real mosquitto, real daemon, the same scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from monitor.records import Status
from monitor.store import Store
from tests.rig import Daemon, run, until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.brokers import Mosquitto

ENGINES, SECONDS, RATE, SENSORS, WINDOW = 2, 50, 2, 15, 60
TICKS = SECONDS * RATE
CLASSES = {
    "message": "",
    "sensor": 'topics = ["{root}/uns/{site}/{asset}/{sensor}"]\npayload = "paths"\npaths.value = "value"',
    "line": 'topics = ["{root}/line/{site}/{asset}"]\npayload = "line"',
}


def settings(broker: Mosquitto) -> str:
    """One class a layout, all with the model that ships."""
    classes = "".join(
        f'[[classes]]\nname = "{layout}"\nmodel = "pretrained:engine"\nassets = ["{layout}/*"]\n{given}\n'
        for layout, given in CLASSES.items()
    )
    return f'[mqtt]\nhost = "{broker.host}"\nport = {broker.port}\n{classes}[log]\nformat = "json"\n'


def test_the_same_readings_have_the_same_scores_in_every_layout(tmp_path: Path, mosquitto: Mosquitto) -> None:
    """Fifteen messages a tick or one: every value arrives, and every row has the same score."""
    recording = tmp_path / "engines.csv"
    run("simulate", "--engines", ENGINES, "--duration", f"{SECONDS}s", "--seed", 3, "--out", recording)
    daemon = Daemon(tmp_path, settings(mosquitto))
    try:
        daemon.start()
        for layout in CLASSES:
            run(
                "replay", recording, "--asset-column", "asset", "--time-column", "time", "--speed", "max",
                "--layout", layout, "--site", layout, "--broker", f"mqtt://127.0.0.1:{mosquitto.port}",
            )  # fmt: skip
        sent = len(CLASSES) * ENGINES * TICKS * SENSORS
        until(lambda: daemon.accounted() == sent and daemon.books()["waiting"] == 0, why="all values in rows")
        assert daemon.books()["outcomes"]["in_row"] == sent
        assert daemon.books()["rows"]["scored"] == len(CLASSES) * ENGINES * (TICKS - WINDOW + 1)
        daemon.stop()
    finally:
        daemon.close()
    found = {
        (layout, engine): rows(daemon, f"{layout}//engine-{engine:02d}") for layout in CLASSES for engine in (1, 2)
    }
    for engine in (1, 2):
        status, score, contribution = found["message", engine]
        assert len(status) == TICKS
        assert np.count_nonzero(status == Status.SCORED) == TICKS - WINDOW + 1
        assert len(np.unique(score[WINDOW:])) > 1, "scores that are all alike would prove nothing"
        for layout in ("sensor", "line"):
            for ours, theirs in zip((status, score, contribution), found[layout, engine], strict=True):
                np.testing.assert_array_equal(theirs, ours)


def rows(daemon: Daemon, key: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Status (B,), score (B,) and contribution (B, C) of a stream, in the order of time."""
    store = Store(daemon.state / "store.db")
    parts = [
        (batch.rows.status[index], batch.rows.score[index], batch.rows.contribution[index])
        for batch in store.scores_after(0, 1_000_000)
        for index, stream in enumerate(batch.streams)
        if stream == key
    ]
    store.close()
    status, score, contribution = zip(*parts, strict=True)
    return np.array(status), np.array(score), np.stack(contribution)
