"""A recorded car through the whole line with real servers: the counts, and the incidents against the known faults.

    python -m benchmarks.recorded_car --data FOLDER [--model FOLDER]

FOLDER holds carobd.parquet (column `drive` names the drive, one row a second) and carobd_events.csv (drive, start
and end row, kind, sensor of each injected fault). Drives without a fault train the model, the others are replayed,
each as an asset, through mosquitto into the daemon and on to influxd. Prints the figures as JSON.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.events import Event, Incident, match, summed
from tests.rig import Daemon, json_lines, run, settings, until
from tests.servers.brokers import Mosquitto
from tests.servers.influxd import Influxd

PERIOD_MS = 1000
EXCLUDED = "row,anomaly"


@dataclass(frozen=True, slots=True)
class Fault:
    """One injected fault: rows of a drive."""

    drive: str
    start: int
    end: int
    kind: str


def faults(path: Path) -> list[Fault]:
    """The known faults."""
    with path.open(newline="") as file:
        return [Fault(r["drive"], int(r["start"]), int(r["end"]), r["kind"]) for r in csv.DictReader(file)]


def train(data: Path, drives: set[str], out: Path) -> None:
    """Train on the drives without a fault, with the command's own defaults."""
    run(
        "train", data, "--asset-column", "drive", "--period-ms", PERIOD_MS, "--exclude", EXCLUDED,
        "--assets", ",".join(f"!{drive}" for drive in sorted(drives)), "--out", out,
        seconds=3600,
    )  # fmt: skip


def incidents(alerts: list[dict[str, Any]], start_time: dict[str, int]) -> dict[str, list[Incident]]:
    """The anomaly incidents of each drive, in its rows; one that never cleared stays open."""
    ends = {event["incident_id"]: event["time"] for event in alerts if event["transition"] == "cleared"}
    found: dict[str, list[Incident]] = {}
    for event in alerts:
        if event["kind"] == "anomaly" and event["transition"] == "fired":
            drive = event["stream"].rpartition("/")[2]
            fired = (event["time"] - start_time[drive]) // PERIOD_MS
            end = ends.get(event["incident_id"])
            cleared = None if end is None else (end - start_time[drive]) // PERIOD_MS
            found.setdefault(drive, []).append(Incident(fired, cleared))
    return found


def judge(found: dict[str, list[Incident]], known: list[Fault], window: int) -> dict[str, Any]:
    """Which faults were told, by kind, and how many incidents were false: as `models.events` says."""
    drives = sorted({fault.drive for fault in known} | set(found))
    total = summed(
        match(
            [Event(each.start, each.end, each.kind) for each in known if each.drive == drive],
            found.get(drive, ()),
            window,
        )
        for drive in drives
    )
    return {
        "incidents": sum(map(len, found.values())),
        "found": total.found,
        "of": total.events,
        "hidden": total.hidden,
        "by_kind": {
            kind: f"{total.found_of_kind[kind]} of {count}" for kind, count in sorted(total.of_kind.items())
        },
        "false": total.false,
    }


def line(folder: Path, data: Path, model: Path, drives: set[str], extra: str) -> dict[str, Any]:
    """Replay the drives through real servers; returns the counts and the alerts."""
    with Mosquitto(folder / "broker") as broker, Influxd(folder / "influx") as influx:
        influx.create_database("engines")
        daemon = Daemon(folder, settings(broker, model, influx=influx.url, extra=extra))
        try:
            daemon.start()
            began = time.monotonic()
            run(
                "replay", data, "--broker", f"mqtt://127.0.0.1:{broker.port}", "--asset-column", "drive",
                "--period-ms", PERIOD_MS, "--exclude", EXCLUDED, "--assets", ",".join(sorted(drives)),
                "--speed", "max", "--summary", folder / "summary.json", seconds=3600,
            )  # fmt: skip
            sent = json.loads((folder / "summary.json").read_text())
            values = sent["acknowledged_values"]
            until(lambda: daemon.accounted() >= values and not daemon.books()["waiting"], seconds=1800)
            took = time.monotonic() - began
            rows = sum(daemon.books()["rows"].values())
            until(lambda: influx.count("anomaly") == rows, seconds=600)
            daemon.stop()
            alerts = json_lines(run("alerts", "--json", "-n", 100_000, folder=folder).stdout)
            return {
                "sent": sent,
                "books": daemon.books(),
                "read_back_from_influxd": influx.count("anomaly"),
                "rows_per_second": round(sent["messages"] / took),
                "alerts": alerts,
            }
        finally:
            daemon.close()


def main() -> None:
    """Run it and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path, help="a trained artifact; else one is trained")
    parser.add_argument("--extra", default="", help="further settings, as TOML")
    options = parser.parse_args()
    known = faults(options.data / "carobd_events.csv")
    drives = {fault.drive for fault in known}
    recording = options.data / "carobd.parquet"
    with tempfile.TemporaryDirectory(prefix="enginewatch-") as name:
        folder = Path(name)
        model = options.model or folder / "car"
        if options.model is None:
            train(recording, drives, model)
        window = json.loads((model / "header.json").read_text())["window"]
        made = line(folder, recording, model, drives, options.extra)
    hours = made["sent"]["messages"] * PERIOD_MS / 3_600_000
    judged = judge(incidents(made["alerts"], made["sent"]["start_time"]), known, window)
    figures = {
        "values_acknowledged": made["sent"]["acknowledged_values"],
        **made["books"],
        "read_back_from_influxd": made["read_back_from_influxd"],
        "rows_per_second": made["rows_per_second"],
        "hours": round(hours, 1),
        **judged,
        "false_per_hour": round(judged["false"] / hours, 2),
    }
    json.dump(figures, sys.stdout, indent=2)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
