"""The loss of a site counts as critical, and what is critical in quiet hours: by timelines worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC

from monitor.channels import quiet
from monitor.channels import rules as by
from monitor.channels.memory import Memory
from monitor.channels.message import message
from monitor.channels.rules import Plant
from monitor.records import AlertEvent, Transition
from tests.channel_samples import HOUR, RULES, SECOND, Told, event, news

CLEARED = Transition.CLEARED
QUIET = quiet.hours("22:00", "08:00", UTC)
GRAVE = replace(RULES, critical_only=True)
TEN = Plant({"plant": 10})


def silent(*numbers: int, transition: Transition = Transition.FIRED) -> list[AlertEvent]:
    return [event(transition, asset=f"plant//p{number}", kind="stale") for number in numbers]


def test_a_channel_for_what_is_critical_hears_of_the_loss_of_a_site_and_of_its_end() -> None:
    """Five silent assets of ten are warnings, the sixth makes it a loss, 30 s later it is told."""
    told = Told(GRAVE, TEN)
    told.at(0, *silent(0, 1, 2, 3, 4), event(kind="blind"))
    assert told.until(1, 600, step=10) == []
    assert by.waiting(told.memory) == 0
    told.at(600, *silent(5))
    assert told.until(601, 700) == [(630, "loss: 6 fired")]
    assert message(told.tellings[0][1], "").subject == "[critical] plant: no data from 6 of 10 assets"
    assert [news(each) for each in told.at(1_000, *silent(*range(6), transition=CLEARED))] == ["loss: 6 over"]
    told.at(1_100, event(CLEARED, kind="blind"))
    told.until(1_101, 2_000, step=10)
    assert told.memory == Memory()


def test_a_channel_for_what_is_critical_hears_nothing_of_a_loss_that_was_over_before_it_could_be_told() -> None:
    told = Told(GRAVE, TEN)
    told.at(0, *silent(*range(8)))
    told.at(10, *silent(*range(8), transition=CLEARED))
    told.until(11, 1_000, step=5)
    assert told.tellings == []
    assert told.memory == Memory()


def test_silent_assets_that_are_not_told_by_themselves_make_no_flood() -> None:
    told = Told(GRAVE, Plant({"plant": 100}))
    told.at(0, *silent(*range(20)), event(asset="plant//hot", severity="critical"))
    assert told.until(1, 60) == [(30, "incidents: 1 fired")]


def test_a_loss_is_not_for_channels_that_are_for_other_kinds_or_assets() -> None:
    for rules in (replace(GRAVE, kinds=("anomaly",)), replace(GRAVE, assets=("other/*",))):
        told = Told(rules, TEN)
        told.at(0, *silent(*range(10)))
        assert told.until(1, 100) == []


def test_the_loss_of_a_site_passes_in_quiet_hours_and_a_few_silent_assets_do_not() -> None:
    """At 23:00 five are silent, at 01:00 all ten: told at once, for five have waited; at 02:00 they are back."""
    told = Told(replace(RULES, quiet=QUIET), TEN)
    told.at(23 * 3600, *silent(*range(5)))
    assert told.until(23 * 3600 + 1, 25 * 3600, step=30) == []
    assert [news(each) for each in told.at(25 * 3600, *silent(*range(5, 10)))] == ["loss: 10 fired"]
    back = told.at(26 * 3600, *silent(*range(10), transition=CLEARED))
    assert [news(each) for each in back] == ["loss: 10 over"]


def test_what_is_left_of_a_loss_is_not_critical_any_more() -> None:
    """Nine of ten come back: four hours after that the last is told again, as a warning, and not at night."""
    told = Told(replace(RULES, quiet=QUIET), TEN)
    told.at(12 * 3600, *silent(*range(10)))
    told.until(12 * 3600 + 1, 12 * 3600 + 60)
    told.at(13 * 3600, *silent(*range(9), transition=CLEARED))
    told.until(13 * 3600 + 1, 34 * 3600, step=60)
    later = [(second // 3600, message(each, "").subject) for second, each in told.tellings[1:]]
    assert later == [
        (13, "plant: no data from 1 of 10 assets"),
        (17, "plant: still no data from 1 of 10 assets"),
        (21, "plant: still no data from 1 of 10 assets"),
        (32, "plant: still no data from 1 of 10 assets"),
    ]


def test_in_quiet_hours_what_is_critical_and_open_is_told_again() -> None:
    """Told at 22:00:30, again at 02:00 and 06:00; a warning of the same asset waits for 08:00."""
    told = Told(replace(RULES, quiet=QUIET))
    told.at(22 * 3600, event(severity="critical"))
    told.at(22 * 3600 + 3_000, event(kind="sensor_stuck", sensor="flow"))
    told.until(22 * 3600 + 1, 32 * 3600 + 61, step=60)
    assert [(second // 3600, [one.news for one in each.told]) for second, each in told.tellings] == [
        (22, ["fired"]),
        (26, ["still"]),
        (30, ["still"]),
        (32, ["fired"]),
    ]


def test_in_quiet_hours_nothing_critical_is_told_again_where_nothing_is_to_pass_or_it_is_known() -> None:
    for rules, *known in (
        (replace(RULES, quiet=QUIET, critical_passes=False),),
        (replace(RULES, quiet=QUIET), event(Transition.ACKNOWLEDGED, severity="critical")),
    ):
        told = Told(rules)
        told.at(21 * 3600, event(severity="critical"))
        told.at(21 * 3600 + 30, *known)
        assert told.until(21 * 3600 + 31, 32 * 3600, step=60) == []


def test_what_is_held_back_in_quiet_hours_is_not_due_before_their_end() -> None:
    """Or its thread would ask again at once, all night."""
    rules, memory = replace(RULES, quiet=QUIET), Memory()
    night = 23 * HOUR
    by.take(memory, rules, event(), night)
    assert by.due(memory, rules, TEN, night) == []
    assert by.next_due(memory) == night + 30 * SECOND
    for later in (30 * SECOND, HOUR, 8 * HOUR):
        assert by.due(memory, rules, TEN, night + later) == []
        assert by.next_due(memory) is None
    assert len(by.due(memory, rules, TEN, night + 9 * HOUR)) == 1
