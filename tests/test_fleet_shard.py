"""One shard: records in order through the same step as the daemon's, with time as Kafka has it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor import checkpoint
from monitor.fleet.control import Control, Shelf, encode
from monitor.fleet.shard import BOOKS, EVENT, LETTER, LINES, PASS_MS, Arrived, Row, Shard, rows
from monitor.lineprotocol import score_lines
from monitor.pipeline import step
from monitor.records import Batch, Change, Outcome, Record
from monitor.spec import LineSpec
from monitor.state import LineState
from tests.line_samples import ROOT, START, pump, shipped, telemetry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.records import Message

LINE = LineSpec(ROOT, 10, (replace(shipped(), model_hash=""),))


def arrived(messages: Sequence[Message], source: Sequence[int] = (), offset: Sequence[int] = ()) -> Arrived:
    count = len(messages)
    return Arrived(
        [each.topic for each in messages],
        [each.payload for each in messages],
        np.array(source or [0] * count, np.int64),
        np.array(offset or range(count), np.int64),
        np.array([each.arrival for each in messages], np.int64),
    )


def described(shelf: Shelf) -> Shard:
    shard = Shard(LineState.empty(LineSpec("", 1, ())))
    list(shard.control([encode(Control(LINE))], START, shelf))
    return shard


def heard(shard: Shard, messages: Sequence[Message], **more: Any) -> list[Any]:
    return list(shard.take(arrived(messages, **more), START + 10**9, Shelf()))


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 100), st.integers(-5, 200)),
        unique_by=lambda row: row[:2],
        min_size=1,
    )
)
def test_the_order_of_a_partition_is_kept_and_partitions_come_by_time(found: list[tuple[int, int, int]]) -> None:
    """No time is before one that was before it in its partition, after the batch, or missing."""
    columns = [np.array(column, np.int64) for column in zip(*found, strict=True)]
    order, time = Arrived([b""] * len(found), [b""] * len(found), *columns).in_order(100)
    assert sorted(order.tolist()) == list(range(len(found)))
    assert (np.diff(time) >= 0).all()
    assert ((time > 0) & (time <= 100)).all()
    for partition in range(3):
        offsets = [found[row][1] for row in order.tolist() if found[row][0] == partition]
        assert offsets == sorted(offsets)
        latest = 0
        for row, at in zip(order.tolist(), time.tolist(), strict=True):
            if found[row][0] == partition:
                given_ = found[row][2]
                latest = max(latest, min(given_, 100) if given_ > 0 else 100)
                assert at == latest


def test_records_of_two_partitions_are_merged_by_when_they_came() -> None:
    """Times 10, 30 of one and 20, 5 of the other: the 5 is behind the 20, so it came no earlier."""
    times = np.array([10, 30, 20, 5])
    order, time = Arrived([b""] * 4, [b""] * 4, np.array([1, 1, 2, 2]), np.array([1, 2, 1, 2]), times).in_order(99)
    assert order.tolist() == [0, 2, 3, 1]
    assert time.tolist() == [10, 20, 20, 30]


def test_a_shard_gives_what_the_line_gives_by_itself() -> None:
    """Two assets for a minute and a half; passes of five seconds are records, as the journal's would be."""
    messages = [telemetry(asset, second * 1000, pump(50.0 + second % 7)) for second in range(90) for asset in "ab"]
    shard = described(Shelf())
    made = [row for result in heard(shard, messages) for row in rows(result, readings=False)]
    line = LineState.empty(LINE)
    step(line, Record(1, START, Change(listening=True)), {})
    lines = []
    passes: dict[int, list[Message]] = {}
    for message in messages:
        passes.setdefault(message.arrival // PASS_MS, []).append(message)
    for number, batch in enumerate(passes.values()):
        for stored in step(line, Record(number + 2, batch[-1].arrival, Batch(batch)), {}).scores:
            lines += score_lines(stored)
    assert len(lines) > 100
    assert [line for row in made if row.kind == LINES for line in row.body.decode().split("\n")] == lines


def test_a_batch_that_is_repeated_gives_the_same_bytes() -> None:
    """Spark runs a batch again from the state before it."""
    shard = described(Shelf())
    blob = checkpoint.encode(shard.position, shard.line)
    messages = [telemetry("a", second * 1000, pump(50.0)) for second in range(70)]
    first = [row for result in heard(shard, messages) for row in rows(result, readings=True)]
    known = checkpoint.decode(blob)
    again = Shard(known.state, known.position, known.state.swept_at)
    assert [row for result in heard(again, messages) for row in rows(result, readings=True)] == first
    assert checkpoint.encode(again.position, again.line) == checkpoint.encode(shard.position, shard.line)


def test_a_record_without_a_topic_is_a_dead_letter_and_nothing_else_suffers() -> None:
    shard = described(Shelf())
    good, bare = telemetry("a", 0, pump(50.0)), telemetry("b", 0, pump(50.0))
    found = arrived([good, bare])
    found.mqtt = [good.topic, b""]
    made = [row for result in shard.take(found, START + 10**9, Shelf()) for row in rows(result, readings=False)]
    letters = [msgspec.json.decode(row.body) for row in made if row.kind == LETTER]
    assert [letter["values"] for letter in letters] == [1]
    assert "fleet.mqtt_topic" in letters[0]["reason"]
    assert shard.line.outcomes[Outcome.DEAD_LETTER] == 1
    assert shard.line.streams() == 1


def test_before_there_is_a_description_nothing_is_decoded_and_all_is_told() -> None:
    """It cannot be, as every shard gets it in its first batch; were it so, it would be told."""
    shard = Shard(LineState.empty(LineSpec("", 1, ())))
    made = [
        row for result in heard(shard, [telemetry("a", 0, pump(50.0))]) for row in rows(result, readings=False)
    ]
    assert [row.kind for row in made] == [LETTER]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"{", "not a control message"),
        (b'{"line": 3}', "not a control message"),
        (b'{"lines": {}}', "not a control message"),
    ],
)
def test_a_control_message_that_cannot_be_read_changes_nothing(value: bytes, reason: str) -> None:
    shard = described(Shelf())
    before = checkpoint.encode(shard.position, shard.line)
    letters = [x for result in shard.control([value], START, Shelf()) for x in result.dead_letters]
    assert [reason in letter.reason and "what held before goes on" in letter.reason for letter in letters] == [
        True
    ]
    assert checkpoint.encode(shard.position, shard.line) == before


