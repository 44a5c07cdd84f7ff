"""Replaying: recorded rows in order, ending now, and books that agree with what a subscriber received."""

from __future__ import annotations

import doctest
import json
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import simulator.replay
from monitor.cli import main
from simulator.recording import Recording
from simulator.replay import period_of, plan
from tests.servers import free_port
from tests.servers.peers import Peer, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.brokers import Broker


def recording(asset: str, time: list[int], values: list[list[float]]) -> Recording:
    sensors = tuple("abc"[: len(values[0])])
    return Recording(asset, sensors, np.array(time, np.int64), np.array(values, np.float32))


def url(broker: Broker) -> str:
    return f"mqtt://{broker.host}:{broker.port}"


def telemetry(peer: Peer) -> list[tuple[str, dict[str, Any]]]:
    """Asset and message of every reading received."""
    found = [(topic.split("/"), payload) for topic, payload, _ in peer.messages]
    return [(levels[3], json.loads(payload)) for levels, payload in found if levels[-1] == "telemetry"]


def test_documented_examples() -> None:
    assert doctest.testmod(simulator.replay).failed == 0


@pytest.mark.parametrize("speed", [0.25, 0.5, 1.0, 3.0, 1000.0, float("inf")])
def test_no_reading_lies_in_the_future(speed: float) -> None:
    """At its moment of publication every row is due by its own time, and one of them exactly."""
    one = recording("one", [5_000, 6_000, 9_000], [[1.0]] * 3)
    two = recording("two", [100_000, 102_000], [[1.0]] * 2)
    made = plan([one, two], speed=speed, start=1_000_000)
    ahead = made.time - (1_000_000 + made.due * 1000)
    assert ahead.max() == pytest.approx(0, abs=1)
    assert (np.diff(made.time) >= 0).all()
    assert made.time.tolist()[-2:] == [made.time[-1]] * 2
    assert (np.diff(made.due) >= 0).all()
    assert made.starts() == [int(made.time[-1]) - 4_000, int(made.time[-1]) - 2_000]


def test_rows_that_report_nothing_are_passed_over() -> None:
    nan = float("nan")
    made = plan([recording("one", [0, 1_000, 2_000], [[1, nan], [nan, nan], [3, 4]])], speed=1.0, start=0)
    rows = list(made.rows())
    assert [(due, at) for due, _, at, _ in rows] == [(0.0, 0), (2.0, 2_000)]
    assert rows[1][3] == {"a": 3.0, "b": 4.0}


