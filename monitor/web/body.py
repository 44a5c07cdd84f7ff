"""The body of a request, as a whole and no longer than it may be."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

if TYPE_CHECKING:
    from starlette.requests import Request


async def whole_body(request: Request, most: int) -> bytes:
    """All of the body. Raises HTTPException where it is over `most` bytes, or breaks off."""
    if int(request.headers.get("content-length", 0)) > most:  # the parser has seen that it is a number
        raise _too_long(most)
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > most:
                raise _too_long(most)
    except ClientDisconnect:  # or it took too long (`bounded`). Nobody hears it; a mistake of ours it is not
        raise HTTPException(HTTPStatus.BAD_REQUEST, "the body broke off") from None
    return bytes(body)


def _too_long(most: int) -> HTTPException:
    return HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"over {most} bytes")
