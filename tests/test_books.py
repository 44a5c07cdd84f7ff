"""The books: every value that was sent has exactly one outcome, or waits; and nothing waits for ever."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from monitor.records import Batch, Message, Outcome, Status
from tests.line_samples import FAST, Line, journals, quick, shipped, telemetry

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn

    from monitor.records import Payload

Sent = tuple[Message, int]  # and how many values it stands for


def broken(payload: bytes, arrival: int, topic: bytes = b"enginewatch/v1/plant/a/telemetry") -> Message:
    return Message(topic, payload, telemetry("a", arrival, {}).arrival, len(payload))


@st.composite
def mixtures(draw: DrawFn) -> list[tuple[int, list[Sent]]]:
    """Batches of good, spoilt, late, future and repeated messages of three pumps, with their arrival."""
    now = 0
    batches: list[tuple[int, list[Sent]]] = []
    sent: list[Sent] = []
    for _ in range(draw(st.integers(1, 15))):
        now += draw(st.sampled_from([0, 50, 500, 1000, 3000, 40_000]))
        batch: list[Sent] = []
        for _ in range(draw(st.integers(0, 4))):
            kind = draw(st.sampled_from(["good", "good", "part", "bad value", "refused", "repeat"]))
            time = now - draw(st.sampled_from([0, 0, 300, 1000, 2500, 60_000, -4000, -90_000]))
            asset = draw(st.sampled_from(["a", "b", "c", "d"]))  # one too many
            if kind == "good":
                batch.append((telemetry(asset, time, {"load": 50.0, "flow": 110.0}, arrival=now), 2))
            elif kind == "part":
                batch.append((telemetry(asset, time, {"flow": float(now)}, arrival=now), 1))
            elif kind == "bad value":
                values = {"load": 1e39, "rpm": 3.0, "flow": 1.0}
                batch.append((telemetry(asset, time, values, arrival=now), 3))
            elif kind == "refused":
                batch.append((broken(draw(st.binary(max_size=4)), now), 1))
            elif sent:
                message, values_in = draw(st.sampled_from(sent))
                batch.append((msgspec.structs.replace(message, arrival=broken(b"", now).arrival), values_in))
        sent += batch
        batches.append((now, batch))
    return batches


@FAST
@given(batches=mixtures(), stride=st.integers(1, 3), early=st.booleans())
def test_every_value_sent_has_one_outcome_or_waits(
    batches: list[tuple[int, list[Sent]]], stride: int, early: bool
) -> None:
    """After every record; and when all has been silent for long enough, with a row a tick, nothing waits."""
    spec = quick(shipped())
    spec = replace(
        spec,
        align=replace(spec.align, one_reading_per_tick=early),
        window=replace(spec.window, stride=stride),
    )
    line = Line(spec, max_streams=3).listen()
    values = 0
    for now, batch in batches:
        line.send(now, *(message for message, _ in batch))
        values += sum(count for _, count in batch)
        assert int(line.state.outcomes.sum()) + line.state.waiting_values() == values
    line.wait(10**7)
    assert int(line.state.outcomes.sum()) + line.state.waiting_values() == values
    if stride == 1:
        assert line.state.waiting_values() == 0


def test_each_outcome_by_hand() -> None:
    """One message for each, so that no outcome hides behind another."""
    line = Line(quick(shipped())).listen()
    line.send(0, telemetry("a", 0, {"load": 1.0, "flow": 2.0}))  # in a row
    line.send(100, telemetry("a", 0, {"load": 1.0}, arrival=100))  # a duplicate
    line.send(200, telemetry("a", 100, {"load": 3.0}, arrival=200))  # supersedes the first load
    line.send(300, telemetry("a", 60_000, {"load": 1.0, "flow": 2.0}, arrival=300))  # of the future
    line.send(400, telemetry("a", 400, {"rpm": 1.0}))  # an unknown sensor
    line.send(500, broken(b"{", 500), broken(b"{}", 500, b"\xff"))  # not decoded
    line.wait(5000)
    line.send(6000, telemetry("a", 900, {"flow": 9.0}, arrival=6000))  # late
    assert {outcome.name: int(line.state.outcomes[outcome]) for outcome in Outcome} == {
        "IN_ROW": 2,
        "SUPERSEDED": 1,
        "DUPLICATE": 1,
        "LATE": 1,
        "QUARANTINED": 2,
        "DEAD_LETTER": 3,
        "IGNORED": 0,
    }
    assert line.state.waiting_values() == 0


@FAST
@given(journal=journals())
def test_the_books_add_up_after_every_record(journal: list[tuple[int, Payload]]) -> None:
    """Also through changes of the line and while the broker cannot be heard."""
    line = Line()
    sent = 0
    for time, payload in journal:
        line.take(time, payload)
        if isinstance(payload, Batch):
            payloads = [message.payload for message in payload.messages if message.topic.endswith(b"telemetry")]
            sent += sum(each.count(name) for each in payloads for name in (b'"load"', b'"flow"'))
        assert int(line.state.outcomes.sum()) + line.state.waiting_values() == sent
    rows = [batch.rows for batch in line.batches]
    # A row is of one tick here, and shows all that was reported in it, whatever the model was shown.
    shown = sum(int(np.count_nonzero(~np.isnan(row.actual))) for row in rows)
    assert shown == line.state.outcomes[Outcome.IN_ROW]
    counted = sum((np.bincount(row.status, minlength=len(Status)) for row in rows), np.zeros(len(Status), int))
    assert line.state.rows.tolist() == counted.tolist()
    for key in ("plant//a", "plant//b", "plant//c"):
        times = [time for time, *_ in line.rows(key)]
        assert times == sorted(set(times)), "a tick has one row"
