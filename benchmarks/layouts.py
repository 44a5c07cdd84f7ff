"""A recorded car in two layouts, through real mosquitto and the real daemon: its scores side by side.

    python -m benchmarks.layouts --data FOLDER --model FOLDER [--drives 3]

FOLDER holds carobd.parquet (column `drive` names the drive, one row a second). The first drives are replayed
twice: one message a tick, and one sensor a topic with value and time in the payload (a unified namespace). Without
a model one is trained on the other drives. Prints the figures as JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from monitor.records import Status
from monitor.store import Store
from tests.rig import Daemon, run, until
from tests.servers.brokers import Mosquitto

if TYPE_CHECKING:
    from monitor.records import Float32

COLUMNS = ("--asset-column", "drive", "--period-ms", 1000, "--exclude", "row,anomaly")
LAYOUTS = {
    "message": "",
    "sensor": 'topics = ["{root}/uns/{site}/{asset}/{sensor}"]\npayload = "paths"\npaths.value = "value"\n',
}


def settings(broker: Mosquitto, model: Path) -> str:
    """A class a layout, both with this model and its sensors."""
    classes = "".join(
        f'[[classes]]\nname = "{layout}"\nfile = "{model / "asset.toml"}"\nmodel = "{model}"\n'
        f'assets = ["{layout}/*"]\n{given}'
        for layout, given in LAYOUTS.items()
    )
    return f'[mqtt]\nport = {broker.port}\n{classes}[log]\nformat = "json"\n'


def replay(data: Path, drives: list[str], layout: str, broker: Mosquitto, summary: Path) -> dict[str, Any]:
    """Publish the drives; returns the counts."""
    run(
        "replay", data, *COLUMNS, "--assets", ",".join(drives), "--layout", layout, "--site", layout,
        "--broker", f"mqtt://127.0.0.1:{broker.port}", "--speed", "max", "--summary", summary, seconds=3600,
    )  # fmt: skip
    counts: dict[str, Any] = json.loads(summary.read_text())
    return counts


def scores(folder: Path) -> dict[str, Float32]:
    """By stream key, score and contributions (B, 1 + C) of its scored rows in the order of time."""
    store = Store(folder / "store.db")
    found: dict[str, list[Float32]] = {}
    for batch in store.scores_after(0, 1 << 30):
        for row in np.flatnonzero(batch.rows.status == Status.SCORED):
            made = np.r_[batch.rows.score[row], batch.rows.contribution[row]]
            found.setdefault(batch.streams[row], []).append(made)
    store.close()
    return {key: np.stack(parts) for key, parts in found.items()}


def compared(found: dict[str, Float32], drives: list[str]) -> dict[str, Any]:
    """How the scores of the two layouts compare, all drives together."""
    rows, equal, largest = 0, 0, 0.0
    for drive in drives:
        ours, theirs = found[f"message//{drive}"], found[f"sensor//{drive}"]
        assert ours.shape == theirs.shape, f"{drive}: {ours.shape} and {theirs.shape}"
        rows += len(ours)
        equal += int(np.all((ours == theirs) | (np.isnan(ours) & np.isnan(theirs)), axis=1).sum())
        largest = max(largest, float(np.abs(ours[:, 0] - theirs[:, 0]).max()))
    return {"scored_rows": rows, "equal_rows": equal, "largest_difference": largest}


def wait(daemon: Daemon, values: int) -> None:
    """Until so many values have their outcome."""
    until(lambda: daemon.accounted() >= values and not daemon.books()["waiting"], seconds=1800)


def main() -> None:
    """Run it and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path, help="a trained artifact; else one is trained")
    parser.add_argument("--drives", type=int, default=3, help="how many are replayed (3)")
    options = parser.parse_args()
    import pyarrow.parquet  # noqa: PLC0415 - the usage is shown without it

    recording = options.data / "carobd.parquet"
    names = pyarrow.parquet.read_table(recording, columns=["drive"])["drive"].to_pylist()
    drives = list(dict.fromkeys(names))[: options.drives]
    with tempfile.TemporaryDirectory(prefix="enginewatch-") as name:
        folder = Path(name)
        model = options.model or folder / "car"
        if options.model is None:
            others = ",".join(f"!{drive}" for drive in drives)
            run("train", recording, *COLUMNS, "--assets", others, "--epochs", 3, "--out", model, seconds=3600)
        figures: dict[str, Any] = {"drives": drives}
        with Mosquitto(folder / "broker") as broker:
            daemon = Daemon(folder, settings(broker, model.resolve()))
            try:
                daemon.start()
                sent = 0
                for layout in LAYOUTS:
                    began = time.monotonic()
                    counts = replay(recording, drives, layout, broker, folder / "summary.json")
                    sent += counts["acknowledged_values"]
                    wait(daemon, sent)
                    took = time.monotonic() - began
                    rate = round(counts["messages"] / took)
                    figures[layout] = {"messages": counts["messages"], "messages_per_second": rate}
                figures["outcomes"] = daemon.books()["outcomes"]
                daemon.stop()
            finally:
                daemon.close()
        figures |= compared(scores(daemon.state), drives)
    json.dump(figures, sys.stdout, indent=2)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
