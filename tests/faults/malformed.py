"""Messages of every convention that are not as they should be: cut short, garbled, of other types, no such."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from monitor.decode import encode_telemetry
from monitor.payloads.line import encode_line
from monitor.payloads.number import encode_number
from monitor.payloads.sparkplug_schema import DOUBLE, Metric, encode_payload
from monitor.records import Message

if TYPE_CHECKING:
    import random

TOPICS = {
    "ours": "enginewatch/v1/ours/pump-{asset}/telemetry",
    "value": "value/plant/pump-{asset}/load",
    "paths": "paths/plant/pump-{asset}",
    "line": "line/plant/pump-{asset}",
    "sparkplug": "spBv1.0/plant/DDATA/hall/pump-{asset}",
}
ASSETS = 20
NO_SUCH_THING = (
    *(b"", b"\x00", b"\xff\xfe\x00", b"null", b"true", b"[]", b"{}", b'"load"', b"NaN", b"-", b"1e999"),
    *(b"[" * 2_000, b'{"values":' * 500, b"{" * 2_000, b"9" * 400, b"9" * 5_000, b'"\\ud800"', b"\x08" * 300),
    *(b'{"ts":1}', b'{"values":{"load":1}}', b'{"ts":null,"values":null}', b'{"ts":[],"values":[]}'),
    *(b"load", b"load=", b"=1", b"m load=1 1 1", b"m,=,= ==", b'm load="', b"m load=1i2", b"\n\n#\n"),
)
LITERALS: tuple[object, ...] = (
    *(None, True, "fifty", "", [], [1.0], {}, {"load": 1}, 10**400, -1, 1e39, float("nan"), "\x00"),
)


class Malformed:
    """Makes them, each with one value to begin with."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._now = int(time.time() * 1000)
        self._number = 0

    def message(self) -> Message:
        """The next one."""
        chance = self._chance
        self._number += 1
        name = chance.choice([*TOPICS])
        good = self._good(name)
        match chance.randrange(5):
            case 0:
                payload = good[: chance.randrange(len(good))]
            case 1:
                garbled = bytearray(good)
                for _ in range(chance.randint(1, 3)):
                    garbled[chance.randrange(len(garbled))] = chance.randrange(256)
                payload = bytes(garbled)
            case 2:
                payload = chance.choice(NO_SUCH_THING)
            case 3:
                payload = self._of_other_types(name)
            case _:
                payload = chance.randbytes(chance.randint(1, 60))
        topic = TOPICS[name].format(asset=chance.randrange(ASSETS)).encode()
        return Message(topic, payload, self._now + self._number, len(payload))

    def _good(self, name: str) -> bytes:
        value, now = round(self._chance.uniform(1, 99), 3), self._now + self._number
        match name:
            case "ours":
                return encode_telemetry(time=now, boot="b", seq=self._number, values={"load": value})
            case "value":
                return encode_number(value)
            case "paths":
                return json.dumps({"t": now, "d": {"load": value}}).encode()
            case "line":
                return encode_line("pumps", {"of": "plant"}, {"load": value}, now)
            case _:
                return encode_payload(
                    now, self._number % 256, [Metric("load", None, None, DOUBLE, value, null=False)]
                )

    def _of_other_types(self, name: str) -> bytes:
        first, second = self._chance.choice(LITERALS), self._chance.choice(LITERALS)
        if name == "paths":
            return json.dumps({"t": first, "d": {"load": second}}).encode()
        if name == "ours":
            return json.dumps({"v": 1, "ts": first, "values": {"load": second}}).encode()
        if name == "line":
            return f"pumps load={first} {second}".encode()
        return json.dumps(first).encode()
