"""Topic and payload to readings, and back: the only home of the wire format.

Pure: bytes and arrival times in, arrays and dead letters out. Nothing that arrives can raise here: what cannot
be used becomes a dead letter with its reason, and a bad value does not spoil its message.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from monitor.records import DeadLetter, Float32, Int64, Message

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TELEMETRY_TOPIC = "{root}/v1/{site}/{asset}/telemetry"
META_TOPIC = "{root}/v1/{site}/{asset}/meta"
STATUS_TOPIC = "{root}/v1/{site}/{asset}/status"

# Event times are epoch milliseconds between 1973 and the year 9999: seconds or microseconds fall outside.
EARLIEST_MS = 100_000_000_000
LATEST_MS = 253_402_300_799_999
KEPT_PAYLOAD = 1024  # bytes of a payload that a dead letter keeps


def fill(template: str, **placeholders: str) -> str:
    """The topic that a template makes; an empty `area` takes its level with it."""
    if not placeholders.get("area", "-"):
        template = template.replace("/{area}", "")
    return template.format(**placeholders)


def subscription(template: str, root: str, site: str = "+") -> str:
    """The MQTT filter that receives every topic of a template, or those of one site."""
    return re.sub(r"\{\w+\}", "+", template.replace("{root}", root).replace("{site}", site))


def site_of(glob: str) -> str:
    """The only site that a glob on site/area/asset can mean, as an MQTT level; "+" where it can mean several.

    >>> site_of("north/*"), site_of("*"), site_of("nor?h/*"), site_of("north*")
    ('north', '+', '+', '+')
    """
    site, slash, _ = glob.partition("/")
    return "+" if not slash or set(site) & set("*?[+#") else site


def status_template(template: str) -> str | None:
    """The status topic beside a telemetry topic; None where the template does not end in `telemetry`."""
    stem, _, last = template.rpartition("/")
    return f"{stem}/status" if last == "telemetry" else None


def stream_key(site: str, area: str, asset: str) -> str:
    """The name of a stream everywhere: site/area/asset, with an empty area where the plant has none."""
    return f"{site}/{area}/{asset}"


def split_key(key: str) -> tuple[str, str, str]:
    """Site, area and asset of a stream key."""
    site, area, asset = key.split("/", 2)
    return site, area, asset


def encode_telemetry(*, time: int, boot: str, seq: int, values: Mapping[str, float]) -> bytes:
    """One reading as JSON; a NaN is left out, because a missing key is a missing sensor."""
    present = {name: value for name, value in values.items() if not math.isnan(value)}
    return msgspec.json.encode({"v": 1, "ts": time, "boot": boot, "seq": seq, "values": present})


def encode_meta(sensors: Mapping[str, str], period_ms: int) -> bytes:
    """The retained description of an asset: its sensors with their units, and its period."""
    described = {name: {"unit": unit} for name, unit in sensors.items()}
    return msgspec.json.encode({"v": 1, "period_ms": period_ms, "sensors": described})


def encode_status(*, online: bool, time: int, reason: str = "") -> bytes:
    """The retained status of an asset; the reason `shutdown` is a goodbye, no alert follows."""
    status: dict[str, object] = {"online": online, "timestamp": time}
    return msgspec.json.encode(status | {"reason": reason} if reason else status)


class _Telemetry(msgspec.Struct):
    values: dict[str, float | None]
    ts: int | None = None
    v: int = 1


class _Status(msgspec.Struct):
    online: bool
    reason: str = ""


_TELEMETRY = msgspec.json.Decoder(_Telemetry | list[_Telemetry])
_STATUS = msgspec.json.Decoder(_Status)


@dataclass(frozen=True, slots=True)
class ClassRoute:
    """What decoding must know of an asset class."""

    sensors: tuple[str, ...]
    topics: tuple[str, ...]  # templates
    assets: tuple[str, ...] = ("*",)  # globs on the stream key
    arrival_time: bool = False  # a reading's time is when it came


@dataclass(frozen=True, slots=True)
class ClassReadings:
    """The readings of one class in the order of arrival: N rows, the streams still by name."""

    streams: list[str]  # (N,) stream keys
    time: Int64  # (N,)
    arrival: Int64  # (N,)
    values: Float32  # (N, C)


@dataclass(frozen=True, slots=True)
class StatusReport:
    """A stream said that it is online, that it goes (`goodbye`), or the broker said that it is gone."""

    asset_class: int
    stream: str
    online: bool
    goodbye: bool
    arrival: int


@dataclass(frozen=True, slots=True)
class Decoded:
    """Everything that a batch of messages said."""

    readings: list[ClassReadings]  # one a class, in the classes' order
    reports: list[StatusReport]
    dead_letters: list[DeadLetter]


@dataclass(slots=True)
class _Rows:
    """The readings of one class while they are gathered; cells are (row, column, value) triples."""

    streams: list[str] = field(default_factory=list)
    time: list[int] = field(default_factory=list)
    arrival: list[int] = field(default_factory=list)
    source: list[Message] = field(default_factory=list)
    cell_row: list[int] = field(default_factory=list)
    cell_column: list[int] = field(default_factory=list)
    cell_value: list[float | None] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a topic leads: a class and a stream, as telemetry or as status; or the reason why nowhere."""

    asset_class: int = -1
    stream: str = ""
    status: bool = False
    reason: str = ""


