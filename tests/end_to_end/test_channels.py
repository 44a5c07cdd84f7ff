"""A real daemon and a webhook: whatever is killed in between, nothing is told twice and no end is forgotten."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from monitor.decode import encode_telemetry
from tests.rig import Daemon, answer, plain_settings, run, until
from tests.servers.hooks import hook
from tests.servers.peers import Peer

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.brokers import Mosquitto

ROOT = "enginewatch/v1/plant/{}/"
SETTINGS = """
[notify]
group_wait_s = 0
group_interval_s = 0.2
retry_max_s = 1
[[notify.channels]]
name = "hook"
to = "webhook"
url = "{}"
[notify.home_assistant]
enabled = true
every_s = 1
"""


def read(broker: Mosquitto, asset: str) -> None:
    """One reading of an asset."""
    now = time.time_ns() // 1_000_000
    with Peer(broker) as peer:
        reading = encode_telemetry(time=now, boot="b", seq=0, values={"load": 1.0, "flow": 12.0})
        peer.publish(ROOT.format(asset) + "telemetry", reading)


def lose(broker: Mosquitto, asset: str) -> None:
    """Its last will: it is silent from now on."""
    with Peer(broker) as peer:
        peer.publish(ROOT.format(asset) + "status", b'{"online":false,"timestamp":1}')


def top(daemon: Daemon) -> Any:
    """What `enginewatch top` has."""
    return json.loads(run("top", "--json", folder=daemon.folder).stdout)


def test_a_daemon_that_is_killed_tells_nothing_twice_and_no_end_is_lost(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    with hook() as server, Peer(mosquitto, "homeassistant/#") as home:
        daemon = Daemon(tmp_path, plain_settings(mosquitto, tmp_path, extra=SETTINGS.format(server.url)))
        try:
            daemon.start()
            read(mosquitto, "p1")
            lose(mosquitto, "p1")
            server.wait(1)
            until(lambda: home.messages, why="the device of Home Assistant")
            daemon.kill()
            read(mosquitto, "p1")  # the broker keeps it
            server.status = 503
            daemon.start()
            server.wait(2)
            until(lambda: top(daemon)["reasons"], why="the terminal to say that the channel is away")
            seen = top(daemon)
            assert seen["reasons"][0].startswith("kept until it gets through: channel hook: ")
            assert seen["lags"]["channel hook"] == 1
            daemon.kill()  # while the end is refused
            server.status = 200
            daemon.start()
            address = daemon.facts()["http"]
            nothing_waits = 'enginewatch_sink_lag{sink="channel:hook"} 0\n'
            until(lambda: server.requests[-1][1]["status"] == "resolved", why="the end")
            until(lambda: nothing_waits in answer(address, "/metrics")[1], why="it to be through")
            lose(mosquitto, "p1")
            until(lambda: server.requests[-1][1]["status"] == "firing", why="the next incident")
            said = [(body["status"], body["alerts"][0]["labels"]["alertname"]) for _, body in server.requests]
            told = [each for number, each in enumerate(said) if number == 0 or each != said[number - 1]]
            assert told == [(status, "EnginewatchStale") for status in ("firing", "resolved", "firing")]
            ends = {
                headers["idempotency-key"] for headers, body in server.requests if body["status"] == "resolved"
            }
            assert len(ends) == 1
            measured = answer(address, "/metrics")[1]
            assert 'enginewatch_channel_degraded{channel="hook"} 0' in measured
            hops = {hop["name"]: hop for hop in answer(address, "/api/v1/health")[1]["hops"]}
            assert hops["channel hook"]["state"] == "good"
        finally:
            daemon.close()
