"""Rows without time from a downloaded file to figures, by the commands that `datasets prepare` prints."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

import numpy as np

from monitor.cli import main
from simulator.datasets.enginefaultdb import SENSORS

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

HEALTHY, FAULTY, FAULTY_SENSOR = 1000, 100, 8


def test_the_commands_that_prepare_prints_judge_rows_without_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of 1000 healthy rows every fifth block of 50 is judged, beside 100 rows in which CO is far too high."""
    random = np.random.default_rng(0)
    hidden = random.normal(size=(HEALTHY + FAULTY, 3))
    values = hidden @ random.normal(size=(3, len(SENSORS))) + 0.2 * random.normal(size=(len(hidden), len(SENSORS)))
    values[HEALTHY:, FAULTY_SENSOR] += 10
    lines = [",".join(["Fault", *(name for name, _ in SENSORS)])]
    lines += [
        ",".join(map(str, [int(row >= HEALTHY), *each])) for row, each in enumerate(values.round(4).tolist())
    ]
    source = tmp_path / "EngineFaultDB_Final.csv"
    source.write_text("\n".join(lines) + "\n")

    out = tmp_path / "bench"
    assert main(["datasets", "prepare", "enginefaultdb", str(source), "--out", str(out), "--json"]) == 0
    prepared = json.loads(capsys.readouterr().out)
    train, evaluate = (shlex.split(prepared[name])[1:] for name in ("train", "evaluate"))
    assert main([*train, "--epochs", "4", "--hidden", "8"]) == 0
    assert main([*evaluate, "--baselines", "t2", "--out", str(tmp_path / "report")]) == 0

    found = json.loads((tmp_path / "report" / "results.json").read_text())
    assert (found["data"]["judged_rows"], found["data"]["scored_rows"]) == (200 + FAULTY, 200 + FAULTY)
    assert found["data"]["anomalous_rows"] == FAULTY
    assert found["data"]["normal_rows"] == HEALTHY - 200
    assert {each["name"] for each in found["detectors"]} == {"daemon", "model", "t2"}
    model = next(each for each in found["detectors"] if each["name"] == "model")
    assert model["average_precision"]["value"] > 0.95
    assert any("rows without time" in sentence for sentence in found["warnings"])
