"""Topic and payload to readings, and back: the only home of the wire format.

Pure: bytes and arrival times in, arrays and dead letters out. Nothing that arrives can raise here: what cannot
be used becomes a dead letter with its reason, and a bad value does not spoil its message.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np

from monitor.payloads.choice import at_once_reader, edge_nodes_reader, reader
from monitor.payloads.names import LEFT_OUT, Names
from monitor.payloads.paths import Paths
from monitor.payloads.words import is_name, short
from monitor.records import DeadLetter, Float32, Float64, Int64, Message
from monitor.synthetic import is_synthetic

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from monitor.payloads.ours import AtOnceReader
    from monitor.payloads.reading import Reading
    from monitor.payloads.sparkplug_memory import Memory

TELEMETRY_TOPIC = "{root}/v1/{site}/{asset}/telemetry"
META_TOPIC = "{root}/v1/{site}/{asset}/meta"
STATUS_TOPIC = "{root}/v1/{site}/{asset}/status"

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


def sparkplug_topic(template: str) -> bool:
    """Whether a template is one of Sparkplug B."""
    return template.startswith("spBv1.0/")


def beside_templates(template: str) -> list[str]:
    """What else is subscribed with a telemetry topic: the status beside it, or what Sparkplug B needs."""
    if sparkplug_topic(template):
        node = template.rpartition("/")[0]
        kinds = {"DBIRTH": template, "DDEATH": template, "NBIRTH": node, "NDATA": node, "NDEATH": node}
        return [path.replace("/DDATA/", f"/{kind}/") for kind, path in kinds.items()]
    status = status_template(template)
    return [] if status is None else [status]


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


class _Status(msgspec.Struct):
    online: bool
    reason: str = ""


_STATUS = msgspec.json.Decoder(_Status)


@dataclass(frozen=True, slots=True)
class ClassRoute:
    """What decoding must know of an asset class."""

    sensors: tuple[str, ...]
    topics: tuple[str, ...]  # templates
    assets: tuple[str, ...] = ("*",)  # globs on the stream key
    among: tuple[str, ...] = ()  # globs of which one must match as well; empty: none needs to
    arrival_time: bool = False  # a reading's time is when it came
    payload: Literal["json", "value", "paths", "line", "sparkplug"] = "json"
    paths: Paths = field(default_factory=Paths)  # of line protocol: the time's format, the asset's tag
    published: tuple[str, ...] = ()  # (C,) the sensors' names in payloads and topics; empty: `sensors`
    scale: tuple[float, ...] = ()  # (C,) value = published x scale + offset; empty: as published
    offset: tuple[float, ...] = ()  # (C,)
    ignore: tuple[str, ...] = ()  # globs on published names of sensors that are left out

    @property
    def measures(self) -> tuple[object, ...]:
        """What the values of a reading mean."""
        return self.sensors, self.scale, self.offset

    def takes(self, key: str) -> bool:
        """Whether the stream of this key belongs to the class, as far as its globs go.

        A glob with a wildcard for the site means no canary, whoever's it is.
        """
        if is_synthetic(key) and not any(map(is_synthetic, self.assets)):
            return False
        among = not self.among or any(fnmatchcase(key, glob) for glob in self.among)
        return among and any(fnmatchcase(key, glob) for glob in self.assets)


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
    requests: list[tuple[str, bytes]] = field(default_factory=list)  # to publish: topic and payload
    ignored: int = 0  # values of sensors that are left out


@dataclass(slots=True)
class _Rows:
    """The readings of one class while they are gathered, row by row."""

    streams: list[str] = field(default_factory=list)
    time: list[int] = field(default_factory=list)
    source: list[Message] = field(default_factory=list)
    columns: list[Int64] = field(default_factory=list)  # of each row's values
    values: list[float | None] = field(default_factory=list)  # of one row behind those of the other
    ignored: int = 0  # values of readings that have no other


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a topic leads: a class and a stream, as telemetry or as status; or the reason why nowhere."""

    asset_class: int = -1
    stream: str = ""  # without an asset where the payload names it
    status: bool = False
    reason: str = ""
    sensor: str = ""  # where the topic names one
    among: tuple[int, ...] = ()  # the payload names the asset: the first of these classes that takes it has it
    edge: bool = False  # a message of a Sparkplug edge node, also where there is a reason
    at_once: AtOnceReader | None = None  # reads its plain messages
    passed_over: bool = False  # another daemon's canary


