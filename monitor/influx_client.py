"""One write to InfluxDB, and what its answer means: whose fault it is and whether a retry is of use.

Only the synchronous write API of influxdb-client is used, one attempt a call: its batching API returns before
anything was sent and drops what it could not send. The bodies are not compressed: the client compresses at the
highest level, which was measured to cost five times the processor time of everything else here.
"""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from monitor.tls import OLDER, TlsFileError, client_context

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence

    from config.settings import InfluxSettings

# How InfluxDB 1 and 2 say, with status 400 or 422, that they stored everything but what they would have deleted by
# now. They say it only where nothing else was wrong.
EXPIRED = re.compile(
    r"(?:failure writing points to database: )?partial write: "
    r"(?:points beyond|dropped \d+ points outside) retention policy.* dropped=(\d+)"
)
REASON_LENGTH = 300  # characters of the server's own words that are kept: their end says more, so most of that


class Unavailable(Exception):  # noqa: N818 - it says what is so; the name reads well where it is caught
    """Nothing is wrong with the lines: keep them and try again, after `retry_after` seconds at the earliest."""

    def __init__(self, sentence: str, retry_after: float = 0.0) -> None:
        super().__init__(sentence)
        self.retry_after = retry_after


class Refused(Exception):  # noqa: N818 - as above
    """InfluxDB does not take at least one of the lines, and will not take it later: the server's reason."""


class TooLarge(Exception):  # noqa: N818 - as above
    """The request has too many bytes; fewer lines may pass."""


