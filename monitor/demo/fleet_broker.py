"""A Kafka on loopback for the demo of a fleet: librdkafka's own mock cluster, in a process of its own.

It keeps what is produced in memory, the newest 5 MB of each partition as compressed, and makes topics of four
partitions. It is for trials: it ends with its process and forgets everything.
"""

from __future__ import annotations

import re
import signal
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

SAYS = re.compile(r"(?m)^kafka at (\S+)$")
ANSWER_LIMIT_S = 10.0
MADE_S = 0.05


def command(*topics: str) -> list[str]:
    """How the process is started; it has these topics by the time it says where it is."""
    return [sys.executable, "-m", "monitor.demo.fleet_broker", *topics]


def address_in(said: str) -> str | None:
    r"""HOST:PORT, once the process has said it.

    >>> address_in("kafka at 127.0.0.1:40123\n")
    '127.0.0.1:40123'
    """
    found = SAYS.search(said)
    return found[1] if found else None


def main(topics: Sequence[str]) -> None:
    """Be the broker until a signal ends it."""
    from confluent_kafka import Producer  # noqa: PLC0415 - whoever looks for the address needs none of it

    ended = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ended)  # before there are threads, so that we alone are told
    # What it says of the mock is of no use to a reader, and is said at the level of a critical error.
    owner = Producer({"bootstrap.servers": "unused", "test.mock.num.brokers": 1, "log_level": 0})
    (broker,) = owner.list_topics(timeout=ANSWER_LIMIT_S).brokers.values()
    for topic in topics:
        while owner.list_topics(topic, timeout=ANSWER_LIMIT_S).topics[topic].error is not None:
            time.sleep(MADE_S)  # it is made as it is asked for, and answers soon after
    sys.stdout.write(f"kafka at {broker.host}:{broker.port}\n")
    sys.stdout.flush()
    signal.sigwait(ended)


if __name__ == "__main__":
    main(sys.argv[1:])
