"""Which part of an MQTT topic names the asset: what all messages of one asset have in common. Pure.

State is kept by asset, so all that is said of an asset has to come to the same shard: its readings, its status,
and, of Sparkplug B, all that its edge node says: the births of a node say how the data of its devices are read.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from monitor.decode import beside_templates, fill, sparkplug_topic, split_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from monitor.decode import ClassRoute

LEVELS = ("site", "area", "asset")  # of a stream key; of Sparkplug the group, the edge node and the device


class Place(NamedTuple):
    """A pattern of topics, and what of such a topic names the asset."""

    pattern: str
    named: str  # as `re.Match.expand` takes it: its groups, between slashes


def places(routes: Iterable[ClassRoute], root: str) -> list[Place]:
    """How the topics of all classes name their assets, the first that fits; a topic of none is a place by itself.

    Where only the payload names the asset, the topic is the place: its assets are all in one shard.
    """
    found: dict[Place, None] = {}
    for route in routes:
        for template in route.topics:
            levels = LEVELS[:2] if sparkplug_topic(template) else LEVELS
            if "{asset}" in template:
                for each in (template, *beside_templates(template)):
                    found[_place(each.replace("{root}", root), levels)] = None
    return list(found)


def _place(template: str, levels: Sequence[str]) -> Place:
    groups: list[str] = []
    pattern = "^"
    for part in re.split(r"(\{\w+\})", template):
        name = part[1:-1]
        if not part.startswith("{"):
            pattern += re.escape(part)
        elif name in levels:
            groups.append(name)
            pattern += "([^/]+)"
        else:
            pattern += "[^/]+"
    named = "/".join(rf"\g<{groups.index(level) + 1}>" for level in levels if level in groups)
    return Place(f"{pattern}$", named)


def place_of(topic: str, known: Iterable[Place]) -> str:
    """What of a topic names the asset; the topic itself where no class knows it."""
    for each in known:
        match = re.search(each.pattern, topic)
        if match:
            return match.expand(each.named)
    return topic


def place_of_stream(key: str, route: ClassRoute, root: str, known: Iterable[Place]) -> str:
    """The place of an asset's messages, by its name. Raises ValueError where that does not tell it."""
    levels = dict(zip(LEVELS, split_key(key), strict=True))
    found = set()
    for template in route.topics:
        named = [level for level in LEVELS if f"{{{level}}}" in template]
        told = [level for level, name in levels.items() if name and (level != "asset" or level in named)]
        if named == told and ("{asset}" in template or "{sensor}" not in template):
            found.add(place_of(fill(template, root=root, sensor="-", **levels), known))
    if len(found) != 1:
        raise ValueError(f"the name {key} does not say by which of the topics {', '.join(route.topics)} it came")
    return found.pop()


def topic_of(template: str) -> list[tuple[str, str]]:
    """The parts of `fleet.mqtt_topic`: ("text", TEXT), ("key", ""), ("topic", "") or ("header", NAME).

    >>> topic_of("yard/{key}/telemetry")
    [('text', 'yard/'), ('key', ''), ('text', '/telemetry')]
    """
    parts = re.split(r"(\{[^{}]*\})", template)
    named = (tuple(part[1:-1].partition(":")[::2]) if part.startswith("{") else ("text", part) for part in parts)
    return [(kind, name) for kind, name in named if kind != "text" or name]
