"""What channels do about clocks that are set back, and messages of which nobody knows whether they arrived."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.channels import rules as by
from monitor.channels.memory import Item, Memory, Telling
from monitor.channels.rules import Plant
from monitor.records import AlertEvent, Transition
from tests.channel_samples import HOUR, RULES, SECOND, Told, event, news

ACK, CLEARED, SHELVED, UNSHELVED = (
    Transition.ACKNOWLEDGED,
    Transition.CLEARED,
    Transition.SHELVED,
    Transition.UNSHELVED,
)
SITE = replace(RULES, group_by="site")
DAY = 24 * 3600


def test_a_clock_that_is_set_back_mutes_nothing() -> None:
    """Told, then set back by a day: a new incident of the asset is told 5 min later, a repeat 4 h after that."""
    told = Told()
    told.at(10 * DAY, event())
    told.at(10 * DAY + 30)
    told.at(9 * DAY, event(kind="stale"))
    assert told.until(9 * DAY + 1, 9 * DAY + 400) == [(9 * DAY + 300, "incidents: 1 fired 1 still")]
    again = told.until(9 * DAY + 400, 9 * DAY + 5 * 3600, step=10)
    assert again == [(9 * DAY + 300 + 4 * 3600, "incidents: 2 still")]


def test_what_waits_while_the_clock_is_set_back_waits_no_longer_than_it_would() -> None:
    told = Told()
    told.at(10 * DAY, event())
    assert told.until(9 * DAY, 9 * DAY + 60) == [(9 * DAY + 30, "incidents: 1 fired")]


def test_a_flood_ends_after_the_clock_is_set_back() -> None:
    """Eleven incidents were a flood; ten minutes after the clock was set back the next one is told by itself."""
    told = Told(plant=Plant({"plant": 100}))
    told.at(10 * DAY, *(event(asset=f"plant//p{number}") for number in range(11)))
    told.at(10 * DAY + 30)
    told.at(9 * DAY)
    told.at(9 * DAY + 601, event(asset="plant//late"))
    assert told.until(9 * DAY + 602, 9 * DAY + 700) == [(9 * DAY + 631, "incidents: 1 fired")]


def begun(memory: Memory, now: int) -> Telling:
    """The one message that is due, of which nobody hears whether it arrived; the daemon is started anew."""
    (telling,) = by.due(memory, SITE, Plant({}), now)
    by.begun(memory, telling)
    stored = msgspec.json.decode(msgspec.json.encode(memory), type=Memory)
    memory.items, memory.groups, memory.under_way = stored.items, stored.groups, stored.under_way
    return telling


def test_a_message_that_may_have_arrived_is_told_as_it_was_whatever_joins_it() -> None:
    """The second incident of the group comes in doubt: the first is told with its key, the second 5 min later."""
    memory = Memory()
    by.take(memory, SITE, event(), 0)
    by.due(memory, SITE, Plant({}), 0)
    first = begun(memory, 30 * SECOND)
    by.take(memory, SITE, event(asset="plant//p2"), 40 * SECOND)
    again = begun(memory, 50 * SECOND)
    assert again == first
    by.told(memory, again, 60 * SECOND)
    assert by.due(memory, SITE, Plant({}), 61 * SECOND) == []
    (second,) = by.due(memory, SITE, Plant({}), 361 * SECOND)
    told = [(each.item.stream, each.news) for each in second.told]
    assert told == [("plant//p2", "fired"), ("plant//p1", "still")]
    assert second.key != first.key


def test_a_message_that_was_refused_is_told_with_what_has_joined_it() -> None:
    memory = Memory()
    by.take(memory, SITE, event(), 0)
    by.due(memory, SITE, Plant({}), 0)
    by.refused(memory, begun(memory, 30 * SECOND))
    by.take(memory, SITE, event(asset="plant//p2"), 40 * SECOND)
    assert news(begun(memory, 50 * SECOND)) == "incidents: 2 fired"


def test_what_is_acknowledged_and_over_while_its_message_is_in_doubt_gets_its_end() -> None:
    memory = Memory()
    by.take(memory, SITE, event(), 0)
    by.due(memory, SITE, Plant({}), 0)
    begun(memory, 30 * SECOND)
    for transition in (ACK, CLEARED):
        by.take(memory, SITE, event(transition), 40 * SECOND)
    by.told(memory, begun(memory, 50 * SECOND), 50 * SECOND)
    by.due(memory, SITE, Plant({}), 51 * SECOND)
    assert news(begun(memory, 351 * SECOND)) == "incidents: 1 over"


def test_what_is_in_doubt_does_not_become_part_of_a_loss() -> None:
    """One of three is silent, and its message in doubt; then the others are: of the loss it is no part."""
    memory, plant = Memory(), Plant({"plant": 3})
    by.take(memory, SITE, event(asset="plant//p0", kind="stale"), 0)
    by.due(memory, SITE, plant, 0)
    first = begun(memory, 30 * SECOND)
    for number in (1, 2):
        by.take(memory, SITE, event(asset=f"plant//p{number}", kind="stale"), 40 * SECOND)
    by.due(memory, SITE, plant, 40 * SECOND)
    again, loss = by.due(memory, SITE, plant, 70 * SECOND)
    assert again == first
    assert (loss.form, [each.item.stream for each in loss.told]) == ("loss", ["plant//p1", "plant//p2"])


STEPS = st.lists(
    st.tuples(
        st.integers(-500, 1_000),  # seconds to the next step: the clock may be set back
        st.sampled_from(["a//1", "a//2", "a//3", "b//1"]),
        st.sampled_from(["anomaly", "stale", "sensor_stuck"]),
        st.sampled_from(["fire", "fire", "clear", ACK, SHELVED, UNSHELVED]),
        st.sampled_from(["taken", "taken", "refused", "doubt"]),
    ),
    max_size=40,
)


@given(STEPS, st.booleans())
@settings(max_examples=150, deadline=None)
def test_a_key_is_always_of_the_same_message_and_each_beginning_that_arrived_gets_one_end(
    steps: list[tuple[int, str, str, str, str]], critical_only: bool
) -> None:
    """For a receiver that knows the keys it has had, whatever happens to messages on their way."""
    rules, plant, memory = replace(SITE, flood=3, critical_only=critical_only), Plant({"a": 3, "b": 1}), Memory()
    now, is_open, arrived = 100 * HOUR, dict[tuple[str, str], int](), dict[str, Telling]()

    def turn(fate: str) -> None:
        in_doubt = set(memory.under_way)
        for telling in by.due(memory, rules, plant, now):
            by.begun(memory, telling)
            if fate == "refused":
                if telling.key not in in_doubt:
                    by.refused(memory, telling)
                continue
            told_before = arrived.setdefault(telling.key, telling)
            assert [(one.item.incident, one.news) for one in told_before.told] == [
                (one.item.incident, one.news) for one in telling.told
            ]
            if fate == "taken":
                by.told(memory, telling, now)
        soonest = by.next_due(memory)
        assert fate != "taken" or soonest is None or soonest > now

    for number, (pause, asset, kind, what, fate) in enumerate(steps):
        now += pause * SECOND
        began = is_open.get((asset, kind))
        sensor = "flow" if kind.startswith("sensor") else ""
        severity = "critical" if kind == "anomaly" else "warning"
        if what == "fire" and began is None:
            is_open[asset, kind] = number
            by.take(memory, rules, _event(Transition.FIRED, asset, kind, sensor, severity, number), now)
        elif what != "fire" and began is not None:
            transition = CLEARED if what == "clear" else Transition(what)
            by.take(memory, rules, _event(transition, asset, kind, sensor, severity, began), now)
            if what == "clear":
                del is_open[asset, kind]
        turn(fate)
    for (asset, kind), began in is_open.items():
        by.take(memory, rules, _event(CLEARED, asset, kind, "flow" if "sensor" in kind else "", "", began), now)
    for _ in range(20):
        now += 400 * SECOND
        turn("taken")
    told = [(each.item.incident, each.news) for telling in arrived.values() for each in telling.told]
    incidents = {incident for incident, _ in told}
    assert all(told.count((incident, "over")) == 1 for incident in incidents)
    assert all(told.count((incident, "fired")) <= 1 for incident in incidents)
    assert memory == Memory()


def _event(transition: Transition, asset: str, kind: str, sensor: str, severity: str, began: int) -> AlertEvent:
    return event(transition, asset=asset, kind=kind, sensor=sensor, severity=severity, started=began)


class Counting(dict[str, Item]):
    """Incidents that count how often somebody goes through all of them."""

    walks = 0

    def values(self) -> Any:
        self.walks += 1
        return super().values()


def test_how_often_all_incidents_are_looked_through_does_not_depend_on_how_many_groups_there_are() -> None:
    """Each group has a faulty sensor, and whether its asset is silent is known of all at once."""
    walks = []
    for groups in (2, 50):
        memory, rules = Memory(items=Counting()), replace(RULES, flood=100)
        for number in range(groups):
            by.take(memory, rules, event(asset=f"a//{number}", kind="sensor_stuck", sensor="flow"), 0)
        by.due(memory, rules, Plant({"a": groups}), 0)
        assert isinstance(memory.items, Counting)
        walks.append(memory.items.walks)
    assert walks[0] == walks[1]
