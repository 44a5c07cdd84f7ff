"""The door for commands: who may, what is understood, and every refusal in words."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import socket
import stat
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from monitor import door as room
from monitor.door import ACTIONS, FRESH_MS, SOCKET, CommandError, Door, Question, check, parse, unwrap
from monitor.records import Command, Transition
from monitor.store import Store
from tests.rig import open_files, until
from tests.store_samples import PUMP, START, result, transition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NOW = START + 60_000
KEY = b"between you and me"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store with one incident, i1."""
    made = Store(tmp_path / "store.db")
    made.write(1, result(events=[transition(Transition.FIRED)]))
    yield made
    made.close()


def asked(action: str, **changes: Any) -> Command:
    return Command(**{"id": "c1", "action": action, "ts": NOW, "incident": "i1", **changes})


# -- what is understood -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        asked("acknowledge"),
        asked("shelve", until=NOW + 1),
        asked("comment", why="a bearing, I think"),
        asked("verdict", verdict="real"),
        asked("verdict", verdict="false"),
    ],
    ids=lambda command: f"{command.action} {command.verdict}",
)
def test_words_about_an_incident_get_what_the_store_knows(store: Store, command: Command) -> None:
    """Its asset, kind, severity and beginning, whatever the sender said; so the core needs no memory of it."""
    lied = json.loads(json.dumps({name: getattr(command, name) for name in Command.__slots__}))
    lies = {"asset": "lie//lie", "kind": "lie", "sensor": "lie", "started": 1, "severity": "critical"}
    found = check(parse(json.dumps(lied | lies)), store, NOW)
    assert (found.asset, found.kind, found.sensor, found.started) == (PUMP, "anomaly", "", START)
    assert found.severity == "warning"
    assert (found.action, found.why, found.verdict, found.until) == (
        command.action, command.why, command.verdict, command.until,
    )  # fmt: skip


@pytest.mark.parametrize("action", ["acknowledge", "shelve", "accept"])
def test_some_actions_may_name_an_asset(store: Store, action: str) -> None:
    command = asked(action, incident="", asset=PUMP, until=NOW + 1)
    assert check(command, store, NOW) == command


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"action": "destroy"}, "unknown action 'destroy': use one of acknowledge, shelve, comment, verdict, accept"),
    ({"id": ""}, "a command needs an id of its own"),
    ({"incident": "i2"}, "there is no incident i2; `enginewatch alerts` lists them"),
    ({"incident": ""}, "acknowledge needs an incident"),
    ({"action": "accept", "asset": ""}, r"accept needs an asset \(site/area/asset\)"),
    ({"action": "shelve"}, "shelve needs an end in the future .*--for"),
    ({"action": "shelve", "until": NOW}, "shelve needs an end in the future"),
    ({"action": "verdict"}, "verdict is '': use real or false"),
    ({"action": "verdict", "verdict": "maybe"}, "verdict is 'maybe': use real or false"),
    ({"action": "comment"}, "a comment needs words, in `why`"),
    ({"action": "comment", "why": "x", "incident": "", "asset": PUMP}, "comment needs an incident"),
    ({"action": "verdict", "verdict": "real", "incident": "", "asset": PUMP}, "verdict needs an incident"),
    ({"action": "maintenance", "until": NOW + 1}, r"maintenance needs an asset \(site/area/asset\)"),
    ({"action": "maintenance", "asset": PUMP}, "maintenance needs an end in the future"),
    ({"action": "maintenance", "asset": PUMP, "until": NOW}, "maintenance needs an end in the future"),
    ({"action": "maintenance", "asset": PUMP, "until": NOW + 5, "since": NOW + 5}, "ends before it begins"),
    ({"action": "forget"}, "forget needs an asset"),
    ({"action": "rename", "asset": PUMP, "name": "pump-2"}, "rename needs another name, site/area/asset"),
    ({"action": "rename", "asset": PUMP, "name": "plant//"}, "rename needs another name"),
    ({"action": "rename", "asset": PUMP, "name": "plant//#"}, "rename needs another name"),
    ({"action": "rename", "asset": PUMP, "name": PUMP}, f"rename needs another name than {PUMP}"),
]


