"""Texts without what steers a terminal or forges a line: names and words come from outside. Pure."""

from __future__ import annotations


def printable(text: str, keep: str = "") -> str:
    r"""The text, each character that does not print (controls, marks of direction) as Python writes it.

    `keep` are characters that stay, such as a line's end.

    >>> printable("pump\x1b[2J\n"), printable("größer\n", keep="\n")
    ('pump\\x1b[2J\\n', 'größer\n')
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each in keep else repr(each)[1:-1] for each in text)
