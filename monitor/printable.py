"""Texts without what steers a terminal or forges a line: names and words come from outside. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable


def printable(text: str, keep: str = "") -> str:
    r"""The text, each character that does not print (controls, marks of direction) as Python writes it.

    `keep` are characters that stay, such as a line's end.

    >>> printable("pump\x1b[2J\n"), printable("größer\n", keep="\n")
    ('pump\\x1b[2J\\n', 'größer\n')
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each in keep else repr(each)[1:-1] for each in text)


def json_line(value: Any, enc_hook: Callable[[Any], Any] | None = None) -> str:
    r"""The value as JSON in one line that steers no terminal either: JSON itself lets more than letters through.

    >>> print(json_line({"why": "\x9b31m \u202e größer 😀 \U000e0001"}))
    {"why":"\u009b31m \u202e größer 😀 \udb40\udc01"}
    """
    text = msgspec.json.encode(value, enc_hook=enc_hook).decode()
    return text if text.isprintable() else "".join(each if each.isprintable() else _units(each) for each in text)


def _units(letter: str) -> str:
    """A letter as JSON writes it by its UTF-16 units."""
    units = letter.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
