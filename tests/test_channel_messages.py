"""What people read, and what other systems are sent: subjects, texts and bodies."""

from __future__ import annotations

import doctest
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from monitor.channels import bodies, masked, message, quiet
from monitor.channels.rules import Plant
from monitor.records import Transition
from tests.channel_samples import RULES, Told, event

if TYPE_CHECKING:
    from monitor.channels.memory import Telling

PAGE = "https://plant.example"
CLEARED = Transition.CLEARED
HOT, STUCK = event(severity="critical"), event(kind="sensor_stuck", sensor="oil_pressure")


@pytest.mark.parametrize("module", [bodies, masked, quiet])
def test_the_examples_hold(module: object) -> None:
    assert doctest.testmod(module).failed == 0  # type: ignore[arg-type]  # it is a module


def told_at(told: Told, second: int) -> Telling:
    """The one message of that second."""
    (found,) = told.at(second)
    return found


def test_the_life_of_an_assets_incidents_in_subjects() -> None:
    told = Told()
    told.at(0, HOT, STUCK)
    subjects = [message.message(told_at(told, 30), PAGE).subject]
    told.at(60, event(CLEARED, severity="critical", time=60_000))
    subjects.append(message.message(told_at(told, 330), PAGE).subject)
    subjects.append(message.message(told_at(told, 20_000), PAGE).subject)
    told.at(20_100, event(CLEARED, kind="sensor_stuck", sensor="oil_pressure"))
    subjects.append(message.message(told_at(told, 20_300), PAGE).subject)
    assert subjects == [
        "[critical] p1 (plant): 2 incidents",
        "p1 (plant): over: anomaly: coolant temperature, 1 more open",
        "p1 (plant): still open for 5 h 33 min: oil pressure stuck",
        "[over] p1 (plant): oil pressure stuck",
    ]


def test_a_text_says_what_since_when_how_grave_and_where_to_look() -> None:
    told = Told()
    told.at(0, HOT)
    assert message.message(told_at(told, 30), PAGE).text == (
        "p1 (plant): coolant temperature 14 °C above what the others explain\n"
        "Since 1970-01-01 00:00:00 UTC, for 30 s, critical.\n"
        f"{PAGE}/#/incident/{HOT.incident_id}\n"
    )
    told.at(60, event(CLEARED, severity="critical", time=60_000))
    assert message.message(told_at(told, 330), "").text == (
        "p1 (plant): coolant temperature 14 °C above what the others explain\n"
        "It began 1970-01-01 00:00:00 UTC, over since 1970-01-01 00:01:00 UTC: normal again after 2 min.\n"
    )


def test_what_is_told_again_says_so_and_does_not_pass_old_words_for_new() -> None:
    """Four hours later: how long it has been open, and the words of its first seconds as what they are."""
    told = Told()
    told.at(0, HOT)
    told.at(30)
    again = message.message(told_at(told, 30 + 4 * 3600), "")
    assert again.subject == "[critical] p1 (plant): still open for 4 h: anomaly: coolant temperature"
    assert again.text == (
        "p1 (plant): anomaly: coolant temperature\n"
        "Since 1970-01-01 00:00:00 UTC, for 4 h, critical.\n"
        "When it fired: coolant temperature 14 °C above what the others explain\n"
    )


def test_the_subjects_of_a_site_and_of_several_say_that_it_is_still_so() -> None:
    lost, several = Told(plant=Plant({"plant": 5})), Told()
    lost.at(0, *(event(asset=f"plant//p{number}", kind="stale") for number in range(4)))
    several.at(0, HOT, STUCK)
    subjects = [
        message.message(told_at(told, second), "").subject
        for told in (lost, several)
        for second in (30, 30 + 4 * 3600)
    ]
    assert subjects == [
        "[critical] plant: no data from 4 of 5 assets",
        "[critical] plant: still no data from 4 of 5 assets",
        "[critical] p1 (plant): 2 incidents",
        "[critical] p1 (plant): 2 incidents still open",
    ]


def test_a_clock_that_is_ahead_of_ours_gives_no_length_of_time() -> None:
    told = Told()
    told.at(0, event(started=90_000))
    assert "Since 1970-01-01 00:01:30 UTC, warning." in message.message(told_at(told, 30), "").text


def test_a_name_cannot_pass_for_a_line_of_ours() -> None:
    told = Told()
    told.at(0, event(asset="plant//p1\nSubject: all is well"))
    words = message.message(told_at(told, 30), "")
    assert "\n" not in words.subject
    assert words.text.count("\n") == 2


def test_a_site_without_data_and_a_flood_are_a_few_lines_however_many_there_are() -> None:
    told = Told(plant=Plant({"plant": 120}))
    told.at(0, *(event(asset=f"plant/hall/p{number}", kind="stale") for number in range(100)))
    loss = message.message(told_at(told, 30), PAGE)
    assert loss.subject == "[critical] plant: no data from 100 of 120 assets"
    assert "New: 100 x silent; the first since 1970-01-01 00:00:00 UTC, for 30 s." in loss.text
    assert "hall/p19 and 80 more." in loss.text
    assert loss.text.count("\n") == 3

    told = Told()
    grave = {9: "critical"}
    told.at(0, *(event(asset=f"plant//p{each}", severity=grave.get(each, "warning")) for each in range(11)))
    flood = message.message(told_at(told, 30), PAGE)
    assert flood.subject == "[critical] plant: 11 incidents"
    assert "Assets: p9, p0, " in flood.text


def test_a_message_lists_so_many_incidents_and_counts_the_rest() -> None:
    told = Told(replace(RULES, group_by="site", flood=1000))
    told.at(0, *(event(asset=f"plant//p{number}") for number in range(50)))
    text = message.message(told_at(told, 30), PAGE).text
    assert text.count("Since ") == message.LISTED
    assert text.endswith(f"and 30 more: {PAGE}\n")


def test_the_identity_of_an_alert_stays_the_same_while_its_incident_lives() -> None:
    """And two incidents of one asset that differ in kind or sensor are two."""
    fired, over = event(time=1_000), event(CLEARED, time=60_000)
    assert bodies.labels(fired) == bodies.labels(over)
    flow, load = event(kind="sensor_stuck", sensor="flow"), event(kind="sensor_stuck", sensor="load")
    prints = {bodies.fingerprint(bodies.labels(each)) for each in (fired, flow, load)}
    assert len(prints) == 3


def test_an_alert_never_ends_before_it_begins() -> None:
    """Alertmanager refuses those; a silence that ends by an old reading could be one."""
    sent = bodies.alert(event(started=5_000), PAGE, ended=4_000)
    assert sent["endsAt"] > sent["startsAt"]
