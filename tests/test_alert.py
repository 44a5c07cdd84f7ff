"""The life of an incident: every transition, worked by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from monitor.alert import (
    ANOMALY,
    STALE,
    AlertState,
    Phase,
    frozen,
    judge,
    sensors,
    settle,
)
from monitor.handover import drop
from monitor.incident import Moment, incident_id, words
from monitor.records import Command, Kind, SensorChange, Status, Transition
from tests.alert_watch import KEYS, ONE, Watch, config
from tests.line_samples import scores

if TYPE_CHECKING:
    from collections.abc import Sequence


def test_k_of_n_make_it_pending_and_the_on_delay_makes_it_fire() -> None:
    watch_ = Watch()
    assert watch_.judge(2, 0, 0, 2) == []
    assert watch_.phase() == Phase.NORMAL  # 1 of the last 3
    assert watch_.judge(2) == []
    assert watch_.phase() == Phase.PENDING  # tick 4
    assert watch_.judge(0) == []
    assert watch_.judge(2) == ["fired 6"]


def test_pending_goes_back_when_fewer_than_k_of_n_are_above() -> None:
    """And starts again from there, with another start."""
    watch_ = Watch()
    assert watch_.judge(2, 2, 0, 0) == []
    assert watch_.phase() == Phase.NORMAL
    assert watch_.judge(2, 2, 2, 2) == ["fired 7"]
    assert watch_.state.started[0, ANOMALY] == 5000


def test_without_delays_one_row_fires_and_one_clears() -> None:
    watch_ = Watch(config(k=1, n=1, on_delay_ticks=0, off_delay_ticks=0))
    assert watch_.judge(2, 2, 0, 0) == ["fired 0", "cleared 2"]


def test_k_of_n_reaches_back_sixty_four_rows() -> None:
    """As far as the settings allow: with 1 of 64 it is as long pending as one such row is remembered."""
    watch_ = Watch(config(k=1, n=64, on_delay_ticks=1000))
    watch_.judge(2, *[0] * 63)
    assert watch_.phase() == Phase.PENDING
    watch_.judge(0)
    assert watch_.phase() == Phase.NORMAL


def test_a_score_at_the_threshold_is_not_above_it() -> None:
    watch_ = Watch(config(k=1, n=1, on_delay_ticks=0))
    assert watch_.judge(1.0, 1.0) == []


def test_the_off_delay_and_the_deadband_hold_an_incident_open() -> None:
    """Clearing takes three ticks below 0.9; what lies between that and the threshold starts them again."""
    watch_ = Watch()
    assert watch_.judge(2, 2, 2, 2) == ["fired 3"]
    assert watch_.judge(0, 0, 0, 0.95, 0, 0, 0) == []
    assert watch_.judge(0) == ["cleared 11"]
    assert watch_.phase() == Phase.NORMAL


def test_after_clearing_the_rows_above_are_forgotten() -> None:
    """What made the last incident does not help to make the next."""
    watch_ = Watch(config(k=2, n=64, on_delay_ticks=0, off_delay_ticks=0))
    assert watch_.judge(2, 2, 0, 2) == ["fired 1", "cleared 2"]
    assert watch_.judge(2) == ["fired 4"]


def test_rows_without_a_score_neither_raise_nor_clear() -> None:
    watch_ = Watch()
    watch_.judge(2, 2)
    assert watch_.judge(*[9] * 10, status=Status.TOO_FEW_SENSORS) == []
    assert watch_.phase() == Phase.PENDING
    watch_.judge(2)
    assert watch_.phase() == Phase.FIRING
    assert watch_.judge(*[0] * 10, status=Status.GAP) == []
    assert watch_.judge(0, 0, 0) == []
    assert watch_.judge(0) == ["cleared 26"]


def test_rows_that_are_not_judged_yet_neither_raise_nor_clear() -> None:
    watch_ = Watch()
    for tick in range(10):
        watch_.tick = tick
        assert watch_.events(9.0, threshold=float("nan")) == []
    assert watch_.phase() == Phase.NORMAL


def test_an_event_says_what_who_when_and_which_sensors() -> None:
    watch_ = Watch()
    event = watch_.fire()
    assert (event.stream, event.kind, event.sensor) == ("plant//a", "anomaly", "")
    assert (event.started, event.time, event.recorded) == (1000, 3000, 3005)
    assert (event.score, event.threshold, event.severity) == (2.0, 1.0, "warning")
    assert event.incident_id == incident_id("plant//a", "anomaly", "", 1000)
    assert [(found.sensor, found.unit, found.actual, found.expected) for found in event.top] == [
        ("load", "%", 60, 50),
        ("flow", "l/min", 60, 50),
    ]
    assert event.top[0].contribution == 2.0
    # It fires two ticks of a second after it began; flow contributes nothing to the score.
    assert event.summary == (
        "load 10 % above what the other sensors explain (60 %, expected 50), for 2 s; flow normal; "
        "well above the threshold: score 2 against 1"
    )


def test_a_sensor_that_is_not_there_is_not_to_blame() -> None:
    watch_ = Watch(config(k=1, n=1, on_delay_ticks=0))
    rows = scores([0], 0, [2.0])
    rows.actual[0, 0] = np.nan
    (event,) = judge(watch_.state, watch_.rule, rows, Moment(KEYS, 5))
    assert [found.sensor for found in event.top] == ["flow"]


def test_it_is_critical_from_so_many_times_the_threshold() -> None:
    severities = []
    for score in (2.99, 3.0):
        watch_ = Watch(config(k=1, n=1, on_delay_ticks=0))
        watch_.tick = 0
        severities.append(watch_.events(score)[0].severity)
    assert severities == ["warning", "critical"]


def test_a_critical_incident_stays_critical_to_its_end() -> None:
    """Who asks for the critical ones must see them end."""
    watch_ = Watch(config(k=1, n=1, on_delay_ticks=0, off_delay_ticks=0))
    watch_.tick = 0
    (fired,) = watch_.events(9.0)
    (acknowledged,) = watch_.ask("acknowledge", incident=fired.incident_id)
    watch_.tick = 1
    (cleared,) = watch_.events(0.1)
    assert [event.severity for event in (fired, acknowledged, cleared)] == ["critical"] * 3


def test_acknowledged_it_still_clears_by_itself() -> None:
    watch_ = Watch()
    name = watch_.fire().incident_id
    (event,) = watch_.ask("acknowledge", incident=name, who="kim")
    assert (event.transition, event.who, event.incident_id) == (Transition.ACKNOWLEDGED, "kim", name)
    assert watch_.phase() == Phase.ACKNOWLEDGED
    assert watch_.ask("acknowledge", incident=name) == []
    assert watch_.judge(2, 2, 0, 0, 0, 0) == ["cleared 9"]


def test_a_command_about_one_incident_leaves_the_assets_others_alone() -> None:
    """The asset of a named incident comes with the command."""
    watch_ = Watch()
    name = watch_.fire().incident_id
    watch_.arrive(4000)
    watch_.look(100_000)
    (event,) = watch_.ask("acknowledge", incident=name, asset="plant//a")
    assert event.kind == "anomaly"
    assert watch_.state.phase[0, STALE] == Phase.FIRING


def test_a_command_about_an_asset_is_for_all_of_its_incidents() -> None:
    watch_ = Watch()
    watch_.fire()
    watch_.arrive(4000)
    watch_.look(100_000)
    assert {event.kind for event in watch_.ask("acknowledge", asset="plant//a")} == {"anomaly", "stale"}
    assert watch_.ask("acknowledge", asset="plant//b") == []


def test_shelving_ends_when_it_said_it_would() -> None:
    watch_ = Watch()
    watch_.heard[0] = watch_.newest[0] = 50_000
    name = watch_.fire().incident_id
    (event,) = watch_.ask("shelve", incident=name, until=80_000, who="kim", why="known")
    assert (event.transition, event.until, event.who, event.why) == (Transition.SHELVED, 80_000, "kim", "known")
    assert watch_.look(79_999) == []
    (event,) = watch_.ask("acknowledge", incident=name)
    assert event.until == 80_000  # it is shelved as before
    assert watch_.look(80_000) == [("plant//a", "unshelved")]
    assert watch_.look(81_000) == []
    assert watch_.phase() == Phase.ACKNOWLEDGED


def test_shelved_it_clears_by_itself_and_comes_back_shelved() -> None:
    """The shelf is the point's, not the incident's; when it runs out with nothing open, nothing is told."""
    watch_ = Watch()
    name = watch_.fire().incident_id
    watch_.ask("shelve", incident=name, until=80_000)
    assert watch_.judge(0, 0, 0, 0) == ["cleared 7"]
    assert watch_.fire().until == 80_000
    watch_.judge(0, 0, 0, 0)
    assert watch_.look(80_000) == []
    assert watch_.fire().until is None


def test_accepted_it_is_over_and_a_new_state_begins() -> None:
    watch_ = Watch()
    name = watch_.fire().incident_id
    (event,) = watch_.ask("accept", asset="plant//a", who="kim")
    assert (event.transition, event.incident_id) == (Transition.ACCEPTED, name)
    assert watch_.phase() == Phase.NORMAL
    assert watch_.judge(2) == []
    assert watch_.phase() == Phase.NORMAL  # of what was above before, nothing counts


def test_settled_nothing_is_pending() -> None:
    """Because pending freezes the threshold, which could then never learn what was accepted."""
    watch_ = Watch()
    watch_.judge(2, 2)
    assert frozen(watch_.state, ONE).tolist() == [True]
    settle(watch_.state, 0)
    assert frozen(watch_.state, ONE).tolist() == [False]


def test_the_threshold_is_frozen_from_pending_until_cleared() -> None:
    watch_ = Watch()
    held = []
    for score in (2, 2, 2, 2, 0, 0, 0, 0):
        watch_.judge(score)
        held.append(bool(frozen(watch_.state, ONE)[0]))
    assert held == [False, True, True, True, True, True, True, False]


@pytest.mark.parametrize(("action", "verdict"), [("comment", ""), ("verdict", "real")])
def test_words_can_be_said_of_an_incident_that_is_over(action: str, verdict: str) -> None:
    asked = Command(
        "c9", action, 5, incident="i1", asset="plant//a", who="kim", why="bearing", verdict=verdict,
        kind="anomaly", started=1000, severity="critical",
    )  # fmt: skip
    event = words(asked, Moment([], 77, "c9"))
    assert (event.incident_id, event.stream, event.kind, event.started) == ("i1", "plant//a", "anomaly", 1000)
    assert (event.who, event.why, event.summary) == ("kim", "bearing", verdict or "bearing")
    assert event.transition == (Transition.VERDICT if verdict else Transition.COMMENTED)
    assert (event.recorded, event.severity) == (77, "critical")
    assert words(replace(asked, severity=""), Moment([], 77, "c9")).severity == "warning"  # a journal of before


def test_streams_that_are_no_longer_watched_are_cleared() -> None:
    """All their incidents, and what was only pending without a word."""
    watch_ = Watch()
    watch_.fire()
    watch_.arrive(4000)
    watch_.look(100_000)
    watch_.state.phase[1, ANOMALY] = Phase.PENDING
    events = drop(watch_.state, watch_.rule, watch_.newest, Moment(KEYS, 200_000))
    assert [(event.kind, event.transition) for event in events] == [
        ("anomaly", Transition.CLEARED),
        ("stale", Transition.CLEARED),
    ]
    assert not watch_.state.phase.any()


def test_every_sensor_has_an_incident_of_its_own_that_freezes_nothing() -> None:
    """Beside the anomaly, each with a name of its own; with the sensors alone dropped, the anomaly stays open."""
    watch_ = Watch()
    found = [SensorChange(0, n, Kind.SENSOR_STUCK, 3, 9, f"sensor {n}") for n in range(2)]
    flow, load = reversed(sensors(watch_.state, watch_.rule, found, Moment(KEYS, 10_000)))
    assert (flow.kind, flow.sensor, flow.summary) == ("sensor_stuck", "flow", "sensor 1")
    assert (flow.started, flow.time, flow.recorded, flow.severity) == (3000, 9000, 10_000, "warning")
    assert flow.incident_id == incident_id("plant//a", "sensor_stuck", "flow", 3000) != load.incident_id
    assert frozen(watch_.state, ONE).tolist() == [False]

    good = SensorChange(0, 0, None, 20, 20, "good again")
    (over,) = sensors(watch_.state, watch_.rule, [good], Moment(KEYS, 21_000))
    assert (over.incident_id, over.transition, over.started) == (load.incident_id, Transition.CLEARED, 3000)

    watch_.fire()
    (dropped,) = drop(watch_.state, watch_.rule, watch_.newest, Moment(KEYS, 30_000), sensors_only=True)
    assert dropped.incident_id == flow.incident_id
    assert watch_.phase() == Phase.FIRING


def incidents(order: Sequence[int]) -> dict[str, str]:
    """The incident of each stream, where the streams were numbered in another order."""
    keys = [KEYS[stream] for stream in order]
    state = AlertState.empty(config(), 3)
    found = {}
    for tick in range(5):
        rows = scores([0, 1, 2], tick, [2.0 if tick >= order[stream] else 0.0 for stream in range(3)])
        for event in judge(state, config(on_delay_ticks=0), rows, Moment(keys, tick)):
            found[event.stream] = event.incident_id
    return found


def test_incidents_are_named_the_same_in_whatever_order_streams_came() -> None:
    assert incidents([0, 1, 2]) == incidents([2, 0, 1])
    assert len(set(incidents([0, 1, 2]).values())) == 3


def test_an_event_has_the_same_key_when_its_record_is_taken_again_and_no_other_has_it() -> None:
    first, again = Watch(), Watch()
    fired = first.fire()
    assert again.fire() == fired
    (acknowledged,) = first.ask("acknowledge", incident=fired.incident_id)
    (shelved,) = first.ask("shelve", incident=fired.incident_id, until=10**6)
    (later,) = first.ask("shelve", incident=fired.incident_id, until=10**6, now=99_001)
    assert len({event.event_id for event in (fired, acknowledged, shelved, later)}) == 4
