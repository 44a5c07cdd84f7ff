"""Where Kafka's topics end, by a real client and the broker that comes with it."""

from __future__ import annotations

import importlib.util

import pytest

from monitor.fleet.ends import Ends
from tests.servers import free_port

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("confluent_kafka") is None, reason='needs the extra "fleet"'
)


def test_the_ends_are_those_of_what_was_written() -> None:
    """A topic that is not there has none, and is no mistake: it may be made later."""
    from confluent_kafka import Producer  # noqa: PLC0415 - may be missing

    producer = Producer({"bootstrap.servers": "unused", "test.mock.num.brokers": 1, "log_level": 0})
    [broker] = producer.list_topics(timeout=10).brokers.values()
    for partition, records in ((0, 3), (2, 5)):
        for _ in range(records):
            producer.produce("readings", b"{}", partition=partition)
    producer.flush(10)
    ends = Ends({"bootstrap.servers": f"{broker.host}:{broker.port}"}, ["readings", "later"])
    assert ends() == {"readings": {"0": 3, "1": 0, "2": 5, "3": 0}}


def test_without_kafka_nothing_is_known() -> None:
    ends = Ends({"bootstrap.servers": f"127.0.0.1:{free_port()}", "log_level": "0"}, ["readings"], limit_s=0.2)
    assert ends() is None
