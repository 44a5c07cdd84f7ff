"""What `enginewatch fleet demo` refuses, before anything is started."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from monitor.cli import main
from monitor.commands import fleet_demo

if TYPE_CHECKING:
    from pathlib import Path


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The line with which it refuses."""
    with pytest.raises(SystemExit) as ended:
        raise SystemExit(main(["fleet", "demo", *arguments]))
    assert ended.value.code == 2
    told = capsys.readouterr()
    assert told.out == ""
    (line,) = told.err.splitlines()
    return line


def test_a_machine_without_the_extra_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(fleet_demo, "find_spec", lambda name: None if "k" in name else name)
    remedy = "pyspark, confluent_kafka not installed: pip install 'enginewatch[fleet]'"
    assert refused(capsys).endswith(remedy)


def test_a_machine_without_java_is_told_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where JAVA_HOME names a folder, Spark looks nowhere else."""
    monkeypatch.setattr(fleet_demo, "find_spec", lambda name: name)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    told = refused(capsys)
    assert told.endswith("Java is not installed, and Spark needs it: apt install default-jre-headless")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--vehicles", "7"], "--vehicles: '7' is not a whole number from 8 to 20000"),
        (["--duration", "0"], "--duration: '0' is not a number from 1 to"),
        (["--influx", "127.0.0.1:8086"], "--influx: "),
        (["--summary", "/nowhere/out.json"], "it must name a file in a folder that is there"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert reason in refused(capsys, *arguments)
