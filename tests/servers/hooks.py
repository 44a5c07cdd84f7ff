"""Servers that take messages: a webhook over HTTP, and mail over SMTP."""

from __future__ import annotations

import contextlib
import email
import json
import ssl
import threading
import time
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from tests.servers import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from email.message import EmailMessage

    from tests.servers.brokers import Certificates


class Hook:
    """A webhook that keeps what it is sent; what it answers can be changed."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/hook"
        self.requests: list[tuple[dict[str, str], dict[str, Any]]] = []  # headers by lower-case name, and the body
        self.status = 200
        self.retry_after = ""  # what it asks for where it does not take a message
        self.refused = "nothing"  # messages with this in them are answered by 400
        self.breaks_off = False  # it takes what it is sent, and closes the connection

    def wait(self, count: int, limit_s: float = 15.0) -> list[tuple[dict[str, str], dict[str, Any]]]:
        """What was sent, once there is so much of it."""
        end = time.monotonic() + limit_s
        while len(self.requests) < count:
            assert time.monotonic() < end, self.requests
            time.sleep(0.01)
        return self.requests


@contextlib.contextmanager
def hook(certificates: Certificates | None = None) -> Iterator[Hook]:
    """A webhook that listens, over TLS where it has a certificate."""
    made = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            made.requests.append(({name.lower(): value for name, value in self.headers.items()}, body))
            if made.breaks_off:
                self.close_connection = True
                return
            self.send_response(400 if made.refused in str(body) else made.status)
            if made.retry_after:
                self.send_header("Retry-After", made.retry_after)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", made.port), Handler) as server:
        if certificates is not None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(certificates.cert_file, certificates.key_file)
            server.socket = context.wrap_socket(server.socket, server_side=True)
            made.url = made.url.replace("http://127.0.0.1", "https://localhost")
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()


class Mailbox:
    """A mail server that keeps what it is sent."""

    def __init__(self) -> None:
        self.port = free_port()
        self.mails: list[EmailMessage] = []
        self.refusing = False
        self.unknown: set[str] = set()  # recipients that are refused
        self.taken: list[list[str]] = []  # the recipients of each mail

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:  # noqa: N802 - as the library calls it
        """Take a recipient, or refuse it."""
        if address in self.unknown:
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - as the library calls it
        """Take a mail, or refuse it."""
        if self.refusing:
            return "554 not today"
        self.taken.append(list(envelope.rcpt_tos))
        self.mails.append(email.message_from_bytes(envelope.content, policy=default))
        return "250 taken"

    def wait(self, condition: Callable[[list[EmailMessage]], bool], limit_s: float = 15.0) -> list[EmailMessage]:
        """The mails, once they are as they should be."""
        end = time.monotonic() + limit_s
        while not condition(self.mails):
            assert time.monotonic() < end, self.mails
            time.sleep(0.01)
        return self.mails


@contextlib.contextmanager
def mailbox() -> Iterator[Mailbox]:
    """A real SMTP server on a loopback port."""
    from aiosmtpd.controller import Controller  # noqa: PLC0415 - only where mails are sent

    made = Mailbox()
    controller = Controller(made, hostname="127.0.0.1", port=made.port)
    controller.start()
    try:
        yield made
    finally:
        controller.stop()
