"""A Kafka in a process of its own, filled with readings before anybody reads.

    python -m benchmarks.speed.fleet_kafka STREAMS BATCHES

makes it, prints its address, and ends when its standard input does. It keeps 5 MB of a partition, compressed, and
a topic has four: so there are several.
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from benchmarks.speed import fleet
from config.fleet import FleetSettings
from tests.servers.kafka import MockKafka

if TYPE_CHECKING:
    from collections.abc import Iterator

TOPICS = [f"readings-{number}" for number in range(6)]


@contextmanager
def kafka(streams: int, batches: int) -> Iterator[str]:
    """Its address, once it is full."""
    command = [sys.executable, "-m", __name__, str(streams), str(batches)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        fleet.beside.add(process.pid)
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()


def main() -> None:
    """Fill it, and wait."""
    streams, batches = map(int, sys.argv[1:])
    server, messages = MockKafka(compression="zstd"), fleet.Messages(streams)
    server.make(*TOPICS, FleetSettings().control_topic)
    for _ in range(batches):
        records = list(zip(*messages.batch(), strict=True))
        for number, topic in enumerate(TOPICS):
            server.send(topic, ((*each[:2], int(each[2])) for each in records[number :: len(TOPICS)]))
    sys.stdout.write(server.address + "\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()