class Decoder:
    """Decodes batches for a set of classes. Its caches change nothing in what comes out."""

    def __init__(self, routes: Sequence[ClassRoute], *, root: str) -> None:
        """The first class whose template and globs match a topic takes it."""
        self._routes = tuple(routes)
        self._names = [Names(route.published or route.sensors, route.ignore) for route in routes]
        self._readers = [reader(route, names) for route, names in zip(routes, self._names, strict=True)]
        self._at_once = [at_once_reader(route) for route in routes]
        self._whole = [np.arange(len(route.sensors)) for route in routes]
        self._edge_nodes = edge_nodes_reader() if any(route.payload == "sparkplug" for route in routes) else None
        self._patterns: list[tuple[re.Pattern[str], int, bool]] = []
        for index, route in enumerate(routes):
            for template in route.topics:
                self._patterns.append((_pattern(template, root), index, False))
                beside = [
                    (_pattern(each, root), index, not sparkplug_topic(each)) for each in beside_templates(template)
                ]
                self._patterns += beside
        self._places: dict[bytes, _Place] = {}

    def decode(self, messages: Sequence[Message], edge_nodes: Memory | None = None) -> Decoded:
        """Decode messages in their order; changes `edge_nodes`, what is remembered of those of Sparkplug."""
        rows = [_Rows() for _ in self._routes]
        reports: list[StatusReport] = []
        letters: list[DeadLetter] = []
        requests: list[tuple[str, bytes]] = []
        passed_over = 0
        memory = {} if edge_nodes is None else edge_nodes
        for message in messages:
            place = self._places.get(message.topic) or self._find(message.topic)
            if place.at_once is not None and message.size == len(message.payload):
                to = rows[place.asset_class]
                count = place.at_once.take(message, to.time, to.values)
                for _ in range(count):
                    to.streams.append(place.stream)
                    to.source.append(message)
                    to.columns.append(self._whole[place.asset_class])
                if count >= 0:
                    continue
            if place.edge and message.size == len(message.payload):
                requests += self._edge(message, place, memory, rows, reports, letters)
            elif place.passed_over:
                passed_over += 1  # nobody here knows how many values it has
            elif place.reason:
                letters.append(_letter(message, place.reason))
            elif message.size > len(message.payload):
                letters.append(_letter(message, f"payload of {message.size} bytes is over the limit"))
            elif place.status:
                self._report(message, place, reports, letters)
            else:
                self._telemetry(message, place, rows, letters)
        readings = [self._table(gathered, index, letters) for index, gathered in enumerate(rows)]
        ignored = sum(each.ignored for each in rows) + passed_over
        return Decoded(readings, reports, letters, requests, ignored)

    def of_edge_node(self, topic: bytes) -> bool:
        """Whether what comes there is of a Sparkplug edge node: read by what came before it."""
        return self._find(topic).edge

    def _find(self, topic: bytes) -> _Place:
        """Where a topic leads; remembered, within bounds, because there are few topics and many messages."""
        place = self._places.get(topic)
        if place is None:
            if len(self._places) >= 100_000:  # noqa: PLR2004 - a flood of topics must not fill the memory
                self._places.clear()
            place = self._places[topic] = self._match(topic)
        return place

    def _match(self, topic: bytes) -> _Place:
        try:
            name = topic.decode()
        except UnicodeDecodeError:
            return _Place(reason="topic is not UTF-8")
        known = edge = passed_over = False
        for pattern, index, status in self._patterns:
            match = pattern.fullmatch(name)
            if match is None:
                continue
            known = True
            groups = match.groupdict()
            edge = self._routes[index].payload == "sparkplug"
            sensor = groups.get("sensor", "")
            named = [groups.get(level, "") for level in ("site", "area", "asset")]
            strange = next((level for level in named if level and not is_name(level)), None)
            if strange is not None:
                return _Place(reason=f'"{short(strange)}" cannot be a name', edge=edge)
            key = stream_key(*named)
            passed_over |= is_synthetic(key)
            if "asset" not in groups:
                return _Place(index, key, status, sensor=sensor, among=self._beside(name), edge=edge)
            if self._routes[index].takes(key):
                at_once = None if status else self._at_once[index]
                return _Place(index, key, status, sensor=sensor, edge=edge, at_once=at_once)
        if passed_over:
            return _Place(passed_over=True)
        return _Place(reason="no class takes this asset" if known else "topic matches no template", edge=edge)

    def _beside(self, topic: str) -> tuple[int, ...]:
        """The classes with a template of this topic: a class and its overrides, whose payloads are of one form."""
        return tuple(dict.fromkeys(index for pattern, index, _ in self._patterns if pattern.fullmatch(topic)))

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

    def _telemetry(self, message: Message, place: _Place, rows: list[_Rows], letters: list[DeadLetter]) -> None:
        refused: list[str] = []
        reads = self._readers[place.asset_class]
        assert reads is not None
        readings = reads.read(message, place.sensor, refused)
        self._gather(readings, refused, message, place, rows, letters)

    def _edge(
        self,
        message: Message,
        place: _Place,
        memory: Memory,
        rows: list[_Rows],
        reports: list[StatusReport],
        letters: list[DeadLetter],
    ) -> list[tuple[str, bytes]]:
        """A message of a Sparkplug edge node; returns what is to be published."""
        assert self._edge_nodes is not None
        index = place.asset_class
        known = self._names[index] if not place.among and not place.reason else None
        arrival_time = known is not None and self._routes[index].arrival_time
        heard = self._edge_nodes.take(message, message.topic.decode(), known, memory, arrival_time=arrival_time)
        if place.reason:
            letters.append(_letter(message, place.reason))
        elif known is None:
            letters.extend(_letter(message, reason) for reason in heard.refused)
        else:
            self._gather(heard.readings, heard.refused, message, place, rows, letters)
        for topic, online in heard.online.items():
            to = self._find(topic.encode())
            if not to.reason:
                reports.append(
                    StatusReport(to.asset_class, to.stream, online, goodbye=False, arrival=message.arrival)
                )
        return heard.requests

    def _gather(
        self,
        readings: Sequence[Reading],
        refused: list[str],
        message: Message,
        place: _Place,
        rows: list[_Rows],
        letters: list[DeadLetter],
    ) -> None:
        for reading in readings:
            index, stream = place.asset_class, place.stream
            if place.among:
                stream += reading.asset
                index = next((each for each in place.among if self._routes[each].takes(stream)), -1)
                if index < 0:
                    refused += ["no class takes this asset"] * _reported(reading.values)
                    continue
            names, to = self._names[index], rows[index]
            values = reading.values
            layout = names.layout(tuple(values))
            if layout is None:
                layout, values = names.sort_out(values, refused)
            if layout is None or layout.left_out:  # by what nobody watches an asset is not heard
                to.ignored += _reported(values)
                continue
            to.streams.append(stream)
            to.time.append(reading.time)
            to.source.append(message)
            to.columns.append(layout.columns)
            to.values.extend(values.values())
        if refused:
            letters.extend(_letter(message, reason) for reason in refused)

    def _table(self, rows: _Rows, asset_class: int, letters: list[DeadLetter]) -> ClassReadings:
        """The readings as arrays; counts what is left out, and refuses what does not fit."""
        route = self._routes[asset_class]
        count, sensors = len(rows.streams), len(route.sensors)
        exact = np.array(rows.values, np.float64)
        if len(exact) == count * sensors and set(map(id, rows.columns)) <= {id(self._whole[asset_class])}:
            exact = exact.reshape(count, sensors)
        else:
            exact = _laid_out(rows, exact, sensors)
        with np.errstate(over="ignore"):  # what does not fit becomes infinite, and is refused just below
            scaled = exact * np.array(route.scale) + np.array(route.offset) if route.scale else exact
            values = scaled.astype(np.float32)  # (N, C)
        infinite = np.isinf(values)
        for row, column in np.argwhere(infinite).tolist() if np.count_nonzero(infinite) else ():
            sensor, value = route.sensors[column], float(exact[row, column])
            letters.append(_letter(rows.source[row], f"{sensor}: {value!r} does not fit 32-bit floats"))
            values[row, column] = np.nan
        time, arrival = rows.time, [message.arrival for message in rows.source]
        return ClassReadings(rows.streams, np.array(time, np.int64), np.array(arrival, np.int64), values)


