"""Any JSON, item by item: which leaf is the time, which are values, and what names them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from monitor.discovery import moments, names
from monitor.discovery.findings import Aside, Mapping, Question
from monitor.discovery.names import plain
from monitor.discovery.payloads import NUMBER, number

if TYPE_CHECKING:
    from collections.abc import Iterable

    from monitor.discovery.capture import Captured
    from monitor.discovery.moments import Moment
    from monitor.discovery.view import View

MOST = 0.8
LONGEST_NAME = 200  # of an asset
PATHS = 2_000  # leaves of all items of a topic together


@dataclass(slots=True)
class Items:
    """Readings of one topic: their leaves, those of what is around them, and the messages that brought them."""

    inner: list[dict[str, Any]] = field(default_factory=list)
    outer: list[dict[str, Any]] = field(default_factory=list)
    messages: list[Captured] = field(default_factory=list)

    def add(self, inner: dict[str, Any], outer: dict[str, Any], message: Captured) -> None:
        """One more reading."""
        self.inner.append(inner)
        self.outer.append(outer)
        self.messages.append(message)


def read_items(view: View, items: Items, path: str) -> None:
    """Fill in how the readings of a topic are to be read, and what they report."""
    columns = _columns(items.inner)
    if len(columns) > PATHS:
        view.asides.append(
            Aside(view.topic, f"its objects have over {PATHS} different keys: are they measurements?")
        )
        return
    arrivals = [message.arrival for message in items.messages]
    time, others = moments.find(columns, arrivals)
    clock = columns.get(time.path) if time else None
    if time is None:
        outer = _columns(items.outer)
        time, _ = moments.find(outer, arrivals)
        clock = outer.get(time.path) if time else None
    elif time.time_format == "local" and any(other.time_format in moments.PER_MS for other in others):
        others = [time, *others]
        time = next(other for other in others if other.time_format in moments.PER_MS)
        others.remove(time)
        clock = columns[time.path]
    taken = {other.path for other in others} | ({time.path} if time else set())
    for other in others:
        view.asides.append(Aside(other.path, "another time"))
    view.asides += _beside_the_list(items, path)
    before = len(view.asides)
    numeric = _numeric(view, columns, taken)
    if not numeric:
        # The only value of a topic is known by the topic, not by its name in the payload.
        view.asides[before:] = [
            replace(aside, what=view.topic) if plain(aside.what) in names.VALUES else aside
            for aside in view.asides[before:]
        ]
        return
    numeric = _in_the_holder(view, numeric)
    named = _named_by(columns, numeric, several=bool(path))
    single = named is None and len(numeric) == 1 and plain(numeric[0].rpartition(".")[2]) in names.VALUES
    _say_time(view, time)
    stamp = time if time is not None and time.time_format != "local" else None
    times = _times(stamp, clock, arrivals)
    view.single = single
    view.mapping = Mapping(
        payload="paths",
        time="event" if stamp else "arrival",
        time_format=stamp.time_format if stamp else "",
        time_path=stamp.path if stamp else "",
        items=path,
        values=None if named or single else _parent(numeric),
        value=numeric[0] if named or single else None,
        sensor=named or "",
    )
    view.reasons.append(_reason(view.mapping, numeric))
    view.asset_path = _asset_path(columns, items)
    _fill(view, items, columns, times, numeric)
    view.ignored = _ignored(view.mapping, columns, numeric)
    if stamp:
        view.ahead += latest(zip(times, items.messages, strict=True))
    _units(view, columns, numeric)


def _beside_the_list(items: Items, path: str) -> list[Aside]:
    """The numbers that stand around a list of readings, which are none of it."""
    known = {*names.TIMES, *names.ASSETS, *names.BOOKKEEPING}
    around = {
        name
        for outer in items.outer
        for name, value in outer.items()
        if name != path and (number(value) is not None or isinstance(value, list))
    }
    return [
        Aside(name, f"it stands beside the list of readings, {path}")
        for name in sorted(around)
        if plain(name.rpartition(".")[2]) not in known
    ]


def latest(timed: Iterable[tuple[int, Captured]]) -> list[int]:
    """How far the latest reading of each message is ahead of its arrival, ms; retained messages tell nothing."""
    ahead: dict[tuple[str, int], int] = {}
    for time, message in timed:
        if not message.retained:
            key = (message.topic, message.arrival)
            ahead[key] = max(ahead.get(key, time - message.arrival), time - message.arrival)
    return list(ahead.values())


def _columns(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """Path -> its value in every row, None = missing."""
    paths = dict.fromkeys(path for row in rows for path in row)
    if len(paths) > PATHS:
        return {path: [] for path in paths}
    return {path: [row.get(path) for row in rows] for path in paths}


def _numeric(view: View, columns: dict[str, list[Any]], taken: set[str]) -> list[str]:
    """The leaves that are values; what looks like one and is none is put aside with the reason."""
    found = []
    for path, values in columns.items():
        if path in taken:
            continue
        kinds = Counter(_kind(value) for value in values if value is not None)
        last = plain(path.rpartition(".")[2])
        total, numbers = kinds.total(), kinds["number"]
        if not total:
            view.asides.append(Aside(path, "it is always null"))
        elif last in names.ASSETS:
            view.asides.append(Aside(path, "it names a device"))
        elif last in names.BOOKKEEPING and (
            len(set(map(str, values))) == 1 or not (last in names.VALUES or any(map(_is_broken, values)))
        ):
            view.asides.append(Aside(path, "bookkeeping, by its name"))
        elif numbers >= MOST * total:
            found.append(path)
            if numbers < total:
                told = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
                view.questions.append(
                    Question(f"{path} changes its type ({told}); what is no number is refused", path)
                )
        elif numbers:
            told = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
            view.asides.append(Aside(path, f"it changes its type: {told}"))
        elif kinds["boolean"]:
            view.asides.append(Aside(path, "true and false are no measurements"))
        elif kinds["list"]:
            view.asides.append(
                Aside(path, "a list in a reading: what is in it has no name that a sensor could have")
            )
        elif last in names.VALUES and kinds["text"]:
            view.asides.append(Aside(path, "text that is no number"))
        elif kinds["number as text"] >= MOST * total:
            view.asides.append(Aside(path, "its numbers stand in quotes, which the daemon refuses"))
            view.questions.append(
                Question(f"{path} holds numbers in quotes; have the publisher send numbers", "[classes.paths]")
            )
    return found


def _in_the_holder(view: View, numeric: list[str]) -> list[str]:
    """The values in the object that is there for them, where there is one; what stands beside it is none."""
    heads = {path.split(".")[0] for path in numeric if "." in path}
    holders = [head for head in heads if plain(head) in names.HOLDERS]
    if len(holders) != 1:
        return numeric
    inside = [path for path in numeric if path.startswith(holders[0] + ".")]
    beside = [path for path in numeric if path not in inside]
    view.asides += [Aside(path, f"it stands beside {holders[0]}") for path in beside]
    return inside


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if number(value) is not None:
        return "number"
    if isinstance(value, list):
        return "list"
    if isinstance(value, str):
        return "number as text" if NUMBER.fullmatch(value.strip()) else "text"
    return "number out of range"


def _is_broken(value: Any) -> bool:
    """Whether this is a number that no code or sequence would be."""
    return isinstance(value, float) and not value.is_integer()


def _named_by(columns: dict[str, list[Any]], numeric: list[str], *, several: bool) -> str | None:
    """The leaf that names the sensor of an item's one value; None where there is none."""
    if len(numeric) != 1:
        return None
    candidates = []
    for path, values in columns.items():
        last = plain(path.rpartition(".")[2])
        if last not in names.NAMES or not all(isinstance(value, str) and value for value in values):
            continue
        if len(set(values)) > 1 or (several and last not in {"id", "n", "name", "key"}):
            candidates.append((names.NAMES.index(last), path))
    return min(candidates)[1] if candidates else None


