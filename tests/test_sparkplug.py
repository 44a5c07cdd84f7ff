"""Sparkplug B beyond its golden case: births survive, what is missing is asked for, nothing crashes."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor import checkpoint
from monitor.decode import Decoder, beside_templates
from monitor.payloads.sparkplug import MOST_METRICS
from monitor.payloads.sparkplug_schema import (
    DOUBLE,
    INT32,
    INT64,
    Metric,
    decode_payload,
    encode_payload,
    encode_rebirth,
    signed,
)
from monitor.pipeline import step
from monitor.records import Batch, Clock, Message, Payload, Record
from tests.line_samples import FAST, MODELS, START, Line
from tests.sparkplug_samples import BIRTHS, DEVICE, ROUTE, TEMPLATE, data, message, metric, pumps

if TYPE_CHECKING:
    from monitor.payloads.sparkplug_memory import Memory


def test_what_a_birth_said_is_in_the_checkpoint() -> None:
    """After a restart the line reads data that has aliases only, exactly as without one."""
    line = Line(pumps()).listen()
    line.send(0, *BIRTHS)
    restored = checkpoint.decode(checkpoint.encode(line.position, line.state)).state
    assert restored.edge_nodes == line.state.edge_nodes
    records: list[tuple[int, Payload]] = [
        (second * 1000, Batch([data(second + 1, 50.0, second * 1000)])) for second in range(1, 20)
    ]
    records.append((30_000, Clock()))
    for number, (time, payload) in enumerate(records, 10):
        record = Record(number, START + time, payload)
        results = step(line.state, record, MODELS), step(restored, record, MODELS)
        assert [result.dead_letters for result in results] == [[], []]
        assert [result.requests for result in results] == [[], []]
        first, second = [[batch.rows.actual.tolist() for batch in result.scores] for result in results]
        assert first == second
    assert checkpoint.encode(1, restored) == checkpoint.encode(1, line.state)


def test_an_older_checkpoint_knows_no_edge_nodes() -> None:
    """One that was written before there were any to remember."""
    line = Line(pumps()).listen()
    line.send(0, *BIRTHS)
    body = checkpoint.encode(7, line.state)[len(checkpoint.MAGIC) + 32 :]
    header, arrays = msgspec.msgpack.decode(body)
    del header["edge_nodes"]
    body = msgspec.msgpack.encode((header, arrays))
    old = checkpoint.decode(checkpoint.MAGIC + hashlib.sha256(body).digest() + body)
    assert (old.position, old.state.edge_nodes) == (7, {})
    assert old.state.classes[0].keys == [DEVICE]


def test_a_last_will_of_the_edge_node_makes_its_devices_stale_and_data_brings_them_back() -> None:
    line = Line(pumps()).listen()
    line.send(0, *BIRTHS)
    line.send(1000, data(2, 50.0, 1000))
    line.send(2000, message("NDEATH", None, metric("bdSeq", 1, kind=8), at=2000))
    line.wait(2500)
    assert line.told() == [(DEVICE, "stale", "fired")]
    line.send(4000, *(msgspec.structs.replace(each, arrival=START + 4000) for each in BIRTHS))
    line.send(5000, data(2, 50.0, 5000))
    line.wait(6000)
    assert line.told() == [(DEVICE, "stale", "fired"), (DEVICE, "stale", "cleared")]


def test_a_birth_that_never_comes_is_asked_for_once_a_minute() -> None:
    line = Line(pumps()).listen()
    for second in range(130):
        line.send(second * 1000, data(second % 256, 50.0, second * 1000))
    asked = [(second, topic) for second, result in enumerate(line.results[1:]) for topic, _ in result.requests]
    assert asked == [(second, "spBv1.0/plant/NCMD/hall") for second in (0, 60, 120)]
    reason = "data before a birth certificate: may mqtt.username publish to spBv1.0/plant/NCMD/hall?"
    assert {letter.reason for letter in line.dead_letters} == {reason}
    assert len(line.dead_letters) == 130


def test_the_request_is_the_one_of_the_specification() -> None:
    """As the Tahu project's own schema writes it."""
    expected = "08c08898ffbc31121a0a144e6f646520436f6e74726f6c2f52656269727468200b7001"
    assert encode_rebirth(START).hex() == expected


