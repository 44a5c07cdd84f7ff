"""The first minutes with something wrong: told once, in one line, with the setting to change, and lived through.

The daemon stays, and goes on by itself as soon as the other side is mended.
"""

from __future__ import annotations

import re
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from monitor.decode import encode_telemetry
from tests import recordings
from tests.rig import Daemon, json_lines, plain_settings, run, settings, until
from tests.servers import find, missing
from tests.servers.brokers import Mosquitto, Nats, make_certificates
from tests.servers.influxd import DATABASE, PROGRAMS, Influxd
from tests.servers.peers import Peer, RecordingProxy
from tests.trained import WINDOW

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from tests.servers.brokers import Broker

ATTEMPTS = 10  # that a problem lasts for at the least, to show that it is told once
LONGEST_PAUSE_S = 0.05  # between them
TELEMETRY = "enginewatch/v1/plant/pump/telemetry"


class At:
    """A place to connect to."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port


@contextmanager
def monitoring(folder: Path, place: Any, *, mqtt: str = "", extra: str = "") -> Iterator[Daemon]:
    """A daemon with these lines in its section mqtt, which tries again at once."""
    text = plain_settings(place, folder, extra=extra)
    quick = f"reconnect_min_s = {LONGEST_PAUSE_S}\nreconnect_max_s = {LONGEST_PAUSE_S}\n{mqtt}"
    text = text.replace("reconnect_min_s = 0.1\nreconnect_max_s = 0.5", quick)
    daemon = Daemon(folder, text)
    try:
        daemon.start(listening=False)
        yield daemon
        assert daemon.process is not None
        assert daemon.process.poll() is None, daemon.log.read_text()
        daemon.stop()
    finally:
        daemon.close()


def logged(daemon: Daemon, event: str) -> list[Mapping[str, Any]]:
    return [entry for entry in json_lines(daemon.log.read_text()) if entry["event"] == event]


def reasons(daemon: Daemon) -> list[str]:
    """Why the receiver had no connection, as often as it was told."""
    return [
        entry["reason"]
        for entry in logged(daemon, "mqtt_disconnected")
        if entry["client_id"] == "enginewatch-main"
    ]


def connected(daemon: Daemon) -> list[str]:
    """The clients that connected, as often as it was told."""
    return [entry["client_id"] for entry in logged(daemon, "mqtt_connected")]


def test_nobody_listens_until_somebody_does(tmp_path: Path) -> None:
    if not Mosquitto.installed():
        missing("mosquitto")
    broker = Mosquitto(tmp_path / "broker")
    with monitoring(tmp_path, broker) as daemon:
        until(lambda: reasons(daemon))
        time.sleep(ATTEMPTS * LONGEST_PAUSE_S)
        assert reasons(daemon) == [
            f"nobody listens on 127.0.0.1:{broker.port}: start the broker, or check mqtt.host and mqtt.port"
        ]
        with broker:
            until(lambda: logged(daemon, "listening"))
            assert daemon.facts()["broker"] == "connected"


def test_a_host_that_nobody_knows(tmp_path: Path) -> None:
    with monitoring(tmp_path, At("no-such-host.invalid", 1883)) as daemon:
        until(lambda: reasons(daemon))
        time.sleep(ATTEMPTS * LONGEST_PAUSE_S)
        assert reasons(daemon) == ["the name 'no-such-host.invalid' cannot be resolved: check mqtt.host"]


@dataclass(frozen=True)
class Servers:
    """Brokers behind the one address that the daemon knows: as they should be, and as they should not."""

    plain: Broker
    tls: Broker
    guarded: Broker
    deaf: Broker
    expired: Broker
    other_name: Broker
    stranger: Broker


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Servers, Path]]:
    """The brokers, and a file with the authorities that the daemon trusts: all but the stranger's."""
    if not Mosquitto.installed():
        missing("mosquitto")
    if not Nats.installed():
        missing("nats-server")
    folder = tmp_path_factory.mktemp("servers")
    good = make_certificates(folder / "good")
    expired = make_certificates(folder / "expired", days=-1)
    other_name = make_certificates(folder / "other", name="elsewhere")
    stranger = make_certificates(folder / "stranger")
    trusted = folder / "trusted.crt"
    trusted.write_text("".join(made.ca_file.read_text() for made in (good, expired, other_name)))
    nobody_reads = {"users": [{"user": "ann", "password": "right", "permissions": {"subscribe": {"deny": [">"]}}}]}
    with ExitStack() as running:
        yield (
            Servers(
                plain=running.enter_context(Mosquitto(folder / "plain")),
                tls=running.enter_context(Mosquitto(folder / "tls", tls=good)),
                guarded=running.enter_context(Mosquitto(folder / "guarded", users={"ann": "another"})),
                deaf=running.enter_context(Nats(folder / "deaf", authorization=nobody_reads)),
                expired=running.enter_context(Mosquitto(folder / "expired-broker", tls=expired)),
                other_name=running.enter_context(Mosquitto(folder / "other-broker", tls=other_name)),
                stranger=running.enter_context(Mosquitto(folder / "stranger-broker", tls=stranger)),
            ),
            trusted,
        )


