"""Stands between a client and a server, and does to the connection what networks do."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable

PIECE = 1 << 16


class Proxy:
    """A TCP proxy on a loopback port, whose attributes say what it does from now on; `mend` makes it honest.

    `refusing`: connections are closed at once. `hanging`: connections are taken, and nothing passes either way,
    nor does an end: the other side is a black hole. `hang_open` does that to the connections there are alone.
    `delay`: seconds that each piece of the server's waits. `answer_delay`: seconds that only the first piece of a
    connection waits, which is the CONNACK of MQTT.
    `to_client` and `to_server` are given each piece and return what passes instead; None ends the connection.
    `server` is where new connections go.
    """

    def __init__(self, host: str, port: int) -> None:
        """In front of a server; it need not run yet."""
        self.host = "127.0.0.1"
        self.server = (host, port)
        self._listener = socket.create_server((self.host, 0))
        self.port: int = self._listener.getsockname()[1]
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._lock = threading.Lock()
        self._ended = False
        self.made = 0  # connections that were taken
        self.hung = 0  # the first so many of them are black holes
        self.first_bytes: list[int] = []  # that clients sent, one a connection on which something was said
        self.mend()

    def mend(self) -> None:
        """Pass everything as it is."""
        self.refusing = False
        self.hanging = False
        self.delay = 0.0
        self.answer_delay = 0.0
        self.to_client: Callable[[bytes], bytes | None] | None = None
        self.to_server: Callable[[bytes], bytes | None] | None = None

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """Break all connections, as they stand."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for end in (end for pair in pairs for end in pair):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def hang_open(self) -> None:
        """From now on nothing passes on the connections that there are; new ones are as they should be."""
        self.hung = self.made

    def refuse(self) -> None:
        """Break all connections and take no new one."""
        self.refusing = True
        self.cut()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.made += 1
                if self.refusing:
                    client.close()
                    continue
                threading.Thread(target=self._serve, args=(client, self.made), daemon=True).start()

    def _serve(self, client: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError), client, socket.socket() as server:
            self._hang(number)
            server.connect(self.server)
            with self._lock:
                self._pairs.append((client, server))
            back = threading.Thread(target=self._pass, args=(server, client, "to_client", number), daemon=True)
            back.start()
            self._pass(client, server, "to_server", number)
            back.join()

    def _pass(self, source: socket.socket, target: socket.socket, way: str, number: int) -> None:
        first = True
        with contextlib.suppress(OSError):
            while data := source.recv(PIECE):
                if first and way == "to_server":
                    self.first_bytes.append(data[0])
                self._hang(number)
                if way == "to_client":
                    time.sleep(self.delay + first * self.answer_delay)
                first = False
                change = getattr(self, way)
                passed = data if change is None else change(data)
                if passed is None:
                    break
                target.sendall(passed)
        self._hang(number)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _hang(self, number: int) -> None:
        while (self.hanging or number <= self.hung) and not self._ended:
            time.sleep(0.02)
