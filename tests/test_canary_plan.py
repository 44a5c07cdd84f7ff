"""The canary's plan: what comes of a fault, by hand. Times in seconds; a fault each hour, seen within a minute."""

from __future__ import annotations

import doctest
from dataclasses import replace

import pytest

import monitor.synthetic
from config.canary import NAME
from monitor.canary.engine import CanaryEngine
from monitor.canary.plan import FAULTS, Plan
from monitor.decode import ClassRoute, Decoder, encode_telemetry
from monitor.discovery.capture import Capture, Captured
from monitor.records import AlertEvent, Message, Transition
from monitor.synthetic import SITE
from simulator.records import SENSORS
from tests.store_samples import START, transition


class Watched:
    """A plan whose first fault is due at 100 s."""

    def __init__(self) -> None:
        self.plan = Plan(every_ms=3_600_000, within_ms=60_000, after_ms=30_000, due=100_000)

    def turn(self, second: float, away: str = "", *, warm: bool = True) -> str:
        order = self.plan.turn(round(second * 1000), away, warm=warm)
        if order == "begin":
            self.plan.begin(round(second * 1000))
        return order

    def hear(self, what: Transition, at: float, *, heard: float | None = None, kind: str = "anomaly") -> None:
        event: AlertEvent = replace(transition(what, kind=kind), time=round(at * 1000))
        self.plan.hear(event, round((at if heard is None else heard) * 1000))

    def results(self) -> list[tuple[str, float, float | None]]:
        return [(each.result, each.at / 1000, each.delay_s) for each in self.plan.outcomes]


def test_a_fault_that_is_seen_ends_and_its_delay_is_until_its_incident_was_heard_of() -> None:
    watched = Watched()
    assert [watched.turn(second) for second in (99, 100, 103)] == ["", "begin", ""]
    watched.hear(Transition.FIRED, 104, heard=104.5)
    assert (watched.turn(105), watched.turn(106)) == ("end", "")
    assert watched.results() == [("seen", 100, 4.5)]
    assert (watched.plan.trouble, watched.plan.due) == ("", 3_700_000)
    assert watched.plan.delays == {"last": 4.5, "median": 4.5, "longest": 4.5}


def test_a_fault_that_is_not_seen_in_time_is_missed_and_the_next_one_that_is_ends_the_trouble() -> None:
    watched = Watched()
    assert [watched.turn(second) for second in (100, 160, 160.5)] == ["begin", "", "end"]
    assert watched.results() == [("missed", 100, None)]
    assert "fault low ignition voltage of 1970-01-01 00:01:40 was missed" in watched.plan.trouble
    assert watched.turn(3700) == "begin"
    assert watched.plan.fault == FAULTS[1]
    watched.hear(Transition.FIRED, 3710)
    assert watched.plan.trouble == ""


def test_without_a_broker_nothing_is_tried_and_nothing_missed() -> None:
    """Before a fault, and in the middle of one."""
    watched = Watched()
    assert watched.turn(100, "the broker is away") == ""
    assert watched.turn(3700) == "begin"
    assert watched.turn(3705, "the broker is away") == "end"
    assert watched.results() == [("not tried", 100, None), ("not tried", 3700, None)]
    assert watched.plan.outcomes[1].why == "broken off: the broker is away"
    assert watched.plan.trouble == ""


def test_a_fault_waits_for_full_windows_and_is_not_tried_while_an_incident_is_open() -> None:
    watched = Watched()
    assert [watched.turn(120, warm=False), watched.turn(150)] == ["", "begin"]
    watched.hear(Transition.FIRED, 152)
    assert [watched.turn(152), watched.turn(3750)] == ["end", ""]
    assert watched.plan.outcomes[-1].why == "the incident of before is still open"
    watched.hear(Transition.CLEARED, 4000)
    assert watched.turn(7350) == "begin"


def test_an_incident_that_never_clears_is_trouble_after_two_rounds_without_a_trial() -> None:
    """Until a fault is tried again; what was seen long ago says nothing of now."""
    watched = Watched()
    watched.turn(100)
    watched.hear(Transition.FIRED, 104)
    assert [watched.turn(second) for second in (104, 3700)] == ["end", ""]
    assert watched.plan.trouble == ""
    watched.turn(7300)
    reason = "the incident of before is still open"
    assert watched.plan.trouble == f"the canary could not be tried 2 times in a row: {reason}"
    watched.hear(Transition.CLEARED, 7400)
    assert watched.turn(10_900) == "begin"
    watched.hear(Transition.FIRED, 10_904)
    assert watched.plan.trouble == ""


