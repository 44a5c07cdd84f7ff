"""The time of a reading in the forms that publishers use, as epoch milliseconds."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from monitor.payloads.words import kind, short

TimeFormat = Literal["s", "ms", "us", "ns", "rfc3339"]

# Between 1973 and the year 9999: a time in another unit than was agreed falls outside, or far into another year.
EARLIEST_MS = 100_000_000_000
LATEST_MS = 253_402_300_799_999

_WORDS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
_A_MILLISECOND = {"s": (1_000, 1), "ms": (1, 1), "us": (1, 1_000), "ns": (1, 1_000_000)}  # times, divided by
_DIGITS = re.compile(r"[+-]?[0-9]{1,40}")
_FRACTION = re.compile(r"[+-]?[0-9]{1,40}\.[0-9]{0,40}")
_RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})?"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def in_range(time: int) -> bool:
    """Whether a time can be one in epoch milliseconds."""
    return EARLIEST_MS <= time <= LATEST_MS


def read_time(value: Any, time_format: TimeFormat, name: str) -> int | str:
    """Epoch milliseconds; or the reason why not, which begins with `name`.

    Finer times are cut to the millisecond they lie in; a fraction is rounded, because it is not exact itself.
    """
    if value is None:
        return f"{name} is missing"
    if time_format == "rfc3339":
        return _rfc3339(value, name)
    number = _number(value)
    if number is None:
        return f"{name} is {_given(value)}, expected epoch {_WORDS[time_format]}"
    times, divided = _A_MILLISECOND[time_format]
    if isinstance(number, int):
        time = number * times // divided
    elif math.isfinite(number) and math.isfinite(scaled := number * times / divided):
        time = round(scaled)
    else:
        time = -1
    if not in_range(time):
        return f"{name} {short(value)} is not in epoch {_WORDS[time_format]}"
    return time


def _number(value: Any) -> int | float | None:
    """An integer where the value is a whole number, else a fraction; None where it is no number."""
    if isinstance(value, str):
        text = value.strip()
        if _DIGITS.fullmatch(text):
            return int(text)
        return float(text) if _FRACTION.fullmatch(text) else None
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _rfc3339(value: Any, name: str) -> int | str:
    if not isinstance(value, str):
        return f"{name} is {kind(value)}, expected RFC 3339"
    text = value.strip()
    found = _RFC3339.fullmatch(text)
    if found is None:
        return f'{name} "{short(value)}" is not RFC 3339'
    if found[2] is None:
        return f'{name} "{short(value)}" has no offset from UTC, such as Z'
    try:
        time = (datetime.fromisoformat(text.upper()) - _EPOCH) // timedelta(milliseconds=1)
    except (ValueError, OverflowError):
        return f'{name} "{short(value)}" is no date and time'
    return time if in_range(time) else f'{name} "{short(value)}" is not between 1973 and 9999'


def _given(value: Any) -> str:
    return f'"{short(value)}"' if isinstance(value, str) else kind(value)
