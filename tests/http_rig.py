"""An HTTP port that really listens, and requests to it; the daemon behind it is a fake."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Any

from config.settings import HttpSettings
from monitor.health import Figures, Vitals
from monitor.web.asked import Asked, asked_of
from monitor.web.server import HttpPort
from tests.rig import until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from starlette.routing import Route


class Fake:
    """A daemon that keeps the commands it is given."""

    def __init__(self) -> None:
        self.vitals = Vitals()
        self.commands: list[bytes] = []
        self.told: list[str] = []
        self.reply: dict[str, object] = {"done": True, "reply": "done"}

    def command(self, text: bytes) -> dict[str, object]:
        self.commands.append(text)
        return self.reply

    def further(self) -> Sequence[Route]:
        return []

    def asked(self) -> Asked:
        return asked_of(lambda: self.vitals, Figures, self.command, self.further)


@contextmanager
def port(fake: Fake, **settings: Any) -> Iterator[HttpPort]:
    """A port that serves for a while."""
    made = HttpPort(HttpSettings(**{"port": 0, **settings}), settings.get("token"), fake.asked(), fake.told.append)
    thread = threading.Thread(target=made.run)
    thread.start()
    try:
        until(lambda: made.address and not ask_quietly(made, "/livez"), why="it answers")
        yield made
    finally:
        made.stop()
        thread.join(20)
        assert not thread.is_alive()


def number(made: HttpPort) -> int:
    return int(made.address.rpartition(":")[2])


def ask(
    made: HttpPort, path: str, method: str = "GET", body: bytes | None = None, **headers: str
) -> tuple[int, Any, dict[str, str]]:
    """Status, what was said, and the headers of one answer."""
    with closing(HTTPConnection("127.0.0.1", number(made), timeout=20)) as connection:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, named)
        answer = connection.getresponse()
        text = answer.read()
        said = json.loads(text) if "json" in answer.headers.get("Content-Type", "") and text else text.decode()
        return answer.status, said, {name.lower(): value for name, value in answer.headers.items()}


def ask_quietly(made: HttpPort, path: str) -> str:
    """Why there is no answer yet; empty where there is one."""
    try:
        ask(made, path)
    except (OSError, HTTPException) as error:
        return str(error) or "no answer"
    return ""


def raw(made: HttpPort) -> socket.socket:
    """A connection on which anything can be said."""
    return socket.create_connection(("127.0.0.1", number(made)), timeout=20)
