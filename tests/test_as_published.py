"""monitor.commands.as_published: recorded rows as the journal would hold them."""

from __future__ import annotations

import msgspec
import numpy as np

from monitor.commands.as_published import Published, messages, of_recordings, records
from monitor.records import Batch, Change, Clock, Record
from simulator.recording import Recording

NAN = float("nan")
TWO = [
    Recording("a", ("load", "flow"), np.array([0, 1000, 2000]), np.array([[1, 2], [3, NAN], [5, 6]], np.float32)),
    Recording("b", ("load", "flow"), np.array([500]), np.array([[7, 8]], np.float32)),
]


def told(record: Record) -> list[tuple[str, int, object]]:
    """Of each message its topic, its arrival, and its values, or whether the asset is there."""
    assert isinstance(record.payload, Batch)
    found = []
    for each in record.payload.messages:
        payload = msgspec.json.decode(each.payload)
        assert each.size == len(each.payload)
        assert payload.get("ts", payload.get("timestamp")) == each.arrival
        found.append((each.topic.decode(), each.arrival, payload.get("values", payload.get("online"))))
    return found


def test_recordings_are_a_journal_in_the_order_of_time_and_each_says_goodbye() -> None:
    """Two seconds go together; a value that is missing is left out."""
    first, *between, last = records(of_recordings(TWO), root="r", site="s", slice_ms=2000, first=0)
    assert first == Record(1, 0, Change(listening=True))
    assert [(each.position, each.time) for each in between] == [(2, 1000), (3, 2000)]
    assert told(between[0]) == [
        ("r/v1/s/a/telemetry", 0, {"load": 1, "flow": 2}),
        ("r/v1/s/b/telemetry", 500, {"load": 7, "flow": 8}),
        ("r/v1/s/b/status", 500, False),
        ("r/v1/s/a/telemetry", 1000, {"load": 3}),
    ]
    assert told(between[1]) == [
        ("r/v1/s/a/telemetry", 2000, {"load": 5, "flow": 6}),
        ("r/v1/s/a/status", 2000, False),
    ]
    assert last == Record(4, 602_000, Clock())


def test_recordings_can_be_moved_in_time_and_stay_without_a_goodbye() -> None:
    _, only, _ = records(
        of_recordings(TWO, [10_000, 10_250], goodbye=False), root="r", site="s", slice_ms=5000, first=10_000
    )
    assert [at for _, at, _ in told(only)] == [10_000, 10_750, 11_000, 12_000]


def test_nothing_is_published_by_nobody() -> None:
    none = Published((), ("load",), *(np.zeros(0, np.int64),) * 2, np.zeros((0, 1), np.float32), np.zeros(0, bool))
    assert list(messages(none, root="r", site="s", slice_ms=1, first=0)) == []
