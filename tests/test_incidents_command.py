"""`enginewatch incidents`: what it sends to the daemon's socket, and what it makes of the answer."""

from __future__ import annotations

import getpass
import json
import os
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from monitor.cli import main
from monitor.door import SOCKET
from monitor.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class FakeDaemon:
    """Answers each line on a state folder's socket; `tests/end_to_end/test_commands.py` has the real one."""

    def __init__(self, folder: Path) -> None:
        Store(folder / "store.db").close()
        self.asked: list[dict[str, Any]] = []
        self.answer = b'{"done":true,"reply":"i1 acknowledged"}\n'
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(folder / SOCKET))
        self._server.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            client, _ = self._server.accept()
            with client, client.makefile("rb") as lines:
                text = lines.readline()
                if not text:
                    return
                self.asked.append(json.loads(text))
                client.sendall(self.answer)

    def close(self, folder: Path) -> None:
        with socket.socket(socket.AF_UNIX) as last:
            last.connect(str(folder / SOCKET))
        self._thread.join(30)
        self._server.close()


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[FakeDaemon]:
    made = FakeDaemon(tmp_path)
    yield made
    made.close(tmp_path)


def test_a_command_says_who_what_and_when(
    daemon: FakeDaemon, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each with an id of its own; what has a slash is an asset, all else an incident."""
    before = time.time_ns() // 1_000_000
    state = ["--state", str(tmp_path)]
    assert main(["incidents", *state, "acknowledge", "i1"]) == 0
    assert capsys.readouterr().out == "i1 acknowledged\n"
    assert (
        main(["incidents", *state, "shelve", "plant//p1", "--for", "30m", "--why", "on order", "--who", "me"]) == 0
    )
    assert main(["incidents", *state, "verdict", "i1", "--verdict", "false"]) == 0
    first, second, third = daemon.asked
    after = time.time_ns() // 1_000_000
    assert before <= first["ts"] <= after
    assert (first["action"], first["incident"], first["asset"], first["until"]) == ("acknowledge", "i1", "", None)
    assert first["who"] == getpass.getuser()
    assert (second["incident"], second["asset"], second["who"]) == ("", "plant//p1", "me")
    assert before <= second["until"] - 30 * 60_000 <= after
    assert second["why"] == "on order"
    assert third["verdict"] == "false"
    assert len({asked["id"] for asked in daemon.asked}) == 3


def test_the_short_spellings(daemon: FakeDaemon, tmp_path: Path) -> None:
    """The words of a comment and a verdict stand by themselves; `accept` is a command of its own."""
    state = ["--state", str(tmp_path)]
    assert main(["incidents", "ack", "i1", *state]) == 0
    assert main(["incidents", "comment", "i1", "a bearing, I think", *state]) == 0
    assert main(["incidents", "comment", "i1", "--why", "a bearing", *state]) == 0
    assert main(["incidents", "verdict", "i1", "real", *state]) == 0
    assert main(["accept", "plant//p1", "--why", "new pump", "--who", "me", *state]) == 0
    assert main(["incidents", "accept", "plant//p1", *state]) == 0
    asked = [(each["action"], each["incident"], each["why"], each["verdict"]) for each in daemon.asked]
    assert asked == [
        ("acknowledge", "i1", "", ""),
        ("comment", "i1", "a bearing, I think", ""),
        ("comment", "i1", "a bearing", ""),
        ("verdict", "i1", "", "real"),
        ("accept", "", "new pump", ""),
        ("accept", "", "", ""),
    ]
    assert daemon.asked[4]["asset"] == daemon.asked[5]["asset"] == "plant//p1"
    assert daemon.asked[4]["who"] == "me"


def test_a_refusal_is_exit_code_1(daemon: FakeDaemon, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    daemon.answer = b'{"done":false,"reply":"there is no incident i1"}\n'
    assert main(["incidents", "--state", str(tmp_path), "acknowledge", "i1"]) == 1
    assert capsys.readouterr().err == "there is no incident i1\n"


@pytest.mark.parametrize(
    "words",
    [
        ["accept", "plant//p1"],
        ["maintenance", "plant//p1", "now", "+2h"],
        ["maintenance", "end", "plant//p1"],
        ["assets", "forget", "plant//p1"],
        ["assets", "rename", "plant//p1", "plant//p2"],
        ["incidents", "ack", "i1"],
        ["models", "rollback"],
    ],
    ids=" ".join,
)
def test_every_order_gives_its_answer_as_json(
    daemon: FakeDaemon, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    """Carried out or refused, on standard output: a program looks at one place."""
    for done in (True, False):
        daemon.answer = json.dumps({"done": done, "reply": "so it is"}).encode() + b"\n"
        assert main([*words, "--state", str(tmp_path), "--json"]) == (0 if done else 1)
        told = capsys.readouterr()
        assert json.loads(told.out) == {"done": done, "reply": "so it is"}
        assert told.err == ""


def test_a_daemon_that_ends_in_between(
    daemon: FakeDaemon, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody knows then what became of it; `alerts` does."""
    daemon.answer = b""
    assert main(["incidents", "--state", str(tmp_path), "acknowledge", "i1"]) == 2
    assert "the daemon ended before it answered" in capsys.readouterr().err


def test_without_a_daemon(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Store(tmp_path / "store.db").close()
    assert main(["incidents", "--state", str(tmp_path), "acknowledge", "i1"]) == 2
    words = f"no daemon answers in {tmp_path} (No such file or directory): is it running?"
    assert capsys.readouterr().err == f"enginewatch incidents: {words}\n"


@pytest.mark.parametrize("duration", ["30", "m", "1.5h", "-1h", "2w", ""])
def test_a_duration_has_a_unit(
    daemon: FakeDaemon, tmp_path: Path, capsys: pytest.CaptureFixture[str], duration: str
) -> None:
    assert main(["incidents", "--state", str(tmp_path), "shelve", "i1", f"--for={duration}"]) == 2
    assert "use a number and s, m, h or d, for example 30m" in capsys.readouterr().err
    assert daemon.asked == []


def test_a_user_without_a_name(daemon: FakeDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container a number is often all there is."""

    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found: 1234")

    monkeypatch.setattr(getpass, "getuser", nameless)
    assert main(["incidents", "--state", str(tmp_path), "acknowledge", "i1"]) == 0
    assert daemon.asked[0]["who"] == f"user {os.getuid()}"
