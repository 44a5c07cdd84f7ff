"""Real servers for the tests, as context managers that scripts can use too."""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import shutil
import socket
import sys
from pathlib import Path
from typing import NoReturn

import pytest

REQUIRE = "ENGINEWATCH_REQUIRE_SERVERS"
# Debian keeps daemons where an ordinary user's PATH does not look; wheels keep theirs beside the interpreter.
PLACES = (str(Path(sys.executable).parent), "/usr/local/sbin", "/usr/sbin")
# Below the ports that systems give to outgoing connections (Linux: from 32768): one of those can be taken by
# anybody's connection while the server that it is meant for is not up.
PORTS = range(12_000, 32_000)
WORKERS = 16  # of pytest-xdist, that have ports of their own
_ports = itertools.count(
    secrets.randbelow(len(PORTS) // WORKERS) * WORKERS
    + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % WORKERS,
    WORKERS,
)


def find(program: str) -> str | None:
    """The path of a program, or None where it is not installed."""
    return shutil.which(program, path=os.pathsep.join([os.environ.get("PATH", ""), *PLACES]))


def missing(what: str) -> NoReturn:
    """Skip the test because a server is not installed, or fail it where the environment asks for all servers."""
    if os.environ.get(REQUIRE) == "1":
        pytest.fail(f"{what} is not installed, and {REQUIRE}=1 asks for it")
    pytest.skip(f"{what} is not installed")


def free_port() -> int:
    """A port of the loopback interface that nobody listens on, and that no other worker of this run gets."""
    while True:
        port = PORTS[next(_ports) % len(PORTS)]
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
