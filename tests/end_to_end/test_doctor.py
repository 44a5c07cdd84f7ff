"""`enginewatch doctor` against real servers: one thing is broken at a time, and that hop names what to change."""

from __future__ import annotations

import re
import shutil
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from config.shipped import model_folder
from monitor.decode import encode_telemetry
from tests.engine_line import ENGINE, TOPIC, engine
from tests.rig import Daemon, json_lines, plain_settings, run, until
from tests.servers import find, free_port, missing
from tests.servers.brokers import Mosquitto
from tests.servers.hooks import hook
from tests.servers.peers import Peer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.servers.brokers import Broker
    from tests.servers.influxd import Influxd

PERIOD_S = 0.1


class At:
    """A place to connect to."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port


def write(folder: Path, broker: Any, *, mqtt: str = "", model: str = "", influx: str = "") -> None:
    """Settings of one class of two sensors at 10 Hz."""
    text = plain_settings(broker, folder).replace("[mqtt]", f"[mqtt]\n{mqtt}")
    if model:
        text = text.replace("[[classes]]", f'[[classes]]\nmodel = "{model}"')
    if influx:
        text += f'\n[influx]\nurl = "{influx}"\nbucket = "engines"\n'
    (folder / "enginewatch.toml").write_text(text)
    asset = folder / "asset.toml"
    asset.write_text(asset.read_text().replace("1000", "100", 1) + "\n")


@contextmanager
def published(
    broker: Broker, values: Callable[[], Mapping[str, float]] | None = None, *, ahead_s: float = 0.0
) -> Iterator[None]:
    """Two machines report at 10 Hz, the second with a clock that is so far ahead."""
    stop = threading.Event()
    made = values or (lambda: {"load": time.time() % 50, "flow": 2 * (time.time() % 50)})

    def go() -> None:
        with Peer(broker) as peer:
            while not stop.wait(PERIOD_S):
                for asset, later in (("p1", 0.0), ("p2", ahead_s)):
                    at = round((time.time() + later) * 1000)
                    reading = encode_telemetry(time=at, boot="b", seq=0, values=made())
                    peer.publish(TOPIC.format(asset), reading)

    thread = threading.Thread(target=go)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def doctor(folder: Path, *, code: int, wait: float = 3.0) -> dict[str, dict[str, str]]:
    """What it says of each hop, with every hop told once and in order."""
    rows = json_lines(run("doctor", "--json", "--wait", str(wait), folder=folder, code=code).stdout)
    assert [row["hop"] for row in rows] == [
        "settings", "model", "connect", "subscribe", "first message", "decode", "tick", "score", "store", "influx",
        "channels", "http", "limits", "clock",
    ]  # fmt: skip
    return {row["hop"]: row for row in rows}


def states(found: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    return {hop: row["state"] for hop, row in found.items()}


def failed(found: Mapping[str, Mapping[str, str]]) -> list[str]:
    return [hop for hop, row in found.items() if row["state"] == "failed"]


def test_all_well_with_a_daemon_running_that_notices_nothing(
    tmp_path: Path, mosquitto: Mosquitto, database: Influxd
) -> None:
    """Each hop is good; the daemon keeps its connections, and whoever listens hears nothing of the doctor."""
    with hook() as server:
        channel = f'[[notify.channels]]\nname = "hook"\nto = "webhook"\nurl = "{server.url}"\n'
        daemon = Daemon(tmp_path, ENGINE.format(broker=mosquitto, influx=database) + channel)
        try:
            _all_is_well(daemon, mosquitto, database)
        finally:
            daemon.close()
        assert server.requests == []


def _all_is_well(daemon: Daemon, mosquitto: Mosquitto, database: Influxd) -> None:
    daemon.start()
    with engine(mosquitto), Peer(mosquitto, "#") as peer:
        until(lambda: daemon.books().get("rows", {}).get("scored"))
        found = doctor(daemon.folder, code=0)
    assert set(states(found).values()) == {"ok"}, found
    assert "engine scored one window" in found["model"]["said"]
    assert "max_inflight_messages 20" in found["limits"]["said"]  # what mosquitto ships with
    assert {topic.split("/")[-1] for topic, _, _ in peer.messages} <= {"telemetry", "status", "alert", "event"}
    log = daemon.log.read_text()
    assert log.count('"event":"mqtt_connected"') == 2  # its two connections, made once
    assert '"event":"mqtt_disconnected"' not in log
    assert len(database.query("SELECT * FROM enginewatch_doctor", "engines")) == 1
    daemon.stop()


def test_the_wrong_port(tmp_path: Path) -> None:
    port = free_port()
    write(tmp_path, At("127.0.0.1", port))
    found = doctor(tmp_path, code=1)
    assert failed(found) == ["connect"]
    assert found["connect"]["said"] == (
        f"nobody listens on 127.0.0.1:{port}: start the broker, or check mqtt.host and mqtt.port"
    )
    assert states(found)["clock"] == states(found)["limits"] == states(found)["decode"] == "skipped"
    assert not (tmp_path / "state").exists()


def test_the_wrong_password(tmp_path: Path) -> None:
    if not Mosquitto.installed():
        missing("mosquitto")
    with Mosquitto(tmp_path / "broker", users={"watch": "right"}) as broker:
        write(tmp_path, broker, mqtt='username = "watch"\npassword = "wrong"')
        (tmp_path / "enginewatch.toml").chmod(0o600)
        found = doctor(tmp_path, code=1)
    assert failed(found) == ["connect"]
    assert "check mqtt.username and mqtt.password" in found["connect"]["said"]
    assert "wrong" not in str(found["connect"])


def test_the_wrong_topic_names_where_something_is(tmp_path: Path, mosquitto: Mosquitto) -> None:
    write(tmp_path, mosquitto, mqtt='root = "plant7"')
    with published(mosquitto):
        found = doctor(tmp_path, code=1, wait=0.5)
    assert failed(found) == ["first message"]
    assert "nothing for" in found["first message"]["said"]
    assert "enginewatch/v1/plant/p1/telemetry" in found["first message"]["said"]
    assert "classes.topics and mqtt.root" in found["first message"]["remedy"]
    assert found["clock"]["state"] == "skipped"


def test_payloads_that_are_refused(tmp_path: Path, mosquitto: Mosquitto) -> None:
    """All of them: failed, with the first reason; some: a warning."""
    write(tmp_path, mosquitto)
    with published(mosquitto, lambda: {"Load": 1.0}):
        found = doctor(tmp_path, code=1)
    assert failed(found) == ["decode"]
    # Whichever of the two it heard first.
    assert re.search(r"unknown sensor Load \(on enginewatch/v1/plant/p[12]/telemetry\)", found["decode"]["said"])
    assert found["tick"]["state"] == "skipped"
    with published(mosquitto, lambda: {"load": 1.0, "Flow": 1.0}):
        found = doctor(tmp_path, code=0)
    assert found["decode"]["state"] == "warning"


def test_clocks_that_are_ahead(tmp_path: Path, mosquitto: Mosquitto) -> None:
    """One publisher's, or this host's own where most publishers are ahead of it."""
    write(tmp_path, mosquitto)
    with published(mosquitto, ahead_s=90.0):
        found = doctor(tmp_path, code=1)
    assert failed(found) == ["clock"]
    assert "plant//p2 lie up to 90 s ahead" in found["clock"]["said"]
    assert "synchronise the publisher's clock" in found["clock"]["remedy"]


def test_a_model_that_is_missing_or_damaged(tmp_path: Path) -> None:
    """The settings are wrong then, as `check` has it; nothing connects."""
    write(tmp_path, At("127.0.0.1", free_port()), model="engine")
    for reason in ("there is no folder engine", "engine/model.onnx is not the file"):
        told = json_lines(run("doctor", "--json", folder=tmp_path, code=2).stdout)
        assert (told[0]["hop"], told[0]["state"]) == ("settings", "failed")
        assert "classes.0.model: " in told[0]["said"]
        assert reason in told[0]["said"]
        assert {row["state"] for row in told[1:]} == {"skipped"}
        shutil.copytree(model_folder(Path("pretrained:engine")), tmp_path / "engine", dirs_exist_ok=True)
        (tmp_path / "engine" / "model.onnx").write_bytes(b"nonsense")


def test_influxdb_away_and_without_the_database(tmp_path: Path, mosquitto: Mosquitto, influxd: Influxd) -> None:
    write(tmp_path, mosquitto, influx=influxd.url)
    with published(mosquitto):
        found = doctor(tmp_path, code=1)
    assert failed(found) == ["influx"]
    assert 'InfluxDB has no bucket "engines"' in found["influx"]["said"]
    influxd.stop()
    with published(mosquitto):
        found = doctor(tmp_path, code=1)
    assert found["influx"]["said"] == (
        f"nothing answers at {influxd.url}: is InfluxDB running, is influx.url right?"
    )


def test_a_broker_that_drops(tmp_path: Path) -> None:
    """For a client that is away, with a short queue: mosquitto counts, and the doctor names the setting."""
    if find("mosquitto") is None:
        missing("mosquitto")
    with Mosquitto(tmp_path / "broker", lines=["max_queued_messages 5", "sys_interval 1"]) as broker:
        # A later line wins over the helper's own.
        conf = broker.folder / "mosquitto.conf"
        conf.write_text(conf.read_text().replace("max_queued_messages 0\n", ""))
        broker.stop()
        broker.start()
        with Peer(broker, "enginewatch/#", session="away"):
            pass
        write(tmp_path, broker)
        with published(broker):
            time.sleep(2)
            found = doctor(tmp_path, code=1)
    assert failed(found) == ["limits"]
    assert "drops messages" in found["limits"]["said"]
    assert "max_queued_messages" in found["limits"]["remedy"]


def test_the_table_is_a_line_a_hop(tmp_path: Path) -> None:
    write(tmp_path, At("127.0.0.1", free_port()))
    lines = run("doctor", folder=tmp_path, code=1).stdout.splitlines()
    assert len(lines) == 14
    assert lines[2].split(maxsplit=2)[:2] == ["connect", "failed"]


@pytest.mark.parametrize("wait", ["0", "-1", "nan", "soon"])
def test_a_wait_is_a_number_of_seconds(tmp_path: Path, wait: str) -> None:
    assert "--wait" in run("doctor", f"--wait={wait}", folder=tmp_path, code=2).stderr
