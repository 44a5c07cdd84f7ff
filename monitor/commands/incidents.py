"""`enginewatch incidents`: tell the running daemon what an operator decided, through its socket."""

from __future__ import annotations

import getpass
import json
import os
import re
import socket
import sys
import time
import uuid
from typing import TYPE_CHECKING

import msgspec

from monitor.cli import UserError
from monitor.commands.common import state_arguments, state_folder
from monitor.door import ACTIONS, SOCKET, VERDICTS
from monitor.records import Command

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
ANSWER_S = 30.0


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    state_arguments(parser)
    parser.add_argument("action", choices=ACTIONS, help="what to do")
    parser.add_argument("about", metavar="INCIDENT|ASSET", help="an incident's id, or an asset (site/area/asset)")
    parser.add_argument("--for", dest="duration", metavar="TIME", help="shelve: how long, for example 30m, 8h, 2d")
    parser.add_argument("--verdict", choices=VERDICTS, default="", help="verdict: was the incident real")
    parser.add_argument("--why", default="", help="the reason, or the comment")
    parser.add_argument("--who", default="", help="who says so (default: you)")


def run(options: argparse.Namespace) -> int:
    """Send the command; exit code 0 where it was carried out, 1 where the daemon refused it."""
    now = int(time.time() * 1000)
    about = {"asset" if "/" in options.about else "incident": options.about}
    command = Command(
        id=uuid.uuid4().hex,
        action=options.action,
        ts=now,
        who=options.who or _user(),
        until=now + _milliseconds(options.duration) if options.duration is not None else None,
        why=options.why,
        verdict=options.verdict,
        **about,
    )
    answer = json.loads(_ask(state_folder(options), msgspec.json.encode(command) + b"\n"))
    print(answer["reply"], file=sys.stdout if answer["done"] else sys.stderr)
    return 0 if answer["done"] else 1


def _user() -> str:
    """The name of whoever calls; a container may run under a number that has none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


def _milliseconds(duration: str) -> int:
    match = re.fullmatch(r"(\d+)([smhd])", duration)
    if match is None:
        raise UserError(f"--for {duration}: use a number and s, m, h or d, for example 30m")
    return int(match[1]) * SECONDS[match[2]] * 1000


def _ask(folder: Path, line: bytes) -> bytes:
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
