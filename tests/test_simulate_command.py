"""`enginewatch simulate`: a subscriber and a file receive what the fleet says; the truth stands apart."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from monitor.cli import main
from monitor.commands.simulate import FILE_BEGINS
from simulator.fault_kinds import FAULTS
from simulator.fleet import Fleet
from simulator.output import OutputError, open_output, whole_file
from simulator.recording import Recording, read_recording
from simulator.records import SENSORS
from simulator.schedule import from_line
from tests.servers import free_port
from tests.servers.peers import Peer, wait_until

if TYPE_CHECKING:
    from tests.servers.brokers import Broker

SMALL = ("--engines", "2", "--duration", "20s", "--seed", "5")
FAULT = "engine-02 dropout severe on map at 5s for 10s"


def url(broker: Broker) -> str:
    return f"mqtt://{broker.host}:{broker.port}"


def simulate(*arguments: object) -> int:
    return main(["simulate", *map(str, arguments)])


def readings(peer: Peer) -> list[tuple[str, dict[str, Any]]]:
    """Asset and message of every reading received."""
    found = [(topic.split("/"), payload) for topic, payload, _ in peer.messages]
    return [(levels[3], json.loads(payload)) for levels, payload in found if levels[-1] == "telemetry"]


def read(path: Path) -> dict[str, Recording]:
    found = read_recording([path], asset_column="asset", time_column="time")
    return {recording.asset: recording for recording in found}


def test_a_subscriber_receives_the_fleet_and_the_truth_apart(broker: Broker, tmp_path: Path) -> None:
    summary, truth_file = tmp_path / "books.json", tmp_path / "truth.json"
    with Peer(broker, "#") as peer:
        where = ["--broker", url(broker), "--root", "works", "--site", "hall", "--speed", "max"]
        files = ["--summary", summary, "--truth", truth_file]
        assert simulate(*SMALL, *where, *files, "--fault", FAULT) == 0
        wait_until(lambda: len(readings(peer)) == 80)
        wait_until(lambda: (peer.last("works/v1/hall/engine-02/status") or {}).get("reason") == "shutdown")
        received = readings(peer)
        meta = peer.last("works/v1/hall/engine-01/meta")
        told = [json.loads(payload) for topic, payload, _ in peer.messages if topic == "works/_truth"]
        topics = {topic for topic, _, _ in peer.messages}
    assert meta == {"v": 1, "period_ms": 500, "sensors": {name: {"unit": unit} for name, unit in SENSORS.items()}}
    assert topics == {
        *(f"works/v1/hall/engine-0{n}/{what}" for n in (1, 2) for what in ("telemetry", "meta", "status")),
        "works/_truth",
        *(topic for topic in topics if topic.startswith("works/_publisher/")),
    }

    # The values are those of the same fleet, called directly; a missing one is left out of the message.
    assets = ("engine-01", "engine-02")
    expected = Fleet(2, seed=5, faults=[from_line(FAULT, "", assets).fault]).block(40).values
    missing = np.isnan(expected)
    assert missing.sum() == missing[10:30, 1, list(SENSORS).index("map")].sum() == 20
    for engine, asset in enumerate(assets):
        own = [message for name, message in received if name == asset]
        assert [message["seq"] for message in own] == list(range(1, 41))
        values = [[message["values"].get(name, np.nan) for name in SENSORS] for message in own]
        assert all(len(repr(number)) <= 9 for row in values for number in row)  # as short as the steps allow
        np.testing.assert_array_equal(np.array(values, np.float32), expected[:, engine])
        assert np.diff([message["ts"] for message in own]).tolist() == [500] * 39
    assert len({message["boot"] for _, message in received}) == 1

    books, truth = json.loads(summary.read_text()), json.loads(truth_file.read_text())
    assert (books["messages"], books["acknowledged_messages"], books["values"]) == (80, 80, 80 * len(SENSORS) - 20)
    beginning = books["first_time"]
    assert received[0][1]["ts"] == beginning == truth["beginning"]
    assert beginning + 39 * 500 == books["last_time"] <= time.time_ns() // 1_000_000
    record = {
        "asset": "engine-02",
        "kind": "dropout",
        "sensor": "map",
        "severity": {"name": "severe", "value": 1.0, "unit": FAULTS["dropout"].unit},
        "start": beginning + 5_000,
        "end": beginning + 15_000,
        "onset": "sudden",
    }
    assert truth["faults"] == books["faults"] == [record]
    assert told == [{"event": "begin", **record}, {"event": "end", **record}]


def test_faults_are_taken_by_order_where_the_user_says_where(broker: Broker, tmp_path: Path) -> None:
    """The truth tells them like any other, from their beginning to when they were mended."""
    topic, summary = "enginewatch/_simulator/mine", tmp_path / "books.json"
    command = [sys.executable, "-m", "monitor.cli", "simulate", "--engines", "1", "--rate", "10", "--cold"]
    command += ["--broker", url(broker), "--take-faults", topic, "--summary", str(summary)]
    order = {"engine": "engine-01", "kind": "misfire"}

    def replied(peer: Peer) -> int:
        return len((peer.last(f"{topic}/state") or {}).get("replies", []))

    with Peer(broker, "enginewatch/#") as peer, subprocess.Popen(command) as process:
        wait_until(lambda: peer.last(f"{topic}/state"))
        peer.publish(f"{topic}/order", json.dumps({"id": "1", "do": "inject", **order}).encode())
        wait_until(lambda: replied(peer) == 1)
        peer.publish(f"{topic}/order", json.dumps({"id": "2", "do": "mend", **order}).encode())
        wait_until(lambda: replied(peer) == 2)
        wait_until(lambda: len([each for each in peer.messages if each[0] == "enginewatch/_truth"]) == 2)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        wait_until(lambda: [payload for name, payload, _ in peer.messages if name == f"{topic}/state"][-1] == b"")
    (told,) = json.loads(summary.read_text())["faults"]
    assert (told["asset"], told["kind"], told["severity"]["name"]) == ("engine-01", "misfire", "moderate")
    assert told["start"] < told["end"]


def test_real_time_is_kept_and_an_endless_run_ends_in_order(broker: Broker, tmp_path: Path) -> None:
    """At Ctrl-C the engines say goodbye and the books are written; no reading came before its time."""
    summary = tmp_path / "books.json"
    command = [sys.executable, "-m", "monitor.cli", "simulate", "--engines", "2", "--rate", "10"]
    with Peer(broker, "enginewatch/v1/#") as peer:
        with subprocess.Popen([*command, "--broker", url(broker), "--summary", str(summary)]) as process:
            wait_until(lambda: len(readings(peer)) >= 10)
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 130
        books = json.loads(summary.read_text())
        wait_until(lambda: len(readings(peer)) == books["messages"])
        wait_until(
            lambda: (peer.last("enginewatch/v1/simulated/engine-01/status") or {}).get("reason") == "shutdown"
        )
    assert books["acknowledged_messages"] == books["messages"] >= 10
    assert books["last_time"] <= time.time_ns() // 1_000_000


def test_an_engine_that_is_off_says_goodbye_and_comes_back(broker: Broker) -> None:
    """Of an engine that stops now and then, every stretch between two goodbyes begins with its meta."""
    engine = ["--engines", "1", "--duty", "motorway", "--stops", "--seed", "6"]
    arguments = [*engine, "--duration", "1h", "--rate", "0.5"]
    with Peer(broker, "enginewatch/v1/simulated/engine-01/#") as peer:
        assert simulate(*arguments, "--broker", url(broker), "--speed", "max") == 0
        running = Fleet(1, seed=6, duty="motorway", stops=True, period_ms=2000).block(1800).running
        wait_until(lambda: len(readings(peer)) == running.sum())
        wait_until(lambda: not peer.last("enginewatch/v1/simulated/engine-01/status")["online"])
        messages = [(topic.rsplit("/")[-1], payload) for topic, payload, _ in peer.messages]
    online = [json.loads(payload)["online"] for level, payload in messages if level == "status"]
    starts = int((np.diff(np.concatenate([[0], running[:, 0].astype(int)])) == 1).sum())
    assert starts > 1
    assert online == [True, False] * starts
    assert sum(level == "meta" for level, _ in messages) == starts


def test_csv_and_parquet_hold_the_same_and_the_same_seed_the_same_bytes(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    names = ("one.csv", "two.csv", "one.parquet", "two.parquet", "other.csv")
    one_csv, two_csv, one_parquet, two_parquet, other = (tmp_path / name for name in names)
    for path in (one_csv, two_csv, one_parquet, two_parquet):
        assert simulate(*SMALL, "--fault", FAULT, "--out", path) == 0
    assert simulate(*SMALL, "--fault", FAULT, "--seed", 6, "--out", other) == 0
    assert one_csv.read_bytes() == two_csv.read_bytes() != other.read_bytes()
    assert one_parquet.read_bytes() == two_parquet.read_bytes()
    from_csv, from_parquet = read(one_csv), read(one_parquet)
    expected = Fleet(2, seed=5, faults=[from_line(FAULT, "", ("engine-01", "engine-02")).fault]).block(40)
    for engine, asset in enumerate(("engine-01", "engine-02")):
        for found in (from_csv[asset], from_parquet[asset]):
            assert found.sensors == tuple(SENSORS)
            assert found.time.tolist() == (FILE_BEGINS + expected.time).tolist()
            np.testing.assert_array_equal(found.values, expected.values[:, engine])
    assert {path.name for path in tmp_path.iterdir()} == set(names)


def test_a_file_has_its_truth_and_its_counts(tmp_path: Path) -> None:
    out, truth, summary = tmp_path / "a.csv", tmp_path / "truth.json", tmp_path / "counts.json"
    assert simulate(*SMALL, "--fault", FAULT, "--out", out, "--truth", truth, "--summary", summary) == 0
    assert json.loads(summary.read_text())["rows"] == len(out.read_text().splitlines()) - 1 == 80
    told = json.loads(truth.read_text())
    assert (told["seed"], told["engines"], told["period_ms"]) == (5, 2, 500)
    assert [record["start"] for record in told["faults"]] == [FILE_BEGINS + 5_000]


def test_a_schedule_from_a_file_and_at_random(tmp_path: Path) -> None:
    schedule, truth = tmp_path / "faults.toml", tmp_path / "truth.json"
    schedule.write_text('[[faults]]\nengine = "engine-01"\nkind = "misfire"\nat = "5s"\nfor = "2s"\n')
    arguments = ["--faults", schedule, "--random-faults", "60", "--truth", truth]
    assert simulate("--engines", 3, "--duration", "10m", "--out", tmp_path / "a.csv", *arguments) == 0
    found = json.loads(truth.read_text())["faults"]
    assert found[0]["kind"] == "misfire" or len(found) > 1
    assert sum(record["start"] == FILE_BEGINS + 5_000 and record["kind"] == "misfire" for record in found) == 1
    assert len(found) > 3


def test_mistakes_are_one_line_exit_code_2_and_nothing_is_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there, wrong = tmp_path / "there.csv", tmp_path / "wrong.toml"
    there.write_text("kept")
    wrong.write_text("[[faults]]\nkind = 'misfire'\n")
    out = ["--out", tmp_path / "a.csv"]
    cases: list[tuple[list[object], str]] = [
        (["--broker", f"mqtt://127.0.0.1:{free_port()}", "--truth", tmp_path / "t"], "nobody listens"),
        (["--broker", "http://host"], "--broker takes mqtt://"),
        (["--site", "a/b"], "--site"),
        (["--truth-topic", "enginewatch/v1/a/b/telemetry"], "the monitor reads there"),
        (["--truth-topic", "a/#"], "cannot be a topic"),
        (["--take-faults", "enginewatch/v1/a"], "the monitor reads there"),
        (["--take-faults", "a", "--speed", "2", "--duration", "9s"], "in real time"),
        (["--speed", "10", "--duration", "endless"], "--duration"),
        (["--summary", tmp_path / "none" / "s.json"], "--summary"),
        (["--fault", "engine-01 missfire at 1s"], "did you mean misfire?"),
        (["--fault", "engine-03 misfire at 1s"], "there is no engine 'engine-03'"),
        (["--fault", "engine-01 misfire at 1m"], "after the end at 20s"),
        (["--fault", FAULT, "--fault", FAULT], "overlaps"),
        (["--faults", wrong], "fault 1: 'engine' must be given"),
        (["--faults", tmp_path / "none.toml"], "No such file"),
        (["--random-faults", "-1"], "give 0 to 60"),
        ([*out, "--duration", "endless"], "--out needs a --duration"),
        ([*out, "--truth", there], "there.csv is there already: --replace"),
        (["--out", there], "there.csv is there already: --replace"),
        (["--out", tmp_path / "a.xlsx"], "the ending must be .csv, .parquet, .pq"),
        (["--out", tmp_path / "none" / "a.csv"], "there is no folder"),
        ([*out, "--truth", tmp_path / "." / "a.csv"], "--out and --truth are both"),
        ([*out, "--spool", "5"], "leave out --speed and --spool"),
        (["--summary", tmp_path], "is a folder: name a file"),
        (["--root", "a b"], "--root 'a b' cannot begin a topic"),
    ]
    for arguments, words in cases:
        assert simulate(*SMALL, *arguments) == 2, arguments
        told = capsys.readouterr().err
        assert words in told, told
        assert told.startswith("enginewatch simulate: ")
        assert told.count("\n") == 1, told
    assert {path.name for path in tmp_path.iterdir()} == {"there.csv", "wrong.toml"}
    assert there.read_text() == "kept"
    assert simulate(*SMALL, "--out", there, "--replace") == 0
    assert there.read_text().startswith("time,asset,engine_speed,")


@pytest.mark.parametrize(
    "arguments",
    [
        *(["--engines", "0"], ["--engines", "-1"], ["--rate", "0"], ["--rate", "-2"], ["--rate", "nan"]),
        *(
            ["--duration", "0s"],
            ["--duration=-5m"],
            ["--duration", "-5m"],
            ["--duration", "soon"],
            ["--seed", "x"],
            ["--duty", "sea"],
        ),
        *(["--spool", "-1"], ["--altitude", "9000"], ["--speed", "0"]),
    ],
)
def test_numbers_that_cannot_be(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """One line, which names the option."""
    with pytest.raises(SystemExit) as stopped:
        simulate(*arguments)
    assert stopped.value.code == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert f"argument {arguments[0].partition('=')[0]}: " in told


def test_parquet_without_its_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert simulate(*SMALL, "--out", tmp_path / "a.parquet") == 2
    assert "install enginewatch[parquet]" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    """The partial file is a device that is always full; it is taken away, and no file has the name."""
    out = tmp_path / "a.csv"
    (tmp_path / "a.csv.partial").symlink_to("/dev/full")
    with pytest.raises(OutputError, match="No space left"), open_output(out, ("engine-01",)) as write:
        write(Fleet(1, period_ms=2000).block(1000), 0)
    assert not list(tmp_path.iterdir())


def test_a_stopped_command_leaves_nothing(tmp_path: Path) -> None:
    """SIGTERM while rows are being written."""
    out = tmp_path / "a.csv"
    command = [sys.executable, "-m", "monitor.cli", "simulate", "--cold", "--duration", "5d", "--out", str(out)]
    with subprocess.Popen(command) as process:
        wait_until(lambda: list(tmp_path.iterdir()))
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 130
    assert not list(tmp_path.iterdir())


def test_a_broken_off_file_leaves_nothing(tmp_path: Path) -> None:
    def broken_off() -> None:
        with whole_file(tmp_path / "a") as partial:
            partial.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken_off()
    assert not list(tmp_path.iterdir())


def test_the_catalogue_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a broker, and every kind with its reason."""
    assert simulate("--list-faults") == 0
    shown = capsys.readouterr().out
    assert all(kind.name in shown and kind.reason in shown for kind in FAULTS.values())
