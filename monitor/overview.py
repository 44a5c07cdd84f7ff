"""The fleet as `enginewatch top` and the page show it: the assets that the daemon knows, and the store's part.

That is the latest score, the worst open incident, and how much of the last day each asset was scored.
"""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from statistics import mean
from typing import TYPE_CHECKING, Any

import numpy as np

from monitor.coverage import coverage
from monitor.influx import EVENTS, SCORES
from monitor.notify import SINK
from monitor.rate import Rate
from monitor.records import Kind, Transition
from monitor.synthetic import is_synthetic

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monitor.coverage import Coverage
    from monitor.records import AlertEvent, StoredScores
    from monitor.store import Store

FIRST_BATCHES = 2_000  # looked through for the assets' latest rows,
FIRST_ROWS = 200_000  # and so many rows: what is silent for longer has no score to show
BEHIND = 200  # batches; whoever has not looked for longer looks back from the newest again
ROWS_AT_ONCE = 20_000
COVERED_MS = 24 * 3_600_000  # that coverage is told of
COVERAGE_S = 5.0  # between two looks at the ledger, at the least
COVERAGE_SHARE = 0.01  # of a processor, that they may take

# How an asset stands, in one word that is counted and coloured; any other status is a regime that is not scored.
STATES = frozenset(
    {"watched", "relearning", "commissioning", "learning", "no model", "maintenance", "silent", "offline"}
)
WARMING = "warming up"
RESTING = "resting"
SEVERITIES = ("critical", "warning")  # of incidents, the worst first; before everything else
OF_SENSOR = "sensor_"  # what the kinds of incidents of a sensor begin with
RANK = (
    *SEVERITIES, "silent", "no model", "relearning", "commissioning", "warming", "learning", "watched",
    "maintenance", RESTING, "offline",
)  # fmt: skip
NOT_WATCHED = {
    "silent": "silent",
    "no model": "without a model",
    "learning": "learning",
    "warming": "warming up",
    "commissioning": "commissioning",
    "relearning": "relearning",
    "maintenance": "under maintenance",
    "offline": "offline",
    RESTING: "not running",
}


@dataclass(frozen=True, slots=True)
class View:
    """One look."""

    # As in `monitor.roll`, with `score`, `sensor`, `state`, `severity`, `incident` (the worst open one, in short),
    # `shelved` (how many of the open ones are) and `coverage`; what needs somebody first.
    assets: list[dict[str, Any]]
    incidents: int  # open, of all assets, shelved ones as well
    rates: dict[str, float]  # values and scored rows a second; empty at the first look
    lags: dict[str, int]  # what each sink, and each channel, has not delivered yet
    trouble: str  # why nothing is scored; empty while something is
    books: dict[str, Any] = field(default_factory=dict)
    watched: str = ""  # what is wrong, whether everything is watched, and what is not
    shelved: int = 0  # how many of the incidents are
    broker: str = ""  # why it cannot be heard; empty while it can
    canary: str = ""  # what came of its latest fault; empty where there is none
    reasons: list[str] = field(default_factory=list)  # why the daemon is not ready, or degraded
    scored: float | None = None  # the mean share of the last day that assets were scored
    alone: bool = False  # rows come from elsewhere: of values nothing is known, and nothing is sent on


