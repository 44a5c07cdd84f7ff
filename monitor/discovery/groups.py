"""Assets with the same sensors go together: which, under what name, and by which globs they are told apart."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from monitor.discovery.findings import Question
from monitor.discovery.names import plain, stem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.discovery.findings import Mapping
    from monitor.discovery.streams import Stream

SAME = 0.7  # of two assets' sensors: shared by both, of all in either
LISTED = 5
PATTERNS = 20  # globs of a class; beyond, its assets are named one by one
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
    having: dict[tuple[Mapping, str], set[int]] = defaultdict(set)  # places in `groups`
    sets: dict[tuple[Mapping, frozenset[str]], list[Stream]] = defaultdict(list)
    for stream in streams:
        sets[stream.mapping, frozenset(stream.series)].append(stream)
    for (mapping, sensors), members in sorted(
        sets.items(), key=lambda each: (-len(each[0][1]), -len(each[1]), sorted(each[0][1]))
    ):
        # Only groups that have one of the sensors can be alike; the first of them is taken.
        near = {number for sensor in sensors for number in having[mapping, sensor]}
        for number in sorted(near):
            other = groups[number]
            if len(sensors & other.sensors) >= SAME * len(sensors | other.sensors):
                _ask_about_missing(other, members, sensors)
                other.streams += members
                other.sensors |= sensors
                break
        else:
            number = len(groups)
            groups.append(Group(members, set(sensors)))
        for sensor in sensors:
            having[mapping, sensor].add(number)
    for each in groups:
        _ask_about_many(each)
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


def _ask_about_many(group: Group) -> None:
    """Where sensors come and go with every asset, a few examples say it."""
    more = len(group.questions) - LISTED
    if more > 0:
        text = f"{more} more sets of assets lack some sensors or have others besides: one class, or several?"
        group.questions[LISTED:] = [Question(text, "[[classes]] assets")]


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
        # What a rival would take against these assets; one by one its assets are among the strangers.
        others = [glob for other in rivals for glob in _apart([s.key for s in other.streams], keys)[0]]
        chosen, why = _apart(keys, strangers, others, overlap)
        by_name = tuple(sorted(map(_exact, keys))), "each by name, because no pattern tells the classes apart"
        found.append((chosen, why) if chosen else by_name)
    return found


def _apart(
    keys: list[str], strangers: list[str], others: Sequence[str] = (), overlap: Overlap | None = None
) -> tuple[tuple[str, ...], str]:
    """The first globs that take these keys, none of the strangers and nothing that `others` take; else none."""
    for chosen, why in _candidates(keys):
        if any(fnmatchcase(key, one) for one in chosen for key in strangers):
            continue
        if overlap is None or not any(overlap(one, other) for one in chosen for other in others):
            return chosen, why
    return (), ""


def _candidates(keys: list[str]) -> list[tuple[tuple[str, ...], str]]:
    parts = [key.split("/", 2) for key in keys]
    sites = sorted({f"{_exact(site)}/*" for site, _, _ in parts})
    areas = sorted({f"{_exact(site)}/{_exact(area)}/*" for site, area, _ in parts})
    anywhere = sorted({f"*/*/{_exact(_lead(asset))}*" for _, _, asset in parts})
    stems = sorted({f"{_exact(site)}/{_exact(area)}/{_exact(_lead(asset))}*" for site, area, asset in parts})
    found = [
        (tuple(sites), "by site, because no other class is there"),
        (tuple(areas), "by area, because no other class is there"),
        (tuple(anywhere), "by the beginning of their names"),
        (tuple(stems), "by the beginning of their names, and where they are"),
    ]
    # A long list is no pattern, and an asset without a name before its number would take all.
    return [(each, why) for each, why in found if len(each) <= PATTERNS and "*/*/*" not in each]


def _lead(asset: str) -> str:
    """What stands before the number of an asset's name.

    >>> _lead("pump-01"), _lead("17")
    ('pump-', '17')
    """
    return re.sub(r"\d+[A-Za-z]?$", "", asset) or asset


def _exact(text: str) -> str:
    """A glob that takes this text only."""
    return re.sub(r"([*?[])", r"[\1]", text)
