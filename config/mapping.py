"""How an asset class's messages are read: the settings of paths, and what of topics and payload fits together."""

from __future__ import annotations

import re
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from config.section import Mistake, Section

if TYPE_CHECKING:
    from collections.abc import Iterator

    from config.settings import ClassSettings


class PathSettings(Section):
    """Where a class's JSON holds what: dotted paths, a number for a place in a list (payload = "paths")."""

    items: str = Field("", description='where the reading is, or the list of readings; "": the whole')
    time: str = Field("ts", description="where the time is, in the reading or beside the list")
    time_format: Literal["", "s", "ms", "us", "ns", "rfc3339"] = Field(
        "", description='form of the time: epoch in this unit, or text; empty: ms, for payload "line" ns'
    )
    values: str = Field("values", description='where the object sensor -> number is; "": the reading itself')
    value: str = Field("", description="or where the one value is")
    sensor: str = Field("", description="where the one value's sensor is named; empty: by {sensor} in the topic")
    asset: str = Field("", description='where the asset is named; payload "line": the tag; empty: by the topic')

    def mistakes(self) -> Iterator[Mistake]:
        """Paths that can be walked, and either one value or an object of them."""
        for name in ("items", "time", "values", "value", "sensor", "asset"):
            path = getattr(self, name)
            if path and not all(path.split(".")):
                yield Mistake(
                    (name,), f'"{path}" has an empty part; write keys and numbers with a dot between them'
                )
        if self.value and self.values not in {"", type(self).model_fields["values"].default}:
            yield Mistake(
                ("value", "values"), "values is given as well; a reading has one value or an object of them"
            )
        if self.sensor and not self.value:
            yield Mistake(("sensor", "value"), "names the sensor of one value, so value must say where that is")

    def given(self) -> list[str]:
        """The keys that differ from their defaults."""
        return [name for name, field in type(self).model_fields.items() if getattr(self, name) != field.default]


_LINE = {"time_format", "asset"}  # what line protocol takes of the paths
_SPARKPLUG = re.compile(r"spBv1\.0/(\{site\}|[^/{}]+)/DDATA/(\{area\}|[^/{}]+)/\{asset\}")
_TOPICS = ("topics", "payload", "name")


def mapping_mistakes(given: ClassSettings) -> Iterator[Mistake]:
    """What of a class's topics, payload, time and paths does not go together."""
    paths = given.paths
    strange = [
        name
        for name in paths.given()
        if given.payload != "paths" and not (given.payload == "line" and name in _LINE)
    ]
    if strange:
        yield Mistake(
            (f"paths.{strange[0]}", "payload"),
            f'has no meaning for payload "{given.payload}"; set payload = "paths"',
        )
        return
    if given.payload == "sparkplug":
        yield from _sparkplug_mistakes(given)
        return
    if any(topic.startswith("spBv1.0/") for topic in given.topics):
        yield Mistake(_TOPICS, 'topics of Sparkplug B need payload = "sparkplug"')
        return
    yield from _sensor_mistakes(given)
    yield from _asset_mistakes(given)
    if given.payload == "value" and given.time == "event":
        yield Mistake(("time", "payload", "name"), 'a bare number carries no time: set time = "arrival"')
    if given.payload == "paths" and given.time == "event" and not paths.time:
        yield Mistake(("paths.time",), 'must say where the time is, or set time = "arrival"')
    if given.payload == "line" and given.time == "event" and paths.time_format == "rfc3339":
        yield Mistake(("paths.time_format",), "line protocol has its time as a number: s, ms, us or ns")


def _sparkplug_mistakes(given: ClassSettings) -> Iterator[Mistake]:
    """The topics are those of the specification, and the library is there."""
    for topic in given.topics:
        if not _SPARKPLUG.fullmatch(topic):
            sentence = f"{topic}: Sparkplug B needs spBv1.0/{{site}}/DDATA/{{area}}/{{asset}}"
            yield Mistake(_TOPICS, f"{sentence}, where {{site}} and {{area}} may be names")
            return
    if find_spec("google") is None or find_spec("google.protobuf") is None:
        yield Mistake(("payload",), 'needs a library for protobuf: pip install "enginewatch[sparkplug]"')


def _sensor_mistakes(given: ClassSettings) -> Iterator[Mistake]:
    """A sensor is named in one place."""
    paths = given.paths
    by_topic = given.payload == "value" or (given.payload == "paths" and paths.value and not paths.sensor)
    for topic in given.topics:
        there = "{sensor}" in topic
        if by_topic and not there:
            remedy = "" if given.payload == "value" else ", or by a path in paths.sensor"
            yield Mistake(_TOPICS, f"{topic}: the sensor must be named by {{sensor}} in the topic{remedy}")
            return
        if there and given.payload == "paths" and paths.sensor:
            yield Mistake(("paths.sensor", "topics"), f"the topic {topic} names the sensor already")
            return
        if there and given.payload == "paths" and not by_topic:
            yield Mistake(_TOPICS, "{sensor} in the topic needs paths.value, which says where its one value is")
            return
        if there and not by_topic:
            yield Mistake(
                _TOPICS, f'{{sensor}} does not go with payload "{given.payload}", which names its sensors'
            )
            return


def _asset_mistakes(given: ClassSettings) -> Iterator[Mistake]:
    """An asset is named in one place."""
    for topic in given.topics:
        if "{asset}" in topic and given.paths.asset:
            yield Mistake(("paths.asset", "topics"), f"the topic {topic} names the asset already")
            return
        if "{asset}" not in topic and not given.paths.asset:
            yield Mistake(_TOPICS, "{asset} is missing, so assets could not be told apart")
            return
