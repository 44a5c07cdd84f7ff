"""One value of a settings file changed in place: everything else, comments too, stays as it is. Pure."""

from __future__ import annotations

import re
import tomllib
from typing import Any

from config.lines import line_numbers

SECTION, KEY = "threshold", "floor"
NUMBER = re.compile(rf"(\b{KEY}\s*=\s*)[0-9.eE+_-]+")


def with_floor(text: str, number: int, floor: float) -> str:
    r"""The text of a settings file in which the class of that number has this floor of its own.

    Raises ValueError where the class is written in a way that only a person can change.

    >>> with_floor('[[classes]]\nname = "a"  # ours\n', 0, 1.3)
    '[[classes]]\nname = "a"  # ours\n\n[classes.threshold]\nfloor = 1.3\n'
    """
    given = line_numbers(text)
    lines = text.split("\n")
    section = f"classes.{number}.{SECTION}"
    if (at := given.get(f"{section}.{KEY}")) is not None:
        lines[at - 1] = NUMBER.sub(rf"\g<1>{floor:g}", lines[at - 1], count=1)
    elif (at := given.get(section)) is not None:
        lines.insert(at, f"{KEY} = {floor:g}")
    elif (at := given.get(f"classes.{number}")) is not None:
        lines[_end(lines, at) : _end(lines, at)] = ["", f"[classes.{SECTION}]", f"{KEY} = {floor:g}"]
    made = "\n".join(lines)
    if not _is_only_change(text, made, number, floor):
        raise ValueError(
            f"the file gives class {number} in a way that is not changed here: write the floor yourself"
        )
    return made


def _end(lines: list[str], header: int) -> int:
    """Behind which line the keys of a table end whose header is line `header`, counted from 1."""
    end = header
    for index in range(header, len(lines)):
        line = lines[index].strip()
        if line.startswith("[") and _is_header(lines[index]):
            break
        if line and not line.startswith("#"):
            end = index + 1
    return end


def _is_header(line: str) -> bool:
    try:
        tomllib.loads(line)
    except tomllib.TOMLDecodeError:
        return False
    return True


def _is_only_change(before: str, after: str, number: int, floor: float) -> bool:
    try:
        wanted: dict[str, Any] = tomllib.loads(before)
        wanted["classes"][number].setdefault(SECTION, {})[KEY] = floor
        return wanted == tomllib.loads(after)
    except (tomllib.TOMLDecodeError, LookupError, TypeError, AttributeError):
        return False
