"""The way to people: mail, chat, SMS and what else apprise knows. Its addresses are secrets and never told.

An address may name several recipients, and a service says of all of them together whether they took a message. So
each is sent its own: nobody gets it again because another one did not.
"""

from __future__ import annotations

import copy
import logging
import re
import socket
import threading
import time
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from monitor.channels.masked import is_host, masked
from monitor.channels.message import Message, message, test_message
from monitor.channels.patience import Patience
from monitor.channels.shorten import shortened, subject_alone
from monitor.channels.way import Undelivered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from monitor.channels.memory import Telling

LONGEST_REASON = 300
STEPS = 4  # a message may take so often the wait for an answer: a mail takes several of them
OFTEN = 5  # after so many refusals in a row a message is tried by its subject alone as well
MOST_OWED = 20  # messages that are kept for one recipient while others have them; older ones give way
RECIPIENTS = ("targets", "topics", "channels")  # what the library's services call a list of them


@dataclass
class Recipient:
    """One of an address, as a service of its own."""

    service: Any
    owed: deque[Message] = field(default_factory=lambda: deque(maxlen=MOST_OWED))


class People:
    """A `Way`. The library is imported by the first message, which takes a moment."""

    def __init__(self, section: str, url: str, name: str, page: str, timeout_s: float) -> None:
        self._section = section
        self._url = url
        self._name = name
        self._page = page
        self._timeout_s = timeout_s
        self._patience = Patience(section)
        self._recipients: list[Recipient] = []
        self._refusals: dict[tuple[str, ...], int] = {}  # groups whose message nobody takes -> how often

    def tell(self, telling: Telling) -> None:
        """Send one message."""
        refusals = self._refusals.pop(telling.groups, 0)
        try:
            self._send(message(telling, self._page), briefly=refusals >= OFTEN)
        except Undelivered as trouble:
            if not trouble.partly:
                self._refusals[telling.groups] = refusals + 1
            raise

    def again(self) -> None:
        """Send each recipient what others have, until one message is not taken."""
        found = self._made()

        def send(said: list[str], end: float) -> None:
            for each in found:
                while each.owed and time.monotonic() < end and self._sent(each, each.owed[0], said):
                    each.owed.popleft()

        said = self._in_time(send)
        left = [number for number, each in enumerate(found, 1) if each.owed]
        if left:
            raise self._refused(left, said, partly=True)

    def test(self) -> str:
        """Send one that is marked as a test."""
        self._send(test_message(self._name, self._page))
        return f"taken by {self._made()[0].service.service_name}"

    def reach(self) -> str:
        """Whether the host can be reached, where the address names one: more cannot be known without sending."""
        service = self._made()[0].service
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

    def _send(self, words: Message, *, briefly: bool = False) -> None:
        """To every recipient; `briefly`: what one does not take is tried by its subject alone as well."""
        found = self._made()
        left = set(range(len(found)))

        def send(said: list[str], end: float) -> None:
            for number, each in enumerate(found):
                if time.monotonic() < end and (
                    self._sent(each, words, said) or (briefly and self._sent(each, subject_alone(words), said))
                ):
                    left.discard(number)

        said = self._in_time(send)
        missing = sorted(left)  # a conversation that was given up may go on
        if not missing:
            return
        if len(missing) == len(found):
            raise self._refused([], said)
        for number in missing:
            found[number].owed.append(words)
        raise self._refused([number + 1 for number in missing], said, partly=True)

    def _in_time(self, send: Callable[[list[str], float], None]) -> list[str] | None:
        """What went wrong, in the library's words; None where it took too long."""
        longest_s = STEPS * self._timeout_s + self._made()[0].service.request_rate_per_sec
        end = time.monotonic() + longest_s

        def all_of_it() -> list[str]:
            with _listening() as said:
                send(said, end)
            return said

        try:
            return self._patience.wait(all_of_it, longest_s)
        except TimeoutError:
            return None

    def _sent(self, to: Recipient, words: Message, said: list[str]) -> bool:
        """Whether one recipient took it."""
        from apprise import NotifyFormat, NotifyType, OverflowMode  # noqa: PLC0415 - loaded only where people are told

        service = to.service
        kind = NotifyType.SUCCESS if words.over else NotifyType.FAILURE if words.grave else NotifyType.WARNING
        overflow = service.overflow_mode
        if overflow == OverflowMode.UPSTREAM:  # nothing else is asked for by the address
            overflow = OverflowMode.TRUNCATE  # what is written for HTML is longer than it was
            words = shortened(words, service.body_maxlen, service.title_maxlen)
        subject, text = (words.subject, words.text) if words.text.strip() else ("", words.subject)
        try:
            taken = service.notify(
                body=text, title=subject, notify_type=kind, body_format=NotifyFormat.TEXT, overflow=overflow
            )
        except Exception as error:  # noqa: BLE001 - a plugin's own mistake, or one of a library below it
            said.append(f"failed by itself: {type(error).__name__}")
            return False
        return bool(taken)

    def _refused(self, recipients: list[int], said: list[str] | None, *, partly: bool = False) -> Undelivered:
        who = f"{self._section}: {self._made()[0].service.service_name}"
        named = ", ".join(map(str, recipients))
        whom = f" for recipient {named} of {len(self._made())}" if recipients else ""
        if said is None:
            limit = f"{STEPS * self._timeout_s:g} s"
            return Undelivered(f"{who} did not take the message{whom} within {limit}: see its url", partly=partly)
        reason = _reason(said, self._url)
        sentence = f"{who} did not take the message{whom}{reason}: see its url"
        return Undelivered(sentence, alone=True, partly=partly)

    def _made(self) -> list[Recipient]:
        if not self._recipients:
            service = service_of(self._section, self._url)
            own = type(service)
            if service.socket_connect_timeout == own.socket_connect_timeout:  # the address does not say another
                service.socket_connect_timeout = self._timeout_s
            if service.socket_read_timeout == own.socket_read_timeout:
                service.socket_read_timeout = self._timeout_s
            self._recipients = [Recipient(each) for each in _one_by_one(service)]
        return self._recipients


def _one_by_one(service: Any) -> list[Any]:
    """A service for each of its recipients, where it has several and they are known."""
    for name in RECIPIENTS:
        several = getattr(service, name, None)
        if isinstance(several, list) and len(several) > 1:
            each = [copy.copy(service) for _ in several]
            for one, recipient in zip(each, several, strict=True):
                setattr(one, name, [recipient])
            return each
    return [service]


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
