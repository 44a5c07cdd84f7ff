"""`enginewatch models compare`, and `models shadow` where no daemon is needed."""

from __future__ import annotations

import csv
import json
import os
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from models.artifact import load_header
from monitor.cli import main
from monitor.models_in_use import Use
from simulator.records import SENSORS
from tests.shadow_samples import FAILS, TICKS, House, lax, twin
from tests.shadow_samples import journal as recorded

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    made = House(tmp_path)
    made.take()
    monkeypatch.chdir(tmp_path)
    return made


def said(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 0) -> Any:
    """What `enginewatch models` says as JSON."""
    capsys.readouterr()
    assert main(["models", *map(str, arguments), "--json"]) == code
    return json.loads(capsys.readouterr().out)


def live(path: Path) -> Path:
    """The engines of the house in a file."""
    with path.open("w", newline="") as file:
        out = csv.DictWriter(file, ["asset", "time", *SENSORS])
        out.writeheader()
        for record in recorded():
            for message in getattr(record.payload, "messages", ()):
                reading = json.loads(message.payload)
                asset = message.topic.decode().split("/")[3]
                out.writerow({"asset": asset, "time": reading["ts"] / 1000, **reading["values"]})
    return path


def test_cards_side_by_side_and_in_what_they_differ(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = said(capsys, "compare", "pretrained:engine", twin(tmp_path, "second"))
    assert found["different"] == ["model", "hash"]
    header = load_header(tmp_path / "second")
    assert found["cards"]["model"] == {"first": "engine", "second": "second"}
    assert found["cards"]["data"]["first"] == f"{header.data.rows} rows of {header.data.assets} assets"
    assert main(["models", "compare", "pretrained:engine", str(tmp_path / "second")]) == 0
    assert capsys.readouterr().out.endswith("they differ in model, hash\n")


@pytest.mark.usefixtures("house")
def test_on_recordings_and_on_the_store_both_go_through_the_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same rows either way: the shipped model finds the failing engine, the lax one nothing."""
    lax(tmp_path, "lax")
    by_file = said(
        capsys, "compare", "pretrained:engine", "lax", "--data", live(tmp_path / "live.csv"),
        "--asset-column", "asset", "--time-column", "time",
    )  # fmt: skip
    by_store = said(capsys, "compare", "pretrained:engine", "lax", "--from-store", "--last", "1d")
    window = load_header(tmp_path / "lax").window
    for found in (by_file, by_store):
        assert found["rows"] == 2 * (TICKS - window + 1)
        assert [found[name]["windows_scored"] for name in ("first", "second")] == [found["rows"]] * 2
        assert found["first"]["coverage"] == pytest.approx(1 - (window - 1) / TICKS)
        assert (found["first"]["incidents"], found["second"]["incidents"], found["both"]) == (1, 0, 0)
        assert found["only_first"][0]["kind"] == "anomaly"
        assert found["only_second"] == []
        assert found["second"]["seconds_per_1000_windows"] > 0
        assert found["rank_correlation"] > 0.5
    assert by_store["only_first"][0]["asset"] == FAILS
    assert by_file["only_first"][0]["asset"] == FAILS.rpartition("/")[2]
    assert by_file["only_first"][0]["started"] == by_store["only_first"][0]["started"]
    made = datetime.fromisoformat(load_header(tmp_path / "lax").created).timestamp() * 1000
    perhaps = [note for note in by_store["notes"] if "perhaps of them" in note]
    assert len(perhaps) == (2 if made > by_store["since"] else 0)
    assert main(["models", "compare", "pretrained:engine", "lax", "--from-store"]) == 0
    assert "incidents of both: 0; of first alone: 1, of second alone: 0" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["second", "slow", "--from-store"],
            "second and slow cannot judge the same rows: a tick is 500 ms and 1000 ms",
        ),
        (["second", "nowhere"], "nowhere is neither a folder nor the beginning of one hash in "),
        (["second", "second", "--from-store", "--asset-class", "pump"], "the daemon has no class pump"),
        (
            ["second", "second", "--data", "live.csv", "--asset-class", "pump"],
            "there is no class pump; the settings have engine",
        ),
        (["second", "second", "--data", "none.csv"], "none.csv"),
        (["second", "second", "--from-store", "--last", "soon"], "--last soon: use a number and s, m, h or d"),
    ],
)
@pytest.mark.usefixtures("house")
def test_what_cannot_be_compared_is_told_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    twin(tmp_path, "second")
    twin(tmp_path, "slow", period_ms=1000)
    live(tmp_path / "live.csv")
    assert main(["models", "compare", *arguments]) == 2
    told = capsys.readouterr().err
    assert sentence in told
    assert told.count("\n") == 1


@pytest.mark.usefixtures("house")
def test_a_shadow_once_and_its_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Begun after what is stored, it has seen nothing yet; another house hears of none."""
    twin(tmp_path, "second")
    assert main(["models", "shadow", "--report"]) == 1
    assert "no candidate was in the shadow here" in capsys.readouterr().err
    found = said(capsys, "shadow", "second", "--once")
    assert (found["rows"], found["active"]["incidents"]) == (0, 0)
    assert found["shadow"]["against_model"] == "engine"
    assert said(capsys, "shadow", "second", "--report") == found
    assert main(["models", "shadow", "--report"]) == 0
    assert "nothing was scored by both yet" in capsys.readouterr().out
    assert main(["models", "shadow"]) == 2
    assert "which candidate?" in capsys.readouterr().err


def test_a_shadow_of_the_model_in_use_ends(
    house: House, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "nice", lambda _: 0)  # it would stay for the tests behind this one
    header = load_header(twin(tmp_path, "second"))
    house.use(Use("second", header.hash, header.window, 0, "promote"))
    assert main(["models", "shadow", "second"]) == 0
    assert "the model second is in use: its shadow ends" in capsys.readouterr().out
