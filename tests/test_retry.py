"""Which dead letters go through again, and what their values come to."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

from monitor.decode import KEPT_PAYLOAD
from monitor.payloads.sparkplug_schema import DOUBLE
from monitor.records import Change, DeadLetter, Outcome
from monitor.retry import again
from tests.line_samples import START, Line, pump, quick, shipped, spec_of, telemetry
from tests.sparkplug_samples import BIRTHS, data, message, metric, pumps

if TYPE_CHECKING:
    from monitor.spec import ClassSpec


def refusing() -> Line:
    """A line that takes only assets of another site."""
    return Line(quick(shipped(assets="hall/*"))).listen()


def taking() -> ClassSpec:
    return quick(shipped())


def letters(line: Line) -> list[tuple[int, DeadLetter]]:
    return list(enumerate(line.dead_letters, start=7))


def test_after_a_mended_setting_every_value_has_its_row() -> None:
    line = refusing()
    for second in range(6):
        line.send(1000 * second, telemetry("a", 1000 * second, pump(50 + second)))
    assert again(line.state, letters(line)).messages == []
    kept = letters(line)
    line.take(60_000, Change(line=spec_of(taking())))
    found = again(line.state, kept)
    assert (found.letters, found.values, found.refused, found.reason) == (list(range(7, 13)), 12, 0, "")
    line.send(61_000, *found.messages)
    line.wait(70_000)
    assert [time for time, *_ in line.rows("plant//a")] == list(range(6))
    assert line.state.outcomes.tolist() == [12, 0, 0, 0, 0, 6, 0]


def test_a_message_with_two_bad_values_goes_once_and_what_was_good_is_no_new_value() -> None:
    """Both of its letters are through with it; the tick has its row already, so the values are late."""
    line = Line(taking()).listen()
    line.send(0, telemetry("a", 0, {"load": 1.0, "Flow": 2.0, "x": 3.0}))
    line.send(10_000, telemetry("a", 10_000, pump(50)))
    kept = letters(line)
    assert again(line.state, kept).refused == 2
    state = line.state
    message = telemetry("a", 0, {"load": 1.0, "flow": 2.0})
    mended = [(number, DeadLetter(each.time, each.topic, message.payload, each.reason)) for number, each in kept]
    found = again(state, mended)
    assert (len(found.messages), found.letters, found.values) == (1, [7, 8], 2)
    assert found.messages[0].arrival == START + 10_000  # when it was heard last: it is not heard now
    line.send(11_000, *found.messages)
    assert line.state.outcomes[Outcome.DUPLICATE] + line.state.outcomes[Outcome.LATE] == 2
    assert line.state.classes[0].align.last_arrival[0] == START + 10_000


def test_what_is_no_whole_message_stays() -> None:
    """What was cut, what was never a message, and what stands for no value."""
    line = Line(taking()).listen()
    topic = telemetry("a", 0, {}).topic.decode()
    good = telemetry("a", 0, pump(50)).payload
    kept = [
        DeadLetter(START, topic, good.ljust(KEPT_PAYLOAD), "cut, perhaps"),
        DeadLetter(START, "plant//a", b"", "more assets than daemon.max_streams (1)"),
        DeadLetter(START, "influx", b"anomaly value=1", "refused by InfluxDB", 0),
    ]
    found = again(line.state, list(enumerate(kept)))
    assert (found.messages, found.letters, found.kept_in_part, found.refused) == ([], [], 3, 0)


def test_what_has_no_time_of_its_own_stays() -> None:
    """Its reading's time was its arrival, and that is over; a status is no reading at all."""
    line = Line(taking()).listen()
    topic = telemetry("a", 0, {}).topic.decode()
    status = DeadLetter(START, topic.replace("telemetry", "status"), b'{"online":true}', "status: broken then")
    found = again(line.state, [(1, status)])
    assert (found.refused, found.reason) == (1, "it holds no reading")


def test_what_an_edge_node_sent_stays() -> None:
    """Nothing of it can be read without its births, and newer ones may mean something else by its aliases.

    Not even a birth goes through again: it would take the place of the newer one.
    """
    line = Line(pumps()).listen()
    line.send(0, data(7, 50.0, 0))
    line.send(1000, BIRTHS[0], message("DBIRTH", 1, metric("load", 50.0, alias=1, kind=DOUBLE), metric("x", 1.0)))
    kept = letters(line)
    assert [letter.reason.partition(":")[0] for _, letter in kept] == [
        "data before a birth certificate",
        "unknown sensor x",
    ]
    known = deepcopy(line.state.edge_nodes)
    found = again(line.state, kept)
    assert (found.messages, found.letters, found.refused) == ([], [], 2)
    assert found.reason == "Sparkplug B is read by the births before it, and they are over"
    assert line.state.edge_nodes == known
