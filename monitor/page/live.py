"""The live stream: one look at the fleet a second while anybody listens, and what changed to all who do.

GET /api/v1/live, server-sent events. The first is `state`, with the summary and a row for every asset; then comes
a `change` whenever there is one, with the fields that changed of the rows that did, and the assets that are gone.
Who was slow, and misses more than is kept, gets a `state` again: nothing piles up for anybody. So many can listen
at once; further ones are told to come back.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec
import structlog
from anyio import CapacityLimiter, to_thread
from starlette.exceptions import HTTPException
from starlette.responses import Response, StreamingResponse

from monitor.door import CommandError
from monitor.overview import Fleet
from monitor.schema import StoreError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from contextlib import AbstractContextManager

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from monitor.overview import View
    from monitor.page.sources import Sources

log = structlog.get_logger()

EVERY_S = 1.0
REST_S = 0.1  # at the least, where a look takes long
STUCK_S = 15.0  # without a look, while somebody listens, after which health says so
STILL_S = 15.0  # without a change, after which a line is sent that says nothing, so that a dead connection shows
LISTENERS = 24  # fewer than connections (`monitor.web.bounded`), so that others are answered as well
KEPT = 20  # changes, for who is slow
FITS_S = 30.0  # between two questions whether models fit
STILL = b": nothing new\n\n"


class Looker:
    """The fleet as it is now, for one thread at a time."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._fleet = Fleet(sources.store)
        self._rows: list[dict[str, Any]] = []
        self._told: dict[str, dict[str, Any]] = {}
        self._fits: dict[str, Any] = {}
        self._fitted = -FITS_S

    def look(self) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        """The summary, and the rows by asset; where the daemon cannot tell, those of before, and why."""
        trouble = ""
        try:
            if phase := self._sources.vitals.vitals().phase:
                trouble = f"the daemon is {phase}"
            else:
                self._ask()
            view = self._fleet.look(self._rows, time.monotonic(), self._sources.vitals.standing())
        except (CommandError, StoreError) as error:
            unknown = f"whether every asset is watched is not known: {error}"
            return {"trouble": str(error), "watched": unknown}, self._told
        finally:
            self._sources.store.leave()
        self._told = {row["asset"]: _short(row) for row in view.assets}
        return _summary(view, trouble), self._told

    def _ask(self) -> None:
        now = time.monotonic()
        fits = now - self._fitted >= FITS_S
        rows = self._sources.assets(fits=fits)
        if fits:
            self._fitted = now
            self._fits = {row["asset"]: row["drift"] for row in rows}
        # What only those rows have that tell whether models fit would come and go.
        self._rows = [
            {**{name: row[name] for name in row if name != "never"}, "drift": self._fits.get(row["asset"])}
            for row in rows
        ]


