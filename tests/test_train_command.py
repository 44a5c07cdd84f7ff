from __future__ import annotations

import importlib.util
import json
import re
from typing import TYPE_CHECKING

import numpy as np
import pytest

from config.files import load_asset_file
from models.artifact import load_header
from models.runtime import load_model
from monitor.cli import main
from tests.model_samples import SENSORS, signal

if TYPE_CHECKING:
    from pathlib import Path

ASSETS = 12
ROWS = 80
QUICK = ["--window", "8", "--hidden", "4", "--epochs", "1"]


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CSV of several assets, with a label and a column that never moves."""
    path = tmp_path_factory.mktemp("recording") / "normal.csv"
    lines = [",".join(("asset", *SENSORS, "fixed", "label"))]
    for asset in range(ASSETS):
        lines += [
            ",".join((f"m{asset}", *(f"{value:.6g}" for value in row), "7.5", "0")) for row in signal(ROWS, asset)
        ]
    path.write_text("\n".join(lines) + "\n")
    return path


def train(recording: Path, out: Path, *more: str) -> int:
    """Run the command on the recording's assets."""
    given = ["--asset-column", "asset", "--period-ms", "1000", "--exclude", "label", *QUICK]
    return main(["train", str(recording), "--out", str(out), *given, *more])


def refusal(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that the user sees."""
    said = capsys.readouterr().err
    assert said.startswith("enginewatch train: ")
    assert said.count("\n") == 1
    return said


def test_a_recording_becomes_a_model_that_scores(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The artifact scores, its header says what it was made of, and the summary says so too."""
    assert train(recording, tmp_path / "pump") == 0
    said = capsys.readouterr()
    header = load_header(tmp_path / "pump")
    assert header.name == "pump"
    assert tuple(sensor.name for sensor in header.sensors) == (*SENSORS, "fixed")
    assert (header.period_ms, header.window, header.network.hidden, header.network.latent) == (1000, 8, 4, 2)
    assert (header.data.assets, header.data.rows) == (ASSETS, ASSETS * ROWS)
    windows = header.data.windows_fit + header.data.windows_stop + header.data.windows_calibration
    assert windows == ASSETS * (ROWS - 8 + 1)
    assert header.hash in said.out
    assert f"{ASSETS * ROWS} rows of {ASSETS} assets" in said.out
    assert f"warning: fixed is 7.5 in all of its {ASSETS * ROWS} values" in said.err
    values = np.column_stack([signal(8, 3), np.full(8, 7.5)]).astype(np.float32)
    assert np.isfinite(load_model(tmp_path / "pump").score(values[None])[2]).all()


def test_progress_is_a_bar_on_a_terminal_only(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Elsewhere, as in a log, an epoch is a line; neither is in the way of JSON."""
    train(recording, tmp_path / "one", "--exclude", "label,fixed", "--json")
    told = capsys.readouterr()
    line = r"^epoch 1 of 1: error \d\.\d+ fitting, \d\.\d+ held out, best, \d+ s$"
    assert re.search(line, told.err, re.MULTILINE)
    assert "\x1b" not in told.err
    made, header = json.loads(told.out), load_header(tmp_path / "one")
    assert (made["model"], made["hash"], made["sensors"]) == ("one", header.hash, list(SENSORS))
    assert made["windows_fit"] == header.data.windows_fit
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich then takes the stream for a terminal
    monkeypatch.setenv("COLUMNS", "200")
    train(recording, tmp_path / "two", "--exclude", "label,fixed")
    assert "held out" in capsys.readouterr().err


def test_the_same_call_gives_the_same_weights(recording: Path, tmp_path: Path) -> None:
    """And the data's hash tells whether it was the same data."""
    assert train(recording, tmp_path / "one") == train(recording, tmp_path / "two") == 0
    assert train(recording, tmp_path / "less", "--assets", "!m0") == 0
    one, two, less = (load_header(tmp_path / name) for name in ("one", "two", "less"))
    assert one.sha256 == two.sha256
    assert one.data.sha256 == two.data.sha256 != less.data.sha256


def test_the_asset_file_gives_order_units_and_period(recording: Path, tmp_path: Path) -> None:
    asset = tmp_path / "machine.toml"
    asset.write_text(
        "period_ms = 2000\n"
        '[[sensors]]\nname = "load"\nunit = "%"\nmin = 0\nmax = 100\n'
        '[[sensors]]\nname = "n"\nunit = "rpm"\n'
    )
    more = ["--asset-column", "asset", "--asset-file", str(asset), "--columns", "n=speed", *QUICK]
    assert main(["train", str(recording), "--out", str(tmp_path / "out"), "--name", "mill", *more]) == 0
    header = load_header(tmp_path / "out")
    assert [(sensor.name, sensor.unit) for sensor in header.sensors] == [("load", "%"), ("n", "rpm")]
    assert (header.name, header.period_ms) == ("mill", 2000)
    written = load_asset_file(tmp_path / "out" / "asset.toml")
    assert [(sensor.name, sensor.min) for sensor in written.sensors] == [("load", None), ("n", None)]


def test_a_model_is_only_replaced_by_force(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(recording, tmp_path / "m") == 0
    before = load_header(tmp_path / "m").hash
    capsys.readouterr()
    assert train(recording, tmp_path / "m", "--seed", "1") == 2
    assert "holds a model already: choose another folder, or add --force" in refusal(capsys)
    assert load_header(tmp_path / "m").hash == before
    assert train(recording, tmp_path / "m", "--seed", "1", "--force") == 0
    assert load_header(tmp_path / "m").hash != before


def test_other_peoples_files_are_never_replaced(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    assert train(recording, tmp_path, "--force") == 2
    assert "holds something that is no model" in refusal(capsys)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    assert train(recording, tmp_path / "thesis.txt") == 2
    assert "is a file" in refusal(capsys)


def test_training_needs_its_extra(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "torch" else real(name))
    assert train(recording, tmp_path / "m") == 2
    assert "install enginewatch[train]" in refusal(capsys)


@pytest.mark.parametrize(
    ("text", "options", "sentence"),
    [
        ("x,y\n", [], "no rows in "),
        ("x,y\n1,2\n3,oops\n", [], "line 3, column y: 'oops' is not a number"),
        ("x,y\n1,\n2,\n", [], "no value in 2 rows of y: leave it out"),
        (
            "x,y\n1,2\n2,3\n3,5\n",
            [],
            "too few windows: 0 to fit, 0 to stop and 0 to calibrate, where at least 200",
        ),
        ("x,y\n1,2\n", ["--columns", "x,z"], "has no column z"),
        ("x,y\n1,2\n", ["--assets", "q*"], "no asset matches q*"),
    ],
)
def test_bad_recordings_are_told_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, options: list[str], sentence: str
) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text)
    assert main(["train", str(path), "--out", str(tmp_path / "m"), "--period-ms", "1000", *options]) == 2
    assert sentence in refusal(capsys)
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(
    ("asset", "options", "sentence"),
    [
        (None, [], "give --period-ms or --asset-file"),
        ('period_ms = 500\n[[sensors]]\nname = "speed"\n', ["--period-ms", "1000"], "--period-ms 1000, but"),
        ('period_ms = 500\n[[sensors]]\nname = "speed"\n', ["--columns", "q=speed"], "has no sensor q"),
        ('period_ms = 500\n[[sensors]]\nname = "oil"\n', [], "has no column oil"),
        ("period_ms = 0\n", [], "period_ms"),
    ],
)
def test_options_that_do_not_agree_are_told_in_one_line(
    recording: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    asset: str | None,
    options: list[str],
    sentence: str,
) -> None:
    more = []
    if asset is not None:
        (tmp_path / "asset.toml").write_text(asset)
        more = ["--asset-file", str(tmp_path / "asset.toml")]
    assert main(["train", str(recording), "--out", str(tmp_path / "m"), *more, *options]) == 2
    assert sentence in refusal(capsys)


@pytest.mark.parametrize("option", [["--window", "0"], ["--epochs", "x"], ["--seed", "-1"], ["--period-ms", "0"]])
def test_numbers_out_of_range_are_refused(recording: Path, tmp_path: Path, option: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        train(recording, tmp_path / "m", *option)
    assert caught.value.code == 2


def test_the_header_is_plain_json(recording: Path, tmp_path: Path) -> None:
    """Anyone can read what the model was made of, without our code."""
    assert train(recording, tmp_path / "m") == 0
    header = json.loads((tmp_path / "m" / "header.json").read_text())
    assert header["data"]["split"] == f"{ASSETS} whole runs dealt out"
    assert set(header["versions"]) == {"enginewatch", "numpy", "onnx", "safetensors", "torch"}


def test_windows_that_the_daemon_would_not_score_are_left_out(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the regimes of the asset file: what is left are the windows of which every tick has a load of 22."""
    asset = tmp_path / "asset.toml"
    sensors = "".join(f'[[sensors]]\nname = "{name}"\n' for name in SENSORS)
    asset.write_text(f"period_ms = 1000\n{sensors}[regimes]\noff = 'load < 22'\n")
    assert train(recording, tmp_path / "out", "--asset-file", str(asset)) == 0
    pulls = np.stack([signal(ROWS, each)[:, 1] >= 22 for each in range(ASSETS)])  # (assets, rows)
    wanted = sum(int(pulls[:, end - 8 : end].all(axis=1).sum()) for end in range(8, ROWS + 1))
    assert wanted < ASSETS * (ROWS - 7)
    data = load_header(tmp_path / "out").data
    assert data.windows_fit + data.windows_stop + data.windows_calibration == wanted
    capsys.readouterr()

    asset.write_text(asset.read_text().replace("load < 22", "load < 1000"))
    assert train(recording, tmp_path / "none", "--asset-file", str(asset)) == 2
    assert "no window is left outside of the regimes off" in refusal(capsys)
