"""When a channel tells what: grouping, repeats, inhibition, floods, quiet hours. Pure; time is given in.

* What happens to the incidents of a group is one message. The first waits `wait_ms` for what else comes up, the
  next ones come at least `interval_ms` apart. What stays open is told again after `repeat_ms`, unless it is
  acknowledged.
* Where most of a site's assets are silent, that is one message about the site, and none about each. A faulty
  sensor of an asset that is silent, or not scored, is not told.
* More incidents of a site than `flood` in `flood_ms` are one summary of the site.
* In quiet hours nothing is told but, if so wanted, what is critical. What was held back comes as one message.
* What is shelved or under maintenance, and what was acknowledged before, is not told. What was told as open is
  told when it is over. What came and went before it could be told is told once, as over.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from monitor import wording
from monitor.channels.memory import Group, Item, Memory, Telling, Told
from monitor.records import Kind, Transition
from monitor.synthetic import is_synthetic

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from monitor.records import AlertEvent

LEAST_LOSS = 3  # silent assets that are a loss of the site's data, if they are most of it
FLOOD, LOSS = "flood:", "loss:"  # groups of a whole site
DIGEST = "digest"
OVER = {Transition.CLEARED, Transition.ACCEPTED}


@dataclass(frozen=True, slots=True)
class Rules:
    """The settings' section `notify` explains each value."""

    wait_ms: int
    interval_ms: int
    repeat_ms: int
    flood: int
    flood_ms: int
    group_by: str = "asset"
    assets: Sequence[str] = ("*",)
    exclude: Sequence[str] = ()
    kinds: Collection[str] = ()  # empty = all
    critical_only: bool = False
    critical_passes: bool = True
    quiet: Callable[[int], bool] = lambda _: False  # whether it is quiet hours at a time


@dataclass(frozen=True, slots=True)
class Plant:
    """What there is beside incidents."""

    assets: Mapping[str, int]  # site -> how many assets it has
    maintained: Collection[str] = ()  # stream keys


def wanted(rules: Rules, event: AlertEvent) -> bool:
    """Whether this channel is for an incident; none is for those of assets that are none."""
    return (
        not is_synthetic(event.stream)
        and any(fnmatchcase(event.stream, glob) for glob in rules.assets)
        and not any(fnmatchcase(event.stream, glob) for glob in rules.exclude)
        and (not rules.kinds or event.kind in rules.kinds)
        and (event.severity == "critical" or not rules.critical_only)
    )


def take(memory: Memory, rules: Rules, event: AlertEvent, now: int) -> None:
    """Take in one transition; changes `memory`."""
    item = memory.items.get(event.incident_id)
    if event.transition is Transition.FIRED:
        if item is None and wanted(rules, event):
            _open(memory, rules, event, now)
    elif item is None:
        return
    elif event.transition in OVER:
        item.ended, item.ending = event.time, event.summary
        if not item.told and (item.shelved or item.acknowledged):
            del memory.items[event.incident_id]
    elif event.transition is Transition.ACKNOWLEDGED:
        item.acknowledged = True
    elif event.transition in {Transition.SHELVED, Transition.UNSHELVED}:
        item.shelved = event.transition is Transition.SHELVED


def begin(memory: Memory, rules: Rules, incidents: Sequence[AlertEvent], now: int) -> None:
    """Take in what is open when the channel is new, each as it stands; changes `memory`."""
    for event in incidents:
        take(memory, rules, replace(event, transition=Transition.FIRED), now)
        take(memory, rules, event, now)


def _open(memory: Memory, rules: Rules, fired: AlertEvent, now: int) -> None:
    memory.items[fired.incident_id] = Item(
        incident=fired.incident_id,
        stream=fired.stream,
        kind=fired.kind,
        sensor=fired.sensor,
        severity=fired.severity,
        started=fired.started,
        summary=fired.summary,
        came=now,
        group=_group(rules, fired),
        title=wording.title(fired.kind, fired.sensor, fired.top),
        score=fired.score,
        threshold=fired.threshold,
    )
    memory.recent.setdefault(site_of(fired.stream), []).append((now, fired.incident_id))


def _group(rules: Rules, fired: AlertEvent) -> str:
    site, area, _ = [*fired.stream.split("/", 2), "", ""][:3]
    return {
        "incident": f"incident:{fired.incident_id}",
        "asset": f"asset:{fired.stream}",
        "area": f"area:{site}/{area}",
        "site": f"site:{site}",
    }[rules.group_by]


def site_of(stream: str) -> str:
    """The site of a stream key."""
    return stream.partition("/")[0]


def due(memory: Memory, rules: Rules, plant: Plant, now: int) -> list[Telling]:
    """What has to be told now; changes `memory` but for what is told, which `told` notes once it is through."""
    _regroup(memory, rules, plant, now)
    quiet = rules.quiet(now)
    tellings, held = [], []
    for key, members in _by_group(memory).items():
        group = memory.groups.setdefault(key, Group())
        news = list(_news(memory, members, plant))
        if not news:
            group.due, group.held = None, False
            if group.told_at is not None and now - group.told_at >= rules.repeat_ms and not quiet:
                still = _still(members, plant)
                tellings += [_telling(memory, key, still, plant)] if still else []
            continue
        if group.due is None:
            rest = 0 if group.told_at is None else group.told_at + rules.interval_ms - now
            group.due = now + (rules.wait_ms if group.told_at is None else max(0, rest))
        if group.due > now:
            continue
        if quiet:
            passing = [each for each in news if rules.critical_passes and each.item.severity == "critical"]
            group.held = group.held or len(passing) < len(news)
            tellings += [_telling(memory, key, passing, plant)] if passing else []
        elif group.held:
            held.append((key, news))
        else:
            tellings.append(_telling(memory, key, [*news, *_still(members, plant)], plant))
    if len(held) == 1:
        tellings.append(_telling(memory, held[0][0], held[0][1], plant))
    elif held:
        tellings.append(_digest(memory, held))
    _forget(memory, rules, now)
    return tellings


