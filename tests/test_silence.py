"""Silence: stale by time or by last will, offline by goodbye, and nobody's fault while the broker is not heard."""

from __future__ import annotations

from monitor.alert import Phase, frozen, report, watch
from monitor.incident import Moment, incident_id
from tests.alert_watch import KEYS, ONE, Watch


def test_silence_is_an_alert_of_its_own_and_ends_when_the_stream_is_heard() -> None:
    watch_ = Watch()
    watch_.arrive(10_000)
    assert watch_.look(70_000) == []
    assert watch_.look(70_001) == [("plant//a", "fired")]
    assert watch_.look(90_000) == []
    watch_.arrive(95_000)
    assert watch_.look(95_001) == [("plant//a", "cleared")]


def test_a_stale_incident_began_with_the_last_event_time() -> None:
    watch_ = Watch()
    watch_.arrive(10_000)
    (event,) = watch(watch_.state, watch_.rule, watch_.heard, watch_.newest, 0, Moment(KEYS, 80_000))
    assert (event.kind, event.started, event.time, event.recorded) == ("stale", 9900, 9900, 80_000)
    assert event.incident_id == incident_id("plant//a", "stale", "", 9900)


def test_a_stream_that_was_never_heard_is_not_missed() -> None:
    assert Watch().look(10**9) == []


def test_a_last_will_makes_it_stale_at_once_and_a_later_reading_ends_that() -> None:
    watch_ = Watch()
    watch_.arrive(10_000)
    report(watch_.state, 0, 11_000, online=False, goodbye=False)
    assert watch_.look(11_001) == [("plant//a", "fired")]
    watch_.arrive(10_900)  # on its way since before the will
    assert watch_.look(11_002) == []
    watch_.arrive(12_000)
    assert watch_.look(12_001) == [("plant//a", "cleared")]


def test_online_again_it_is_not_stale_while_its_last_reading_is_recent() -> None:
    watch_ = Watch()
    watch_.arrive(10_000)
    report(watch_.state, 0, 11_000, online=False, goodbye=False)
    watch_.look(11_001)
    report(watch_.state, 0, 12_000, online=True, goodbye=False)
    assert watch_.look(12_001) == [("plant//a", "cleared")]


def test_a_stream_that_said_goodbye_is_offline_and_no_alert() -> None:
    """However long; when it comes back its silence counts again."""
    watch_ = Watch()
    watch_.arrive(10_000)
    report(watch_.state, 0, 11_000, online=False, goodbye=True)
    assert watch_.look(10**7) == []
    watch_.arrive(10**7)
    assert watch_.look(10**7 + 60_001) == [("plant//a", "fired")]


def test_a_goodbye_ends_a_stale_alert() -> None:
    watch_ = Watch()
    watch_.arrive(10_000)
    watch_.look(80_000)
    report(watch_.state, 0, 81_000, online=False, goodbye=True)
    assert watch_.look(81_001) == [("plant//a", "cleared")]


def test_while_the_broker_cannot_be_heard_silence_is_nobodys_fault() -> None:
    """And it counts only from when the broker is heard again."""
    watch_ = Watch()
    watch_.arrive(10_000)
    assert watch_.look(500_000, since=None) == []
    assert watch_.look(560_000, since=500_001) == []
    assert watch_.look(560_002, since=500_001) == [("plant//a", "fired")]


def test_a_broker_that_is_heard_again_has_not_said_that_the_stream_is_there() -> None:
    """A stale alert neither clears nor repeats with every restart of the daemon."""
    watch_ = Watch()
    watch_.arrive(10_000)
    assert watch_.look(100_000) == [("plant//a", "fired")]
    assert watch_.look(200_000, since=None) == []
    assert watch_.look(300_000, since=299_000) == []
    assert watch_.look(400_000, since=299_000) == []
    watch_.arrive(401_000)
    assert watch_.look(401_001, since=299_000) == [("plant//a", "cleared")]


def test_silence_leaves_an_open_anomaly_as_it_is() -> None:
    watch_ = Watch()
    watch_.fire()
    watch_.arrive(4000)
    assert watch_.look(100_000) == [("plant//a", "fired")]
    assert watch_.phase() == Phase.FIRING
    watch_.arrive(101_000)
    assert watch_.look(101_001) == [("plant//a", "cleared")]
    assert watch_.phase() == Phase.FIRING


def test_a_stale_stream_does_not_freeze_its_threshold() -> None:
    watch_ = Watch()
    watch_.arrive(0)
    assert watch_.look(100_000) == [("plant//a", "fired")]
    assert frozen(watch_.state, ONE).tolist() == [False]
