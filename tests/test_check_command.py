"""`enginewatch check`, as a user sees it, and how classes are joined with their files and models."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from config.classes import ResolvedClass, resolve_classes
from config.load import load
from config.mistakes import SettingsError
from models.artifact import WEIGHT_FILES, Data, Header, Network, Scaling, Sensor, Still, Usual, save_artifact
from monitor.cli import main

ROOT = Path(__file__).parent.parent
SENSORS = (("speed", "rpm"), ("pressure", "kPa"))

WEIGHTS = b"\x3a\x0c\x0a\x0a\x22\x08Identity"  # an ONNX graph of one operation


def check(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a folder."""
    return subprocess.run(
        [sys.executable, "-m", "monitor.cli", "check", *arguments],
        cwd=folder,
        env={"PATH": os.defpath, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def save_model(
    folder: Path, sensors: tuple[tuple[str, str], ...] = SENSORS, period_ms: int = 500, *, tabular: bool = False
) -> Header:
    """A model folder as `train` leaves it, but for the weights, which nothing here looks into."""
    ones = (1.0,) * len(sensors)
    header = Header(
        format=2,
        name="small",
        created="2026-01-01T00:00:00Z",
        period_ms=period_ms,
        window=60,
        sensors=tuple(Sensor(name, unit) for name, unit in sensors),
        network=Network(hidden=1, latent=1, layers=1),
        scaler=Scaling(center=ones, scale=ones),
        calibration=Usual(spread=ones, shift=ones, step=ones, level=ones, score=1.0),
        still=Still(1, (None,) * len(sensors)),
        data=Data("0" * 64, 0, 0, 0, 0, 0, "none"),
        versions={},
        sha256={},
        tabular=tabular,
    )
    return save_artifact(folder, header, dict.fromkeys(WEIGHT_FILES, WEIGHTS))


def write_settings(folder: Path, *lines: str) -> Path:
    """Settings with one class, whose asset file lies beside them; `lines` go into the class."""
    sensors = "".join(f'[[sensors]]\nname = "{name}"\nunit = "{unit}"\n' for name, unit in SENSORS)
    (folder / "asset.toml").write_text(f"period_ms = 500\nallowed_lateness_ms = 70\n{sensors}")
    path = folder / "enginewatch.toml"
    path.write_text("\n".join(["[[classes]]", 'name = "engine"', *lines, ""]))
    return path


def resolve(folder: Path, *lines: str) -> list[ResolvedClass]:
    return resolve_classes(load(write_settings(folder, *lines), environment={}))


def test_good_settings_are_called_good_with_their_classes(tmp_path: Path) -> None:
    save_model(tmp_path / "model")
    write_settings(tmp_path, 'file = "asset.toml"', 'model = "model"')
    done = check(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "The settings are good: enginewatch.toml\n"
        "  class engine: 2 sensors, a tick every 500 ms; model small, a window of 60 ticks (30 s)\n"
    )


def test_what_is_left_out_is_told(tmp_path: Path) -> None:
    write_settings(tmp_path, 'file = "asset.toml"')
    asset = tmp_path / "asset.toml"
    asset.write_text('ignore = ["starts", "debug.*"]\n' + asset.read_text())
    assert "class engine: 2 sensors (starts, debug.* ignored), a tick every 500 ms; no" in check(tmp_path).stdout
    asset.write_text(asset.read_text().replace('"starts"', '"a", "b", "c", "d", "e"'))
    assert "class engine: 2 sensors (6 names ignored), a tick every 500 ms; no" in check(tmp_path).stdout


def test_the_shipped_settings_are_good() -> None:
    done = check(ROOT, "--config", "config/enginewatch.toml")
    assert (done.returncode, done.stderr) == (0, "")
    assert (
        "class engine: 15 sensors, a tick every 500 ms; no model yet: it is recorded, and limits watch it"
        in done.stdout
    )


def test_every_mistake_is_a_line_and_the_exit_code_is_2(tmp_path: Path) -> None:
    path = write_settings(tmp_path, 'file = "assset.toml"')
    path.write_text(path.read_text() + '[mqtt]\nhosst = "a"\npassword = "hunter2"\nport = "x"\n')
    done = check(tmp_path, "--set", "alert.k=0", ENGINEWATCH_MQTT_HOST="b")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        "environment ENGINEWATCH_MQTT_HOST: unknown key; did you mean ENGINEWATCH_MQTT__HOST?",
        'command line: alert.k: must be a whole number from 1 to 64, not "0"',
        "enginewatch.toml:3: classes.0.file: assset.toml cannot be read: No such file or directory",
        "enginewatch.toml:5: mqtt.hosst: unknown key; did you mean mqtt.host?",
        'enginewatch.toml:7: mqtt.port: must be a whole number from 1 to 65535, not "x"',
    ]


def test_json_has_the_classes_or_the_mistakes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_model(tmp_path / "model")
    path = write_settings(tmp_path, 'file = "asset.toml"', 'model = "model"')
    (tmp_path / "asset.toml").write_text((tmp_path / "asset.toml").read_text() + '[regimes]\noff = "speed < 5"\n')
    assert main(["check", "--config", str(path), "--json"]) == 0
    regimes = [{"name": "off", "scored": False}]
    engine = {"name": "engine", "sensors": ["speed", "pressure"], "ignore": [], "period_ms": 500, "window": 60}
    assert json.loads(capsys.readouterr().out) == {
        "good": True,
        "file": str(path),
        "classes": [engine | {"model": "small", "regimes": regimes, "learned_regimes": []}],
        "mistakes": [],
    }
    assert main(["check", "--config", str(path), "--json", "--set", "alert.k=0"]) == 2
    told = capsys.readouterr()
    mistake = 'command line: alert.k: must be a whole number from 1 to 64, not "0"'
    assert json.loads(told.out) == {"good": False, "file": None, "classes": [], "mistakes": [mistake]}
    assert told.err == ""


def test_the_regimes_are_told_with_a_model_or_without(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_model(tmp_path / "model")
    for lines, said in ((['model = "model"'], "model small, a window of 60 ticks (30 s)"), ([], "no model yet")):
        path = write_settings(tmp_path, 'file = "asset.toml"', *lines)
        asset = tmp_path / "asset.toml"
        asset.write_text(asset.read_text() + '[regimes]\noff = "speed < 5"\n')
        assert main(["check", "--config", str(path)]) == 0
        told = capsys.readouterr().out
        assert said in told
        assert told.endswith("; regimes off (not scored), else running\n")


def test_nothing_is_connected_to(tmp_path: Path) -> None:
    """A listener at the broker's address sees no connection."""
    write_settings(tmp_path, 'file = "asset.toml"')
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        done = check(tmp_path, "--set", f"mqtt.port={listener.getsockname()[1]}")
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert done.returncode == 0


def test_a_file_named_by_hand_must_be_there(tmp_path: Path) -> None:
    done = check(tmp_path, "--config", "none.toml")
    assert (done.returncode, done.stderr) == (2, "none.toml: cannot be read: No such file or directory\n")


def test_settings_without_a_class_watch_nothing_and_are_refused(tmp_path: Path) -> None:
    done = check(tmp_path)
    assert done.returncode == 2
    assert done.stderr == (
        "no settings file: classes: none is given; add [[classes]] with a name and a file or model, "
        "or see it work without settings: enginewatch demo\n"
    )


def test_a_class_takes_its_sensors_from_its_file(tmp_path: Path) -> None:
    (entry,) = resolve(tmp_path, 'file = "asset.toml"')
    assert (entry.name, entry.sensors, entry.units) == ("engine", ("speed", "pressure"), ("rpm", "kPa"))
    assert (entry.period_ms, entry.lateness_ms, entry.one_reading_per_tick) == (500, 70, False)
    assert (entry.model, entry.model_name, entry.model_hash, entry.window) == (None, "", None, None)


def test_a_class_without_a_file_takes_its_sensors_from_its_model(tmp_path: Path) -> None:
    header = save_model(tmp_path / "model", period_ms=250)
    (entry,) = resolve(tmp_path, 'model = "model"')
    assert (entry.sensors, entry.units) == (("speed", "pressure"), ("rpm", "kPa"))
    assert (entry.period_ms, entry.lateness_ms, entry.one_reading_per_tick) == (250, 2000, False)
    assert (entry.model, entry.model_name, entry.window) == (tmp_path / "model", "small", 60)
    assert entry.model_hash == header.hash


def test_a_class_with_neither_file_nor_model_is_refused_at_its_name(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        resolve(tmp_path)
    sentence = "needs a file or a model, which say what its sensors are"
    assert caught.value.lines == [f"{tmp_path}/enginewatch.toml:2: classes.0.name: {sentence}"]


@pytest.mark.parametrize(
    ("sensors", "period_ms", "sentence"),
    [
        ((("speed", "rpm"), ("flow", "l/h")), 500, ": only the model has flow"),
        ((("speed", "rpm"), ("flow", "l/h")), 500, ": only the file has pressure"),
        (SENSORS[::-1], 500, " in the order of the sensors; the model's is pressure, speed"),
        ((("speed", "rpm"), ("pressure", "bar")), 500, ': pressure is in "kPa" there and in "bar" in the model'),
        (SENSORS, 100, " in the period: 500 ms and 100 ms"),
    ],
)
def test_a_file_and_a_model_that_differ_are_refused(
    tmp_path: Path, sensors: tuple[tuple[str, str], ...], period_ms: int, sentence: str
) -> None:
    save_model(tmp_path / "model", sensors, period_ms)
    with pytest.raises(SettingsError) as caught:
        resolve(tmp_path, 'file = "asset.toml"', 'model = "model"')
    place = f"{tmp_path}/enginewatch.toml:4: classes.0.model: "
    assert f'{place}{tmp_path}/asset.toml and the model "small" differ{sentence}' in caught.value.lines


def test_a_model_of_rows_without_time_goes_with_any_period(tmp_path: Path) -> None:
    """Its own is only a number to count rows by; another model of another period is refused above."""
    save_model(tmp_path / "model", period_ms=100, tabular=True)
    (entry,) = resolve(tmp_path, 'file = "asset.toml"', 'model = "model"')
    assert (entry.period_ms, entry.window) == (500, 60)


def test_a_folder_that_holds_no_model_is_refused_at_the_key(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    with pytest.raises(SettingsError) as caught:
        resolve(tmp_path, 'file = "asset.toml"', 'model = "model"')
    assert len(caught.value.lines) == 1
    assert caught.value.lines[0].startswith(f"{tmp_path}/enginewatch.toml:4: classes.0.model: {tmp_path}/model/")
