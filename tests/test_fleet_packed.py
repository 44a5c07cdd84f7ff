"""Records on their way: each comes to its shard once, as it was, and what is said to all comes to all."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.fleet.packed import Packer, shard_of, unpack
from monitor.fleet.place import Place

if TYPE_CHECKING:
    from collections.abc import Sequence

IDS = (5, 8, 13)
KNOWN = [Place("^x/([^/]+)/[^/]+$", r"\g<1>")]


def records(rows: Sequence[tuple[Any, ...]], headers: Sequence[Any] = ()) -> pa.RecordBatch:
    """Of key, value, topic, partition, offset and time in ms."""
    kinds = (pa.binary(), pa.binary(), pa.string(), pa.int32(), pa.int64(), pa.timestamp("ms", tz="UTC"))
    names = ["key", "value", "topic", "partition", "offset", "timestamp"]
    columns = zip(*rows, strict=True)
    arrays = [pa.array(column, kind) for column, kind in zip(columns, kinds, strict=True)]
    if headers:
        kind = pa.list_(pa.struct([("key", pa.string()), ("value", pa.binary())]))
        arrays, names = [*arrays, pa.array(headers, kind)], [*names, "headers"]
    return pa.RecordBatch.from_arrays(arrays, names=names)


def by_shard(packer: Packer, *batches: pa.RecordBatch) -> dict[int, tuple[list[bytes], list[tuple[Any, ...]]]]:
    """What each shard gets: control messages, and topic, value, source, offset and time of all other records."""
    rows: dict[int, list[bytes]] = {}
    for batch in packer(batches):
        for shard, packed in zip(batch["shard"].to_pylist(), batch["packed"].to_pylist(), strict=True):
            rows.setdefault(shard, []).append(packed)
    found = {}
    for shard, packs in rows.items():
        orders, came = unpack(packs)
        columns = () if came is None else (came.mqtt, came.values, came.source, came.offset, came.time)
        found[shard] = orders, list(zip(*columns, strict=True))
    return found


TOPICS = [f"x/{asset}/{kind}".encode() for asset in "abcdefgh" for kind in ("telemetry", "status")]
ROW = st.tuples(
    st.sampled_from(TOPICS),
    st.none() | st.binary(max_size=20),
    st.sampled_from(["one", "two"]),
    st.integers(0, 3),
    st.integers(0, 2**60),
    st.integers(0, 2**41),
)


@given(st.lists(st.lists(ROW, min_size=1, max_size=30), min_size=1, max_size=3))
def test_each_record_comes_once_to_the_shard_of_its_asset(batches: list[list[tuple[Any, ...]]]) -> None:
    """Whatever lies beside it; a record without a value comes as an empty one."""
    found = by_shard(Packer("{key}", "control", KNOWN, IDS), *map(records, batches))
    came = [(shard, *row) for shard, (_, rows) in found.items() for row in rows]
    wanted = [
        (shard_of(key.decode().split("/")[1], IDS), key, value or b"", offset, time)
        for batch in batches
        for key, value, _, _, offset, time in batch
    ]
    assert sorted((shard, key, value, offset, time) for shard, key, value, _, offset, time in came) == sorted(
        wanted
    )
    assert len({row[3] for row in came}) <= len({row[2:4] for batch in batches for row in batch})


def test_partitions_are_told_apart_by_the_same_numbers_in_every_task() -> None:
    """Else a shard could not bring records that two tasks have read into their order."""
    first = by_shard(Packer("{key}", "control", KNOWN, (1,)), records([(b"x/a/t", b"", "one", 0, 1, 1)]))
    both = records([(b"x/a/t", b"", "one", 1, 1, 1), (b"x/a/t", b"", "one", 0, 2, 2)])
    second = by_shard(Packer("{key}", "control", KNOWN, (1,)), both)
    sources = [row[2] for row in second[1][1]]
    assert first[1][1][0][2] == sources[1] != sources[0]


def test_control_messages_come_to_every_shard_in_their_order() -> None:
    told = [
        (b"", b"second", "control", 0, 8, 1),
        (b"x/a/t", b"v", "one", 0, 1, 1),
        (b"", b"first", "control", 0, 7, 1),
    ]
    found = by_shard(Packer("{key}", "control", KNOWN, IDS), records(told))
    assert {shard: orders for shard, (orders, _) in found.items()} == {each: [b"first", b"second"] for each in IDS}
    assert sum(len(rows) for _, rows in found.values()) == 1


def test_records_without_a_topic_are_spread_and_come_with_none() -> None:
    """One shard must not get all of a topic without keys."""
    found = by_shard(
        Packer("{key}", "control", KNOWN, IDS), records([(None, b"v", "one", 0, n, 1) for n in range(9)])
    )
    assert {shard: [row[0] for row in rows] for shard, (_, rows) in found.items()} == dict.fromkeys(IDS, [b""] * 3)


@pytest.mark.parametrize(
    ("template", "topic"),
    [("{key}", b"pump"), ("yard/{key}/telemetry", b"yard/pump/telemetry"), ("{topic}/{key}", b"one/pump")],
)
def test_the_topic_is_made_as_the_setting_says(template: str, topic: bytes) -> None:
    found = by_shard(Packer(template, "control", [], (1,)), records([(b"pump", b"v", "one", 0, 1, 1)]))
    assert [row[0] for row in found[1][1]] == [topic]


def test_the_topic_stands_in_a_header() -> None:
    """Where it does not, there is none; the last of several holds."""
    headers = [
        [{"key": "mqtt", "value": b"x/a/t"}, {"key": "other", "value": b"o"}],
        None,
        [{"key": "mqtt", "value": b"no"}, {"key": "mqtt", "value": b"x/b/t"}],
    ]
    batch = records([(None, b"v", "one", 0, number, 1) for number in range(3)], headers)
    found = by_shard(Packer("{header:mqtt}", "control", KNOWN, (1,)), batch)
    assert [row[0] for row in found[1][1]] == [b"x/a/t", b"", b"x/b/t"]


def test_a_packer_goes_to_other_processes_and_gives_the_same() -> None:
    packer = Packer("{key}", "control", KNOWN, IDS)
    batch = records([(topic, b"v", "one", 0, 1, 1) for topic in TOPICS])
    assert by_shard(pickle.loads(pickle.dumps(packer)), batch) == by_shard(packer, batch)  # noqa: S301 - our own
