"""The brokers' example configurations, run as they are: what they let through, and what they do not."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from tests.rig import Daemon, plain_settings, until
from tests.servers import find, free_port, missing
from tests.servers.brokers import Broker, Mosquitto, Nats, make_certificates

if TYPE_CHECKING:
    from collections.abc import Iterator

    from paho.mqtt.client import MQTTMessage

    from tests.servers.brokers import Certificates

DEPLOY = Path(__file__).parents[1] / "deploy"
OWN = "enginewatch/v1/plant/pump-7/telemetry"
OTHER = "enginewatch/v1/plant/pump-8/telemetry"
COMMAND = "enginewatch/_monitor/main/command"
REPLY = "enginewatch/_monitor/main/reply"
MACHINE, DAEMON, OPERATOR = "pump-7", "enginewatch", "operator"
_numbers = itertools.count()


def rewritten(name: str, changes: dict[str, str]) -> str:
    """An example with its places and ports changed; each must stand in it."""
    text = (DEPLOY / name).read_text(encoding="utf-8")
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


class Deployed:
    """A broker that runs from an example: `ports` by user, everybody's password is their name, twice."""

    def __init__(self, broker: Broker, certificates: Certificates, ports: dict[str, int]) -> None:
        self.broker = broker
        self.certificates = certificates
        self.ports = ports


def password(user: str) -> str:
    return f"{user} {user}"


class _Example(Mosquitto):
    """mosquitto from the files in deploy/."""

    def __init__(self, folder: Path, certificates: Certificates) -> None:
        super().__init__(folder)
        self.staff_port = free_port()
        changes = {
            "/etc/mosquitto/certs/server.crt": str(certificates.cert_file),
            "/etc/mosquitto/certs/server.key": str(certificates.key_file),
            "/etc/mosquitto/": f"{folder}/",
            "/var/lib/mosquitto/": f"{folder}/",
            "listener 8883": f"listener {self.port} 127.0.0.1",
            "listener 8884": f"listener {self.staff_port} 127.0.0.1",
        }
        text = rewritten("mosquitto/mosquitto.conf", changes)
        if os.geteuid() == 0:
            text += "user root\n"
        (folder / "mosquitto.conf").write_text(text)
        for name in ("machines.acl", "staff.acl"):
            (folder / name).write_text((DEPLOY / "mosquitto" / name).read_text())
            (folder / name).chmod(0o600)
        hasher = find("mosquitto_passwd")
        assert hasher is not None
        for file, users in (("machines", [MACHINE, "pump-8"]), ("staff", [DAEMON, OPERATOR, "viewer"])):
            passwords = folder / f"{file}.passwords"
            passwords.write_text("".join(f"{user}:{password(user)}\n" for user in users))
            passwords.chmod(0o600)
            subprocess.run([hasher, "-U", str(passwords)], check=True, capture_output=True)

    def ports(self) -> tuple[int, ...]:
        """It opens one after the other."""
        return self.port, self.staff_port


class _ExampleNats(Nats):
    """nats-server from the file in deploy/."""

    def __init__(self, folder: Path, certificates: Certificates) -> None:
        super().__init__(folder)
        changes = {
            "/etc/nats/certs/server.crt": str(certificates.cert_file),
            "/etc/nats/certs/server.key": str(certificates.key_file),
            "/var/lib/nats": f"{folder}/jetstream",
            "port: 8883": f"port: {self.port}",
            "port: 4222": "port: -1",
            "host: 0.0.0.0": "host: 127.0.0.1",
        }
        text = re.sub(r"change me: (\S+)\"", r'\1 \1"', rewritten("nats/nats.conf", changes))
        (folder / "nats.conf").write_text(text)
        self._arguments = ["-c", str(folder / "nats.conf")]


