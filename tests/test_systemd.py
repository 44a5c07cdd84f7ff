"""What a service manager hears, on real sockets of both kinds; and that nobody listening harms nothing."""

from __future__ import annotations

import os
import re
import socket
import time
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from monitor.systemd import ServiceManager

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("abstract", [True, False])
def test_the_lines_of_the_protocol(tmp_path: Path, abstract: bool) -> None:
    """As sd_notify(3) has them, a datagram each."""
    address = f"@enginewatch-test-{os.getpid()}-{time.time_ns()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind("\0" + address[1:] if abstract else address)
        ear.settimeout(10)
        manager = ServiceManager({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "60000000"})
        manager.ready()
        manager.status("two\nlines, \u00e4")
        manager.status("two\nlines, \u00e4")
        manager.ping()
        manager.ping()  # not so soon
        manager.reloading()
        manager.stopping()
        assert manager.watchdog_s == 60.0
        assert ear.recv(4096) == b"READY=1"
        assert ear.recv(4096).decode() == "STATUS=two lines, \u00e4"
        assert ear.recv(4096) == b"WATCHDOG=1"
        said = re.fullmatch(rb"RELOADING=1\nMONOTONIC_USEC=(\d+)", ear.recv(4096))
        assert said is not None
        assert 0 <= time.monotonic() * 1e6 - int(said[1]) < 60e6
        assert ear.recv(4096) == b"STOPPING=1"


def test_a_long_start_asks_for_time_now_and_then(tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(address)
        ear.settimeout(10)
        manager = ServiceManager({"NOTIFY_SOCKET": address})
        for number in range(3):
            manager.extend(f"record {number}")
        manager.ready()
        assert re.fullmatch(rb"EXTEND_TIMEOUT_USEC=[1-9]\d{7}", ear.recv(4096))
        assert ear.recv(4096) == b"STATUS=record 0"
        assert ear.recv(4096) == b"READY=1"


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({"WATCHDOG_USEC": "500000"}, 0.5),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": str(os.getpid())}, 0.5),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": "1"}, 0.0),  # meant for another process
        ({"WATCHDOG_USEC": "soon"}, 0.0),
        ({}, 0.0),
    ],
)
def test_the_watchdog_time_is_that_of_the_environment(environment: dict[str, str], seconds: float) -> None:
    assert ServiceManager({"NOTIFY_SOCKET": "/run/nothing", **environment}).watchdog_s == seconds


def test_a_socket_that_is_not_there_is_told_once(tmp_path: Path) -> None:
    manager = ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "gone")})
    with capture_logs() as logs:
        manager.ready()
        manager.stopping()
    assert [each["event"] for each in logs] == ["service_manager_not_told"]


def test_without_a_service_manager_nothing_is_said() -> None:
    with capture_logs() as logs:
        ServiceManager({"WATCHDOG_USEC": "500000"}).ready()
    assert logs == []
