"""One topic at a time: how its payloads are to be read, and what they report."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from monitor.discovery import moments
from monitor.discovery.findings import Aside, Mapping, Question, Series
from monitor.discovery.items import Items, latest, read_items
from monitor.discovery.names import ASSETS, VALUES, plain
from monitor.discovery.payloads import at, leaves, lists, number, parse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.discovery.capture import Captured
    from monitor.discovery.payloads import Line

MOST = 0.8  # share of a topic's messages that must be of one kind
OWN_VERSION = 1
SHOWN = 5  # of a list of names
WHY_NOT = {
    "empty": "empty payloads",
    "null": "null and nothing else",
    "huge": "payloads too long to look at",
    "binary": "payloads that are neither text nor any known form",
    "text": "text that is no number",
    "switch": "on and off are no measurements",
    "list": "a list without objects in it",
    "object": "no number in the objects",
}


@dataclass(slots=True)
class View:
    """What one topic carries."""

    topic: str
    messages: int
    mapping: Mapping | None = None  # None: it cannot be read, and `asides` say why
    single: bool = False  # one value, whose sensor the topic must name
    series: dict[str, Series] = field(default_factory=dict)  # by published name; "" where the topic names it
    inside: dict[str, dict[str, Series]] = field(
        default_factory=dict
    )  # the same by the asset that the payload names
    asset_path: str = ""  # where it does
    ignored: set[str] = field(default_factory=set)  # numbers under names that are no sensors', as published
    units: dict[str, str] = field(default_factory=dict)  # by published name, as the plant writes them
    asides: list[Aside] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    ahead: list[int] = field(default_factory=list)  # event time - arrival, ms

    @property
    def levels(self) -> tuple[str, ...]:
        """The levels of the topic."""
        return tuple(self.topic.split("/"))

    def add(self, name: str, time: int, value: float, *, retained: bool, asset: str | None = None) -> None:
        """One more value of a sensor, and of the asset that the payload names, where it names one."""
        self.series.setdefault(name, Series()).add(time, value, retained=retained)
        if asset is not None:
            self.inside.setdefault(asset, {}).setdefault(name, Series()).add(time, value, retained=retained)


def look(topic: str, messages: Sequence[Captured]) -> View:
    """What a topic's messages are."""
    view = View(topic, len(messages))
    parsed = [(*parse(message), message) for message in messages]
    parsed = [each for each in parsed if each[0] != "null"] or parsed  # a missing value, which tells nothing
    counts = Counter(kind for kind, _, _ in parsed)
    kind, most = counts.most_common(1)[0]
    if most < MOST * len(parsed):
        told = ", ".join(f"{count} {name}" for name, count in counts.most_common())
        view.asides.append(Aside(topic, f"its payloads are of several kinds: {told}"))
        return view
    if most < len(parsed):
        rest = len(parsed) - most
        view.asides.append(Aside(topic, f"{rest} of its {len(parsed)} messages are of another kind than the rest"))
    chosen = [(value, message) for name, value, message in parsed if name == kind]
    if kind == "number":
        _numbers(view, chosen)
    elif kind == "line":
        _lines(view, chosen)
    elif kind in {"object", "list"}:
        _json(view, chosen)
    if view.mapping is None and not any(aside.what == topic for aside in view.asides):
        view.asides.append(Aside(topic, WHY_NOT.get(kind, kind)))
    return view


def _numbers(view: View, chosen: list[tuple[Any, Captured]]) -> None:
    numbers = [float(text) for text, _ in chosen]
    clock, _ = moments.find({"": numbers}, [message.arrival for _, message in chosen])
    if clock is not None:
        view.asides.append(Aside(view.topic, "the time itself, which is no measurement"))
        return
    view.mapping = Mapping("value")
    view.single = True
    view.reasons.append("a bare number is all there is in a payload, so its time is when it arrives")
    for text, message in chosen:
        value = number(float(text))
        if value is not None:
            view.add("", message.arrival, value, retained=message.retained)
    if not view.series:
        view.mapping = None
        view.asides.append(Aside(view.topic, "no number that fits floats of 32 bits"))


def _json(view: View, chosen: list[tuple[Any, Captured]]) -> None:
    own = [
        (reading, message) for tree, message in chosen for reading in (tree if isinstance(tree, list) else [tree])
    ]
    if own and all(_is_own(reading) for reading, _ in own):
        _own(view, own)
        return
    path = _items_path([tree for tree, _ in chosen])
    items = Items()
    for tree, message in chosen:
        found = at(tree, path) if path is not None else tree
        outer = leaves(tree) if path else {}
        for item in found if isinstance(found, list) else [found]:
            items.add(leaves(item), outer, message)
    read_items(view, items, path or "")


def _is_own(reading: Any) -> bool:
    """Whether this is our own form, with a time that the daemon takes."""
    if not isinstance(reading, dict) or not isinstance(reading.get("values"), dict):
        return False
    if reading.get("v", OWN_VERSION) != OWN_VERSION or isinstance(reading.get("v", OWN_VERSION), bool):
        return False
    values = list(reading["values"].values())
    fits = all(value is None or number(value) is not None for value in values)
    time = reading.get("ts")
    return fits and isinstance(time, int) and moments.format_of(time) == "ms"


