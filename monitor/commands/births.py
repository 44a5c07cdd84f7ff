"""The decoder of Sparkplug B for `init`, where the library for its protobuf is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
