"""`enginewatch config`, as a user sees it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from config.load import load
from config.schema import effective

ROOT = Path(__file__).parent.parent
SETTINGS = """\
[mqtt]
host = "broker"
username = "me"
password = "hunter2"

[[classes]]
name = "a"
file = "engine.toml"
assets = ["x/*", "*/y \\"z\\""]

[[classes]]
name = "b"
topics = ["b/{asset}"]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with settings and an asset file."""
    (tmp_path / "enginewatch.toml").write_text(SETTINGS)
    (tmp_path / "engine.toml").write_text('period_ms = 100\n[[sensors]]\nname = "speed"\n')
    return tmp_path


def show(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a folder."""
    return subprocess.run(
        [sys.executable, "-m", "monitor.cli", "config", *arguments],
        cwd=folder,
        env={"PATH": os.defpath, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_key_is_shown_with_its_source_and_secrets_are_masked(folder: Path) -> None:
    environment = {"ENGINEWATCH_INFLUX__TOKEN": "hunter3"}
    done = show(folder, "--set", "mqtt.port=8883", **environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert "hunter" not in done.stdout
    lines = done.stdout.splitlines()
    for line in (
        'host = "broker"  # enginewatch.toml:2',
        "port = 8883  # command line",
        'password = "********"  # enginewatch.toml:4',
        'token = "********"  # environment ENGINEWATCH_INFLUX__TOKEN',
        'password_file = ""  # default',
        'assets = ["x/*", "*/y \\"z\\""]  # enginewatch.toml:9',
    ):
        assert line in lines


def test_what_is_shown_is_toml_that_loads_to_the_same_settings(folder: Path) -> None:
    shown = show(folder).stdout.replace("********", "hunter2")
    tomllib.loads(shown)
    original = load(folder / "enginewatch.toml", environment={})
    (folder / "enginewatch.toml").write_text(shown)
    again = load(folder / "enginewatch.toml", environment={})
    assert dict(effective(again.settings)) == dict(effective(original.settings))


def test_json_gives_value_and_source_of_every_key(folder: Path) -> None:
    done = show(folder, "--json")
    table = json.loads(done.stdout)
    assert "hunter2" not in done.stdout
    assert list(table) == [key for key, _ in effective(load(folder / "enginewatch.toml", environment={}).settings)]
    assert table["mqtt.host"] == {"value": "broker", "source": "enginewatch.toml:2"}
    assert table["mqtt.password"] == {"value": "********", "source": "enginewatch.toml:4"}
    assert table["mqtt.password_file"] == {"value": None, "source": "default"}
    assert table["mqtt.tls.enabled"] == {"value": False, "source": "default"}
    assert table["threshold.floor"] == {"value": 1.0, "source": "default"}
    assert table["classes.0.assets"] == {"value": ["x/*", '*/y "z"'], "source": "enginewatch.toml:9"}
    assert table["classes.1.name"] == {"value": "b", "source": "enginewatch.toml:12"}
    assert table["daemon.state_dir"] == {"value": "state", "source": "default"}


def test_without_a_file_the_defaults_are_shown(tmp_path: Path) -> None:
    done = show(tmp_path)
    assert done.returncode == 0
    assert all(line.endswith("# default") for line in done.stdout.splitlines() if " = " in line)


def test_mistakes_are_told_as_check_does(folder: Path) -> None:
    done = show(folder, "--set", "mqtt.prot=1")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "command line: mqtt.prot: unknown key; did you mean mqtt.port?\n"