def _own(view: View, own: list[tuple[Any, Captured]]) -> None:
    view.mapping = Mapping("json", "event", "ms", "ts")
    view.reasons.append("the payload is Enginewatch's own JSON")
    view.ahead += latest((reading["ts"], message) for reading, message in own)
    for reading, message in own:
        for name, value in reading["values"].items():
            found = number(value)
            if found is not None and name:
                view.series.setdefault(name, Series()).add(reading["ts"], found, retained=message.retained)
    if not view.series:
        view.mapping = None
        view.asides.append(Aside(view.topic, "no value in any reading"))


def _items_path(trees: list[Any]) -> str | None:
    """Where the list of readings is that all payloads have; None where a payload is one reading."""
    common: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for tree in trees:
        for path, items in lists(tree).items():
            if any(number(value) is not None for item in items for value in leaves(item).values()):
                common[path] += 1
                sizes[path] += len(items)
    paths = [path for path, count in common.items() if count >= MOST * len(trees)]
    return max(paths, key=lambda path: (sizes[path], path)) if paths else None


def _lines(view: View, chosen: list[tuple[Any, Captured]]) -> None:
    """Line protocol: a field is a sensor; tags may name what the topic does not."""
    rows = [(line, message) for lines, message in chosen for line in lines]
    timed = [moments.format_of(line.time) for line, _ in rows if line.time is not None]
    event = len(timed) >= MOST * len(rows) and len(set(timed)) == 1 and timed[0] is not None
    unit = (timed[0] or "") if event else ""
    view.mapping = Mapping("line", "event" if event else "arrival", unit)
    view.reasons.append("the payload is InfluxDB line protocol" + (f", its times in {unit}" if event else ""))
    view.asset_path = _asset_tag([line for line, _ in rows])
    measurements: dict[str, set[str]] = {}
    for line, _ in rows:
        for name in line.fields:
            measurements.setdefault(name, set()).add(line.measurement)
    together = _together(view, rows, measurements)
    refused: Counter[str] = Counter()
    for line, message in rows:
        time = moments.to_ms(line.time, unit) if event else None
        if time is not None and not message.retained:
            view.ahead.append(time - message.arrival)
        for name, value in line.fields.items():
            reading = number(value)
            if reading is None:
                refused[name] += 1
                continue
            published = _published(line, name, measurements)
            if published in together:
                continue
            at_time = message.arrival if time is None else time
            asset = line.tags[view.asset_path] if view.asset_path else None
            view.add(published, at_time, reading, retained=message.retained, asset=asset)
    view.asides += [Aside(name, "a field that is no number") for name in refused if name not in view.series]
    if not view.series:
        view.mapping = None
        view.asides.append(Aside(view.topic, "no field that can be a sensor"))


def _published(line: Line, name: str, measurements: dict[str, set[str]]) -> str:
    """A field's name, with its measurement where it would not tell enough by itself."""
    generic = len(measurements[name]) > 1 or plain(name) in VALUES
    return f"{line.measurement}.{name}" if generic else name


def _asset_tag(lines: Sequence[Line]) -> str:
    """The tag that names the asset of every line; the one that tells most apart, where several could."""
    tags: dict[str, list[str]] = {}
    for line in lines:
        for name, value in line.tags.items():
            tags.setdefault(name, []).append(value)
    named = [
        name
        for name, values in tags.items()
        if plain(name) in ASSETS
        and len(values) == len(lines)
        and not any(set(each) & set("/+#") for each in values)
    ]
    return max(named, key=lambda name: len(set(tags[name])), default="")


def _together(view: View, rows: Sequence[tuple[Line, Captured]], measurements: dict[str, set[str]]) -> set[str]:
    """The fields that come several times at once, told apart by a tag: no sensors. Asks about such tags."""
    tags: dict[str, dict[str, set[str]]] = {}  # field -> tag -> its values
    times: dict[tuple[Any, ...], int] = {}
    several: set[str] = set()
    for line, message in rows:
        for field_name in line.fields:
            name = _published(line, field_name, measurements)
            for tag, value in line.tags.items():
                if tag != view.asset_path:
                    tags.setdefault(name, {}).setdefault(tag, set()).add(value)
            key = (name, line.tags.get(view.asset_path), line.time, id(message))
            times[key] = times.get(key, 0) + 1
            if times[key] > 1 and line.time is not None:
                several.add(name)
    apart: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for name in sorted(tags):
        for tag, seen in tags[name].items():
            if len(seen) > 1:
                apart.setdefault((tag, tuple(sorted(seen))), []).append(name)
    for (tag, values), fields in apart.items():
        text = (
            f"the tag {tag} has several values ({_first(values)}) in one topic, whose {_first(fields)} would be "
            "one sensor. Is it an asset (then name the tag there), or can the publisher put it into the topic?"
        )
        view.questions.append(Question(text, "paths.asset, or topics"))
    gone = {name for name in several if any(len(values) > 1 for values in tags.get(name, {}).values())}
    view.asides += [Aside(name, "it comes several times at once, told apart by a tag") for name in sorted(gone)]
    return gone


def _first(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")


def meta_units(message: Captured) -> dict[str, str] | None:
    """The units in one of our own descriptions of an asset; None where it is none."""
    kind, tree = parse(message)
    if kind != "object" or not isinstance(tree.get("sensors"), dict) or "period_ms" not in tree:
        return None
    units = {name: at(sensor, "unit") for name, sensor in tree["sensors"].items()}
    return {name: unit for name, unit in units.items() if isinstance(unit, str) and unit and plain(name)}


def is_status(message: Captured) -> bool:
    """Whether this is a status as our publishers have it."""
    kind, tree = parse(message)
    return kind == "object" and isinstance(tree.get("online"), bool)
