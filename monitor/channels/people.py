"""The way to people: mail, chat, SMS and what else apprise knows. Its addresses are secrets and never told."""

from __future__ import annotations

import logging
import re
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from monitor.channels.masked import is_host, masked
from monitor.channels.message import Message, message, test_message
from monitor.channels.way import Undelivered

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitor.channels.memory import Telling

LONGEST_REASON = 300


class People:
    """A `Way`. The library is imported by the first message, which takes a moment."""

    def __init__(self, section: str, url: str, name: str, page: str, timeout_s: float) -> None:
        self._section = section
        self._url = url
        self._name = name
        self._page = page
        self._timeout_s = timeout_s
        self._service: Any = None

    def tell(self, telling: Telling) -> None:
        """Send one message."""
        self._send(message(telling, self._page))

    def test(self) -> str:
        """Send one that is marked as a test."""
        self._send(test_message(self._name, self._page))
        return f"taken by {self._service.service_name}"

    def reach(self) -> str:
        """Whether the host can be reached, where the address names one: more cannot be known without sending."""
        service = self._made()
        host = getattr(service, "smtp_host", None) or service.host
        if not isinstance(host, str) or not is_host(host):
            return f"the address is good for {service.service_name}; whether it works, only a message can tell"
        port = service.port or (443 if service.secure else 80)
        try:
            socket.create_connection((host, port), self._timeout_s).close()
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise Undelivered(f"{self._section}: port {port} of its host cannot be reached ({reason})") from error
        return f"{service.service_name} can be reached; whether it delivers, only a message can tell"

    def close(self) -> None:
        """Nothing stays open."""

    def _send(self, words: Message) -> None:
        service = self._made()
        from apprise import NotifyFormat, NotifyType  # noqa: PLC0415 - loaded only where people are told

        kind = NotifyType.SUCCESS if words.over else NotifyType.FAILURE if words.grave else NotifyType.WARNING
        who = f"{self._section}: {service.service_name}"
        with _listening() as said:
            try:
                taken = service.notify(
                    body=words.text, title=words.subject, notify_type=kind, body_format=NotifyFormat.TEXT
                )
            except Exception as error:  # a plugin's own mistake, or one of a library below it
                raise Undelivered(f"{who} failed ({type(error).__name__})") from error
        if not taken:
            raise Undelivered(f"{who} did not take the message{_reason(said, self._url)}: see its url")

    def _made(self) -> Any:
        if self._service is None:
            self._service = service_of(self._section, self._url)
        return self._service


def service_of(section: str, url: str) -> Any:
    """What apprise makes of an address. Raises Undelivered where it makes nothing of it."""
    try:
        import apprise  # noqa: PLC0415 - as above
    except ImportError:
        raise Undelivered(f"{section}: people need the extra: pip install 'enginewatch[people]'") from None
    asset = apprise.AppriseAsset(app_id="Enginewatch", app_desc="Enginewatch", secure_logging=True)
    with _listening() as said:
        service = apprise.Apprise.instantiate(url, asset=asset, suppress_exceptions=True)
    if service is None:
        raise Undelivered(f"{section}: apprise does not understand this address{_reason(said, url)}: see its url")
    return service


@contextmanager
def _listening() -> Iterator[list[str]]:
    """What the library says goes wrong: it says it in its log alone, where it would tell addresses."""
    logger = logging.getLogger("apprise")
    logger.propagate = False
    heard = _Listener()
    logger.addHandler(heard)
    try:
        yield heard.said
    finally:
        logger.removeHandler(heard)


class _Listener(logging.Handler):
    """Keeps what is said on this thread."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        if record.thread == self._thread:
            self.said.append(record.getMessage())


def _reason(said: list[str], url: str) -> str:
    """The first of what was said, in brackets and without what must not be told."""
    if not said:
        return ""
    # The library shortens addresses, which leaves pieces of pieces.
    words = re.sub(r"\S+://\S+", "it", masked(" ".join(said[0].split()), url))[:LONGEST_REASON].strip(" :")
    return f" ({words})" if words else ""
