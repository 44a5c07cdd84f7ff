"""What people give to `enginewatch train` by mistake: one clear line each, and no traceback."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from models.runtime import load_model
from monitor.cli import main
from monitor.commands.checked_recordings import check, check_rows
from simulator.recording import Recording
from tests.model_samples import SENSORS, signal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from monitor.records import Float32, Int64

TRAIN = ["--asset-column", "asset", "--time-column", "time", "--period-ms", "1000"]
QUICK = ["--window", "4", "--hidden", "2", "--epochs", "1"]


def write(path: Path, assets: dict[str, tuple[Int64, Float32]], sensors: tuple[str, ...] = SENSORS) -> Path:
    """A CSV of assets, each with its times (s) and values."""
    lines = [",".join(("asset", "time", *sensors))]
    for asset, (time, values) in assets.items():
        cells = [["" if np.isnan(value) else f"{value:.6g}" for value in row] for row in values]
        lines += [",".join([asset, str(t), *row]) for t, row in zip(time, cells, strict=True)]
    path.write_text("\n".join(lines) + "\n")
    return path


def normal(count: int = 12, rows: int = 80) -> dict[str, tuple[Int64, Float32]]:
    return {f"m{seed}": (np.arange(rows), signal(rows, seed)) for seed in range(count)}


def recording(asset: str, values: Float32, step_ms: int = 1000, out_of_order: int = 0) -> Recording:
    names = tuple(f"s{number}" for number in range(values.shape[1]))
    return Recording(asset, names, np.arange(len(values)) * step_ms, values, out_of_order)


def warnings(*recordings: Recording, period_ms: int = 1000) -> list[str]:
    return list(check(recordings, period_ms=period_ms, hold_ms=0, remedy=""))


def no_values(assets: dict[str, tuple[Int64, Float32]]) -> None:
    for _, values in assets.values():
        values[:, 1] = np.nan


def nothing_moves(assets: dict[str, tuple[Int64, Float32]]) -> None:
    for _, values in assets.values():
        values[:] = 7


def a_slow_one(assets: dict[str, tuple[Int64, Float32]]) -> None:
    time, values = assets["m3"]
    assets["m3"] = (time * 10, values)


def one_row(assets: dict[str, tuple[Int64, Float32]]) -> None:
    time, values = assets["m0"]
    assets.clear()
    assets["m0"] = (time[:1], values[:1])


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (no_values, "no value in 960 rows of load: leave it out with --exclude or --columns"),
        (nothing_moves, "no sensor moves in 960 rows, speed is always 7: nothing to learn"),
        (a_slow_one, "the rows of m3 are 10000 ms apart, where a tick is 1000 ms: take a longer --period-ms"),
        (one_row, "too few windows: 0 to fit, 0 to stop and 0 to calibrate, where at least 200, 20 and 100"),
    ],
)
def test_what_cannot_be_trained_on_is_one_line(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    spoil: Callable[[dict[str, tuple[Int64, Float32]]], None],
    sentence: str,
) -> None:
    assets = normal()
    spoil(assets)
    file = write(tmp_path / "bad.csv", assets)
    assert main(["train", str(file), "--out", str(tmp_path / "m"), *TRAIN, *QUICK]) == 2
    lines = capsys.readouterr().err.splitlines()
    refusal = [line for line in lines if not line.startswith("warning: ")]
    assert "in all of its 1 values" not in "".join(lines)  # one row cannot show what moves
    assert len(refusal) == 1
    assert refusal[0].startswith(f"enginewatch train: {sentence}")
    assert not (tmp_path / "m").exists()


def test_files_with_different_sensors_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = write(tmp_path / "one.csv", normal(2))
    other = write(tmp_path / "other.csv", normal(1), ("speed", "load", "pressure", "temperature", "rail_pressure"))
    assert main(["train", str(one), str(other), "--out", str(tmp_path / "m"), *TRAIN, *QUICK]) == 2
    assert f"{other} lacks the sensor voltage that the first file has" in capsys.readouterr().err


def test_shuffled_times_are_sorted_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The model is that of the rows in order; the warning counts the rows that stood before an earlier one."""
    assets = normal()
    hashes = []
    for name in ("sorted", "shuffled"):
        file = write(tmp_path / f"{name}.csv", assets)
        assert main(["train", str(file), "--out", str(tmp_path / name), *TRAIN, *QUICK]) == 0
        hashes.append((tmp_path / name / "model.safetensors").read_bytes())
        said = capsys.readouterr().err
        assert ("rows came before their time" in said) is (name == "shuffled")
        time, values = assets["m5"]
        assets["m5"] = (time[::-1], values[::-1])
    assert hashes[0] == hashes[1]
    assert "warning: 79 of 960 rows came before their time, the first of m5: sorted by time" in said


def test_recordings_of_the_shipped_form_raise_no_warning() -> None:
    assert warnings(*(recording(f"m{seed}", signal(80, seed)) for seed in range(12))) == []


def test_finer_rows_than_ticks_are_told() -> None:
    (said,) = warnings(recording("a", signal(200, 0)), recording("b", signal(200, 1), step_ms=100))
    assert said.startswith("the rows of b are 100 ms apart, where a tick is 1000 ms")


def test_rows_in_random_order_are_told() -> None:
    """Shuffled, neighbours are no more alike than any two rows; as they were, they are."""
    rows = signal(400, 0)
    (said,) = warnings(recording("a", np.random.default_rng(0).permutation(rows)))
    assert said.startswith("in 400 rows neighbours are no more alike than any two rows are")
    assert list(check_rows([recording("a", np.random.default_rng(0).permutation(rows))], remedy="")) == []


def test_a_file_in_another_unit_is_told() -> None:
    """Pressure in kPa, and once in Pa."""
    files = [signal(80, seed) for seed in range(3)]
    files[1][:, 2] *= 1000
    (said,) = warnings(*(recording(f"m{number}", values) for number, values in enumerate(files)))
    usual = float(np.median([np.median(values[:, 2]) for values in files]))
    assert said == (
        f"s2 is about {np.median(files[1][:, 2]):.4g} in m1 and about {usual:.4g} in most others:"
        " is it in another unit there?"
    )


def test_rows_without_time_become_a_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither a period nor a time is asked for, and the card says so."""
    file = write(tmp_path / "rows.csv", {"bench": (np.arange(600), signal(600, 0))})
    call = ["train", str(file), "--tabular", "--exclude", "asset,time", "--hidden", "2", "--epochs", "1"]
    assert main([*call, "--out", str(tmp_path / "m")]) == 0
    assert "rows without time" in capsys.readouterr().out
    card = (tmp_path / "m" / "card.md").read_text()
    assert "A plain LSTM autoencoder over single rows and 5 sensors" in card
    model = load_model(tmp_path / "m")
    odd = signal(50, 1)
    odd[:, 2] += 100  # a pressure that the load does not explain
    assert np.median(model.score(odd[:, None])[2]) > 2 * np.median(model.score(signal(50, 1)[:, None])[2])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--time-column", "time"], "--tabular is for rows without time: leave out --time-column"),
        (["--period-ms", "100"], "--tabular is for rows without time: leave out --period-ms"),
        (["--window", "9"], "--tabular makes windows of one row, --window 9 of more"),
    ],
)
def test_what_contradicts_rows_without_time_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], sentence: str
) -> None:
    assert main(["train", "x.csv", "--out", str(tmp_path / "m"), "--tabular", *options]) == 2
    assert capsys.readouterr().err == f"enginewatch train: {sentence}\n"
