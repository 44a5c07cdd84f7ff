"""Operators' words to a running daemon, from the command line and over MQTT; kept over a kill."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import time
from typing import TYPE_CHECKING, Any

import pytest

from monitor.decode import encode_telemetry
from monitor.records import Transition
from monitor.store import Store
from tests.rig import Daemon, json_lines, plain_settings, run, until
from tests.servers.peers import Peer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.brokers import Mosquitto

TOPIC = "enginewatch/_monitor/main"
KEY = "between you and me"
SILENT = ("plant//p1", "plant//p2")


@pytest.fixture
def daemon(tmp_path: Path, mosquitto: Mosquitto) -> Iterator[Daemon]:
    """A daemon that takes signed commands, and for which two assets soon are silent."""
    key = tmp_path / "key"
    key.touch(mode=0o600)
    key.write_text(KEY + "\n")
    extra = f'[commands]\nhmac_key_file = "{key}"\n[alert]\nstale_after_s = 1\n[store]\ncheckpoint_s = 1'
    running = Daemon(tmp_path, plain_settings(mosquitto, tmp_path, extra=extra))
    running.start()
    with Peer(mosquitto) as peer:
        for stream in SILENT:
            topic = f"enginewatch/v1/plant/{stream.removeprefix('plant//')}/telemetry"
            values = {"load": 1.0, "flow": 12.0}
            peer.publish(topic, encode_telemetry(time=now(), boot="b", seq=0, values=values))
    yield running
    running.close()


def now() -> int:
    return time.time_ns() // 1_000_000


def incidents(daemon: Daemon) -> dict[str, dict[str, Any]]:
    """The open incidents as `enginewatch alerts` shows them, by asset."""
    return {
        row["stream"]: row for row in json_lines(run("alerts", "--open", "--json", folder=daemon.folder).stdout)
    }


def told(daemon: Daemon) -> list[tuple[str, str, str]]:
    """What happened so far: asset, transition, the reason given."""
    store = Store(daemon.state / "store.db")
    try:
        return [(event.stream, event.transition.value, event.why) for _, event in store.events_after(0, 1000)]
    finally:
        store.close()


def fired(daemon: Daemon) -> dict[str, str]:
    """Wait for the two incidents; returns their ids by asset."""
    until(lambda: len(told(daemon)) == 2, why="two silent assets")
    return {stream: row["incident_id"] for stream, row in incidents(daemon).items()}


def test_words_from_the_command_line_survive_a_kill(daemon: Daemon) -> None:
    """Each says what it did; what does not apply is refused with exit code 1; acknowledged stays acknowledged."""
    folder = daemon.folder
    names = fired(daemon)
    first, second = (names[stream] for stream in SILENT)
    assert run("incidents", "acknowledge", first, "--who", "me", folder=folder).stdout == f"{first} acknowledged\n"
    run("incidents", "comment", first, "--why", "a cable, perhaps", folder=folder)
    daemon.kill()
    daemon.start()
    assert run("incidents", "shelve", second, "--for", "8h", folder=folder).stdout == f"{second} shelved\n"
    assert run("incidents", "verdict", first, "--verdict", "real", folder=folder).stdout == f"{first} verdict\n"
    done = run("incidents", "accept", SILENT[0], folder=folder)
    assert done.stdout == f"{SILENT[0]} learns anew what is normal\n"
    refused = run("incidents", "acknowledge", "unheard-of", folder=folder, code=1)
    assert refused.stderr == "there is no incident unheard-of; `enginewatch alerts` lists them\n"
    again = run("incidents", "acknowledge", first, folder=folder, code=1)
    assert "it is acknowledged already" in again.stderr
    daemon.kill()
    daemon.start()
    assert [(words[1], words[2]) for words in told(daemon)] == [
        ("fired", ""), ("fired", ""), ("acknowledged", ""), ("commented", "a cable, perhaps"), ("shelved", ""),
        ("verdict", ""),
    ]  # fmt: skip
    shown = incidents(daemon)
    assert [shown[stream]["transition"] for stream in SILENT] == ["acknowledged", "shelved"]
    assert shown[SILENT[0]]["who"] == "me"
    assert shown[SILENT[1]]["until"] > now() + 7 * 3_600_000
    daemon.stop()
    gone = run("incidents", "comment", first, "--why", "x", folder=folder, code=2)
    assert "is it running?" in gone.stderr
    assert len(gone.stderr.splitlines()) == 1


def test_signed_commands_over_mqtt(daemon: Daemon, mosquitto: Mosquitto) -> None:
    """Carried out once and answered on the reply topic; unsigned ones are answered, kept, and not obeyed."""
    name = fired(daemon)[SILENT[0]]
    asked = {"id": "c1", "action": "acknowledge", "ts": now(), "incident": name, "who": "shift lead"}
    with Peer(mosquitto, f"{TOPIC}/reply") as peer:

        def answers() -> list[Any]:
            return [json.loads(payload) for _, payload, _ in peer.messages]

        peer.publish(f"{TOPIC}/command", json.dumps(asked).encode())
        until(lambda: len(answers()) == 1)
        peer.publish(f"{TOPIC}/command", signed(asked, "a key of somebody else"))
        until(lambda: len(answers()) == 2)
        assert [event[1] for event in told(daemon)] == ["fired", "fired"]
        for _ in range(2):  # the second time it is known by its id
            peer.publish(f"{TOPIC}/command", signed(asked))
        until(lambda: len(answers()) == 4)
        daemon.kill()
        daemon.start()
        peer.publish(f"{TOPIC}/command", signed(asked))
        until(lambda: len(answers()) == 5)
        again = {"id": "c1", "done": True, "reply": "command c1 was carried out before"}
        assert answers() == [
            {"id": "", "done": False, "reply": "not a signed command: expected {command, hmac}"},
            {"id": "", "done": False, "reply": "the signature does not fit commands.hmac_key_file"},
            {"id": "c1", "done": True, "reply": f"{name} acknowledged"},
            again,
            again,
        ]
    assert [event[1] for event in told(daemon)] == ["fired", "fired", Transition.ACKNOWLEDGED]
    store = Store(daemon.state / "store.db")
    letters = [(letter.topic, letter.values) for letter in store.dead_letters(10)]
    store.close()
    assert letters == [(f"{TOPIC}/command", 0)] * 2
    daemon.stop()


def signed(command: dict[str, Any], key: str = KEY) -> bytes:
    text = json.dumps(command)
    made = hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()
    return json.dumps({"command": text, "hmac": made}).encode()


def test_commands_over_mqtt_are_off_by_default(tmp_path: Path, mosquitto: Mosquitto) -> None:
    """The answer says what to set."""
    daemon = Daemon(tmp_path, plain_settings(mosquitto, tmp_path))
    try:
        daemon.start()
        with Peer(mosquitto, f"{TOPIC}/reply") as peer:
            peer.publish(f"{TOPIC}/command", json.dumps({"id": os.urandom(4).hex()}).encode())
            answer = until(lambda: peer.last(f"{TOPIC}/reply"))
        assert "commands over MQTT are off: set commands.hmac_key_file or" in answer["reply"]
        daemon.stop()
    finally:
        daemon.close()
