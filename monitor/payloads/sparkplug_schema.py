"""The protobuf of Sparkplug B: bytes to plain metrics, and back.

Only the fields that we use are described here (the numbers are those of the specification's payload); what else a
message holds is skipped by the library. Imported only where a class has payload = "sparkplug".
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

if TYPE_CHECKING:
    from collections.abc import Sequence

INT32, INT64, FLOAT, DOUBLE, BOOLEAN, STRING, DATE_TIME = 3, 4, 9, 10, 11, 12, 13
SMALL_SIGNED = (1, 2, INT32)  # Int8, Int16, Int32: two's complement in 32 bits
_SCHEMA = {
    "Metric": {
        "name": (1, "STRING"),
        "alias": (2, "UINT64"),
        "timestamp": (3, "UINT64"),
        "datatype": (4, "UINT32"),
        "is_null": (7, "BOOL"),
        "int_value": (10, "UINT32"),
        "long_value": (11, "UINT64"),
        "float_value": (12, "FLOAT"),
        "double_value": (13, "DOUBLE"),
        "boolean_value": (14, "BOOL"),
        "string_value": (15, "STRING"),
    },
    "Payload": {"timestamp": (1, "UINT64"), "metrics": (2, "Metric"), "seq": (3, "UINT64")},
}


class NotSparkplugError(ValueError):
    """The payload is none."""


class Metric(NamedTuple):
    """One metric; its value as it came, an unsigned integer where its type says so only at its birth."""

    name: str  # empty where only the alias is given
    alias: int | None
    time: int | None
    datatype: int  # 0 where it is not given
    value: float | bool | str | None  # None = null, or of a type that is no number, boolean or text
    null: bool


class Payload(NamedTuple):
    """One message."""

    time: int | None
    seq: int | None
    metrics: list[Metric]


def _made() -> dict[str, Any]:
    """The message classes, in a pool of their own: others in the process may know the schema too."""
    file = descriptor_pb2.FileDescriptorProto(name="enginewatch/sparkplug_b.proto", package="spb", syntax="proto2")
    kinds = descriptor_pb2.FieldDescriptorProto
    for message, fields in _SCHEMA.items():
        described = file.message_type.add(name=message)
        for name, (number, kind) in fields.items():
            field = described.field.add(name=name, number=number, label=kinds.LABEL_OPTIONAL)
            if kind in _SCHEMA:
                field.type, field.type_name, field.label = kinds.TYPE_MESSAGE, f".spb.{kind}", kinds.LABEL_REPEATED
            else:
                field.type = kinds.Type.Value(f"TYPE_{kind}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"spb.{name}")) for name in _SCHEMA}


_CLASSES = _made()
_VALUES = ("int_value", "long_value", "float_value", "double_value", "boolean_value", "string_value")


def decode_payload(payload: bytes) -> Payload:
    """A message. Raises NotSparkplugError."""
    try:
        found = _CLASSES["Payload"].FromString(payload)
        metrics = [_metric(each) for each in found.metrics]
    except (DecodeError, UnicodeDecodeError) as error:
        raise NotSparkplugError("not Sparkplug B: its protobuf cannot be read") from error
    return Payload(_given(found, "timestamp"), _given(found, "seq"), metrics)


def _metric(found: Any) -> Metric:
    value = next((getattr(found, name) for name in _VALUES if found.HasField(name)), None)
    return Metric(
        found.name, _given(found, "alias"), _given(found, "timestamp"), found.datatype, value, found.is_null
    )


def _given(found: Any, name: str) -> Any:
    return getattr(found, name) if found.HasField(name) else None


def signed(value: int, datatype: int) -> int:
    """An integer as its type means it: protobuf holds negative ones in two's complement."""
    if datatype in SMALL_SIGNED and value >= 1 << 31:
        return value - (1 << 32 if value < 1 << 32 else 1 << 64)
    return value - (1 << 64) if datatype == INT64 and value >= 1 << 63 else value


def encode_payload(time: int, seq: int | None, metrics: Sequence[Metric]) -> bytes:
    """A message. Integers need a datatype; other numbers are Doubles, or Floats where the datatype says so."""
    made = _CLASSES["Payload"](timestamp=time)
    if seq is not None:
        made.seq = seq
    for metric in metrics:
        given = {"name": metric.name or None, "alias": metric.alias, "timestamp": metric.time}
        each = made.metrics.add(**{name: value for name, value in given.items() if value is not None})
        if metric.datatype:
            each.datatype = metric.datatype
        if metric.null:
            each.is_null = True
        elif isinstance(metric.value, bool):
            each.boolean_value = metric.value
        elif isinstance(metric.value, str):
            each.string_value = metric.value
        elif isinstance(metric.value, int) and metric.datatype in (*SMALL_SIGNED, 5, 6, 7):
            each.int_value = metric.value % (1 << 32)
        elif isinstance(metric.value, int) and metric.datatype:
            each.long_value = metric.value % (1 << 64)
        elif metric.value is not None and metric.datatype == FLOAT:
            each.float_value = metric.value
        elif metric.value is not None and not math.isnan(metric.value):
            each.double_value = metric.value
    return bytes(made.SerializeToString())


def encode_rebirth(time: int) -> bytes:
    """The command by which a host asks an edge node for all its birth certificates."""
    return encode_payload(
        time, None, [Metric("Node Control/Rebirth", None, None, BOOLEAN, value=True, null=False)]
    )
