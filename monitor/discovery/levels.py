"""What each level of a group of topics is: fixed, site, area, asset or sensor. Every choice has its reason.

The topics of a group are equally deep and carry the same form of payload.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import combinations
from statistics import fmean, median, pstdev
from typing import TYPE_CHECKING

from monitor.discovery.findings import Question
from monitor.discovery.names import is_generic, is_numbered, is_quantity
from monitor.discovery.units import from_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FIXED, SITE, AREA, ASSET, SENSOR = "fixed", "site", "area", "asset", "sensor"
KINDS = 50  # values of a level that says what kind of message it is
ALIKE = 0.5  # of two sets of names: shared by both, of all in either
CLOSE = 1.0  # a second choice of the sensor's level this near to the first is asked about
SHOWN = 3


@dataclass(frozen=True, slots=True)
class Topic:
    """What is known of one topic when its levels are compared."""

    levels: tuple[str, ...]
    names: frozenset[str]  # of the sensors in its payload; empty where the topic names the sensor
    size: float | None = None  # the usual magnitude of its values, where it has one value


@dataclass(slots=True)
class Roles:
    """One role a level, why, and what is to be asked; `problem` says why the topics cannot be used."""

    levels: list[str]
    reasons: list[str] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)
    problem: str = ""

    def template(self, levels: Sequence[str]) -> str:
        """The template that takes a topic."""
        return "/".join(
            level if role == FIXED else f"{{{role}}}" for role, level in zip(self.levels, levels, strict=True)
        )

    def at(self, role: str, levels: Sequence[str]) -> str:
        """What a topic has at a role; empty where the role is not given."""
        return next((level for each, level in zip(self.levels, levels, strict=True) if each == role), "")


def alike(one: frozenset[str] | set[str], other: frozenset[str] | set[str]) -> bool:
    """Whether two sets of names share at least half of what is in either."""
    return len(one & other) >= ALIKE * len(one | other)


def roles(topics: Sequence[Topic], *, single: bool, inside: bool = False) -> Roles:
    """The roles of the levels; `single`: each topic has one value, and a level names its sensor.

    `inside`: the payload names the asset, so no level does.
    """
    columns = [{topic.levels[index] for topic in topics} for index in range(len(topics[0].levels))]
    found = Roles([FIXED] * len(columns))
    sensor = _sensor(topics, columns, found, least=1 if inside else 2) if single else None
    if single and sensor is None:
        found.problem = "no level of the topic can be both an asset and a sensor: a topic needs two at the least"
        return found
    kinds = set() if single else _kinds(topics, columns, found)
    taken = {*kinds, *([] if sensor is None else [sensor])}
    if inside:
        varying = [index for index, values in enumerate(columns) if len(values) > 1 and index not in taken]
        _places(columns, found, len(columns), varying)
    else:
        _asset(columns, found, taken)
    return found


# The level that names the sensor.


def _sensor(topics: Sequence[Topic], columns: list[set[str]], found: Roles, *, least: int) -> int | None:
    usable = [index for index, values in enumerate(columns) if not all(map(is_generic, values))]
    if len(usable) < least:  # an asset and a sensor
        return None
    varying = [index for index in usable if len(columns[index]) > 1]
    ratings = {index: _rate(index, topics, columns, last=index == usable[-1]) for index in usable}
    if len(varying) > 1:
        ratings = {index: ratings[index] for index in varying}
    ranked = sorted(ratings, key=lambda index: (-ratings[index][0], -index))
    best = ranked[0]
    found.levels[best] = SENSOR
    values = columns[best]
    why = ", ".join(ratings[best][1]) or "it is what is left"
    found.reasons.append(f"level {best + 1} ({_some(values)}) names the sensor: {why}")
    if len(ranked) > 1 and ratings[best][0] - ratings[ranked[1]][0] < CLOSE:
        other = ranked[1]
        found.questions.append(
            Question(
                f"level {best + 1} ({_some(values)}) is taken as the sensor; could it be level {other + 1} "
                f"({_some(columns[other])})?",
                "topics",
            )
        )
    return best


def _rate(index: int, topics: Sequence[Topic], columns: list[set[str]], *, last: bool) -> tuple[float, list[str]]:
    """How much a level looks like the sensor's, and why."""
    values = columns[index]
    score, why = 0.0, []
    words = fmean(is_quantity(value) or bool(from_name(value)[0]) for value in values)
    if words >= ALIKE:
        why.append("its names are those of quantities")
    numbered = fmean(is_numbered(value) and not is_quantity(value) for value in values)
    score += 3.0 * words - 2.0 * numbered + 0.75 * last
    if last:
        why.append("it is the last one")
    if len(values) == 1:
        return score - 0.5, why
    sets = _sets(index, topics)
    several = [each for each in sets.values() if len(each) > 1]
    if len(sets) > 1 and several:
        kinds = len(set(map(frozenset, sets.values())))
        sameness = 1 - (kinds - 1) / max(len(sets) - 1, 1)
        score += sameness
        if sameness > ALIKE:
            count = len(several[0])
            why.append(
                f"the same {count} names stand under each of {len(sets)}"
                if kinds == 1
                else f"the same names stand under several of {len(sets)}"
            )
    homogeneous = _homogeneity(index, topics)
    if homogeneous:
        score += 1.5 * homogeneous
        if homogeneous > ALIKE:
            why.append("values of one name are of one size")
    return score, why


def _sets(index: int, topics: Sequence[Topic]) -> dict[tuple[str, ...], set[str]]:
    """What a level holds, under each combination of the other levels."""
    sets: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for topic in topics:
        sets[topic.levels[:index] + topic.levels[index + 1 :]].add(topic.levels[index])
    return sets


