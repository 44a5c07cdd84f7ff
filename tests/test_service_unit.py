"""deploy/systemd: systemd takes the units; that of the daemon is closed, and its times go with the settings."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from config.settings import Settings

UNIT = Path(__file__).parent.parent / "deploy" / "systemd" / "enginewatch.service"
KEYS = dict(re.findall(r"(?m)^(\w+)=(.*)$", UNIT.read_text()))
MOST_EXPOSED = 1.5  # of 10


def analyze(unit: Path, *words: str) -> str:
    """What systemd-analyze says of the unit, which it must take."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    done = subprocess.run(["systemd-analyze", *words, str(unit)], capture_output=True, text=True, check=False)
    if "unrecognized option" in done.stderr:
        pytest.skip("this systemd-analyze is too old")
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.fixture(params=["enginewatch.service", "enginewatch-fleet.service"])
def unit(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A unit with a program that there is."""
    path = tmp_path / str(request.param)
    program = Path(sys.executable).with_name("enginewatch")
    text = UNIT.with_name(request.param).read_text()
    path.write_text(text.replace("/opt/enginewatch/bin/enginewatch", str(program)))
    return path


def test_systemd_has_nothing_to_say_against_it(unit: Path) -> None:
    assert analyze(unit, "verify", "--man=no") == ""


@pytest.mark.parametrize("unit", ["enginewatch.service"], indirect=True)
def test_it_is_closed(unit: Path) -> None:
    found = re.search(r"exposure level for \S+: ([\d.]+)", analyze(unit, "security", "--offline=true"))
    assert found is not None
    assert float(found[1]) <= MOST_EXPOSED


def test_its_times_go_with_those_of_the_settings() -> None:
    """Systemd must not kill what still ends in order, and its pings must come where a stage may wait."""
    settings = Settings()
    assert int(KEYS["TimeoutStopSec"]) > settings.daemon.stop_within_s
    assert int(KEYS["WatchdogSec"]) >= 10  # twenty looks of the supervising loop
    assert (KEYS["Type"], KEYS["Restart"], KEYS["RestartPreventExitStatus"]) == ("notify", "always", "2")
    assert KEYS["ExecReload"] == "/bin/kill -HUP $MAINPID"


def test_a_job_on_spark_ends_its_batch_before_its_java_is_ended() -> None:
    """Were both told to stop at once, the batch would be cut off."""
    assert "KillMode=mixed" in UNIT.with_name("enginewatch-fleet.service").read_text().splitlines()
