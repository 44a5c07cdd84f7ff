"""`enginewatch scores`: the latest rows, oldest first, as a table and as JSON."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from monitor.cli import main
from monitor.records import DeadLetter
from monitor.store import Store
from tests.rig import COMMAND, json_lines
from tests.store_samples import batch, result

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Five batches, one a second, of two assets; the first row of each is not scored."""
    made = Store(tmp_path / "store.db")
    made.write(1, result([batch(("plant//a", 0), ("plant//b", 0), score=np.nan)]))
    for second in range(1, 5):
        made.write(second + 1, result([batch(("plant//a", second), ("plant//b", second), score=second / 3)]))
    yield made
    made.close()


def scores(capsys: pytest.CaptureFixture[str], folder: Path, *arguments: str) -> str:
    assert main(["scores", "--state", str(folder), *arguments]) == 0
    return capsys.readouterr().out


def test_a_damaged_row_is_one_line(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was not met yet by the daemon, which mends it at its next start."""
    store.close()
    with sqlite3.connect(tmp_path / "store.db") as connection:
        connection.execute("UPDATE score_batch SET columns = x'00' WHERE id = 3")
    connection.close()
    assert main(["scores", "--state", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "score batch 3 is not what was written): start the daemon again" in line
    assert (tmp_path / "store.db.suspect").exists()


def objects(text: str) -> list[tuple[str, str]]:
    """The second of each row, and its asset."""
    return [(str(row["time"] // 1000 % 60), row["asset"]) for row in json_lines(text)]


def test_the_latest_rows_oldest_first(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As many as were asked for, of all assets or of one."""
    del store
    assert len(objects(scores(capsys, tmp_path, "--json"))) == 10
    assert objects(scores(capsys, tmp_path, "--json", "-n", "3")) == [
        ("23", "plant//b"), ("24", "plant//a"), ("24", "plant//b"),
    ]  # fmt: skip
    assert objects(scores(capsys, tmp_path, "--json", "-n", "2", "--asset", "plant//a")) == [
        ("23", "plant//a"), ("24", "plant//a"),
    ]  # fmt: skip
    assert scores(capsys, tmp_path, "--json", "--asset", "plant//nobody") == ""


def test_a_row_has_everything_a_person_asks_for(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The sensor that contributes most with its values; what is not there is null, never 0."""
    del store
    rows = json_lines(scores(capsys, tmp_path, "--json", "--asset", "plant//a"))
    assert rows[2] == {
        "time": 1_700_000_002_000, "asset": "plant//a", "class": "pump", "model": "balance",
        "status": "scored", "regime": "all", "score": pytest.approx(2 / 3), "threshold": 1.0, "sensor": "flow",
        "actual": 100.0, "expected": 110.0, "sensors": {
            "load": {"actual": 50.0, "expected": 50.0, "contribution": 0.25},
            "flow": {"actual": 100.0, "expected": 110.0, "contribution": pytest.approx(2 / 3)},
        },
    }  # fmt: skip
    assert (rows[0]["status"], rows[0]["score"]) == ("warming_up", None)


def test_the_table_has_a_line_a_row(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    del store
    lines = scores(capsys, tmp_path, "-n", "2").splitlines()
    assert lines[0].split() == [
        "time",
        "asset",
        "status",
        "regime",
        "score",
        "threshold",
        "sensor",
        "actual",
        "expected",
    ]
    assert lines[2].split() == [
        "2023-11-14", "22:13:24", "plant//b", "scored", "all", "1.3333", "1", "flow", "100", "110",
    ]  # fmt: skip
    assert len(lines) == 3


def test_names_are_shown_as_they_are(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever a publisher called its asset: nothing in it is markup."""
    name = "plant/[/bold]/:car:[red]"
    store.write(10, result([batch((name, 9))]))
    assert name in scores(capsys, tmp_path, "-n", "1")
    assert json.loads(scores(capsys, tmp_path, "-n", "1", "--json"))["asset"] == name


def test_what_is_infinite_is_still_json(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store.write(10, result([batch(("plant//a", 9), score=np.inf)]))

    def refuse(text: str) -> Any:
        raise AssertionError(text)

    row = json.loads(scores(capsys, tmp_path, "-n", "1", "--json"), parse_constant=refuse)
    assert row["score"] is None


def test_following_shows_what_comes(store: Store, tmp_path: Path) -> None:
    """Each row once, from behind those shown first; of other assets nothing."""
    command = [*COMMAND, "scores", "--state", str(tmp_path), "--json", "-f", "-n", "1", "--asset", "plant//a"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        shown = [json.loads(process.stdout.readline())["time"]]
        for second in (5, 6):
            rows = batch(("plant//b", second), ("plant//a", second))
            store.write(second + 1, result([rows]))
            shown.append(json.loads(process.stdout.readline())["time"])
        process.terminate()
    assert [time // 1000 % 60 for time in shown] == [24, 25, 26]


@pytest.mark.parametrize("limit", ["0", "-1", "many"])
def test_a_limit_is_a_number_of_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str], limit: str) -> None:
    with pytest.raises(SystemExit) as end:
        main(["scores", "--state", str(tmp_path), f"--limit={limit}"])
    assert end.value.code == 2
    assert f"argument -n/--limit: invalid number value: '{limit}'" in capsys.readouterr().err


def test_where_there_is_no_row_it_says_where_it_stopped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path / "store.db")
    store.note({"broker": "connected"})
    store.add_dead_letters([DeadLetter(1, "plant/a", b"", "ts is missing")])
    store.close()
    assert main(["scores", "--state", str(tmp_path)]) == 0
    told = capsys.readouterr().err
    assert "the broker: connected" in told
    assert "plant/a: ts is missing" in told


def test_where_there_is_no_row_it_passes_on_what_the_daemon_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path / "store.db")
    store.note({"broker": "connected", "not_scoring": "warming up: 1/60", "not_scoring_at": "1700000000000"})
    store.close()
    assert main(["scores", "--state", str(tmp_path)]) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "no score rows yet; at 2023-11-14 22:13:20 the daemon noted: warming up: 1/60\n"
