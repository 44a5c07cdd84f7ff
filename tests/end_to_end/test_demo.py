"""`enginewatch demo` as a user runs it: real processes, and what is left of them."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from monitor.broker import program
from tests.rig import COMMAND, environment, small_disk, until
from tests.servers import free_port, missing
from tests.servers.brokers import Mosquitto
from tests.servers.peers import Peer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.influxd import Influxd

SENSORS = 15
HISTORY_TICKS = 60 + 600  # a window, and what the threshold waits for


@pytest.fixture(autouse=True)
def _broker_installed() -> None:
    if program() is None:
        missing("nats-server")


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    """Where the demo finds room for temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    return folder


@contextmanager
def demo(temporary: Path, *arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
    """A demo that runs; its output is a pipe."""
    process = subprocess.Popen(
        [*COMMAND, "demo", *map(str, arguments)],
        env=environment() | {"TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def mentioning(folder: Path) -> list[str]:
    """The command lines of all processes that were called with something in the folder."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it has ended meanwhile
            continue
        if f"{folder}/" in line and "--summary" not in line:
            found.append(line)
    return found


def wait_for(process: subprocess.Popen[str], words: str) -> str:
    """Read the demo's output up to a line that has the words."""
    assert process.stdout is not None
    read = ""
    for line in process.stdout:
        read += line
        if words in line:
            return read
    raise AssertionError(f"{words!r} was not said:\n{read}")


def test_unattended_it_ends_by_itself_and_accounts_for_every_value(tmp_path: Path, temporary: Path) -> None:
    """The first engine's fault is found, the first sensor's told apart, the books add up, nothing stays."""
    summary = tmp_path / "out.json"
    with demo(temporary, "--duration", "45", "--summary", summary) as process:
        said, errors = process.communicate(timeout=150)
    assert (process.returncode, errors) == (0, ""), said
    assert re.search(r"(?m)^ +http://127\.0\.0\.1:\d+$", said)
    result = json.loads(summary.read_text())
    ticks = HISTORY_TICKS + 2 * 45
    silent = [fault for fault in result["faults"] if fault["kind"] == "dropout"]
    assert len(silent) == 1
    # The sensor that is silent from its fault on until the end is all that is missing.
    first_tick = result["faults"][0]["start"] - (HISTORY_TICKS * 500 + 12_000)
    lost = ticks - (silent[0]["start"] - first_tick) // 500
    assert result["published"] == 12 * SENSORS * ticks - lost
    assert sum(result["outcomes"].values()) == result["published"]
    assert result["stored"] == result["outcomes"]["in_row"] == result["published"]
    _alerts_fit_the_faults(result, said)
    assert list(temporary.iterdir()) == []
    assert mentioning(temporary) == []


def _alerts_fit_the_faults(result: dict[str, Any], said: str) -> None:
    first, second = result["faults"][:2]
    assert (first["kind"], first["severity"], first["sensor"]) == ("lean_mixture", "severe", None)
    fired = [event for event in result["alerts"] if event["transition"] == "fired"]
    of_first = [event for event in fired if event["stream"] == f"demo//{first['asset']}"]
    assert of_first[0]["kind"] == "anomaly"
    assert 0 < first["seconds_to_alert"] <= 33  # it began 12 s after the live readings, of which there are 45 s
    assert of_first[0]["recorded"] - first["start"] <= 1000 * first["seconds_to_alert"]
    top = of_first[0]["top"][0]
    assert f"{top['sensor']} {top['actual']:.4g} " in said
    assert f"(expected {top['expected']:.4g})" in said
    of_second = [event for event in fired if event["stream"] == f"demo//{second['asset']}"]
    assert [(event["kind"], event["sensor"]) for event in of_second] == [("sensor_dropout", second["sensor"])]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_asked_to_end_it_stops_everything_in_order(
    tmp_path: Path, temporary: Path, number: signal.Signals
) -> None:
    """The books are complete then, too, and neither a process nor a file is left."""
    summary = tmp_path / "out.json"
    with demo(temporary, "--summary", summary) as process:
        wait_for(process, "streams")
        assert len(mentioning(temporary)) == 2  # the broker and the daemon
        process.send_signal(number)
        said, errors = process.communicate(timeout=90)
    assert (process.returncode, errors) == (0, ""), said
    result = json.loads(summary.read_text())
    assert result["published"] == sum(result["outcomes"].values()) == result["stored"] > 0
    assert mentioning(temporary) == []
    assert list(temporary.iterdir()) == []


def test_killed_it_leaves_no_process(temporary: Path) -> None:
    with demo(temporary) as process:
        wait_for(process, "Ctrl-C ends it")
        assert len(mentioning(temporary)) == 2
        process.kill()
        until(lambda: not mentioning(temporary), why="the end of its children")


def test_a_part_that_dies_is_told_and_ends_the_demo(temporary: Path) -> None:
    """In one line; the others are stopped in order."""
    with demo(temporary) as process:
        wait_for(process, "Ctrl-C ends it")
        (daemon,) = (line for line in mentioning(temporary) if "monitor.cli" in line)
        number = next(
            int(file.parent.name)
            for file in Path("/proc").glob("[0-9]*/cmdline")
            if file.read_bytes().replace(b"\0", b" ").decode(errors="replace") == daemon
        )
        subprocess.run(["kill", "-9", str(number)], check=True)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert errors.startswith("enginewatch demo: the daemon ended by itself (exit code -9): ")
    assert len(errors.splitlines()) == 1
    assert mentioning(temporary) == []
    assert list(temporary.iterdir()) == []


def test_a_broker_of_the_users_own_is_left_as_it_was(
    tmp_path: Path, temporary: Path, mosquitto: Mosquitto
) -> None:
    """No retained message stays there, and no session that would gather readings for ever.

    What other publishers keep there is nothing to the demo, and is still there afterwards.
    """
    summary = tmp_path / "out.json"
    url = f"mqtt://127.0.0.1:{mosquitto.port}"
    others = [f"enginewatch/v1/{site}/engine-01/status" for site in ("demo", "plant")]
    with Peer(mosquitto, "#") as peer:
        for topic in others:
            peer.publish(topic, b'{"online":true,"timestamp":1}', retain=True)
        until(lambda: len(peer.messages) == len(others))
    with demo(temporary, "--broker", url, "--duration", "3", "--engines", "2", "--summary", summary) as process:
        said, errors = process.communicate(timeout=90)
    assert (process.returncode, errors) == (0, ""), said
    result = json.loads(summary.read_text())
    assert result["published"] == result["stored"] == 2 * SENSORS * (HISTORY_TICKS + 6)
    assert result["outcomes"]["dead_letter"] == 0
    with Peer(mosquitto, "#") as peer:
        peer.publish("end", b"")
        until(lambda: ("end", b"", False) in peer.messages)
        assert sorted(topic for topic, _, retained in peer.messages if retained) == others
        for topic in others:
            peer.publish(topic, b"", retain=True)
    mosquitto.stop()  # its session file is written then
    assert b"enginewatch" not in (mosquitto.folder / "mosquitto.db").read_bytes()


def test_scores_reach_an_influxdb_of_the_users_own(temporary: Path, database: Influxd) -> None:
    """All of them, before the demo ends: one row an engine and tick."""
    influx = ["--influx", database.url, "--influx-bucket", "engines"]
    with demo(temporary, *influx, "--duration", "3", "--engines", "2") as process:
        said, errors = process.communicate(timeout=90)
    assert (process.returncode, errors) == (0, ""), said
    assert database.count("anomaly") == 2 * (HISTORY_TICKS + 6)


def refused(temporary: Path, *arguments: str | Path) -> str:
    """The sentence with which the demo refuses to begin; nothing may be left of the attempt."""
    with demo(temporary, *arguments) as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 2, errors
    assert list(temporary.iterdir()) == []
    assert mentioning(temporary) == []
    (line,) = errors.splitlines()
    return line


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--engines", "-1"], "--engines: '-1' is not a whole number from 1 to 200"),
        (["--engines", "many"], "--engines: 'many' is not a whole number"),
        (["--duration", "-5"], "--duration: '-5' is not a number from 1 to"),
        (["--duration", "nan"], "--duration: 'nan' is not a number"),
        (["--seed", "-1"], "--seed: '-1' is not a whole number from 0 to"),
        (["--summary", "/nowhere/out.json"], "it must name a file in a folder that is there"),
        (["--summary", "/proc/out.json"], "--summary /proc/out.json cannot be written: "),
        (["--folder", "/proc/demo"], "--folder /proc/demo cannot be used: "),
        (["--folder", "/nowhere/demo"], "--folder /nowhere/demo cannot be used: No such file"),
        (["--broker", "http://127.0.0.1"], "--broker takes mqtt://"),
        (["--broker", "mqtt://no.such.host.invalid"], "cannot be resolved: check the host in --broker"),
        (["--influx", "127.0.0.1:8086"], "--influx: "),
        (
            ["--influx", "http://127.0.0.1:1", "--influx-token-file", "/nowhere/token"],
            "/nowhere/token cannot be read",
        ),
    ],
)
def test_bad_input_is_one_line(temporary: Path, arguments: list[str], reason: str) -> None:
    """Which says what is wrong and where; exit code 2, and nothing is left behind."""
    assert reason in refused(temporary, *arguments)


def test_a_broker_that_is_not_there_is_told_with_the_option_to_change(temporary: Path) -> None:
    port = free_port()
    told = refused(temporary, "--broker", f"mqtt://127.0.0.1:{port}")
    assert f"nobody listens on 127.0.0.1:{port}: start the broker" in told
    assert told.endswith("or check host and port in --broker")


def test_a_broker_that_wants_a_password_is_told_apart(tmp_path: Path, temporary: Path) -> None:
    if not Mosquitto.installed():
        missing("mosquitto")
    with Mosquitto(tmp_path / "mosquitto", users={"demo": "between us"}) as server:
        told = refused(temporary, "--broker", f"mqtt://127.0.0.1:{server.port}")
    assert "the broker refuses a connection without a user name: check the user in --broker" in told


def test_a_folder_that_is_not_empty_is_left_alone(tmp_path: Path, temporary: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "thesis.txt").write_text("the only copy")
    assert "is not empty: name one that is" in refused(temporary, "--folder", folder)
    assert (folder / "thesis.txt").read_text() == "the only copy"


def test_a_folder_of_the_users_own_is_as_before_where_the_demo_cannot_begin(
    tmp_path: Path, temporary: Path
) -> None:
    """One that was there is empty again, one that was not is gone."""
    there, new = tmp_path / "there", tmp_path / "new"
    there.mkdir()
    for folder in (there, new):
        refused(temporary, "--folder", folder, "--broker", "mqtt://no.such.host.invalid")
    assert list(there.iterdir()) == []
    assert not new.exists()


def test_a_disk_without_room_is_told_before_anything_begins(tmp_path: Path, temporary: Path) -> None:
    with small_disk(tmp_path / "small", "20M"):
        told = refused(temporary, "--folder", tmp_path / "small" / "demo")
    assert "MB left and the demo wants" in told
