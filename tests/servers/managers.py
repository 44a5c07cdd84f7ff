"""A service manager's end of NOTIFY_SOCKET."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Manager:
    """A service manager's socket, and what was said on it."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self._socket.setblocking(False)
        self.said: list[str] = []

    def hear(self) -> list[str]:
        """Everything so far, a line each."""
        while True:
            try:
                self.said += self._socket.recv(4096).decode().splitlines()
            except BlockingIOError:
                return self.said

    def pings(self) -> int:
        return self.hear().count("WATCHDOG=1")

    def close(self) -> None:
        self._socket.close()


@contextmanager
def service_manager(address: str) -> Iterator[Manager]:
    manager = Manager(address)
    try:
        yield manager
    finally:
        manager.close()