@pytest.fixture(params=[Mosquitto, Nats], ids=["mosquitto", "nats"])
def deployed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Deployed]:
    """Each of the two brokers, from its example."""
    if not request.param.installed():
        missing(request.param.program)
    certificates = make_certificates(tmp_path / "tls")
    if request.param is Mosquitto:
        with _Example(tmp_path / "broker", certificates) as server:
            staff = server.staff_port
            yield Deployed(server, certificates, {DAEMON: staff, OPERATOR: staff, MACHINE: server.port})
    else:
        with _ExampleNats(tmp_path / "broker", certificates) as other:
            yield Deployed(other, certificates, dict.fromkeys((DAEMON, OPERATOR, MACHINE), other.port))


class Someone:
    """Somebody who is signed in, publishes, and gathers what comes."""

    def __init__(
        self, at: Deployed, user: str, *, port: int = 0, client_id: str = "", session: bool = False, key: str = ""
    ) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self.refused = threading.Event()
        self._granted: list[Any] = []
        self._up, self._subscribed = threading.Event(), threading.Event()
        name = client_id or f"someone-{next(_numbers)}"
        self._client = Client(CallbackAPIVersion.VERSION2, name, clean_session=not session)
        self._client.username_pw_set(user, key or password(user))
        self._client.tls_set(ca_certs=str(at.certificates.ca_file))
        self._client.on_connect = self._answered
        self._client.on_subscribe = self._said
        self._client.on_message = self._heard
        self._client.reconnect_delay_set(0.05, 0.1)  # type: ignore[arg-type]  # less than a second is taken, too
        self._port = port or at.ports[user]

    def __enter__(self) -> Self:
        self._client.connect("localhost", self._port)
        self._client.loop_start()
        until(lambda: self._up.is_set() or self.refused.is_set())
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _answered(self, _client: Client, _data: Any, _flags: Any, code: Any, _properties: Any) -> None:
        (self.refused if code.is_failure else self._up).set()

    def _said(self, _client: Client, _data: Any, _id: int, codes: list[Any], _properties: Any) -> None:
        self._granted = codes
        self._subscribed.set()

    def _heard(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        self.heard.append((message.topic, bytes(message.payload)))

    def subscribe(self, topic: str) -> None:
        """Returns when the broker has answered, whatever it said."""
        self._subscribed.clear()
        self._client.subscribe(topic, 1)
        assert self._subscribed.wait(20)

    def publish(self, topic: str, payload: bytes) -> None:
        """Returns when the broker has taken it, or dropped it, or hung up."""
        message = self._client.publish(topic, payload, 1)
        until(lambda: not self._client.is_connected() or message.is_published())
        until(self._client.is_connected)  # who oversteps is hung up on


def test_machines_write_their_own_topics_and_nothing_else(deployed: Deployed) -> None:
    """Neither another's readings, nor alerts, nor commands, nor what another says of itself."""
    with Someone(deployed, OPERATOR) as operator, Someone(deployed, MACHINE) as machine:
        operator.subscribe("enginewatch/#")
        for topic in (
            OTHER,
            "enginewatch/v1/elsewhere/pump-7/telemetry",
            "enginewatch/v1/plant/pump-7/alert",
            "enginewatch/v1/plant/pump-7/alert/event",
            "enginewatch/v1/plant/pump-8/status",
            COMMAND,
            REPLY,
            "enginewatch/_monitor/main/status",
        ):
            machine.publish(topic, b"forged")
        for topic in (OWN, OWN.replace("telemetry", "meta"), OWN.replace("telemetry", "status")):
            machine.publish(topic, b"own")
        until(lambda: len(operator.heard) >= 3)
        time.sleep(0.2)  # for what should not come
        assert {payload for _, payload in operator.heard} == {b"own"}
        assert len(operator.heard) == 3


def test_machines_hear_nothing(deployed: Deployed) -> None:
    """Not even each other."""
    with Someone(deployed, OPERATOR) as operator, Someone(deployed, MACHINE) as machine:
        operator.subscribe("enginewatch/#")
        for topic in (COMMAND, "enginewatch/#", "#"):
            machine.subscribe(topic)
        operator.publish(COMMAND, b"{}")
        machine.publish(OWN, b"own")
        until(lambda: len(operator.heard) == 2)
        time.sleep(0.2)
        assert machine.heard == []


def test_who_has_no_password_does_not_come_in(deployed: Deployed) -> None:
    """Nor with another's."""
    with Someone(deployed, MACHINE, key="wrong") as nobody:
        assert nobody.refused.is_set()


def test_the_daemon_works_with_them_end_to_end(deployed: Deployed, tmp_path: Path) -> None:
    """It reads what a machine says, takes an operator's command, and replies; what waits for it is not lost."""
    secret = tmp_path / "broker.password"
    secret.touch(mode=0o600)
    secret.write_text(password(DAEMON))
    text = plain_settings(deployed.broker, tmp_path)
    text = re.sub(r"host = .*\nport = .*", f'host = "localhost"\nport = {deployed.ports[DAEMON]}', text, count=1)
    text += f"""
[mqtt.tls]
enabled = true
ca_file = "{deployed.certificates.ca_file}"
[commands]
trust_broker_acl = true
"""
    text = text.replace("[mqtt]", f'[mqtt]\nusername = "{DAEMON}"\npassword_file = "{secret}"', 1)
    daemon = Daemon(tmp_path, text)
    now = int(time.time() * 1000)
    reading = b'{"v":1,"ts":%d,"values":{"load":1.0,"flow":2.0}}'
    try:
        daemon.start()
        with Someone(deployed, MACHINE) as machine, Someone(deployed, OPERATOR) as operator:
            operator.subscribe(REPLY)
            machine.publish(OWN, reading % now)
            until(lambda: daemon.accounted() == 2)
            command = b'{"id":"%s","action":"maintenance","asset":"plant//pump-7","ts":%d,"until":%d}'
            operator.publish(COMMAND, command % (b"m1", now, now + 3_600_000))
            until(lambda: operator.heard)
            assert b'"id":"m1","done":true' in operator.heard[0][1]
            machine.publish(COMMAND, command % (b"m2", now, now + 7_200_000))  # it may not
            daemon.stop()
            machine.publish(OWN, reading % (now + 1000))
        deployed.broker.stop()
        deployed.broker.start()
        with Someone(deployed, MACHINE) as machine:
            machine.publish(OWN, reading % (now + 2000))
        daemon.start()
        until(lambda: daemon.accounted() == 6)
        assert daemon.books()["outcomes"]["dead_letter"] == 0
    finally:
        daemon.close()


def test_a_machine_cannot_take_the_daemons_session(tmp_path: Path) -> None:
    """By mosquitto's example: who asks for the daemon's client id gets neither it nor what waits there."""
    if not Mosquitto.installed():
        missing("mosquitto")
    certificates = make_certificates(tmp_path / "tls")
    with _Example(tmp_path / "broker", certificates) as server:
        at = Deployed(server, certificates, {DAEMON: server.staff_port, MACHINE: server.port})
        with Someone(at, DAEMON, client_id="enginewatch-main", session=True) as daemon:
            daemon.subscribe("enginewatch/v1/+/+/telemetry")
            with Someone(at, MACHINE) as machine:
                machine.publish(OWN, b"1")
            until(lambda: daemon.heard)
        with Someone(at, MACHINE) as machine:
            machine.publish(OWN, b"2")
        with Someone(at, MACHINE, client_id="enginewatch-main", session=True) as thief:
            time.sleep(0.3)
            assert thief.heard == []
        with Someone(at, MACHINE, port=server.staff_port, client_id="enginewatch-main", session=True) as thief:
            assert thief.refused.is_set()  # its password is not known there
        with Someone(at, DAEMON, client_id="enginewatch-main", session=True) as daemon:
            until(lambda: daemon.heard)
            assert daemon.heard == [("enginewatch/v1/plant/pump-7/telemetry", b"2")]
