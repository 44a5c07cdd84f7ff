"""The routes of the HTTP port. What it needs to know is given to it; what may be asked is for `rules` to say.

/livez, /readyz   whether the daemon lives and is ready, as JSON with the reasons in words; 503 where not
/metrics          Prometheus' text format
/api/v1/commands  POST: a command, as over the socket and MQTT
and what is given to it beside these: the live page
"""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec
import structlog
from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from monitor.exposition import CONTENT_TYPE, exposition
from monitor.web.body import whole_body
from monitor.web.rules import HEADERS, READS

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from monitor.web.asked import Asked, Judged
    from monitor.web.rules import Rules

log = structlog.get_logger()

LONGEST_HEAD = 16 << 10  # bytes of a request's line and headers
LONGEST_BODY = 64 << 10
AT_ONCE = 4  # commands, and pages of metrics, that are worked on; further ones wait


class Guarded:
    """Lets through what the rules allow, and answers the rest itself."""

    def __init__(self, app: ASGIApp, rules: Rules) -> None:
        self._app = app
        self._rules = rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return
        send = _with_headers(send)
        if _head(scope) > LONGEST_HEAD:  # the parser bounds only what has not arrived at once
            status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            await answer({"error": f"the head is over {LONGEST_HEAD} bytes"}, status)(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        refused = self._rules.refusal(scope["method"], scope["path"], headers)
        scope["state"]["known"] = refused is None
        if refused is None or (refused.status is HTTPStatus.UNAUTHORIZED and _without_token(scope)):
            await self._app(scope, receive, send)
        else:
            await answer({"error": refused.reason}, refused.status)(scope, receive, send)


def _head(scope: Scope) -> int:
    """Bytes of a request's line and headers."""
    line = len(scope["method"]) + len(scope["raw_path"]) + len(scope["query_string"])
    return line + sum(len(name) + len(value) + len(": \r\n") for name, value in scope["headers"])


PROBES = frozenset({"/livez", "/readyz"})  # who has no token is told the word alone: supervisors need no more
PAGE = "/"
FILES = "/page/"  # the page without facts: it asks for the token, and sends it with what it asks


def _without_token(scope: Scope) -> bool:
    """Whether somebody who has no token may read this."""
    path = scope["path"]
    return scope["method"] in READS and (path in PROBES or path == PAGE or path.startswith(FILES))


def _with_headers(send: Send) -> Send:
    """Sends an answer with the headers of every answer, where it has none of that name by itself."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            own = {name.lower() for name, _ in message["headers"]}
            further = [(name, value) for name, value in DEFAULTS if name not in own]
            message = {**message, "headers": [*message["headers"], *further]}
        await send(message)

    return sending


DEFAULTS = [(name.lower().encode(), value.encode()) for name, value in HEADERS]


def make_app(asked: Asked, rules: Rules) -> ASGIApp:
    """The application, behind its guard."""
    limiter = CapacityLimiter(AT_ONCE)

    async def probe(request: Request, judge: Callable[[], Judged]) -> Response:
        good, said = judge()
        told = said if request.scope["state"]["known"] else {"status": said["status"]}
        return answer(told, HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE)

    async def measured(_: Request) -> Response:
        page = await to_thread.run_sync(lambda: exposition(asked.metrics()), limiter=limiter)
        return Response(page, media_type=CONTENT_TYPE)

    async def command(request: Request) -> Response:
        assert asked.command is not None
        if phase := asked.phase():
            return answer({"error": f"the daemon is {phase}: try again"}, HTTPStatus.SERVICE_UNAVAILABLE)
        body = await whole_body(request, LONGEST_BODY)
        said = await to_thread.run_sync(asked.command, body, limiter=limiter)
        return answer(said, HTTPStatus.OK if said["done"] else HTTPStatus.UNPROCESSABLE_ENTITY)

    app = Starlette(
        routes=[
            Route("/livez", partial(probe, judge=asked.live), methods=["GET"]),
            Route("/readyz", partial(probe, judge=asked.ready), methods=["GET"]),
            Route("/metrics", measured, methods=["GET"]),
            *([] if asked.command is None else [Route("/api/v1/commands", command, methods=["POST"])]),
            *asked.further(),
        ],
        exception_handlers={HTTPException: _refused, Exception: _failed},
    )
    app.router.redirect_slashes = False
    return Guarded(app, rules)


def answer(said: Any, status: HTTPStatus) -> Response:
    """JSON; where a token is asked for, with the header that HTTP wants then."""
    headers = {"WWW-Authenticate": "Bearer"} if status is HTTPStatus.UNAUTHORIZED else None
    return Response(msgspec.json.encode(said) + b"\n", status, headers, media_type="application/json")


def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    said = answer({"error": error.detail}, HTTPStatus(error.status_code))
    said.headers.update(error.headers or {})
    return said


def _failed(_: Request, error: Exception) -> Response:
    """A mistake of ours: told in the log, not to whoever asked."""
    log.error("http_request_failed", reason=f"{type(error).__name__}: {error}")
    return answer({"error": "this failed; the log says why"}, HTTPStatus.INTERNAL_SERVER_ERROR)