def told(memory: Memory, telling: Telling, now: int) -> None:
    """A message went through; changes `memory`."""
    for each in telling.told:
        item = memory.items.get(each.item.incident)
        if item is not None and each.news == "over":
            del memory.items[item.incident]
        elif item is not None:
            item.told = True
    for key in telling.groups:
        group = memory.groups.setdefault(key, Group())
        group.told_at, group.due, group.held = now, None, False


def next_due(memory: Memory) -> int | None:
    """When something is due that waits, in the channel's time; None = nothing is."""
    return min((group.due for group in memory.groups.values() if group.due is not None), default=None)


def _by_group(memory: Memory) -> dict[str, list[Item]]:
    found: dict[str, list[Item]] = {}
    for item in memory.items.values():
        found.setdefault(item.group, []).append(item)
    return found


def _news(memory: Memory, members: Sequence[Item], plant: Plant) -> Iterator[Told]:
    """What of a group has not been told; drops what came and went while nobody was to hear of it."""
    unheard = _unheard(memory, members)
    for item in members:
        if item.told:
            if item.ended is not None:
                yield Told(item, "over")
        elif item.stream in plant.maintained or item.incident in unheard:
            if item.ended is not None:
                del memory.items[item.incident]
        elif item.ended is not None:
            yield Told(item, "over")
        elif not (item.acknowledged or item.shelved):
            yield Told(item, "fired")


def _unheard(memory: Memory, members: Sequence[Item]) -> set[str]:
    """The faulty sensors among these whose asset is silent or not scored, which says it all."""
    faulty = [item for item in members if item.kind.startswith("sensor_") and not item.told]
    if not faulty:
        return set()
    dark = {
        item.stream
        for item in memory.items.values()
        if item.kind in {Kind.STALE, Kind.BLIND} and item.ended is None
    }
    return {item.incident for item in faulty if item.stream in dark}


def _still(members: Sequence[Item], plant: Plant) -> list[Told]:
    """What was told, stays open, and is nobody's yet."""
    return [
        Told(item, "still")
        for item in members
        if item.told
        and item.ended is None
        and not (item.acknowledged or item.shelved or item.stream in plant.maintained)
    ]


def _regroup(memory: Memory, rules: Rules, plant: Plant, now: int) -> None:
    """Put what is not told yet into the group of its site, where the whole site is silent or in a flood."""
    silent = Counter(
        site_of(item.stream) for item in memory.items.values() if item.kind == Kind.STALE and item.ended is None
    )
    lost = {
        site for site, count in silent.items() if count >= LEAST_LOSS and 2 * count > plant.assets.get(site, count)
    }
    for item in list(memory.items.values()):
        if item.kind == Kind.STALE and not item.told and site_of(item.stream) in lost:
            _move(memory, item, LOSS + site_of(item.stream))
    for site, came in list(memory.recent.items()):
        came[:] = [each for each in came if now - each[0] < rules.flood_ms]
        if not came:
            del memory.recent[site]
    floods = {
        site
        for site, came in memory.recent.items()
        if sum(not _is_lost(memory, incident) for _, incident in came) > rules.flood
    }
    for item in list(memory.items.values()):
        site = site_of(item.stream)
        if site in floods and not item.told and not item.group.startswith((LOSS, FLOOD)):
            _move(memory, item, FLOOD + site)


def _is_lost(memory: Memory, incident: str) -> bool:
    item = memory.items.get(incident)
    return item is not None and item.group.startswith(LOSS)


def _move(memory: Memory, item: Item, key: str) -> None:
    """Into another group, which waits no longer than the one it comes from."""
    if item.group == key:
        return
    before = memory.groups.get(item.group, Group())
    group = memory.groups.setdefault(key, Group())
    if group.told_at is None and before.due is not None:
        group.due = before.due if group.due is None else min(group.due, before.due)
    group.held = group.held or before.held
    item.group = key


def _forget(memory: Memory, rules: Rules, now: int) -> None:
    """Forget groups that hold nothing, once their interval is over."""
    held = {item.group for item in memory.items.values()}
    for key, group in list(memory.groups.items()):
        if key not in held and (group.told_at is None or now - group.told_at >= rules.interval_ms):
            del memory.groups[key]


def _telling(memory: Memory, key: str, news: Sequence[Told], plant: Plant) -> Telling:
    form = "flood" if key.startswith(FLOOD) else "loss" if key.startswith(LOSS) else "incidents"
    site = "" if form == "incidents" else key.partition(":")[2]
    return Telling(_key(memory, [key], news), form, (key,), tuple(news), site, plant.assets.get(site, 0))


def _digest(memory: Memory, held: Sequence[tuple[str, Sequence[Told]]]) -> Telling:
    groups = tuple(key for key, _ in held)
    news = tuple(each for _, some in held for each in some)
    return Telling(_key(memory, groups, news), DIGEST, groups, news)


def _key(memory: Memory, groups: Sequence[str], news: Sequence[Told]) -> str:
    """The idempotency key: the same news of the same groups since they were told last."""
    since = [f"{key} {memory.groups[key].told_at}" for key in groups]
    text = "\n".join([*since, *sorted(f"{each.item.incident} {each.news}" for each in news)])
    return hashlib.sha256(text.encode()).hexdigest()[:16]
