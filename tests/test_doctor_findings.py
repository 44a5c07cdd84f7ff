"""The doctor's findings from facts: what each means, and what to change."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from monitor.doctor import findings
from monitor.doctor.facts import (
    BrokerFacts,
    DaemonFacts,
    Finding,
    InfluxFacts,
    LineFacts,
    ModelFacts,
    OutOfRange,
    State,
    StoreFacts,
    StreamTimes,
)
from monitor.doctor.trial import run
from monitor.records import Message, Status
from monitor.spec import LineSpec
from tests.line_samples import ROOT, START, pump, shipped, telemetry

GIB = 1 << 30
OUTCOMES = dict.fromkeys(("in_row", "superseded", "duplicate", "late", "quarantined", "dead_letter", "ignored"), 0)
BROKER = BrokerFacts("host:1883", connected=True, filters=("a/+", "b/+"), waited_s=10.0)
MESSAGE = Message(b"a/x", b"{}", START, 2)
SPEC = LineSpec(ROOT, 100, (shipped(),))


def line(**outcomes: int) -> LineFacts:
    """Facts of one stream at 1 Hz whose clock is right."""
    stream = StreamTimes("plant//a", "pumps", 0.0, 1000.0)
    return LineFacts(OUTCOMES | outcomes, 0, 5, (), (stream,), {"pumps": 1000}, 5000)


def skewed(*seconds: float) -> LineFacts:
    streams = [StreamTimes(f"plant//p{n}", "pumps", 1000 * each, 1000.0) for n, each in enumerate(seconds)]
    return replace(line(in_row=5), streams=tuple(streams))


def books(values: int, scored: int) -> dict[str, Any]:
    """A daemon's books after so many values."""
    rows = dict.fromkeys((status.name.lower() for status in Status), 0) | {"scored": scored}
    return {
        "outcomes": OUTCOMES | {"in_row": values}, "waiting": 0, "refused": None, "heard": 1, "warmest": [5, 60],
        "rows": rows, "learning": {},
    }  # fmt: skip


