"""What the views of an asset and of incidents ask for.

GET /api/v1/assets/KEY?from&to&span&points&sensor   an asset over a range of time (`asset_facts`)
GET /api/v1/assets/KEY/rows?after   its rows behind a position, to go on with
GET /api/v1/assets/KEY/map?from&to&span   where its windows lie against those of the training (`map_facts`)
GET /api/v1/incidents?open&asset&kind&before&limit
GET /api/v1/incidents/ID                       one with its life, and past ones that are like it

KEY is site/area/asset as one part of the path, its slashes as %2F. Times are epoch milliseconds; without `from` it
is `span` before the end, without `to` the end is what is newest of the asset.
"""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from starlette.exceptions import HTTPException
from starlette.routing import Route

from models.artifact import ArtifactError
from monitor.door import LATEST_MS, CommandError
from monitor.history import HOUR
from monitor.page import asset_facts, incident_facts, map_facts
from monitor.page.landscapes import Landscapes
from monitor.page.reader import said

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from models.artifact import Header
    from models.landscape import Landscape
    from monitor.page.reader import Reader
    from monitor.page.sources import Sources
    from monitor.spec import ClassSpec
    from monitor.store import Store

ASSETS = "/api/v1/assets/"
MOST_SENSORS = 200  # asked for by name
LONGEST_NAME = 1_000
BELOW = ("rows", "map")  # of an asset


def asset_routes(sources: Sources, reader: Reader) -> list[Route]:
    """The routes of both views."""
    landscapes = Landscapes(sources.model_folder)

    async def asset(request: Request) -> Response:
        key, below = _asked_of(request)
        if below == "rows":
            after = _number(request, "after", 0, LATEST_MS) or 0
            return said(request, await reader.read(lambda store: asset_facts.rows_after(store, key, after)))
        if below == "map":
            span = _number(request, "span", 1, LATEST_MS) or HOUR
            asked_for = asset_facts.Asked(key, *_range(request), span)
            return said(request, await reader.read(lambda store: _map(store, asked_for)))
        start, end = _range(request)
        span = _number(request, "span", 1, LATEST_MS) or HOUR
        points = _number(request, "points", 2, asset_facts.MOST_POINTS) or asset_facts.POINTS
        sensors = tuple(request.query_params.getlist("sensor"))
        if len(sensors) > MOST_SENSORS:
            raise HTTPException(HTTPStatus.BAD_REQUEST, f"over {MOST_SENSORS} sensors are asked for by name")
        asked = asset_facts.Asked(key, start, end, span, points, sensors)
        found = await reader.read(lambda store: _view(store, asked))
        if found is None:
            raise _unknown(key)
        return said(request, found)

    def _view(store: Store, asked: asset_facts.Asked) -> dict[str, Any] | None:
        known = _known(asked.asset)
        spec = _spec(asked.asset, known)
        header, landscape, _ = _model(spec)
        usual = {}
        if header is not None and landscape is not None:
            usual = {each.name: value for each, value in zip(header.sensors, landscape.usual, strict=True)}
        units = {} if spec is None else dict(zip(spec.route.sensors, spec.units, strict=True))
        return asset_facts.view(store, asked, known=known, units=units, usual=usual, now=int(time.time() * 1000))

    def _map(store: Store, asked: asset_facts.Asked) -> dict[str, Any]:
        key = asked.asset
        known, begins = _known(key, fits=False), store.asset_begins(key)
        if known is None and begins is None:
            raise _unknown(key)
        header, landscape, why = _model(_spec(key, known))
        if header is None:
            return map_facts.unplaced(why)
        start, end = asset_facts.bounds(asked, begins, known, int(time.time() * 1000))
        found = store.asset_history(key, start, end, map_facts.POINTS)
        return map_facts.landscape_map(found, header, landscape)

    def _known(key: str, *, fits: bool = True) -> dict[str, Any] | None:
        """The asset as the line knows it now; None where it does not, or cannot be asked."""
        if sources.vitals.vitals().phase:  # it replays, and would be waited for in vain
            return None
        try:
            return next((row for row in sources.assets(fits=fits) if row["asset"] == key), None)
        except CommandError:
            return None

    def _spec(key: str, known: dict[str, Any] | None) -> ClassSpec | None:
        classes = sources.spec().classes
        if known is not None:
            return next((each for each in classes if each.name == known["class"]), None)
        return next((each for each in classes if each.route.takes(key)), None)

    def _model(spec: ClassSpec | None) -> tuple[Header | None, Landscape | None, str]:
        """The model of a class and where its windows lie; without one, why."""
        if spec is None or not spec.model_hash:
            return None, None, map_facts.NO_MODEL
        try:
            return *landscapes.of(spec.model_hash), ""
        except ArtifactError as error:
            return None, None, str(error)

    async def incidents(request: Request) -> Response:
        asked = request.query_params
        limit = _number(request, "limit", 1, incident_facts.MOST) or incident_facts.LIMIT
        is_open = _number(request, "open", 0, 1)
        before = _cursor(asked.get("before"))

        def read(store: Store) -> dict[str, Any]:
            return incident_facts.listed(
                store,
                limit=limit,
                asset=asked.get("asset") or None,
                kind=asked.get("kind") or None,
                is_open=None if is_open is None else bool(is_open),
                before=before,
            )

        return said(request, await reader.read(read))

    async def incident(request: Request) -> Response:
        name = request.path_params["incident"]
        found = await reader.read(lambda store: incident_facts.detail(store, name))
        if found is None:
            raise HTTPException(HTTPStatus.NOT_FOUND, f"there is no incident {name[:LONGEST_NAME]!r}")
        return said(request, found)

    return [
        Route(ASSETS + "{rest:path}", asset, methods=["GET"]),
        Route("/api/v1/incidents", incidents, methods=["GET"]),
        Route("/api/v1/incidents/{incident}", incident, methods=["GET"]),
    ]