def test_period_is_the_usual_step() -> None:
    assert period_of(recording("one", [0, 500, 1_000, 9_000], [[1.0]] * 4)) == 500
    assert period_of(recording("one", [7], [[1.0]])) == 1_000


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Two assets of 300 and 200 rows; one cell is missing."""
    paths = []
    for asset, rows in (("pump", 300), ("fan", 200)):
        lines = ["time,a,b", *(f"{1_600_000_000_000 + 100 * n},{n},{n / 4}" for n in range(rows - 1)), ""]
        lines[-1] = f"{1_600_000_000_000 + 100 * (rows - 1)},{rows - 1},"
        paths.append(tmp_path / f"{asset}.csv")
        paths[-1].write_text("\n".join(lines) + "\n")
    return [str(path) for path in paths]


def test_as_fast_as_acknowledged_and_the_books_agree(broker: Broker, files: list[str], tmp_path: Path) -> None:
    before = time.time_ns() // 1_000_000
    summary = tmp_path / "books.json"
    with Peer(broker, "works/#") as peer:
        arguments = ["--broker", url(broker), "--time-column", "time", "--speed", "max"]
        assert (
            main(["replay", *files, *arguments, "--root", "works", "--site", "hall", "--summary", str(summary)])
            == 0
        )
        wait_until(lambda: len(telemetry(peer)) == 500)
        wait_until(lambda: (peer.last("works/v1/hall/fan/status") or {}).get("reason") == "shutdown")
        assert peer.last("works/v1/hall/pump/meta")["period_ms"] == 100
        received = telemetry(peer)
    books = json.loads(summary.read_text())
    end = books["last_time"]
    assert before <= end <= time.time_ns() // 1_000_000
    assert books == {
        "assets": 2,
        "messages": 500,
        "values": 998,
        "acknowledged_messages": 500,
        "acknowledged_values": 998,
        "resent_messages": 0,
        "resent_values": 0,
        "unspooled_messages": 0,
        "first_time": end - 29_900,
        "last_time": end,
        "start_time": {"pump": end - 29_900, "fan": end - 19_900},
    }
    assert sum(len(message["values"]) for _, message in received) == 998
    pump = [message for asset, message in received if asset == "pump"]
    assert [message["seq"] for message in pump] == list(range(1, 301))
    assert [message["values"]["a"] for message in pump] == list(range(300))
    assert [message["ts"] for message in pump] == list(range(end - 29_900, end + 1, 100))
    times = [message["ts"] for _, message in received]
    assert times == sorted(times)


def test_speed_paces_and_assets_choose(broker: Broker, files: list[str], tmp_path: Path) -> None:
    """20 s at 100 times real time: the last reading is published no earlier than its own time."""
    summary = tmp_path / "books.json"
    with Peer(broker, "enginewatch/v1/#") as peer:
        arguments = ["--broker", url(broker), "--time-column", "time", "--speed", "100", "--assets", "fan"]
        assert main(["replay", *files, *arguments, "--columns", "speed=b", "--summary", str(summary)]) == 0
        wait_until(lambda: len(telemetry(peer)) == 199)
        assert {asset for asset, _ in telemetry(peer)} == {"fan"}
        assert set(telemetry(peer)[0][1]["values"]) == {"speed"}
    books = json.loads(summary.read_text())
    assert books["messages"] == books["values"] == 199
    assert books["last_time"] <= time.time_ns() // 1_000_000


def test_interrupt_ends_in_order_with_the_books_written(broker: Broker, files: list[str], tmp_path: Path) -> None:
    summary = tmp_path / "books.json"
    command = [sys.executable, "-m", "monitor.cli", "replay", *files, "--time-column", "time"]
    with Peer(broker, "enginewatch/v1/#") as peer:
        with subprocess.Popen([*command, "--broker", url(broker), "--summary", str(summary)]) as process:
            wait_until(lambda: len(telemetry(peer)) >= 3)
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 130
        books = json.loads(summary.read_text())
        assert 3 <= books["messages"] < 300
        assert books["acknowledged_messages"] == books["messages"]
        wait_until(lambda: len(telemetry(peer)) == books["messages"])
        wait_until(lambda: (peer.last("enginewatch/v1/replay/pump/status") or {}).get("reason") == "shutdown")


def test_mistakes_are_one_line_and_exit_code_2(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nobody = f"mqtt://127.0.0.1:{free_port()}"
    base = [*files, "--time-column", "time"]
    cases = [
        ([*base, "--broker", nobody], "nobody listens"),
        ([*base, "--broker", "http://host"], "--broker takes mqtt://"),
        ([*base, "--broker", "mqtt://host:99999"], "--broker mqtt://host:99999"),
        ([*base, "--broker", "mqtt://ann:secret@host"], "use --password-file"),
        ([*base, "--broker", "mqtt://ann@host", "--password-file", str(tmp_path / "none")], "--password-file"),
        ([*base, "--broker", "mqtts://host", "--ca-file", str(tmp_path / "none")], "--ca-file"),
        ([*base, "--site", "a/b"], "--site"),
        ([*base, "--root", "a#"], "root"),
        ([*base, "--assets", "none"], "none"),
        ([*base, "--summary", str(tmp_path / "none" / "books.json")], "--summary"),
        (["missing.csv", "--time-column", "time"], "missing.csv"),
    ]
    for arguments, words in cases:
        assert main(["replay", *arguments]) == 2, arguments
        told = capsys.readouterr().err
        assert words in told, told
        assert told.startswith("enginewatch replay: ")
        assert "secret" not in told
        assert told.count("\n") == 1, told


@pytest.mark.parametrize("speed", ["0", "-1", "inf", "nan", "fast"])
def test_speed_is_a_positive_number_or_max(speed: str, files: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["replay", *files, "--speed", speed])
    assert stopped.value.code == 2
