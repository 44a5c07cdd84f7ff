"""Servers that answer as no server should: bit by bit, without end, or with what they were sent."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Odd:
    """What is said to everybody who connects, and what follows again and again after each pause."""

    def __init__(self, says: bytes, then: bytes = b"", pause_s: float = 0.01) -> None:
        self.says = says
        self.then = then
        self.pause_s = pause_s
        self.port = 0
        self.over = threading.Event()
        self.asked = 0

    def answer(self, connection: socket.socket, *, listen: bool) -> None:
        """One conversation, for as long as the other side stays."""
        with connection, contextlib.suppress(OSError):
            request = connection.recv(65_536) if listen else b""
            self.asked += 1
            connection.sendall(self.says.replace(b"{request}", request.partition(b"\r\n\r\n")[0]))
            while self.then and not self.over.wait(self.pause_s):
                connection.sendall(self.then)
            connection.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def odd(says: bytes, then: bytes = b"", *, pause_s: float = 0.01, listen: bool = True) -> Iterator[Odd]:
    """One that is there; with `listen` it hears a request before it says anything."""
    made = Odd(says, then, pause_s)
    with socket.create_server(("127.0.0.1", 0)) as server:
        made.port = server.getsockname()[1]

        def serve() -> None:
            with contextlib.suppress(OSError):
                while not made.over.is_set():
                    connection, _ = server.accept()
                    threading.Thread(target=made.answer, args=(connection,), kwargs={"listen": listen}).start()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield made
        finally:
            made.over.set()
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", made.port), 1).close()  # so that `accept` returns
            thread.join(5)
