"""The one door for commands: a Unix socket in the state folder for the command line, a topic for MQTT.

Here a command is only checked and given what the store knows of its incident. It is journalled before it acts,
and the line acts on it.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import socketserver
import threading
import time
from dataclasses import fields, replace
from typing import TYPE_CHECKING

import msgspec

from monitor.payloads.words import is_name
from monitor.records import Command
from monitor.stages import Pulse, Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from monitor.store import Store

ACTIONS = (
    "acknowledge", "shelve", "comment", "verdict", "accept", "maintenance", "maintained", "forget", "rename",
)  # fmt: skip
OF_ASSETS = {"accept", "maintenance", "maintained", "forget", "rename"}
MODEL_ACTIONS = ("promote", "rollback")
VERDICTS = ("real", "false")
FRESH_MS = 5 * 60_000  # a signed command is good for so long, so that it cannot be played back later
REPLY_S = 10.0  # how long the socket waits for the line
LONGEST_LINE = 64 << 10
LONGEST_TEXT = 1_000  # characters of one field
LATEST_MS = 253_402_300_799_999  # the end of the year 9999
SOCKET = "command.sock"
TURN_S = 0.2
LAST_S = 1.0  # for the server to end
LEVELS = 3  # of an asset's name: site/area/asset


class CommandError(ValueError):
    """A command that cannot be carried out: the sentence says why."""


class _Signed(msgspec.Struct):
    command: str  # the command's JSON, exactly as it was signed
    hmac: str = ""  # hex of HMAC-SHA256 over it


def parse(text: bytes | str) -> Command:
    """A command from its JSON. Raises CommandError."""
    try:
        command = msgspec.json.decode(text, type=Command)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CommandError(f"not a command: {error}") from error
    if not all(0 <= time <= LATEST_MS for time in (command.ts, command.until or 0, command.since or 0)):
        raise CommandError("not a command: ts and until are epoch milliseconds, and so is since")
    texts = (getattr(command, each.name) for each in fields(Command))
    if any(isinstance(text, str) and len(text) > LONGEST_TEXT for text in texts):
        raise CommandError(f"not a command: a text is longer than {LONGEST_TEXT:,} characters")
    # What the store knows is not for the sender to say.
    return replace(command, kind="", sensor="", started=0, severity="")


def check(command: Command, store: Store, now: int) -> Command:
    """The command with what the store knows of its incident. Raises CommandError."""
    if command.action not in ACTIONS:
        raise CommandError(f"unknown action {command.action!r}: use one of {', '.join(ACTIONS)}")
    if not command.id:
        raise CommandError("a command needs an id of its own, so that it is carried out once")
    if command.action in OF_ASSETS:
        _check_of_asset(command, now)
        return command
    if command.action == "shelve" and (command.until is None or command.until <= now):
        raise CommandError("shelve needs an end in the future (`until`, on the command line --for)")
    if command.action == "verdict" and command.verdict not in VERDICTS:
        raise CommandError(f"verdict is {command.verdict!r}: use {' or '.join(VERDICTS)}")
    if command.action == "comment" and not command.why:
        raise CommandError("a comment needs words, in `why`")
    if not command.incident:
        if command.action in {"acknowledge", "shelve"} and command.asset:
            return command
        raise CommandError(f"{command.action} needs an incident; `enginewatch alerts` lists them")
    known = store.incident(command.incident)
    if known is None:
        raise CommandError(f"there is no incident {command.incident}; `enginewatch alerts` lists them")
    return replace(
        command,
        asset=known.stream,
        kind=known.kind,
        sensor=known.sensor,
        started=known.started,
        severity=known.severity,
    )


def _check_of_asset(command: Command, now: int) -> None:
    """Refuse what is ordered of an asset and cannot be carried out. Raises CommandError."""
    if not command.asset:
        raise CommandError(f"{command.action} needs an asset (site/area/asset)")
    if command.action == "maintenance":
        if command.until is None or command.until <= now:
            raise CommandError("maintenance needs an end in the future (`until`)")
        if command.since is not None and command.since >= command.until:
            raise CommandError("maintenance ends before it begins: `until` must lie behind `since`")
    if command.action == "rename":
        parts = command.name.split("/")
        if len(parts) != LEVELS or not all(map(is_name, filter(None, parts))) or not (parts[0] and parts[2]):
            raise CommandError(f"rename needs another name, site/area/asset, not {command.name!r}")
        if command.name == command.asset:
            raise CommandError(f"rename needs another name than {command.name}")


def unwrap(payload: bytes, key: bytes | None, *, trust: bool, now: int) -> Command:
    """A command that came over MQTT: signed with the key, or plain where the broker's ACL is trusted.

    Raises CommandError.
    """
    if key is None:
        if trust:
            return parse(payload)
        raise CommandError("commands over MQTT are off: set commands.hmac_key_file or commands.trust_broker_acl")
    try:
        signed = msgspec.json.decode(payload, type=_Signed)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CommandError("not a signed command: expected {command, hmac}") from error
    made = hmac.new(key, signed.command.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(made.encode(), signed.hmac.encode()):  # as texts they would have to be ASCII
        raise CommandError("the signature does not fit commands.hmac_key_file")
    command = parse(signed.command)
    if abs(now - command.ts) > FRESH_MS:
        raise CommandError(f"ts is {abs(now - command.ts) / 1000:.0f} s from this host's clock; 300 s are allowed")
    return command


class Question(msgspec.Struct):
    """What is asked at the socket and changes nothing by itself: `ask` names it."""

    ask: str
    topic: str = "*"
    reason: str = "*"


class Waiting:
    """What whoever gave a command waits for."""

    def __init__(self) -> None:
        self._told = threading.Event()
        self._said: tuple[bool, str] | None = None

    def tell(self, done: bool, text: str) -> None:
        """The line, or who should have journalled it, is through with it."""
        self._said = (done, text)
        self._told.set()

    def reply(self) -> dict[str, object]:
        """The answer; where the line takes too long, that it will come to it."""
        self._told.wait(REPLY_S)
        done, text = self._said or (True, "kept; the line is behind and will carry it out")
        return {"done": done, "reply": text}


class Door:
    """The socket's server, and the replies that wait for the line."""

    def __init__(
        self,
        folder: Path,
        *,
        submit: Callable[[Command], None],
        store: Store,
        models: Callable[[Command], tuple[bool, str]] | None = None,
        questions: Mapping[str, Callable[[Question], object]] | None = None,
    ) -> None:
        """`submit` journals a command and returns when it is on the disk, or raises CommandError.

        `models` does what is asked of models, which is not for the line to say and comes by the socket alone.
        `questions` answers by name, with what JSON can hold, or raises CommandError.
        """
        self._questions = questions or {}
        self._folder = folder
        self._submit = submit
        self._store = store
        self._models = models
        self._replies: dict[str, Waiting] = {}
        self._entering = threading.Lock()
        self._server: socketserver.ThreadingUnixStreamServer | None = None
        self.thread = Worker("door", self._serve)
        self.pulse = Pulse()

    def start(self) -> None:
        """Listen. The socket is the owner's alone."""
        path = self._folder / SOCKET
        path.unlink(missing_ok=True)
        door = self

        class Handler(socketserver.StreamRequestHandler):
            timeout = 30.0

            def handle(self) -> None:
                with contextlib.suppress(OSError):
                    line = self.rfile.readline(LONGEST_LINE)
                    self.wfile.write(msgspec.json.encode(door.answer(line)) + b"\n")

            def finish(self) -> None:
                super().finish()
                door._store.leave()

        class Server(socketserver.ThreadingUnixStreamServer):
            daemon_threads = True

            def service_actions(self) -> None:
                door.pulse.turn()

        before = os.umask(0o177)
        folder = os.open(self._folder, os.O_RDONLY)
        try:  # by its descriptor, because a socket's path may have 107 bytes only
            self._server = Server(f"/proc/self/fd/{folder}/{SOCKET}", Handler)
        finally:
            os.umask(before)
            os.close(folder)
        self.thread.start()

    def _serve(self) -> None:
        assert self._server is not None
        self._server.serve_forever(TURN_S)

    def answer(self, line: bytes) -> dict[str, object]:
        """Carry out one line; says what happened, or why not."""
        try:
            return self._respond(msgspec.json.decode(line, type=Question))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass  # a command, or nothing
        return self._carry_out(line, self._models)

    def command(self, line: bytes) -> dict[str, object]:
        """Carry out a command that came by the HTTP port: neither a question nor a word about models."""
        try:
            return self._carry_out(line, None)
        finally:
            self._store.leave()

    def _carry_out(self, line: bytes, models: Callable[[Command], tuple[bool, str]] | None) -> dict[str, object]:
        try:
            asked = parse(line)
            if asked.action in MODEL_ACTIONS and models is not None:
                done, text = models(asked)
                return {"done": done, "reply": text}
            command = check(asked, self._store, int(time.time() * 1000))
        except CommandError as error:
            return {"done": False, "reply": str(error)}
        with self._entering:
            before = self._replies.get(command.id)
            waiting = self._replies[command.id] = before or Waiting()
        if before is not None:  # the same one is under way: one reply is for both
            return waiting.reply()
        try:
            try:
                self._submit(command)
            except CommandError as error:
                waiting.tell(False, str(error))
            return waiting.reply()
        finally:
            self._replies.pop(command.id, None)

    def _respond(self, question: Question) -> dict[str, object]:
        """The answer to a question."""
        answer = self._questions.get(question.ask)
        if answer is None:
            return {"done": False, "reply": f"unknown question {question.ask!r}"}
        try:
            return {"done": True, "reply": "", "answer": answer(question)}
        except CommandError as error:
            return {"done": False, "reply": str(error)}

    def reply(self, command_id: str, done: bool, text: str) -> bool:
        """The line is through with a command: pass on what happened. False where nobody waits for it here."""
        waiting = self._replies.get(command_id)
        if waiting is None:
            return False
        waiting.tell(done, text)
        return True

    def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            if self.thread.is_alive():  # else nobody would hear it
                threading.Thread(target=self._server.shutdown, daemon=True).start()
                self.thread.join(LAST_S)
            self._server.server_close()
            (self._folder / SOCKET).unlink(missing_ok=True)
