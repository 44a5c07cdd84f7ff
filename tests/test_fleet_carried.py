"""A state cut into shards and put together again means what it meant; the parts go on as the whole would have."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor import checkpoint
from monitor.fleet.carried import CarriedError, merge, places_of, split
from monitor.fleet.place import place_of, place_of_stream, places
from monitor.maintenance import Plan
from monitor.moves import alone
from monitor.payloads.sparkplug_memory import Device, EdgeNode
from monitor.pipeline import step
from monitor.records import Batch, Message, Record, StepResult
from monitor.spec import LineSpec
from monitor.state import STAGES, LineState
from tests.line_samples import MODELS, ROOT, START, Line, journals, pump, shipped, telemetry

if TYPE_CHECKING:
    from collections.abc import Iterable

    from monitor.decode import ClassRoute
    from monitor.records import Payload

SHARDS = (3, 5)


def of(key: str) -> int:
    """The second pump has a shard of its own."""
    return SHARDS[key.endswith("b")]


def in_order(state: LineState) -> bytes:
    """A checkpoint of the state with the streams, plans and edge nodes by name."""
    classes = [alone(each, [each.number[key] for key in sorted(each.keys)]) for each in state.classes]
    plans, nodes = sorted(state.plans.items()), sorted(state.edge_nodes.items())
    return checkpoint.encode(1, replace(state, classes=classes, plans=dict(plans), edge_nodes=dict(nodes)))


def kept_apart(payload: Payload, shard: int) -> Payload:
    """What of a record is for a shard."""
    if not isinstance(payload, Batch):
        return payload
    return Batch([each for each in payload.messages if of(each.topic.rpartition(b"/")[0].decode()) == shard])


def not_ahead(payload: Payload) -> Payload:
    """Without the third pump's readings of the future: else most streams were ahead, as the whole sees it."""

    def ahead(message: Message) -> bool:
        return b"/c/" in message.topic and msgspec.json.decode(message.payload).get("ts", 0) > message.arrival

    return Batch([each for each in payload.messages if not ahead(each)]) if isinstance(payload, Batch) else payload


def told(results: Iterable[StepResult]) -> list[list[str]]:
    """Everything that came out, each thing for itself, in an order that does not depend on the streams'."""
    found: list[list[str]] = [[], [], [], [], []]
    for result in results:
        for batch in result.scores:
            for row, stream in enumerate(batch.streams):
                names = [f.name for f in fields(batch.rows) if f.name != "stream"]
                columns = [getattr(batch.rows, name)[row].tolist() for name in names]
                found[0].append(repr((stream, int(batch.time[row]), columns)))
        found[1] += map(repr, result.events)
        found[2] += map(repr, result.dead_letters)
        found[3] += map(repr, result.drifts)
        for each in result.stretches:
            times = each.start.tolist(), each.end.tolist()
            found[4] += map(repr, zip(each.streams, *times, each.status, each.regime, strict=True))
    return [sorted(each) for each in found]


@settings(max_examples=20)
@given(journal=journals(), cut=st.integers(0, 30))
def test_cut_at_any_record_the_shards_go_on_as_the_whole(journal: list[tuple[int, Payload]], cut: int) -> None:
    """The same rows, events and dead letters bit for bit, and together the same checkpoint: before and after."""
    records = [
        Record(number, START + time, not_ahead(payload)) for number, (time, payload) in enumerate(journal, start=1)
    ]
    whole = LineState.empty(LineSpec(ROOT, 100, ()))
    for record in records[:cut]:
        step(whole, record, MODELS)
    before = in_order(whole)
    parts = split(whole, of, SHARDS)
    assert in_order(merge(list(split(whole, of, SHARDS).values()))) == before
    found, wanted = [], []
    for record in records[cut:]:
        found += [
            step(part, replace(record, payload=kept_apart(record.payload, shard)), MODELS)
            for shard, part in parts.items()
        ]
    assert in_order(whole) == before, "the parts share nothing with the whole"
    wanted += [step(whole, record, MODELS) for record in records[cut:]]
    assert told(found) == told(wanted)
    assert all(of(key) == shard for shard, part in parts.items() for each in part.classes for key in each.keys)
    assert in_order(merge(list(parts.values()))) == in_order(whole)


def warmed_up() -> Line:
    line = Line(shipped(), shipped("others", assets="never/*")).listen()
    for second in range(30):
        line.send(1000 * second, *(telemetry(each, 1000 * second, pump(50 + second % 7)) for each in "abc"))
    return line


