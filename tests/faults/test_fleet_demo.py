"""`enginewatch fleet demo` as a user runs it: real processes, and what is left of them. Only in `make faults`."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from monitor.demo import fleet_influx
from tests.faults.size import only_full
from tests.rig import COMMAND, environment, until
from tests.servers import missing

if TYPE_CHECKING:
    from collections.abc import Iterator

STARTED_S = 300.0  # Spark, on a machine that is busy
pytestmark = pytest.mark.timeout(3 * STARTED_S)


@pytest.fixture(autouse=True)
def _installed() -> None:
    only_full()
    if shutil.which("java") is None or find_spec("pyspark") is None:
        missing("java or pyspark")
    if fleet_influx.trouble():
        missing("influxd or nginx")


@contextmanager
def demo(temporary: Path, *arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
    """A demo of fifty vehicles whose files, and those of its processes, come to a folder."""
    process = subprocess.Popen(
        [*COMMAND, "fleet", "demo", "--vehicles", "50", *map(str, arguments)],
        env=environment() | {"TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def living(temporary: Path) -> set[int]:
    """The processes that were started with this folder for temporary files, Java's and Spark's workers too."""
    found = set()
    for file in Path("/proc").glob("[0-9]*/environ"):
        try:
            variables = file.read_bytes().split(b"\0")
        except OSError:  # it has ended meanwhile
            continue
        if f"TMPDIR={temporary}".encode() in variables:
            found.add(int(file.parent.name))
    return found


def wait_for(process: subprocess.Popen[str], words: str) -> None:
    """Read the demo's output up to a line that has the words."""
    assert process.stdout is not None
    assert any(words in line for line in process.stdout)


def test_every_report_has_its_row_and_nothing_is_left(tmp_path: Path) -> None:
    """Also where it is asked to end; the first fault is found."""
    temporary, summary = tmp_path / "temporary", tmp_path / "out.json"
    temporary.mkdir()
    with demo(temporary, "--summary", summary) as process:
        wait_for(process, "s after its onset")
        process.send_signal(signal.SIGINT)
        said, errors = process.communicate(timeout=STARTED_S)
    assert (process.returncode, errors) == (0, ""), said
    result = json.loads(summary.read_text())
    assert result["missing_rows"] == 0
    assert result["readings"] == 8 * result["reports"] == 8 * result["rows"] > 0
    assert result["faults"][0]["kind"] == "lean_mixture"
    assert any(fault["seconds_to_alert"] for fault in result["faults"])
    until(lambda: not living(temporary), why="the end of its processes")
    assert list(temporary.iterdir()) == []


def test_killed_it_leaves_no_process(tmp_path: Path) -> None:
    with demo(tmp_path) as process:
        wait_for(process, "readings/s in rows")
        assert len(living(tmp_path)) > 5  # Kafka, InfluxDB, nginx, the driver, Java, the page and itself
        process.kill()
        process.wait()
        until(lambda: not living(tmp_path), why="the end of its processes")


def test_a_part_that_dies_is_told_and_ends_the_demo(tmp_path: Path) -> None:
    """In one line; the others are stopped in order."""
    with demo(tmp_path) as process:
        wait_for(process, "Spark is starting (")
        (broker,) = (
            number
            for number in living(tmp_path)
            if b"fleet_broker" in Path(f"/proc/{number}/cmdline").read_bytes()
        )
        subprocess.run(["kill", "-9", str(broker)], check=True)
        _, errors = process.communicate(timeout=STARTED_S)
    assert process.returncode == 1
    assert errors.startswith("enginewatch fleet demo: the broker ended by itself (exit code -9): ")
    assert len(errors.splitlines()) == 1
    until(lambda: not living(tmp_path), why="the end of its processes")
    assert list(tmp_path.iterdir()) == []