class InfluxClient:
    """The connection to one bucket; the library is imported and the connection opened by the first write."""

    def __init__(self, settings: InfluxSettings, token: str | None) -> None:
        """Raises ValueError for a token that no HTTP header can carry; the token itself is not repeated."""
        check_token(token)
        self._settings = settings
        self._token = token
        self._client: Any = None

    def write(self, lines: Sequence[str]) -> int:
        """Send lines in one request; returns how many were dropped as older than the bucket's retention.

        Raises Refused, TooLarge or Unavailable.
        """
        # Importing the library takes 0.1 to 0.4 s: not for those who have no InfluxDB, and not at start-up.
        from influxdb_client.rest import ApiException  # noqa: PLC0415
        from urllib3.exceptions import HTTPError  # noqa: PLC0415

        body = "\n".join(lines).encode(errors="replace")
        settings = self._settings
        try:
            self._writer().write(bucket=settings.bucket, org=settings.org, record=body, write_precision="ms")
        except ApiException as error:
            expired = EXPIRED.match(_words(error))
            if expired:
                return int(expired[1])
            raise _judged(error, settings) from error
        except (HTTPError, OSError) as error:
            raise Unavailable(connection_trouble(error, settings)) from error
        except UnicodeDecodeError as error:
            raise Unavailable(f"{settings.url} does not answer like InfluxDB: see influx.url") from error
        return 0

    def close(self) -> None:
        """Close the connection; a later write opens a new one."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _writer(self) -> Any:
        from influxdb_client import InfluxDBClient  # noqa: PLC0415 - see write
        from influxdb_client.client.write_api import SYNCHRONOUS  # noqa: PLC0415

        if self._client is None:
            settings = self._settings
            self._client = InfluxDBClient(
                url=settings.url,
                token=self._token,
                org=settings.org,
                timeout=max(1, int(settings.timeout_s * 1_000)),
                enable_gzip=False,
                ssl_context=tls(settings),
                retries=False,
            )
        return self._client.write_api(write_options=SYNCHRONOUS)


def check_token(token: str | None) -> None:
    """Raises ValueError for a token that no HTTP header can carry; the token itself is not repeated."""
    if token and not (token.isascii() and token.isprintable()):
        raise ValueError("influx.token holds characters that a token cannot have, perhaps a line's end")


def tls(settings: InfluxSettings) -> ssl.SSLContext | None:
    """The context for https; None where it is not spoken. Raises Unavailable where a file cannot be used."""
    if not settings.url.startswith("https://"):
        return None
    try:
        return client_context(settings.ca_file, settings.cert_file, settings.key_file)
    except TlsFileError as error:
        raise Unavailable(f"influx.{error}") from error


def _judged(error: Any, settings: InfluxSettings) -> Exception:
    """What an answer other than success means."""
    status = error.status
    said = f"{status}: {_short(_words(error))}"
    if status == HTTPStatus.BAD_REQUEST and "SSL certificate" in str(error.body):  # nginx before it
        return Unavailable(f"{settings.url} asks for a certificate of ours: see influx.cert_file, influx.key_file")
    if status in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY):
        return Refused(said)
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return TooLarge(said)
    if not status:
        return Unavailable(tls_trouble(str(error.reason), settings))
    if status == HTTPStatus.UNAUTHORIZED:
        return Unavailable(f"InfluxDB does not know the token ({said}): set influx.token")
    if status == HTTPStatus.FORBIDDEN:
        return Unavailable(f'the token may not write to bucket "{settings.bucket}" ({said}): see influx.token')
    if status == HTTPStatus.NOT_FOUND:
        return Unavailable(
            f'InfluxDB has no bucket "{settings.bucket}" or no organisation "{settings.org}" ({said}): '
            "create it, or set influx.bucket and influx.org"
        )
    lasting = HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.INTERNAL_SERVER_ERROR
    if lasting and status not in (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS):
        return Unavailable(f"{settings.url} does not take writes ({said}): see influx.url")
    retry_after = str(error.retry_after or "")
    return Unavailable(
        f"InfluxDB cannot take writes now ({said})", float(retry_after) if retry_after.isdecimal() else 0.0
    )


def _words(error: Any) -> str:
    """What the server said, on one line."""
    try:
        answer = json.loads(error.body)
        words = str(answer.get("message") or answer["error"])
    except (ValueError, TypeError, KeyError, AttributeError):
        words = str(error.reason)  # not InfluxDB's: an HTML page of something in between, or nothing
    return " ".join(words.split())


def _short(words: str) -> str:
    if len(words) <= REASON_LENGTH:
        return words
    return f"{words[: REASON_LENGTH // 3]} … {words[-2 * REASON_LENGTH // 3 :]}"


def tls_trouble(words: str, settings: InfluxSettings) -> str:
    """What is wrong with TLS, by what the library says of it."""
    address = settings.url
    if "WRONG_VERSION_NUMBER" in words or "RECORD_LAYER" in words:
        return f"{address} does not speak TLS: http:// instead of https:// in influx.url?"
    if "doesn't match" in words or "not valid for" in words:
        return f"the certificate of {address} is for another name: see influx.url"
    if any(word in words for word in OLDER):
        return f"{address} speaks only a TLS older than 1.2: let it speak TLS 1.2 or later"
    if "certificate has expired" in words:
        return f"the certificate of {address} has expired: renew it there"
    if "CERTIFICATE_VERIFY_FAILED" in words or "No such file" in words:
        return f"the certificate of {address} is not trusted: set influx.ca_file ({' '.join(words.split())})"
    if "ALERT" in words:
        return (
            f"{address} refuses our side of TLS: see influx.cert_file, influx.key_file ({' '.join(words.split())})"
        )
    return f"TLS with {address} failed: {' '.join(words.split())}"


def connection_trouble(error: Exception, settings: InfluxSettings) -> str:
    """Why there is no answer."""
    from urllib3 import exceptions  # noqa: PLC0415 - loaded long since, by influxdb-client

    address = settings.url
    if isinstance(error, exceptions.NameResolutionError):
        return f"the host of {address} is unknown: see influx.url"
    if isinstance(error, exceptions.NewConnectionError):
        return f"nothing answers at {address}: is InfluxDB running, is influx.url right?"
    if isinstance(error, exceptions.TimeoutError):
        return f"{address} did not answer within {settings.timeout_s:g} s (influx.timeout_s)"
    return f"the connection to {address} failed ({type(error).__name__})"
