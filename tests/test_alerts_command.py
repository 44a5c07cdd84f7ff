"""`enginewatch alerts`: what happened, oldest first, and what is open now."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from typing import TYPE_CHECKING

import pytest

from monitor.cli import main
from monitor.records import Transition
from monitor.store import Store
from tests.rig import COMMAND, json_lines
from tests.store_samples import PUMP, START, result, transition

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OTHER = "plant//pump-2"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Three incidents: one is over, one acknowledged, one of another asset firing."""
    made = Store(tmp_path / "store.db")
    fired = [
        transition(Transition.FIRED, number, incident=f"i{number}", stream=OTHER if number == 2 else PUMP)
        for number in range(3)
    ]
    cleared = transition(Transition.CLEARED, 5, incident="i0")
    acknowledged = transition(Transition.ACKNOWLEDGED, 6, incident="i1", who="me")
    made.write(1, result(events=[*fired, cleared, acknowledged]))
    yield made
    made.close()


def alerts(capsys: pytest.CaptureFixture[str], folder: Path, *arguments: str) -> str:
    assert main(["alerts", "--state", str(folder), *arguments]) == 0
    return capsys.readouterr().out


def objects(text: str) -> list[tuple[str, str]]:
    return [(row["incident_id"], row["transition"]) for row in json_lines(text)]


def test_the_latest_transitions_oldest_first(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del store
    assert objects(alerts(capsys, tmp_path, "--json")) == [
        ("i0", "fired"), ("i1", "fired"), ("i2", "fired"), ("i0", "cleared"), ("i1", "acknowledged"),
    ]  # fmt: skip
    assert objects(alerts(capsys, tmp_path, "--json", "-n", "2")) == [("i0", "cleared"), ("i1", "acknowledged")]
    assert objects(alerts(capsys, tmp_path, "--json", "--asset", OTHER)) == [("i2", "fired")]


def test_open_incidents_as_they_stand(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of all assets, or of one: what fired, in the state it has reached."""
    del store
    rows = json_lines(alerts(capsys, tmp_path, "--open", "--json"))
    assert [(row["incident_id"], row["transition"], row["who"]) for row in rows] == [
        ("i1", "acknowledged", "me"), ("i2", "fired", ""),
    ]  # fmt: skip
    assert rows[0]["top"][0] == {
        "sensor": "flow", "unit": "l/min", "actual": 100.0, "expected": 110.0, "contribution": 2.5,
    }  # fmt: skip
    assert rows[0]["started"] == START
    assert objects(alerts(capsys, tmp_path, "--open", "--json", "--asset", OTHER)) == [("i2", "fired")]


def test_the_table_tells_it_in_a_line(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Units in brackets stay: nothing in a summary is markup."""
    store.write(9, result(events=[transition(Transition.FIRED, 9, incident="i9", summary="flow 3 [1/min]")]))
    lines = alerts(capsys, tmp_path, "-n", "1").splitlines()
    assert lines[0].split() == ["time", "incident", "asset", "kind", "transition", "severity", "summary"]
    assert lines[1].split() == [
        "2023-11-14", "22:13:29", "i9", PUMP, "anomaly", "fired", "warning", "flow", "3", "[1/min]",
    ]  # fmt: skip


def test_following_shows_what_comes(store: Store, tmp_path: Path) -> None:
    """Each transition once, from behind those shown first; of other assets nothing."""
    command = [*COMMAND, "alerts", "--state", str(tmp_path), "--json", "-f", "-n", "1", "--asset", PUMP]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        shown = [json.loads(process.stdout.readline())["event_id"]]
        store.write(2, result(events=[transition(Transition.CLEARED, 20, incident="i2", stream=OTHER)]))
        store.write(3, result(events=[transition(Transition.CLEARED, 21, incident="i1")]))
        shown.append(json.loads(process.stdout.readline())["event_id"])
        process.terminate()
    assert shown == ["i1-acknowledged-6", "i1-cleared-21"]


def test_open_ones_cannot_be_followed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["alerts", "--state", str(tmp_path), "--open", "-f"])
    assert end.value.code == 2
    assert "not allowed with argument --open" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["alerts", "scores"])
def test_a_store_that_cannot_be_read_is_told_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    """No store at all, or one of another release: exit code 2 and the remedy."""
    assert main([command, "--state", str(tmp_path)]) == 2
    assert capsys.readouterr().err == (
        f"enginewatch {command}: {tmp_path} holds no store: has `enginewatch monitor` run there?"
        " --state names another folder\n"
    )
    connection = sqlite3.connect(tmp_path / "store.db")
    connection.execute("PRAGMA user_version = 9")
    connection.close()
    assert main([command, "--state", str(tmp_path)]) == 2
    assert "has format 9, this release reads 3" in capsys.readouterr().err
