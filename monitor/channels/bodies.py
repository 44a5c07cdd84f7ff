"""What other systems are sent: alerts as Alertmanager takes them, and webhooks as Alertmanager sends them. Pure.

An alert's labels are its identity, so they hold only what cannot change while an incident lives: where it is, what
kind, which sensor, and the severity that it fired with. Values and words are annotations.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from monitor import wording
from monitor.channels.message import TEST_SUBJECT, link, message

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from monitor.channels.memory import Item, Telling
    from monitor.records import AlertEvent

NEVER = "0001-01-01T00:00:00Z"  # as Alertmanager writes the end of what has none
MOST_ALERTS = 1_000  # in one webhook


def labels(item: AlertEvent | Item) -> dict[str, str]:
    """The identity of an incident's alert; empty labels do not count, so they are left out."""
    site, area, asset = [*item.stream.split("/", 2), "", ""][:3]
    found = {
        "alertname": "Enginewatch" + "".join(word.capitalize() for word in item.kind.split("_")),
        "site": site,
        "area": area,
        "asset": asset,
        "kind": item.kind,
        "sensor": item.sensor,
        "severity": item.severity,
    }
    return {name: value for name, value in found.items() if value}


def notes(item: AlertEvent | Item, incident: str) -> dict[str, str]:
    """What is wrong, in words and figures."""
    found = {
        "summary": f"{wording.asset(item.stream)}: {wording.state(item.kind, item.sensor)}",
        "description": item.summary,
        "incident": incident,
    }
    if item.score is not None and item.threshold is not None:
        found |= {"score": f"{item.score:.4g}", "threshold": f"{item.threshold:.4g}"}
    return found


def alert(incident: AlertEvent, page: str, *, ended: int | None = None) -> dict[str, Any]:
    """An incident for `POST /api/v2/alerts`. Without an end it is open until Alertmanager hears no more of it."""
    found: dict[str, Any] = {
        "labels": labels(incident),
        "annotations": notes(incident, incident.incident_id),
        "startsAt": stamp(incident.started),
        "generatorURL": link(page, incident.incident_id),
    }
    # An alert that ends before it begins is refused.
    return found if ended is None else found | {"endsAt": stamp(max(ended, incident.started + 1))}


def test_alert(now: int) -> dict[str, Any]:
    """What `enginewatch alerts test` sends: it is over a minute later by itself."""
    return {
        "labels": {"alertname": "EnginewatchTest", "severity": "none"},
        "annotations": {"summary": TEST_SUBJECT},
        "startsAt": stamp(now),
        "endsAt": stamp(now + 60_000),
    }


def webhook(telling: Telling, receiver: str, page: str) -> dict[str, Any]:
    """A message as Alertmanager's webhook, version 4, with our subject and text among the annotations."""
    alerts = [
        {
            "status": "resolved" if each.news == "over" else "firing",
            "labels": labels(each.item),
            "annotations": notes(each.item, each.item.incident),
            "startsAt": stamp(each.item.started),
            "endsAt": NEVER if each.item.ended is None else stamp(each.item.ended),
            "generatorURL": link(page, each.item.incident),
            "fingerprint": fingerprint(labels(each.item)),
        }
        for each in telling.told
    ]
    words = message(telling, page)
    common = _common([labels(each.item) for each in telling.told])
    return _envelope(receiver, page) | {
        "status": "resolved" if words.over else "firing",
        "groupKey": " ".join(telling.groups),
        "truncatedAlerts": max(0, len(alerts) - MOST_ALERTS),
        "groupLabels": {name: common[name] for name in ("site", "area", "asset") if name in common},
        "commonLabels": common,
        "commonAnnotations": {"subject": words.subject, "text": words.text},
        "alerts": alerts[:MOST_ALERTS],
    }


def test_webhook(receiver: str, page: str, now: int) -> dict[str, Any]:
    """The same for `enginewatch alerts test`."""
    sent = test_alert(now)
    common = {"alertname": "EnginewatchTest", "severity": "none"}
    return _envelope(receiver, page) | {
        "status": "firing",
        "groupKey": "test",
        "truncatedAlerts": 0,
        "groupLabels": {"alertname": "EnginewatchTest"},
        "commonLabels": common,
        "commonAnnotations": {"subject": TEST_SUBJECT},
        "alerts": [sent | {"status": "firing", "generatorURL": page, "fingerprint": fingerprint(common)}],
    }


def _envelope(receiver: str, page: str) -> dict[str, Any]:
    return {"version": "4", "receiver": receiver, "externalURL": page}


def fingerprint(identity: Mapping[str, str]) -> str:
    """A name for an alert's labels: the same for the same labels."""
    text = "\n".join(f"{name}\0{value}" for name, value in sorted(identity.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def stamp(time: int) -> str:
    """A time as RFC 3339 writes it.

    >>> stamp(1_700_000_000_123)
    '2023-11-14T22:13:20.123Z'
    """
    return datetime.fromtimestamp(time / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{time % 1000:03d}Z"


def _common(each: Sequence[Mapping[str, str]]) -> dict[str, str]:
    first = each[0] if each else {}
    return {name: value for name, value in first.items() if all(other.get(name) == value for other in each)}
