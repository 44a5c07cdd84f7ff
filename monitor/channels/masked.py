"""What others say of a failure, without what must not be told: they like to repeat an address or a token. Pure."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

LEAST_SECRET = 3  # characters of a piece of an address that are not told


def masked(text: str, url: str, *tokens: str, cut: bool = False) -> str:
    """A text without the pieces of an address and without tokens; a host's name may be told.

    `cut`: the text is broken off, so that the start of a piece may stand at its end; as much as that is left out.

    >>> masked("POST https://ntfy.example/engines failed for tok3n", "ntfys://tok3n@ntfy.example/engines")
    'POST https://ntfy.example/*** failed for ***'
    >>> masked("Cannot POST /s%C3%A9cret with b3arer", "http://hook.example/sécret", "b3arer")
    'Cannot POST /*** with ***'
    >>> masked("Cannot POST /hush and then /hus", "http://hook.example/hush", cut=True)
    'Cannot POST /*** and then '
    """
    pieces = sorted({form for each in (*_pieces(url), *tokens) for form in _forms(each)}, key=len, reverse=True)
    for piece in pieces:
        text = re.sub(re.escape(piece), "***", text, flags=re.IGNORECASE)
    return text[: -len(pieces[0])] if cut and pieces else text


def is_host(text: str) -> bool:
    """Whether it is a host's name: many services have a token in its place."""
    return "." in text or text == "localhost"


def _pieces(url: str) -> Iterator[str]:
    host = (urlsplit(url).hostname or "").lower()
    for piece in re.split(r"[/@:?&=,]+", url.partition("://")[2]):
        if not piece.isdecimal() and (piece.lower() != host or not is_host(host)):
            yield piece


def _forms(secret: str) -> Iterator[str]:
    """As it stands, and as servers repeat it."""
    plain = unquote(secret)
    for form in (secret, plain, quote(plain, safe=""), quote(plain), html.escape(plain)):
        if len(form) >= LEAST_SECRET:
            yield form
