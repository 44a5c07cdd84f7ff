"""`enginewatch incidents list` and `show`: what stands in the store, as people and as machines read it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from monitor.cli import main
from monitor.records import Transition
from monitor.store import Store
from tests.rig import json_lines
from tests.store_samples import PUMP, START, result, transition

if TYPE_CHECKING:
    from pathlib import Path

OTHER = "hall//pump-2"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two incidents of a pump, the first over and judged, the second acknowledged; one of another asset."""
    store = Store(tmp_path / "store.db")
    fired = [
        transition(Transition.FIRED, number, incident=f"i{number}", started=START + number, stream=stream)
        for number, stream in enumerate([PUMP, PUMP, OTHER])
    ]
    later = [
        transition(Transition.CLEARED, 5, incident="i0"),
        transition(Transition.VERDICT, 6, incident="i0", summary="false", who="lead"),
        transition(Transition.ACKNOWLEDGED, 7, incident="i1", who="me"),
        transition(Transition.COMMENTED, 8, incident="i1", summary="a [bold]bearing", who="me"),
    ]
    store.write(1, result(events=[*fired, *later]))
    store.close()
    return tmp_path


def listed(capsys: pytest.CaptureFixture[str], folder: Path, *words: str) -> list[tuple[str, str, str, bool]]:
    assert main(["incidents", "list", "--json", "--state", str(folder), *words]) == 0
    rows = json_lines(capsys.readouterr().out)
    return [(row["incident_id"], row["state"], row["verdict"], row["open"]) for row in rows]


def test_every_incident_as_it_stands_oldest_first(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = ("i0", "cleared", "false", False), ("i1", "acknowledged", "", True)
    third = ("i2", "firing", "", True)
    assert listed(capsys, folder) == [first, second, third]
    assert listed(capsys, folder, "--open") == [second, third]
    assert listed(capsys, folder, "--asset", "plant/*") == [first, second]
    assert listed(capsys, folder, "-n", "1", "--asset", "plant/*") == [second]
    assert listed(capsys, folder, "--asset", "nobody") == []


def test_the_canary_s_are_told_where_it_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In `incidents list` as in `alerts`, of which -n counts what is told."""
    store = Store(folder / "store.db")
    store.write(2, result(events=[transition(Transition.FIRED, 9, incident="c", stream="_canary//main")]))
    store.close()
    assert [row[0] for row in listed(capsys, folder)] == ["i0", "i1", "i2"]
    assert [row[0] for row in listed(capsys, folder, "--asset", "_canary/*")] == ["c"]
    for words, told in (
        (["-n", "1"], ["i1"]),
        (["--open"], ["i1", "i2"]),
        (["--asset", "_canary//main"], ["c"]),
        (["--open", "--asset", "_canary//main"], ["c"]),
    ):
        assert main(["alerts", "--json", "--state", str(folder), *words]) == 0
        assert sorted(row["incident_id"] for row in json_lines(capsys.readouterr().out)) == told


def test_where_the_state_is_may_be_said_before_or_behind(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And a setting given before the subcommand is not lost behind it."""
    for words in (
        ["--state", str(folder), "list"],
        ["list", "--state", str(folder)],
        ["--set", f"daemon.state_dir={folder}", "list"],
        ["list", "--set", f"daemon.state_dir={folder}"],
    ):
        assert main(["incidents", *words]) == 0
        assert len(capsys.readouterr().out.splitlines()) == 4


def test_one_incident_with_its_history(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was measured against what was expected, then all that happened; nothing in the words is markup."""
    assert main(["incidents", "show", "i1", "--state", str(folder)]) == 0
    text = capsys.readouterr().out
    assert "state     acknowledged" in text
    assert "score     2.5 against a threshold of 1" in text
    lines = [line.split() for line in text.splitlines()]
    assert ["flow", "100", "110", "l/min", "2.5"] in lines
    assert [words[2] for words in lines[-3:]] == ["fired", "acknowledged", "commented"]
    assert lines[-1][3:] == ["me", "a", "[bold]bearing"]
    assert main(["incidents", "show", "i1", "--json", "--state", str(folder)]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["incident_id"], shown["open"], len(shown["history"])) == ("i1", True, 3)
    assert shown["top"][0]["expected"] == 110


def test_an_incident_that_nobody_knows(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["incidents", "show", "i9", "--state", str(folder)]) == 2
    assert "there is no incident i9" in capsys.readouterr().err
