"""The canary of real daemons: one that sees, one whose threshold nothing reaches, one without a broker."""

from __future__ import annotations

import json
from contextlib import ExitStack, closing
from functools import partial
from typing import TYPE_CHECKING, Any

from monitor.store import Store
from tests.rig import Daemon, answer, run, until
from tests.servers import free_port

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.brokers import Broker

SETTINGS = """
[daemon]
id = "{name}"
[mqtt]
host = "127.0.0.1"
port = {port}
[[classes]]
name = "engine"
model = "pretrained:engine"
[canary]
enabled = true
expect_within_s = {within}
{more}
[log]
format = "json"
"""
DEAF = "[threshold]\nfloor = 1000\ncap = 1000\n"


def latest(daemon: Daemon) -> Any:
    """What came of its first fault; None before."""
    outcomes = json.loads(daemon.facts().get("canary", "{}")).get("outcomes")
    return outcomes and outcomes[-1]


def test_a_fault_is_seen_or_missed_or_not_tried(broker: Broker, tmp_path: Path) -> None:
    """All three at once, two of them at one broker: neither takes the other's canary."""
    made: dict[str, Daemon] = {}
    with ExitStack() as stack:
        for name, port, within, more in (
            ("sees", broker.port, 60, ""), ("deaf", broker.port, 3, DEAF), ("alone", free_port(), 60, ""),
        ):  # fmt: skip
            (tmp_path / name).mkdir()
            text = SETTINGS.format(name=name, port=port, within=within, more=more)
            made[name] = Daemon(tmp_path / name, text)
            stack.callback(made[name].close)
            made[name].start(listening=False)
        found = {name: until(partial(latest, each)) for name, each in made.items()}
        assert {name: each["result"] for name, each in found.items()} == {
            "sees": "seen", "deaf": "missed", "alone": "not tried",
        }  # fmt: skip
        sees, deaf = made["sees"], made["deaf"]
        _, ready = answer(deaf.facts()["http"], "/readyz")
        assert ready["status"] == "degraded"
        assert "the canary's fault low ignition voltage" in ready["reasons"][0]
        assert answer(sees.facts()["http"], "/readyz")[1] == {"status": "ready", "reasons": []}
        metrics = answer(sees.facts()["http"], "/metrics")[1]
        assert 'enginewatch_canary_faults_total{result="seen"} 1\n' in metrics
        assert "\nenginewatch_streams 0\n" in metrics
        assert "\nenginewatch_incidents_open 0\n" in metrics
        assert 'enginewatch_rows_total{status="scored"} 0\n' in metrics
        said = sees.facts()["not_scoring"]  # of the topics of others, whatever comes on its own
        assert (said.startswith("connected to the broker"), "_canary" in said) == (True, False)
        top = json.loads(run("top", "--json", folder=sees.folder).stdout)
        assert (top["assets"], top["canary"]) == ([], f"canary: seen after {found['sees']['delay_s']:.1f} s")
        health = answer(sees.facts()["http"], "/api/v1/health")[1]
        assert (health["canary"]["counts"], health["false_alarms"]) == ({"seen": 1}, [])
        with closing(Store(sees.state / "store.db")) as store:
            (incident,) = store.find_incidents(9, asset="_canary//sees")
            fault = found["sees"]["at"]
            # The incident is stored after the reading that made it fire came, and that after the first faulty one.
            assert fault < incident[0].recorded <= fault + 1000 * found["sees"]["delay_s"]
            assert store.find_incidents(9) == []
            assert store.dead_letters(9) == []
