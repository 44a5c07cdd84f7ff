"""Sparkplug B (payload = "sparkplug"): births give names, aliases and types; data may have aliases only.

`spBv1.0/GROUP/TYPE/EDGE NODE/DEVICE` is read as site, area and asset. The messages of an edge node are numbered
from 0 to 255 and round again, its devices' among them. A gap in the numbers, data before a birth, and an alias
that no birth named make us ask the node for a rebirth, once a minute at the most. A death is a last will: the
device is offline. Metrics of the edge node itself are no readings.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from monitor.payloads.reading import Reading, gathered
from monitor.payloads.sparkplug_memory import Device, EdgeNode, Memory
from monitor.payloads.sparkplug_schema import (
    DATE_TIME,
    NotSparkplugError,
    decode_payload,
    encode_rebirth,
    signed,
)
from monitor.payloads.times import read_time
from monitor.payloads.words import short

if TYPE_CHECKING:
    from monitor.payloads.names import Names
    from monitor.payloads.sparkplug_schema import Metric, Payload
    from monitor.records import Message

ASK_EVERY_MS = 60_000
MOST_NODES = 10_000  # a flood of names must not fill the memory
MOST_DEVICES = 10_000  # of a node
MOST_METRICS = 10_000  # of a device
_CONTROL = ("Node Control/", "Device Control/")


@dataclass(slots=True)
class Heard:
    """What one message said."""

    readings: list[Reading] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    online: dict[str, bool] = field(default_factory=dict)  # by topic of a device's data
    requests: list[tuple[str, bytes]] = field(default_factory=list)  # of a rebirth: topic and payload


class Sparkplug:
    """Reads the messages of edge nodes and their devices."""

    def take(
        self, message: Message, topic: str, known: Names | None, memory: Memory, *, arrival_time: bool
    ) -> Heard:
        """One message; changes `memory`.

        `known` are the sensors as published; None for a node's own message, and where no class takes the device.
        """
        heard = Heard()
        try:
            payload = decode_payload(message.payload)
        except NotSparkplugError as error:
            heard.refused.append(str(error))
            return heard
        namespace, group, kind, node_name, *device_name = topic.split("/")
        key, commands = f"{namespace}/{group}/{node_name}", f"{namespace}/{group}/NCMD/{node_name}"
        node = memory.get(key)
        if node is None:
            if len(memory) >= MOST_NODES:
                heard.refused.append(f"more than {MOST_NODES} edge nodes")
                return heard
            node = memory[key] = EdgeNode()
        name = device_name[0] if device_name else ""
        wrong = self._follow(node, kind, payload)
        match kind:
            case "NBIRTH":
                node.devices.clear()
            case "NDEATH" if not wrong:
                heard.online = {_data_topic(key, each): False for each in node.devices}
                node.devices.clear()
            case "DDEATH" if known is not None:
                heard.online = {_data_topic(key, name): False}
                node.devices.pop(name, None)
            case "DBIRTH" if known is not None:
                self._birth(node, name, payload, heard)
                heard.online = {_data_topic(key, name): True}
        if kind in {"DBIRTH", "DDATA"} and known is not None:
            device = node.devices.get(name)
            if device is not None:
                wrong |= self._read(payload, device, known, message.arrival, arrival_time, heard)
            elif kind == "DDATA":
                wrong = True
                heard.refused.append(f"data before a birth certificate: may mqtt.username publish to {commands}?")
        ours = known is not None or bool(node.devices)  # a node none of whose devices we watch is left alone
        if wrong and ours and kind != "NDEATH" and not 0 <= message.arrival - node.asked_at < ASK_EVERY_MS:
            node.asked_at = message.arrival
            heard.requests.append((commands, encode_rebirth(message.arrival)))
        return heard

    def _follow(self, node: EdgeNode, kind: str, payload: Payload) -> bool:
        """Follow the node's numbers and births; whether one is missing, or a death is of an earlier birth."""
        bd_seq = next(
            (int(m.value) for m in payload.metrics if m.name == "bdSeq" and isinstance(m.value, int)), -1
        )
        if kind == "NDEATH":
            old = bd_seq >= 0 and node.bd_seq >= 0 and bd_seq != node.bd_seq
            node.born &= old
            return old
        seq = -1 if payload.seq is None else payload.seq % 256
        if kind == "NBIRTH":
            node.born, node.bd_seq, node.seq = True, bd_seq, seq
            return False
        gap = not node.born or seq != (node.seq + 1) % 256
        node.seq = seq
        return gap

    def _birth(self, node: EdgeNode, name: str, payload: Payload, heard: Heard) -> None:
        """Learn a device's metrics anew."""
        node.devices.pop(name, None)
        if len(payload.metrics) > MOST_METRICS:
            heard.refused.append(f"a birth certificate of more than {MOST_METRICS} metrics")
            return
        if len(node.devices) >= MOST_DEVICES:
            heard.refused.append(f"more than {MOST_DEVICES} devices of an edge node")
            return
        device = node.devices[name] = Device()
        for metric in payload.metrics:
            device.types[metric.name] = metric.datatype
            if metric.alias is not None:
                device.aliases[metric.alias] = metric.name

    def _read(
        self,
        payload: Payload,
        device: Device,
        known: Names,
        arrival: int,
        arrival_time: bool,
        heard: Heard,
    ) -> bool:
        """The metrics of a device as readings; whether an alias is unknown."""
        cells: list[tuple[int, str, str, float | None]] = []
        strange = False
        for metric in payload.metrics:
            name = metric.name or device.aliases.get(-1 if metric.alias is None else metric.alias, "")
            if not name:
                strange = True
                heard.refused.append(f"alias {metric.alias} is of no birth certificate")
                continue
            if name.startswith(_CONTROL):
                continue
            value = _value(metric, metric.datatype or device.types.get(name, 0))
            if isinstance(value, str):
                heard.refused += [f"{short(name)}: {value}"] if name in known else []
                continue
            time: int | str = arrival
            if not arrival_time:
                given = payload.time if metric.time is None else metric.time
                time = read_time(given, "ms", "timestamp")
            if isinstance(time, str):
                heard.refused.append(time)
            else:
                cells.append((time, "", name, value))
        heard.readings = gathered(cells)
        return strange


def _value(metric: Metric, datatype: int) -> float | str | None:
    """The number of a metric, None where it is null; or why it is none."""
    if metric.null:
        return None
    value = metric.value
    if isinstance(value, bool):
        return "expected a number, got a boolean"
    if isinstance(value, str):
        return "expected a number, got text"
    if value is None or datatype == DATE_TIME:
        return "expected a number, got another type"
    if isinstance(value, int):
        return float(signed(value, datatype))
    return value if math.isfinite(value) else f"{value} is not a number"


def _data_topic(node: str, device: str) -> str:
    """The topic of a device's data, by which its class is found."""
    namespace, group, name = node.split("/")
    return f"{namespace}/{group}/DDATA/{name}/{device}"