class Fleet:
    """Looks again and again; of the scores it reads only what is new."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._position = 0
        self._scores: dict[str, tuple[float | None, str | None]] = {}
        self._rates = {"values": Rate(), "scored rows": Rate()}
        self._told = -1  # the newest transition that the incidents are as of
        self._open: dict[str, list[AlertEvent]] = {}  # incidents of an asset, the worst first
        self._coverage_due = -math.inf  # when the ledger is looked at again
        self._coverage: dict[str, dict[str, Any]] = {}

    def look(self, assets: list[dict[str, Any]], now: float, standing: Mapping[str, Any] | None = None) -> View:
        """The view of these assets but the canary; `now` in seconds, of any clock that only goes forward.

        `standing` is what the daemon says of itself (`monitor.vitals`); None where none runs. Whoever shows what
        others found is `alone`, and says himself how fast rows come.
        """
        standing = standing or {}
        alone = bool(standing.get("alone"))
        assets = [row for row in assets if not is_synthetic(row["asset"])]
        self._read({row["asset"] for row in assets})
        self._read_incidents()
        self._read_coverage(now)
        facts = self._store.facts()
        books: dict[str, Any] = json.loads(facts.get("books", "{}"))
        rows = []
        for row in assets:
            asset = row["asset"]
            score, sensor = self._scores.get(asset, (None, None))
            found = self._open.get(asset, [])
            worst = found[0] if found else None
            severity = None if worst is None else worst.severity
            more = {
                "score": score,
                "sensor": sensor,
                "severity": severity,
                "state": worst_state(row["status"], severity),
                "incident": worst and _incident(worst),
                "shelved": sum(map(is_shelved, found)),
                "coverage": self._coverage.get(asset),
            }
            rows.append({**row, **more})
        broker = facts.get("broker", "")
        broker = "" if broker == "connected" else broker
        incidents = [each for row in assets for each in self._open.get(row["asset"], [])]
        shares = [row["coverage"]["share"] for row in rows if row["coverage"]]
        return View(
            assets=sorted(rows, key=_urgency),
            incidents=len(incidents),
            rates=standing["rates"] if alone else self._take_rates(books, now),
            lags={} if alone else self._lags() | standing.get("lags", {}),
            trouble=broker or facts.get("not_scoring", ""),
            books=books,
            watched=sentence(rows, incidents, f"not connected to the broker: {broker}" if broker else ""),
            shelved=sum(map(is_shelved, incidents)),
            broker=broker,
            canary=_canary(json.loads(facts.get("canary", "{}"))),
            reasons=list(standing.get("reasons", ())),
            scored=round(mean(shares), 3) if shares else None,
            alone=alone,
        )

    def _read_incidents(self) -> None:
        """The open incidents of every asset, anew where something happened."""
        newest = self._store.heads()[1]
        if newest == self._told:
            return
        found: dict[str, list[AlertEvent]] = {}
        for incident in self._store.open_incidents():
            found.setdefault(incident.stream, []).append(incident)
        self._told = newest
        self._open = {stream: sorted(incidents, key=_gravity) for stream, incidents in found.items()}

    def _read_coverage(self, now: float) -> None:
        """How much of the last day every asset was scored, anew after seconds; a large fleet waits longer."""
        if now < self._coverage_due:
            return
        began = time.perf_counter()
        since = time.time_ns() // 1_000_000 - COVERED_MS
        found = coverage(self._store.stretches(since), since)
        self._coverage = {each.asset: _covered(each) for each in found if each.total}
        self._coverage_due = now + max(COVERAGE_S, (time.perf_counter() - began) / COVERAGE_SHARE)

    def _read(self, wanted: set[str]) -> None:
        """Take in the score rows that are new; at first look back until those who are wanted have theirs."""
        newest = self._store.heads()[0]
        if self._position and newest - self._position <= BEHIND:
            while batches := self._store.scores_after(self._position, ROWS_AT_ONCE):
                for batch in batches:
                    self._take(batch, self._scores)
                self._position = batches[-1].position
            return
        found: dict[str, tuple[float | None, str | None]] = {}
        missing, rows = wanted.copy(), 0
        with closing(self._store.latest_scores()) as newest_first:
            for number, batch in enumerate(newest_first):
                if number >= FIRST_BATCHES or rows >= FIRST_ROWS or not missing:
                    break
                own: dict[str, tuple[float | None, str | None]] = {}
                self._take(batch, own)
                found = {**own, **found}
                missing -= own.keys()
                rows += len(batch.streams)
        self._position = newest
        self._scores |= found

    def _take(self, batch: StoredScores, into: dict[str, tuple[float | None, str | None]]) -> None:
        """Note the latest row of each asset of a batch, in which they come in the order of time."""
        contribution = np.nan_to_num(batch.rows.contribution, nan=-np.inf)  # (B, C)
        most = contribution.argmax(axis=1).tolist()  # (B,)
        known = np.isfinite(contribution.max(axis=1)).tolist()  # (B,)
        for stream, score, place, told in zip(batch.streams, batch.rows.score.tolist(), most, known, strict=True):
            into[stream] = (None if math.isnan(score) else score, batch.sensors[place] if told else None)

    def _take_rates(self, books: dict[str, Any], now: float) -> dict[str, float]:
        if not books:
            return {}
        counts = {
            "values": sum(books["outcomes"].values()) + books["waiting"],
            "scored rows": books["rows"]["scored"] + books["rows"]["relearning"],
        }
        taken = {name: self._rates[name].take(now, count) for name, count in counts.items()}
        return {name: rate for name, rate in taken.items() if rate is not None}

    def _lags(self) -> dict[str, int]:
        scores, events = self._store.heads()
        lags = {"mqtt": events - self._store.position(SINK)}
        if self._store.position(SCORES) or self._store.position(EVENTS):  # there is a sink of that kind
            lags["influx"] = scores - self._store.position(SCORES) + events - self._store.position(EVENTS)
        return {sink: max(lag, 0) for sink, lag in lags.items()}


def state(status: str) -> str:
    """The one word for a status of `monitor.roll`.

    >>> [state(status) for status in ("watched", "warming up 3/60", "off")]
    ['watched', 'warming', 'resting']
    """
    if status.startswith(WARMING):
        return "warming"
    return status if status in STATES else RESTING


def worst_state(status: str, severity: str | None) -> str:
    """The one word for an asset with open incidents as bad as that; None = there are none.

    Whoever works on it knows that it is not well: maintenance goes first.

    >>> worst_state("watched", "critical"), worst_state("maintenance", "critical"), worst_state("off", None)
    ('critical', 'maintenance', 'resting')
    """
    return severity if severity and status != "maintenance" else state(status)


def sentence(rows: list[dict[str, Any]], incidents: list[AlertEvent], trouble: str = "") -> str:
    """What is wrong, and whether every asset is watched; `trouble` says why readings of none arrive."""
    if trouble:
        seen = f"no asset is watched: {trouble}"
    elif rows:
        seen = watched(rows)
    else:
        return "no asset was heard yet"
    wrong = _wrong(incidents)
    if wrong:
        return f"{wrong}; {seen}"
    return seen if trouble else f"{seen}; no incident is open"


def _wrong(incidents: list[AlertEvent]) -> str:
    """How many incidents are open, and how bad they are; of a critical one that is alone, also where."""
    told = [each for each in incidents if not is_shelved(each)]
    critical = [each for each in told if each.severity == SEVERITIES[0]]
    warnings, shelved = len(told) - len(critical), len(incidents) - len(told)
    parts = []
    if len(critical) == 1:
        parts.append(f"1 critical incident, of {critical[0].stream.rpartition('/')[2]}")
    elif critical:
        parts.append(f"{len(critical)} critical incidents")
    if warnings:
        parts.append(f"{warnings} warning{'' if warnings == 1 else 's'}")
    if shelved:
        parts.append(f"{shelved} shelved incident{'' if shelved == 1 else 's'}")
    return ", ".join(parts)


def watched(rows: list[dict[str, Any]]) -> str:
    """Whether every asset is scored and judged, and how many are not, and why.

    >>> watched([{"status": "watched"}, {"status": "off"}, {"status": "silent"}, {"status": "silent"}])
    '1 of 4 assets is watched; 2 silent, 1 not running'
    """
    states = Counter(state(row["status"]) for row in rows)
    count = states.pop("watched", 0)
    if not states:
        return "every asset is watched" if count > 1 else "the one asset is watched"
    why = ", ".join(f"{states[name]} {word}" for name, word in NOT_WATCHED.items() if states[name])
    return f"{count} of {len(rows)} assets {'is' if count == 1 else 'are'} watched; {why}"


def is_shelved(incident: AlertEvent) -> bool:
    """Whether an incident, as it stands, is put aside until some time: also where more was said of it since."""
    return incident.until is not None and incident.transition is not Transition.UNSHELVED


def _gravity(incident: AlertEvent) -> tuple[bool, int, int, int]:
    """What is told first of an asset: what is not shelved, the worst, the machine before a sensor, the newest."""
    kind = 0 if incident.kind == Kind.ANOMALY else 2 if incident.kind.startswith(OF_SENSOR) else 1
    return (is_shelved(incident), SEVERITIES.index(incident.severity), kind, -incident.started)


def _incident(worst: AlertEvent) -> dict[str, Any]:
    """The worst one in short."""
    return {
        "id": worst.incident_id,
        "kind": worst.kind,
        "sensor": worst.sensor or (worst.top[0].sensor if worst.top else ""),
        "started": worst.started,
        "transition": str(worst.transition),  # the latest
        "shelved": worst.until if is_shelved(worst) else None,  # until when
        "summary": worst.summary,
    }


def _covered(each: Coverage) -> dict[str, Any]:
    running = each.share_running
    return {
        "share": round(each.share, 3),
        "running": None if running is None else round(running, 3),
        "reason": next(iter(each.reasons), None),  # of what was not scored, the longest
    }


def _urgency(row: dict[str, Any]) -> tuple[int, bool, float, str]:
    """The worst state first, then what has incidents, then what is nearest to its threshold."""
    share = row["score"] / row["threshold"] if row["score"] is not None and row["threshold"] else 0.0
    return (RANK.index(row["state"]), not row["incidents"], -share, row["asset"])


def _canary(report: dict[str, Any]) -> str:
    """What the canary reports (`monitor.canary`), in short."""
    if not report.get("outcomes"):
        return ""
    delay = report["outcomes"][0]["delay_s"]
    latest = report["outcomes"][0]["result"] if delay is None else f"seen after {delay:.1f} s"
    return str(report["trouble"]) or f"canary: {latest}"
