"""Schedules of faults: written by hand as lines or TOML, or drawn at random. Pure.

A line reads

    ENGINE KIND [SEVERITY] [on SENSOR] at TIME [for TIME] [sudden | ramped TIME | intermittent]

for example `engine-03 misfire severe at 60s for 5m ramped 30s` or `engine-01 stuck on map at 2m`. A severity is
mild, moderate (the default), severe, or a number of the kind's unit; a time is a number with ms, s, m, h or d.
In TOML the same words are the keys of `[[faults]]`: engine, kind, severity, sensor, at, for, onset and ramp.
Every mistake is one sentence with its place, what is wrong and the remedy.
"""

from __future__ import annotations

import math
import re
import tomllib
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import numpy as np

from simulator.fault_kinds import FAULTS, LEVELS
from simulator.faults import Fault, mistake
from simulator.records import SENSORS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

UNITS_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
KEYS = ("engine", "kind", "severity", "sensor", "at", "for", "onset", "ramp")
SYNTAX = "ENGINE KIND [SEVERITY] [on SENSOR] at TIME [for TIME] [sudden | ramped TIME | intermittent]"
SHORTEST_MS, LONGEST_MS = 120_000, 1_200_000  # of faults drawn at random
MOST_AN_HOUR = 60  # more would hardly find a part of the engine that is still sound
SHOWN = 6  # names in a message


class ScheduleError(ValueError):
    """The schedule is wrong: one sentence for the user, with the place and the remedy."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A fault and where it was written."""

    place: str
    fault: Fault


def milliseconds(text: str) -> int:
    """A time such as `90s`, `1.5h` or `500ms`; a bare number is seconds. Raises ScheduleError.

    >>> milliseconds("1.5h"), milliseconds("250ms"), milliseconds("3")
    (5400000, 250, 3000)
    """
    found = re.fullmatch(r"(-?\d+(?:\.\d+)?)(ms|s|m|h|d|)", text.strip())
    if found is None:
        raise ScheduleError(f"{text!r} is not a time: write a number with ms, s, m, h or d, such as 90s")
    return round(float(found[1]) * UNITS_MS[found[2] or "s"])


def written(time_ms: int) -> str:
    """A time as `milliseconds` reads it, in the largest unit that has no fraction.

    >>> written(90_000), written(7_200_000), written(0)
    ('90s', '2h', '0s')
    """
    unit = next(unit for unit in ("d", "h", "m", "s", "ms") if time_ms % UNITS_MS[unit] == 0)
    return f"{time_ms // UNITS_MS[unit]}{unit}" if time_ms else "0s"


def from_line(line: str, place: str, assets: Sequence[str]) -> Entry:
    """Read one line; `place` is where it stands. Raises ScheduleError."""
    words = line.split()
    if len(words) < 2:  # noqa: PLR2004 - an engine and a kind
        raise ScheduleError(f"{place}: a fault is written {SYNTAX}")
    given: dict[str, Any] = {"engine": words[0], "kind": words[1]}
    clauses = {"on": "sensor", "at": "at", "for": "for", "ramped": "ramp"}
    rest = iter(words[2:])
    for word in rest:
        if word in clauses:
            key, value = clauses[word], next(rest, None)
            if value is None:
                raise ScheduleError(f"{place}: nothing follows {word!r}: a fault is written {SYNTAX}")
        elif word in {"sudden", "intermittent"}:
            key, value = "onset", word
        elif len(given) == 2:  # noqa: PLR2004 - the severity follows the kind
            key, value = "severity", word
        else:
            raise ScheduleError(f"{place}: {word!r} is not understood: a fault is written {SYNTAX}")
        if key in given or (key in {"onset", "ramp"} and given.keys() & {"onset", "ramp"}):
            raise ScheduleError(f"{place}: {word!r} comes where its word was said already: leave one out")
        given[key] = value
    return from_table(given, place, assets)


def as_line(fault: Fault, assets: Sequence[str]) -> str:
    """The line that `from_line` reads as this fault."""
    severity = fault.severity if isinstance(fault.severity, str) else repr(float(fault.severity))
    words = [assets[fault.engine], fault.kind, severity]
    words += ["on", fault.sensor] if fault.sensor else []
    words += ["at", written(fault.start_ms)]
    words += ["for", written(fault.duration_ms)] if fault.duration_ms is not None else []
    words += ["ramped", written(fault.ramp_ms)] if fault.onset == "ramped" else []
    words += ["intermittent"] if fault.onset == "intermittent" else []
    return " ".join(words)