def test_a_description_whose_model_does_not_come_with_it_changes_nothing() -> None:
    shard = described(Shelf())
    other = LineSpec(ROOT, 10, (replace(shipped(), model_hash="0" * 64),))
    letters = [
        x for result in shard.control([encode(Control(other))], START, Shelf()) for x in result.dead_letters
    ]
    assert ["model 000000000000 is not in the message" in letter.reason for letter in letters] == [True]
    assert shard.line.spec == LINE


def test_a_description_that_holds_already_changes_nothing() -> None:
    """`fleet run` says it again where Kafka does not know it any more."""
    shard = described(Shelf())
    heard(shard, [telemetry("a", second * 1000, pump(50.0)) for second in range(70)])
    before = checkpoint.encode(shard.position, shard.line)
    assert list(shard.control([encode(Control(LINE))], START + 70_000, Shelf())) == []
    assert checkpoint.encode(shard.position, shard.line) == before


def test_another_description_takes_over_and_windows_go_on() -> None:
    shard = described(Shelf())
    heard(shard, [telemetry("a", second * 1000, pump(50.0)) for second in range(70)])
    filled = shard.line.classes[0].window.filled[0]
    alert = replace(LINE.classes[0].alert, on_delay_ticks=77)
    list(
        shard.control(
            [encode(Control(LineSpec(ROOT, 10, (replace(LINE.classes[0], alert=alert),))))], START, Shelf()
        )
    )
    assert shard.line.spec.classes[0].alert.on_delay_ticks == 77
    assert shard.line.classes[0].window.filled[0] == filled > 1


def test_silence_is_told_when_time_is_all_that_comes() -> None:
    """An asset is silent after 30 s, the shipped setting; the clock comes each ten."""
    shard = described(Shelf())
    heard(shard, [telemetry("a", second * 1000, pump(50.0)) for second in range(5)])
    now = shard.now
    told: list[Row] = []
    while not told and shard.now < now + 120_000:
        told = [row for row in rows(shard.clock(shard.now + 10_000, Shelf()), readings=False) if row.kind == EVENT]
    event = msgspec.json.decode(told[0].body)
    assert (event["kind"], event["transition"]) == ("stale", "fired")


def test_the_books_add_up() -> None:
    shard = described(Shelf())
    messages = [telemetry("a", second * 1000, pump(50.0)) for second in (*range(70), 3)]
    heard(shard, messages)
    books = msgspec.json.decode(shard.books().body)
    assert shard.books().kind == BOOKS
    values = len(messages) * len(pump(50.0))
    assert sum(books["outcomes"].values()) + books["waiting"] == values
    assert books["outcomes"]["duplicate"] + books["outcomes"]["late"] == len(pump(50.0))
