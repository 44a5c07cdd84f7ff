"""Questions to InfluxDB in InfluxQL, which its versions 1, 2 and 3 answer at /query."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec

from monitor.influx_client import TooLarge, Unavailable, check_token, connection_trouble, tls, tls_trouble

if TYPE_CHECKING:
    from config.settings import InfluxSettings

LONGEST = 64 << 20  # bytes of an answer
SAID = 300  # characters of the server's own words
REMEDIES: dict[int, str] = {
    HTTPStatus.UNAUTHORIZED: "InfluxDB does not know the token ({said}): set influx.token",
    HTTPStatus.FORBIDDEN: "the token may not read ({said}): see influx.token",
    HTTPStatus.NOT_FOUND: "{url} knows no such database ({said}): see influx.bucket, which needs a DBRP mapping"
    " in InfluxDB 2",
}


class Series(msgspec.Struct):
    """Some of an answer: rows of the same tags, where it was asked by tags."""

    columns: list[str]
    values: list[list[Any]] = []
    tags: dict[str, str] = {}
    partial: bool = False  # the server has more, and says no more at once


class _Result(msgspec.Struct):
    series: list[Series] = []
    error: str = ""


class _Answer(msgspec.Struct):
    results: list[_Result] = []
    error: str = ""


class InfluxReader:
    """The connection to one bucket, for one thread; it is opened by the first question."""

    def __init__(self, settings: InfluxSettings, token: str | None) -> None:
        """Raises ValueError for a token that no HTTP header can carry."""
        check_token(token)
        self._settings = settings
        self._token = token
        self._pool: Any = None

    def ask(self, influxql: str) -> list[Series]:
        """What one statement finds; times are epoch milliseconds. Raises Unavailable, TooLarge."""
        from urllib3 import exceptions  # noqa: PLC0415 - only where InfluxDB is read

        settings = self._settings
        database, _, policy = settings.bucket.partition("/")
        words = {"q": influxql, "db": database, "epoch": "ms"} | ({"rp": policy} if policy else {})
        try:
            status, body = self._post(words)
        except exceptions.SSLError as error:
            raise Unavailable(tls_trouble(str(error), settings)) from error
        except (exceptions.HTTPError, OSError) as error:
            raise Unavailable(connection_trouble(error, settings)) from error
        try:
            answer = msgspec.json.decode(body, type=_Answer)
        except msgspec.DecodeError as error:
            if status == HTTPStatus.OK:
                raise Unavailable(f"{settings.url} does not answer like InfluxDB: see influx.url") from error
            answer = _Answer()
        said = answer.error or next((each.error for each in answer.results if each.error), "")
        if status != HTTPStatus.OK or said:
            said = f"{status}: {' '.join(said.split())[:SAID]}" if said else str(status)
            told = REMEDIES.get(status, "InfluxDB does not answer ({said}): see influx.url, influx.bucket")
            raise Unavailable(told.format(said=said, url=settings.url))
        return [series for each in answer.results for series in each.series]

    def _post(self, words: dict[str, str]) -> tuple[int, bytes]:
        """Status and body of the answer. Raises TooLarge, Unavailable, and what urllib3 raises."""
        import urllib3  # noqa: PLC0415 - see ask

        if self._pool is None:
            timeout = urllib3.Timeout(total=None, connect=self._settings.timeout_s, read=self._settings.timeout_s)
            headers = {"Authorization": f"Token {self._token}"} if self._token else {}
            self._pool = urllib3.PoolManager(
                headers=headers, timeout=timeout, retries=False, ssl_context=tls(self._settings)
            )
        address = f"{self._settings.url.rstrip('/')}/query"
        answer = self._pool.request("POST", address, fields=words, encode_multipart=False, preload_content=False)
        try:
            body = answer.read(LONGEST + 1)
            if len(body) > LONGEST:
                answer.close()
                raise TooLarge(f"an answer of InfluxDB has over {LONGEST >> 20} MB")
            return answer.status, body
        finally:
            answer.release_conn()

    def close(self) -> None:
        """Close the connection; a later question opens a new one."""
        if self._pool is not None:
            self._pool.clear()
            self._pool = None