def from_toml(text: str, name: str, assets: Sequence[str]) -> list[Entry]:
    """Read the text of a TOML file; `name` is the file's. Raises ScheduleError."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ScheduleError(f"{name}: {error}") from error
    tables = document.get("faults", [])
    others = sorted(document.keys() - {"faults"})
    if others or not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        wrong = others[0] if others else "faults"
        raise ScheduleError(f"{name}: {wrong!r} cannot stand here: a schedule has tables [[faults]] and no more")
    return [from_table(table, f"{name}, fault {number}", assets) for number, table in enumerate(tables, 1)]


def from_table(given: Mapping[str, Any], place: str, assets: Sequence[str]) -> Entry:
    """Read the keys of one fault. Raises ScheduleError."""
    for key in given:
        if key not in KEYS:
            raise ScheduleError(f"{place}: there is no {key!r}{_meant(key, KEYS)}")
    for key in ("engine", "kind", "at"):
        if key not in given:
            raise ScheduleError(f"{place}: {key!r} must be given")
    engine = _known("engine", given["engine"], assets, place)
    kind = _known("fault", given["kind"], tuple(FAULTS), place)
    sensor = given.get("sensor", "")
    if sensor:
        _known("sensor", sensor, tuple(SENSORS), place)
    ramp_ms = _time(given, "ramp", place) or 0
    onset = given.get("onset", "ramped" if "ramp" in given else "sudden")
    _known("onset", onset, ("sudden", "ramped", "intermittent"), place)
    fault = Fault(
        engine=assets.index(engine),
        kind=kind,
        severity=_severity(given.get("severity", "moderate"), kind, place),
        start_ms=_time(given, "at", place) or 0,
        duration_ms=_time(given, "for", place),
        onset=onset,
        sensor=sensor,
        ramp_ms=ramp_ms,
    )
    wrong = mistake(fault)
    if wrong:
        raise ScheduleError(f"{place}: {wrong}")
    return Entry(place, fault)


def checked(entries: Sequence[Entry], end_ms: float) -> list[Fault]:
    """The faults of a schedule; raises ScheduleError where one begins after the end, or two act on one part."""
    for number, entry in enumerate(entries):
        if entry.fault.start_ms >= end_ms:
            start, end = written(entry.fault.start_ms), written(int(end_ms))
            raise ScheduleError(f"{entry.place}: it begins at {start}, after the end at {end}: let it run longer")
        for other in entries[:number]:
            if entry.fault.overlaps(other.fault):
                raise ScheduleError(
                    f"{entry.place}: {entry.fault.kind} overlaps {other.fault.kind} ({other.place}) on the same "
                    "part of the same engine: end one before the other begins"
                )
    return [entry.fault for entry in entries]


def draw_faults(rate: float, engines: int, end_ms: int, seed: int, beside: Sequence[Fault] = ()) -> list[Fault]:
    """Draw faults at random: `rate` is their mean number per engine and hour (a Poisson process).

    Every kind, sensor, severity and onset is as likely as any other; one lasts 2 to 20 minutes. Another engine
    leaves the faults of the others as they are, and none overlaps those in `beside`. Raises ScheduleError for a
    rate that cannot be.
    """
    if not 0 <= rate <= MOST_AN_HOUR:
        raise ScheduleError(f"{rate:g} faults per engine and hour cannot be: give 0 to {MOST_AN_HOUR}")
    found: list[Fault] = []
    for engine in range(engines):
        random = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(engine,)))
        own = [fault for fault in beside if fault.engine == engine]
        there = len(own)
        start_ms = 0.0
        while rate and (start_ms := start_ms + random.exponential(UNITS_MS["h"] / rate)) < end_ms:
            fault = _drawn(engine, int(start_ms), random)
            near = [other for other in own if other.end_ms > start_ms]
            while mistake(fault) or any(fault.overlaps(other) for other in near):
                fault = _drawn(engine, int(start_ms), random)
            own.append(fault)
        found += own[there:]
    return found


def _drawn(engine: int, start_ms: int, random: np.random.Generator) -> Fault:
    kind = FAULTS[str(random.choice(list(FAULTS)))]
    onset = str(random.choice(kind.onsets))
    duration_ms = int(random.integers(SHORTEST_MS, LONGEST_MS, endpoint=True))
    return Fault(
        engine=engine,
        kind=kind.name,
        severity=str(random.choice(LEVELS)),
        start_ms=start_ms,
        duration_ms=duration_ms,
        onset=onset,
        sensor=str(random.choice(list(SENSORS))) if kind.on_sensor else "",
        ramp_ms=duration_ms // 3 if onset == "ramped" else 0,
    )


def _severity(given: Any, kind: str, place: str) -> float | str:
    if isinstance(given, str) and given in LEVELS:
        return given
    try:
        number = float(given)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number) or isinstance(given, bool):
        meant = _meant(str(given), LEVELS) or f"; take {', '.join(LEVELS)}"
        raise ScheduleError(f"{place}: {given!r} is no severity{meant} or a number ({FAULTS[kind].unit})")
    return number


def _time(given: Mapping[str, Any], key: str, place: str) -> int | None:
    if key not in given:
        return None
    value = given[key]
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ScheduleError(f'{place}: {key!r} must be a time such as "90s"')
    try:
        return milliseconds(str(value))
    except ScheduleError as error:
        raise ScheduleError(f"{place}: {error}") from None


def _known(what: str, name: Any, known: Sequence[str], place: str) -> str:
    if not isinstance(name, str) or name not in known:
        raise ScheduleError(f"{place}: there is no {what} {name!r}{_meant(str(name), known) or _some(known)}")
    return name


def _meant(name: str, known: Sequence[str]) -> str:
    close = get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _some(known: Sequence[str]) -> str:
    shown = ", ".join(known[:SHOWN])
    return f"; there are {shown}, … {known[-1]}" if len(known) > SHOWN else f"; there are {shown}"