ANN = 'username = "ann"\npassword_file = "password"'
TLS = 'tls = { enabled = true, ca_file = "trusted.crt" }'
CASES = {
    "no user": (
        "guarded",
        "plain",
        "",
        "the broker refuses a connection without a user name: check mqtt.username",
    ),
    "password": ("guarded", "plain", ANN, "the broker refuses user 'ann': check mqtt.username and mqtt.password"),
    "ACL": (
        "deaf",
        "plain",
        ANN,
        "the broker refuses the subscription to enginewatch/v1/plant/+/telemetry: allow it for",
    ),
    "TLS port": (
        "tls",
        "plain",
        "",
        "hangs up without an answer: check that mqtt.port speaks MQTT, or set mqtt.tls",
    ),
    "plain port": ("plain", "tls", TLS, "does not speak TLS: check mqtt.port or mqtt.tls.enabled"),
    "authority": ("stranger", "tls", TLS, "set mqtt.tls.ca_file to the authority that signed it"),
    "name": (
        "other_name",
        "tls",
        TLS,
        "the broker's certificate is for another name than 'localhost': check mqtt.host",
    ),
    "expired": ("expired", "tls", TLS, "the broker's certificate has expired: renew it on the broker"),
}


@pytest.mark.parametrize(("first", "mended", "mqtt", "words"), CASES.values(), ids=CASES)
def test_a_broker_that_does_not_let_us_in(
    tmp_path: Path, servers: tuple[Servers, Path], first: str, mended: str, mqtt: str, words: str
) -> None:
    """Told once, over many attempts; when it is mended, the daemon listens without being touched."""
    brokers, trusted = servers
    (tmp_path / "trusted.crt").write_bytes(trusted.read_bytes())
    (tmp_path / "password").touch(0o600)
    (tmp_path / "password").write_text("right\n")
    with (
        RecordingProxy(getattr(brokers, first)) as proxy,
        monitoring(tmp_path, At("localhost", proxy.port), mqtt=mqtt) as daemon,
    ):
        until(lambda: reasons(daemon))
        so_far = len(proxy.said)
        until(lambda: len(proxy.said) >= so_far + 2 * ATTEMPTS, why="more attempts, of receiver and notifier")
        assert len(reasons(daemon)) == 1
        assert words in reasons(daemon)[0]
        assert daemon.facts()["broker"] == reasons(daemon)[0]
        assert not logged(daemon, "listening")
        assert "enginewatch-main" not in connected(daemon)
        proxy._broker = getattr(brokers, mended)
        until(lambda: logged(daemon, "listening"))
        assert connected(daemon).count("enginewatch-main") == 1
        assert daemon.facts()["broker"] == "connected"


