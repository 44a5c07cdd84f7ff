"""An engine that starts, idles, pulls and stops, through the real daemon: regimes, statuses, coverage."""

from __future__ import annotations

import csv
import itertools
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from config.shipped import asset_file
from monitor.decode import encode_status, encode_telemetry
from tests.rig import Daemon, json_lines, run, until
from tests.servers.peers import Peer

if TYPE_CHECKING:
    from tests.servers.brokers import Mosquitto

WINDOW, PERIOD = 60, 500  # of the shipped model
OFF_ROWS, RUNNING_ROWS = 60, 400
ENGINE = "enginewatch/v1/site/engine"
REGIMES = """
[regimes]
off = "engine_speed < 50"
idle = "engine_speed < 1000 and engine_load < 35"
load = { when = "engine_load >= 60", min_rows = 300 }
"""


def drive(folder: Path) -> list[dict[str, float]]:
    """The readings of an engine that stands, is driven through a town and stands again, by the simulator."""
    path = folder / "drive.csv"
    run(
        "simulate", "--engines", "1", "--duration", f"{RUNNING_ROWS // 2}s", "--duty", "urban", "--seed", "3",
        "--out", path,
    )  # fmt: skip
    with path.open() as file:
        rows = [
            {name: float(value) for name, value in row.items() if value and name not in {"time", "asset"}}
            for row in csv.DictReader(file)
        ]
    rows = rows[:RUNNING_ROWS]
    still = dict.fromkeys(rows[0], 0.0) | {"coolant_temperature": 20.0, "oil_temperature": 20.0, "map": 101.0}
    return [still] * OFF_ROWS + rows + [still] * OFF_ROWS


def expected(rows: list[dict[str, float]]) -> list[tuple[str, str]]:
    """Regime and status of every row, by hand: a window is scored 60 rows after the engine was off."""
    found = []
    since_off = 0
    for row in rows:
        speed, load = row["engine_speed"], row["engine_load"]
        since_off = 0 if speed < 50 else since_off + 1
        if speed < 50:
            found.append(("off", "regime"))
        else:
            regime = "idle" if speed < 1000 and load < 35 else "load" if load >= 60 else "running"
            found.append((regime, "scored" if since_off >= WINDOW else "warming_up"))
    return found


def test_an_engine_that_starts_idles_pulls_and_stops(tmp_path: Path, mosquitto: Mosquitto) -> None:
    """Every row has the regime that its values say, nothing is scored while it is off, and the ledger adds up."""
    (tmp_path / "engine.toml").write_text(asset_file(Path("pretrained:engine")).read_text() + REGIMES)
    daemon = Daemon(
        tmp_path,
        f"""
[mqtt]
port = {mosquitto.port}
[[classes]]
name = "engine"
file = "engine.toml"
model = "pretrained:engine"
[log]
format = "json"
""",
    )
    rows = drive(tmp_path)
    wanted = expected(rows)
    assert {regime for regime, _ in wanted} == {"off", "idle", "load", "running"}
    began = (int(time.time() * 1000) - len(rows) * PERIOD) // PERIOD * PERIOD
    try:
        daemon.start()
        with Peer(mosquitto) as engine:
            engine.publish_all(
                f"{ENGINE}/telemetry",
                [
                    encode_telemetry(time=began + number * PERIOD, boot="b", seq=number, values=values)
                    for number, values in enumerate(rows)
                ],
            )
            engine.publish(
                f"{ENGINE}/status", encode_status(online=False, time=began + len(rows) * PERIOD, reason="shutdown")
            )
        until(lambda: sum(daemon.books().get("rows", {"": 0}).values()) == len(rows), why="a row for every tick")
        found = json_lines(run("scores", "--json", "-n", str(len(rows)), folder=tmp_path).stdout)
        assert [(row["regime"], row["status"]) for row in found] == wanted
        assert all((row["score"] is None) == (row["status"] != "scored") for row in found)
        assert run("alerts", folder=tmp_path).stdout.splitlines()[1:] == []

        until(lambda: len(stretches(tmp_path)) >= 4, why="the stretch that the goodbye ends")
        # Where each status begins and ends, counted from the same rows.
        runs = [(reason, len(list(group))) for reason, group in itertools.groupby(map(reason_of, wanted))]
        ends = list(itertools.accumulate(count for _, count in runs))
        told = [
            (gap["reason"], (gap["from"] - began) // PERIOD, (gap["to"] - began) // PERIOD)
            for gap in stretches(tmp_path)
        ]
        by_hand = [
            (reason, end - count, end)
            for (reason, count), end in zip(runs, ends, strict=True)
            if reason != "scored"
        ]
        assert [each for each in told if each[0] != "offline"] == by_hand
        daemon.stop()
    finally:
        daemon.close()


def reason_of(row: tuple[str, str]) -> str:
    regime, status = row
    return regime if status == "regime" else status


def stretches(folder: Path) -> list[dict[str, Any]]:
    """The gaps that the command tells, and a check of its sums."""
    (told,) = [json.loads(line) for line in run("coverage", "--json", folder=folder).stdout.splitlines()]
    gaps = sum(gap["to"] - gap["from"] for gap in told["gaps"])
    assert told["scored_ms"] + gaps == told["to"] - told["from"]
    found: list[dict[str, Any]] = told["gaps"]
    return found