def test_what_belongs_to_no_stream_is_where_it_does_no_harm() -> None:
    """Books to the first, a plan to its asset, also of one that was not heard; commands and edge nodes to all."""
    line = warmed_up()
    line.state.obeyed = ["c1", "c2"]
    line.state.plans = {"plant//b": Plan(0, 9), "plant//zb": Plan(0, 8), "plant//a": Plan(0, 7)}
    line.state.edge_nodes = {"spBv1.0/g/n": EdgeNode(7, born=True, devices={"d": Device({1: "load"})})}
    assert sorted(places_of(line.state)) == ["plant//a", "plant//b", "plant//c", "plant//zb"]
    first, second = split(line.state, of, SHARDS).values()
    assert first.rows.tolist() == line.state.rows.tolist()
    assert line.state.rows.sum() > second.rows.sum() == second.outcomes.sum() == 0
    assert (list(first.plans), list(second.plans)) == (["plant//a"], ["plant//b", "plant//zb"])
    assert first.obeyed == second.obeyed == ["c1", "c2"]
    assert first.edge_nodes == second.edge_nodes == line.state.edge_nodes
    second.edge_nodes["spBv1.0/g/n"].devices["d"].aliases[2] = "flow"
    second.plans["plant//b"].until = 10
    assert first.edge_nodes == line.state.edge_nodes
    assert line.state.plans["plant//b"].until == 9
    assert first.listening_since == second.listening_since == START


def test_no_two_parts_share_an_array() -> None:
    """Else a shard would change what another one remembers."""
    whole = warmed_up().state
    states = [whole, *split(whole, of, SHARDS).values()]
    arrays = [
        (number, getattr(getattr(each, stage), f.name))
        for number, state in enumerate(states)
        for each in state.classes
        for stage in STAGES
        for f in fields(getattr(each, stage))
    ] + [(number, books) for number, state in enumerate(states) for books in (state.outcomes, state.rows)]
    assert not any(
        np.shares_memory(one, other) for mine, one in arrays for theirs, other in arrays if mine < theirs
    )


def test_of_parts_that_went_on_the_latest_holds() -> None:
    """Who listened last says who may be silent; an edge node on which two disagree is asked for its birth anew."""
    line = warmed_up()
    line.state.edge_nodes = {"spBv1.0/g/n": EdgeNode(7, born=True), "spBv1.0/g/m": EdgeNode(8, born=True)}
    first, second = split(line.state, of, SHARDS).values()
    first.listening_since, second.listening_since, second.swept_at = None, START + 5, START + 99_000
    first.obeyed, second.obeyed = ["c1", "c2"], ["c1", "c3"]
    first.edge_nodes["spBv1.0/g/n"].seq = 9
    second.edge_nodes["spBv1.0/g/new"] = EdgeNode(1, born=True)
    merged = merge([first, second])
    assert (merged.listening_since, merged.swept_at) == (START + 5, START + 99_000)
    assert merged.obeyed == ["c1", "c2", "c3"]
    assert sorted(merged.edge_nodes) == ["spBv1.0/g/m", "spBv1.0/g/new"]


def route(*topics: str) -> ClassRoute:
    return replace(shipped().route, topics=topics)


PLAIN, AREAS, EDGE = (
    "{root}/v1/{site}/{asset}/telemetry",
    "plant/{site}/{area}/{asset}",
    "spBv1.0/{site}/DDATA/{area}/{asset}",
)


@pytest.mark.parametrize(
    ("topics", "key", "topic", "place"),
    [
        ([PLAIN], "s//a", "enginewatch/v1/s/a/status", "s/a"),
        ([PLAIN, AREAS], "s/b/a", "plant/s/b/a", "s/b/a"),
        ([PLAIN, AREAS], "s//a", "enginewatch/v1/s/a/telemetry", "s/a"),
        (["x/{asset}/{sensor}"], "//a", "x/a/load", "a"),
        ([EDGE], "g/n/d", "spBv1.0/g/NBIRTH/n", "g/n"),
        (["hub/{site}/data"], "s//a", "hub/s/data", "hub/s/data"),
    ],
)
def test_an_asset_is_where_its_messages_go(topics: list[str], key: str, topic: str, place: str) -> None:
    """All that is said of it: readings, statuses, and of Sparkplug its edge node's births."""
    known = places([route(*topics)], "enginewatch")
    assert place_of(topic, known) == place
    assert place_of_stream(key, route(*topics), "enginewatch", known) == place


@pytest.mark.parametrize("topics", [[PLAIN, "hub/{site}/data"], ["hub/{sensor}"], [AREAS]])
def test_a_name_that_does_not_tell_the_topic_is_refused(topics: list[str]) -> None:
    """Else its messages would go to one shard, and its state to another."""
    with pytest.raises(ValueError, match="s//a does not say by which of the topics"):
        place_of_stream("s//a", route(*topics), "enginewatch", places([route(*topics)], "enginewatch"))


def test_what_is_not_of_one_line_is_not_put_together() -> None:
    first, second = split(warmed_up().state, of, SHARDS).values()
    with pytest.raises(CarriedError, match=r"plant//a is known in two shards"):
        merge([first, second, first])
    second.spec = replace(second.spec, max_streams=7)
    with pytest.raises(CarriedError, match="different settings"):
        merge([first, second])
