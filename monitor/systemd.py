"""What a service manager is told (systemd's sd_notify): datagrams of a few lines on the socket of NOTIFY_SOCKET.

Without that variable nothing is sent. Nothing here may hold up or end the daemon: what cannot be sent is told
once.
"""

from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Mapping

log = structlog.get_logger()

EXTEND_S = 60.0  # that a start which goes on asks for
EXTEND_EVERY_S = 5.0
LONGEST_STATUS = 400  # characters
SEND_S = 5.0  # for a manager whose queue of a few datagrams is full


class ServiceManager:
    """Tells whoever started us how we are. To be called from one thread at a time."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """`environment` as systemd makes it: NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID."""
        self._address = environment.get("NOTIFY_SOCKET", "")
        if self._address.startswith("@"):  # in the abstract namespace, without a file
            self._address = "\0" + self._address[1:]
        self.watchdog_s = _watchdog(environment) if self._address else 0.0  # 0: none
        self._pinged = self._extended = -EXTEND_S
        self._status = ""
        self._failed = False

    def ready(self) -> None:
        """It works: state recovered, all threads started."""
        self._tell("READY=1")

    def ping(self) -> None:
        """Every stage goes on. May be called often: one goes out each third of the watchdog's time."""
        now = time.monotonic()
        if self.watchdog_s and now - self._pinged >= self.watchdog_s / 3:
            self._pinged = now
            self._tell("WATCHDOG=1")

    def status(self, sentence: str) -> None:
        """One line for `systemctl status`; told where it is another than before."""
        if sentence != self._status:
            self._status = sentence
            self._tell(f"STATUS={' '.join(sentence.split())[:LONGEST_STATUS]}")

    def reloading(self) -> None:
        """New settings are looked at; `ready` ends it."""
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """It ends in order."""
        self._tell("STOPPING=1")

    def extend(self, sentence: str) -> None:
        """Starting takes long and goes on. May be called often."""
        now = time.monotonic()
        if now - self._extended >= EXTEND_EVERY_S:
            self._extended = now
            self._tell(f"EXTEND_TIMEOUT_USEC={int(EXTEND_S * 1e6)}")
            self.status(sentence)
        self.ping()

    def _tell(self, lines: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.settimeout(SEND_S)
                sender.connect(self._address)
                sender.send(lines.encode(errors="replace"))
        except OSError as error:
            if not self._failed:
                log.warning("service_manager_not_told", reason=str(error), remedy="see NOTIFY_SOCKET")
            self._failed = True


def _watchdog(environment: Mapping[str, str]) -> float:
    """Seconds within which a ping is wanted; 0 where none is, or where it is meant for another process."""
    usec = environment.get("WATCHDOG_USEC", "")
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return 0.0
    return int(usec) / 1e6 if usec.isdecimal() else 0.0