def test_numbers_go_round_after_255_and_a_gap_is_asked_about() -> None:
    decoder, memory = Decoder([ROUTE], root="r"), {}  # type: tuple[Decoder, Memory]
    assert decoder.decode(BIRTHS, memory).requests == []
    for number in range(2, 300):
        assert decoder.decode([data(number % 256, 1.0, number)], memory).requests == []
    gap = decoder.decode([data(300 % 256 + 1, 1.0, 300)], memory)
    assert [topic for topic, _ in gap.requests] == ["spBv1.0/plant/NCMD/hall"]
    assert len(gap.readings[0].streams) == 1, "what came is used all the same"


def test_a_node_of_which_nothing_is_watched_is_left_alone() -> None:
    decoder, memory = Decoder([replace(ROUTE, assets=("*/other",))], root="r"), {}  # type: tuple[Decoder, Memory]
    decoded = decoder.decode([data(9, 1.0, 0), message("NDATA", 77, at=1)], memory)
    assert decoded.requests == []


def test_a_birth_too_large_to_remember_is_refused() -> None:
    metrics = [metric(f"m{number}", 1.0, kind=DOUBLE) for number in range(MOST_METRICS + 1)]
    memory: Memory = {}
    decoded = Decoder([ROUTE], root="r").decode([BIRTHS[0], message("DBIRTH", 1, *metrics)], memory)
    assert [letter.reason for letter in decoded.dead_letters] == ["a birth certificate of more than 10000 metrics"]
    assert not memory["spBv1.0/plant/hall"].devices


