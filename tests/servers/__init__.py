"""Real servers for the tests, as context managers that scripts can use too."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from pathlib import Path
from typing import NoReturn

import pytest

REQUIRE = "ENGINEWATCH_REQUIRE_SERVERS"
# Debian keeps daemons where an ordinary user's PATH does not look; wheels keep theirs beside the interpreter.
PLACES = (str(Path(sys.executable).parent), "/usr/local/sbin", "/usr/sbin")


def find(program: str) -> str | None:
    """The path of a program, or None where it is not installed."""
    return shutil.which(program, path=os.pathsep.join([os.environ.get("PATH", ""), *PLACES]))


def missing(what: str) -> NoReturn:
    """Skip the test because a server is not installed, or fail it where the environment asks for all servers."""
    if os.environ.get(REQUIRE) == "1":
        pytest.fail(f"{what} is not installed, and {REQUIRE}=1 asks for it")
    pytest.skip(f"{what} is not installed")


def free_port() -> int:
    """A port of the loopback interface that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