def test_a_broker_that_is_away_is_told_by_the_daemon_and_a_canary_that_is_not_let_in_by_the_canary() -> None:
    watched = Watched()
    for second in (100, 3700, 7300):
        assert watched.turn(second, "the broker is away") == ""
    assert watched.plan.trouble == ""
    for second in (10_900, 14_500):
        watched.plan.turn(second * 1000, "", "not authorised", warm=False)
    assert watched.plan.trouble == "the canary could not be tried 2 times in a row: not authorised"


def test_windows_that_never_fill_are_trouble_and_not_waited_for_in_silence() -> None:
    watched = Watched()
    for second in range(0, 10_950, 50):
        assert watched.turn(second, warm=False) == ""
    assert [each.at for each in watched.plan.outcomes] == [3_700_000, 10_900_000]
    assert watched.plan.trouble.endswith("2 times in a row: its readings never filled its windows")


def test_a_clock_that_was_set_back_takes_what_is_planned_with_it() -> None:
    """A day back in the middle of a fault: it is missed a minute after it began, and the next is in an hour."""
    day = 86_400
    watched = Watched()
    watched.plan.due += day * 1000
    assert [watched.turn(second) for second in (day + 100, day + 120, 120, 159)] == ["begin", "", "", ""]
    assert watched.turn(161) == "end"
    assert watched.results() == [("missed", 100, None)]
    assert watched.plan.due == 3_700_000


@pytest.mark.parametrize(("kind", "at", "false"), [
    ("anomaly", 50, True),  # before any fault
    ("sensor_stuck", 50, True),
    ("stale", 50, False),  # that says nothing of the engine
    ("anomaly", 185, False),  # 25 s behind the end of the one that was missed
    ("anomaly", 191, True),
])  # fmt: skip
def test_an_incident_without_a_fault_is_false(kind: str, at: float, *, false: bool) -> None:
    watched = Watched()
    if at > 100:
        watched.turn(100)
        assert watched.turn(160.5) == "end"
    watched.hear(Transition.FIRED, at, kind=kind)
    assert ("false" in watched.plan.counts) == false
    assert ("without a fault" in watched.plan.trouble) == false


def test_what_the_engine_does_is_as_its_fault_says() -> None:
    """Three volts are missing of about fourteen while the fault is there, and nothing before and behind it."""
    engine = CanaryEngine(500)
    well = engine.reading()
    engine.begin("low_ignition_voltage")
    ill = [engine.reading() for _ in range(4)][-1]
    engine.end()
    again = [engine.reading() for _ in range(4)][-1]
    assert list(well) == list(SENSORS)
    volts = [each["control_module_voltage"] for each in (well, ill, again)]
    assert volts == pytest.approx([14.1, 11.1, 14.1], abs=0.4)


def test_only_its_own_daemon_takes_a_canary() -> None:
    """A class of all assets takes none: what another one publishes is passed over, and no dead letter."""
    own = ClassRoute(("load",), ("{root}/v1/{site}/{asset}/telemetry",), assets=(f"{SITE}//main",))
    usual = replace(own, assets=("*",))
    decoder = Decoder([own, usual], root="r")
    payload = encode_telemetry(time=START, boot="", seq=0, values={"load": 1.0})
    sent = [
        Message(f"r/v1/{site}/{asset}/telemetry".encode(), payload, START, len(payload))
        for site, asset in ((SITE, "main"), (SITE, "other"), ("plant", "main"))
    ]
    decoded = decoder.decode(sent)
    assert [each.streams for each in decoded.readings] == [[f"{SITE}//main"], ["plant//main"]]
    assert (decoded.ignored, decoded.dead_letters) == (1, [])
    assert NAME == SITE


def test_the_documented_examples_hold() -> None:
    assert doctest.testmod(monitor.synthetic).failed == 0


def test_nobody_is_told_to_watch_a_canary() -> None:
    """`enginewatch init` takes it for what it is: of our own making."""
    capture = Capture()
    for site in (SITE, "plant"):
        capture.add(Captured(f"enginewatch/v1/{site}/main/telemetry", b"{}", START))
    assert (capture.ours, list(capture.topics)) == (1, ["enginewatch/v1/plant/main/telemetry"])
