"""What people read of incidents: a subject and a text, out of what is to be told. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from monitor import wording
from monitor.incident import clock
from monitor.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from monitor.channels.memory import Item, Telling, Told

LISTED = 20  # incidents of which a message tells; of the rest it says how many they are
LONGEST_SUBJECT = 150  # characters
TEST_SUBJECT = "[test] Enginewatch: this channel works"
HEADINGS = {"fired": "", "over": "Over:\n", "still": "Still open:\n"}


@dataclass(frozen=True, slots=True)
class Message:
    """A subject and a plain text. `grave`: something open is critical; `over`: nothing is open."""

    subject: str
    text: str
    grave: bool = False
    over: bool = False


def test_message(channel: str, page: str) -> Message:
    """What `enginewatch alerts test` sends."""
    text = (
        f'A test of the channel "{channel}", sent by `enginewatch alerts test`. Nothing is wrong with any engine.'
    )
    return Message(TEST_SUBJECT, f"{text}\n{page}\n" if page else f"{text}\n")


def link(page: str, incident: str) -> str:
    """Where the page shows an incident; empty without a page."""
    return f"{page}/#/incident/{incident}" if page else ""


def message(telling: Telling, page: str) -> Message:
    """A message in words."""
    news = [each for each in telling.told if each.news != "still"] or list(telling.told)
    is_open = [each.item for each in telling.told if each.news != "over"]
    head = _subject(telling, news)
    mark = "[critical] " if telling.grave else "" if is_open else "[over] "
    lines = _summary(telling, news) if telling.form in {"flood", "loss"} else _each(telling, page)
    if telling.form in {"flood", "loss"} and page:
        lines.append(page)
    text = "\n".join(printable(line) for line in lines)  # a name must not pass for a line of ours
    return Message(printable(f"{mark}{head}")[:LONGEST_SUBJECT], f"{text}\n", telling.grave, over=not is_open)


def _subject(telling: Telling, news: Sequence[Told]) -> str:
    again = all(each.news == "still" for each in news)
    if telling.form == "loss":
        silent = len({each.item.stream for each in telling.told if each.news != "over"})
        of = f" of {telling.assets}" if telling.assets else ""
        if silent:
            return f"{telling.site}: {'still ' if again else ''}no data from {silent}{of} assets"
        return f"{telling.site}: data again from {_counted(len({each.item.stream for each in news}), 'asset')}"
    if telling.form == "flood":
        return f"{telling.site}: {_counted(len(news), 'incident')}{' still open' if again else _open_of(telling)}"
    if telling.form == "digest":
        return f"Held back in quiet hours: {_counted(len(news), 'incident')}{_open_of(telling)}"
    if len(news) == 1:
        item, others = news[0].item, sum(each.news != "over" for each in telling.told if each is not news[0])
        lasts = _for(item.started, telling.at).replace(",", "")
        state = f"still open{lasts}: " if again else "over: " if news[0].news == "over" and others else ""
        more = f", {others} more open" if others else ""
        return f"{wording.asset(item.stream)}: {state}{_title(item)}{more}"
    streams = list(dict.fromkeys(each.item.stream for each in news))
    where = wording.asset(streams[0]) if len(streams) == 1 else _counted(len(streams), "asset")
    return f"{where}: {_counted(len(news), 'incident')}{' still open' if again else _open_of(telling)}"


def _title(item: Item) -> str:
    return item.title or wording.state(item.kind, item.sensor)


def _open_of(telling: Telling) -> str:
    """How many are open, where that are not all of them."""
    count = sum(each.news != "over" for each in telling.told)
    return f", {count} open" if 0 < count < len(telling.told) else ""


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _each(telling: Telling, page: str) -> list[str]:
    """Every incident with its words, the new ones first."""
    lines: list[str] = []
    ranked = [each for news in HEADINGS for each in telling.told if each.news == news]
    before = "fired"
    for each in ranked[:LISTED]:
        if each.news != before and len(ranked) > 1:
            lines.append(HEADINGS[each.news].rstrip())
        before = each.news
        lines += [*_of_one(each, telling.at), *filter(None, [link(page, each.item.incident)]), ""]
    if len(ranked) > LISTED:
        lines.append(f"and {len(ranked) - LISTED} more" + (f": {page}" if page else ""))
    return lines[:-1] if lines and not lines[-1] else lines


def _of_one(each: Told, at: int) -> list[str]:
    """One incident. Its summary is of the moment at which it fired: told again later, that has to be said."""
    item = each.item
    which = wording.asset(item.stream)
    if each.news == "over":
        ended = f", over since {clock(item.ended)}" if item.ended is not None else ""
        return [f"{which}: {item.summary}", f"It began {clock(item.started)}{ended}: {item.ending}."]
    since = f"Since {clock(item.started)}{_for(item.started, at)}, {item.severity}."
    if each.news == "still":
        return [f"{which}: {_title(item)}", since, f"When it fired: {item.summary}"]
    return [f"{which}: {item.summary}", since]


def _for(began: int, at: int) -> str:
    """How long that is by now; nothing where the asset's clock is ahead of ours."""
    return f", for {wording.duration(at - began)}" if at >= began + 1000 else ""


def _summary(telling: Telling, news: Sequence[Told]) -> list[str]:
    """A site in a few lines: how many of what, since when, and which assets."""
    lines = []
    for heading, some in (
        ("New", [each.item for each in news if each.news == "fired"]),
        ("Still open", [each.item for each in telling.told if each.news == "still"]),
        ("Over", [each.item for each in news if each.news == "over"]),
    ):
        if some:
            kinds = Counter(_in_general(item) for item in some)
            counted = ", ".join(f"{count} x {kind}" for kind, count in kinds.most_common())
            began = min(item.started for item in some)
            lasts = "" if heading == "Over" else _for(began, telling.at)
            lines += [f"{heading}: {counted}; the first since {clock(began)}{lasts}.", f"Assets: {_names(some)}."]
    return lines


def _in_general(item: Item) -> str:
    return f"sensor {wording.FAULTS[item.kind]}" if item.kind in wording.FAULTS else wording.state(item.kind)


def _names(items: Iterable[Item]) -> str:
    """Which assets, those with something critical first."""
    ranked = sorted(items, key=lambda item: item.severity != "critical")
    names = list(dict.fromkeys(item.stream.partition("/")[2].lstrip("/") for item in ranked))
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more
