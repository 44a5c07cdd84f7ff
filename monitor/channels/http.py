"""One request to another system, and what its answer means, in words. The library is imported by the first."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec

from monitor.channels.masked import masked
from monitor.channels.patience import Patience
from monitor.channels.way import Undelivered
from monitor.tls import TlsFileError, client_context

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LONGEST_ANSWER = 300  # characters of the other's own words that are told
LONGEST_READ = 1_024  # bytes of them that are read
OF_NO_MESSAGE = {
    401,
    403,
    404,
    405,
    407,
    408,
    429,
}  # statuses from 400 to 499 that any other message would get too


class HttpClient:
    """Posts JSON to one address. Neither redirections nor proxies are followed: they would get the token.

    `section` is how messages call the settings of this address. An answer may take `timeout_s`, and as long again
    where it comes bit by bit. Nothing of the address but its host, and nothing of the token, is ever told.
    """

    def __init__(self, section: str, url: str, token: str | None, ca_file: Path | None, timeout_s: float) -> None:
        self._section = section
        self._url = url
        self._token = token
        self._ca_file = ca_file
        self._timeout_s = timeout_s
        self._patience = Patience(section)
        self._pool: Any = None

    def post(self, body: Any, *, key: str = "", path: str = "") -> int:
        """Send; returns the status of the answer. Raises Undelivered."""
        return self._ask("POST", path, msgspec.json.encode(body), {"Idempotency-Key": key} if key else {})

    def reach(self, path: str = "") -> int:
        """Whether somebody answers there, whatever the answer; sends nothing. Raises Undelivered."""

        def head() -> int:
            answer = self._request("HEAD", path, None, {})
            answer.close()
            return int(answer.status)

        return self._in_time(head)

    def close(self) -> None:
        """Close the connection; a later request opens another."""
        if self._pool is not None:
            self._pool.clear()
            self._pool = None

    def _ask(self, method: str, path: str, body: bytes, further: dict[str, str]) -> int:
        headers = {"Content-Type": "application/json", "User-Agent": "enginewatch"} | further
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        return self._in_time(lambda: self._answered(self._request(method, path, body, headers)))

    def _in_time(self, ask: Callable[[], int]) -> int:
        try:
            return self._patience.wait(ask, 2 * self._timeout_s)
        except TimeoutError:
            raise Undelivered(f"{self._section}: no answer within {self._timeout_s:g} s", doubt=True) from None

    def _request(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Any:
        """An answer of which nothing but status and headers is read yet."""
        from urllib3.exceptions import (  # noqa: PLC0415 - loaded only where a channel is used
            HTTPError,
            ProtocolError,
            ReadTimeoutError,
        )

        url = self._url.rstrip("/") + path if path else self._url
        try:
            return self._made().request(
                method, url, body=body, headers=headers, preload_content=False, decode_content=False
            )
        except (HTTPError, OSError) as error:
            doubt = isinstance(error, (ProtocolError, ReadTimeoutError))
            raise Undelivered(self._trouble(error), doubt=doubt) from error
        except (UnicodeEncodeError, ValueError) as error:  # a token that no header can carry
            raise Undelivered(f"{self._section}: the address or the token holds what HTTP cannot carry") from error

    def _answered(self, answer: Any) -> int:
        """The status, where it says that the message was taken. Raises Undelivered."""
        status = int(answer.status)
        try:
            if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
                return status
            alone = HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
            raise Undelivered(
                self._refused(status, self._said(answer)),
                _retry_after(answer.headers.get("Retry-After", "")),
                alone=alone and status not in OF_NO_MESSAGE,
            )
        finally:
            answer.close()  # the rest of it may have no end

    def _said(self, answer: Any) -> str:
        """The first of its words."""
        from urllib3.exceptions import HTTPError  # noqa: PLC0415 - as above

        end, read, byte = time.monotonic() + self._timeout_s, b"", b"?"
        try:
            while byte and len(read) < LONGEST_READ and time.monotonic() < end:
                byte = answer.read(1)  # more would wait for more
                read += byte
        except (HTTPError, OSError):
            byte = b"?"  # what has come so far
        text = " ".join(read.decode("utf-8", "replace").split())
        return masked(text, self._url, self._token or "", cut=bool(byte))[:LONGEST_ANSWER]

    def _made(self) -> Any:
        import urllib3  # noqa: PLC0415 - as above

        if self._pool is None:
            try:
                context = client_context(self._ca_file, None, None)
            except TlsFileError as error:
                raise Undelivered(f"{self._section}.{error}") from error
            self._pool = urllib3.PoolManager(
                timeout=urllib3.Timeout(total=self._timeout_s), retries=False, ssl_context=context
            )
        return self._pool

    def _refused(self, status: int, said: str) -> str:
        told = f"{status}: {said}" if said else str(status)
        if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            return f"{self._section}: refused ({told}): see its token_file"
        if status in {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}:
            return f"{self._section}: nothing takes messages at this address ({told}): see its url"
        if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
            return f"{self._section}: redirects ({status}), which is not followed: give the address it leads to"
        return f"{self._section}: does not take the message ({told})"

    def _trouble(self, error: Exception) -> str:
        from urllib3 import exceptions  # noqa: PLC0415 - as above

        if isinstance(error, exceptions.NameResolutionError):
            return f"{self._section}: its host is unknown: see its url"
        if isinstance(error, exceptions.NewConnectionError):
            return f"{self._section}: nothing answers there: is it running, is its url right?"
        if isinstance(error, exceptions.TimeoutError):
            return f"{self._section}: no answer within {self._timeout_s:g} s"
        if isinstance(error, exceptions.SSLError):
            return f"{self._section}: TLS failed ({_tls_words(error)}): see its url and ca_file"
        return f"{self._section}: the connection failed ({type(error).__name__})"


def _tls_words(error: Exception) -> str:
    """What OpenSSL says, without the address: that may hold secrets."""
    text = str(error)
    for known in ("certificate has expired", "self-signed certificate", "unable to get local issuer certificate"):
        if known in text:
            return known
    if "doesn't match" in text or "not valid for" in text:
        return "the certificate is for another name"
    return "it speaks no TLS" if "WRONG_VERSION_NUMBER" in text or "RECORD_LAYER" in text else "not trusted"


def _retry_after(text: str) -> float:
    return float(text) if text.isdecimal() else 0.0
