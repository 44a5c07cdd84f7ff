"""Our own JSON: one message an asset and tick, or a gateway's list of them (payload = "json")."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec.structs import astuple

from monitor.payloads.reading import Reading
from monitor.payloads.times import EARLIEST_MS, LATEST_MS, in_range
from monitor.payloads.words import NotJsonError, kind, parse_leniently, short, value_fault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.payloads.names import Names
    from monitor.records import Message

MOST_AT_ONCE = 100  # sensors: of more, a reading may well name a few only
IN_RANGE = msgspec.Meta(ge=EARLIEST_MS, le=LATEST_MS)


class _Telemetry(msgspec.Struct):
    values: dict[str, float | None]
    ts: int | None = None
    v: int = 1


_TELEMETRY = msgspec.json.Decoder(_Telemetry | list[_Telemetry])


class AtOnceReader:
    """Reads what holds nothing but the sensors of a class, as most does: straight into their order."""

    def __init__(self, sensors: Sequence[str], *, arrival_time: bool) -> None:
        """`sensors` are the published names. Raises ValueError where they cannot be read so."""
        if len(sensors) > MOST_AT_ONCE:
            raise ValueError("too many sensors")
        columns = [(f"s{number}", float | None, math.nan) for number in range(len(sensors))]
        names = {f"s{number}": name for number, name in enumerate(sensors)}
        values = msgspec.defstruct("Values", columns, rename=names, forbid_unknown_fields=True, gc=False)
        # What `_fault` would find is an error here.
        time = ("ts", int | None, None) if arrival_time else ("ts", Annotated[int, IN_RANGE])
        one = msgspec.defstruct("One", [("values", values), time, ("v", Literal[1], 1)], gc=False, kw_only=True)
        self._decode = msgspec.json.Decoder(one | list[one]).decode  # type: ignore[valid-type]  # made just now
        self._arrival_time = arrival_time

    def take(self, message: Message, time: list[int], values: list[float | None]) -> int:
        """Append the times of a message's readings, and their values, those of one behind those of the other.

        Returns how many readings these are; -1, and nothing is appended, where `OursReader` has to look.
        """
        try:
            decoded: Any = self._decode(message.payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return -1
        if self._arrival_time and not in_range(message.arrival):
            return -1
        if type(decoded) is not list:  # most are single
            time.append(message.arrival if self._arrival_time else decoded.ts)
            values += astuple(decoded.values)
            return 1
        for each in decoded:
            time.append(message.arrival if self._arrival_time else each.ts)
            values += astuple(each.values)
        return len(decoded)


class OursReader:
    """Reads `{"v":1,"ts":…,"values":{…}}`, or a list of these."""

    def __init__(self, names: Names, *, arrival_time: bool) -> None:
        """With `arrival_time` a reading's time is when it came, whatever `ts` says."""
        self._names = names
        self._arrival_time = arrival_time

    def read(self, message: Message, sensor: str, refused: list[str]) -> list[Reading]:  # noqa: ARG002 - it holds all of them
        """See `Reader`."""
        try:
            decoded = _TELEMETRY.decode(message.payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self._salvage(message, refused)
        readings = []
        for item in decoded if isinstance(decoded, list) else [decoded]:
            time = message.arrival if self._arrival_time else item.ts
            reason = _fault(item.v, time)
            if reason or time is None:
                refused.append(reason)
            else:
                readings.append(Reading(time, item.values))
        return readings

    def _salvage(self, message: Message, refused: list[str]) -> list[Reading]:
        """What is usable of a payload that is not as it should be.

        A reading that is of no use is one reason, whatever its values are; one of bad values only is none.
        """
        try:
            parsed = parse_leniently(message.payload)
        except NotJsonError as error:
            refused.append(str(error))
            return []
        readings = []
        for item in parsed if isinstance(parsed, list) else [parsed]:
            reason = _shape_fault(item)
            if not reason:
                time, version = message.arrival if self._arrival_time else item.get("ts"), item.get("v", 1)
                reason = _type_fault("ts", time) or _type_fault("v", version) or _fault(version, time)
            if reason:
                refused.append(reason)
                continue
            values: dict[str, float | None] = {}
            for name, value in item["values"].items():
                fault = value_fault(value)
                if not fault:
                    values[name] = None if value is None else float(value)
                elif not self._names.ignores(name):
                    refused.append(f"{short(name)}: {fault}")
            if values or not item["values"]:
                readings.append(Reading(time, values))
        return readings


def _fault(version: int, time: int | None) -> str:
    if version != 1:
        return f"payload version {short(version)} is unknown"
    if time is None:
        return "ts is missing"
    if not in_range(time):
        return f"ts {short(time)} is not in epoch milliseconds"
    return ""


def _shape_fault(item: Any) -> str:
    if not isinstance(item, dict):
        return f"expected an object, got {kind(item)}"
    if not isinstance(item.get("values"), dict):
        return "values is missing" if "values" not in item else f"values is {kind(item['values'])}"
    return ""


def _type_fault(name: str, value: Any) -> str:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        return f"{name} is {kind(value)}, expected an integer"
    return ""
