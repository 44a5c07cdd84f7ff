"""What the view of health asks for.

GET /api/v1/health  {time, status, reasons, version, started, hops, threads, models, letters, …}: every hop of the
                    line in order, the threads, the model of every class, dead letters by reason, and whatever
                    sections the daemon adds by name
"""

from __future__ import annotations

import json
import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from monitor.page.reader import said
from monitor.printable import printable
from monitor.rate import Rate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from monitor.health import Figures
    from monitor.page.live import Hub
    from monitor.page.reader import Reader
    from monitor.page.sources import Sources
    from monitor.records import DeadLetter
    from monitor.store import Store

LETTERS = 500  # the latest ones, which are looked at
LETTERS_S = 5.0  # between two looks: each may be long
REASONS = 20  # that are told
SAMPLES = 3  # of each
LONGEST = 300  # characters of a payload, a topic or a reason
KEPT_S = 1.0  # an answer, for those who ask at about the same time


class Health:
    """All of it; for one thread at a time."""

    def __init__(self, sources: Sources, still: Callable[[], float]) -> None:
        """`still` tells for how many seconds the live stream has told nothing, where that is too long."""
        self._sources = sources
        self._still = still
        self._letters: list[DeadLetter] = []
        self._letters_due = -math.inf
        self._rates = {name: Rate() for name in ("messages", "records", "values", "rows", "lines")}

    def look(self, store: Store) -> dict[str, Any]:
        """How it is now. Raises StoreError."""
        sources, vitals, figures = self._sources, self._sources.vitals.vitals(), self._sources.vitals.figures()
        facts = store.facts()
        beside = replace(
            sources.beside(),
            rates=self._take(figures),
            errors=sources.vitals.errors(),
            still_s=self._still(),
            not_scoring=facts.get("not_scoring", "") if not vitals.broker else "",
        )
        _, ready = sources.ready(vitals)
        return {
            "time": time.time_ns() // 1_000_000,
            **ready,
            "version": figures.version,
            "started": int(1000 * figures.started),
            "hops": sources.hops(vitals, figures, beside),
            "threads": vitals.threads,
            "levels": {name: level._asdict() for name, level in beside.levels.items()},
            "models": sources.models(),
            "letters": by_reason(self._latest(store), figures.dead_letters_kept) | {"where": sources.letters},
            "learning": json.loads(facts.get("books", "{}")).get("learning", {}),
            **{name: section(store) for name, section in sources.sections.items()},
        }

    def _latest(self, store: Store) -> list[DeadLetter]:
        now = time.monotonic()
        if now >= self._letters_due:
            self._letters, self._letters_due = store.dead_letters(LETTERS), now + LETTERS_S
        return self._letters

    def _take(self, figures: Figures) -> Mapping[str, float | None]:
        books, now = figures.books, time.monotonic()
        counts = {"messages": figures.messages, "records": figures.records, "lines": figures.influx_rows}
        if books:
            counts["values"] = sum(books["outcomes"].values()) + books["waiting"]
            counts["rows"] = books["rows"]["scored"] + books["rows"]["relearning"]
        return {name: self._rates[name].take(now, count) for name, count in counts.items()}


def routes(sources: Sources, reader: Reader, hub: Hub) -> list[Route]:
    """Those of this view."""
    health = Health(sources, lambda: hub.stuck_s)
    kept: dict[str, Any] = {"at": -KEPT_S, "health": None}

    def look(store: Store) -> dict[str, Any]:
        if time.monotonic() - kept["at"] >= KEPT_S:
            kept["health"], kept["at"] = health.look(store), time.monotonic()
        found: dict[str, Any] = kept["health"]
        return found

    async def answer(request: Request) -> Response:
        return said(request, await reader.read(look, alone=True))

    return [Route("/api/v1/health", answer, methods=["GET"])]


def by_reason(letters: Sequence[DeadLetter], kept: int) -> dict[str, Any]:
    """Dead letters, the latest first, by their reason: how many, of how many values, and the latest of each."""
    found: dict[str, dict[str, Any]] = {}
    for each in letters:
        row = found.setdefault(
            each.reason[:LONGEST], {"letters": 0, "values": 0, "latest": each.time, "samples": []}
        )
        row["letters"] += 1
        row["values"] += each.values
        row["earliest"] = each.time
        if len(row["samples"]) < SAMPLES:
            payload = each.payload[: 4 * LONGEST].decode(errors="backslashreplace")[:LONGEST]
            row["samples"].append(
                {"time": each.time, "topic": printable(each.topic[:LONGEST]), "payload": printable(payload)}
            )
    told = [{"reason": printable(reason), **row} for reason, row in found.items()]
    return {
        "kept": kept,
        "looked_at": len(letters),
        "reasons": told[:REASONS],
        "further": max(0, len(told) - REASONS),
    }
