"""The fleet as `enginewatch top` shows it: what the daemon knows of its assets, with their latest scores."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from monitor.demo.watch import Rate
from monitor.influx import EVENTS, SCORES
from monitor.notify import SINK

if TYPE_CHECKING:
    from monitor.records import StoredScores
    from monitor.store import Store

FIRST_BATCHES = 2_000  # looked through for the assets' latest rows
ROWS_AT_ONCE = 20_000


@dataclass(frozen=True, slots=True)
class View:
    """One look."""

    assets: list[dict[str, Any]]  # as in `monitor.roll`, with `score` and `sensor`; what needs somebody first
    incidents: int  # open, of all assets
    rates: dict[str, float]  # values and scored rows a second; empty at the first look
    lags: dict[str, int]  # what each sink has not delivered yet
    trouble: str  # why nothing is scored; empty while something is
    books: dict[str, Any] = field(default_factory=dict)


class Fleet:
    """Looks again and again; of the scores it reads only what is new."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._position = 0
        self._scores: dict[str, tuple[float | None, str | None]] = {}
        self._rates = {"values": Rate(), "scored rows": Rate()}

    def look(self, assets: list[dict[str, Any]], now: float) -> View:
        """The view of these assets; `now` in seconds, of any clock that only goes forward."""
        self._read()
        facts = self._store.facts()
        books: dict[str, Any] = json.loads(facts.get("books", "{}"))
        rows = []
        for row in assets:
            score, sensor = self._scores.get(row["asset"], (None, None))
            rows.append({**row, "score": score, "sensor": sensor})
        broker = facts.get("broker", "")
        return View(
            assets=sorted(rows, key=_urgency),
            incidents=sum(row["incidents"] for row in assets),
            rates=self._take_rates(books, now),
            lags=self._lags(),
            trouble=facts.get("not_scoring", "") if broker == "connected" else broker,
            books=books,
        )

    def _read(self) -> None:
        """Take in the score rows that are new; at first look back over the latest ones."""
        if self._position:
            while batches := self._store.scores_after(self._position, ROWS_AT_ONCE):
                for batch in batches:
                    self._take(batch, newer=True)
                self._position = batches[-1].position
            return
        self._position = self._store.heads()[0]
        with closing(self._store.latest_scores()) as newest_first:
            for number, batch in enumerate(newest_first):
                if number >= FIRST_BATCHES:
                    return
                self._take(batch, newer=False)

    def _take(self, batch: StoredScores, *, newer: bool) -> None:
        order = range(len(batch.streams)) if newer else reversed(range(len(batch.streams)))
        for row in order:
            stream = batch.streams[row]
            if newer or stream not in self._scores:
                score, contribution = batch.rows.score[row], batch.rows.contribution[row]
                known = not np.isnan(contribution).all()
                sensor = batch.sensors[int(np.nanargmax(contribution))] if known else None
                self._scores[stream] = (None if np.isnan(score) else float(score), sensor)

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


def _urgency(row: dict[str, Any]) -> tuple[bool, float, str]:
    """What has incidents first, then what is nearest to its threshold."""
    share = row["score"] / row["threshold"] if row["score"] is not None and row["threshold"] else 0.0
    return (not row["incidents"], -share, row["asset"])
