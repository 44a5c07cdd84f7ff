"""Transitions on Kafka and on to MQTT: each once and in order, whoever repeats a batch or starts anew."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from config.fleet import FleetSettings
from config.notify import NotifySettings
from config.settings import MqttSettings
from monitor.notify import Notifier
from monitor.records import Transition
from tests.servers.kafka import MockKafka
from tests.servers.peers import Peer, wait_until
from tests.store_samples import transition

pytest.importorskip("confluent_kafka", reason='needs the extra "fleet"')
pytest.importorskip("pyspark", reason='needs the extra "fleet"')

from monitor.fleet.alerts import AlertLog
from monitor.fleet.kafka import FleetError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitor.records import AlertEvent
    from tests.servers.brokers import Broker

FIRED, CLEARED = transition(Transition.FIRED), transition(Transition.CLEARED, 60)
OTHER = transition(Transition.FIRED, 10, incident="i2")


@pytest.fixture
def kafka() -> MockKafka:
    made = MockKafka()
    made.make(FleetSettings().alert_topic)
    return made


@contextmanager
def log(kafka: MockKafka, *, delivers: bool = True) -> Iterator[AlertLog]:
    opened = AlertLog(FleetSettings(brokers=kafka.address, options=("log_level=0",)), delivers=delivers)
    try:
        yield opened
    finally:
        opened.close()


def on_topic(kafka: MockKafka) -> list[str]:
    return [json.loads(each.value())["event_id"] for each in kafka.read(FleetSettings().alert_topic)]


def test_a_batch_that_is_repeated_writes_nothing_twice(kafka: MockKafka) -> None:
    """By the same driver, and by the one after it, which has told only a part of it."""
    with log(kafka) as first:
        assert first.publish([FIRED]) == 1
        assert first.publish([FIRED]) == 0
    with log(kafka) as second:
        assert second.publish([FIRED, OTHER, CLEARED]) == 2
    assert on_topic(kafka) == [each.event_id for each in (FIRED, OTHER, CLEARED)]
    keys = {each.key() for each in kafka.read(FleetSettings().alert_topic)}
    assert keys == {FIRED.stream.encode()}


def test_a_new_driver_knows_what_is_open(kafka: MockKafka) -> None:
    with log(kafka) as first:
        first.publish([FIRED, OTHER, CLEARED])
    with log(kafka) as second:
        assert [each.incident_id for each in second.open_incidents()] == ["i2"]
        assert second.open_incidents("another//asset") == []


def test_what_somebody_else_wrote_there_is_passed_over(kafka: MockKafka) -> None:
    kafka.send(FleetSettings().alert_topic, [(None, b"{}", 0), (None, None, 0)], partition=0)
    with log(kafka) as opened:
        assert opened.publish([FIRED]) == 1


def test_without_kafka_it_says_what_to_look_at() -> None:
    from monitor.fleet import kafka as room  # noqa: PLC0415 - its patience is for users

    before, room.ASKED_S = room.ASKED_S, 0.3
    try:
        with pytest.raises(FleetError, match=r"fleet\.brokers"):
            AlertLog(FleetSettings(brokers="127.0.0.1:9", options=("log_level=0",)), delivers=False)
    finally:
        room.ASKED_S = before


def test_transitions_go_on_to_mqtt_once_also_by_the_next_driver(kafka: MockKafka, broker: Broker) -> None:
    """The position is Kafka's: what was delivered before is not delivered again, what was not comes."""
    mqtt = MqttSettings(host=broker.host, port=broker.port)
    topic = "enginewatch/v1/plant/pump-1/alert"

    def told(peer: Peer) -> list[str]:
        return [json.loads(payload)["event_id"] for at, payload, _ in peer.messages if at == f"{topic}/event"]

    def notify(opened: AlertLog, peer: Peer, *wanted: AlertEvent) -> None:
        notifier = Notifier(NotifySettings(), mqtt, "fleet", opened)
        notifier.start()
        try:
            wait_until(lambda: told(peer) == [each.event_id for each in wanted])
            wait_until(lambda: not notifier.lag)
        finally:
            notifier.stop()

    with Peer(broker, "enginewatch/#") as peer:
        with log(kafka) as first:
            first.publish([FIRED])
            notify(first, peer, FIRED)
            first.publish([OTHER])  # and the driver ends
        with log(kafka) as second:
            assert [event.event_id for _, event in second.events_after(second.position("notify"), 10)] == [
                OTHER.event_id
            ]
            second.publish([CLEARED])
            notify(second, peer, FIRED, OTHER, CLEARED)
        wait_until(lambda: [each["incident_id"] for each in peer.last(topic)] == ["i2"])


def test_what_was_not_delivered_before_a_new_fleet_s_driver_ended_comes_by_the_next(kafka: MockKafka) -> None:
    """Nothing was delivered ever, so that Kafka had no position of it."""
    with log(kafka) as first:
        first.publish([FIRED, OTHER])
    with log(kafka) as second:
        waiting = second.events_after(second.position("notify"), 10)
    assert [event.event_id for _, event in waiting] == [FIRED.event_id, OTHER.event_id]


def test_where_nobody_is_told_nothing_waits_and_who_is_told_later_hears_of_what_comes_then(
    kafka: MockKafka,
) -> None:
    """A driver runs for months, and keeps of all its transitions only what is open."""
    with log(kafka, delivers=False) as silent:
        silent.publish([FIRED])
        assert silent.events_after(0, 10) == []
        assert [each.incident_id for each in silent.open_incidents()] == ["i1"]
    with log(kafka) as first:
        first.publish([OTHER])
        assert [event for _, event in first.events_after(first.position("notify"), 10)] == [OTHER]
