"""A training that was broken off goes on to the same model: after Ctrl-C, and after kill -9."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from models.artifact import load_header
from models.fitting import read_saved
from monitor.cli import main
from monitor.commands import unfinished
from tests.test_training_bad_input import TRAIN, normal, write

if TYPE_CHECKING:
    from pathlib import Path

FILES = {"asset.toml", "card.md", "header.json", "landscape.json", "model.onnx", "model.safetensors"}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("recording") / "normal.csv", normal())


def call(file: Path, out: Path, epochs: int) -> list[str]:
    quick = ["--window", "4", "--hidden", "2", "--patience", "1000"]
    return ["train", str(file), "--out", str(out), *TRAIN, *quick, "--epochs", str(epochs)]


def test_after_ctrl_c_it_goes_on(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped after the second of four epochs; --resume needs nothing else, from another folder too."""
    assert main(call(file, tmp_path / "whole", 4)) == 0
    keep = unfinished.keep

    def keep_twice(folder: Path, state: bytes) -> None:
        keep(folder, state)
        if len(read_saved(state)[1]) == 2:
            raise KeyboardInterrupt

    out = tmp_path / "stopped"
    with monkeypatch.context() as patched:
        patched.setattr(unfinished, "keep", keep_twice)
        assert main(call(file, out, 4)) == 130
    assert f"`enginewatch train --resume {out}` goes on" in capsys.readouterr().err
    assert main(call(file, out, 4)) == 2
    assert f"holds an unfinished training: --resume {out} goes on with it" in capsys.readouterr().err
    monkeypatch.chdir(tmp_path)
    assert main(["train", "--resume", "stopped"]) == 0
    said = capsys.readouterr().err
    assert "epoch 3 of 4" in said
    assert "epoch 2 of 4" not in said
    assert load_header(out).sha256 == load_header(tmp_path / "whole").sha256
    assert load_header(out).training == load_header(tmp_path / "whole").training
    assert {path.name for path in out.iterdir()} == FILES


def test_after_a_kill_it_goes_on(file: Path, tmp_path: Path) -> None:
    """Killed as soon as an epoch was kept, wherever in the next one that is."""
    out = tmp_path / "killed"
    command = [sys.executable, "-m", "monitor.cli", *call(file, out, 300)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 100
        while not (out / unfinished.STATE).exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        process.kill()
    state = (out / unfinished.STATE).read_bytes()
    assert not (out / "header.json").exists()
    # Few epochs more are enough to compare: as many as were done, and two.
    assert (out / unfinished.OPTIONS).exists()
    done = len(read_saved(state)[1])
    options = (out / unfinished.OPTIONS).read_text()
    (out / unfinished.OPTIONS).write_text(options.replace('"epochs": 300', f'"epochs": {done + 2}'))
    assert main(["train", "--resume", str(out)]) == 0
    assert main(call(file, tmp_path / "whole", done + 2)) == 0
    assert load_header(out).sha256 == load_header(tmp_path / "whole").sha256


def test_changed_recordings_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path / "normal.csv", normal())

    def stop(_folder: Path, _state: bytes) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(unfinished, "keep", stop)
        assert main(call(file, tmp_path / "m", 2)) == 130
    write(file, normal(11))
    capsys.readouterr()
    assert main(["train", "--resume", str(tmp_path / "m")]) == 2
    assert "the recordings are not those that the training began with" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--epochs", "9"], "goes on with what the training began with: leave out epochs"),
        ([], "there is no unfinished training"),
    ],
)
def test_resume_stands_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], sentence: str
) -> None:
    assert main(["train", "--resume", str(tmp_path), *more]) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", '{"format": 1}', '{"format": 2, "data_sha256": "", "options": {}}']
)
def test_a_note_that_is_none_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str) -> None:
    (tmp_path / unfinished.OPTIONS).write_text(content)
    assert main(["train", "--resume", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("enginewatch train: --resume ")
    assert said.count("\n") == 1
