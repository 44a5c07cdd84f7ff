"""A bare number, one sensor a topic (payload = "value"). It has no time of its own: it counts when it came."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from monitor.payloads.reading import Reading
from monitor.payloads.words import short

if TYPE_CHECKING:
    from monitor.payloads.names import Names
    from monitor.records import Message

_NUMBER = re.compile(rb"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


class NumberReader:
    """Reads `812.4`; `null` is a missing value, as it is in JSON."""

    def __init__(self, names: Names) -> None:
        """`names` are the class's: text under another is no reading, and not looked at."""
        self._names = names

    def read(self, message: Message, sensor: str, refused: list[str]) -> list[Reading]:
        """See `Reader`."""
        text = message.payload.strip()
        if text == b"null":
            return [Reading(message.arrival, {sensor: None})]
        value = float(text) if _NUMBER.fullmatch(text) else math.nan
        if math.isfinite(value):
            return [Reading(message.arrival, {sensor: value})]
        if not self._names.refuses(sensor, number=math.isinf(value)):
            return []
        if not text:
            refused.append("payload is empty")
        elif math.isinf(value):
            refused.append(f"{short(sensor)}: number is too large")
        else:
            refused.append(
                f'{short(sensor)}: expected a number, got "{short(text.decode(errors="backslashreplace"))}"'
            )
        return []


def encode_number(value: float) -> bytes:
    """A value as a bare number, which reads back as the same."""
    return repr(float(value)).encode()
