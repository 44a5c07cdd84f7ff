"""What the readers of JSON share: a parser that never raises more than a sentence, and what is wrong in words."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec

_PARSE = msgspec.json.Decoder()


LONGEST_NAME = 200  # of an asset, and of each level of a topic before it


class NotJsonError(ValueError):
    """The payload cannot be parsed; the sentence says why."""


def parse(payload: bytes) -> Any:
    """A payload as JSON. Raises NotJsonError.

    NaN and Infinity pass, so that they spoil their value and not the message.
    """
    if not payload:
        raise NotJsonError("payload is empty")
    try:
        return _PARSE.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return parse_leniently(payload)


def parse_leniently(payload: bytes) -> Any:
    """The same by Python's own parser. Raises NotJsonError."""
    if not payload:
        raise NotJsonError("payload is empty")
    try:
        return json.loads(payload, parse_int=_integer)
    except (ValueError, RecursionError) as error:
        raise NotJsonError(f"not JSON: {short(str(error), 80)}") from error


def _integer(digits: str) -> float:
    """An integer, or infinity where it has more digits than Python takes."""
    try:
        return int(digits)
    except ValueError:
        return math.inf


def is_name(text: str) -> bool:
    r"""Whether an asset may be called so: a level of a topic, that prints, of a length that people read.

    What is called otherwise could not be alerted on its own topic, or would steer the terminal of who looks.

    >>> [is_name(text) for text in ("pump 7", "größe", "", "a/b", "a+", "#", "a\nb", "x" * 201)]
    [True, True, False, False, False, False, False, False]
    """
    return 0 < len(text) <= LONGEST_NAME and text.isprintable() and not set(text) & set("/+#")


def value_fault(value: Any) -> str:
    """Why a value is no measurement; empty where it is one, or is missing."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"expected a number, got {kind(value)}"
    try:
        number = float(value)
    except OverflowError:
        return "number is too large"
    return "" if math.isfinite(number) else f"{value} is not a number"


def kind(value: Any) -> str:
    """What a JSON value is, in words."""
    if value is None:
        return "null"
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", float: "a fraction"}
    return names.get(type(value), "a number")


def short(value: object, length: int = 40) -> str:
    """A value as text that fits a sentence."""
    text = str(value) if not isinstance(value, int) or value.bit_length() < 1_000 else "(huge)"  # noqa: PLR2004
    text = text.encode(errors="backslashreplace").decode()  # JSON may name half of a surrogate pair
    return text if len(text) <= length else text[:length] + "…"
