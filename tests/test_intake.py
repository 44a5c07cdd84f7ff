"""Intake: acknowledged is only what the journal has kept, and everything is journalled in its order."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from monitor import intake as room
from monitor.intake import Intake
from monitor.journal import Journal, JournalError
from monitor.receive import Delivery
from monitor.records import Batch, Change, Clock, Command, Message
from tests.rig import until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from monitor.records import Payload, Record

COMMANDS = "enginewatch/_monitor/main/command"


class FakeReceiver:
    """Hands over what a test gives it, and writes down what it is told (`test_receive.py` has the real one)."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._given: list[Delivery] = []
        self._more = threading.Condition()
        self.acknowledged: list[tuple[list[int], int]] = []  # tokens, and the journal's last position then
        self.pauses: list[bool] = []

    def give(self, *messages: Message, tokens: Sequence[int] = (1,)) -> None:
        with self._more:
            self._given.append(Delivery(list(messages), list(tokens)))
            self._more.notify_all()

    def take(self, timeout: float) -> Delivery:
        with self._more:
            if not self._given:
                self._more.wait(timeout)
            return self._given.pop(0) if self._given else Delivery([], [])

    def release(self) -> None:
        with self._more:
            self._more.notify_all()

    def acknowledge(self, tokens: Sequence[int]) -> None:
        if tokens:
            self.acknowledged.append((list(tokens), self._journal.last()))

    def pause(self, paused: bool) -> None:
        self.pauses.append(paused)


class House:
    """An intake with a real journal, and the thread that runs it."""

    def __init__(self, folder: Path) -> None:
        self.journal = Journal(folder / "journal.db")
        self.receiver = FakeReceiver(self.journal)
        self.backlog = 0
        self.appended = 0
        self.taken: int | None = None  # None: the line keeps up
        receiver: Any = self.receiver
        self.intake = Intake(
            receiver=receiver,
            journal=self.journal,
            command_topic=COMMANDS,
            read_command=read,
            backlog=lambda: self.backlog,
            backlog_limit=1000,
            appended=self._count,
            taken=lambda: self.journal.last() if self.taken is None else self.taken,
        )

    def _count(self) -> None:
        self.appended += 1

    @contextmanager
    def running(self) -> Iterator[None]:
        thread = threading.Thread(target=self.intake.run)
        thread.start()
        try:
            yield
        finally:
            self.intake.stop()
            thread.join(30)

    def records(self, *kinds: type[Payload]) -> list[Record]:
        return [each for each in self.journal.read(0, 100_000) if isinstance(each.payload, kinds or object)]

    def payloads(self) -> list[Payload]:
        """What was journalled, but for the passing of time."""
        return [each.payload for each in self.records(Batch, Command, Change)]


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setattr(room, "CLOCK_S", 0.02)
    monkeypatch.setattr(room, "RETRY_S", 0.01)
    made = House(tmp_path)
    yield made
    made.journal.close()


def read(message: Message) -> Command | None:
    """A command named by its payload; an empty one is refused."""
    return Command(message.payload.decode(), "acknowledge", 0) if message.payload else None


def message(text: str, topic: str = "t") -> Message:
    return Message(topic.encode(), text.encode(), 5, len(text))


def command(name: str) -> Message:
    return message(name, COMMANDS)


def test_acknowledged_is_what_the_journal_has(house: House) -> None:
    """When the tokens go back, the record of their messages is on the disk."""
    with house.running():
        for number in range(20):
            house.receiver.give(message(str(number)), tokens=(number,))
        until(lambda: len(house.receiver.acknowledged) == 20)
    position_of = {each.payload.messages[0].payload: each.position for each in house.records(Batch)}  # type: ignore[union-attr]  # only batches
    for number, (tokens, last) in enumerate(house.receiver.acknowledged):
        assert tokens == [number]
        assert position_of[b"%d" % number] <= last
    assert house.appended >= 20


