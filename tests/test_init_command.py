"""`enginewatch init`, as a user sees it: real brokers and real publishers, files, and what it refuses."""

from __future__ import annotations

import doctest
import json
import random
import signal
import subprocess
import sys
import threading
import time
import tomllib
from typing import TYPE_CHECKING, Any, Self

import pytest

import monitor.commands.init
from config.files import load_asset_file
from config.load import load
from monitor.cli import main
from tests.plant import LAYOUTS
from tests.recordings import normal
from tests.servers import free_port, missing
from tests.servers.brokers import Mosquitto
from tests.servers.peers import Peer, wait_until

if TYPE_CHECKING:
    from pathlib import Path


class Plant(threading.Thread):
    """Publishes a layout, ten of its seconds each second, until it is stopped."""

    def __init__(self, broker: Mosquitto, layout: str) -> None:
        super().__init__(daemon=True)
        self._peer = Peer(broker)
        self._layout = layout
        self._over = threading.Event()

    def __enter__(self) -> Self:
        self._peer.__enter__()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join(10)
        self._peer.__exit__()

    def run(self) -> None:
        chance, began = random.Random(1), time.time()  # noqa: S311 - noise
        for second in range(10_000):
            for topic, payload in LAYOUTS[self._layout](second, time.time_ns() // 1_000_000, chance):
                self._peer._client.publish(topic, payload.encode(), 0)
            if self._over.wait(max(0.0, began + (second + 1) / 10 - time.time())):
                return


def init(*words: object) -> int:
    return main(["init", *map(str, words)])


def documents(folder: Path) -> dict[str, Any]:
    """Every TOML file that was written."""
    return {path.name: tomllib.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*.toml")}


def test_documented_examples() -> None:
    assert doctest.testmod(monitor.commands.init).failed == 0


@pytest.fixture
def listened(
    mosquitto: Mosquitto, tmp_path: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> Path:
    """What `init` wrote after it listened to a layout, with a retained message and an alert beside it."""
    with Peer(mosquitto) as peer:
        peer.publish("old/thing/temp", b"21", retain=True)
        peer.publish("enginewatch/v1/a/b/alert", b"[1]", retain=True)
    out = tmp_path / "out"
    url = f"mqtt://{mosquitto.host}:{mosquitto.port}"
    with Plant(mosquitto, request.param):
        assert (
            init("--from-broker", url, "--listen", "2.5s", "--out", out, "--capture", tmp_path / "heard.jsonl")
            == 0
        )
    (tmp_path / "screen").write_text(capsys.readouterr().out)
    return out


@pytest.mark.parametrize("listened", ["namespace"], indirect=True)
def test_a_namespace_on_a_real_broker(listened: Path, tmp_path: Path) -> None:
    made = documents(listened)
    classes = {entry["name"]: entry for entry in made["enginewatch.toml"]["classes"]}
    assert classes["pump"]["topics"] == ["acme/{site}/{area}/{asset}/{sensor}"]
    assert classes["pump"]["payload"] == "value"
    assert classes["pump"]["assets"] == ["*/*/pump-*"]
    assert classes["fan"]["assets"] == ["*/*/fan-*"]
    assert [sensor["name"] for sensor in made["pump.toml"]["sensors"]] == [
        "load_pct",
        "flow_lpm",
        "pressure_bar",
        "temp_c",
    ], "the counter stands as a comment"
    assert made["pump.toml"]["period_ms"] == 100
    screen = (tmp_path / "screen").read_text()
    assert "Class pump: 4 assets, 4 sensors" in screen
    assert "starts only grew" in screen
    assert "enginewatch check --config" in screen
    assert "1 of them retained" in screen
    assert "old/thing" in screen


@pytest.mark.parametrize("listened", ["nested"], indirect=True)
def test_nested_json_on_a_real_broker(listened: Path) -> None:
    made = documents(listened)
    mixer = next(entry for entry in made["enginewatch.toml"]["classes"] if entry["name"] == "mixer")
    assert mixer["topics"] == ["factory/{site}/{asset}/data"]
    assert mixer["paths"] == {"items": "", "time": "head.epoch", "time_format": "s", "values": "body"}
    aliases = {sensor["name"]: sensor.get("alias") for sensor in made["mixer.toml"]["sensors"]}
    assert aliases == {"motor_temp": "motor.temp", "motor_speed": "motor.speed", "load": None}


@pytest.mark.parametrize("listened", ["telegraf"], indirect=True)
def test_line_protocol_on_a_real_broker_and_the_same_from_its_capture(listened: Path, tmp_path: Path) -> None:
    made = documents(listened)
    (press,) = [entry for entry in made["enginewatch.toml"]["classes"] if entry["payload"] == "line"]
    assert press["name"] == "press"
    assert press["topics"] == ["telegraf/{asset}/drive", "telegraf/{asset}/hydraulics"]
    assert init("--from-file", tmp_path / "heard.jsonl", "--out", tmp_path / "again") == 0
    again = documents(tmp_path / "again")
    assert again["press.toml"] == made["press.toml"]
    assert again["enginewatch.toml"]["classes"] == made["enginewatch.toml"]["classes"]


@pytest.mark.parametrize("listened", list(LAYOUTS), indirect=True)
def test_what_is_written_passes_every_check(listened: Path) -> None:
    """Every generated file, through the daemon's own checks."""
    loaded = load(listened / "enginewatch.toml", environment={})
    assert loaded.settings.classes
    assert set(loaded.assets) == {entry.name for entry in loaded.settings.classes}


def test_our_own_layout_passes_every_check(tmp_path: Path) -> None:
    """What is written for our own topics loads as it is."""
    lines = [
        {
            "topic": f"works/v1/plant/engine-{n % 2}/telemetry",
            "payload": json.dumps({"ts": 1_790_000_000_000 + 500 * (n // 2), "values": {"rpm": 800 + n % 7}}),
            "arrival": 1_790_000_000_010 + 500 * (n // 2),
        }
        for n in range(40)
    ]
    capture = tmp_path / "heard.jsonl"
    capture.write_text("".join(json.dumps(line) + "\n" for line in lines) + "no message\n")
    assert init("--from-file", capture, "--out", tmp_path / "out") == 0
    loaded = load(tmp_path / "out" / "enginewatch.toml", environment={})
    assert loaded.settings.mqtt.root == "works"
    assert loaded.assets["engine"].period_ms == 500
    assert main(["check", "--config", str(tmp_path / "out" / "enginewatch.toml")]) == 0


def test_a_topic_filter_leaves_the_rest_unheard(mosquitto: Mosquitto, tmp_path: Path) -> None:
    url = f"mqtt://{mosquitto.host}:{mosquitto.port}"
    with Plant(mosquitto, "namespace"):
        words = ("--listen", "1.5s", "--topic", "acme/+/hall-a/fan-1/#", "--topic", "acme/+/hall-a/fan-2/#")
        assert init("--from-broker", url, *words, "--out", tmp_path) == 0
    assert set(documents(tmp_path)) == {"enginewatch.toml", "fan.toml"}


def test_a_silent_broker_is_told_and_nothing_is_written(
    mosquitto: Mosquitto, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"mqtt://{mosquitto.host}:{mosquitto.port}"
    assert init("--from-broker", url, "--listen", "0.2s", "--out", tmp_path / "out") == 1
    assert "Nothing was heard on #" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--from-broker", "http://x"], "--from-broker takes mqtt://"),
        (["--from-broker", "mqtt://u:secret@x"], "use --password-file"),
        (["--from-broker", "mqtt://x", "--topic", "a/#/b"], "is no topic filter"),
        (["--from-file", "missing.csv"], "No such file"),
        (["--from-file", "a.jsonl", "b.csv"], "cannot be mixed"),
        (["--from-file", "missing.jsonl"], "cannot be read"),
    ],
)
def test_what_is_refused(words: list[str], why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert init(*words, "--out", tmp_path) == 2
    error = capsys.readouterr().err
    assert why in error
    assert "secret" not in error
    assert list(tmp_path.iterdir()) == []


def test_a_broker_that_is_not_there_is_told_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert init("--from-broker", f"mqtt://127.0.0.1:{free_port()}", "--out", tmp_path) == 2
    assert "nobody listens on 127.0.0.1" in capsys.readouterr().err


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recording = normal(tmp_path)
    words = ("--from-file", recording, "--period-ms", 1000, "--out", tmp_path)
    assert init(*words) == 0
    before = documents(tmp_path)
    assert init(*words) == 2
    assert "is not overwritten" in capsys.readouterr().err
    (tmp_path / "enginewatch.toml").unlink()
    assert init(*words) == 2, "an asset file is in the way as well"
    assert documents(tmp_path) == {"normal.toml": before["normal.toml"]}


# Recordings.


def test_a_csv_recording(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Names of assets in a column, times as text, a label that is no sensor, names with units."""
    rows = [
        f"2026-01-01 00:00:{n:02},m{machine},{20 + n % 7},{4.2 + n % 3},{int(n > 50)},{n}"
        for machine in (1, 2)
        for n in range(60)
    ]
    path = tmp_path / "runs.csv"
    path.write_text("\n".join(["when_time,machine,Temp (degC),pressure_kPa,anomaly,row", *rows, ""]))
    assert init("--from-file", path, "--out", tmp_path / "out") == 0
    screen = capsys.readouterr().out
    assert "120 rows of 2 assets" in screen
    assert "left out as labels, by their names: anomaly" in screen
    assert "row only grew" in screen
    assert "machines, or runs of one machine?" in screen
    assert "--asset-column machine --time-column when_time" in screen
    asset = load_asset_file(tmp_path / "out" / "machine.toml")
    assert asset.period_ms == 1000
    assert [(sensor.name, sensor.unit) for sensor in asset.sensors] == [
        ("temp_degc", "°C"),
        ("pressure_kpa", "kPa"),
    ]
    loaded = load(tmp_path / "out" / "enginewatch.toml", environment={})
    assert loaded.settings.classes[0].topics == ("{root}/v1/{site}/{asset}/telemetry",)


def test_a_parquet_recording_without_a_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    table = pa.table({"RPM": [800.0 + n % 9 for n in range(100)], "drive": ["one"] * 50 + ["two"] * 50})
    path = tmp_path / "car.parquet"
    pq.write_table(table, path)
    assert init("--from-file", path, "--out", tmp_path / "out") == 0
    screen = capsys.readouterr().out
    assert "the rows have no time: how far apart are they?" in screen
    assert "drive holds 2 names" in screen
    assert "--columns rpm=RPM" in screen
    loaded = load(tmp_path / "out" / "enginewatch.toml", environment={})
    (asset,) = loaded.assets.values()
    assert [(sensor.name, sensor.unit) for sensor in asset.sensors] == [("rpm", "rpm")]


def test_the_commands_that_are_told_fit_the_recording(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The asset file and the columns that `init` tells are those that `train` would read."""
    recording = normal(tmp_path)
    assert init("--from-file", recording, "--period-ms", 1000, "--out", tmp_path / "out") == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "enginewatch train" in line]
    assert line.strip() == (
        f"enginewatch train {recording} --asset-column asset --period-ms 1000 "
        f"--asset-file {tmp_path}/out/normal.toml --out {tmp_path}/out/models/normal"
    )


def test_the_findings_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert init("--from-file", normal(tmp_path), "--period-ms", 1000, "--out", tmp_path / "out", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["files"] == ["enginewatch.toml", "normal.toml"]
    (only,) = found["findings"]["classes"]
    assert len(only["assets"]) == 12
    assert [sensor["name"] for sensor in only["sensors"]] == ["load", "flow", "pressure", "temperature"]


def test_sparkplug_nodes_are_asked_for_their_births_where_that_is_wanted(
    mosquitto: Mosquitto, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A node that was born long ago, and tells its metrics by alias; without the option nobody is asked."""
    schema = pytest.importorskip("monitor.payloads.sparkplug_schema")
    url = f"mqtt://{mosquitto.host}:{mosquitto.port}"

    def payload(name: str, value: float) -> bytes:
        now = time.time_ns() // 1_000_000
        made: bytes = schema.encode_payload(now, 1, [schema.Metric(name, 7, now, 10, value, null=False)])
        return made

    def node(peer: Peer, over: threading.Event) -> None:
        while not over.wait(0.1):
            if any(topic == "spBv1.0/plant/NCMD/edge" for topic, _, _ in peer.messages):
                peer.publish("spBv1.0/plant/DBIRTH/edge/pump-1", payload("Flow", 30.0))
                peer.messages.clear()
            peer.publish("spBv1.0/plant/DDATA/edge/pump-1", payload("", 30 + time.time() % 5))

    over = threading.Event()
    with Peer(mosquitto, "spBv1.0/+/NCMD/#") as peer:
        thread = threading.Thread(target=node, args=(peer, over))
        thread.start()
        try:
            assert init("--from-broker", url, "--listen", "0.5s", "--out", tmp_path / "none") == 1
            assert "-> --rebirth" in capsys.readouterr().out
            words = ("--listen", "1.5s", "--rebirth", "--out", tmp_path / "out")
            assert init("--from-broker", url, *words) == 0
        finally:
            over.set()
            thread.join()
    assert documents(tmp_path / "out")["pump.toml"]["sensors"][0]["alias"] == "Flow"


def test_ctrl_c_ends_the_listening_and_what_was_heard_counts(mosquitto: Mosquitto, tmp_path: Path) -> None:
    url = f"mqtt://{mosquitto.host}:{mosquitto.port}"
    command = [sys.executable, "-m", "monitor.cli", "init", "--from-broker", url, "--listen", "1h"]
    with (
        Plant(mosquitto, "nested"),
        subprocess.Popen([*command, "--out", tmp_path / "out"], stdout=subprocess.PIPE, text=True) as process,
    ):
        log = mosquitto.folder / "log"
        wait_until(lambda: "enginewatch-init" in log.read_text(), "the connection")
        time.sleep(1.5)  # of listening
        process.send_signal(signal.SIGINT)
        screen, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "Class mixer: 3 assets" in screen
    assert set(documents(tmp_path / "out")) == {"enginewatch.toml", "mixer.toml"}


def test_credentials_that_are_wrong_are_told_and_those_that_are_right_are_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if not Mosquitto.installed():
        missing("mosquitto")
    secret = tmp_path / "password"
    secret.write_text("right\n")
    secret.chmod(0o600)
    with Mosquitto(tmp_path / "broker", users={"reader": "right"}) as broker:
        place = f"{broker.host}:{broker.port}"
        assert init("--from-broker", f"mqtt://{place}", "--out", tmp_path / "out") == 2
        assert "the broker refuses a connection without a user name" in capsys.readouterr().err
        words = ("--password-file", secret, "--listen", "0.2s")
        assert init("--from-broker", f"mqtt://reader@{place}", *words, "--out", tmp_path / "out") == 1