def _homogeneity(index: int, topics: Sequence[Topic]) -> float:
    """1 where topics that agree in a level have values of one size while the whole has not; else towards 0."""
    sizes = [(topic.levels[index], math.log10(topic.size)) for topic in topics if topic.size]
    groups: dict[str, list[float]] = defaultdict(list)
    for value, size in sizes:
        groups[value].append(size)
    several = [group for group in groups.values() if len(group) > 1]
    spread = pstdev(size for _, size in sizes) if len(sizes) > 1 else 0.0
    if not several or spread < 0.1:  # noqa: PLR2004 - all values are of one size, which tells nothing
        return 0.0
    return max(0.0, 1 - fmean(pstdev(group) for group in several) / spread)


# Levels that say what kind of message it is.


def _kinds(topics: Sequence[Topic], columns: list[set[str]], found: Roles) -> set[int]:
    """The levels by which the payload's names differ, while the same assets stand under each: they stay fixed."""
    kinds = set()
    for index, values in enumerate(columns):
        if not 1 < len(values) <= KINDS:
            continue
        named: dict[str, list[frozenset[str]]] = defaultdict(list)
        under: dict[str, set[tuple[str, ...]]] = defaultdict(set)
        for topic in topics:
            named[topic.levels[index]].append(topic.names)
            under[topic.levels[index]].add(topic.levels[:index] + topic.levels[index + 1 :])
        unions = {value: frozenset().union(*sets) for value, sets in named.items()}
        within = all(alike(names, unions[value]) for value, sets in named.items() for names in sets)
        differ = all(not unions[one] & unions[other] for one, other in combinations(unions, 2))
        shared = set.intersection(*under.values())
        alone = len(topics) == len(values) and any(map(is_numbered, values))
        if within and differ and shared and not alone:
            kinds.add(index)
            found.reasons.append(
                f"level {index + 1} ({_some(values)}) says what is in a message, because the names in the payload "
                "differ with it and the rest of the topic does not"
            )
    return kinds


# The asset, and what it stands in.


def _asset(columns: list[set[str]], found: Roles, taken: set[int]) -> None:
    free = [index for index in range(len(columns)) if index not in taken]
    usable = [index for index in free if not all(map(is_generic, columns[index]))]
    varying = [index for index in usable if len(columns[index]) > 1]
    if not usable:
        found.problem = "no level of the topic can be the asset"
        return
    before = [index for index in varying if all(index < each for each in taken)]
    asset = (before or varying or [usable[-1]])[-1]
    found.levels[asset] = ASSET
    if len(columns[asset]) == 1:
        found.reasons.append(
            f"level {asset + 1} ({_some(columns[asset])}) is the asset: the only one that was heard"
        )
        found.questions.append(
            Question(
                f"only one asset was heard; is {_some(columns[asset])} (level {asset + 1}) its name?", "topics"
            )
        )
    else:
        found.reasons.append(f"level {asset + 1} ({_some(columns[asset])}) is the asset: the last that differs")
    _places(columns, found, asset, [index for index in varying if index != asset])
    _ask_which(columns, found, asset, varying)


def _places(columns: list[set[str]], found: Roles, asset: int, varying: list[int]) -> None:
    """Site and area: what else differs, the nearest before the asset first; else the level just before it."""
    first = next((index for index, values in enumerate(columns) if values != {""}), 0)  # it stays as it is
    order = sorted(varying, key=lambda index: (index > asset, abs(asset - index)))
    if not order:
        quiet = [index for index in range(first + 1, asset) if not any(map(is_generic, columns[index]))]
        quiet = [index for index in quiet if found.levels[index] == FIXED]
        if quiet:
            found.levels[quiet[-1]] = SITE
            found.reasons.append(
                f"level {quiet[-1] + 1} ({_some(columns[quiet[-1]])}) was the same everywhere; it is left open as "
                "{site}, so that others are known too"
            )
        return
    quiet = [index for index in range(first + 1, order[0]) if not any(map(is_generic, columns[index]))]
    if len(order) == 1 and order[0] < asset and quiet and found.levels[quiet[-1]] == FIXED:
        order.append(quiet[-1])
    chosen = order[:2]
    names = [SITE] if len(chosen) == 1 else [SITE, AREA]
    for index, role in zip(sorted(chosen), names, strict=True):
        found.levels[index] = role
        how = "differs as well" if len(columns[index]) > 1 else "was the same everywhere, and is left open"
        found.reasons.append(f"level {index + 1} ({_some(columns[index])}) {how}: the {role}")
    for index in order[2:]:
        found.questions.append(
            Question(
                f"level {index + 1} ({_some(columns[index])}) differs too, but {{site}} and {{area}} are taken: "
                "it stands fixed in one template for each; assets of one name under it would be one",
                "topics",
            )
        )


def _ask_which(columns: list[set[str]], found: Roles, asset: int, varying: list[int]) -> None:
    """Whether another level could be the asset."""
    others = [
        index
        for index in varying
        if index != asset and any(map(is_numbered, columns[index])) and not all(map(is_numbered, columns[asset]))
    ]
    for other in others[-1:]:
        found.questions.append(
            Question(
                f"level {asset + 1} ({_some(columns[asset])}) is taken as the asset; is it level {other + 1} "
                f"({_some(columns[other])})?",
                "topics",
            )
        )


def sizes(values: Mapping[str, Sequence[float]]) -> float | None:
    """The usual magnitude of the only series of a topic."""
    only = [abs(value) for series in values.values() for value in series if value]
    return median(only) if only and math.isfinite(median(only)) and median(only) > 0 else None


def _some(values: set[str]) -> str:
    shown = sorted(values)[:SHOWN]
    return ", ".join(shown) + (", …" if len(values) > SHOWN else "")
