"""A real InfluxDB 1.6 (Debian's influxd) behind nginx, which gives it the v2 write address of later versions.

Both keep their ports and their disk over `stop()` and `start()`, so that a test can take the server away.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Any, Self

import pytest

from tests.servers import find, free_port, missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from tests.servers.brokers import Certificates

START_LIMIT_S = 20.0
DATABASE = "engines"  # of the fixture `database`
PROGRAMS = ("influxd", "nginx")

INFLUXD_CONF = """
reporting-disabled = true
bind-address = "127.0.0.1:{backup_port}"
[meta]
dir = "{folder}/meta"
[data]
dir = "{folder}/data"
wal-dir = "{folder}/wal"
query-log-enabled = false
[http]
bind-address = "127.0.0.1:{port}"
log-enabled = false
[monitor]
store-enabled = false
"""

# One process that never forks: whoever runs the tests, it may write into the folder, and ends when told.
NGINX_CONF = """
daemon off; master_process off;
pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{}}
http {{
  access_log off; client_max_body_size {max_body};
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port}{ssl}; {keys}
    location = /api/v2/write {{
      default_type application/json;
      {guard}
      rewrite ^ /write?db=$arg_bucket&precision=$arg_precision? break;
      proxy_pass http://127.0.0.1:{influxd_port};
    }}
    location / {{
      default_type application/json;
      {guard}
      proxy_pass http://127.0.0.1:{influxd_port};
    }}
  }}
}}
"""


class Influxd:
    """influxd and nginx as processes of their own on loopback ports."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._port, self._influxd_port, self._backup_port = free_port(), free_port(), free_port()
        self._token = ""
        self._max_body = "50m"
        self._certificates: Certificates | None = None
        self._tls: Sequence[str] = ()
        self._influxd: subprocess.Popen[bytes] | None = None
        self._nginx: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def url(self) -> str:
        """The address for `influx.url`."""
        # A certificate is for localhost; without one, the number keeps the resolver out of it.
        return f"https://localhost:{self._port}" if self._certificates else f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start whichever of the two is not running, and wait until it answers."""
        if self._influxd is None:
            file = self.folder / "influxd.conf"
            ports = {"port": self._influxd_port, "backup_port": self._backup_port}
            file.write_text(INFLUXD_CONF.format(folder=self.folder, **ports))
            self._influxd = self._launch("influxd", "-config", str(file))
            self._await(self._influxd, "influxd", lambda: _pings(self._influxd_port))
        if self._nginx is None:
            self._start_nginx()

    def stop(self) -> None:
        """Stop both: connections are refused from now on."""
        self._stop_nginx()
        self.stop_database()

    def stop_database(self) -> None:
        """Stop influxd alone: nginx answers 502."""
        process, self._influxd = self._influxd, None
        _end(process)

    def _stop_nginx(self) -> None:
        process, self._nginx = self._nginx, None
        _end(process)

    def configure(
        self,
        *,
        token: str = "",
        max_body: str = "50m",
        certificates: Certificates | None = None,
        tls: Sequence[str] = (),
    ) -> None:
        """Ask for a token, take only small requests, or speak TLS, with further lines about it.

        What is not given goes back to its default.
        """
        wanted = (token, max_body, certificates, tls)
        if (self._token, self._max_body, self._certificates, self._tls) == wanted:
            return
        self._token, self._max_body, self._certificates, self._tls = wanted
        if self._nginx is not None:
            self._stop_nginx()
            self._start_nginx()

    def create_database(self, name: str) -> None:
        self.query(f'CREATE DATABASE "{name}"')

    def query(self, influxql: str, database: str = "") -> list[dict[str, Any]]:
        """The rows of one InfluxQL statement; times are epoch ms, and the tags of GROUP BY are columns."""
        words = urllib.parse.urlencode({"q": influxql, "db": database, "epoch": "ms"}).encode()
        address = f"http://127.0.0.1:{self._influxd_port}/query"
        with urllib.request.urlopen(address, words, timeout=60) as answer:
            result = json.load(answer)["results"][0]
        if "error" in result:
            raise ValueError(result["error"])
        return [
            {**series.get("tags", {}), **dict(zip(series["columns"], values, strict=True))}
            for series in result.get("series", [])
            for values in series.get("values", [])
        ]

    def count(self, measurement: str) -> int:
        """The points of a measurement, by its most frequent field."""
        rows = self.query(f"SELECT count(*) FROM {measurement}", DATABASE)  # noqa: S608 - a test's own word
        return max((number for name, number in rows[0].items() if name != "time"), default=0) if rows else 0

    def _start_nginx(self) -> None:
        guard = f'if ($http_authorization != "Token {self._token}") {{ return 401 \'{{"message":"no"}}\'; }}'
        made = self._certificates
        text = NGINX_CONF.format(
            folder=self.folder,
            port=self._port,
            influxd_port=self._influxd_port,
            max_body=self._max_body,
            guard=guard if self._token else "",
            ssl=" ssl" if made else "",
            keys=" ".join(
                [f"ssl_certificate {made.cert_file};", f"ssl_certificate_key {made.key_file};", *self._tls]
                if made
                else []
            ),
        )
        (self.folder / "nginx.conf").write_text(text)
        self._nginx = self._launch("nginx", "-p", str(self.folder), "-c", str(self.folder / "nginx.conf"))
        self._await(self._nginx, "nginx", lambda: _listens(self._port))

    def _launch(self, program: str, *words: str) -> subprocess.Popen[bytes]:
        path = find(program)
        if path is None:
            raise FileNotFoundError(f"{program} is not installed")
        with (self.folder / f"{program}.out").open("ab") as log:
            return subprocess.Popen([path, *words], stdout=log, stderr=log, cwd=self.folder)

    def _await(self, process: subprocess.Popen[bytes], program: str, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_LIMIT_S
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                said = (self.folder / f"{program}.out").read_text()
                raise RuntimeError(f"{program} did not start:\n{said[-2000:]}")
            time.sleep(0.01)


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1.0):
        return True
    return False


def _pings(port: int) -> bool:
    with contextlib.suppress(OSError):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1.0)
        with contextlib.closing(connection):
            connection.request("GET", "/ping")
            return connection.getresponse().status == http.HTTPStatus.NO_CONTENT
    return False


def _end(process: subprocess.Popen[bytes] | None) -> None:
    if process is None:
        return
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)


@pytest.fixture
def influxd(tmp_path: Path) -> Iterator[Influxd]:
    """A running influxd of the test's own, with no database yet."""
    for program in PROGRAMS:
        if find(program) is None:
            missing(program)
    with Influxd(tmp_path / "influxd") as server:
        yield server


@pytest.fixture
def database(influxd: Influxd) -> Influxd:
    """A running influxd with the database `engines` in it."""
    influxd.create_database(DATABASE)
    return influxd
