"""How readings are laid out in messages: ours, or as other plants publish them. Pure.

`message` is our own: one message an asset and tick. `sensor` is a unified namespace, one sensor a topic with its
value and time; `number` is the same with a bare number; `line` is InfluxDB line protocol as Telegraf publishes it.
docs/payloads.md has the settings that read each.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from monitor.decode import TELEMETRY_TOPIC, encode_telemetry, fill
from monitor.payloads.line import encode_line
from monitor.payloads.number import encode_number
from monitor.payloads.paths import encode_value

if TYPE_CHECKING:
    from collections.abc import Mapping

LAYOUTS = ("message", "sensor", "number", "line")
SENSOR_TOPIC = "{root}/uns/{site}/{asset}/{sensor}"
LINE_TOPIC = "{root}/line/{site}/{asset}"


class Laid(NamedTuple):
    """One message of a reading."""

    topic: str
    payload: bytes
    values: int  # how many values are in it


def lay_out(
    layout: str, names: Mapping[str, str], time: int, values: Mapping[str, float], *, boot: str, seq: int
) -> list[Laid]:
    """The messages of one reading (epoch ms; NaN = missing, which only our own layout has a message for).

    `names` fill the topic: root, site, area and asset.
    """
    there = {name: value for name, value in values.items() if not math.isnan(value)}
    if layout == "message":
        payload = encode_telemetry(time=time, boot=boot, seq=seq, values=values)
        return [Laid(fill(TELEMETRY_TOPIC, **names), payload, len(there))]
    if layout == "line":
        payload = encode_line("engine", {"host": names["asset"]}, there, time)
        return [Laid(fill(LINE_TOPIC, **names), payload, len(there))] if there else []
    return [
        Laid(
            fill(SENSOR_TOPIC, sensor=sensor, **names),
            encode_value(time, value) if layout == "sensor" else encode_number(value),
            1,
        )
        for sensor, value in there.items()
    ]