def _asked_of(request: Request) -> tuple[str, str]:
    """The asset, and what is asked for of it; the path is taken as it came, so that a name can hold anything."""
    parts = request.scope["raw_path"].decode("latin-1").removeprefix(ASSETS).split("/")
    below = parts.pop() if len(parts) > 1 and parts[-1] in BELOW else ""
    return unquote("/".join(parts)), below


def _unknown(key: str) -> HTTPException:
    said = f"there is no asset {key[:LONGEST_NAME]!r}; `enginewatch assets` lists them"
    return HTTPException(HTTPStatus.NOT_FOUND, said)


def _range(request: Request) -> tuple[int | None, int | None]:
    """From when until when. Raises HTTPException."""
    start, end = _number(request, "from", 0, LATEST_MS), _number(request, "to", 1, LATEST_MS)
    if start is not None and end is not None and start >= end:
        raise HTTPException(HTTPStatus.BAD_REQUEST, "from must lie before to")
    return start, end


def _number(request: Request, name: str, least: int, most: int) -> int | None:
    """A whole number that was given; None where none was. Raises HTTPException."""
    text = request.query_params.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(most)) and least <= int(text) <= most):
        wanted = f"{name} must be a whole number from {least} to {most}, not {text[:LONGEST_NAME]!r}"
        raise HTTPException(HTTPStatus.BAD_REQUEST, wanted)
    return int(text)


def _cursor(text: str | None) -> tuple[int, str] | None:
    """Where the last answer ended, as it said. Raises HTTPException."""
    if text is None:
        return None
    started, _, incident_id = text.partition(",")
    if not (started.isascii() and started.isdigit() and len(started) <= len(str(LATEST_MS)) and incident_id):
        raise HTTPException(HTTPStatus.BAD_REQUEST, "before must be what the answer before said as next")
    return int(started), incident_id
