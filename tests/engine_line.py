"""A daemon with the model that comes with the package, and an engine for it that reports at once and goes on."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from config.files import load_asset_file
from config.shipped import asset_file
from monitor.decode import encode_telemetry
from tests.servers.peers import Peer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.brokers import Broker

TOPIC = "enginewatch/v1/plant/{}/telemetry"
ENGINE = """
[mqtt]
host = "{broker.host}"
port = {broker.port}
[[classes]]
name = "engine"
model = "pretrained:engine"
[influx]
url = "{influx.url}"
bucket = "engines"
[store]
max_bytes = 10_000_000
journal_max_bytes = 10_000_000
[log]
format = "json"
"""


@contextmanager
def engine(broker: Broker) -> Iterator[None]:
    """An engine that reports every half second, after half a minute that it kept back."""
    sensors = load_asset_file(asset_file(Path("pretrained:engine"))).sensors
    random = np.random.default_rng(1)
    stop = threading.Event()

    def reading(at: int) -> bytes:
        middles = {each.name: ((each.min or 0) + (each.max or 1)) / 2 for each in sensors}
        values = {name: float(middle * random.uniform(0.99, 1.01)) for name, middle in middles.items()}
        return encode_telemetry(time=at, boot="b", seq=0, values=values)

    def go() -> None:
        with Peer(broker) as peer:
            now = round(time.time() * 1000)
            peer.publish_all(TOPIC.format("p1"), [reading(at) for at in range(now - 35_000, now, 500)])
            while not stop.wait(0.5):
                peer.publish(TOPIC.format("p1"), reading(round(time.time() * 1000)))

    thread = threading.Thread(target=go)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
