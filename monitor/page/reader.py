"""What the page reads is read on threads of its own, a few at a time, and answered as JSON."""

from __future__ import annotations

import gzip
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from anyio import CapacityLimiter, to_thread
from starlette.exceptions import HTTPException
from starlette.responses import Response

from monitor.schema import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from monitor.store import Store

Found = TypeVar("Found")
AT_ONCE = 3  # readers; further ones wait
SMALL = 8_000  # bytes that are not worth compressing


class Reader:
    """Reads the store, for the coroutines of the page."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._limiter = CapacityLimiter(AT_ONCE)
        self._one = CapacityLimiter(1)

    async def read(self, what: Callable[[Store], Found], *, alone: bool = False) -> Found:
        """What a function finds in the store. Raises HTTPException where it cannot be read.

        Functions that remember something are to be `alone`: no two of those are called at once.
        """
        return await to_thread.run_sync(self._read, what, limiter=self._one if alone else self._limiter)

    def _read(self, what: Callable[[Store], Found]) -> Found:
        try:
            return what(self._store)
        except StoreError as error:
            raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, str(error)) from error
        finally:
            self._store.leave()


def said(request: Request, what: Any, status: HTTPStatus = HTTPStatus.OK) -> Response:
    """JSON; what is no number is null. Long answers are compressed for who can read that."""
    body = msgspec.json.encode(what)
    headers = {"Vary": "Accept-Encoding"}
    if len(body) > SMALL and "gzip" in request.headers.get("accept-encoding", ""):
        body = gzip.compress(body, 1)
        headers["Content-Encoding"] = "gzip"
    return Response(body, status, headers, media_type="application/json")