@pytest.mark.parametrize(("changes", "sentence"), REFUSED, ids=lambda value: str(value)[:40])
def test_what_cannot_be_carried_out_is_refused_in_words(
    store: Store, changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(CommandError, match=sentence):
        check(asked(**{"action": "acknowledge", **changes}), store, NOW)


GOOD = {"id": "c1", "action": "acknowledge", "ts": NOW, "incident": "i1"}
NOT_COMMANDS: list[tuple[bytes, str]] = [
    (b"", "not a command"),
    (b"acknowledge i1", "not a command"),
    (b"[1]", "not a command: Expected `object`"),
    (b'{"id":"c1","action":"acknowledge"}', "missing required field `ts`"),
    (json.dumps(GOOD | {"ts": "now"}).encode(), r"Expected `int`, got `str` - at `\$.ts`"),
    (b"\xff\xfe", "not a command"),
    (b'{"id":"\xff"}', "not a command"),
    (json.dumps(GOOD | {"ts": 10**30}).encode(), "ts and until are epoch milliseconds"),
    (json.dumps(GOOD | {"until": 2**63}).encode(), "ts and until are epoch milliseconds"),
    (json.dumps(GOOD | {"until": -1}).encode(), "ts and until are epoch milliseconds"),
    (json.dumps(GOOD | {"since": -1}).encode(), "and so is since"),
    (json.dumps(GOOD | {"id": "c" * 1001}).encode(), "a text is longer than 1,000 characters"),
    (json.dumps(GOOD | {"why": "so " * 1000}).encode(), "a text is longer than 1,000 characters"),
    (b'{"x":' + b"[" * 100_000, "not a command"),
]


@pytest.mark.parametrize(("text", "sentence"), NOT_COMMANDS, ids=lambda value: str(value)[:30])
def test_what_is_no_command_is_refused_in_words(text: bytes, sentence: str) -> None:
    """Nothing that comes may end the daemon: it would come again after the next start."""
    with pytest.raises(CommandError, match=sentence):
        parse(text)


# -- over MQTT --------------------------------------------------------------------------------------------------


def signed(command: str, key: bytes = KEY) -> bytes:
    return json.dumps(
        {"command": command, "hmac": hmac.new(key, command.encode(), hashlib.sha256).hexdigest()}
    ).encode()


def test_a_signed_command_is_taken() -> None:
    """With the key no trust in the broker is needed; time may differ by five minutes."""
    for ts in (NOW, NOW - FRESH_MS, NOW + FRESH_MS):
        command = unwrap(signed(json.dumps(GOOD | {"ts": ts})), KEY, trust=False, now=NOW)
        assert (command.id, command.ts) == ("c1", ts)


BAD: list[tuple[bytes, str]] = [
    (signed(json.dumps(GOOD), b"another key"), "the signature does not fit commands.hmac_key_file"),
    (signed(json.dumps(GOOD)).replace(b"i1", b"i2"), "the signature does not fit"),
    (json.dumps({"command": json.dumps(GOOD)}).encode(), "the signature does not fit"),
    (json.dumps({"command": json.dumps(GOOD), "hmac": "ä" * 64}).encode(), "the signature does not fit"),
    (json.dumps(GOOD).encode(), r"not a signed command: expected \{command, hmac\}"),
    (b"\xff", "not a signed command"),
    (b'{"x":' + b"[" * 100_000, "not a signed command"),
    (signed(json.dumps(GOOD | {"ts": NOW - FRESH_MS - 1000})), "ts is 301 s from this host's clock; 300 s are"),
    (signed(json.dumps(GOOD | {"ts": NOW + FRESH_MS + 1000})), "ts is 301 s from this host's clock"),
    (signed("nonsense"), "not a command"),
]


@pytest.mark.parametrize(("payload", "sentence"), BAD, ids=lambda value: str(value)[:30])
@pytest.mark.parametrize("trust", [False, True])
def test_a_badly_signed_command_is_refused_in_words(payload: bytes, sentence: str, trust: bool) -> None:
    """Also where unsigned ones would be taken were there no key."""
    with pytest.raises(CommandError, match=sentence):
        unwrap(payload, KEY, trust=trust, now=NOW)


def test_without_a_key_only_trust_opens_the_door() -> None:
    """The broker's list of who may publish is then the lock, and age does not matter."""
    old = json.dumps(GOOD | {"ts": 5}).encode()
    assert unwrap(old, None, trust=True, now=NOW).id == "c1"
    with pytest.raises(CommandError, match=r"off: set commands.hmac_key_file or commands.trust_broker_acl"):
        unwrap(old, None, trust=False, now=NOW)


# -- the socket -------------------------------------------------------------------------------------------------


@contextmanager
def open_door(folder: Path, store: Store, submit: Callable[[Command], None]) -> Iterator[Door]:
    made = Door(folder, submit=submit, store=store)
    made.start()
    try:
        yield made
    finally:
        made.stop()


def call(folder: Path, line: bytes) -> dict[str, Any]:
    """What the socket in a folder answers to a line."""
    descriptor = os.open(folder, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(f"/proc/self/fd/{descriptor}/{SOCKET}")
        os.close(descriptor)
        client.sendall(line)
        found: dict[str, Any] = json.loads(client.makefile("rb").readline())
        return found


def line(**changes: Any) -> bytes:
    return json.dumps(GOOD | {"ts": int(time.time() * 1000)} | changes).encode() + b"\n"


def test_a_command_goes_in_and_the_reply_comes_out(tmp_path: Path, store: Store) -> None:
    """Once it is journalled, what the line says of it is the answer; a refusal never reaches the journal."""
    journalled: list[Command] = []

    def submit(command: Command) -> None:
        journalled.append(command)
        assert door.reply(command.id, True, f"{command.incident} done")

    with open_door(tmp_path, store, submit) as door:
        assert stat.S_IMODE((tmp_path / SOCKET).stat().st_mode) == 0o600
        assert call(tmp_path, line()) == {"done": True, "reply": "i1 done"}
        assert call(tmp_path, line(incident="i2"))["done"] is False
        assert call(tmp_path, b"nonsense\n")["reply"].startswith("not a command")
        assert call(tmp_path, b"x" * room.LONGEST_LINE)["done"] is False
        assert [(each.incident, each.asset) for each in journalled] == [("i1", PUMP)]
        assert not door.reply("c1", True, "nobody waits any more")
    assert not (tmp_path / SOCKET).exists()


def test_a_question_is_answered_and_never_journalled(tmp_path: Path, store: Store) -> None:
    """By whoever knows; who cannot answer says so in words, and a question that nobody knows is named."""

    def busy(_: Question) -> object:
        raise CommandError("the line is busy")

    known = {"assets": lambda asked: [asked.topic, asked.reason], "busy": busy}
    door = Door(tmp_path, submit=lambda _: pytest.fail("journalled"), store=store, questions=known)
    assert door.answer(b'{"ask":"assets","reason":"x*"}') == {"done": True, "reply": "", "answer": ["*", "x*"]}
    assert door.answer(b'{"ask":"busy"}') == {"done": False, "reply": "the line is busy"}
    assert door.answer(b'{"ask":"nothing"}') == {"done": False, "reply": "unknown question 'nothing'"}
    assert str(door.answer(b'{"ask":5}')["reply"]).startswith("not a command")


def test_the_umask_is_as_it_was(tmp_path: Path, store: Store) -> None:
    before = os.umask(0o022)
    try:
        with open_door(tmp_path, store, lambda _: None):
            (tmp_path / "file").touch()
        assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o644
    finally:
        os.umask(before)


def test_a_folder_with_an_over_long_path(tmp_path: Path, store: Store) -> None:
    """A socket's own path may have 107 bytes; the door goes by the folder's descriptor."""
    folder = tmp_path / ("a" * 100) / ("b" * 100)
    folder.mkdir(parents=True)
    with open_door(folder, store, lambda command: void(door.reply(command.id, True, "done"))) as door:
        assert call(folder, line())["reply"] == "done"


def void(_: object) -> None:
    """Nothing is returned."""


def test_a_socket_left_by_a_kill_is_replaced(tmp_path: Path, store: Store) -> None:
    with socket.socket(socket.AF_UNIX) as old:
        old.bind(str(tmp_path / SOCKET))
    with open_door(tmp_path, store, lambda command: void(door.reply(command.id, True, "done"))) as door:
        assert call(tmp_path, line())["reply"] == "done"


def test_two_clients_at_once_get_their_own_answers(tmp_path: Path, store: Store) -> None:
    """The second is served while the first still waits."""
    both = threading.Barrier(2, timeout=20)

    def submit(command: Command) -> None:
        both.wait()
        door.reply(command.id, True, f"for {command.id}")

    answers: dict[str, Any] = {}
    with open_door(tmp_path, store, submit) as door:
        clients = [
            threading.Thread(target=lambda name=name: answers.update({name: call(tmp_path, line(id=name))}))
            for name in ("one", "two")
        ]
        for client in clients:
            client.start()
        for client in clients:
            client.join(30)
    assert answers == {name: {"done": True, "reply": f"for {name}"} for name in ("one", "two")}


def test_the_same_command_at_once_is_journalled_once_and_answers_all(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever sends it again waits for the one that is under way, not for a reply of its own that never comes."""
    journalled: list[Command] = []
    waiting: list[room.Waiting] = []

    class Counted(room.Waiting):
        def reply(self) -> dict[str, object]:
            waiting.append(self)
            return super().reply()

    def submit(command: Command) -> None:
        journalled.append(command)
        until(lambda: len(waiting) == 2)
        door.reply(command.id, True, "commented")

    monkeypatch.setattr(room, "Waiting", Counted)
    door = Door(tmp_path, submit=submit, store=store)
    answers: list[dict[str, object]] = []
    same = line(id="twice")
    threads = [threading.Thread(target=lambda: answers.append(door.command(same))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(journalled) == 1
    assert answers == [{"done": True, "reply": "commented"}] * 3


def test_a_line_that_does_not_answer(tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command is kept, so it will be carried out; the operator is told that, and does not wait for ever."""
    monkeypatch.setattr(room, "REPLY_S", 0.01)
    with open_door(tmp_path, store, lambda _: None):
        assert call(tmp_path, line()) == {
            "done": True,
            "reply": "kept; the line is behind and will carry it out",
        }


def test_a_journal_that_cannot_keep_it(tmp_path: Path, store: Store) -> None:
    """A full disk: refused, in words."""

    def submit(_: Command) -> None:
        raise CommandError("not carried out: the disk is full")

    with open_door(tmp_path, store, submit):
        assert call(tmp_path, line()) == {"done": False, "reply": "not carried out: the disk is full"}


def test_clients_leave_nothing_open(tmp_path: Path, store: Store) -> None:
    """Nor does one that says nothing."""
    with open_door(tmp_path, store, lambda command: void(door.reply(command.id, True, "done"))) as door:
        call(tmp_path, line())
        before = open_files()
        for _ in range(15):
            call(tmp_path, line())
        with socket.socket(socket.AF_UNIX) as silent:
            silent.connect(str(tmp_path / SOCKET))
        assert open_files() < before + 10


def test_every_action_is_known_to_the_tests() -> None:
    assert set(ACTIONS) == {
        "acknowledge", "shelve", "comment", "verdict", "accept", "maintenance", "maintained", "forget", "rename",
    }  # fmt: skip
