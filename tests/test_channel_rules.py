"""When a channel tells what, by timelines worked out by hand and by properties that hold of any."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.channels import quiet
from monitor.channels import rules as by
from monitor.channels.memory import Memory
from monitor.channels.rules import Plant
from monitor.records import AlertEvent, Transition
from tests.channel_samples import RULES, SECOND, Told, event, news

FIRED, CLEARED, ACK = Transition.FIRED, Transition.CLEARED, Transition.ACKNOWLEDGED


def test_incidents_of_an_asset_are_one_message_after_the_wait() -> None:
    told = Told()
    assert told.at(0, event()) == []
    assert told.at(10, event(kind="sensor_stuck", sensor="flow"), event(asset="plant//p2")) == []
    # The first asset's message is due 30 s after its first incident, the other one's 10 s later.
    assert told.until(11, 60) == [(30, "incidents: 2 fired"), (40, "incidents: 1 fired")]


def test_what_changes_is_told_once_an_interval_and_what_was_told_gets_its_end() -> None:
    told = Told()
    told.at(0, event())
    assert news(told.at(30)[0]) == "incidents: 1 fired"
    told.at(60, event(kind="sensor_stuck", sensor="flow"))
    told.at(90, event(CLEARED, time=90))
    assert told.until(91, 400) == [(330, "incidents: 1 fired 1 over")]
    told.at(400, event(CLEARED, kind="sensor_stuck", sensor="flow", time=400))
    assert told.until(401, 2_000) == [(630, "incidents: 1 over")]
    assert told.memory == Memory()


def test_what_stays_open_is_told_again_until_somebody_acknowledges_it() -> None:
    told = Told()
    told.at(0, event())
    repeats = told.until(1, 9 * 3600, step=10)
    assert [(round(second / 3600), what) for second, what in repeats] == [
        (0, "incidents: 1 fired"),
        (4, "incidents: 1 still"),
        (8, "incidents: 1 still"),
    ]
    told.at(9 * 3600, event(ACK))
    assert told.until(9 * 3600 + 1, 20 * 3600, step=60) == []
    assert [news(each) for each in told.at(20 * 3600, event(CLEARED))] == ["incidents: 1 over"]


def test_what_came_and_went_before_it_could_be_told_is_told_once_as_over() -> None:
    told = Told()
    told.at(0, event())
    told.at(20, event(CLEARED))
    assert told.until(21, 3_600, step=3) == [(30, "incidents: 1 over")]


@pytest.mark.parametrize("transition", [Transition.ACKNOWLEDGED, Transition.SHELVED])
def test_what_somebody_knows_of_before_it_is_told_is_not_told_at_all(transition: Transition) -> None:
    told = Told()
    told.at(0, event())
    told.at(10, event(transition))
    told.at(60, event(CLEARED))
    assert told.until(61, 1_000, step=10) == []
    assert told.tellings == []
    assert told.memory == Memory()


def test_what_is_shelved_is_told_when_that_runs_out() -> None:
    told = Told()
    told.at(0, event(), event(Transition.SHELVED))
    assert told.until(1, 1_000, step=10) == []
    told.at(1_000, event(Transition.UNSHELVED))
    assert [what for _, what in told.until(1_001, 1_100)] == ["incidents: 1 fired"]


def test_a_site_without_data_is_one_message_and_its_assets_none() -> None:
    """Six of ten are silent; a seventh falls silent later; the first six come back, then the last."""
    told = Told(plant=Plant({"plant": 10}))
    for number in range(6):
        told.at(number, event(asset=f"plant//p{number}", kind="stale"))
    loss = told.at(30)
    assert [news(each) for each in loss] == ["loss: 6 fired"]
    assert (loss[0].site, loss[0].assets) == ("plant", 10)
    told.at(60, event(asset="plant//p6", kind="stale"))
    told.at(90, *(event(CLEARED, asset=f"plant//p{number}", kind="stale") for number in range(6)))
    assert told.until(91, 1_000) == [(330, "loss: 1 fired 6 over")]
    told.at(1_000, event(CLEARED, asset="plant//p6", kind="stale"))
    assert [what for _, what in told.until(1_001, 2_000)] == []
    assert [news(each) for second, each in told.tellings if second >= 1_000] == ["loss: 1 over"]


def test_a_few_silent_assets_are_told_each() -> None:
    """Five of ten are not most of them, and two of three are too few to speak of a site."""
    for silent, assets in ((5, 10), (2, 3)):
        told = Told(plant=Plant({"plant": assets}))
        told.at(0, *(event(asset=f"plant//p{number}", kind="stale") for number in range(silent)))
        assert [news(each) for each in told.at(30)] == ["incidents: 1 fired"] * silent


@pytest.mark.parametrize("dark", ["stale", "blind"])
def test_a_faulty_sensor_of_an_asset_that_is_not_seen_is_not_told(dark: str) -> None:
    told = Told()
    told.at(0, event(kind="sensor_dropout", sensor="flow"))
    told.at(20, event(kind=dark), event(asset="plant//p2", kind="sensor_dropout", sensor="flow"))
    # Of the other asset it is told; and of the one as soon as it is seen again and the sensor still faulty.
    heard = told.until(21, 60)
    assert sorted(what for _, what in heard) == ["incidents: 1 fired", "incidents: 1 fired"]
    items = [each.item for _, telling in told.tellings for each in telling.told]
    assert {item.kind for item in items if item.stream == "plant//p1"} == {dark}
    told.at(100, event(CLEARED, kind=dark))
    assert told.until(101, 1_000) == [(heard[0][0] + 300, "incidents: 1 fired 1 over")]


def test_a_flood_is_one_summary_of_the_site() -> None:
    """Ten incidents in ten minutes are told each, the eleventh makes it a flood; another site is not in it."""
    told = Told(plant=Plant({"plant": 100}))
    told.at(0, *(event(asset=f"plant//p{number}") for number in range(10)))
    assert [news(each) for each in told.at(30)] == ["incidents: 1 fired"] * 10
    told.at(60, *(event(asset=f"plant//q{number}") for number in range(40)), event(asset="other//p1"))
    assert sorted(told.until(61, 120)) == [(90, "flood: 40 fired"), (90, "incidents: 1 fired")]
    told.at(200, *(event(CLEARED, asset=f"plant//q{number}") for number in range(40)))
    assert told.until(201, 1_000) == [(390, "flood: 40 over")]


def test_after_a_flood_incidents_are_told_each_again() -> None:
    told = Told(plant=Plant({"plant": 100}))
    told.at(0, *(event(asset=f"plant//p{number}") for number in range(11)))
    assert told.until(1, 60) == [(30, "flood: 11 fired")]
    told.at(601, event(asset="plant//late"))
    assert told.until(602, 700) == [(631, "incidents: 1 fired")]


QUIET = quiet.hours("22:00", "06:00", UTC)


def test_in_quiet_hours_what_is_critical_passes_and_the_rest_is_one_message_at_their_end() -> None:
    """At 23:00 a warning and something critical, at 02:00 what goes by itself; at 06:00 what was held back."""
    told = Told(replace(RULES, quiet=QUIET))
    told.at(23 * 3600, event(), event(asset="plant//p2", severity="critical"))
    told.at(23 * 3600 + 30)
    told.at(24 * 3600, event(ACK, asset="plant//p2", severity="critical"))
    told.at(26 * 3600, event(asset="plant//p3"))
    told.at(27 * 3600, event(CLEARED, asset="plant//p3"))
    night = told.until(27 * 3600 + 1, 30 * 3600 + 60, step=7)
    assert [news(each) for _, each in told.tellings] == ["incidents: 1 fired", "digest: 1 fired 1 over"]
    assert told.tellings[0][1].told[0].item.severity == "critical"
    assert [second // 3600 for second, _ in night] == [30]


def test_in_quiet_hours_nothing_passes_where_nothing_is_to_pass() -> None:
    told = Told(replace(RULES, quiet=QUIET, critical_passes=False))
    told.at(23 * 3600, event(severity="critical"))
    assert told.until(23 * 3600 + 1, 31 * 3600, step=30)[0][0] >= 30 * 3600
    assert [news(each) for _, each in told.tellings] == ["incidents: 1 fired"]


def test_the_end_of_what_was_told_waits_for_the_morning_as_well() -> None:
    told = Told(replace(RULES, quiet=QUIET))
    told.at(21 * 3600, event())
    told.at(21 * 3600 + 30)
    told.at(23 * 3600, event(CLEARED))
    assert [second >= 30 * 3600 for second, _ in told.until(23 * 3600, 31 * 3600, step=30)] == [True]
    assert [news(each) for _, each in told.tellings] == ["incidents: 1 fired", "incidents: 1 over"]


def test_quiet_hours_are_those_of_their_time_zone() -> None:
    """22:30 in Berlin is 20:30 UTC in July and 21:30 UTC in January."""
    berlin = quiet.hours("22:00", "06:00", ZoneInfo("Europe/Berlin"))
    july, january = 1_783_000_000 // 86_400 * 86_400, 1_767_400_000 // 86_400 * 86_400
    minutes = [20 * 60 + 30, 19 * 60 + 30, 21 * 60 + 30, 20 * 60 + 30]
    days = [july, july, january, january]
    assert [berlin(1000 * (day + 60 * each)) for day, each in zip(days, minutes, strict=True)] == [
        True, False, True, False,
    ]  # fmt: skip


def test_what_is_under_maintenance_is_told_when_that_is_over() -> None:
    told = Told(plant=Plant({"plant": 20}, {"plant//p1"}))
    told.at(0, event())
    assert told.until(1, 1_000, step=10) == []
    told.plant = Plant({"plant": 20})
    assert [what for _, what in told.until(1_000, 1_060)] == ["incidents: 1 fired"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"assets": ("plant/hall/*",)}, ["plant/hall/p1"]),
        ({"exclude": ("plant/hall/*",)}, ["plant//p1"]),
        ({"exclude": ("elsewhere/*",)}, ["plant/hall/p1", "plant//p1"]),
        ({"assets": ("_canary/*", "plant//*")}, ["plant//p1"]),
        ({"kinds": ("stale",)}, ["plant//p1"]),
        ({"critical_only": True}, ["plant/hall/p1"]),
    ],
)
def test_a_channel_is_for_some_assets_kinds_and_severities(change: dict[str, object], told: list[str]) -> None:
    """And never for the canary, whatever the settings say."""
    rules = replace(RULES, **change)  # type: ignore[arg-type]  # of any of its fields
    events = [
        event(asset="plant/hall/p1", severity="critical"),
        event(asset="plant//p1", kind="stale"),
        event(asset="_canary//main", severity="critical"),
    ]
    assert [each.stream for each in events if by.wanted(rules, each)] == told


@pytest.mark.parametrize(("group_by", "messages"), [("incident", 4), ("asset", 3), ("area", 2), ("site", 1)])
def test_what_is_told_together_can_be_chosen(group_by: str, messages: int) -> None:
    told = Told(replace(RULES, group_by=group_by))
    told.at(
        0,
        event(asset="plant/hall/p1"),
        event(asset="plant/hall/p1", kind="sensor_stuck", sensor="flow"),
        event(asset="plant/hall/p2"),
        event(asset="plant/yard/p3"),
    )
    assert len(told.at(30)) == messages


def test_a_message_that_may_have_arrived_keeps_its_key() -> None:
    """Asked again before it is known to be told, the same is due with the same key; afterwards keys differ."""
    told = Told()
    told.at(0, event())
    first, again = (by.due(told.memory, RULES, told.plant, 31 * SECOND)[0] for _ in range(2))
    assert first.key == again.key
    by.told(told.memory, again, 31 * SECOND)
    assert told.at(5 * 3600)[0].key != first.key


ASSETS = st.sampled_from(["a//1", "a//2", "a//3", "a//4", "b//1"])
KINDS = st.sampled_from(["anomaly", "stale", "blind", "sensor_stuck"])
STEPS = st.lists(
    st.tuples(
        st.integers(0, 1_000),  # seconds to the next step
        ASSETS,
        KINDS,
        st.sampled_from([FIRED, FIRED, FIRED, CLEARED, CLEARED, ACK, Transition.SHELVED, Transition.UNSHELVED]),
        st.booleans(),
    ),
    max_size=60,
)


@given(STEPS, st.integers(1, 5))
@settings(max_examples=150, deadline=None)
def test_what_was_told_gets_its_end_and_nothing_is_told_twice_in_an_interval(
    steps: list[tuple[int, str, str, Transition, bool]], flood: int
) -> None:
    """Of any history: told as fired once at most, as over exactly once, repeated no sooner than an interval."""
    told = Told(replace(RULES, flood=flood, quiet=QUIET), Plant({"a": 4, "b": 1}))
    now, is_open = 0, dict[tuple[str, str], AlertEvent]()
    for pause, asset, kind, transition, critical in steps:
        now += pause
        known = is_open.get((asset, kind))
        sensor = "flow" if kind.startswith("sensor") else ""
        severity = "critical" if critical else "warning"
        if transition is FIRED and known is None:
            happened = event(asset=asset, kind=kind, sensor=sensor, started=now, time=now, severity=severity)
            is_open[asset, kind] = happened
        elif transition is not FIRED and known is not None:
            happened = replace(known, transition=transition, time=now)
            if transition is CLEARED:
                del is_open[asset, kind]
        else:
            continue
        told.at(now, happened)
    told.at(now + 1, *(replace(each, transition=CLEARED, time=now + 1) for each in is_open.values()))
    told.until(now + 2, now + 2 * 86_400, step=600)  # a night at the least, and all intervals

    by_incident: dict[str, list[tuple[float, str]]] = {}
    for second, telling in told.tellings:
        for each in telling.told:
            by_incident.setdefault(each.item.incident, []).append((second, each.news))
    for heard in by_incident.values():
        kinds = [what for _, what in heard]
        assert kinds.count("fired") <= 1
        assert kinds.count("over") == 1
        assert kinds[-1] == "over"
        repeats = [second for second, what in heard if what == "still"]
        fired = [second for second, what in heard if what == "fired"]
        assert all(second - fired[0] >= RULES.interval_ms / 1000 for second in repeats)
    assert told.memory.items == {}
