"""The daemon killed at an exact system call, and a disk that fails: by strace, which injects both."""

from __future__ import annotations

import signal
import statistics
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.faults.house import House
from tests.faults.report import Finding, tell
from tests.faults.size import FULL, tries
from tests.rig import until
from tests.servers import find

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.brokers import Mosquitto
    from tests.servers.influxd import Influxd

pytestmark = [
    pytest.mark.timeout(3600),
    pytest.mark.skipif(find("strace") is None, reason="strace is not installed"),
]
RATE = 10.0  # ticks a second
CHECKPOINT_S = 0.1  # so that all that a checkpoint does comes often
REACHED_S = 20.0  # by when a call that has a number is made, or never
CALLS = ("fdatasync", "fsync", "pwrite64", "write", "rename", "unlink", "ftruncate")
EACH = 60  # the first calls of each kind in a thread: the start, and several turns of its work
SHORT = {"fdatasync, pwrite64, rename": [("fdatasync", 9), ("pwrite64", 60), ("rename", 3)]}
SWEEPS = {call: [(call, number) for number in range(1, EACH + 1)] for call in CALLS} if FULL else SHORT


@pytest.mark.parametrize("name", SWEEPS)
def test_killed_at_a_system_call(
    tmp_path: Path, pump_model: Path, mosquitto: Mosquitto, database: Influxd, name: str
) -> None:
    """Row 2: whichever call it is that does not happen any more, nothing is missing and nothing doubled."""
    sweep = SWEEPS[name]
    killed = 0
    ticks = 400 + len(sweep) * int(RATE * REACHED_S / 2)
    with House(tmp_path, pump_model, mosquitto, database, ticks=ticks, checkpoint_s=CHECKPOINT_S) as house:
        house.begin()
        house.daemon.kill()
        with house.plant.load(RATE):
            for call, number in sweep:
                house.daemon.launch(*strace(tmp_path, call, f"signal=KILL:when={number}"))
                if has_ended(house):
                    assert house.daemon.process is not None
                    assert house.daemon.process.returncode == -signal.SIGKILL, (call, number)
                    killed += 1
                house.daemon.kill()
        house.restart()
        recovery = house.fresh()
        verdict = house.finish()
    remark = "" if killed == len(sweep) else f"{len(sweep) - killed} calls were not made within {REACHED_S:.0f} s"
    tell(Finding.of(2, f"killed at a system call ({name})", killed, verdict, recovery, remark))
    assert verdict.clean, verdict
    assert killed > len(sweep) / 2


# What the disk does not bring to where it lasts: the journal, the store, and the files of a checkpoint.
FAILING = {
    "journal": ("fdatasync", "journal.db-wal", 5),
    "store": ("fdatasync", "store.db-wal", 3),
    "checkpoint": ("fsync", "checkpoint.new", 2),
    "folder": ("fsync", "", 5),
}
LIMIT_S = 1.0


@pytest.mark.parametrize("name", FAILING if FULL else ["journal"])
def test_a_disk_that_fails(
    tmp_path: Path, pump_model: Path, mosquitto: Mosquitto, database: Influxd, name: str
) -> None:
    """Row 12: an error of fsync ends the daemon at once; nothing is taken for written that is not."""
    call, file, first = FAILING[name]
    times = tries(1, 10)
    took: list[float] = []
    with House(tmp_path, pump_model, mosquitto, database, ticks=2000, checkpoint_s=CHECKPOINT_S) as house:
        house.begin()
        house.daemon.kill()
        with house.plant.load(RATE):
            for number in range(first, first + times):
                path = house.daemon.state / file
                began = house.daemon.launch(
                    *strace(tmp_path, call, f"error=EIO:when={number}", "-P", str(path), "-ttt")
                )
                assert has_ended(house), "no error was injected"
                took.append(time.time() - injected_at(tmp_path))
                said = house.daemon.log.read_text()[began:]
                assert house.daemon.process is not None
                assert house.daemon.process.returncode in {1, 2}, said
                assert "Traceback" not in said
                assert "/output error" in said or "I/O error" in said
        house.restart()
        recovery = house.fresh()
        verdict = house.finish()
    median = statistics.median(took)
    remark = f"exits non-zero {median:.2f} s after the error at the median, {max(took):.2f} s at the latest"
    tell(Finding.of(12, f"EIO on fsync ({name})", times, verdict, recovery, remark))
    assert verdict.clean, verdict
    if FULL:
        assert max(took) <= LIMIT_S  # under strace, which makes the error and slows every call of the end down


def strace(folder: Path, call: str, what: str, *more: str) -> list[str]:
    """The words that run a command under strace, which does something at a system call."""
    # -D: the daemon is our own child. Not --seccomp-bpf, with which no signal is sent.
    words = ["strace", "-D", "-f", "-o", str(folder / "trace"), *more]
    return [*words, "-e", f"trace={call}", "-e", f"inject={call}:{what}"]


def has_ended(house: House) -> bool:
    """Whether the daemon comes to its end by itself."""
    assert house.daemon.process is not None
    try:
        house.daemon.process.wait(REACHED_S)
    except subprocess.TimeoutExpired:
        return False
    return True


def injected_at(folder: Path) -> float:
    """When the first error was injected, by strace's own clock (epoch seconds)."""
    lines = until(lambda: [line for line in (folder / "trace").read_text().splitlines() if "INJECTED" in line])
    return float(lines[0].split()[1])