def _say_time(view: View, time: Moment | None) -> None:
    if time is None:
        view.reasons.append("no field of the payload is a time, so it is when a message arrives")
        return
    if time.time_format == "local":
        view.reasons.append(f"the time is the arrival, because {time.path} names no zone")
    else:
        view.reasons.append(f"the time is {time.reason}")
    if time.doubt:
        view.questions.append(Question(time.doubt, "time and paths.time_format"))


def _times(time: Moment | None, clock: list[Any] | None, arrivals: list[int]) -> list[int]:
    if time is None or clock is None:
        return arrivals
    found = [moments.to_ms(value, time.time_format) for value in clock]
    return [arrival if moment is None else moment for moment, arrival in zip(found, arrivals, strict=True)]


def _parent(numeric: list[str]) -> str:
    """The innermost object that holds all values; "" is the whole."""
    parents = [path.split(".")[:-1] for path in numeric]
    common: list[str] = []
    for keys in zip(*parents, strict=False):
        if len(set(keys)) > 1:
            break
        common.append(keys[0])
    return ".".join(common)


def _reason(mapping: Mapping, numeric: list[str]) -> str:
    where = "the payload" if not mapping.items else f"each object in {mapping.items}"
    if mapping.sensor:
        return f"{where} has one value ({mapping.value}), and {mapping.sensor} says of which sensor"
    if mapping.value is not None:
        return f"{where} has one number ({mapping.value}), so the topic names the sensor"
    inside = f"in {mapping.values} " if mapping.values else ""
    return f"{where} has {len(numeric)} number{'s' if len(numeric) > 1 else ''} {inside}under names of their own"