def test_influxdb_away_then_closed_then_empty(tmp_path: Path, mosquitto: Mosquitto) -> None:
    """Each is told once, with the setting to change; then everything that was kept arrives."""
    for program in PROGRAMS:
        if find(program) is None:
            missing(program)
    server = Influxd(tmp_path / "influxd")
    influx = f'[influx]\nurl = "{server.url}"\nbucket = "{DATABASE}"\nretry_min_s = 0.05\nretry_max_s = 0.1\n'
    with monitoring(tmp_path, mosquitto, extra=influx) as daemon, Peer(mosquitto) as peer:
        until(lambda: logged(daemon, "listening"))
        peer.publish_all(TELEMETRY, readings(10))
        until(lambda: len(degraded(daemon)) == 1)
        server.configure(token="another")  # noqa: S106 - of nothing
        try:
            server.start()
            until(lambda: degraded(daemon)[-1].startswith("InfluxDB does not know the token"))
            server.configure()
            until(lambda: degraded(daemon)[-1].startswith(f'InfluxDB has no bucket "{DATABASE}"'))
            time.sleep(ATTEMPTS * LONGEST_PAUSE_S)
            told = degraded(daemon)  # between two of them nginx starts anew, which is a state of its own
            assert told[0] == f"nothing answers at {server.url}: is InfluxDB running, is influx.url right?"
            assert [
                sum(setting in reason for reason in told) for setting in ("influx.token", "influx.bucket")
            ] == [1, 1]
            server.create_database(DATABASE)
            until(lambda: server.count("anomaly") == 10)
            until(lambda: logged(daemon, "influx_ok"))
        finally:
            server.stop()


def test_no_scores_say_where_they_stopped(tmp_path: Path, mosquitto: Mosquitto, pump_model: Path) -> None:
    """Nothing comes; what comes is refused; windows fill; scores come: in the log, and by `enginewatch scores`."""
    daemon = Daemon(tmp_path, settings(mosquitto, pump_model))
    try:
        daemon.start()
        until(lambda: logged(daemon, "not_scoring"), why="the silence is told")
        silent = (
            r"connected to the broker, but 0 readings for \d+ s on enginewatch/v1/\+/\+/telemetry: is anything"
        )
        assert re.match(silent, logged(daemon, "not_scoring")[0]["where"])
        with Peer(mosquitto) as peer:
            peer.publish(TELEMETRY, b'{"ts": "now"}')
            until(lambda: "1 values rejected, the first on enginewatch/v1/plant/pump" in where(daemon))
            assert f"the daemon noted: {where(daemon)}" in run("scores", folder=tmp_path).stderr
            peer.publish_all(TELEMETRY, readings(WINDOW - 10, recordings.SENSORS))
            until(lambda: f"warming up: {WINDOW - 10}/{WINDOW} ticks" in where(daemon))
            assert not logged(daemon, "scoring")
            peer.publish_all(TELEMETRY, readings(WINDOW, recordings.SENSORS))
            until(lambda: logged(daemon, "scoring"))
            assert logged(daemon, "scoring")[0]["streams"] == 1
            until(lambda: not where(daemon))
        daemon.stop()
    finally:
        daemon.close()


def where(daemon: Daemon) -> str:
    return daemon.facts()["not_scoring"]


def degraded(daemon: Daemon) -> list[str]:
    """Why InfluxDB did not take rows, as often as it was told."""
    return [entry["error"] for entry in logged(daemon, "influx_degraded")]


def readings(ticks: int, sensors: Sequence[str] = ("load", "flow")) -> list[bytes]:
    """The first so many ticks of a day, one a second, complete."""
    began = int(time.time()) // 3600 * 3_600_000 - 3_600_000
    return [
        encode_telemetry(time=began + tick * 1000, boot="b", seq=tick, values=dict.fromkeys(sensors, 50.0))
        for tick in range(ticks)
    ]