class Decoder:
    """Decodes batches for a set of classes. Its caches change nothing in what comes out."""

    def __init__(self, routes: Sequence[ClassRoute], *, root: str) -> None:
        """The first class whose template and globs match a topic takes it."""
        self._routes = tuple(routes)
        self._columns = [{name: index for index, name in enumerate(route.sensors)} for route in routes]
        self._patterns: list[tuple[re.Pattern[str], int, bool]] = []
        for index, route in enumerate(routes):
            for template in route.topics:
                self._patterns.append((_pattern(template, root), index, False))
                beside = status_template(template)
                if beside is not None:
                    self._patterns.append((_pattern(beside, root), index, True))
        self._places: dict[bytes, _Place] = {}
        self._keys: dict[tuple[int, tuple[str, ...]], list[int]] = {}

    def decode(self, messages: Sequence[Message]) -> Decoded:
        """Decode messages in their order."""
        rows = [_Rows() for _ in self._routes]
        reports: list[StatusReport] = []
        letters: list[DeadLetter] = []
        for message in messages:
            place = self._places.get(message.topic) or self._find(message.topic)
            if place.reason:
                letters.append(_letter(message, place.reason))
            elif message.size > len(message.payload):
                letters.append(_letter(message, f"payload of {message.size} bytes is over the limit"))
            elif place.status:
                self._report(message, place, reports, letters)
            else:
                self._telemetry(message, place, rows[place.asset_class], letters)
        readings = [self._columns_of(gathered, index, letters) for index, gathered in enumerate(rows)]
        return Decoded(readings, reports, letters)

    def _find(self, topic: bytes) -> _Place:
        """Where a topic leads; remembered, within bounds, because there are few topics and many messages."""
        if len(self._places) >= 100_000:  # noqa: PLR2004 - a flood of topics must not fill the memory
            self._places.clear()
        place = self._places[topic] = self._match(topic)
        return place

    def _match(self, topic: bytes) -> _Place:
        try:
            name = topic.decode()
        except UnicodeDecodeError:
            return _Place(reason="topic is not UTF-8")
        known = False
        for pattern, index, status in self._patterns:
            match = pattern.fullmatch(name)
            if match is None:
                continue
            known = True
            groups = match.groupdict()
            key = stream_key(groups.get("site", ""), groups.get("area", ""), groups["asset"])
            if any(fnmatchcase(key, glob) for glob in self._routes[index].assets):
                return _Place(index, key, status)
        return _Place(reason="no class takes this asset" if known else "topic matches no template")

    def _report(
        self, message: Message, place: _Place, reports: list[StatusReport], letters: list[DeadLetter]
    ) -> None:
        if not message.payload:  # an emptied retained topic: nothing is known of this stream any more
            return
        try:
            status = _STATUS.decode(message.payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            letters.append(_letter(message, f"status: {error}"))
            return
        goodbye = not status.online and status.reason == "shutdown"
        reports.append(StatusReport(place.asset_class, place.stream, status.online, goodbye, message.arrival))

    def _telemetry(self, message: Message, place: _Place, rows: _Rows, letters: list[DeadLetter]) -> None:
        arrival_time = self._routes[place.asset_class].arrival_time
        try:
            decoded = _TELEMETRY.decode(message.payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            decoded = _salvage(message, letters, arrival_time=arrival_time)
        for reading in decoded if isinstance(decoded, list) else [decoded]:
            time = message.arrival if arrival_time else reading.ts
            reason = _fault(reading.v, time)
            if reason or time is None:
                letters.append(_letter(message, reason))
                continue
            row = len(rows.streams)
            rows.streams.append(place.stream)
            rows.time.append(time)
            rows.arrival.append(message.arrival)
            rows.source.append(message)
            names = tuple(reading.values)
            columns = self._known_columns(place.asset_class, names)
            values: Sequence[float | None] = list(reading.values.values())
            if columns is None:
                columns, values = self._sort_out(message, reading.values, place.asset_class, letters)
            rows.cell_row.extend([row] * len(columns))
            rows.cell_column.extend(columns)
            rows.cell_value.extend(values)

    def _known_columns(self, asset_class: int, names: tuple[str, ...]) -> list[int] | None:
        """The columns of these sensor names; None where one of them is unknown."""
        columns = self._keys.get((asset_class, names))
        if columns is None:
            known = self._columns[asset_class]
            if not all(name in known for name in names):
                return None  # never remembered: unknown names have no bound
            if len(self._keys) >= 10_000:  # noqa: PLR2004 - as for topics
                self._keys.clear()
            columns = self._keys[asset_class, names] = [known[name] for name in names]
        return columns

    def _sort_out(
        self, message: Message, values: dict[str, float | None], asset_class: int, letters: list[DeadLetter]
    ) -> tuple[list[int], list[float | None]]:
        known = self._columns[asset_class]
        for name, value in values.items():
            if name not in known and value is not None:
                letters.append(_letter(message, f"unknown sensor {_short(name)}"))
        kept = {known[name]: value for name, value in values.items() if name in known}
        return list(kept), list(kept.values())

    def _columns_of(self, rows: _Rows, asset_class: int, letters: list[DeadLetter]) -> ClassReadings:
        sensors = self._routes[asset_class].sensors
        values = np.full((len(rows.streams), len(sensors)), np.nan, np.float32)  # (N, C)
        row, column = np.array(rows.cell_row, np.int64), np.array(rows.cell_column, np.int64)
        with np.errstate(over="ignore"):  # what does not fit becomes infinite, and is refused just below
            cells = np.array(rows.cell_value, np.float64).astype(np.float32)
        for cell in np.flatnonzero(np.isinf(cells)):
            sensor, value = sensors[column[cell]], rows.cell_value[cell]
            letters.append(_letter(rows.source[row[cell]], f"{sensor}: {value!r} does not fit 32-bit floats"))
            cells[cell] = np.nan
        values[row, column] = cells
        time, arrival = np.array(rows.time, np.int64), np.array(rows.arrival, np.int64)
        return ClassReadings(rows.streams, time, arrival, values)


def _pattern(template: str, root: str) -> re.Pattern[str]:
    parts = re.split(r"(\{\w+\})", template.replace("{root}", root))
    made = [f"(?P<{part[1:-1]}>[^/]+)" if part.startswith("{") else re.escape(part) for part in parts]
    return re.compile("".join(made))


def _fault(version: int, time: int | None) -> str:
    if version != 1:
        return f"payload version {_short(version)} is unknown"
    if time is None:
        return "ts is missing"
    if not EARLIEST_MS <= time <= LATEST_MS:
        return f"ts {_short(time)} is not in epoch milliseconds"
    return ""


def _salvage(message: Message, letters: list[DeadLetter], *, arrival_time: bool) -> list[_Telemetry]:
    """What is usable of a payload that is not as it should be; the rest goes to the dead letters.

    A reading that is of no use is one letter, whatever its values are.
    """
    if not message.payload:
        letters.append(_letter(message, "payload is empty"))
        return []
    try:
        # Python's own parser lets NaN and Infinity pass, so that they spoil their value and not the message.
        parsed: Any = json.loads(message.payload, parse_int=_integer)
    except (ValueError, RecursionError) as error:
        letters.append(_letter(message, f"not JSON: {_short(str(error), 80)}"))
        return []
    found = []
    for item in parsed if isinstance(parsed, list) else [parsed]:
        reason = _shape_fault(item)
        if not reason:
            time, version = message.arrival if arrival_time else item.get("ts"), item.get("v", 1)
            reason = _type_fault("ts", time) or _type_fault("v", version) or _fault(version, time)
        if reason:
            letters.append(_letter(message, reason))
            continue
        values: dict[str, float | None] = {}
        for name, value in item["values"].items():
            fault = _value_fault(value)
            if fault:
                letters.append(_letter(message, f"{_short(name)}: {fault}"))
            else:
                values[name] = None if value is None else float(value)
        found.append(_Telemetry(values, time, version))
    return found


def _integer(digits: str) -> float:
    """An integer, or infinity where it has more digits than Python takes."""
    try:
        return int(digits)
    except ValueError:
        return math.inf


def _shape_fault(item: Any) -> str:
    if not isinstance(item, dict):
        return f"expected an object, got {_kind(item)}"
    if not isinstance(item.get("values"), dict):
        return "values is missing" if "values" not in item else f"values is {_kind(item['values'])}"
    return ""


def _type_fault(name: str, value: Any) -> str:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        return f"{name} is {_kind(value)}, expected an integer"
    return ""


def _value_fault(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"expected a number, got {_kind(value)}"
    try:
        number = float(value)
    except OverflowError:
        return "number is too large"
    return "" if math.isfinite(number) else f"{value} is not a number"


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", float: "a fraction"}
    return names.get(type(value), "a number")


def _short(value: object, length: int = 40) -> str:
    text = str(value) if not isinstance(value, int) or value.bit_length() < 1_000 else "(huge)"  # noqa: PLR2004
    text = text.encode(errors="backslashreplace").decode()  # JSON may name half of a surrogate pair
    return text if len(text) <= length else text[:length] + "…"


def _letter(message: Message, reason: str) -> DeadLetter:
    topic = message.topic.decode(errors="backslashreplace")
    return DeadLetter(message.arrival, topic, message.payload[:KEPT_PAYLOAD], reason)
