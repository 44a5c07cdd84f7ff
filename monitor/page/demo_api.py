"""Faults for a simulated fleet, where the daemon watches one that takes them (`http.simulator_topic`, the demo's).

GET  /api/v1/demo/faults   {available, faults: the catalogue, sensors, assets: engines, injected: by hand and now}
POST /api/v1/demo/faults   {do: inject | mend, engine, kind, severity?, sensor?} -> {done, reply}

Without such a fleet `available` is false, and an order is answered with 404.
"""

from __future__ import annotations

import uuid
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from anyio import CapacityLimiter, to_thread
from starlette.exceptions import HTTPException
from starlette.routing import Route

from monitor.page.reader import said
from monitor.page.simulator import SimulatorError
from monitor.web.body import whole_body

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from monitor.page.simulator import Simulator

LONGEST = 2_000  # bytes
AT_ONCE = 2  # orders that wait for their reply


class _Order(msgspec.Struct, forbid_unknown_fields=True):
    """One order."""

    do: Literal["inject", "mend"]
    engine: str
    kind: str
    severity: Literal["mild", "moderate", "severe"] | float = "moderate"
    sensor: str = ""


def routes(simulator: Simulator | None) -> list[Route]:
    """The routes; None where no fleet takes orders."""
    threads = CapacityLimiter(AT_ONCE)

    async def faults(request: Request) -> Response:
        fleet = simulator.fleet if simulator is not None else None
        if simulator is None or fleet is None:
            return said(request, {"available": False, "simulated": simulator is not None})
        from monitor.lab.sample import catalogue  # noqa: PLC0415 - the simulator, for those who simulate
        from simulator.records import SENSORS  # noqa: PLC0415 - as above

        told: dict[str, Any] = {
            "available": True,
            "simulated": True,
            "faults": catalogue(),
            "sensors": list(SENSORS),
        }
        return said(request, told | {"assets": fleet.assets, "injected": fleet.injected})

    async def order(request: Request) -> Response:
        if simulator is None:
            raise HTTPException(HTTPStatus.NOT_FOUND, "no simulated fleet takes orders: this is no demo")
        body = await whole_body(request, LONGEST)
        try:
            wish = msgspec.to_builtins(msgspec.json.decode(body, type=_Order))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise HTTPException(HTTPStatus.BAD_REQUEST, str(error)) from error
        try:
            done, reply = await to_thread.run_sync(
                lambda: simulator.order(uuid.uuid4().hex, wish), limiter=threads, abandon_on_cancel=True
            )
        except SimulatorError as error:
            raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, str(error)) from error
        status = HTTPStatus.OK if done else HTTPStatus.UNPROCESSABLE_ENTITY
        return said(request, {"done": done, "reply": reply}, status)

    return [
        Route("/api/v1/demo/faults", faults, methods=["GET"]),
        Route("/api/v1/demo/faults", order, methods=["POST"]),
    ]
