"""The demo's child processes: apart from our terminal, watched, and never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from monitor.demo.processes import Child, ProcessError
from tests.servers.peers import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

SLEEPS = [sys.executable, "-c", "import time; print('awake', flush=True); time.sleep(600)"]
PARENT = """
import sys, time
from pathlib import Path
from monitor.demo.processes import Child
Child("sleeper", [sys.executable, "-c", "import os, time; print(os.getpid(), flush=True); time.sleep(600)"],
      folder=Path(sys.argv[1]))
time.sleep(600)
"""


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[Child]:
    child = Child("sleeper", SLEEPS, folder=tmp_path)
    wait_until(lambda: child.said() == "awake\n")
    yield child
    child.stop()


def test_a_child_is_in_a_session_of_its_own(sleeper: Child) -> None:
    """So Ctrl-C, which goes to all of a terminal's foreground, does not reach it."""
    assert os.getsid(sleeper.pid) == sleeper.pid != os.getsid(0)


def test_a_child_that_lives_passes_the_check_and_can_be_stopped_twice(sleeper: Child) -> None:
    sleeper.check()
    assert sleeper.stop() == -signal.SIGTERM
    assert sleeper.stop() == -signal.SIGTERM


def test_a_child_that_ended_is_told_with_its_last_words(tmp_path: Path) -> None:
    program = "import sys; print('first'); sys.exit('no room on the disk')"
    child = Child("helper", [sys.executable, "-c", program], folder=tmp_path)
    assert child.stop() in {1, -signal.SIGTERM}
    child = Child("helper", [sys.executable, "-c", program], folder=tmp_path)
    wait_until(lambda: "disk" in child.said())
    with pytest.raises(ProcessError, match=r"^the helper ended by itself \(exit code 1\): no room on the disk$"):
        wait_until(child.check)


def test_a_program_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ProcessError, match="the helper cannot be started: No such file"):
        Child("helper", [str(tmp_path / "nothing")], folder=tmp_path)


def test_settings_for_the_users_own_daemon_do_not_reach_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENGINEWATCH_MQTT__PORT", "1")
    child = Child("helper", [sys.executable, "-c", "import os; print(*os.environ, flush=True)"], folder=tmp_path)
    wait_until(lambda: "PATH" in child.said())
    assert "ENGINEWATCH" not in child.said()
    child.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends the children of a killed process")
def test_no_child_outlives_a_parent_that_is_killed(tmp_path: Path) -> None:
    """Not even kill -9 leaves one behind."""
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)])
    log = tmp_path / "sleeper.log"
    wait_until(lambda: log.exists() and log.read_text().endswith("\n"))
    child = Path("/proc") / log.read_text().strip()
    assert child.exists()
    parent.kill()
    parent.wait()
    wait_until(lambda: not child.exists() or "State:\tZ" in (child / "status").read_text(), "the child's end")
