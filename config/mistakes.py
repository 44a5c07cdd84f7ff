"""What is wrong with settings, one line each: where it stands, which key, what is wrong, what is allowed.

No line ever holds the value of a secret.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from config.schema import allowed, is_secret, pattern, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from pydantic import ValidationError
    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

LONGEST_VALUE = 60


class SettingsError(ValueError):
    """The settings or a file they name are wrong: the user mends them, a retry is of no use."""

    def __init__(self, lines: Iterable[str]) -> None:
        """`lines` are whole sentences for the user, one a mistake; they are put in the order of the files."""
        self.lines = sorted(dict.fromkeys(lines), key=_place)
        super().__init__("\n".join(self.lines))


def nearest(key: str, known: Sequence[str]) -> str:
    """The known key that was probably meant by an unknown one, or an empty text.

    A slip in the key beside its neighbours comes first, then the same name in another section.

    >>> nearest("mqtt.hosst", ["mqtt.host", "mqtt.port", "influx.org"])
    'mqtt.host'
    >>> nearest("mqtt.prot", ["mqtt.port", "mqtt.root"])
    'mqtt.port'
    >>> nearest("daemon.stride", ["daemon.id", "window.stride"])
    'window.stride'
    """
    section, _, name = key.rpartition(".")
    beside = {
        known_key.rpartition(".")[2]: known_key for known_key in known if known_key.rpartition(".")[0] == section
    }
    close = get_close_matches(name, beside)
    if close:  # of the close ones rather that with two letters swapped
        return beside[max(close, key=lambda word: sorted(word) == sorted(name))]
    same = [known_key for known_key in known if known_key.rpartition(".")[2] == name]
    close = get_close_matches(key, same, n=1, cutoff=0.0) or get_close_matches(key, known, n=1, cutoff=0.75)
    return close[0] if close else ""


def unknown(key: str, known: Sequence[str], written: Callable[[str], str] = str) -> str:
    """The sentence about a key that does not exist, with the one probably meant, as `written` at its source."""
    numbers = iter([part for part in key.split(".") if part.isdigit()])
    meant = nearest(pattern(key), known).split(".")
    numbered = ".".join(next(numbers, "0") if part == "*" else part for part in meant)
    return f"unknown key; did you mean {written(numbered)}?" if numbered else "unknown key"


def sentences(
    error: ValidationError, keys: dict[str, FieldInfo], given: Callable[[str], bool]
) -> Iterator[tuple[str, str]]:
    """The key and the sentence of every mistake that pydantic found.

    `given` says whether a source gave a key: of several keys that do not go together, such a one is blamed. Where
    items of a list are wrong nothing is said of the list: pydantic counts only those that are right.
    """
    told: set[str] = set()
    for detail in error.errors(include_url=False):
        path = [str(part) for part in detail["loc"]]
        if detail["type"] == "mistakes":
            for mistake in detail["ctx"]["mistakes"]:
                named = [".".join([*path, key]) for key in mistake.keys]
                blamed = next((key for key in named if given(key)), named[0])
                told.add(blamed)
                yield blamed, mistake.sentence if blamed == named[0] else f"{mistake.keys[0]}: {mistake.sentence}"
        else:
            while (
                pattern(".".join(path)) not in keys and len(path) > 1
            ):  # an item of a list: the key is the list's
                path.pop()
            key = ".".join(path)
            if key not in told and not any(earlier.startswith(f"{key}.") for earlier in told):
                yield key, _sentence(detail, keys.get(pattern(key)))
            told.add(key)


def _sentence(detail: ErrorDetails, field: FieldInfo | None) -> str:
    """What is wrong with a value, and what is allowed; the value of a secret is not told."""
    if detail["type"] == "missing" or field is None:
        return "must be given"
    if detail["type"] == "too_short":
        return "must not be empty"
    if detail["type"] == "value_error":
        return str(detail["ctx"]["error"])
    value: Any = detail["input"]
    must = allowed(field)
    quotes = " in quotes" if must in {"text", "a path"} and not isinstance(value, str) else ""
    if is_secret(field):
        return f"must be {must}{quotes}"
    text = shown(value)
    text = text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"
    return f"must be {must}{quotes}, not {text}"


def _place(line: str) -> tuple[str, int]:
    """File and line of a mistake; those from elsewhere come first, in their order."""
    place = re.match(r"(.*?):(\d+): ", line)
    return (place[1], int(place[2])) if place else ("", 0)