def test_a_node_of_more_devices_than_can_be_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that are known go on, also when they are born again."""
    monkeypatch.setattr("monitor.payloads.sparkplug.MOST_DEVICES", 1)
    decoder, memory = Decoder([ROUTE], root="r"), {}  # type: tuple[Decoder, Memory]
    other = message("DBIRTH", 2, metric("load", 1.0, kind=DOUBLE), device="fan")
    decoded = decoder.decode([*BIRTHS, other, msgspec.structs.replace(BIRTHS[1], arrival=START + 1)], memory)
    assert [letter.reason for letter in decoded.dead_letters] == ["more than 1 devices of an edge node"]
    assert list(memory["spBv1.0/plant/hall"].devices) == ["pump"]
    assert decoded.readings[0].streams == [DEVICE, DEVICE]


def test_a_metric_that_changes_its_type_is_refused_as_long_as_it_is_no_number() -> None:
    """Of a new birth; the other metric goes on, and so does this one when it is a number again."""
    decoder, memory = Decoder([ROUTE], root="r"), {}  # type: tuple[Decoder, Memory]
    decoder.decode(BIRTHS, memory)
    as_text = message(
        "DBIRTH", 2, metric("load", "low", alias=1, kind=12), metric("flow", 7.0, alias=2, kind=DOUBLE)
    )
    as_number = message(
        "DBIRTH", 4, metric("load", 3, alias=1, kind=INT32), metric("flow", 8.0, alias=2, kind=DOUBLE)
    )
    changed = message("DDATA", 3, metric(value="high", alias=1), metric(value=7.5, alias=2), at=1)
    back = message("DDATA", 5, metric(value=4, alias=1), at=2)
    decoded = decoder.decode([as_text, changed, as_number, back], memory)
    reason = "load: expected a number, got text"
    assert [letter.reason for letter in decoded.dead_letters] == [reason, reason]
    assert decoded.requests == []
    nan = math.nan
    expected = [[nan, 7.0], [nan, 7.5], [3.0, 8.0], [4.0, nan]]
    np.testing.assert_array_equal(decoded.readings[0].values, np.array(expected, np.float32))


def test_metrics_that_are_left_out_are_counted() -> None:
    decoder, memory = Decoder([replace(ROUTE, ignore=("Diag/*",))], root="r"), {}  # type: tuple[Decoder, Memory]
    born = message(
        "DBIRTH", 1, metric("load", 1.0, alias=1, kind=DOUBLE), metric("Diag/cpu", 9, alias=2, kind=INT32)
    )
    more = message("DDATA", 2, metric(value=8, alias=2), at=1)
    decoded = decoder.decode([BIRTHS[0], born, more], memory)
    assert (decoded.dead_letters, decoded.ignored) == ([], 2)
    assert decoded.readings[0].values[:, 0].tolist() == [1.0]


def test_what_is_subscribed_with_a_template() -> None:
    """Neither commands nor what other hosts say."""
    assert beside_templates(TEMPLATE) == [
        "spBv1.0/{site}/DBIRTH/{area}/{asset}",
        "spBv1.0/{site}/DDEATH/{area}/{asset}",
        "spBv1.0/{site}/NBIRTH/{area}",
        "spBv1.0/{site}/NDATA/{area}",
        "spBv1.0/{site}/NDEATH/{area}",
    ]


SIGNED = [(1, 7), (2, 15), (INT32, 31), (INT64, 63)]
UNSIGNED = [(5, 8), (6, 16), (7, 32), (8, 64)]
TYPES = [(kind, -(1 << bits), (1 << bits) - 1) for kind, bits in SIGNED]
TYPES += [(kind, 0, (1 << bits) - 1) for kind, bits in UNSIGNED]


@pytest.mark.parametrize(("kind", "low", "high"), TYPES)
@FAST
@given(share=st.floats(0, 1))
def test_integers_of_every_type_come_back(kind: int, low: int, high: int, share: float) -> None:
    for value in (low, high, min(high, low + int(share * (high - low)))):
        (found,) = decode_payload(encode_payload(START, 0, [metric("m", value, kind=kind)])).metrics
        assert isinstance(found.value, int)
        assert signed(found.value, kind) == value


METRICS = st.builds(
    Metric,
    name=st.sampled_from(["", "load", "flow", "bdSeq", "Node Control/Rebirth", "other"]),
    alias=st.none() | st.integers(0, 4),
    time=st.none() | st.sampled_from([START, START + 1000, 0, 1 << 63]),
    datatype=st.integers(0, 13),
    value=st.none() | st.booleans() | st.text(max_size=3) | st.floats() | st.integers(0, 100),
    null=st.booleans(),
)
MESSAGES = st.builds(
    lambda kind, seq, metrics, at, device: message(kind, seq, *metrics, at=at, device=device),
    st.sampled_from(["NBIRTH", "DBIRTH", "NDATA", "DDATA", "NDEATH", "DDEATH"]),
    st.none() | st.integers(0, 300),
    st.lists(METRICS, max_size=4),
    st.sampled_from([0, 1000, 70_000]),
    st.sampled_from(["pump", "fan"]),
)
BYTES = st.builds(
    lambda kind, payload: msgspec.structs.replace(message(kind, 0), payload=payload, size=len(payload)),
    st.sampled_from(["NBIRTH", "DBIRTH", "DDATA", "NDEATH"]),
    st.binary(max_size=60),
)


@FAST
@given(sent=st.lists(MESSAGES | BYTES, max_size=12))
def test_no_messages_crash_it_and_a_batch_is_the_same_as_one_by_one(sent: list[Message]) -> None:
    whole: Memory = {}
    parts: Memory = {}
    route = replace(ROUTE, assets=("*/pump",))
    together = Decoder([route], root="r").decode(sent, whole)
    decoder = Decoder([route], root="r")
    apart = [decoder.decode([each], parts) for each in sent]
    assert whole == parts
    assert together.requests == [request for one in apart for request in one.requests]
    assert together.reports == [report for one in apart for report in one.reports]
    assert together.readings[0].time.tolist() == [time for one in apart for time in one.readings[0].time.tolist()]
    reasons = sorted(letter.reason for one in apart for letter in one.dead_letters)
    assert sorted(letter.reason for letter in together.dead_letters) == reasons
