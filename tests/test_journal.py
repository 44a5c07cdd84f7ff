"""The journal: what `append` returned for is there whatever happens, once, in its order."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor import journal as room
from monitor.journal import FORGOTTEN_AT_ONCE, Journal, JournalError
from monitor.records import Batch, Change, Clock, Command, Message, Record
from tests.rig import small_disk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from monitor.records import Payload

INT64 = st.integers(-(2**63), 2**63 - 1)
MESSAGES = st.builds(Message, st.binary(max_size=20), st.binary(max_size=50), INT64, INT64)
WORDS = ("id", "action", "incident", "asset", "who", "why", "verdict", "kind")
COMMANDS = st.builds(
    Command,
    **{name: st.text(max_size=10) for name in WORDS},
    ts=INT64,
    until=st.none() | INT64,
    started=INT64,
)
CHANGES = st.builds(Change, listening=st.none() | st.booleans(), line=st.none() | st.binary(max_size=20))
PAYLOADS = st.builds(Batch, st.lists(MESSAGES, max_size=3)) | st.just(Clock()) | COMMANDS | CHANGES

# Appends records for ever, and says after each `append` which position it returned.
WRITER = """
import sys
from pathlib import Path
from monitor.journal import Journal
from monitor.records import Batch, Message
journal = Journal(Path(sys.argv[1]))
while True:
    number = journal.last() + 1
    text = b"%d" % number
    print(journal.append([Batch([Message(b"t", text * 50, 7, 9)])], number), flush=True)
"""


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    made = Journal(tmp_path / "journal.db")
    yield made
    made.close()


def message(number: int) -> Batch:
    return Batch([Message(b"topic", b"%d" % number, number, 1)])


def test_records_come_back_in_their_order(journal: Journal) -> None:
    """Several records of one append, then more; read from any position, any number at a time."""
    payloads: list[Payload] = [message(1), Clock(), Change(listening=True)]
    assert journal.append(payloads, 50) == 3
    assert journal.append([Clock()], 60) == 4
    assert journal.read(0, 10) == [
        *(Record(index + 1, 50, payload) for index, payload in enumerate(payloads)),
        Record(4, 60, Clock()),
    ]
    assert [record.position for record in journal.read(1, 2)] == [2, 3]
    assert journal.read(4, 10) == []
    assert (journal.first(), journal.last()) == (1, 4)


def test_every_kind_of_record_comes_back(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever the fields hold, over a new opening of the file."""
    path = tmp_path_factory.mktemp("journal") / "journal.db"

    @given(st.lists(PAYLOADS, min_size=1, max_size=4), INT64)
    def comes_back(payloads: list[Payload], time: int) -> None:
        writer = Journal(path)
        last = writer.append(payloads, time)
        at_hand = writer.read(last - len(payloads), 10)
        writer.close()
        reader = Journal(path)
        found = reader.read(last - len(payloads), 10)
        reader.close()
        assert [record.payload for record in found] == payloads
        assert {record.time for record in found} == {time}
        assert at_hand == found

    comes_back()


def test_what_was_just_committed_is_not_read_again(journal: Journal) -> None:
    """The one who reads on gets the very records; whoever reads from elsewhere gets what is in the file."""
    for number in range(6):
        journal.append([message(number)], number)
    first, second = journal.read(0, 4), journal.read(0, 4)
    assert [record.position for record in first] == [1, 2, 3, 4]
    assert all(ours is theirs for ours, theirs in zip(first, second, strict=True))
    last = journal.read(4, 10)
    assert [record.position for record in last] == [5, 6]
    assert journal.read(6, 10) == []
    again = journal.read(0, 10)
    assert again == [*first, *last]
    assert again[0] is not first[0]


