"""Sparkplug B: the messages of each device together, their metrics by the names that births gave them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from monitor.discovery import moments
from monitor.discovery.findings import Aside, Mapping
from monitor.discovery.payloads import number
from monitor.discovery.view import View

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from collections.abc import Mapping as Topics

    from monitor.discovery.capture import Captured

NAMESPACE = "spBv1.0"
LEVELS = 5  # namespace, group, type, edge node, device
CONTROL = ("Node Control/", "Device Control/", "bdSeq")


class Metric(NamedTuple):
    """One metric of a message."""

    name: str  # empty where only its alias is given
    alias: int | None
    time: int | None  # epoch ms
    value: object


# Payload -> its metrics; None where it is none that can be read. The library for it is another room's.
Decode = Callable[[bytes], list[Metric] | None]


def views(topics: Topics[str, Sequence[Captured]], decode: Decode | None) -> list[View]:
    """One view a device; those whose metrics have no names yet have no series."""
    devices: dict[tuple[str, str, str], list[Captured]] = {}
    aliases: dict[tuple[str, str], dict[int, str]] = {}
    found: list[View] = []
    for topic, messages in topics.items():
        levels = topic.split("/")
        if len(levels) == LEVELS and levels[2] in {"DBIRTH", "DDATA"}:
            devices.setdefault((levels[1], levels[3], levels[4]), []).extend(messages)
        else:
            found.append(View(topic, len(messages), asides=[Aside(topic, "Sparkplug, but no data of a device")]))
        if decode and levels[2:3] in (["DBIRTH"], ["NBIRTH"]):
            _learn(aliases.setdefault((levels[1], levels[3]), {}), messages, decode)
    for (group, node, device), messages in devices.items():
        view = View(
            f"{NAMESPACE}/{group}/DDATA/{node}/{device}", len(messages), Mapping("sparkplug", "event", "ms")
        )
        view.reasons.append("the topic is Sparkplug B's: group, edge node and device are site, area and asset")
        if decode:
            ordered = sorted(messages, key=lambda message: message.arrival)
            _read(view, ordered, decode, aliases.get((group, node), {}))
        found.append(view)
    return found


def _learn(names: dict[int, str], births: Iterable[Captured], decode: Decode) -> None:
    for message in births:
        for metric in decode(message.payload) or ():
            if metric.name and metric.alias is not None:
                names[metric.alias] = metric.name


def _read(view: View, messages: Sequence[Captured], decode: Decode, names: dict[int, str]) -> None:
    refused: set[str] = set()
    for message in messages:
        for metric in decode(message.payload) or ():
            name = metric.name or names.get(-1 if metric.alias is None else metric.alias, "")
            if not name or name.startswith(CONTROL):
                continue
            value = number(metric.value)
            if value is None:
                refused.add(name)
                continue
            given = moments.to_ms(metric.time, "ms")
            view.add(name, message.arrival if given is None else given, value, retained=message.retained)
    view.asides += [
        Aside(name, "a metric that is no number") for name in sorted(refused) if name not in view.series
    ]
