"""Commands over MQTT through a real broker and daemon: signed ones once, and nothing that was tampered with."""

from __future__ import annotations

import hashlib
import hmac
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from config.settings import CommandSettings
from monitor.door import unwrap
from monitor.records import Message
from monitor.remote import Remote
from monitor.store import Store
from tests.rig import Daemon, json_lines, plain_settings, until
from tests.servers.peers import Peer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.brokers import Broker

KEY = "a key of the operators"
COMMAND = "enginewatch/_monitor/main/command"
REPLY = "enginewatch/_monitor/main/reply"
TELEMETRY = "enginewatch/v1/plant/p1/telemetry"
MINUTE = 60_000


def signed(command: dict[str, Any], key: str = KEY) -> bytes:
    """As an operator's program sends it."""
    text = json.dumps(command)
    mac = hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()
    return json.dumps({"command": text, "hmac": mac}).encode()


def maintenance(name: str, at: int) -> dict[str, Any]:
    return {"id": name, "action": "maintenance", "asset": "plant//p1", "ts": at, "until": at + 60 * MINUTE}


@pytest.fixture
def daemon(broker: Broker, tmp_path: Path) -> Iterator[Daemon]:
    """A daemon that takes signed commands."""
    key = tmp_path / "key"
    key.touch(mode=0o600)
    key.write_text(KEY + "\n")
    made = Daemon(tmp_path, plain_settings(broker, tmp_path, extra='[commands]\nhmac_key_file = "key"\n'))
    made.start()
    try:
        yield made
    finally:
        made.close()


def test_a_signed_command_is_carried_out_once_whatever_is_played_back(daemon: Daemon, broker: Broker) -> None:
    """Played back at once, after kill -9 with and without a checkpoint; altered; too old; signed by another."""
    now = int(time.time() * 1000)
    with Peer(broker, REPLY) as peer:

        def reply(payload: bytes) -> dict[str, Any]:
            before = len(peer.messages)
            peer.publish(COMMAND, payload)
            until(lambda: len(peer.messages) > before)
            said: dict[str, Any] = json.loads(peer.messages[before][1])
            return said

        peer.publish(TELEMETRY, json.dumps({"v": 1, "ts": now, "values": {"load": 1.0}}).encode())
        until(lambda: daemon.accounted() == 1)
        good = signed(maintenance("m1", now))
        again = {"id": "m1", "done": True, "reply": "command m1 was carried out before"}
        first = reply(good)
        assert (first["id"], first["done"]) == ("m1", True)
        assert first["reply"] != again["reply"]
        assert reply(good) == again
        daemon.kill()
        daemon.start()
        assert reply(good) == again  # by the journal
        daemon.stop()
        daemon.start()
        assert reply(good) == again  # by the checkpoint

        altered = good.replace(b"p1", b"p2")
        assert altered != good
        refused = [
            (altered, "the signature does not fit commands.hmac_key_file"),
            (signed(maintenance("m2", now), key="another key"), "the signature does not fit"),
            (json.dumps(maintenance("m3", now)).encode(), "not a signed command"),
            (signed(maintenance("m4", now - 6 * MINUTE)), "300 s are allowed"),
            (signed(maintenance("m5", now + 6 * MINUTE)), "300 s are allowed"),
        ]
        for payload, words in refused:
            said = reply(payload)
            assert not said["done"]
            assert words in said["reply"]
    letters = Store(daemon.state / "store.db")
    assert len(letters.dead_letters(100)) == len(refused)
    assert KEY not in str(letters.dead_letters(100))
    letters.close()
    starts = [line for line in json_lines(daemon.log.read_text()) if line["event"] == "started"]
    assert {line["mqtt_commands"] for line in starts} == {"signed with commands.hmac_key_file"}


def test_the_program_in_the_docs_signs_what_is_taken(tmp_path: Path) -> None:
    """As it stands in docs/commands.md, with a key of which the file's last line end is none."""
    page = (Path(__file__).parents[1] / "docs" / "commands.md").read_text(encoding="utf-8")
    program = page.partition("```python\n")[2].partition("```")[0]
    (tmp_path / "operators.key").write_text(KEY + "\n")
    call = [sys.executable, "-c", program, "comment", "i1", 'belt "looks"', "worn, größer"]
    payload = subprocess.run(call, cwd=tmp_path, check=True, capture_output=True).stdout
    command = unwrap(payload.rstrip(), KEY.encode(), trust=False, now=int(time.time() * 1000))
    assert (command.action, command.incident, command.why) == ("comment", "i1", 'belt "looks" worn, größer')


def test_it_is_said_which_commands_are_taken(tmp_path: Path) -> None:
    """A key goes before trust: with both, what is not signed is refused."""
    key = tmp_path / "key"
    key.write_text(KEY)
    said: list[tuple[str, bytes]] = []
    store = Store(tmp_path / "store.db")

    def remote(**settings: Any) -> Remote:
        return Remote(
            CommandSettings(**settings), store, "enginewatch/_monitor/main", lambda *told: said.append(told)
        )

    plain = json.dumps(maintenance("m1", 1_000)).encode()
    message = Message(COMMAND.encode(), plain, 1_000, len(plain))
    assert remote().way == "off"
    assert remote().read(message) is None
    assert remote(trust_broker_acl=True).way == "all that the broker lets through (commands.trust_broker_acl)"
    assert remote(trust_broker_acl=True).read(message) is not None
    both = remote(trust_broker_acl=True, hmac_key_file=key)
    assert both.way == "signed with commands.hmac_key_file"
    assert both.read(message) is None
    assert [topic for topic, _ in said] == [REPLY, REPLY]
    assert [json.loads(payload)["reply"].partition(":")[0] for _, payload in said] == [
        "commands over MQTT are off",
        "not a signed command",
    ]
    store.close()
