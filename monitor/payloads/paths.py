"""Any JSON, by dotted paths to its time and its values (payload = "paths").

A path names keys, and places in lists by their number: `data.0.rpm`. The empty path is the whole. What is not
found in a reading itself is looked for beside the list of readings: a gateway often gives one time for all.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from monitor.payloads.reading import Reading, gathered
from monitor.payloads.times import TimeFormat, read_time
from monitor.payloads.words import LONGEST_NAME, NotJsonError, is_name, kind, parse, short, value_fault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitor.payloads.names import Names
    from monitor.records import Message

_ABSENT = object()
_PLACE = re.compile(r"[0-9]{1,9}")  # in a list


@dataclass(frozen=True, slots=True)
class Paths:
    """Where the JSON of an asset class holds what."""

    items: str = ""  # the reading, or the list of them
    time: str = "ts"
    time_format: TimeFormat = "ms"
    values: str = "values"  # an object sensor -> number
    value: str = ""  # the one value; empty: there is an object of them
    sensor: str = ""  # its sensor's name; empty: the topic names it
    asset: str = ""  # the asset's name; empty: the topic names it


class PathsReader:
    """Reads JSON by the paths of its class."""

    def __init__(self, paths: Paths, names: Names, *, arrival_time: bool) -> None:
        """`names` are the class's: what goes by another and is no number is not looked at."""
        self._paths = paths
        self._names = names
        self._arrival_time = arrival_time
        self._items = _parts(paths.items)
        self._time = _parts(paths.time)
        self._values = _parts(paths.values)
        self._value = _parts(paths.value)
        self._sensor = _parts(paths.sensor)
        self._asset = _parts(paths.asset)
        # Where the reading itself is the object of values, these of its keys are none.
        named = (self._time, self._sensor, self._asset)
        self._aside = {parts[0] for parts in named if parts} if not paths.values else set()

    def read(self, message: Message, sensor: str, refused: list[str]) -> list[Reading]:
        """See `Reader`."""
        try:
            whole = parse(message.payload)
        except NotJsonError as error:
            refused.append(str(error))
            return []
        found = _at(whole, self._items)
        if found is _ABSENT:
            refused.append(f"{self._paths.items} is missing")
            return []
        cells: list[tuple[int, str, str, float | None]] = []
        readings: list[Reading] = []
        for item in _flat(found):
            time = self._time_of(item, whole, message)
            asset = self._name(item, whole, self._asset, "asset")
            reason = time if isinstance(time, str) else asset.fault
            if reason:
                refused.append(reason)
            elif self._value:
                self._one(item, whole, int(time), asset.text, sensor, cells, refused)
            else:
                self._several(item, int(time), asset.text, readings, refused)
        return readings or gathered(cells)

    def _time_of(self, item: Any, whole: Any, message: Message) -> int | str:
        if self._arrival_time:
            return message.arrival
        return read_time(_beside(item, whole, self._time), self._paths.time_format, self._paths.time)

    def _one(
        self,
        item: Any,
        whole: Any,
        time: int,
        asset: str,
        sensor: str,
        cells: list[tuple[int, str, str, float | None]],
        refused: list[str],
    ) -> None:
        """The one value of a reading."""
        if self._sensor:
            named = self._name(item, whole, self._sensor, "sensor")
            if named.fault:
                refused.append(named.fault)
                return
            sensor = named.text
        value = _at(item, self._value)
        if value is _ABSENT:
            refused.append(f"{self._paths.value} is missing")
        elif fault := value_fault(value):
            if self._names.refuses(sensor, number=_is_number(value)):
                refused.append(f"{short(sensor)}: {fault}")
        else:
            cells.append((time, asset, sensor, None if value is None else float(value)))

    def _several(self, item: Any, time: int, asset: str, readings: list[Reading], refused: list[str]) -> None:
        """All values of a reading."""
        found = _at(item, self._values)
        if not isinstance(found, dict):
            name = self._paths.values or "a reading"
            refused.append(
                f"{name} is missing" if found is _ABSENT else f"{name} is {kind(found)}, expected an object"
            )
            return
        values: dict[str, float | None] = {}
        for name, value in self._named(found):
            fault = value_fault(value)
            if fault:
                if self._names.refuses(name, number=_is_number(value)):
                    refused.append(f"{short(name)}: {fault}")
            elif values.get(name) is None:
                values[name] = None if value is None else float(value)
            elif value is not None:  # "a.b" by itself, and b within a
                refused.append(f"{short(name)}: is there twice")
        if values or not found:  # of bad values and text alone it is none
            readings.append(Reading(time, values, asset))

    def _named(self, found: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        """The values with their names; what an object within holds has a dotted one."""
        waiting = [(name, value) for name, value in found.items() if name not in self._aside][::-1]
        while waiting:
            name, value = waiting.pop()
            if isinstance(value, dict) and name not in self._names:
                waiting += [(f"{name}.{inner}", each) for inner, each in value.items()][::-1]
            else:
                yield name, value

    def _name(self, item: Any, whole: Any, parts: tuple[str, ...], what: str) -> _Name:
        """The name that stands at a path: text, or a whole number."""
        if not parts:
            return _Name()
        name = _beside(item, whole, parts)
        if isinstance(name, bool) or not isinstance(name, str | int):
            place = ".".join(parts)
            return _Name(
                fault=f"{place} is missing" if name is None else f"{place} is {kind(name)}, expected a name"
            )
        text = short(name, LONGEST_NAME + 1)
        if what == "asset" and not is_name(text):
            return _Name(fault=f'{what} "{short(text)}" cannot be a name')
        return _Name(text)


@dataclass(frozen=True, slots=True)
class _Name:
    text: str = ""
    fault: str = ""


def _is_number(value: Any) -> bool:
    """Whether it was meant as one, however large."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _parts(path: str) -> tuple[str, ...]:
    return tuple(path.split(".")) if path else ()


def _at(found: Any, parts: tuple[str, ...]) -> Any:
    """What stands at a path; `_ABSENT` where there is no such place."""
    for part in parts:
        if isinstance(found, dict) and part in found:
            found = found[part]
        elif isinstance(found, list) and _PLACE.fullmatch(part) and int(part) < len(found):
            found = found[int(part)]
        else:
            return _ABSENT
    return found


def _beside(item: Any, whole: Any, parts: tuple[str, ...]) -> Any:
    """What stands at a path in a reading, or else in the whole payload; None where in neither."""
    found = _at(item, parts)
    if found is _ABSENT:
        found = _at(whole, parts)
    return None if found is _ABSENT else found


def _flat(found: Any) -> Iterator[Any]:
    """The readings of a list, of lists in it too, or the one reading."""
    waiting = [found]
    while waiting:
        each = waiting.pop()
        if isinstance(each, list):
            waiting += each[::-1]
        else:
            yield each


def encode_value(time: int, value: float) -> bytes:
    """One sensor's value with its time, as many plants publish it, one sensor a topic."""
    return msgspec.json.encode({"ts": time, "value": value})
