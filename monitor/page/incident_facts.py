"""What the incidents' view is told: lists of incidents, and one with its life and those that are like it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from monitor import wording
from monitor.event_store import OVER
from monitor.page.numbers import one
from monitor.page.similar import ALIKE, similar
from monitor.records import Kind, Transition

if TYPE_CHECKING:
    from monitor.records import AlertEvent
    from monitor.store import Store

LIMIT, MOST = 50, 200  # incidents in an answer
LOOKED_THROUGH = 500  # past incidents of an asset, for those that are like one
SIMILAR = 10
LIFE = 500  # transitions of one incident, the latest
STATES = {Transition.FIRED: "firing", Transition.UNSHELVED: "firing"}  # the others are named as the transition
TO_DO = {
    Kind.ANOMALY: "Look at the sensors named here first. Where it is a fault, say so with a verdict; where the"
    " engine runs like this from now on, accept it as the new normal.",
    Kind.LIMIT: "Look at the sensors named here. There is no model yet, so simple limits watch.",
    Kind.STALE: "Nothing arrives: look at the engine's gateway, its network, and whether it was switched off.",
    Kind.BLIND: "Readings arrive and nothing is scored: the page of the asset says why not.",
    Kind.SENSOR_DROPOUT: "The sensor is missing while others report: look at its wiring. The rest goes on being "
    "watched.",
}
OF_SENSORS = "The sensor is at fault, not the engine: look at it and its wiring. The rest goes on being watched."


def listed(
    store: Store,
    *,
    limit: int,
    asset: str | None,
    kind: str | None,
    is_open: bool | None,
    before: tuple[int, str] | None,
) -> dict[str, Any]:
    """Incidents, the newest first, and where to go on; null where these are the last."""
    found = store.find_incidents(limit + 1, asset=asset, kind=kind, is_open=is_open, before=before)
    told = [incident(*each) for each in found[:limit]]
    last = found[limit - 1][0] if len(found) > limit else None
    return {"incidents": told, "next": None if last is None else f"{last.started},{last.incident_id}"}


def incident(at: AlertEvent, verdict: str, is_open: bool) -> dict[str, Any]:
    """An incident as it stands."""
    return {
        "id": at.incident_id,
        "asset": at.stream,
        "name": wording.asset(at.stream),
        "kind": at.kind,
        "sensor": at.sensor,
        "title": wording.title(at.kind, at.sensor, at.top),
        "severity": at.severity,
        "state": STATES.get(at.transition, at.transition.value),
        "open": is_open,
        "from": at.started,
        "to": None if is_open else at.time,
        "summary": at.summary,
        "verdict": verdict,
        "score": one(at.score),
        "threshold": one(at.threshold),
        "who": at.who,
        "why": at.why,
        "until": at.until,
    }


def detail(store: Store, incident_id: str) -> dict[str, Any] | None:
    """One incident with all that is known of it; None where there is none of that id."""
    history = store.history(incident_id)
    at = store.incident(incident_id)
    if at is None:
        return None
    before = (at.started, at.incident_id)
    past = store.find_incidents(LOOKED_THROUGH, asset=at.stream, before=before)
    verdict = next((each.summary for each in reversed(history) if each.transition is Transition.VERDICT), "")
    is_open = at.transition not in OVER
    return {
        **incident(at, verdict, is_open),
        "to_do": to_do(at.kind) if is_open else "",
        "top": [
            {
                "sensor": each.sensor,
                "words": wording.sensor(each.sensor, each.unit),
                "unit": each.unit,
                "actual": one(each.actual),
                "expected": one(each.expected),
                "contribution": one(each.contribution),
            }
            for each in at.top
        ],
        "life": [_moment(each) for each in history[-LIFE:]],
        "similar": [
            {**incident(each, said, is_open=False), "likeness": round(likeness, 3)}
            for each, said, likeness in similar(at, ((each, said) for each, said, _ in past), SIMILAR)
        ],
        "alike": ALIKE,
        "looked_through": len(past),
    }


def to_do(kind: str) -> str:
    """What whoever sees it may do, in words."""
    return next((words for of, words in TO_DO.items() if of == kind), OF_SENSORS)


def _moment(each: AlertEvent) -> dict[str, Any]:
    return {
        "transition": each.transition.value,
        "time": each.time,
        "recorded": each.recorded,
        "summary": each.summary,
        "who": each.who,
        "why": each.why,
        "until": each.until,
        "score": one(each.score),
        "threshold": one(each.threshold),
    }
