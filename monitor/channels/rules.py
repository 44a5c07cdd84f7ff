"""When a channel tells what: grouping, repeats, inhibition, floods, quiet hours. Pure; time is given in.

* What happens to the incidents of a group is one message. The first waits `wait_ms` for what else comes up, the
  next ones come at least `interval_ms` apart. What stays open is told again after `repeat_ms`, unless it is
  acknowledged.
* Where most of a site's assets are silent, that is one message about the site, and none about each; it counts as
  critical. A faulty sensor of an asset that is silent, or not scored, is not told.
* More incidents of a site than `flood` in `flood_ms` are one summary of the site.
* In quiet hours nothing is told but, if so wanted, what is critical. What was held back comes as one message.
* What is shelved or under maintenance, and what was acknowledged before, is not told. What was told as open is
  told when it is over. What came and went before it could be told is told once, as over.
* A message that may have arrived stays as it is until it has for certain; what happens meanwhile is another one.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from monitor import wording
from monitor.channels import sites
from monitor.channels.memory import Group, Item, Memory, Telling, Told
from monitor.channels.sites import FLOOD, LOSS, site_of
from monitor.records import Kind, Transition
from monitor.synthetic import is_synthetic

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from monitor.records import AlertEvent

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


@dataclass(frozen=True, slots=True)
class Look:
    """How things stand at the moment at which a channel looks."""

    plant: Plant
    now: int
    quiet: bool
    lost: Collection[str]  # sites most of whose assets are silent
    dark: Collection[str]  # assets that are silent or not scored


def wanted(rules: Rules, event: AlertEvent) -> bool:
    """Whether this channel is for an incident by itself."""
    return _meant(rules, event) and (event.severity == "critical" or not rules.critical_only)


def _meant(rules: Rules, event: AlertEvent) -> bool:
    """Whether this channel is for incidents of such an asset and kind; none is for assets that are none."""
    return (
        not is_synthetic(event.stream)
        and any(fnmatchcase(event.stream, glob) for glob in rules.assets)
        and not any(fnmatchcase(event.stream, glob) for glob in rules.exclude)
        and (not rules.kinds or event.kind in rules.kinds)
    )


def shelved(history: Iterable[AlertEvent]) -> bool:
    """Whether an incident is shelved by its transitions: until that runs out, whatever else is said of it."""
    told = [each.transition for each in history if each.transition in {Transition.SHELVED, Transition.UNSHELVED}]
    return told[-1:] == [Transition.SHELVED]


def take(memory: Memory, rules: Rules, event: AlertEvent, now: int) -> None:
    """Take in one transition; changes `memory`."""
    item = memory.items.get(event.incident_id)
    if event.transition is Transition.FIRED:
        # A silent asset is a warning; many of them are the loss of a site, which is critical.
        if item is None and (wanted(rules, event) or (event.kind == Kind.STALE and _meant(rules, event))):
            _open(memory, rules, event, now)
    elif item is None:
        return
    elif event.transition in OVER:
        item.ended, item.ending = event.time, event.summary
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
        loss_only=not wanted(rules, fired),
    )
    if wanted(rules, fired):
        memory.recent.setdefault(site_of(fired.stream), []).append((now, fired.incident_id))


def _group(rules: Rules, fired: AlertEvent) -> str:
    site, area, _ = [*fired.stream.split("/", 2), "", ""][:3]
    return {
        "incident": f"incident:{fired.incident_id}",
        "asset": f"asset:{fired.stream}",
        "area": f"area:{site}/{area}",
        "site": f"site:{site}",
    }[rules.group_by]


def due(memory: Memory, rules: Rules, plant: Plant, now: int) -> list[Telling]:
    """What has to be told now; changes `memory` but for what is told, which `told` notes once it is through.

    What is under way is told as it was, and what has joined its groups since waits for it.
    """
    _not_ahead(memory, rules, now)
    look = Look(plant, now, rules.quiet(now), sites.lost(memory, plant.assets), _dark(memory))
    sites.regroup(memory, look.lost, rules.flood, now - rules.flood_ms)
    tellings = list(memory.under_way.values())
    waiting = {key for each in tellings for key in each.groups}
    held = []
    for key, members in _by_group(memory).items():
        if key in waiting:
            continue
        group = memory.groups.setdefault(key, Group())
        news = list(_news(memory, members, look))
        told = _due_of(group, news, _still(members, look), rules, look)
        if told and group.held and not look.quiet:
            held.append((key, news))
        elif told:
            tellings.append(_telling(memory, key, told, look))
    if len(held) == 1:
        tellings.append(_telling(memory, held[0][0], held[0][1], look))
    elif held:
        tellings.append(_digest(memory, held, look))
    _forget(memory, rules, now)
    return tellings


def _due_of(group: Group, news: Sequence[Told], still: Sequence[Told], rules: Rules, look: Look) -> Sequence[Told]:
    """What has to be told now of one group; changes `group`."""
    now = look.now
    if not news:
        group.due, group.held = None, False
    elif group.due is None:
        rest = 0 if group.told_at is None else group.told_at + rules.interval_ms - now
        group.due = now + (rules.wait_ms if group.told_at is None else max(0, rest))
    ready = news if group.due is not None and group.due <= now else []
    again = group.told_at is not None and now - group.told_at >= rules.repeat_ms
    if not look.quiet:
        return [*ready, *still] if ready or (again and not news) else []
    passing = [each for each in ready if rules.critical_passes and _grave(each, look)]
    group.held = group.held or len(passing) < len(ready)
    open_still = [each for each in still if rules.critical_passes and _grave(each, look)]
    return [*passing, *open_still] if passing or again else []


def _grave(each: Told, look: Look) -> bool:
    """Whether it is critical, or of a site that is lost, or the end of what was told as part of a loss."""
    item = each.item
    lost = site_of(item.stream) in look.lost or (each.news == "over" and item.told)
    return item.severity == "critical" or (item.group.startswith(LOSS) and lost)


def begun(memory: Memory, telling: Telling) -> None:
    """A message is about to be sent: until it is known what became of it, it stays as it is; changes `memory`."""
    memory.under_way[telling.key] = telling


def refused(memory: Memory, telling: Telling) -> None:
    """A message has certainly not been taken, so what has joined it may be told with it; changes `memory`."""
    memory.under_way.pop(telling.key, None)


def told(memory: Memory, telling: Telling, now: int) -> None:
    """A message went through; changes `memory`."""
    memory.under_way.pop(telling.key, None)
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
    """When something is due that waits, in the channel's time; None = nothing is, or the end of quiet hours."""
    waiting = (group.due for group in memory.groups.values() if group.due is not None and not group.held)
    return min(waiting, default=None)


