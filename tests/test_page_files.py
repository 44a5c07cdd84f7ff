"""The page's files as a browser gets them: all of them from here, kept by ETag, open to who has no token."""

from __future__ import annotations

import gzip
import re
from contextlib import closing
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any

import pytest

from monitor.page.files import STATIC, Files, plotly
from monitor.page.routes import of_files
from tests.http_rig import Fake, ask, number, port

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from starlette.routing import Route

    from monitor.web.server import HttpPort

WIDTH = 120  # characters of a line
TOKEN = "sixteen letters, or more"  # noqa: S105 - a test's own


class Paged(Fake):
    """A daemon with the page's files, and nothing that they show."""

    def further(self) -> Sequence[Route]:
        return of_files()


@pytest.fixture(scope="module")
def made() -> Iterator[HttpPort]:
    with port(Paged()) as serving:
        yield serving


def test_every_file_comes_with_its_type_and_is_asked_for_once(made: HttpPort) -> None:
    """The second time the browser names what it has, and is told that it is still the same."""
    types = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
    names = Files().names()
    assert {"index.html", "page.css", "app.js", "views/fleet.js"} <= set(names)
    for name in names:
        status, text, headers = ask(made, f"/page/{name}")
        assert (status, text) == (200, (STATIC / name).read_text(encoding="utf-8"))
        assert headers["content-type"].partition(";")[0] == types[name.rpartition(".")[2]]
        assert headers["cache-control"] == "no-cache"
        assert ask(made, f"/page/{name}", If_None_Match=headers["etag"])[:2] == (304, "")
    assert ask(made, "/page/app.js", If_None_Match='"of before"')[0] == 200
    assert ask(made, "/")[1] == (STATIC / "index.html").read_text(encoding="utf-8")
    assert ask(made, "/", "HEAD")[0] == 200


def test_plotly_comes_compressed_out_of_its_package(made: HttpPort) -> None:
    with closing(HTTPConnection("127.0.0.1", number(made), timeout=20)) as connection:
        connection.request("GET", "/page/plotly.js", headers={"Accept-Encoding": "gzip"})
        answer = connection.getresponse()
        packed = answer.read()
    assert answer.headers["Content-Encoding"] == "gzip"
    assert len(packed) < 2_000_000
    assert gzip.decompress(packed) == plotly().read_bytes()
    assert ask(made, "/page/plotly.js", If_None_Match=answer.headers["ETag"])[0] == 304


@pytest.mark.parametrize(
    "path",
    ["/page/", "/page/nope.js", "/page/../routes.py", "/page/..%2Froutes.py", "/page/%2Fetc%2Fpasswd", "/x"],
)
def test_there_is_nothing_but_these_files(made: HttpPort, path: str) -> None:
    status, said, _ = ask(made, path)
    assert status == 404
    assert said["error"]


def test_no_script_and_no_asset_comes_from_elsewhere(made: HttpPort) -> None:
    """The policy forbids it, and the files do not try: no address has a host, but the name of SVG."""
    policy = ask(made, "/")[2]["content-security-policy"]
    rules = dict(each.strip().split(" ", 1) for each in policy.split(";"))
    assert rules["default-src"] == rules["form-action"] == rules["frame-ancestors"] == "'none'"
    assert rules["script-src"] == rules["connect-src"] == "'self'"
    for path in STATIC.rglob("*.*"):
        text = path.read_text(encoding="utf-8")
        hosts = set(re.findall(r"(?:https?:)?//[a-z0-9-]+\.[^\s\"'<>)]*", text, re.IGNORECASE))
        assert hosts <= {"http://www.w3.org/2000/svg"}, path
        assert "import(" not in text.replace("import(entry.module)", ""), path
        assert not re.search(r"innerHTML|outerHTML|AdjacentHTML|document\.write|\beval\(|new Function", text), path
        assert max(map(len, text.splitlines())) <= WIDTH, path
        if path.suffix == ".html":
            assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|\sstyle=", text), path


def test_who_has_no_token_gets_the_page_and_no_facts() -> None:
    """The page then asks for the token. What is no file of it stays closed, whatever its name looks like."""
    with port(Paged(), host="0.0.0.0", token=TOKEN) as made:  # noqa: S104 - that is what is tried
        assert ask(made, "/")[0] == ask(made, "/page/app.js")[0] == 200
        paths = ("/metrics", "/api/v1/live", "/api/v1/fleet", "/page", "/pages/app.js", "//", "/page/../metrics")
        assert {ask(made, path)[0] for path in paths} <= {401, 404}
        assert ask(made, "/api/v1/live")[0] == 401
        json: dict[str, Any] = {"Content-Type": "application/json"}
        assert ask(made, "/page/app.js", "POST", b"{}", **json)[0] == 401
        assert ask(made, "/", Host="evil.example")[0] == 421
