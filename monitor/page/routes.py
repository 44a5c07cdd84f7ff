"""The routes of the page: its files, and what its views ask for. A view's module says what it answers.

/                  the page
/page/...          its files, and plotly.js; without a token too, because they hold no facts
/api/v1/...        what the views show, as JSON; a mistake is {"error": "one line"}
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from anyio import CapacityLimiter, to_thread
from starlette.routing import Route

from monitor.page import demo_api, fleet_api, health_api, lab_api
from monitor.page.asset_routes import asset_routes
from monitor.page.files import INDEX, Files, told
from monitor.page.live import Hub, Looker
from monitor.page.reader import Reader

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from monitor.page.sources import Sources


def routes(sources: Sources) -> list[Route]:
    """All of them."""
    hub = Hub(Looker(sources).look)
    reader = Reader(sources.store)

    async def live(request: Request) -> Response:
        return hub.respond(request)

    return [
        *of_files(),
        Route("/api/v1/live", live, methods=["GET"]),
        *fleet_api.routes(hub, reader),
        *health_api.routes(sources, reader, hub),
        *asset_routes(sources, reader),
        *lab_api.routes(sources.folder, reader),
        *demo_api.routes(sources.simulator),
    ]


def of_files() -> list[Route]:
    """The page without its facts."""
    files = Files()
    one = CapacityLimiter(1)  # plotly.js is compressed once, and nothing else waits for a thread

    async def file(request: Request) -> Response:
        name = request.path_params.get("name", INDEX)
        return told(request, await to_thread.run_sync(files.find, name, limiter=one))

    return [Route("/", file, methods=["GET"]), Route("/page/{name:path}", file, methods=["GET"])]
