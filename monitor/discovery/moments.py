"""Which field of a payload is its time, and how it is written: by plausibility, never by the host's clock."""

from __future__ import annotations

import datetime as dt
import math
import re
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Any

from monitor.discovery.names import TIMES, plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PER_MS = {"s": 1e-3, "ms": 1.0, "us": 1e3, "ns": 1e6}
# Event times lie between 1990 and 2100: these ranges of the four units do not meet.
FIRST_YEAR, LAST_YEAR = 1990, 2100
STAMP = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)?", re.ASCII)
DIGITS = re.compile(r"[0-9]{9,20}")
EARLIEST_MS, LATEST_MS = 631_152_000_000, 4_102_444_800_000
NEAR_MS = 3_600_000  # from the arrival
FAR_MS = 86_400_000
HALF_HOUR_MS = 1_800_000
FIRST = 8  # values by which a column is told at a glance
ALIKE = 0.95  # share of the values that must fit
NAMED = 3.0  # a name of a time weighs more than everything else about it


@dataclass(frozen=True, slots=True)
class Moment:
    """A field that holds the time."""

    path: str
    time_format: str
    reason: str
    doubt: str = ""  # what is to be asked about it


def format_of(value: Any) -> str | None:
    """How one value writes a time: "s", "ms", "us", "ns", "rfc3339", "local" (no zone), or None.

    Digits in a text are taken as the number that they are.

    >>> [format_of(value) for value in (1_790_000_000, 1_790_000_000_000.0, "2026-11-25T03:00:00Z", 21.5, "on")]
    ['s', 'ms', 'rfc3339', None, None]
    >>> format_of("2026-11-25 03:00:00"), format_of("1790000000")
    ('local', 's')
    """
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        number = _number(value)
        return next((unit for unit, per in PER_MS.items() if EARLIEST_MS <= number / per <= LATEST_MS), None)
    if isinstance(value, str):
        moment = _parsed(value)
        if moment is not None:
            return "rfc3339" if moment.tzinfo else "local"
        if DIGITS.fullmatch(value.strip()):
            return format_of(int(value))
    return None


def to_ms(value: Any, time_format: str) -> int | None:
    """Epoch ms of a value in a format; None where it does not fit."""
    if format_of(value) != time_format:
        return None
    if time_format in PER_MS:
        return round(_number(int(value) if isinstance(value, str) else value) / PER_MS[time_format])
    moment = _parsed(value)
    if moment is None:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    return round(moment.timestamp() * 1000)


def find(columns: Mapping[str, Sequence[Any]], arrivals: Sequence[int]) -> tuple[Moment | None, list[Moment]]:
    """The field that is the time, and the others that could be; `columns` are path -> value of each message.

    A missing value is None. A field without a name of a time counts only where its values are near the arrival.
    """
    found: list[tuple[float, Moment]] = []
    for path, values in columns.items():
        rated = _rate(path, values, arrivals)
        if rated is not None:
            found.append(rated)
    found.sort(key=lambda each: -each[0])
    moments = [moment for _, moment in found]
    return (moments[0], moments[1:]) if moments else (None, [])


def _rate(path: str, values: Sequence[Any], arrivals: Sequence[int]) -> tuple[float, Moment] | None:
    first = [value for value in values if value is not None][:FIRST]
    if not any(format_of(value) for value in first):
        return None  # at little cost, for almost every column is one of these
    formats = [(format_of(value), value, arrival) for value, arrival in zip(values, arrivals, strict=True)]
    present = [each for each in formats if each[1] is not None]
    if len(present) < ALIKE * len(values) or not present:
        return None
    kinds = {kind for kind, _, _ in present if kind}
    best = max(kinds, key=lambda kind: sum(each[0] == kind for each in present), default=None)
    if best is None or sum(each[0] == best for each in present) < ALIKE * len(present):
        return None
    times = [(to_ms(value, best), arrival) for kind, value, arrival in present if kind == best]
    pairs = [(time, arrival) for time, arrival in times if time is not None]
    if not pairs:
        return None
    last = plain(path.rpartition(".")[2])
    named = last in TIMES or any(
        part in {"time", "timestamp", "datetime", "ts", "date"} for part in last.split("_")
    )
    ahead = median(time - arrival for time, arrival in pairs)
    near = abs(ahead) <= NEAR_MS
    text = best in {"rfc3339", "local"}
    if not named and not near and not text:
        return None
    grows = all(one[0] <= two[0] for one, two in pairwise(pairs))
    moves = len(pairs) < 2 or len({time for time, _ in pairs}) > 1  # noqa: PLR2004 - one value cannot move
    rank = (len(TIMES) - TIMES.index(last)) / len(TIMES) if last in TIMES else 0.0
    score = NAMED * named + rank + 2.0 * near + grows + (0.0 if moves else -4.0)
    why = ["its name is that of a time"] if named else []
    why += ["it is near the arrival"] if near else []
    why += ["it grows"] if grows and len(pairs) > 1 else []
    shown = {"local": "a text without a zone", "rfc3339": "RFC 3339"}.get(best, f"epoch {best}")
    reason = f"{path or 'the payload'} as {shown}: {', '.join(why) or 'it reads as a time'}"
    return score, Moment(path, best, reason, _doubt(path, best, ahead, values))


def _doubt(path: str, best: str, ahead: float, values: Sequence[Any]) -> str:
    example = next(value for value in values if value is not None)
    if best == "local":
        return (
            f"{path} ({example!r}) names no zone, so the arrival is the time; can it be sent with Z or an offset?"
        )
    halves = round(ahead / HALF_HOUR_MS)
    if halves and abs(halves) <= 28 and abs(ahead - halves * HALF_HOUR_MS) < 120_000:  # noqa: PLR2004 - zones
        return f"{path} is {halves / 2:+g} h off the arrival: is it local time? Then take the arrival"
    if abs(ahead) > FAR_MS:
        days = ahead / FAR_MS
        return f"{path} is {days:+.0f} days off the arrival: is the device's clock wrong, or is this a replay?"
    return ""


def _parsed(text: str) -> dt.datetime | None:
    if not STAMP.fullmatch(text.strip()):
        return None
    try:
        moment = dt.datetime.fromisoformat(text.strip().upper())
    except ValueError:
        return None
    return moment if FIRST_YEAR <= moment.year <= LAST_YEAR else None


def _number(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf
