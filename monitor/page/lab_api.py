"""What the view "Lab" asks for.

GET  /api/v1/lab/models   the models that can be tried, and the faults that a sample can have
POST /api/v1/lab/score    {model, name, csv, time?, period_ms?, asset?, allow_missing?}: a file, scored
POST /api/v1/lab/sample   {model, kind?, severity?, sensor?, duration_s?, seed?}: a simulated engine, scored

Nothing here changes anything. Scoring happens in a process of its own, one at a time: 429 says that it is taken.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import msgspec
from anyio import CapacityLimiter, WouldBlock, to_thread
from starlette.exceptions import HTTPException
from starlette.routing import Route

from monitor.lab.matched import LabError
from monitor.lab.process import BUSY, BusyError, Process, Wanted
from monitor.page.reader import said
from monitor.web.body import whole_body

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.requests import Request
    from starlette.responses import Response

    from monitor.page.reader import Reader

MOST_CSV = 8 << 20  # bytes of a file
MOST_BODY = MOST_CSV + (MOST_CSV >> 2)  # as JSON, where line ends and quotes take a second one
MOST_WISH = 16 << 10
AT_ONCE = 2  # threads, and files: one that waits for the process, one that is told that it is taken
RETRY = {"Retry-After": "5"}


class _File(msgspec.Struct, forbid_unknown_fields=True):
    """A file to be scored."""

    model: str
    csv: str
    name: str = ""
    time: str = ""
    period_ms: int | None = None
    asset: str = ""
    allow_missing: bool = False


class _Sample(msgspec.Struct, forbid_unknown_fields=True):
    """A sample to be made and scored."""

    model: str
    kind: str = ""
    severity: Literal["mild", "moderate", "severe"] | float = "moderate"
    sensor: str = ""
    duration_s: int = 900
    seed: int = 1


Wish = TypeVar("Wish", _File, _Sample)


def routes(state: Path, reader: Reader) -> list[Route]:
    """The routes; `state` is the daemon's folder."""
    process, threads = Process(state), CapacityLimiter(AT_ONCE)
    files = CapacityLimiter(AT_ONCE)  # each is some ten megabytes, so that not everybody may bring one at once

    async def models(request: Request) -> Response:
        from monitor.lab.models import described  # noqa: PLC0415 - for those who look
        from monitor.lab.sample import catalogue  # noqa: PLC0415 - as above

        found = await reader.read(lambda store: described(state, store))
        return said(request, {"models": found, "faults": catalogue()})

    async def run(request: Request, asked: dict[str, Any], content: bytes = b"") -> dict[str, Any]:
        wanted = Wanted()
        watching = asyncio.create_task(_until_gone(request, wanted))
        try:
            return await to_thread.run_sync(
                lambda: process.run(asked, content, wanted), limiter=threads, abandon_on_cancel=True
            )
        except BusyError as error:
            raise HTTPException(HTTPStatus.TOO_MANY_REQUESTS, str(error), RETRY) from error
        except LabError as error:
            raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from error
        finally:
            watching.cancel()
            wanted.give_up()  # also where the daemon stops

    async def score(request: Request) -> Response:
        try:
            files.acquire_on_behalf_of_nowait(request)
        except WouldBlock:
            raise HTTPException(HTTPStatus.TOO_MANY_REQUESTS, BUSY, RETRY) from None
        try:
            body = await whole_body(request, MOST_BODY)
            file = await to_thread.run_sync(lambda: _decoded(body, _File), limiter=threads)
            content = file.csv.encode()
            if len(content) > MOST_CSV:
                raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the file is over {MOST_CSV >> 20} MB")
            asked = {name: getattr(file, name) for name in file.__struct_fields__ if name != "csv"}
            return said(request, await run(request, {"what": "file", **asked}, content))
        finally:
            files.release_on_behalf_of(request)

    async def sample(request: Request) -> Response:
        wish = _decoded(await whole_body(request, MOST_WISH), _Sample)
        return said(request, await run(request, {"what": "sample", **msgspec.to_builtins(wish)}))

    return [
        Route("/api/v1/lab/models", models, methods=["GET"]),
        Route("/api/v1/lab/score", score, methods=["POST"]),
        Route("/api/v1/lab/sample", sample, methods=["POST"]),
    ]


async def _until_gone(request: Request, wanted: Wanted) -> None:
    """Give up what is asked for as soon as whoever asked has hung up."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
    wanted.give_up()


def _decoded(body: bytes, kind: type[Wish]) -> Wish:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise HTTPException(HTTPStatus.BAD_REQUEST, str(error)) from error
