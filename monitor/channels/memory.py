"""What a channel remembers between two messages: the incidents that it has to tell, or has told. Types.

It is kept in the store as JSON, in one transaction with the channel's position in the outbox: so no restart makes
it tell twice, or forget that what it told is over.
"""

from __future__ import annotations

import msgspec


class Item(msgspec.Struct):
    """An incident, as far as the channel has to know it."""

    incident: str
    stream: str  # the stream key site/area/asset
    kind: str
    sensor: str
    severity: str
    started: int  # event time
    summary: str
    came: int  # when the channel came to know of it, by its own time
    group: str  # what it is told together with
    title: str = ""  # empty in what was kept before there were titles
    score: float | None = None
    threshold: float | None = None
    acknowledged: bool = False
    shelved: bool = False
    ended: int | None = None  # event time
    ending: str = ""  # how it ended, in words
    told: bool = False
    loss_only: bool = False  # it is told as a part of a site's loss, and not by itself


class Group(msgspec.Struct):
    """Incidents that are told together."""

    due: int | None = None  # when there is something to tell; None = there is nothing
    told_at: int | None = None
    held: bool = False  # something was due in quiet hours


class Told(msgspec.Struct, frozen=True):
    """One incident in a message."""

    item: Item
    news: str  # "fired", "over" or "still": as it was when last told, and told again


class Telling(msgspec.Struct, frozen=True):
    """One message. `key` is the same whenever the same is told again, because nobody knows whether it arrived."""

    key: str
    form: str  # "incidents", "flood" and "loss" of a site, "digest" after quiet hours
    groups: tuple[str, ...]
    told: tuple[Told, ...]
    site: str = ""  # of a flood or a loss
    assets: int = 0  # of a loss: how many the site has
    grave: bool = False  # something of it that is open is critical, or the site is lost
    at: int = 0  # when it was made, by the channel's time


class Memory(msgspec.Struct):
    """All of it."""

    items: dict[str, Item] = {}  # by incident
    groups: dict[str, Group] = {}
    recent: dict[str, list[tuple[int, str]]] = {}  # site -> when incidents came, and which: to tell a flood by
    under_way: dict[str, Telling] = {}  # by key: what is being sent, and what may have arrived
