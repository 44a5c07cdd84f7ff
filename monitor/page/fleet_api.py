"""What the view of the fleet asks for.

GET /api/v1/fleet         {summary, assets}: as the live stream's first event has it
GET /api/v1/fleet/trends  {first, width, points, assets}: the scores of the last hour in at most so many points, as
                          [lowest, highest] of each asset; null where there was none
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
from starlette.routing import Route

from monitor.page.reader import said

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request
    from starlette.responses import Response

    from monitor.page.live import Hub
    from monitor.page.reader import Reader
    from monitor.records import Float32, StoredScores
    from monitor.store import Store

BACK_MS = 3_600_000
POINTS = 60
ROWS = 200_000  # that the history has not taken yet, of which so many are looked at
ROWS_AT_ONCE = 10_000
KEPT_S = 20.0  # trends, for those who look at about the same time


def routes(hub: Hub, reader: Reader) -> list[Route]:
    """Those of this view."""
    kept: dict[str, Any] = {"at": -KEPT_S, "trends": None}

    async def fleet(request: Request) -> Response:
        summary, rows = await hub.now()
        return said(request, {"summary": summary, "assets": list(rows.values())})

    def kept_trends(store: Store) -> dict[str, Any]:
        if time.monotonic() - kept["at"] >= KEPT_S:
            kept["trends"], kept["at"] = trends_until(store, time.time_ns() // 1_000_000), time.monotonic()
        found: dict[str, Any] = kept["trends"]
        return found

    async def trends(request: Request) -> Response:
        return said(request, await reader.read(kept_trends, alone=True))

    return [
        Route("/api/v1/fleet", fleet, methods=["GET"]),
        Route("/api/v1/fleet/trends", trends, methods=["GET"]),
    ]


def trends_until(store: Store, now: int) -> dict[str, Any]:
    """The history of the hour before, and the latest rows, which are not in it yet."""
    found = store.trends(now - BACK_MS, now, POINTS + 1)
    chart = found.chart
    number = {asset: at for at, asset in enumerate(found.assets)}
    low, high = found.trend.low, found.trend.high  # (A, P)
    for batch in _newer(store, found.position):
        for asset in batch.streams:
            number.setdefault(asset, len(number))
        low, high = _room(low, len(number)), _room(high, len(number))
        place = (batch.time - chart.first) // chart.width  # (B,)
        inside = (place >= 0) & (place < chart.points)
        at = np.array([number[asset] for asset in batch.streams])[inside], place[inside]
        np.fmin.at(low, at, batch.rows.score[inside])
        np.fmax.at(high, at, batch.rows.score[inside])
    return {
        "first": chart.first,
        "width": chart.width,
        "points": chart.points,
        "assets": dict(zip(number, zip(_short(low), _short(high), strict=True), strict=True)),
    }


def _newer(store: Store, position: int) -> Iterator[StoredScores]:
    """Batches after a position, so many that they have so many rows."""
    left = ROWS
    while left > 0 and (batches := store.scores_after(position, ROWS_AT_ONCE)):
        yield from batches
        left -= sum(len(each.streams) for each in batches)
        position = batches[-1].position


def _room(values: Float32, assets: int) -> Float32:
    """The same (A, P) with so many assets, of which the last have no scores."""
    further = np.full((assets - len(values), values.shape[1]), np.nan, np.float32)
    return np.concatenate([values, further]) if len(further) else values


def _short(values: Float32) -> list[list[float]]:
    """Rounded to what a small picture can show; a number that is none becomes null as JSON."""
    rounded: list[list[float]] = np.round(values.astype(np.float64), 3).tolist()
    return rounded
