"""The HTTP port of the real daemon: what it says while brokers come and go, and what comes in by it."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.rig import Daemon, answer, json_lines, plain_settings, run, until
from tests.servers.peers import Peer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.brokers import Broker

TOPIC = "enginewatch/v1/plant/p1/telemetry"


@pytest.fixture
def daemon(broker: Broker, tmp_path: Path) -> Iterator[Daemon]:
    """A daemon that listens, with a port that was free."""
    made = Daemon(tmp_path, plain_settings(broker, tmp_path))
    made.start()
    try:
        yield made
    finally:
        made.close()


def ask(daemon: Daemon, path: str, body: object = None) -> tuple[int, Any]:
    """Status and answer; (0, why) where there is none."""
    return answer(daemon.facts().get("http", ""), path, body)


def samples(daemon: Daemon) -> dict[tuple[str, ...], float]:
    """The page of metrics by name and labels."""
    families = text_string_to_metric_families(ask(daemon, "/metrics")[1])
    return {(each.name, *each.labels.values()): each.value for family in families for each in family.samples}


def test_ready_follows_the_broker_and_the_metrics_are_the_books(daemon: Daemon, broker: Broker) -> None:
    """Away means not ready, and alive; back means ready. What was acknowledged stands in the metrics."""
    until(lambda: ask(daemon, "/readyz")[0] == 200)
    now = int(time.time() * 1000)
    with Peer(broker) as peer:
        peer.publish_all(
            TOPIC,
            [
                json.dumps({"v": 1, "ts": now + 10 * n, "values": {"load": 1.0, "flow": 2.0}}).encode()
                for n in range(5)
            ],
        )
        peer.publish("enginewatch/v1/plant/p2/telemetry", b"no JSON")
    until(lambda: daemon.accounted() == 11)
    found = samples(daemon)
    outcomes = sum(value for name, value in found.items() if name[0] == "enginewatch_values_total")
    assert outcomes + found["enginewatch_values_waiting",] == 11
    assert found["enginewatch_messages_total",] >= 5
    assert found["enginewatch_streams",] == 1
    told = run("doctor", "--wait", "0.1", folder=daemon.folder, code=1).stdout
    # A class without a model scores nothing, which is told and no reason not to be ready.
    assert re.search(r"(?m)^http +warning +http://127\.0\.0\.1:\d+/readyz says degraded: no model yet", told), told
    _page_tells(daemon, broker)
    broker.stop()
    _, said = until(lambda: found if (found := ask(daemon, "/readyz"))[0] == 503 else None)
    assert said["reasons"][0].startswith("not connected to the broker: ")
    assert ask(daemon, "/livez") == (200, {"status": "alive", "reasons": []})
    broker.start()
    until(lambda: ask(daemon, "/readyz")[0] == 200)
    assert samples(daemon)["enginewatch_reconnects_total",] == 1
    daemon.stop()
    assert ask(daemon, "/livez")[0] == 0


def _page_tells(daemon: Daemon, broker: Broker) -> None:
    """The page and what it asks for, of the real daemon: the same asset, hops and dead letters."""
    status, fleet = ask(daemon, "/api/v1/fleet")
    assert (status, fleet["summary"]["watched"]) == (
        200,
        "0 of 1 assets are watched; 1 learning; no incident is open",
    )
    assert [(each["asset"], each["class"], each["state"]) for each in fleet["assets"]] == [
        ("plant//p1", "machine", "learning")
    ]
    status, health = ask(daemon, "/api/v1/health")
    assert (status, health["status"]) == (200, "degraded")
    hops = {each["name"]: each for each in health["hops"]}
    assert hops["broker"]["said"].startswith(f"{broker.host}:{broker.port}; ")
    assert {name: hops[name]["state"] for name in ("broker", "decode", "line", "influx")} == {
        "broker": "good", "decode": "degraded", "line": "degraded", "influx": "off"
    }  # fmt: skip
    [reason] = health["letters"]["reasons"]
    assert (reason["letters"], reason["samples"][0]["payload"]) == (1, "no JSON")
    assert health["models"] == [{"class": "machine", "model": None, "hash": None, "window": None}]
    assert {each["name"] for each in health["threads"]} >= {"main", "line", "http"}


def test_a_command_by_http_is_carried_out_once(daemon: Daemon, broker: Broker) -> None:
    """It is journalled like one of the command line; the same id again does nothing, also after kill -9."""
    until(lambda: ask(daemon, "/readyz")[0] == 200)
    now = int(time.time() * 1000)
    with Peer(broker) as peer:
        peer.publish(TOPIC, json.dumps({"v": 1, "ts": now, "values": {"load": 1.0}}).encode())
    until(lambda: daemon.accounted() == 1)
    command = {"id": "m1", "action": "maintenance", "asset": "plant//p1", "ts": now, "until": now + 3_600_000}
    status, said = ask(daemon, "/api/v1/commands", command)
    assert (status, said["done"]) == (200, True), said
    again = {"done": True, "reply": "command m1 was carried out before"}
    assert ask(daemon, "/api/v1/commands", command) == (200, again)
    daemon.kill()
    daemon.start()
    until(lambda: ask(daemon, "/readyz")[0] == 200)
    assert ask(daemon, "/api/v1/commands", command) == (200, again)
    status, said = ask(daemon, "/api/v1/commands", command | {"id": "m2", "action": "promote"})
    assert (status, said["done"]) == (422, False)  # what is loaded from this machine's disk is asked for on it
    assert ask(daemon, "/api/v1/commands", {"ask": "assets"})[0] == 422


def test_a_port_that_is_taken_is_one_line_and_the_daemon_works(broker: Broker, tmp_path: Path) -> None:
    """It goes on listening to the broker; doctor and log name the port and the settings."""
    with closing(socket.create_server(("127.0.0.1", 0))) as holder:
        port = holder.getsockname()[1]
        daemon = Daemon(tmp_path, plain_settings(broker, tmp_path), ENGINEWATCH_HTTP__PORT=str(port))
        try:
            daemon.start()
            lines = json_lines(daemon.log.read_text())
            (line,) = [line for line in lines if line["event"] == "http_port_taken"]
            assert line["reason"] == f"127.0.0.1:{port} cannot be bound: Address already in use"
            assert "http.port" in line["remedy"]
            said = run("doctor", "--wait", "0.1", folder=tmp_path, code=1).stdout
            assert re.search(
                r"(?m)^http +failed +127\.0\.0\.1:\d+ cannot be bound: Address already in use: free", said
            )
            daemon.stop()
        finally:
            daemon.close()


def test_without_the_port_its_server_is_not_loaded(broker: Broker, tmp_path: Path) -> None:
    """Neither by the daemon nor by the command itself."""
    daemon = Daemon(tmp_path, plain_settings(broker, tmp_path, extra="[http]\nenabled = false"))
    try:
        daemon.start()
        assert daemon.process is not None
        assert "http" not in daemon.facts()
        daemon.stop()
    finally:
        daemon.close()
    code = "import sys, monitor.daemon; print(*[name for name in sys.modules if name in ('uvicorn', 'starlette')])"
    assert run_python(code) == "\n"


def run_python(code: str) -> str:
    """What a fresh interpreter prints."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