CASES = [
    (findings.model([ModelFacts("pumps", "m1")]), State.OK, "m1 scored one window"),
    (findings.model([ModelFacts("pumps", "m1", problem="gone")]), State.FAILED, "class pumps: gone"),
    (findings.model([ModelFacts("pumps", "m1", finite=False)]), State.FAILED, "gives no number"),
    (findings.model([ModelFacts("pumps")]), State.WARNING, "no model for class pumps"),
    (findings.connect(replace(BROKER, connected=False, problem="nobody listens")), State.FAILED, "nobody listens"),
    (findings.subscribe(replace(BROKER, refused=("b/+",))), State.FAILED, "refuses the subscription to b/+"),
    (findings.subscribe(BROKER), State.OK, "a/+, b/+"),
    (findings.first_message(replace(BROKER, messages=(MESSAGE,), fresh=1)), State.OK, "1 message in 10 s"),
    (findings.first_message(replace(BROKER, messages=(MESSAGE,))), State.FAILED, "nothing for 10 s"),  # beside
    (findings.first_message(BROKER), State.FAILED, "nothing for 10 s on a/+, b/+"),
    (findings.first_message(replace(BROKER, messages=(MESSAGE,), retained=1)), State.FAILED, "1 retained message"),
    (findings.first_message(replace(BROKER, elsewhere=("c/x",))), State.FAILED, "there is something on c/x"),
    (findings.decode(line(in_row=4)), State.OK, "4 values of 1 asset taken"),
    (findings.decode(line(in_row=4, dead_letter=1)), State.WARNING, "4 values of 1 asset taken, 1 refused"),
    (findings.decode(line(dead_letter=1)), State.FAILED, "0 values"),
    (findings.decode(line(in_row=4, ignored=2)), State.OK, "4 values of 1 asset taken, 2 ignored"),
    (findings.decode(line(ignored=2)), State.FAILED, "0 values of 1 asset taken, 2 ignored"),
    (findings.tick(line(ignored=2)), State.SKIPPED, "no reading was taken"),
    (
        findings.decode(replace(line(dead_letter=1), letters=(("spBv1.0/a", f"{findings.NO_BIRTH}: may …"),))),
        State.WARNING, "data before a birth certificate",
    ),
    (findings.tick(line(in_row=4)), State.OK, "5 ticks closed"),
    (findings.tick(line(in_row=4, superseded=4)), State.WARNING, "4 of 8 values give way"),
    (findings.tick(replace(line(in_row=4), periods={"pumps": 500})), State.FAILED, "1 s, and a tick is 0.5"),
    (
        findings.tick(replace(line(in_row=4), periods={"pumps": 500}, holds={"pumps": 500})),
        State.WARNING, "1 s, and a tick is 0.5",
    ),
    (findings.first_message(replace(BROKER, fresh=2, silent=("fans",))), State.FAILED, "none of class fans"),
    (
        findings.decode(replace(line(in_row=4, dead_letter=1), unread=("fans",))),
        State.FAILED, "nothing of class fans can be read",
    ),
    (
        findings.decode(replace(line(in_row=4), outside=(OutOfRange("pumps", "load", 700, 800, 0, 100),))),
        State.FAILED, "every value of load of class pumps lies at 700 to 800, out of its range 0 to 100",
    ),
    (
        findings.decode(replace(line(dead_letter=2), letters=(("a", "ts 17 is not x"), ("b", "ts 18 is not x")))),
        State.FAILED, "2 refused: ts 17 is not x (on a)",
    ),
    (findings.tick(replace(line(late=4), ticks=0)), State.WARNING, "no tick has closed yet"),
    (findings.tick(line(dead_letter=4)), State.SKIPPED, "no reading was taken"),
    (findings.score(DaemonFacts(running=False)), State.SKIPPED, "no daemon runs"),
    (findings.score(DaemonFacts(running=True)), State.WARNING, "has noted nothing yet"),
    (
        findings.score(DaemonFacts(True, books(10, 3), books(20, 8), "connected", waited_s=5.0)),
        State.OK, "5 rows scored in 5 s, 8 since the daemon's beginning",
    ),
    (
        findings.score(DaemonFacts(True, books(10, 0), books(20, 0), "connected", ("a/+",), waited_s=5.0)),
        State.WARNING, "warming up: 5/60 ticks",
    ),
    (
        findings.score(DaemonFacts(True, books(10, 3), books(10, 3), "connected", ("a/+",), waited_s=5.0)),
        State.FAILED, "0 readings for 5 s on a/+",
    ),
    (
        findings.score(DaemonFacts(True, books(10, 3), books(10, 3), "nobody listens", waited_s=5.0)),
        State.FAILED, "not connected to the broker: nobody listens",
    ),
    (findings.store(StoreFacts("state", free=30 * GIB, used=GIB, budget=24 * GIB)), State.OK, "30.0 GiB free"),
    (findings.store(StoreFacts("state", free=20 * GIB, budget=24 * GIB)), State.WARNING, "allow 24.0 GiB"),
    (findings.store(StoreFacts("state", free=20 * GIB, used=4 * GIB, budget=24 * GIB)), State.OK, "4.0 GiB used"),
    (findings.store(StoreFacts("state", free=1 << 20, budget=1)), State.FAILED, "1.0 MiB free"),
    (findings.store(StoreFacts("state", "Permission denied")), State.FAILED, "state: Permission denied"),
    (findings.influx(InfluxFacts()), State.SKIPPED, "influx.url is empty"),
    (findings.influx(InfluxFacts("u", "b")), State.OK, "a point was written to b and read back"),
    (findings.influx(InfluxFacts("u", "b", write_problem="no token")), State.FAILED, "no token"),
    (findings.influx(InfluxFacts("u", "b", "", "404", no_query_api=True)), State.WARNING, "no InfluxQL query"),
    (findings.influx(InfluxFacts("u", "b", "", "401 no")), State.FAILED, "not read back: 401 no"),
    (findings.limits(BROKER), State.SKIPPED, "does not tell what it drops"),
    (findings.limits(replace(BROKER, is_mosquitto=True)), State.OK, "tells of no dropped message"),
    (findings.limits(replace(BROKER, dropped=(0, 0))), State.OK, "dropped nothing"),
    (findings.limits(replace(BROKER, dropped=(7,))), State.WARNING, "dropped 7 messages since it started"),
    (findings.limits(replace(BROKER, dropped=(7, 9), receive_maximum=20)), State.FAILED, "2 more in 10 s, 9"),
    (findings.clock(skewed(0.1, -0.4)), State.OK, "at most 0.4 s from this host's (plant//p1)"),
    (findings.clock(skewed(0.1, 90)), State.FAILED, "the times of plant//p1 lie up to 90 s ahead"),
    (findings.clock(skewed(0.1, -90)), State.WARNING, "the times of plant//p1 lie 90 s behind"),
    (findings.clock(replace(line(), streams=())), State.SKIPPED, "no message"),
]  # fmt: skip


