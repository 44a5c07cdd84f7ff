"""`enginewatch coverage`: shares and gaps, out of the store."""

from __future__ import annotations

import doctest
import json
import time
from importlib import import_module
from typing import TYPE_CHECKING

import numpy as np
import pytest

from monitor.cli import main
from monitor.records import StepResult, Stretches
from monitor.store import Store

if TYPE_CHECKING:
    from pathlib import Path

MINUTE = 60_000
HOUR = 60 * MINUTE
# Ten hours of an engine, in minutes: six and a half scored, two off, one silent, half an hour of warming up.
DAY = [
    (0, 30, "warming_up", ""),
    (30, 180, "scored", ""),
    (180, 300, "regime", "off"),
    (300, 480, "scored", ""),
    (480, 540, "no_readings", ""),
    (540, 600, "scored", ""),
]


def stretches(began: int, parts: list[tuple[int, int, str, str]], asset: str = "plant//a") -> Stretches:
    """Stretches in minutes after a time."""
    return Stretches(
        streams=[asset] * len(parts),
        start=np.array([began + start * MINUTE for start, *_ in parts]),
        end=np.array([began + end * MINUTE for _, end, *_ in parts]),
        status=[status for *_, status, _ in parts],
        regime=[regime for *_, regime in parts],
    )


def result(*parts: Stretches) -> StepResult:
    return StepResult([], [], [], stretches=list(parts))


@pytest.fixture
def began(tmp_path: Path) -> int:
    """When the ten hours began that are in the store: eleven hours ago, to the second."""
    store = Store(tmp_path / "store.db")
    began = int(time.time()) * 1000 - 11 * HOUR
    store.write(1, result(stretches(began, DAY), stretches(began, [(0, 600, "scored", "")], "plant//b")))
    store.close()
    return began


def shown(capsys: pytest.CaptureFixture[str], folder: Path, *arguments: str, code: int = 0) -> str:
    assert main(["coverage", "--state", str(folder), *arguments]) == code
    return capsys.readouterr().out


def test_the_shares_and_every_gap(began: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """390 of 600 minutes, and of the 480 in which it was not off; the gaps in their order with what they were."""
    found = [json.loads(line) for line in shown(capsys, tmp_path, "--json").splitlines()]
    assert [each["asset"] for each in found] == ["plant//a", "plant//b"]
    engine, other = found
    assert (engine["from"], engine["to"]) == (began, began + 10 * HOUR)
    assert engine["scored_ms"] == 390 * MINUTE
    assert engine["share"] == 0.65
    assert engine["share_running"] == 0.8125
    assert engine["not_scored_ms"] == {"off": 2 * HOUR, "no_readings": HOUR, "warming_up": HOUR // 2}
    assert [gap["reason"] for gap in engine["gaps"]] == ["warming_up", "off", "no_readings"]
    assert engine["gaps"][1]["from"] == began + 3 * HOUR
    assert (other["share"], other["gaps"]) == (1.0, [])


def test_the_tables(began: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    del began
    lines = [line.split("  ") for line in shown(capsys, tmp_path).splitlines()]
    cells = [[cell.strip() for cell in line if cell.strip()] for line in lines]
    assert cells[0] == ["asset", "scored", "of running", "watched", "not scored"]
    assert cells[1] == [
        "plant//a",
        "65.0 %",
        "81.2 %",
        "10 h 0 min",
        "off 20.0 %, no_readings 10.0 %, warming_up 5.0 %",
    ]
    assert cells[2] == ["plant//b", "100.0 %", "100.0 %", "10 h 0 min"]
    assert cells[4] == ["asset", "from", "to", "lasted", "reason"]
    assert [(line[0], *line[3:]) for line in cells[5:]] == [
        ("plant//a", "30 min 0 s", "warming_up"),
        ("plant//a", "2 h 0 min", "off"),
        ("plant//a", "1 h 0 min", "no_readings"),
    ]


def test_since_cuts_what_reaches_further_back(
    began: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last four hours: scored to half past, silent for an hour, and an hour of it is not known."""
    del began
    (found,) = (
        json.loads(line) for line in shown(capsys, tmp_path, "plant//a", "--since", "4h", "--json").splitlines()
    )
    assert found["to"] - found["from"] == pytest.approx(3 * HOUR, abs=5000)
    assert found["scored_ms"] == pytest.approx(2 * HOUR, abs=5000)
    assert [gap["reason"] for gap in found["gaps"]] == ["no_readings"]


def test_what_is_not_known_is_said(began: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    del began
    assert main(["coverage", "--state", str(tmp_path), "plant//z"]) == 1
    assert "nothing is known of plant//z" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["coverage", "--state", str(tmp_path), "--since", "yesterday"])
    assert "yesterday is no time such as 30m, 24h or 7d" in capsys.readouterr().err


def test_a_stretch_that_went_on_or_is_known_better_takes_its_own_place(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.db")
    store.write(1, result(stretches(0, [(0, 5, "scored", ""), (5, 9, "no_readings", "")])))
    store.write(2, result(stretches(0, [(0, 6, "scored", ""), (5, 8, "scored", "")])))
    store.write(2, result(stretches(0, [(0, 99, "gap", "")])))  # replayed: it is there already
    assert [(each.start, each.end, each.status) for each in store.stretches(-1)] == [
        (0, 6 * MINUTE, "scored"),
        (5 * MINUTE, 8 * MINUTE, "scored"),
    ]
    store.prune([], before=7 * MINUTE, max_bytes=1 << 30)
    assert [each.start for each in store.stretches(-1)] == [5 * MINUTE]
    store.close()


def test_the_examples_in_the_docstrings() -> None:
    result = doctest.testmod(import_module("monitor.commands.coverage"))
    assert (result.failed, result.attempted) == (0, 2)