def waiting(memory: Memory) -> int:
    """Of how many incidents there is something to tell, sooner or later."""
    return sum(
        item.ended is not None
        if item.told
        else not (item.acknowledged or item.shelved or (item.loss_only and not item.group.startswith(LOSS)))
        for item in memory.items.values()
    )


def _by_group(memory: Memory) -> dict[str, list[Item]]:
    found: dict[str, list[Item]] = {}
    for item in memory.items.values():
        found.setdefault(item.group, []).append(item)
    return found


def _news(memory: Memory, members: Sequence[Item], look: Look) -> Iterator[Told]:
    """What of a group has not been told; drops what came and went while nobody was to hear of it."""
    for item in members:
        if item.told:
            if item.ended is not None:
                yield Told(item, "over")
        elif _unheard(item, look):
            if item.ended is not None:
                del memory.items[item.incident]
        else:
            yield Told(item, "fired" if item.ended is None else "over")


def _unheard(item: Item, look: Look) -> bool:
    """Whether nobody is to hear of it: it is known, or worked on, or something else says it all."""
    return (
        item.acknowledged
        or item.shelved
        or item.stream in look.plant.maintained
        or (item.kind.startswith("sensor_") and item.stream in look.dark)
        or _unlost(item, look)
    )


def _unlost(item: Item, look: Look) -> bool:
    """Whether it would be told as part of a loss alone, and is part of none."""
    return item.loss_only and not (item.group.startswith(LOSS) and site_of(item.stream) in look.lost)


def _still(members: Sequence[Item], look: Look) -> list[Told]:
    """What was told, stays open, and is nobody's yet."""
    return [
        Told(item, "still")
        for item in members
        if item.told
        and item.ended is None
        and not (item.acknowledged or item.shelved or item.stream in look.plant.maintained)
        and not _unlost(item, look)
    ]


def _not_ahead(memory: Memory, rules: Rules, now: int) -> None:
    """A clock that was set back mutes nobody: what was told or came later than now was so now."""
    for group in memory.groups.values():
        if group.told_at is not None:
            group.told_at = min(group.told_at, now)
        if group.due is not None:
            group.due = min(group.due, now + (rules.wait_ms if group.told_at is None else rules.interval_ms))
    for came in memory.recent.values():
        came[:] = [(min(at, now), incident) for at, incident in came]


def _dark(memory: Memory) -> set[str]:
    """The assets that are silent or not scored."""
    dark = {Kind.STALE, Kind.BLIND}
    return {item.stream for item in memory.items.values() if item.kind in dark and item.ended is None}


def _forget(memory: Memory, rules: Rules, now: int) -> None:
    """Forget groups that hold nothing, once their interval is over."""
    held = {item.group for item in memory.items.values()}
    for key, group in list(memory.groups.items()):
        if key not in held and (group.told_at is None or now - group.told_at >= rules.interval_ms):
            del memory.groups[key]


def _telling(memory: Memory, key: str, news: Sequence[Told], look: Look) -> Telling:
    form = "flood" if key.startswith(FLOOD) else "loss" if key.startswith(LOSS) else "incidents"
    site = "" if form == "incidents" else key.partition(":")[2]
    of, grave = look.plant.assets.get(site, 0), _open_and_grave(news, look)
    return Telling(_key(memory, [key], news), form, (key,), tuple(news), site, of, grave, look.now)


def _digest(memory: Memory, held: Sequence[tuple[str, Sequence[Told]]], look: Look) -> Telling:
    groups = tuple(key for key, _ in held)
    news = tuple(each for _, some in held for each in some)
    grave = _open_and_grave(news, look)
    return Telling(_key(memory, groups, news), DIGEST, groups, news, grave=grave, at=look.now)


def _open_and_grave(news: Sequence[Told], look: Look) -> bool:
    return any(each.news != "over" and _grave(each, look) for each in news)


def _key(memory: Memory, groups: Sequence[str], news: Sequence[Told]) -> str:
    """The idempotency key: the same news of the same groups since they were told last."""
    since = [f"{key} {memory.groups[key].told_at}" for key in groups]
    text = "\n".join([*since, *sorted(f"{each.item.incident} {each.news}" for each in news)])
    return hashlib.sha256(text.encode()).hexdigest()[:16]
