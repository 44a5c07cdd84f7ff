"""Which columns of a file are the sensors of a model, which one is the time, and which names the asset. Pure.

Names count as equal where only capitals, blanks and signs differ, and a unit in brackets behind a name is taken as
its unit. Whatever is not found so is told with the columns that it may be.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

TIMES = ("time", "timestamp", "ts", "datetime", "date_time", "time_ms", "date")
ASSETS = ("asset", "engine", "machine")
BRACKETED = re.compile(r"\s*[\[(]([^\[\]()]{1,20})[\])]\s*$")
SHOWN = 12  # names in a sentence
LIKE_SHOWN = 3

Conversion = tuple[float, float]  # value = published x scale + offset


class LabError(ValueError):
    """The file, or what was asked of it, cannot be used: one sentence for the user, with what to change."""


@dataclass(frozen=True, slots=True)
class Matched:
    """What the columns of a file are."""

    columns: dict[str, str]  # sensor -> column, in the model's order; sensors without a column are missing
    conversions: dict[str, Conversion]  # of the sensors whose column has another unit
    time: str | None
    asset: str | None
    notes: tuple[str, ...]  # what was taken for something else than its name, in sentences


def match(
    name: str,
    columns: Sequence[str],
    sensors: Sequence[tuple[str, str]],
    convert: Callable[[str, str], Conversion],
    *,
    time: str = "",
    allow_missing: bool = False,
) -> Matched:
    """Match the columns of the file `name` with sensors, each a name and a unit.

    `convert` says how one unit becomes another, and raises ValueError where it cannot. `time` is the time's column
    where the user says which. Raises LabError.
    """
    plain = {column: _plain(BRACKETED.sub("", column)) for column in columns}
    twice = Counter(plain.values())
    by_plain = {text: column for column, text in plain.items() if twice[text] == 1}
    if time and time not in plain:
        raise LabError(f"{name} has no column {time} for the time; it has {_some(columns)}")
    found: dict[str, str] = {}
    like: list[str] = []
    for sensor, _ in sensors:
        column = sensor if sensor in plain else by_plain.get(_plain(sensor))
        if column is None:
            continue
        found[sensor] = column
        if column != sensor:
            like.append(f"{column} as {sensor}")
    notes = [f"columns taken by likeness: {_some(like, LIKE_SHOWN)}"] if like else []
    times = [time] if time else [by_plain[each] for each in TIMES if each in by_plain]
    asset = next((by_plain[each] for each in ASSETS if each in by_plain), None)
    free = [column for column in columns if column not in {*found.values(), *times, asset}]
    _refuse_missing(name, sensors, found, free, allow_missing=allow_missing)
    return Matched(
        found,
        _conversions(name, sensors, found, convert, notes),
        next((each for each in times if each not in found.values()), None),
        asset if asset not in found.values() else None,
        tuple(notes),
    )


def _refuse_missing(
    name: str,
    sensors: Sequence[tuple[str, str]],
    found: dict[str, str],
    free: Sequence[str],
    *,
    allow_missing: bool,
) -> None:
    """Raises LabError where sensors are without a column, with the columns that they may be."""
    missing = [sensor for sensor, _ in sensors if sensor not in found]
    if not missing:
        return
    if not found:
        takes = _some([sensor for sensor, _ in sensors])
        raise LabError(f"{name} has no column of a sensor: the model takes {takes}; the file has {_some(free)}")
    if allow_missing:
        return
    plain = {_plain(BRACKETED.sub("", column)): column for column in free}
    close = ((sensor, get_close_matches(_plain(sensor), list(plain), n=1)) for sensor in missing)
    meant = [f"{plain[near[0]]} for {sensor}" for sensor, near in close if near]
    hint = f"; did you mean {', '.join(meant[:SHOWN])}?" if meant else "."
    remedy = "Rename or add the column, or score without the sensors that are missing"
    raise LabError(f"{name} has no column {_some(missing)}{hint} {remedy}")


def _conversions(
    name: str,
    sensors: Sequence[tuple[str, str]],
    found: dict[str, str],
    convert: Callable[[str, str], Conversion],
    notes: list[str],
) -> dict[str, Conversion]:
    """How columns with a unit of their own become the sensor's; adds to `notes`."""
    made = {}
    for sensor, unit in sensors:
        given = BRACKETED.search(found.get(sensor, ""))
        if given is None or not unit or given[1].strip() == unit:
            continue
        try:
            scale, offset = convert(given[1].strip(), unit)
        except ValueError as error:
            column = found[sensor]
            remedy = f"take the unit out of its name where the values are in {unit} already"
            raise LabError(f"{name}, column {column}: {error}; {remedy}") from error
        made[sensor] = scale, offset
        notes.append(f"{sensor} is converted from {given[1].strip()} to {unit}")
    return made


def _plain(name: str) -> str:
    """A name as far as it counts.

    >>> _plain("Engine Speed "), _plain("engine-speed")
    ('engine_speed', 'engine_speed')
    """
    return re.sub(r"[\W_]+", "_", name.strip().lower()).strip("_")


def _some(names: Sequence[str], most: int = SHOWN) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(names[:most]) or "none") + more
