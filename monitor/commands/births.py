"""Sparkplug B for `init`, where the library for its protobuf is installed: the decoder, and asking for births."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from monitor.cli import UserError
from monitor.discovery.sparkplug import Metric

if TYPE_CHECKING:
    from monitor.discovery.sparkplug import Decode


def decoder() -> Decode | None:
    """What decodes a payload; None where nothing can."""
    try:
        from monitor.payloads import sparkplug_schema as schema  # noqa: PLC0415 - its library is an extra
    except ImportError:
        return None

    def decode(payload: bytes) -> list[Metric] | None:
        try:
            found = schema.decode_payload(payload)
        except schema.NotSparkplugError:
            return None
        return [
            Metric(
                metric.name,
                metric.alias,
                metric.time or found.time,
                schema.signed(metric.value, metric.datatype) if type(metric.value) is int else metric.value,
            )
            for metric in found.metrics
        ]

    return decode


def rebirth_request() -> bytes:
    """What asks an edge node for its births. Raises UserError where the library is missing."""
    try:
        from monitor.payloads.sparkplug_schema import encode_rebirth  # noqa: PLC0415 - as above
    except ImportError as error:
        raise UserError('--rebirth needs a library for protobuf: pip install "enginewatch[sparkplug]"') from error
    return encode_rebirth(time.time_ns() // 1_000_000)
