"""Topics that belong together -> assets with their series."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from monitor.discovery.findings import Aside, Mapping, Question, Series
from monitor.discovery.levels import AREA, ASSET, FIXED, SENSOR, SITE, Roles, Topic, alike, roles, sizes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from monitor.discovery.view import View

ROOTS = 8  # first levels that can be trees of their own
DEEP = 3  # levels from which on a first level can be a tree of its own
OWN_LEVELS = 5  # root, v1, site, asset, telemetry


@dataclass(slots=True)
class Stream:
    """One asset."""

    key: str  # site/area/asset
    mapping: Mapping
    templates: set[str] = field(default_factory=set)
    series: dict[str, Series] = field(default_factory=dict)  # by published name
    units: dict[str, set[str]] = field(default_factory=dict)
    ignored: set[str] = field(default_factory=set)  # published beside the sensors, and none
    ahead: list[int] = field(default_factory=list)
    joined: bool = True  # its sensors come in one message
    reasons: dict[str, None] = field(default_factory=dict)  # in order, each once


@dataclass(slots=True)
class Placed:
    """All assets, and what was noticed while they were placed."""

    streams: list[Stream] = field(default_factory=list)
    asides: list[Aside] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)


def place(views: Iterable[View]) -> Placed:
    """Put every topic that can be read under its asset."""
    placed = Placed()
    groups: dict[tuple[Mapping, bool, int], list[View]] = defaultdict(list)
    usable = _assets_inside(views)
    _one_object_of_values(usable)
    for view in usable:
        assert view.mapping is not None
        groups[view.mapping, view.single, len(view.levels)].append(view)
    streams: dict[tuple[Mapping, str], Stream] = {}
    for (mapping, single, _), group in groups.items():
        for tree in _trees(group, single=single):
            _place_tree(tree, mapping, streams, placed, single=single)
    placed.streams = list(streams.values())
    _ask_about_shared_keys(placed)
    return placed


def _assets_inside(views: Iterable[View]) -> list[View]:
    """The topics that can be read; where one of a form carries several assets, the payload names those of all."""
    usable = [view for view in views if view.mapping is not None and view.series]
    several = {(view.mapping, view.asset_path) for view in usable if len(view.inside) > 1}
    for view in usable:
        assert view.mapping is not None
        if view.asset_path and (view.mapping, view.asset_path) in several:
            view.mapping = replace(view.mapping, asset=view.asset_path)
            view.reasons.append(
                f"the payload names the asset ({view.asset_path}), because a topic carries several"
            )
    return usable


def _one_object_of_values(views: Iterable[View]) -> None:
    """Where some topics of a form have their values deeper than others, all are read from the outer object."""
    forms: dict[tuple[Mapping, str, int], list[View]] = defaultdict(list)
    for view in views:
        if view.mapping is not None and view.mapping.values is not None:
            forms[replace(view.mapping, values=""), view.levels[0], len(view.levels)].append(view)
    for form in forms.values():
        objects = {view.mapping.values or "" for view in form if view.mapping}
        for view in form:
            assert view.mapping is not None
            own = view.mapping.values or ""
            outer = min((each for each in objects if not each or own.startswith(f"{each}.")), key=len, default=own)
            if outer != own:
                ahead = own.removeprefix(f"{outer}.") if outer else own
                view.mapping = replace(view.mapping, values=outer)
                view.series = {f"{ahead}.{name}": series for name, series in view.series.items()}
                view.units = {f"{ahead}.{name}": unit for name, unit in view.units.items()}
                view.ignored = {f"{ahead}.{name}" for name in view.ignored}
                view.inside = {
                    asset: {f"{ahead}.{name}": series for name, series in each.items()}
                    for asset, each in view.inside.items()
                }


def _place_tree(
    tree: list[View], mapping: Mapping, streams: dict[tuple[Mapping, str], Stream], placed: Placed, *, single: bool
) -> None:
    own = mapping.payload == "json" and all(_is_own_topic(view.levels) for view in tree)
    inside = bool(mapping.asset)
    topics = [_topic(view, single=single) for view in tree]
    if mapping.payload == "sparkplug":
        found = Roles([FIXED, SITE, FIXED, AREA, ASSET])
    else:
        found = _own_roles() if own else roles(topics, single=single, inside=inside)
    if found.problem:
        shown = ", ".join(view.topic for view in tree[:3])
        placed.asides.append(Aside(shown, found.problem, len(tree)))
        return
    placed.questions += found.questions
    origins: dict[tuple[str, str], str] = {}
    for view in tree:
        levels = view.levels
        place = "/".join(found.at(role, levels) for role in (SITE, AREA))
        for asset, series in (view.inside if inside else {found.at(ASSET, levels): view.series}).items():
            key = f"{place}/{asset}"
            stream = streams.setdefault((mapping, key), Stream(key, mapping))
            stream.templates.add(found.template(levels))
            stream.joined = stream.joined and not single
            stream.ahead += view.ahead
            stream.ignored |= view.ignored
            stream.reasons.update(dict.fromkeys([*view.reasons, *found.reasons]))
            for name, each in series.items():
                published = name or found.at(SENSOR, levels)
                before = origins.setdefault((key, published), view.topic)
                if published in stream.series:
                    placed.questions.append(_two_under_one(view.topic, before, published, key))
                    continue
                stream.series[published] = each
                if unit := view.units.get(name):
                    stream.units.setdefault(published, set()).add(unit)


def _two_under_one(topic: str, before: str, published: str, key: str) -> Question:
    other = before if before != topic else "another topic"
    return Question(
        f"{topic} and {other} would both be the sensor {published} of {key}: two sensors under one name, of which "
        "the first is taken. Which level tells them apart?",
        "topics",
    )


def _is_own_topic(levels: Sequence[str]) -> bool:
    return len(levels) == OWN_LEVELS and levels[1] == "v1" and levels[-1] == "telemetry"


def _own_roles() -> Roles:
    return Roles([FIXED, FIXED, SITE, ASSET, FIXED], ["the topic is Enginewatch's own"])


def _topic(view: View, *, single: bool) -> Topic:
    size = sizes({name: series.values for name, series in view.series.items()}) if single else None
    return Topic(view.levels, frozenset(view.series) - {""}, size)


def _trees(group: list[View], *, single: bool) -> list[list[View]]:
    """The group, apart by its first level where what stands below has nothing in common."""
    roots: dict[str, list[View]] = defaultdict(list)
    for view in group:
        roots[view.levels[0]].append(view)
    if len(group[0].levels) < DEEP or not 1 < len(roots) <= ROOTS:
        return [group]
    trees: list[tuple[frozenset[str], list[View]]] = []
    for views in roots.values():
        marks = _marks(views, single=single)
        for index, (others, tree) in enumerate(trees):
            if alike(marks, others):
                trees[index] = (marks | others, tree + views)
                break
        else:
            trees.append((marks, views))
    return [tree for _, tree in trees]


def _marks(views: list[View], *, single: bool) -> frozenset[str]:
    """By what two trees are recognised as alike: the names of their sensors."""
    if single:
        last = -1 if len({view.levels[-1] for view in views}) > 1 else -2
        return frozenset(view.levels[last] for view in views)
    return frozenset(name for view in views for name in view.series)


def _ask_about_shared_keys(placed: Placed) -> None:
    """One asset whose topics are read in two ways cannot be one stream."""
    keys: dict[str, list[Stream]] = defaultdict(list)
    for stream in placed.streams:
        keys[stream.key].append(stream)
    shared = {key: streams for key, streams in keys.items() if len(streams) > 1}
    if not shared:
        return
    key, streams = next(iter(shared.items()))
    forms = " and ".join(sorted({template for stream in streams for template in stream.templates}))
    placed.questions.append(
        Question(
            f"{len(shared)} assets, {key} for one, publish in two forms ({forms}), which cannot be one class. The "
            "one with fewer sensors is left aside; which one do you want?",
            "[[classes]]",
        )
    )
    for key, streams in shared.items():
        streams.sort(key=lambda stream: -len(stream.series))
        for stream in streams[1:]:
            placed.streams.remove(stream)
            topics = ", ".join(sorted(stream.templates))
            placed.asides.append(Aside(f"{key} on {topics}", "the asset has another form too"))
