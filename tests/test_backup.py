"""A copy of the state folder is one from which the line goes on as if it had crashed; or there is none."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from monitor import backup, checkpoint, damage
from monitor.backup import BackupError, back_up
from tests.line_house import SCRIPT, SPEC, House, same
from tests.rig import run

if TYPE_CHECKING:
    from pathlib import Path


def lived(folder: Path, *, saved: int, position: int) -> House:
    """A line that has taken the script up to `position`, its checkpoint at `saved`; the journal has all of it."""
    house = House(folder)
    house.line.recover(SPEC)
    house.take(SCRIPT[:saved])
    house.line.checkpoint()
    house.take(SCRIPT[saved:position])
    house.append(SCRIPT[position:])
    return house


@pytest.mark.parametrize(("saved", "position"), [(0, 10), (20, 20), (20, 45), (30, len(SCRIPT))])
def test_the_copy_goes_on_to_the_same_end(tmp_path: Path, saved: int, position: int) -> None:
    """Wherever checkpoint, store and journal stood: the rows, transitions, letters and books of the original."""
    original = lived(tmp_path / "state", saved=saved, position=position)
    made = back_up(tmp_path / "state", tmp_path / "copy")
    assert made.position == len(SCRIPT)
    original.restart()
    copied = House(tmp_path / "copy")
    copied.line.recover(SPEC)
    assert same(copied.told(), original.told())
    original.crash()
    copied.crash()


def test_what_is_written_meanwhile_is_not_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records that come between the copies of the two databases: the copy is of the moment before."""
    house = lived(tmp_path / "state", saved=10, position=20)
    connect = sqlite3.connect

    def slowly(path: Any, *arguments: Any, **named: Any) -> Any:
        if str(path).endswith("copy.partial/store.db"):
            house.take([])  # the line goes on to the journal's end
            house.line.checkpoint()
        return connect(path, *arguments, **named)

    monkeypatch.setattr(sqlite3, "connect", slowly)
    back_up(tmp_path / "state", tmp_path / "copy")
    monkeypatch.undo()
    copied = House(tmp_path / "copy")
    assert copied.store.written == 20
    copied.line.recover(SPEC)
    assert same(copied.told(), house.told())
    house.crash()
    copied.crash()


def test_a_journal_that_has_passed_the_checkpoint_is_no_backup(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It begins behind what the checkpoint needs, each time anew: nothing is left that looks like a backup."""
    house = lived(tmp_path / "state", saved=10, position=20)
    house.journal._writer.execute("DELETE FROM record WHERE position < 15")
    tries = 0
    copy = backup._copy

    def counted(state: Path, growing: Path) -> int:
        nonlocal tries
        tries += 1
        return copy(state, growing)

    monkeypatch.setattr(backup, "_copy", counted)
    with pytest.raises(BackupError, match="changes faster than it can be copied"):
        back_up(tmp_path / "state", tmp_path / "copy")
    assert tries == backup.TRIES
    assert sorted(path.name for path in tmp_path.iterdir()) == ["state"]
    house.crash()


def test_what_is_damaged_is_no_backup(tmp_path: Path) -> None:
    """It is found by looking through the copy, not when it is restored; the next start looks at the original."""
    lived(tmp_path / "state", saved=10, position=len(SCRIPT)).crash()
    with closing(sqlite3.connect(tmp_path / "state" / "store.db")) as store:
        store.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (page,) = store.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'score_batch'").fetchone()
        (size,) = store.execute("PRAGMA page_size").fetchone()
    with (tmp_path / "state" / "store.db").open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * 100)
    with pytest.raises(BackupError, match=r"store\.db is damaged .*start the daemon again"):
        back_up(tmp_path / "state", tmp_path / "copy")
    assert damage.marker(tmp_path / "state" / "store.db").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["state"]


def test_the_command(tmp_path: Path) -> None:
    """What it says, for people and for programs; what it refuses in one line."""
    lived(tmp_path / "state", saved=10, position=20).crash()
    said = run("backup", "copy", "--state", "state", folder=tmp_path).stdout
    assert said.startswith(f"copy: the state up to record {len(SCRIPT)}, ")
    assert (tmp_path / "copy").stat().st_mode & 0o077 == 0
    told = json.loads(run("backup", "other/copy", "--state", "state", "--json", folder=tmp_path).stdout)
    assert (told["folder"], told["position"]) == ("other/copy", len(SCRIPT))
    assert told["bytes"] == sum(each.stat().st_size for each in (tmp_path / "other" / "copy").iterdir())
    again = run("backup", "copy", "--state", "state", folder=tmp_path, code=2)
    assert again.stderr == "enginewatch backup: copy exists already: name a folder that does not\n"
    within = run("backup", "state/copy", "--state", "state", folder=tmp_path, code=2)
    assert "lies in state and would be lost with it" in within.stderr
    nowhere = run("backup", "third", "--state", "nowhere", folder=tmp_path, code=2)
    assert "nowhere holds no store" in nowhere.stderr
    path = checkpoint.saved(tmp_path / "state")[0]
    path.write_bytes(b"enginewatch checkpoint 3\n" + path.read_bytes()[len(checkpoint.MAGIC) :])
    newer = run("backup", "third", "--state", "state", folder=tmp_path, code=2)
    assert "has format 3, this release reads up to 2" in newer.stderr
    assert len(newer.stderr.splitlines()) == 1
