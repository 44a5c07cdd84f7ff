"""A plant to try things on: pumps, fans and mixers, published in the layouts that plants have.

`python -m tests.plant LAYOUT mqtt://127.0.0.1:1884 --minutes 30 --fault 20` publishes one of them, a reading a
second, and from the twentieth minute on the pressure of one pump is too low for its flow.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Messages = Iterator[tuple[str, str]]  # topic, payload

HALLS = ("hall-a", "hall-b")


def pump(second: float, number: int, chance: random.Random, *, faulty: bool = False) -> dict[str, float]:
    """Load %, flow l/min, pressure bar and temperature °C of a pump, which belong together."""
    load = 50 + 20 * math.sin(2 * math.pi * second / 90 + number) + 8 * math.sin(2 * math.pi * second / 37)
    pressure = 1 + 0.05 * load - (1.2 if faulty else 0)
    return {
        "load_pct": load + chance.gauss(0, 0.5),
        "flow_lpm": 2 * load + 10 + chance.gauss(0, 1),
        "pressure_bar": pressure + chance.gauss(0, 0.03),
        "temp_c": 40 + 0.3 * load + chance.gauss(0, 0.2),
    }


def namespace(second: int, now: int, chance: random.Random, *, fault: bool = False) -> Messages:
    """A unified namespace: one number a topic, pumps and fans, a counter and a door."""
    del now
    for index, hall in enumerate(HALLS):
        for number in (1, 2):
            topic = f"acme/berlin/{hall}/pump-{number}"
            faulty = fault and (hall, number) == ("hall-b", 2)
            for sensor, value in pump(second, 2 * index + number, chance, faulty=faulty).items():
                yield f"{topic}/{sensor}", f"{value:.3f}"
            yield f"{topic}/starts", str(100 + second)
    for number in (1, 2, 3):
        speed = 900 + 40 * math.sin(second / 20 + number) + chance.gauss(0, 3)
        yield f"acme/berlin/hall-a/fan-{number}/rpm", f"{speed:.1f}"
        yield f"acme/berlin/hall-a/fan-{number}/current_a", f"{speed / 100 + chance.gauss(0, 0.05):.3f}"
    yield "acme/berlin/hall-a/door", "OPEN"


def nested(second: int, now: int, chance: random.Random, *, fault: bool = False) -> Messages:
    """Nested JSON with epoch seconds: three mixers."""
    del fault
    for number in (1, 2, 3):
        motor = {"temp": 58 + chance.gauss(0, 1), "speed": 1500 + chance.gauss(0, 9)}
        body = {"motor": motor, "load": 40 + chance.gauss(0, 3), "running": True}
        yield (
            f"factory/line2/mixer-{number:02}/data",
            json.dumps({"head": {"epoch": now // 1000, "seq": second}, "body": body}),
        )


def telegraf(second: int, now: int, chance: random.Random, *, fault: bool = False) -> Messages:
    """InfluxDB line protocol as Telegraf publishes it: two presses, two measurements each."""
    del fault
    for host in ("press-a", "press-b"):
        pressure, oil = 180 + chance.gauss(0, 2), 44 + chance.gauss(0, 1)
        speed, torque = 980 + chance.gauss(0, 9), 220 + chance.gauss(0, 9)
        stamp = now * 1_000_000
        yield f"telegraf/{host}/hydraulics", f"hydraulics,host={host} pressure={pressure},oil_temp={oil} {stamp}"
        fields = f"rpm={speed},torque_nm={torque},hours={4000 + second / 3600}"
        yield f"telegraf/{host}/drive", f"drive,host={host} {fields} {stamp}"


LAYOUTS: dict[str, Callable[..., Messages]] = {"namespace": namespace, "nested": nested, "telegraf": telegraf}


def main() -> None:
    """Publish until the time is over or Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("layout", choices=LAYOUTS)
    parser.add_argument("broker")
    parser.add_argument("--minutes", type=float, default=math.inf)
    parser.add_argument("--fault", type=float, default=math.inf, metavar="MINUTE")
    options = parser.parse_args()
    url, chance = urlsplit(options.broker), random.Random(1)  # noqa: S311 - noise
    client = Client(CallbackAPIVersion.VERSION2)
    client.connect(url.hostname or "127.0.0.1", url.port or 1883)
    client.loop_start()
    began = time.time()
    second = 0
    while second < options.minutes * 60:
        fault = second >= options.fault * 60
        for topic, payload in LAYOUTS[options.layout](second, time.time_ns() // 1_000_000, chance, fault=fault):
            client.publish(topic, payload, 1)
        second += 1
        time.sleep(max(0.0, began + second - time.time()))
    client.disconnect()


if __name__ == "__main__":
    main()