class Hub:
    """Who listens, and what they are told; for the coroutines of one event loop."""

    def __init__(self, look: Callable[[], tuple[dict[str, Any], dict[str, dict[str, Any]]]]) -> None:
        """`look` is called on a thread of its own, never twice at once."""
        self._look = look
        self._one = CapacityLimiter(1)
        self._summary: dict[str, Any] = {}
        self._rows: dict[str, dict[str, Any]] = {}
        self._number = 0  # of the latest look that found a change
        self._changes: deque[bytes] = deque(maxlen=KEPT)  # the latest of them, oldest first
        self._changed = asyncio.Event()  # set at the next change, and then no more: each change has its own
        self._task: asyncio.Task[None] | None = None
        self._turned = math.inf  # when it last looked, or began to; infinite while nobody listens
        self.listeners = 0

    @property
    def stuck_s(self) -> float:
        """Seconds for which those who listen were told of nothing, where that is too long; from any thread."""
        still = time.monotonic() - self._turned
        return still if still >= STUCK_S else 0.0

    def respond(self, request: Request) -> Response:
        """The stream, for one who listens. Raises HTTPException where too many do."""
        if self.listeners >= LISTENERS:
            raise HTTPException(
                HTTPStatus.SERVICE_UNAVAILABLE, f"{LISTENERS} pages listen already", {"Retry-After": "30"}
            )
        if request.method == "HEAD":
            return Response(media_type="text/event-stream")
        goes_on: Callable[[], None] = request.scope["state"]["goes_on"]
        return _Stream(self._listening, self._told(goes_on))

    async def now(self) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        """Summary and rows as of the latest look; looks where nobody listens."""
        if not self._number:
            summary, rows = await to_thread.run_sync(self._look, limiter=self._one)
            return _timed(summary), rows
        return _timed(self._summary), self._rows

    async def _told(self, goes_on: Callable[[], None]) -> AsyncIterator[bytes]:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._turn())
        known = 0
        while True:
            fresh = await self._after(known)
            known = self._number
            yield fresh
            goes_on()

    @contextmanager
    def _listening(self) -> Iterator[None]:
        """Counts one who listens, from the first moment to the last."""
        self.listeners += 1
        try:
            yield
        finally:
            self.listeners -= 1

    async def _after(self, known: int) -> bytes:
        """What is new to somebody who knows that much; waits for it, but not for ever."""
        if self._number <= known:
            try:
                async with asyncio.timeout(STILL_S):
                    await self._changed.wait()
            except TimeoutError:
                return STILL
        missed = self._number - known
        if known and missed <= len(self._changes):
            return b"".join(list(self._changes)[-missed:])
        return _event("state", {"summary": _timed(self._summary), "assets": list(self._rows.values())})

    async def _turn(self) -> None:
        """Look once a second until nobody listens; who comes then begins with the whole state."""
        self._turned = time.monotonic()
        while self.listeners:
            began = time.monotonic()
            try:
                self._take(*await to_thread.run_sync(self._look, limiter=self._one))
                self._turned = time.monotonic()
            except Exception as error:  # noqa: BLE001 - a mistake of ours: whoever listens keeps what there was
                log.error("live_look_failed", reason=f"{type(error).__name__}: {error}")
            await asyncio.sleep(max(REST_S, EVERY_S - (time.monotonic() - began)))
        self._turned = math.inf
        self._number, self._summary, self._rows = 0, {}, {}
        self._changes.clear()

    def _take(self, summary: dict[str, Any], rows: dict[str, dict[str, Any]]) -> None:
        told = _difference(self._summary, summary)
        changed = [
            {"asset": key, **fields}
            for key, row in rows.items()
            if (fields := _difference(self._rows.get(key, {}), row))
        ]
        gone = [key for key in self._rows if key not in rows]
        first = not self._number
        self._summary, self._rows = {**self._summary, **summary}, rows
        if told or changed or gone or first:
            self._number += 1
            self._changes.append(_event("change", {"summary": _timed(told), "assets": changed, "gone": gone}))
            waited, self._changed = self._changed, asyncio.Event()
            waited.set()


class _Stream(StreamingResponse):
    """The answer to one who listens."""

    def __init__(self, listening: Callable[[], AbstractContextManager[None]], told: AsyncIterator[bytes]) -> None:
        # nginx would keep what we say until it has enough of it.
        super().__init__(told, headers={"X-Accel-Buffering": "no"}, media_type="text/event-stream")
        self._listening = listening

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Tell until he leaves."""
        with self._listening():
            await super().__call__(scope, receive, send)


def _difference(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in now.items() if name not in before or before[name] != value}


def _timed(summary: dict[str, Any]) -> dict[str, Any]:
    """With the daemon's clock, by which ages are to be told: that of whoever looks may be another."""
    return {**summary, "time": time.time_ns() // 1_000_000}


def _event(name: str, data: Any) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name.encode(), msgspec.json.encode(data))


def _summary(view: View, trouble: str) -> dict[str, Any]:
    return {
        "trouble": trouble or (f"not connected to the broker: {view.broker}" if view.broker else view.trouble),
        "watched": f"no asset is watched: {trouble}" if trouble else view.watched,
        "broker": view.broker,
        "incidents": view.incidents,
        "shelved": view.shelved,
        **({} if view.alone else {"values_per_s": _rounded(view.rates.get("values"))}),
        "rows_per_s": _rounded(view.rates.get("scored rows")),
        "lags": view.lags,
    }


def _short(row: dict[str, Any]) -> dict[str, Any]:
    """A row whose numbers have the digits that people read."""
    return row | {name: round(row[name], 4) for name in ("score", "threshold") if row[name] is not None}


def _rounded(rate: float | None) -> float | None:
    return None if rate is None else round(rate, 1)
