"""What the tests of Sparkplug B share: an edge node with a pump, its births and its data."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from monitor.decode import ClassRoute
from monitor.payloads.sparkplug_schema import DOUBLE, Metric, encode_payload
from monitor.records import Message
from tests.line_samples import START, quick, shipped

if TYPE_CHECKING:
    from monitor.spec import ClassSpec

TEMPLATE = "spBv1.0/{site}/DDATA/{area}/{asset}"
ROUTE = ClassRoute(("load", "flow"), (TEMPLATE,), payload="sparkplug")
DEVICE = "plant/hall/pump"


def metric(
    name: str = "", value: float | bool | str | None = None, *, alias: int | None = None, kind: int = 0
) -> Metric:
    return Metric(name, alias, None, kind, value, null=value is None)


def message(kind: str, seq: int | None, *metrics: Metric, at: int = 0, device: str = "pump") -> Message:
    topic = f"spBv1.0/plant/{kind}/hall" + (f"/{device}" if kind.startswith("D") else "")
    payload = encode_payload(START + at, seq, metrics)
    return Message(topic.encode(), payload, START + at, len(payload))


BIRTHS = (
    message("NBIRTH", 0, metric("bdSeq", 1, kind=8)),
    message("DBIRTH", 1, metric("load", 50.0, alias=1, kind=DOUBLE), metric("flow", 110.0, alias=2, kind=DOUBLE)),
)


def data(seq: int, load: float, at: int) -> Message:
    return message("DDATA", seq, metric(value=load, alias=1), metric(value=2 * load + 10, alias=2), at=at)


def pumps() -> ClassSpec:
    spec = quick(shipped())
    return replace(spec, route=replace(spec.route, topics=(TEMPLATE,), payload="sparkplug"))
