"""Speaking with the running daemon through the socket in its state folder."""

from __future__ import annotations

import argparse
import getpass
import json
import os
import re
import socket
import sys
import time
import uuid
from typing import TYPE_CHECKING, Any

import msgspec

from monitor.cli import UserError
from monitor.commands.common import state_arguments, state_folder
from monitor.door import SOCKET
from monitor.printable import json_line
from monitor.records import Command

if TYPE_CHECKING:
    from pathlib import Path

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
ANSWER_S = 30.0


def subcommand(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, line: str, **more: Any
) -> argparse.ArgumentParser:
    """A command below a command; where the state is may be said before it or behind it.

    A default must be given to each of its own options that has one: those above hold otherwise.
    """
    described = line[0].upper() + line[1:] + "."
    made = commands.add_parser(name, help=line, description=described, argument_default=argparse.SUPPRESS, **more)
    state_arguments(made)
    return made


def order_arguments(parser: argparse.ArgumentParser, *, why: str = "the reason") -> None:
    """Why and by whom an order is given, and in which form its answer is told."""
    parser.add_argument("--why", default="", metavar="TEXT", help=why)
    parser.add_argument("--who", default="", metavar="NAME", help="who says so (default: you)")
    json_argument(parser)


def json_argument(parser: argparse.ArgumentParser, help_line: str = "the answer as one JSON object") -> None:
    """Whether what is told is for programs."""
    parser.add_argument("--json", action="store_true", default=False, help=help_line)


def tell(options: argparse.Namespace, action: str, **fields: Any) -> int:
    """Send a command; exit code 0 where it was carried out, 1 where the daemon refused it."""
    now = int(time.time() * 1000)
    command = Command(id=uuid.uuid4().hex, action=action, ts=now, who=options.who or user(), **fields)
    return told(options, json.loads(ask(state_folder(options), msgspec.json.encode(command) + b"\n")))


def told(options: argparse.Namespace, answer: dict[str, Any]) -> int:
    """Show the daemon's answer to an order, refused or not; its exit code."""
    done = bool(answer["done"])
    text = json_line(answer) if options.json else answer["reply"]
    (sys.stdout if done or options.json else sys.stderr).write(f"{text}\n")
    return 0 if done else 1


def question(folder: Path, name: str, **fields: Any) -> dict[str, Any]:
    """Ask the daemon something that is no command: `done`, and the `answer` or in `reply` why there is none.

    Raises UserError where no daemon listens.
    """
    answer: dict[str, Any] = json.loads(ask(folder, msgspec.json.encode({"ask": name, **fields}) + b"\n"))
    return answer


def user() -> str:
    """The name of whoever calls; a container may run under a number that has none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


def milliseconds(duration: str, option: str) -> int:
    """A duration. Raises UserError that names the option."""
    match = re.fullmatch(r"(\d+)([smhd])", duration)
    if match is None:
        raise UserError(f"{option} {duration}: use a number and s, m, h or d, for example 30m")
    return int(match[1]) * SECONDS[match[2]] * 1000


def ask(folder: Path, line: bytes) -> bytes:
    """Send one line to the daemon's socket and return its answer. Raises UserError where no daemon listens."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(ANSWER_S)
            client.connect(f"/proc/self/fd/{descriptor}/{SOCKET}")
            client.sendall(line)
            with client.makefile("rb") as answer:
                told = answer.readline()
    except OSError as error:
        raise UserError(f"no daemon answers in {folder} ({error.strerror or error}): is it running?") from error
    finally:
        os.close(descriptor)
    if not told:
        raise UserError("the daemon ended before it answered; `enginewatch alerts` shows what it did")
    return told
