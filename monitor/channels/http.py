"""One request to another system, and what its answer means, in words. The library is imported by the first."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec

from monitor.channels.way import Undelivered
from monitor.tls import TlsFileError, client_context

if TYPE_CHECKING:
    from pathlib import Path

LONGEST_ANSWER = 300  # characters of the other's own words that are told


class HttpClient:
    """Posts JSON to one address. Neither redirections nor proxies are followed: they would get the token.

    `section` is how messages call the settings of this address.
    """

    def __init__(self, section: str, url: str, token: str | None, ca_file: Path | None, timeout_s: float) -> None:
        self._section = section
        self._url = url
        self._token = token
        self._ca_file = ca_file
        self._timeout_s = timeout_s
        self._pool: Any = None

    def post(self, body: Any, *, key: str = "", path: str = "") -> int:
        """Send; returns the status of the answer. Raises Undelivered."""
        return self._ask("POST", path, msgspec.json.encode(body), {"Idempotency-Key": key} if key else {})

    def reach(self, path: str = "") -> int:
        """Whether somebody answers there, whatever the answer; sends nothing. Raises Undelivered."""
        from urllib3.exceptions import HTTPError  # noqa: PLC0415 - loaded only where a channel is used

        try:
            answer = self._made().request("HEAD", self._url.rstrip("/") + path if path else self._url)
        except (HTTPError, OSError) as error:
            raise Undelivered(self._trouble(error)) from error
        return int(answer.status)

    def close(self) -> None:
        """Close the connection; a later request opens another."""
        if self._pool is not None:
            self._pool.clear()
            self._pool = None

    def _ask(self, method: str, path: str, body: bytes, further: dict[str, str]) -> int:
        from urllib3.exceptions import HTTPError  # noqa: PLC0415 - as above

        headers = {"Content-Type": "application/json", "User-Agent": "enginewatch"} | further
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        url = self._url.rstrip("/") + path if path else self._url
        try:
            answer = self._made().request(method, url, body=body, headers=headers)
        except (HTTPError, OSError) as error:
            raise Undelivered(self._trouble(error)) from error
        except (UnicodeEncodeError, ValueError) as error:  # a token that no header can carry
            raise Undelivered(f"{self._section}: the address or the token holds what HTTP cannot carry") from error
        status = int(answer.status)
        if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            return status
        raise Undelivered(self._refused(status, answer), _retry_after(answer.headers.get("Retry-After", "")))

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

    def _refused(self, status: int, answer: Any) -> str:
        said = " ".join(answer.data.decode("utf-8", "replace").split())[:LONGEST_ANSWER]
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
