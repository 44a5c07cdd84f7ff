"""uvicorn's HTTP/1.1 protocol with what it lacks: time limits on requests that trickle in, and a bounded crowd.

uvicorn bounds how long a connection idles, but a head or a body may arrive a byte a minute; and what is no HTTP it
answers in words of its own, which fails where an answer was sent before.
Here a connection has so long to bring a whole request, and so long to be answered; an answer without an end has so
long for each of its pieces, which is told by `scope["state"]["goes_on"]()`. Where as many connections
are open as may be, the one that has been bringing its request for longest gives way to a new one, so that somebody
who opens many and says nothing cannot keep others out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import h11
import msgspec
from uvicorn.protocols.http.h11_impl import H11Protocol

from monitor.web.rules import HEADERS

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator

REQUEST_S = 10.0  # for a whole request, head and body, to arrive
ANSWER_S = 60.0  # for it to be answered and read; a command waits for the line for ten
CONNECTIONS = 64


class BoundedProtocol(H11Protocol):
    """One connection."""

    crowd: ClassVar[dict[BoundedProtocol, None]] = {}  # those that are bringing a request, oldest first

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._limit: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take it, or another's place, or refuse it where everybody else is being answered."""
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS:
            oldest = next(self._waiting(), None)
            (oldest or self).hang_up()
        self._await_request()

    def data_received(self, data: bytes) -> None:
        """Time goes on until the request is whole."""
        super().data_received(data)
        if (
            self.cycle is not None
            and not self.cycle.response_complete
            and self.conn.their_state is not h11.SEND_BODY
        ):
            self.crowd.pop(self, None)
            self._set_limit(ANSWER_S)

    def handle_events(self) -> None:
        """Whoever answers a request can say that the answer goes on."""
        super().handle_events()
        if self.scope is not None:
            self.scope["state"]["goes_on"] = self.goes_on

    def goes_on(self) -> None:
        """A piece of an answer was read: there is as long again for the next one."""
        self._set_limit(ANSWER_S)

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, with the headers of every answer; where one was sent before, only hang up."""
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            body = msgspec.json.encode({"error": msg}) + b"\n"
            headers = [
                *self.server_state.default_headers,
                *((name.encode(), value.encode()) for name, value in HEADERS),
                (b"content-type", b"application/json"),
                (b"content-length", b"%d" % len(body)),
                (b"connection", b"close"),
            ]
            head = h11.Response(status_code=400, headers=headers, reason=b"Bad Request")
            for event in (head, h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def on_response_complete(self) -> None:
        """The next request may come."""
        super().on_response_complete()
        if not self.transport.is_closing():
            self._await_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        if self._limit is not None:
            self._limit.cancel()
        self.crowd.pop(self, None)
        super().connection_lost(exc)

    def hang_up(self) -> None:
        """End the connection without a word, and without waiting for the other side to read."""
        self.crowd.pop(self, None)
        self.transport.abort()

    def _waiting(self) -> Iterator[BoundedProtocol]:
        return (each for each in self.crowd if each in self.connections)

    def _await_request(self) -> None:
        self.crowd[self] = None
        self._set_limit(REQUEST_S)

    def _set_limit(self, seconds: float) -> None:
        if self._limit is not None:
            self._limit.cancel()
        self._limit = self.loop.call_later(seconds, self.hang_up)