def _fill(view: View, items: Items, columns: dict[str, list[Any]], times: list[int], numeric: list[str]) -> None:
    assert view.mapping is not None
    labels = columns[view.mapping.sensor] if view.mapping.sensor else None
    cut = len(view.mapping.values) + 1 if view.mapping.values else 0
    assets = [_beside(items, row, view.asset_path) if view.asset_path else None for row in range(len(times))]
    for path in numeric:
        for row, cell in enumerate(columns[path]):
            value = number(cell)
            if value is None or (view.asset_path and not _is_name(assets[row])):
                continue
            name = str(labels[row]) if labels else "" if view.single else path[cut:]
            asset = str(assets[row]) if view.asset_path else None
            view.add(name, times[row], value, retained=items.messages[row].retained, asset=asset)
    strange = {str(asset): None for asset in assets if asset is not None and not _is_name(asset)}
    for asset in list(strange)[:5]:
        view.asides.append(Aside(f"{view.asset_path} {asset}"[:LONGEST_NAME], "it cannot be the name of an asset"))


def _asset_path(columns: dict[str, list[Any]], items: Items) -> str:
    """The leaf that names the assets of the readings, the one that tells most apart; empty where there is none."""
    rows = range(len(items.inner))
    best, most = "", 0
    for path in dict.fromkeys([*columns, *(path for outer in items.outer for path in outer)]):
        if plain(path.rpartition(".")[2]) not in names.ASSETS:
            continue
        found = [_beside(items, row, path) for row in rows]
        distinct = {str(value) for value in found if _is_name(value)}
        # One name that cannot be one must not make a single asset of all.
        if distinct and not any(isinstance(value, bool | float | list | None) for value in found):
            best, most = (path, len(distinct)) if len(distinct) > most else (best, most)
    return best


def _beside(items: Items, row: int, path: str) -> Any:
    """A leaf of a reading, or else of what is around it."""
    return items.inner[row].get(path, items.outer[row].get(path))


def _is_name(value: Any) -> bool:
    """Whether this can be the name of an asset."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return False
    text = str(value)[: LONGEST_NAME + 1]
    return 0 < len(text) <= LONGEST_NAME and text.isprintable() and not set(text) & set("/+#")


def _ignored(mapping: Mapping, columns: dict[str, list[Any]], numeric: list[str]) -> set[str]:
    """The numbers among the values that are no sensors: the daemon would not know them."""
    if mapping.values is None:
        return set()
    start = f"{mapping.values}." if mapping.values else ""
    rest = [path for path in columns if path.startswith(start) and path not in {*numeric, mapping.time_path}]
    return {path.removeprefix(start) for path in rest if any(number(value) is not None for value in columns[path])}


def _units(view: View, columns: dict[str, list[Any]], numeric: list[str]) -> None:
    """The units that stand beside the values."""
    assert view.mapping is not None
    labels = columns[view.mapping.sensor] if view.mapping.sensor else None
    cut = len(view.mapping.values) + 1 if view.mapping.values else 0
    for path, values in columns.items():
        parent, _, last = path.rpartition(".")
        if plain(last) not in names.UNITS:
            continue
        beside = [each for each in numeric if each.rpartition(".")[0] == parent]
        if len(beside) != 1:
            continue
        found: dict[str, set[str]] = {}
        for row, value in enumerate(values):
            if isinstance(value, str) and value.strip():
                name = str(labels[row]) if labels else "" if view.single else beside[0][cut:]
                found.setdefault(name, set()).add(value.strip())
        for name, units in found.items():
            view.units[name] = min(units)
            if len(units) > 1:
                told = " and ".join(sorted(units))
                view.questions.append(Question(f"{name or view.topic} comes in {told}: which is right?", "unit"))