@pytest.mark.parametrize(("found", "state", "said"), CASES, ids=lambda value: getattr(value, "said", "")[:40])
def test_what_facts_mean(found: Finding, state: State, said: str) -> None:
    assert found.state is state, found
    assert said in found.said
    if state is State.FAILED and found.hop in {"first message", "decode", "store", "limits", "clock"}:
        assert found.remedy


def test_most_clocks_ahead_is_this_hosts_fault() -> None:
    assert "this host's clock (NTP)" in findings.clock(skewed(90, 91, 89, 0)).remedy
    assert "the publisher's clock (NTP)" in findings.clock(skewed(90, 0, 0)).remedy


def test_exit_codes() -> None:
    ok, warning, failed = (Finding("x", state, "") for state in (State.OK, State.WARNING, State.FAILED))
    assert findings.exit_code([ok, warning]) == 0
    assert findings.exit_code([ok, failed]) == 1
    assert findings.exit_code([Finding("settings", State.FAILED, ""), ok]) == 2


def test_the_trial_takes_messages_through_the_real_line() -> None:
    """Ten seconds of one pump at 1 Hz, one message refused; its clock is 3 s ahead, as far as is tolerated."""
    messages = [telemetry("a", 1000 * second + 3000, pump(50), arrival=1000 * second) for second in range(10)]
    messages.append(telemetry("a", 12_000, {"Load": 1.0}, arrival=9_500))
    facts = run(SPEC, messages, START + 60_000)
    assert facts.outcomes == OUTCOMES | {"in_row": 20, "dead_letter": 1}
    assert (facts.waiting, facts.ticks) == (0, 10)
    assert facts.letters == (("enginewatch/v1/plant/a/telemetry", "unknown sensor Load"),)
    assert facts.streams == (StreamTimes("plant//a", "pumps", 3000.0, 1000.0),)


def test_values_that_are_all_out_of_their_range_are_told_and_one_that_is_not_excuses_the_sensor() -> None:
    """A load of 0 to 100 %, published in promille."""
    given = SPEC.classes[0]
    assert given.sensor_check is not None
    count = len(given.sensor_check.sensors)
    check = replace(given.sensor_check, lowest=(0.0,) * count, highest=(100.0,) * count)
    spec = replace(SPEC, classes=(replace(given, sensor_check=check),))

    def outside(*loads: float) -> tuple[OutOfRange, ...]:
        messages = [telemetry("a", 1000 * n, {"load": load}, arrival=1000 * n) for n, load in enumerate(loads)]
        return run(spec, messages, START + 60_000).outside

    assert outside(500, 630) == (OutOfRange(given.name, "load", 500, 630, 0, 100),)
    assert outside(500, 63) == ()


def test_a_trial_of_nothing() -> None:
    facts = run(SPEC, [], START)
    assert (facts.ticks, facts.streams, sum(facts.outcomes.values())) == (0, (), 0)