def test_where_the_line_is_behind_what_arrives_is_gathered(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is taken from the receiver then: it holds what comes, and hands it over together."""
    monkeypatch.setattr(room, "GATHER_S", 60.0)
    house.taken = 0
    with house.running():
        until(lambda: house.journal.last() > room.RECORDS_AHEAD)
        at = house.journal.last()
        house.receiver.give(message("later"))
        time.sleep(0.1)
        assert house.journal.last() == at
        house.taken = at
        until(lambda: house.receiver.acknowledged)


def test_what_arrives_waits_for_the_line_no_longer_than_a_moment(house: House) -> None:
    """A line that stands still keeps nothing from the disk."""
    house.taken = 0
    with house.running():
        for number in range(5):
            house.receiver.give(message(str(number)), tokens=(number,))
        until(lambda: len(house.receiver.acknowledged) == 5)


def test_time_passes_also_where_nothing_comes(house: House) -> None:
    with house.running():
        until(lambda: len(house.records(Clock)) >= 3)
    times = [each.time for each in house.records(Clock)]
    assert times == sorted(times)


def test_commands_stand_in_their_place(house: House) -> None:
    """Between the messages before and behind them; a refused one leaves nothing, and is acknowledged too."""
    a, b, c, d = map(message, "abcd")
    house.receiver.give(a, command("one"), command("two"), b, command(""), c, tokens=(1, 2, 3))
    house.receiver.give(command(""), tokens=(4,))
    house.receiver.give(command("three"), d, tokens=(5,))
    with house.running():
        until(lambda: len(house.receiver.acknowledged) == 3)
    one, two, three = (Command(name, "acknowledge", 0) for name in ("one", "two", "three"))
    assert house.payloads() == [Batch([a]), one, two, Batch([b, c]), three, Batch([d])]
    assert [tokens for tokens, _ in house.receiver.acknowledged] == [[1, 2, 3], [4], [5]]


def test_a_flood_is_cut_into_records(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of bounded size, in order, under one acknowledgement."""
    monkeypatch.setattr(room, "MESSAGES_AT_ONCE", 10)
    messages = [message(str(number)) for number in range(25)]
    house.receiver.give(*messages, tokens=range(25))
    with house.running():
        until(lambda: house.receiver.acknowledged)
    assert house.payloads() == [Batch(messages[:10]), Batch(messages[10:20]), Batch(messages[20:])]
    assert len(house.receiver.acknowledged) == 1


def test_what_can_be_heard_stands_before_what_was_heard(house: House) -> None:
    """The journal says once that the broker can be heard, before the first message, and once that it cannot."""
    house.intake.connected(True)
    house.receiver.give(message("a"))
    with house.running():
        until(lambda: house.receiver.acknowledged)
        house.intake.connected(False)
        until(lambda: len(house.records(Change)) == 2)
        until(lambda: len(house.records(Clock)) >= 2)
    assert house.payloads() == [Change(listening=True), Batch([message("a")]), Change(listening=False)]


def full(house: House, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Make the disk full until something is put into the list."""
    room_again: list[bool] = []
    append = house.journal.append

    def refuse(payloads: Sequence[Payload], time: int) -> int:
        if not room_again:
            raise JournalError("the journal cannot be written: database or disk is full", full=True)
        return append(payloads, time)

    monkeypatch.setattr(house.journal, "append", refuse)
    return room_again


def test_a_full_disk_acknowledges_nothing_and_ends_by_itself(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said once; what was held is journalled when there is room, behind a word that nothing was heard.

    `tests/test_journal.py` fills a real disk.
    """
    with capture_logs() as logs, house.running():
        house.intake.connected(True)
        until(lambda: house.records(Change))
        room_again = full(house, monkeypatch)
        house.receiver.give(message("a"), tokens=(1,))
        until(lambda: house.intake.full)
        house.receiver.give(message("b"), tokens=(2,))
        threading.Event().wait(0.1)
        assert house.receiver.acknowledged == []
        room_again.append(True)
        until(lambda: len(house.receiver.acknowledged) == 2)
        assert not house.intake.full
    heard = Change(listening=True)
    assert house.payloads() == [heard, heard, Batch([message("a")]), Batch([message("b")])]
    assert [entry["event"] for entry in logs] == ["disk_full", "disk_has_room"]


def test_a_stop_while_the_disk_is_full_leaves_the_messages_to_the_broker(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    full(house, monkeypatch)
    house.receiver.give(message("a"))
    with house.running():
        until(lambda: house.intake.full)
    assert house.receiver.acknowledged == []
    assert house.payloads() == []


def test_a_failing_disk_ends_the_thread(house: House) -> None:
    """Nothing may be acknowledged any more, and trying again would hide it."""
    house.journal._writer.close()
    house.receiver.give(message("a"))
    with pytest.raises(JournalError) as error:
        house.intake.run()
    assert not error.value.full
    assert house.receiver.acknowledged == []


def test_a_backlog_over_the_limit_pauses_reading(house: House) -> None:
    """Until the line has caught up; silence is nobody's fault meanwhile."""
    with capture_logs() as logs, house.running():
        house.intake.connected(True)
        until(lambda: house.records(Change))
        house.backlog = 1001
        until(lambda: len(house.records(Change)) == 2)
        house.backlog = 1000
        until(lambda: len(house.records(Change)) == 3)
    assert house.receiver.pauses == [True, False]
    assert house.payloads() == [Change(listening=heard) for heard in (True, False, True)]
    assert [entry["event"] for entry in logs] == ["receiving_paused", "receiving_resumed"]


@pytest.mark.parametrize(("steady", "wall"), [(1.0, 3600.0), (1.0, -3600.0), (60.0, 60.0)])
def test_silence_counts_anew_where_time_went_on_without_us(
    house: House, monkeypatch: pytest.MonkeyPatch, steady: float, wall: float
) -> None:
    """The clock was set by an hour, or the process stood still: the journal says "heard" once more."""
    shift = {"monotonic": 0.0, "time": 0.0}
    clocks = {name: getattr(time, name) for name in shift}
    for name, real in clocks.items():
        monkeypatch.setattr(time, name, lambda name=name, real=real: real() + shift[name])
    with capture_logs() as logs, house.running():
        house.intake.connected(True)
        until(lambda: house.records(Change))
        shift.update(monotonic=steady, time=wall)
        house.receiver.give(message("a"))
        until(lambda: house.receiver.acknowledged)
    assert house.payloads() == [Change(listening=True), Change(listening=True), Batch([message("a")])]
    change, batch = house.records(Change)[-1], house.records(Batch)[0]
    assert change.time == batch.time
    assert [each["event"] for each in logs] == ["clock_jumped" if steady == 1.0 else "stood_still"]