def test_of_what_was_committed_only_so_much_is_kept_at_hand(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader who is far behind reads from the file until he has caught up, and misses nothing."""
    monkeypatch.setattr(room, "AT_HAND", 1_000)
    payloads: list[Payload] = [Batch([Message(b"t", b"%d" % number * 100, number, 1)]) for number in range(40)]
    for payload in payloads:
        journal.append([payload], 0)
    assert journal._latest._size <= 1_000
    found: list[Record] = []
    while records := journal.read(len(found), 3):
        found += records
    assert [record.payload for record in found] == payloads
    assert found[-1].payload is payloads[-1]


def test_two_threads_append_and_a_third_reads_everything_in_order(journal: Journal) -> None:
    """No record is passed by, and none comes before it is committed."""
    with ThreadPoolExecutor(2) as pool:
        appending = [pool.submit(lambda: [journal.append([Clock()] * 2, 0) for _ in range(50)]) for _ in range(2)]
        position = 0
        while position < 200:
            for record in journal.read(position, 7):
                assert record.position == position + 1
                assert record.position <= journal.last()
                position = record.position
        assert all(each.result() for each in appending)


def test_what_append_returned_survives_a_kill(tmp_path: Path) -> None:
    """A process that appends is killed with -9: every position it told is there, whole; at most one more."""
    path = tmp_path / "journal.db"
    told = 0
    for _ in range(3):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            for _ in range(40):
                told = int(writer.stdout.readline())
            writer.kill()
            told = max([told, *map(int, writer.stdout.read().split(b"\n")[:-1])])
    journal = Journal(path)
    found = journal.read(0, 1_000_000)
    journal.close()
    assert [record.position for record in found] == list(range(1, len(found) + 1))
    assert len(found) in {told, told + 1}
    assert [record.payload for record in found] == [
        Batch([Message(b"t", b"%d" % record.position * 50, 7, 9)]) for record in found
    ]


def test_forgetting_goes_up_to_the_position_and_in_small_steps(journal: Journal) -> None:
    """Nothing is deleted but behind an append, at most so many a time, and never what may still be needed."""
    journal.append([message(number) for number in range(200)], 0)
    journal.forget(150)
    assert journal.first() == 1
    firsts = []
    for _ in range(4):
        journal.append([Clock()], 0)
        firsts.append(journal.first())
    assert firsts == [1 + FORGOTTEN_AT_ONCE, 1 + 2 * FORGOTTEN_AT_ONCE, 151, 151]
    journal.forget(10)  # what was promised once stays promised
    journal.append([Clock()], 0)
    assert journal.first() == 151


def test_forgetting_does_not_write_what_it_forgets(journal: Journal, tmp_path: Path) -> None:
    """Ten records of 400 kB leave less in the write-ahead log than one of them: nothing is overwritten."""
    journal.append([Batch([Message(b"t", bytes(400_000), 0, 1)])] * 10, 0)
    journal._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    journal.forget(10)
    journal.append([Clock()], 0)
    assert journal.first() == 11
    assert (tmp_path / "journal.db-wal").stat().st_size < 100_000


def test_positions_are_never_used_again(tmp_path: Path) -> None:
    """Not even where everything was forgotten and the file opened anew."""
    path = tmp_path / "journal.db"
    journal = Journal(path)
    journal.append([Clock()] * 5, 0)
    journal.forget(5)
    journal.append([Clock()], 0)  # deletes 1 to 5
    journal.close()
    connection = sqlite3.connect(path)
    connection.execute("DELETE FROM record")
    connection.commit()
    connection.close()
    journal = Journal(path)
    assert journal.first() is None
    assert journal.append([Clock()], 0) == 7
    journal.close()


def test_a_new_journal_can_go_on_behind_a_lost_one(journal: Journal) -> None:
    journal.go_on_after(500)
    assert journal.last() == 500
    assert journal.append([Clock()], 0) == 501


def test_backlog_is_counted_in_bytes(journal: Journal) -> None:
    journal.append([message(1)], 0)
    empty = journal.bytes_after(1)
    journal.append([Batch([Message(b"t", bytes(10_000), 0, 1)])] * 3, 0)
    assert empty == 0
    assert 20_000 < journal.bytes_after(2) < 21_000
    assert journal.bytes_after(4) == 0


def test_only_descriptions_count_as_changes(journal: Journal) -> None:
    """A change of the connection names no model."""
    journal.append([Change(listening=True)], 0)
    assert not journal.holds_changes()
    journal.append([Change(line=b"{}")], 0)
    assert journal.holds_changes()


def test_another_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 7")
    connection.close()
    with pytest.raises(JournalError, match=r"journal\.db has format 7, this release reads 2: use the release"):
        Journal(path)


def test_what_is_no_journal_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    path.write_bytes(b"these are not the pages of a database" * 100)
    with pytest.raises(JournalError, match="file is not a database"):
        Journal(path)


def test_a_full_disk_keeps_nothing_by_halves_and_goes_on_when_there_is_room(journal: Journal) -> None:
    """Of several records of one append none is there; the next append gets the position of the first."""
    journal.append([message(1)], 0)
    big = Batch([Message(b"t", bytes(100_000), 0, 1)])
    pages = journal._writer.execute("PRAGMA page_count").fetchone()[0]
    journal._writer.execute(f"PRAGMA max_page_count = {pages + 30}")  # SQLite's own limit acts as a full disk
    with pytest.raises(JournalError, match="full") as error:
        journal.append([message(2), big, big], 0)
    assert error.value.full
    assert [record.payload for record in journal.read(0, 10)] == [message(1)]
    journal._writer.execute("PRAGMA max_page_count = 1000000")
    assert journal.append([message(2), big, big], 0) == 4


def append_for_ever(journal: Journal) -> None:
    while True:
        journal.append([Batch([Message(b"t", bytes(4096), 0, 1)])], 0)


def test_a_really_full_disk(tmp_path: Path) -> None:
    """The same on a file system without room, where the write-ahead log is what cannot grow."""
    disk = tmp_path / "disk"
    with small_disk(disk, "400k") as fill:
        journal = Journal(disk / "journal.db")
        journal.append([message(1)], 0)
        filler = fill()
        with pytest.raises(JournalError) as error:
            append_for_ever(journal)
        assert error.value.full
        kept = journal.last()
        filler.unlink()
        assert journal.append([message(2)], 0) == kept + 1
        found = journal.read(0, 1000)
        assert [record.position for record in found] == list(range(1, kept + 2))
        assert found[-1].payload == message(2)
        journal.close()


def test_a_failure_that_is_no_full_disk_says_so(journal: Journal) -> None:
    """After it nothing may be acknowledged any more, and waiting does not help."""
    journal._writer.close()
    with pytest.raises(JournalError) as error:
        journal.append([Clock()], 0)
    assert not error.value.full
