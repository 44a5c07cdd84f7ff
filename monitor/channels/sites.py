"""What concerns a whole site: that its data are lost, and floods of incidents. Pure."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from monitor.channels.memory import Group, Item, Memory
from monitor.records import Kind

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

LEAST_LOSS = 3  # silent assets that are a loss of the site's data, if they are most of it
FLOOD, LOSS = "flood:", "loss:"  # groups of a whole site


def site_of(stream: str) -> str:
    """The site of a stream key."""
    return stream.partition("/")[0]


def lost(memory: Memory, assets: Mapping[str, int]) -> set[str]:
    """The sites most of whose assets are silent; `assets` says how many each has."""
    silent = Counter(
        site_of(item.stream) for item in memory.items.values() if item.kind == Kind.STALE and item.ended is None
    )
    return {site for site, count in silent.items() if count >= LEAST_LOSS and 2 * count > assets.get(site, count)}


def regroup(memory: Memory, silent: Collection[str], flood: int, since: int) -> None:
    """Put what is not told yet into the group of its site, where the site is lost or in a flood; changes `memory`.

    A flood is more than `flood` incidents that came after `since`.
    """
    under_way = {each.item.incident for telling in memory.under_way.values() for each in telling.told}
    new = [item for item in memory.items.values() if not item.told and item.incident not in under_way]
    for item in new:
        if item.kind == Kind.STALE and site_of(item.stream) in silent:
            _move(memory, item, LOSS + site_of(item.stream))
    for site, came in list(memory.recent.items()):
        came[:] = [each for each in came if each[0] > since]
        if not came:
            del memory.recent[site]
    floods = {
        site
        for site, came in memory.recent.items()
        if sum(not _is_lost(memory, incident) for _, incident in came) > flood
    }
    for item in new:
        site = site_of(item.stream)
        if site in floods and not item.group.startswith((LOSS, FLOOD)):
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
