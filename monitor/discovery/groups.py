"""Assets with the same sensors go together: which, under what name, and by which globs they are told apart."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from monitor.discovery.findings import Question
from monitor.discovery.names import plain, stem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.discovery.streams import Stream

SAME = 0.7  # of two assets' sensors: shared by both, of all in either
LISTED = 5
Overlap = Callable[[str, str], bool]


@dataclass(slots=True)
class Group:
    """Assets that go together."""

    streams: list[Stream]
    sensors: set[str]  # of any of them, by published name
    name: str = ""
    questions: list[Question] = field(default_factory=list)

    @property
    def templates(self) -> set[str]:
        """All templates of its assets."""
        return {template for stream in self.streams for template in stream.templates}


def group(streams: Sequence[Stream]) -> list[Group]:
    """Put together the assets with the same sensors, or nearly so, that are read in the same way."""
    groups: list[Group] = []
    sets = Counter((stream.mapping, frozenset(stream.series)) for stream in streams)
    for (mapping, sensors), _ in sorted(
        sets.items(), key=lambda each: (-len(each[0][1]), -each[1], sorted(each[0][1]))
    ):
        members = [each for each in streams if each.mapping == mapping and frozenset(each.series) == sensors]
        for other in groups:
            if other.streams[0].mapping == mapping and len(sensors & other.sensors) >= SAME * len(
                sensors | other.sensors
            ):
                _ask_about_missing(other, members, sensors)
                other.streams += members
                other.sensors |= sensors
                break
        else:
            groups.append(Group(members, set(sensors)))
    _name(groups)
    return groups


def _ask_about_missing(group: Group, members: list[Stream], sensors: frozenset[str]) -> None:
    lacking, more = sorted(group.sensors - sensors), sorted(sensors - group.sensors)
    told = [f"{'lack' if len(members) > 1 else 'lacks'} {', '.join(lacking[:LISTED])}"] if lacking else []
    told += [f"{'have' if len(members) > 1 else 'has'} {', '.join(more[:LISTED])} besides"] if more else []
    names = ", ".join(stream.key for stream in members[:LISTED])
    group.questions.append(
        Question(
            f"{names} {' and '.join(told)}: the same kind of machine, or a class of its own?", "[[classes]] assets"
        )
    )


def _name(groups: list[Group]) -> None:
    used: set[str] = set()
    for each in groups:
        stems = Counter(plain(stem(stream.key.rpartition("/")[2])) for stream in each.streams)
        best, count = stems.most_common(1)[0]
        areas = {plain(stream.key.split("/")[1] or stream.key.split("/")[0]) for stream in each.streams}
        if count >= SAME * len(each.streams) and best != "sensor" and len(best) > 1:
            name = best
        elif len(areas) == 1 and len(groups) > 1 and (area := next(iter(areas))) != "sensor":
            name = area
        else:
            name = "machine"
        each.name = name
        number = 2
        while each.name in used:
            each.name, number = f"{name}_{number}", number + 1
        used.add(each.name)


def globs(groups: Sequence[Group], overlap: Overlap) -> list[tuple[tuple[str, ...], str]]:
    """For each group the globs on its assets, and why; no two groups that share a template overlap."""
    found: list[tuple[tuple[str, ...], str]] = []
    for each in groups:
        rivals = [other for other in groups if other is not each and other.templates & each.templates]
        if not rivals:
            found.append((("*",), ""))
            continue
        keys = [stream.key for stream in each.streams]
        strangers = [stream.key for other in rivals for stream in other.streams]
        for candidates, why in _candidates(keys):
            others = [glob for other in rivals for glob in _chosen([s.key for s in other.streams], keys, overlap)]
            if not any(overlap(one, other) for one in candidates for other in [*others, *map(_exact, strangers)]):
                found.append((candidates, why))
                break
        else:
            found.append(
                (tuple(sorted(map(_exact, keys))), "each by name, because no pattern tells the classes apart")
            )
    return found


def _chosen(keys: list[str], strangers: list[str], overlap: Overlap) -> tuple[str, ...]:
    """The globs a rival would take against these strangers."""
    for candidates, _ in _candidates(keys):
        if not any(overlap(one, _exact(key)) for one in candidates for key in strangers):
            return candidates
    return tuple(sorted(map(_exact, keys)))


def _candidates(keys: list[str]) -> list[tuple[tuple[str, ...], str]]:
    parts = [key.split("/", 2) for key in keys]
    sites = sorted({f"{_exact(site)}/*" for site, _, _ in parts})
    areas = sorted({f"{_exact(site)}/{_exact(area)}/*" for site, area, _ in parts})
    stems = sorted({f"{_exact(site)}/{_exact(area)}/{_exact(_lead(asset))}*" for site, area, asset in parts})
    found = [
        (tuple(sites), "by site, because no other class is there"),
        (tuple(areas), "by area, because no other class is there"),
        (tuple(stems), "by the beginning of their names"),
    ]
    return [(each, why) for each, why in found if not any(glob.startswith("*") for glob in each)]


def _lead(asset: str) -> str:
    """What stands before the number of an asset's name.

    >>> _lead("pump-01"), _lead("17")
    ('pump-', '17')
    """
    return re.sub(r"\d+[A-Za-z]?$", "", asset) or asset


def _exact(text: str) -> str:
    """A glob that takes this text only."""
    return re.sub(r"([*?[])", r"[\1]", text)