def _laid_out(rows: _Rows, exact: Float64, sensors: int) -> Float64:
    """Values (V,) of readings that name different sensors as a table (N, C); counts what is left out."""
    count = len(rows.columns)
    table = np.full((count, sensors), np.nan)
    column = np.concatenate(rows.columns) if count else np.zeros(0, np.int64)  # (V,)
    row = np.repeat(np.arange(count), list(map(len, rows.columns)))
    wanted = column != LEFT_OUT
    rows.ignored += int(np.count_nonzero(~np.isnan(exact[~wanted])))
    table[row[wanted], column[wanted]] = exact[wanted]
    return table


def _pattern(template: str, root: str) -> re.Pattern[str]:
    parts = re.split(r"(\{\w+\})", template.replace("{root}", root))
    made = [f"(?P<{part[1:-1]}>[^/]+)" if part.startswith("{") else re.escape(part) for part in parts]
    return re.compile("".join(made))


def _reported(values: Mapping[str, float | None]) -> int:
    """How many values are there."""
    return sum(value is not None for value in values.values())


def _letter(message: Message, reason: str) -> DeadLetter:
    topic = message.topic.decode(errors="backslashreplace")
    return DeadLetter(message.arrival, topic, message.payload[:KEPT_PAYLOAD], reason)
